"""`submeter demo`: the whole chain on one machine, in a minute, with a building that does not exist.

A simulated building's gateways publish real, encrypted telegrams to an embedded broker; months of history come first, through `replay`. The service is the
one that `submeter run` starts, on a configuration and a directory written into the demo's folder, so every other command works beside it.
At the end the demo compares what the simulator sent with the readings and with what the API answers; a difference is exit status 1.
"""

import asyncio
import json
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
import pyarrow.compute as pc
from amqtt.broker import Broker as EmbeddedBroker
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console

from submeter import civil
from submeter.commands import execute
from submeter.config import Config, load
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.logs import configure
from submeter.reading import MICRO, Register, Source
from submeter.service import CoreThread, serve
from submeter.simulate.building import Building, Place
from submeter.simulate.directory import directory
from submeter.simulate.gateway import Network, instants
from submeter.simulate.truth import Anchors, anchors, counters, index_at
from submeter.store import Vault
from submeter.store.registry_types import READS

__all__ = ["demo"]

#: History before the live part: days and the interval between telegrams of a meter in hours, the oldest first.
HISTORY: Final = ((106, 6), (14, 1))
#: When meters and residents moved in: before the oldest value that a meter stored.
SETTLED_BEFORE: Final = 800 * civil.DAY
LIVE_INTERVAL: Final = 10 * civil.SECOND
TICK_S: Final = 1.0
REPORT_EVERY: Final = 5
MARK: Final = "submeter-demo"
CONNECT_S: Final = 10.0

CONFIG: Final = """# Written by `submeter demo`.
[data]
folder = "data"
[keys]
master_key_file = "master.key"
[[mqtt]]
name = "embedded"
port = {broker}
protocol = "3.1.1"
{gateways}
[[portal]]
name = "inmes"
host = "{host}"
manager = "demo"
[mail]
sink = "console"
[sms]
sink = "console"
[api]
port = {api}
[metrics]
port = {metrics}
[log]
level = "warning"
"""
#: Names below localhost are loopback, and browsers trust them as they trust TLS.
HOST: Final = "inmes.localhost"
GATEWAY: Final = '[[gateway]]\nname = "{name}"\nstore_and_forward = true'


@dataclass(slots=True)
class _World:
    """The simulated building and when each meter sent."""

    building: Building
    sent: dict[str, list[int]] = field(default_factory=dict)
    telegrams: int = 0

    def note(self, place: Place, sent: list[int]) -> None:
        self.sent.setdefault(place.id, []).extend(sent)
        self.telegrams += len(sent)

    def anchors(self, place: Place, register: Register) -> Anchors:
        """What telegrams told about a counter."""
        return anchors(place, register, self.sent[place.id])


def demo(folder: Path, *, seconds: float | None, flats: int, console: Console) -> bool:
    """Run the demo in `folder` (made anew) for `seconds`, or until interrupted; whether everything agreed."""
    configure("warning", "console")
    _clear(folder)
    world = _World(Building.make(flats=flats))
    config = _settle(folder, world.building)
    with _broker(config.mqtt[0].port):
        token = _history(folder, config, world, console)
        differences = _live(config, world, token, seconds, console)
    differences += _readings_differ(config, world)
    for difference in differences[:20]:
        console.print(f"  [red]differs[/red]: {difference}")
    verdict = f"differ in {len(differences)} places from" if differences else "agree with"
    console.print(f"  {world.telegrams} telegrams of {len(world.building.places)} meters: readings, rollups and API {verdict} what was sent")
    return not differences


