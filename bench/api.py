"""`./run bench api [ROUNDS] [cost] [load] [logins] [engines]`: what a read costs, and what other work does to it (docs/scale.md). A server process, a client process, real files.

cost     processor time of the server for a monthly table of a flat (four counters; one year, three years) beside a fixed response of the same size behind the
         same authentication, by token and by session, in turns
load     requests a second, median and 99th percentile at 64 connections: alone, and while another process runs the rollup on the same files
logins   the same at 8 connections: alone, and while 50 people sign in at once, over and over (a password each, argon2id)
engines  the tables of `cost` from files and from the PostgreSQL database whose address is in BENCH_DATABASE (it must be empty), in turns
The client is a few lines over plain sockets that count bytes, so that it costs little of the two processors.
"""

import asyncio
import itertools
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, Response

from bench.decode import out
from bench.stores import House, opened
from submeter import civil
from submeter.api import SignIn, create_app
from submeter.api.access import Access, scoped
from submeter.api.flows import Tenant
from submeter.api.secrets import Secrets
from submeter.config.portals import load_portal
from submeter.reading import MICRO, Register
from submeter.service import settle
from submeter.store import POINT, Block, Published, PublishedSeries, Registry
from submeter.store.accounts import Account, Contact, Grant, Session
from submeter.store.moving import move
from submeter.store.published import MIGRATIONS as PUBLISHED
from submeter.store.registry_schema import MIGRATIONS as REGISTRY

HOST, ZONE, YEARS, FLATS = "inmes.localhost", "Europe/Prague", range(2022, 2026), 200
COUNTERS: Final = (
    ("cold", "cold_water", "volume", "m3"),
    ("hot", "hot_water", "volume", "m3"),
    ("heat", "heat", "energy", "kWh"),
    ("el", "energy", "energy", "kWh"),
)
NOW: Final = civil.instant("2026-01-15T12:00:00Z")
ONE = "units/u7/consumption?from=2025-01-01&to=2026-01-01&resolution=P1M"
THREE = "units/u7/consumption?from=2023-01-01&to=2026-01-01&resolution=P1M"
PASSWORD: Final = "a long enough password"
PEOPLE, READERS, MANY, SOME = 50, 8, 64, 400
STORES: Final = {"registry": REGISTRY, "published": PUBLISHED}
#: Series beside those of the flats, whose rollup runs meanwhile.
METERS, HOURS, NUMBER = 200, 60 * 24, 100_000


