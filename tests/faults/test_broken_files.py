"""Faults 11 to 14 and the power-cut model (G6): files that were torn, zeroed, overwritten or flipped, each on copies of one killed installation.

`SUBMETER_CUTS=500` makes as many cuts as a release wants; without it a few of each kind.
"""

import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from installation import ROOT, Installation

from submeter import civil
from submeter.config import load
from submeter.doctor import examine
from submeter.reading import LEVELS, MESSAGE_BITS
from submeter.store import Readings, pack

CUTS = int(os.environ.get("SUBMETER_CUTS", "12"))
START = civil.instant("2026-03-01T00:00:00Z")
MESSAGES = 40
#: Receives a message a transaction, decodes it, computes now and then, and dies without closing anything; the last message is never acknowledged.
KILLED = """
    import os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from submeter.config import load
    from submeter.core import Core
    from submeter.store import Message
    from submeter.store.inbox import REPLAY

    core = Core(load(Path(sys.argv[1])))
    lines = [line.split() for line in sys.stdin]
    for number, (t, raw) in enumerate(lines):
        if number == len(lines) - 1:
            acknowledged = Path(sys.argv[1]).parent.joinpath("data", "inbox.sqlite-wal").stat().st_size
        core.inbox.append([Message("test", raw.encode(), int(t), gateway="g", flags=REPLAY)])
        if number < len(lines) - 1:
            core.drain_all()
        if number % 15 == 14:
            core.rollup()
    print(acknowledged, flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """An installation whose core died with all its logs open; `acknowledged` is how far the inbox's log was synced."""
    here = Installation(tmp_path_factory.mktemp("killed") / "here")
    place = here.building.places[0]
    lines = [f"{t} {place.meter.telegram(t).hex()}" for t in (START + number * civil.HOUR for number in range(MESSAGES))]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), here.file, ROOT / "tests"]
    done = subprocess.run(command, cwd=ROOT, input="\n".join(lines), capture_output=True, text=True, check=True)
    here.acknowledged = int(done.stdout.splitlines()[-1])
    assert (here.folder / "data" / "readings.duckdb.wal").stat().st_size > 10_000
    return here


class Copy:
    """A copy of an installation's files, to be damaged."""

    def __init__(self, here, folder):
        self.here, self.folder = here, folder
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(here.folder, folder)
        (folder / "data" / "control.sock").unlink(missing_ok=True)
        self.log = folder / "data" / "readings.duckdb.wal"

    def core(self):
        """The stores of the copy, opened."""
        twin = Installation.__new__(Installation)
        twin.file = self.folder / "pipeline.toml"
        return twin.core()


def damage(file: Path, chance: random.Random, first: int) -> str:
    """Cut a file behind a random offset, or leave its length and have zeros or rubbish there; says what was done."""
    raw, kind = file.read_bytes(), chance.choice(("cut", "zeros", "rubbish"))
    at = chance.randint(min(first, len(raw)), len(raw))
    longer = len(raw) - at + chance.choice((0, 0, 512, 4096))
    file.write_bytes(raw[:at] + {"cut": b"", "zeros": bytes(longer), "rubbish": chance.randbytes(longer)}[kind])
    return f"{file.name}: {kind} from {at} of {len(raw)}"


def messages_of(readings):
    """Which messages gave readings, once each."""
    numbers = list(readings.registers().values())
    return sorted({seq >> MESSAGE_BITS for seq in readings.readings_of(numbers)["seq"].to_pylist()}), readings.readings_of(numbers).num_rows


def all_there(core):
    """Every acknowledged message gave its readings once; rows equal a recompute, and what is published equals the rows."""
    core.drain_all()
    core.rollup()
    assert core.lacking is None
    assert core.rollup(everything=True).rows == 0
    for series in sorted(core.readings.series().values()):
        for level in range(len(LEVELS)):
            computed = pack(core.readings.rollups([series], level, -(2**62), 2**62))
            assert core.published.read(series, level, "", "~").tobytes() == computed.tobytes()
    return core.readings.counts()["readings"]


def test_fault_11_a_torn_log_opens_to_whole_transactions(killed, tmp_path):
    """Cut at any offset, the readings' file opens to the messages up to its watermark, whole, and to no part of another."""
    size, chance = Copy(killed, tmp_path / "copy").log.stat().st_size, random.Random(11)
    seen = set()
    for offset in sorted({0, 1, size - 1, size, *(chance.randint(2, size - 2) for _ in range(CUTS))}):
        copy = Copy(killed, tmp_path / "copy")
        os.truncate(copy.log, offset)
        with Readings(copy.folder / "data" / "readings.duckdb") as readings:
            watermark, (messages, _) = readings.watermark(), messages_of(readings)
            seen.add(watermark)
            assert len(messages) == watermark, offset
    assert max(seen) == MESSAGES - 1
    assert len(seen) > 3


