"""`./run bench decode`: submeter beside the public decoders, in one run, on one core; frames per second of CPU time.

mixed  pairwise different telegrams of the simulated kinds of meter: mode 0 (wired and by radio), mode 5 (short and long header), mode 7, extended link
       layer; lines of JSON in, lines of JSON out (submeter: named registers and flags; the others: their own JSON)
wired  the wired ones of them, for pymeterbus, which reads no others
fleet  one telegram each of 4,000 meters with their own keys; submeter from an Arrow table to Arrow tables, pymbusparser to JSON
real   published telegrams of about a hundred families of real meters, each as if nine meters had sent it (`bench.real`); lines to lines. The only set in
       which an answer may be an error: `numbers` are the telegrams of which a contender gave at least one. Left out where ../shared/corpus is missing
Each contender runs in a process of its own, `ROUNDS` times in turn; the median counts. `peak` is what the process grew by. Every contender must
give an answer for every telegram. The first line of a contender's run is not measured: caches are warm, and what filling them costs is told below.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from bench.real import CORPUS, clones
from submeter.cli.readings import answer_lines
from submeter.decoders import Profile
from submeter.decoders.fast import KEYS, LAYOUTS, Decoder, decode_batch
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.meters import Meter
from submeter.simulate.models import MODELS

NOON, MINUTE = 1_795_258_800_000_000, 60_000_000
ROUNDS = 5
COUNT, CHUNK = 4000, 2048
Sent = tuple[bytes, bytes | None, str]


def meters(count: int, *, radio_only: bool = False) -> list[Meter]:
    """Meters of all kinds in turn, each with its own id and key."""
    kinds = [kind for kind, model in MODELS.items() if not (radio_only and model.link == "wired")]
    return [Meter.make(kinds[number % len(kinds)], number, seed=7, zone="Europe/Prague") for number in range(count)]


def mixed(count: int = COUNT) -> list[Sent]:
    """As in the head of this file; three keyed meters in forty send in another way."""
    return [sent(meter, number) for number, meter in enumerate(meters(count))]


def sent(meter: Meter, number: int) -> Sent:
    t = NOON + number * MINUTE
    if meter.key is None:
        return meter.telegram(t), None, "mbus"
    records = b"".join(field.code(field.vib, field.value(meter.use, t) // field.step % 10_000) for field in meter.model.fields)
    data = encode.minute(meter._clock(t)) + records  # noqa: SLF001
    header, plain = encode.Header(access=number & 0xFF), encode.plain(data, encode.Header(access=number & 0xFF))
    ways: list[Callable[[], tuple[bytes, bytes | None]]] = [
        lambda: (encode.radio(meter.device, plain), None),
        lambda: (encode.radio(meter.device, encode.extended(plain, access=number & 0xFF)), None),
        lambda: (encode.radio(meter.device, encode.mode7(data, header, meter.key or b"", meter.device, counter=number)), meter.key),
    ]
    way = number // 7 % 40
    return (*ways[way](), "wmbus") if way < len(ways) else (meter.telegram(t), meter.key, "wmbus")


def lines(telegrams: Sequence[Sent]) -> list[bytes]:
    """Lines as `decode --jsonl` reads them."""
    return [
        json.dumps(
            {
                "id": number,
                "telegram_hex": raw.hex(),
                "key_hex": key.hex() if key else None,
                "link": link,
                "frame_format": "wired" if link == "mbus" else "noCRC",
            }
        ).encode()
        for number, (raw, key, link) in enumerate(telegrams)
    ]


Run = Callable[[], list[Any]]
#: Frames per CPU second warm, the same for the first run, MiB that the process grew by, and how many telegrams gave numbers.
Figures = tuple[float, float, float, int]


def submeter_lines(folder: Path) -> Run:
    read, decoder = (folder / "lines").read_bytes().split(b"\n"), Decoder()
    return lambda: [line for at in range(0, len(read), CHUNK) for line in answer_lines(decoder, read[at : at + CHUNK])]


def submeter_arrow(folder: Path) -> Run:
    keys = {DeviceId.parse(name): Profile(bytes.fromhex(key)) for name, key in json.loads((folder / "keys").read_text()).items()}
    with pa.OSFile(str(folder / "arrow")) as source:
        table = pa.ipc.open_file(source).read_all()

    def run() -> list[Any]:
        decoded = decode_batch(table, keys.get)
        assert decoded.telegrams["reason"].null_count == len(table)
        return list(range(len(table)))

    return run


def pymbusparser(folder: Path) -> Run:
    from pymbusparser import MbusParserError, render

    read = (folder / "lines").read_bytes().split(b"\n")

    def answer(line: bytes) -> str:
        row = json.loads(line)
        key = row["key_hex"]
        try:
            found = render(bytes.fromhex(row["telegram_hex"]), "json", key=bytes.fromhex(key) if key else None, include_enrichment=False)
        except MbusParserError as error:
            return f'{{"id":{row["id"]},"error":{json.dumps(str(error))}}}\n'
        return f'{{"id":{row["id"]},"frame":{found}}}\n'

    return lambda: [answer(line) for line in read]


def pymeterbus(folder: Path) -> Run:
    import meterbus

    read = (folder / "lines").read_bytes().split(b"\n")

    def answer(line: bytes) -> str:
        row = json.loads(line)
        return f'{{"id":{row["id"]},"frame":{meterbus.load(bytes.fromhex(row["telegram_hex"])).to_JSON()}}}\n'

    return lambda: [answer(line) for line in read]


def measure(contender: Callable[[Path], Run], folder: Path, wanted: int) -> Figures:
    """What a contender does, in the process that this runs in."""
    before = memory()
    run = contender(folder)
    times = []
    for _ in range(4):
        start = time.process_time()
        answers = run()
        times.append(time.process_time() - start)
        assert len(answers) == wanted
    return wanted / min(times[1:]), wanted / times[0], memory() - before, sum(map(has_numbers, answers))


def has_numbers(answer: Any) -> bool:
    """Whether an answer holds a number; the rows of a table are all checked by their contender."""
    if not isinstance(answer, str):
        return True
    row = json.loads(answer)
    records = row["readings"] if "readings" in row else row.get("frame", {}).get("records", ())
    return any(number(record.get("value")) for record in records)


def number(value: Any) -> bool:
    """A number in any decoder's JSON: itself, or as text of a decimal."""
    return isinstance(value, (int, float)) or (isinstance(value, dict) and value.get("kind") in {"decimal", "integer", "float", "real"})