def main(rounds: str = "5", *parts: str) -> None:
    """Print the tables, or some of them."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "data"
        with process(fill, folder) as pipe:
            pipe.recv()
        out("filled")
        with process(serve, folder, "") as pipe:
            port, asking = pipe.recv(), [f"Authorization: Bearer {(folder / 'token').read_text()}", "Cookie: __Host-session=secret7"]
            for part in parts or ("cost", "load", "logins"):
                PARTS[part](folder, port, asking, int(rounds))


def cost(_: Path, port: int, asking: Sequence[str], rounds: int) -> None:
    """What tables cost, by token and by session."""
    for name, path in (("one year", ONE), ("three years", THREE)):
        for head in asking:
            beside_fixed(port, path, head, name, rounds)


def beside_fixed(port: int, path: str, head: str, name: str, rounds: int) -> None:
    """Processor time of the server for a table and for a fixed response, in turns; the middle round is told."""
    size = len(asked(port, path, head))
    paths = path, f"bench/fixed?size={size}"
    used: dict[str, list[float]] = {one: [] for one in paths}
    for _ in range(rounds + 1):
        for one in paths:
            before = float(asked(port, "bench/cpu", head))
            clients(port, one, head, connections=4, requests=SOME)
            used[one].append((float(asked(port, "bench/cpu", head)) - before) * 1e6 / SOME)
    table, fixed = (median(used[one][1:]) for one in paths)
    ratio = median(a / b for a, b in zip(*(used[one][1:] for one in paths), strict=True))
    out(f"cost    {name:12} {head.split(':', maxsplit=1)[0]:14} {size:6,} bytes: {table:5.0f} µs, fixed {fixed:5.0f} µs: {ratio:.2f} x")


def load(folder: Path, port: int, asking: Sequence[str], rounds: int) -> None:
    """64 connections alone and beside a rollup."""
    for name in ("alone", "beside a rollup") * rounds:
        if name == "alone":
            tell("load", name, clients(port, ONE, asking[1], connections=MANY, seconds=3))
        else:
            with process(rolling, folder) as pipe:
                pipe.recv()
                tell("load", name, clients(port, ONE, asking[1], connections=MANY, seconds=3))


def logins(_: Path, port: int, asking: Sequence[str], rounds: int) -> None:
    """Readers alone and beside people who sign in; the first round warms up."""
    head = asking[1]
    ratios = []
    for _ in range(rounds + 1):
        alone = tell("logins", "alone", clients(port, ONE, head, connections=READERS, seconds=4, rate=20))
        with process(signing, port, start="fork") as pipe:
            pipe.recv()
            beside = tell("logins", f"beside {PEOPLE} sign-ins", clients(port, ONE, head, connections=READERS, seconds=4, rate=20))
            pipe.send("stop")
            count, seconds = pipe.recv()
        out(f"logins  {count} sign-ins in {seconds:.1f} s: {count / seconds:.0f} a second; p99 of reads {beside / alone:.2f} x")
        ratios.append(beside / alone)
    out(f"logins  the middle of {rounds}: p99 of reads {median(ratios[1:]):.2f} x")


def engines(folder: Path, port: int, asking: Sequence[str], rounds: int) -> None:
    """The same tables from files and from a database that the same rows were moved into, in turns."""
    server = os.environ["BENCH_DATABASE"]
    begun = time.perf_counter()
    moved = [line for name, schema in STORES.items() for line in move(folder / f"{name}.sqlite", server, schema)]
    out(
        f"engines moved in {time.perf_counter() - begun:.1f} s: {'; '.join(line.partition(',')[0] for line in moved if 'blocks' in line or 'grants' in line)}"
    )
    with process(serve, folder, server) as pipe:
        ports = {"files": port, "PostgreSQL": pipe.recv()}
        for path in (ONE, THREE):
            if asked(ports["files"], path, asking[0]) != asked(ports["PostgreSQL"], path, asking[0]):
                raise RuntimeError("the answers differ")
        for (name, path), head in itertools.product((("one year", ONE), ("three years", THREE)), asking):
            used: dict[str, list[float]] = {one: [] for one in ports}
            times: dict[str, list[float]] = {one: [] for one in ports}
            for _, (one, at) in itertools.product(range(rounds + 1), ports.items()):
                before = float(asked(at, "bench/cpu", head))
                times[one].append(clients(at, path, head, connections=4, requests=SOME)[-1] * 1e6 / SOME)
                used[one].append((float(asked(at, "bench/cpu", head)) - before) * 1e6 / SOME)
            told = "; ".join(f"{one} {median(used[one][1:]):5.0f} µs, {median(times[one][1:]):5.0f} µs of the clock" for one in ports)
            ratios = [median(a / b for a, b in zip(of["PostgreSQL"][1:], of["files"][1:], strict=True)) for of in (used, times)]
            out(f"engines {name:12} {head.split(':', maxsplit=1)[0]:14} {told}: {ratios[0]:.2f} x, {ratios[1]:.2f} x")


PARTS: Final = {"cost": cost, "load": load, "logins": logins, "engines": engines}


def tell(what: str, name: str, times: Sequence[float]) -> float:
    """Print a line of latencies (seconds), the last of them how long all took; returns the 99th percentile."""
    *found, seconds = times
    cuts = quantiles(found, n=100)
    out(f"{what:7} {name:20} {len(found) / seconds:6.0f} requests/s, p50 {cuts[49] * 1e3:6.1f} ms, p99 {cuts[98] * 1e3:6.1f} ms")
    return cuts[98]


# The server's side


def fill(folder: Path, pipe: Connection) -> None:
    """A house of flats with holders and monthly rows of four years, and meters whose rollup takes a while."""
    with House(folder, METERS, ZONE) as house:
        house.fill(civil.instant("2025-11-01T00:00:00Z"), HOURS)
        secrets = Secrets.of(folder / "portal.key")
        hashed, points = secrets.hash(PASSWORD), [(f"u{flat}-{name}", f"u{flat}", *rest) for flat in range(FLATS) for name, *rest in COUNTERS]
        with house.registry.writing() as db:
            db.executemany(
                "INSERT INTO units (id, property, label, entrance) VALUES (?, 'b', ?, '')", [(f"u{flat}", f"Flat {flat}") for flat in range(FLATS)]
            )
            db.executemany("INSERT INTO occupancies (unit, since, name) VALUES (?, 0, 'Holder')", [(f"u{flat}",) for flat in range(FLATS)])
            db.executemany("INSERT INTO points VALUES (?, 'b', ?, ?, '', ?, '{}')", [one[:4] for one in points])
            for flat in range(FLATS):
                account, accounts = f"a{flat}", house.registry.accounts
                accounts.add(Account(account, "inmes", None, "Holder", "cs", hashed, 0, 0, None))
                accounts.add_contact(Contact(f"c{flat}", account, "email", f"{account}@example.org", "auth", 1), "inmes")
                accounts.add_grant(Grant(f"g{flat}", account, "c", f"u{flat}", 0, "resident", 0, None, "bench", None, 0, None))
                accounts.open_session(
                    Session(f"s{flat}", "inmes", "c", account, "account", {}, 0, NOW, 2 * NOW, 2 * NOW, 0, "", None), f"secret{flat}"
                )
        publish(house.published, [(number, *one) for number, one in enumerate(points, NUMBER)])
        (folder / "token").write_text(house.registry.create_token("c"))
    pipe.send("filled")


def publish(published: Published, points: Sequence[tuple[Any, ...]]) -> None:
    """Months of four years of each point."""
    series, blocks, random = [], [], np.random.default_rng(1)
    for number, point, _, _, name, unit in points:
        series.append(PublishedSeries(number, point, Register(name, unit), "total", ZONE, NOW, 1, NOW))
        for year in YEARS:
            edges = civil.boundaries(ZONE, "month", civil.instant(f"{year}-01-15T00:00:00Z"), civil.instant(f"{year}-12-15T00:00:00Z"))
            rows = np.zeros(len(edges) - 1, POINT)
            value = random.integers(1, 30 * MICRO, len(rows)) // 1000 * 1000
            rows["start"], rows["end"], rows["coverage"], rows["rev"], rows["state"] = edges[:-1], edges[1:], 10_000, 1, 2
            rows["value"], rows["lo"], rows["hi"] = value, value - 2000, value + 2000
            blocks.append(Block(number, 2, str(year), rows))
    published.replace(series, blocks)


def serve(folder: Path, server: str, pipe: Connection) -> None:
    """The application as `submeter run --only api` serves it, with two routes of the benchmark."""
    registry, published = Registry(folder / "registry.sqlite", server=server), Published(folder / "published.sqlite", server=server)
    portals = SignIn(Secrets.of(folder / "portal.key"), [Tenant(load_portal("inmes"), "c", HOST)])
    app = create_app(registry, published, "bench", portals=portals, clock=lambda: NOW / civil.SECOND)
    measured(app)
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    settle()
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")).run([listener])


def measured(app: FastAPI) -> None:
    """A fixed response as long as asked for, behind the same authentication; and the processor time used so far, seconds."""
    fixed: dict[int, bytes] = {}

    @app.get("/v1/bench/fixed")
    async def _fixed(size: int, _: Annotated[Access, scoped("consumption:read")]) -> Response:
        return Response(fixed.setdefault(size, b"x" * size), media_type="application/json")

    @app.get("/v1/bench/cpu")
    async def _cpu() -> Response:
        return Response(str(time.process_time()))


def rolling(folder: Path, pipe: Connection) -> None:
    """The rollup of all meters, over and over, until the process is ended."""
    *_, rollups = opened(folder)
    pipe.send("begun")
    while True:
        rollups.run(now=NOW, everything=True)


# The client's side


def asked(port: int, path: str, head: str) -> bytes:
    """The body of one answer."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(request(path, head, close=True))
        answer = b"".join(iter(lambda: one.recv(65536), b""))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:300].decode())
    return answer.partition(b"\r\n\r\n")[2]