def _clear(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise SubmeterError(f"{folder} holds something else than a demo: name another folder with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _settle(folder: Path, building: Building) -> Config:
    """Write configuration, directory and master key."""
    gateways = "\n".join(GATEWAY.format(name=name) for name in building.gateways)
    broker, api, metrics = _free_ports(3)
    (folder / "pipeline.toml").write_text(CONFIG.format(broker=broker, host=HOST, api=api, metrics=metrics, gateways=gateways))
    (folder / "directory.toml").write_text(directory(building, civil.local_date(building.zone, now() - SETTLED_BEFORE)))
    Vault.create(folder / "master.key")
    return load(folder / "pipeline.toml")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _history(folder: Path, config: Config, world: _World, console: Console) -> str:
    """Import the directory and replay the months before now; returns a token for the API."""
    file = folder / "history.jsonl"
    with console.status("writing months of telegrams"), file.open("wb") as lines:
        for t_from, t_to, step in _stretches(now()):
            for message in Network(world.building, step, f"history-{t_from}").messages(t_from, t_to):
                lines.write(message.payload + b"\n")
            for place in world.building.places:
                world.note(place, list(instants(place, t_from, t_to, step)))
    with Core(config) as core:
        for command, path in (("import", folder / "directory.toml"), ("replay", file)):
            with console.status(f"submeter {command} {path.name}"):
                *_, last = execute(core, command, {"path": str(path)})
            console.print(f"  {command} {path.name}: {last}", soft_wrap=True)
        return core.registry.create_token(world.building.manager, (*READS, "claims:write"))


def _stretches(end: int) -> Iterator[tuple[int, int, int]]:
    """History as (from, to, interval) in µs, on full hours, the oldest first."""
    t_to = end // civil.HOUR * civil.HOUR
    t_from = t_to - sum(days for days, _ in HISTORY) * civil.DAY
    for days, hours in HISTORY:
        yield t_from, t_from + days * civil.DAY, hours * civil.HOUR
        t_from += days * civil.DAY


@contextmanager
def _broker(port: int) -> Iterator[None]:
    """An MQTT broker on loopback, in a thread of its own."""
    stop = threading.Event()
    ready = threading.Event()

    async def run() -> None:
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        broker = EmbeddedBroker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": plugins})
        await broker.start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await broker.shutdown()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="broker", daemon=True)
    thread.start()
    if not ready.wait(CONNECT_S):
        raise SubmeterError("the embedded broker did not start: run the demo again")
    try:
        yield
    finally:
        stop.set()
        thread.join(CONNECT_S)


def _live(config: Config, world: _World, token: str, seconds: float | None, console: Console) -> list[str]:
    """Run the service, publish live, and return where the API's answers differ from what was sent."""
    stop = threading.Event()
    cores: list[CoreThread | None] = []
    started = threading.Event()

    def begin(core: CoreThread | None) -> None:
        cores.append(core)
        started.set()

    service = threading.Thread(target=serve, args=[config], kwargs={"part": "all", "stop": stop, "started": begin}, name="service")
    service.start()
    try:
        while not started.wait(0.1):
            if not service.is_alive():
                raise SubmeterError("the service did not start: see the lines above")
        _where_to_look(config, token, world, console)
        core = cores[0]
        assert core is not None
        _publish(config.mqtt[0].port, world, core, seconds, console)
        list(core.submit("rollup"))
        return list(_api_differs(config, world, token))
    finally:
        stop.set()
        service.join()


def _where_to_look(config: Config, token: str, world: _World, console: Console) -> None:
    flat = world.building.flats[0]
    url = f"http://127.0.0.1:{config.api.port}/v1"
    month = time.strftime("%Y-%m-01")
    letter = _get(config, token, "/v1/claims", {"claims": [{"unit": flat.id, "kind": "one_time_credentials"}]})["claims"][0]["fields"]
    console.rule("submeter demo")
    console.print(
        f"  portal      http://{HOST}:{config.api.port}   ({flat.label}: login {letter['login']}   password {letter['password']}; codes appear here)",
        soft_wrap=True,
    )
    console.print(f"  API         {url}/openapi.json")
    console.print(
        f"  one flat    curl -H 'Authorization: Bearer {token}' '{url}/units/{flat.id}/consumption?resolution=P1D&from={month}&to=2100-01-01'",
        soft_wrap=True,
    )
    console.print(f"  metrics     http://127.0.0.1:{config.metrics.port}/metrics")
    console.print(f"  commands    ./run status -c {config.data.folder.parent}/pipeline.toml      Ctrl-C ends the demo")
    console.rule()


def _publish(port: int, world: _World, core: CoreThread, seconds: float | None, console: Console) -> None:
    """Publish what the gateways hear, second by second, and roll up every few seconds; returns when everything sent has been acknowledged."""
    network = Network(world.building, LIVE_INTERVAL, f"live-{now()}")
    clients = {name: _client(port, name) for name in world.building.gateways}
    t_from, end = now(), time.monotonic() + seconds if seconds is not None else float("inf")
    messages = tick = 0
    try:
        while time.monotonic() < end:
            time.sleep(TICK_S)
            t_to = now()
            waiting = [clients[one.gateway].publish(f"submeter/v1/{one.gateway}/up", one.payload, qos=1) for one in network.messages(t_from, t_to)]
            for sent in waiting:
                sent.wait_for_publish(CONNECT_S)
            for place in world.building.places:
                world.note(place, list(instants(place, t_from, t_to, LIVE_INTERVAL)))
            t_from, messages, tick = t_to, messages + len(waiting), tick + 1
            if tick % REPORT_EVERY == 0:
                lines = list(core.submit("rollup"))
                console.print(f"  {tick:4} s  {messages} live messages, {world.telegrams} telegrams sent in all; {lines[-1]}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("  ending")
    finally:
        for client in clients.values():
            client.loop_stop()
            client.disconnect()


def _client(port: int, name: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def _readings_differ(config: Config, world: _World) -> Iterator[str]:
    """Every telegram gave its counters' readings at its instant: none lost, none twice, none altered."""
    with Core(config) as core:
        numbers = core.readings.registers()
        for place in world.building.places:
            for register in counters(place):
                rows = core.readings.readings_of([numbers.get((str(place.meter.device), register), 0)])
                live = rows.filter(pc.equal(rows["src"], Source.LIVE))
                found = list(zip(live["t"].to_pylist(), live["value"].to_pylist(), strict=True))
                sent = [(t, place.meter.truth(t)[register]) for t in world.sent[place.id]]
                if found != sent:
                    yield f"{place.meter.device} {register}: {len(sent)} readings sent, {len(found)} stored, the first other one {min(set(sent) ^ set(found))}"


def _api_differs(config: Config, world: _World, token: str) -> Iterator[str]:
    """Every month and every recent hour that the API answers for a flat's counters is the difference of the true index."""
    end = now()
    for flat in world.building.flats:
        places = {place.id: place for place in world.building.places if place.flat == flat.id}
        for resolution, start in (("P1M", end - 200 * civil.DAY), ("PT1H", end - 2 * civil.DAY)):
            answered = _get(
                config, token, f"/v1/units/{flat.id}/consumption?resolution={resolution}&by=meter&from={civil.iso(start)}&to={civil.iso(end)}"
            )
            if {series["meter"] for series in answered["series"]} != places.keys():
                yield f"{flat.id}: the API answers {sorted(series['meter'] for series in answered['series'])}, the flat has {sorted(places)}"
            for series in answered["series"]:
                place = places[series["meter"]]
                yield from _series_differs(series, place, world.anchors(place, counters(place)[0]))


def _series_differs(series: dict[str, Any], place: Place, known: Anchors) -> Iterator[str]:
    for point in series["points"]:
        start, end = civil.instant(point["start"]), civil.instant(point["end"])
        if end <= known[0][0]:
            continue  # before the first telegram there is nothing to know
        true = index_at(known, end) - index_at(known, start)
        if point["value"] is None or round(point["value"] * MICRO) != true:
            yield f"{place.id} {point['start']}: {point['value']} answered, {true / MICRO} is true"


def _get(config: Config, token: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the API answers; a body is posted."""
    sent, headers = None if body is None else json.dumps(body).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{config.api.port}{path}", sent, headers)
    with urllib.request.urlopen(request, timeout=CONNECT_S) as answer:  # noqa: S310 - loopback
        return json.load(answer)