def test_fault_12_a_power_cut_leaves_every_acknowledged_message(killed, tmp_path):
    """Whatever a power cut left of the logs, zeros and rubbish included, the core opens by itself and has all that was acknowledged, counted once."""
    with Copy(killed, tmp_path / "whole").core() as core:
        expected = all_there(core)
    chance, mended = random.Random(12), 0
    for _ in range(CUTS):
        copy, data = Copy(killed, tmp_path / "copy"), tmp_path / "copy" / "data"
        told = [damage(copy.log, chance, 0), damage(data / "inbox.sqlite-wal", chance, killed.acknowledged)]
        told += [damage(data / "published.sqlite-wal", chance, 0), damage(data / "registry.sqlite-wal", chance, 2**40)]
        with copy.core() as core:
            mended += core.readings.mended is not None
            lost = MESSAGES - core.inbox.received()
            assert lost in {0, 1}, told  # the one that nobody was told of
            assert all_there(core) in {expected, expected - expected // MESSAGES}, told
            assert core.readings.watermark() == MESSAGES - lost, told
    assert mended >= CUTS // 4


def test_fault_12_a_flipped_bit_in_the_log_loses_nothing(killed, tmp_path):
    """A log with a flipped bit is refused, or opens short; either way what it lacks comes again from the inbox, and it is told."""
    with Copy(killed, tmp_path / "whole").core() as core:
        expected = all_there(core)
    chance = random.Random(13)
    for _ in range(CUTS // 3):
        copy = Copy(killed, tmp_path / "copy")
        raw = bytearray(copy.log.read_bytes())
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        copy.log.write_bytes(raw)
        with copy.core() as core:
            assert core.levelled
            assert all_there(core) == expected


def test_fault_12_what_is_mended_is_kept_and_told(killed, tmp_path, capfd):
    """The log and the file are kept as they were found, and the log of the service says how much of them stays."""
    copy = Copy(killed, tmp_path / "copy")
    raw = copy.log.read_bytes()
    broken = raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2)
    copy.log.write_bytes(broken)
    file = (tmp_path / "copy" / "data" / "readings.duckdb").read_bytes()
    with copy.core() as core:
        (kept,) = (tmp_path / "copy" / "data" / "damaged").iterdir()
        assert str(kept) in core.readings.mended
    assert (kept / "readings.duckdb.wal").read_bytes() == broken
    assert (kept / "readings.duckdb").read_bytes() == file
    assert "did not open" in "".join(capfd.readouterr())


def flipped(file, offset):
    """Flip a bit of a file."""
    raw = bytearray(file.read_bytes())
    raw[offset] ^= 1
    file.write_bytes(raw)


def test_fault_13_a_flipped_bit_in_the_file_is_found_and_made_good(killed, tmp_path):
    """Wherever a bit flips in readings.duckdb: it changes nothing, or the doctor finds it and all readings are there again, or it names the way; never silent."""
    with Copy(killed, tmp_path / "whole").core() as core:
        expected, rows = all_there(core), every_row(core)
    whole, chance, outcomes = tmp_path / "whole", random.Random(13), set()
    for _ in range(max(CUTS // 2, 12)):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "copy")
        file = tmp_path / "copy" / "data" / "readings.duckdb"
        offset = chance.randrange(file.stat().st_size)
        flipped(file, offset)
        findings = list(examine(load(tmp_path / "copy" / "pipeline.toml")))
        left, mended = ([one.text for one in findings if one.state == state] for state in ("left", "mended"))
        outcomes.add("left" if left else "mended" if mended else "harmless")
        if left:
            assert any("submeter rebuild" in line for line in left), (offset, left)
            continue
        with Copy.core(SimpleNamespace(folder=tmp_path / "copy")) as core:
            assert all_there(core) == expected, (offset, mended)
            assert every_row(core) == rows, (offset, mended)
    assert "mended" in outcomes


def every_row(core):
    """All rows of all series, packed, without their revisions."""
    series = sorted(core.readings.series().values())
    found = [pack(core.readings.rollups([one], level, -(2**62), 2**62)) for one in series for level in range(len(LEVELS))]
    return [rows[[name for name in rows.dtype.names if name not in {"rev", "state"}]].tolist() for rows in found]


def test_fault_14_a_second_instance_is_refused_and_harms_nothing(killed, tmp_path):
    """While a core has the data folder another one ends with status 2 and the first one's process; the first goes on."""
    copy = Copy(killed, tmp_path / "copy")
    with copy.core() as core:
        for verb in (["run"], ["doctor"]):
            command = [sys.executable, "-m", "submeter", *verb, "--config", str(copy.folder / "pipeline.toml")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 2
            assert f"process {os.getpid()}" in done.stderr
        assert all_there(core)