def request(path: str, head: str, *, close: bool = False, body: str | None = None) -> bytes:
    """A request as bytes."""
    lines = [f"{'GET' if body is None else 'POST'} /v1/{path} HTTP/1.1", f"Host: {HOST}", head, f"Connection: {'close' if close else 'keep-alive'}"]
    if body is not None:
        lines += [f"Origin: https://{HOST}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(line for line in lines if line) + "\r\n\r\n" + (body or "")).encode()


def clients(port: int, path: str, head: str, **how: Any) -> list[float]:
    """Latencies of requests over some connections, from a process of its own, and at the end how long all took."""
    with process(reading, port, path, head, how, start="fork") as pipe:
        found: list[float] = pipe.recv()
        return found


def reading(port: int, path: str, head: str, how: dict[str, Any], pipe: Connection) -> None:
    """Ask over keep-alive connections: so many `requests` in all, or for some `seconds`; at a `rate` a second of each connection, else at once."""
    pipe.send(asyncio.run(_reading(port, request(path, head), **how)))


async def _reading(port: int, sent: bytes, connections: int, requests: int = 0, seconds: float = 0, rate: float = 0) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if rate:
            await asyncio.sleep(number / connections / rate)
        while len(times) < requests if requests else time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            times.append(time.perf_counter() - start)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            if rate:
                await asyncio.sleep(max(1 / rate - times[-1], 0))
        writer.close()

    await asyncio.gather(*map(one, range(connections)))
    return [*times, time.perf_counter() - begun]


def signing(port: int, pipe: Connection) -> None:
    """Fifty people sign in at once, again and again: first page, then name and password, which is where the code is sent."""
    pipe.send("begun")
    pipe.send(asyncio.run(_signing(port, pipe)))


async def _signing(port: int, pipe: Connection) -> tuple[int, float]:
    count, begun = 0, time.perf_counter()

    async def post(path: str, head: str, body: dict[str, str]) -> tuple[bytes, dict[str, Any]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(path, head, close=True, body=json.dumps(body)))
        answer = await reader.read()
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:500].decode())
        top, _, rest = answer.partition(b"\r\n\r\n")
        return top, json.loads(rest)

    async def one(number: int) -> None:
        nonlocal count
        while not pipe.poll():
            top, flow = await post("flows/login", "", {})
            cookie = top.partition(b"__Host-flow=")[2].partition(b";")[0].decode()
            await post(f"flows/{flow['id']}", f"Cookie: __Host-flow={cookie}", {"name": f"a{number}@example.org", "password": PASSWORD})
            count += 1

    await asyncio.gather(*map(one, range(PEOPLE)))
    return count, time.perf_counter() - begun


@contextmanager
def process(work: Any, *arguments: Any, start: Literal["fork", "spawn"] = "spawn") -> Iterator[Connection]:
    """Work in a process of its own, which ends with the block; clients are forked, which costs them no start."""
    here, there = get_context(start).Pipe()
    child = get_context(start).Process(target=work, args=(*arguments, there), daemon=True)
    child.start()
    there.close()
    try:
        yield here
    finally:
        child.terminate()
        child.join()


if __name__ == "__main__":
    out(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    main(*sys.argv[1:])
