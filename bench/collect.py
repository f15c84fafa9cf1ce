"""`./run bench collect [METERS]`: from a broker to the durable inbox, and on to readings; processor time, which other work on the machine disturbs least.

transport  a backlog of a real mosquitto, drained by the collector (commit, then acknowledge) and by plain paho (acknowledges by itself, keeps nothing), in turn,
           `ROUNDS` times, with one telegram and with a hundred a message; each run is a process of its own, without its imports. The ratio of medians counts
chain      encrypted telegrams of a fleet of METERS (10,000) from the broker to readings in DuckDB: the collector in one process, the core in another, as
           with `submeter run --only collect`; a hundred telegrams a message. Every meter was heard before once (told apart: registers are made then)
Needs mosquitto.
"""

import gc
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.decode import alone, out
from submeter.decoders import Profile
from submeter.ingest import drain as draining
from submeter.ingest import receiving
from submeter.ingest.drain import Drain, Gateway, Known
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.session import RECEIVE_MAXIMUM, MqttSettings
from submeter.simulate.fleet import Fleet
from submeter.simulate.formats import FORMATS
from submeter.store import Inbox, Message, Readings, Registry
from tests.broker import Broker

ROUNDS = 5
#: Messages of a run by telegrams a message.
RUNS = {1: 10_000, 100: 2_000}
#: Telegrams of each meter in the chain, the first apart.
EACH = 3
HOUR = 3600 * 1_000_000
TOPIC = "submeter/v1/+/up"
Pairs = list[tuple[str, bytes]]


class Enough:
    """Stands for the event that ends a collector: set once so many messages are acknowledged."""

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self.collector: MqttCollector | None = None

    def is_set(self) -> bool:
        """Whether it is enough."""
        return self.collector is not None and self.collector.counters.messages >= self._messages

    def wait(self, seconds: float) -> None:
        """Wait, unless it is enough."""
        if not self.is_set():
            time.sleep(seconds)


def connected(port: int, name: str, *, clean: bool = False) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    client.connect("127.0.0.1", port, clean_start=clean, properties=properties)
    return client


def remember(port: int, name: str) -> None:
    """Have the broker keep a session of this name."""
    client = connected(port, name, clean=True)
    client.on_connect = lambda *_: client.subscribe(TOPIC, 1)
    client.on_subscribe = lambda *_: client.disconnect()
    client.loop_forever()