def alone(work: Callable[..., Any], *arguments: object) -> Any:
    """What a function answers in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def memory() -> float:
    """The most that this process ever used, MiB; nought where the system does not tell."""
    told = Path("/proc/self/status")
    rows = told.read_text().splitlines() if told.exists() else []
    return next((int(row.split()[1]) / 1024 for row in rows if row.startswith("VmHWM")), 0.0)


SETS: dict[str, tuple[Callable[[Path], Run], ...]] = {
    "mixed": (submeter_lines, pymbusparser),
    "wired": (submeter_lines, pymbusparser, pymeterbus),
    "fleet": (submeter_arrow, submeter_lines, pymbusparser),
    "real": (submeter_lines, pymbusparser),
}


def write(folder: Path, count: int = COUNT) -> dict[str, int]:
    """The files of each set of simulated meters; returns how many telegrams each has."""
    fleet = meters(count, radio_only=True)
    telegrams = {"mixed": mixed(count), "fleet": [(one.telegram(NOON), one.key, "wmbus") for one in fleet]}
    telegrams["wired"] = [one for one in telegrams["mixed"] if one[2] == "mbus"]
    for name, rows in telegrams.items():
        assert len({raw for raw, _, _ in rows}) == len(rows), "pairwise different"
        (folder / name).mkdir()
        (folder / name / "lines").write_bytes(b"\n".join(lines(rows)))
    table = pa.table({"raw": [raw for raw, _, _ in telegrams["fleet"]], "form": ["nocrc"] * count})
    with pa.OSFile(str(folder / "fleet" / "arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    keys = {str(one.device): one.key.hex() for one in fleet if one.key}
    (folder / "fleet" / "keys").write_text(json.dumps(keys))
    return {name: len(rows) for name, rows in telegrams.items()}


def write_real(folder: Path) -> dict[str, int]:
    """The same for the set `real`; nothing where its telegrams are missing."""
    if not CORPUS.is_dir():
        out(f"real   left out: there is no {CORPUS}")
        return {}
    rows, how = clones()
    (folder / "real").mkdir()
    (folder / "real" / "lines").write_bytes(b"\n".join(json.dumps({**row, "id": number}).encode() for number, row in enumerate(rows)))
    out("real   " + ", ".join(f"{count} {what}" for what, count in how.items()))
    return {"real": len(rows)}


def main(*chosen: str) -> None:
    """Print the table of the chosen sets, or of all."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        sizes = write(folder) | write_real(folder)
        found = contest(folder, {name: size for name, size in sizes.items() if not chosen or name in chosen})
    out(f"{'set':6} {'telegrams':>9}  {'decoder':15} {'frames/s':>9} {'first run':>9} {'x pymbusparser':>14} {'peak MiB':>8} {'numbers':>7}")
    for (name, contender), (warm, cold, peak, numbers) in found.items():
        ratio = warm / found[name, "pymbusparser"][0]
        out(f"{name:6} {sizes[name]:9}  {contender:15} {warm:9.0f} {cold:9.0f} {ratio:14.2f} {peak:8.1f} {numbers:7.0f}")
    out(f"bounds: {LAYOUTS} layouts, {2 * KEYS} keys; a layout costs {1000 * compile_cost():.2f} ms, once")


def contest(folder: Path, sizes: dict[str, int], rounds: int = ROUNDS, away: Callable[..., Any] = alone) -> dict[tuple[str, str], Figures]:
    """The middle of all rounds by set and contender, each run `away`: in a process of its own."""
    found: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(rounds):
        for name, size in sizes.items():
            for contender in SETS[name]:
                found.setdefault((name, contender.__name__), []).append(away(measure, contender, folder / name, size))
    return {key: (*map(median, zip(*results, strict=True)),) for key, results in found.items()}  # type: ignore[misc]


def compile_cost() -> float:
    """Seconds of CPU that the layouts of all simulated kinds cost, each."""
    rows = lines(mixed()[:280])
    answer_lines(Decoder(), rows)
    times = {}
    for warm in (False, True):
        decoder = Decoder()
        if warm:
            answer_lines(decoder, rows)
        start = time.process_time()
        answer_lines(decoder, rows)
        times[warm] = time.process_time() - start
    return (times[False] - times[True]) / decoder.layouts


def out(text: Any) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