def plain(port: int, name: str, _: Path, messages: int) -> float:
    """Plain paho: seconds of processor time."""
    client, seen = connected(port, name), 0

    def on_message(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == messages:
            client.disconnect()

    client.on_message = on_message
    start = time.process_time()
    client.loop_forever()
    return time.process_time() - start


def kept(port: int, name: str, inbox: Path, messages: int) -> float:
    """The collector: seconds of processor time."""
    enough: Any = Enough(messages)
    enough.collector = MqttCollector(MqttSettings(port=port, client_id=name), inbox, lambda *_: None)
    start = time.process_time()
    enough.collector.run(enough)
    return time.process_time() - start


def transport(broker: Broker, folder: Path, payloads: dict[int, Pairs]) -> None:
    contenders: dict[str, Callable[[int, str, Path, int], float]] = {"plain": plain, "kept": kept}
    for telegrams, messages in RUNS.items():
        spent: dict[str, list[float]] = defaultdict(list)
        for number in range(ROUNDS):
            for name in contenders:
                remember(broker.port, name)
            broker.publish(*(payloads[telegrams][one % len(payloads[telegrams])] for one in range(messages)))
            for name in sorted(contenders, reverse=number % 2 == 1):
                spent[name].append(alone(contenders[name], broker.port, name, folder / f"{telegrams}-{number}.sqlite", messages))
        rates = {name: messages / median(times) for name, times in spent.items()}
        ratios = sorted(one / other for one, other in zip(spent["plain"], spent["kept"], strict=True))
        out(
            f"transport: {telegrams} a message: inbox {rates['kept']:,.0f}, plain paho {rates['plain']:,.0f} messages per CPU second: "
            f"{rates['kept'] / rates['plain']:.2f} times (rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


class Stages:
    """Processor time by stage: what runs inside a function of another stage counts there alone."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count a function of a module or class to a stage."""
        function = getattr(owner, name)

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.of(stage):
                return function(*arguments, **named)

        setattr(owner, name, timed)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what runs inside to a stage."""
        self._turn()
        self._stack.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def _turn(self) -> None:
        at = time.process_time()
        if self._stack:
            self.spent[self._stack[-1]] += at - self._since
        self._since = at


def core(folder: Path, profiles: dict[Any, Profile], first: Pairs, telegrams: int, ready: Any) -> tuple[float, float, dict[str, float]]:
    """Drain a first round that the inbox has, then what the collector brings: processor seconds of both, and by stage."""
    known = {device: Known(profile, "Europe/Prague") for device, profile in profiles.items()}
    names = {topic.split("/")[2] for topic, _ in first}
    with Inbox(folder / "inbox.sqlite") as inbox, Readings(folder / "readings.duckdb") as readings, Registry(folder / "registry.sqlite") as registry:
        inbox.append(received(first))
        drain = Drain(inbox, readings, registry, known.get, dict.fromkeys(names, Gateway(store_and_forward=True)))
        start = time.process_time()
        decoded(drain, len(profiles))
        cold, stages = time.process_time() - start, Stages()
        gc.collect()
        gc.freeze()  # as the service does once it has started
        stages.watch(receiving, "split", "split")
        stages.watch(draining, "read_together", "decode")
        for owner, name in ((Drain, "_commit"), (Inbox, "finish"), (Inbox, "pending")):
            stages.watch(owner, name, "store")
        ready.set()
        start = time.process_time()
        with stages.of("dedup and guard"):
            decoded(drain, telegrams)
        return cold, time.process_time() - start, dict(stages.spent)


def received(messages: Pairs) -> list[Message]:
    """The messages as a collector keeps them."""
    return [Message("mqtt", payload, time.time_ns() // 1000, topic.split("/")[2], topic) for topic, payload in messages]


def prepared(meters: int) -> tuple[dict[Any, Profile], Pairs, Pairs]:
    """A fleet's profiles, the messages of its first round, and those of the others, a hundred telegrams each."""
    fleet, start = Fleet.make(meters), (int(time.time()) - 86_400) * 1_000_000
    made = [(one.topic, one.payload) for one in fleet.messages(EACH * meters, start, HOUR, form=FORMATS["native"])]
    share = len(made) // EACH
    return {place.meter.device: Profile(place.meter.key, mode=5) for place in fleet.places}, made[:share], made[share:]


def decoded(drain: Drain, telegrams: int) -> None:
    """Drain until so many telegrams are decoded; none may be anything else."""
    done = 0
    while done < telegrams:
        step = drain.step()
        assert step.results.keys() <= {"decoded"}, step.results
        done += step.results.get("decoded", 0)
        if not step.messages:
            time.sleep(0.02)


def chain(broker: Broker, folder: Path, profiles: dict[Any, Profile], first: Pairs, messages: Pairs) -> None:
    telegrams = (EACH - 1) * len(profiles)
    remember(broker.port, "chain")
    broker.publish(*messages)
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        ready = manager.Event()
        central = pool.apply_async(core, (folder, profiles, first, telegrams, ready))
        while not ready.wait(0.1):
            if central.ready():
                central.get()  # raises what went wrong there
        start = time.perf_counter()
        collector = pool.apply_async(kept, (broker.port, "chain", folder / "inbox.sqlite", len(messages)))
        receiving = collector.get()
        cold, draining_s, stages = central.get()
        elapsed = time.perf_counter() - start
    per = 1e6 / telegrams
    parts = {"receive and commit": receiving, **{name: stages[name] for name in ("split", "decode", "dedup and guard", "store")}}
    out(f"chain: {len(profiles):,} meters, {telegrams:,} telegrams in {elapsed:.1f} s: {telegrams / elapsed:,.0f} telegrams/s on two processes")
    out(
        f"chain: {(receiving + draining_s) * per:.1f} µs of CPU a telegram: {', '.join(f'{name} {spent * per:.1f}' for name, spent in parts.items())}"
    )
    out(f"chain: the first telegram of a meter: {cold / len(profiles) * 1e6:.0f} µs in the core")


def main(meters: str = "10000") -> None:
    """Print both tables."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("mosquitto is not installed")
    profiles, first, messages = prepared(int(meters))
    start = (int(time.time()) - 86_400) * 1_000_000
    single = [(one.topic, one.payload) for one in Fleet.make(int(meters)).messages(500, start, HOUR, form=FORMATS["native"], batch=1)]
    out(f"load {', '.join(f'{one:.1f}' for one in os.getloadavg())}; {os.cpu_count()} processors")
    with TemporaryDirectory() as place, Broker(program, Path(place) / "broker") as broker:
        transport(broker, Path(place), {1: single, 100: first})
        chain(broker, Path(place), profiles, first, messages)


if __name__ == "__main__":
    main(*sys.argv[1:])
