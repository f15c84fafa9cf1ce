"""Rollups whose kernel works elsewhere, by bucket: what they leave behind is what a run here leaves (tests/aggregate/test_spark.py: on a real cluster).

`SUBMETER_FUZZ` says how many histories are tried (default 6).
"""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from elsewhere import Here, left_behind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import BASE, POINTS, Stores, units
from test_incremental import History, operations

from submeter import civil
from submeter.aggregate.errors import EngineError
from submeter.aggregate.retain import Limits
from submeter.reading import MESSAGE_BITS, Source

HISTORIES = int(os.environ.get("SUBMETER_FUZZ", "6"))
DAYS = 40
NOW = BASE + 70 * civil.DAY


def hours(count, first=0):
    """Hourly readings of a rising index."""
    return [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in range(first, first + count)]


@pytest.fixture
def stores(tmp_path):
    """Stores with readings of all points; nothing is computed yet."""
    opened = Stores(tmp_path)
    for name in POINTS:
        opened.store(name, 0, hours(24 * DAYS))
    yield opened
    opened.close()


@pytest.fixture
def here(stores, tmp_path):
    """An engine over them that computes in this process."""
    return Here(stores, tmp_path / "spark")


@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(st.tuples(operations, st.booleans()), min_size=2, max_size=10))
def test_any_history_leaves_behind_what_runs_here_leave(steps):
    """Whichever runs work elsewhere: rows, history, days, corrections, blocks, heads and events are those of runs here."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("here", "there")]
        for place in places:
            place.mkdir()
        ours, theirs = (History(place) for place in places)
        elsewhere = Here(theirs.stores, Path(folder) / "spark")
        for (operation, *arguments), away in steps:
            for history in (ours, theirs):
                getattr(history, operation)(*arguments)
            ours.stores.run(ours.now)
            theirs.stores.run(theirs.now, engine=elsewhere.engine if away else None)
            theirs.stores.stands(theirs.now)
            expected, found = (left_behind(one.stores, place) for one, place in zip((ours, theirs), places, strict=True))
            assert found == expected
        for history in (ours, theirs):
            history.stores.close()


def test_what_is_told_beside_rows_is_told_from_elsewhere_too(tmp_path):
    """A last reading that is no value is heard all the same; a late one that changes final rows names its message in history."""
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        stores = Stores(tmp_path / name, ("plain",))
        engine = Here(stores, tmp_path / "spark").engine if name == "there" else None
        stores.store("plain", 0, [*hours(24 * DAYS), (BASE + 24 * DAYS * civil.HOUR, None, False, 0)])
        stores.run(NOW, engine=engine)
        stores.seq = 7 << MESSAGE_BITS
        stores.store("plain", 0, [(BASE + 100 * civil.HOUR, units(501.005), False, 0)], source=Source.CORRECTION)
        stores.run(NOW, engine=engine)
        stores.stands(NOW)
        found.append(left_behind(stores, tmp_path / name))
        stores.close()
    assert found[0] == found[1]
    assert {row["caused_by"] for row in found[1]["history"]} == {"message 7"}
    assert found[1]["published series"][0][-1] > found[1]["published series"][0][-3]


def test_what_retention_deleted_stays_deleted(stores, here):
    """A series whose older readings are gone is computed from its floor on, also elsewhere."""
    stores.store("plain", 0, hours(24 * 100, first=24 * DAYS))
    stores.run(BASE + 140 * civil.DAY)
    assert stores.rollups.retain(Limits(readings=40, hour=40), now=BASE + 140 * civil.DAY).readings
    (number,) = [number for number, one in stores.series().items() if one.point.id == "plain"]
    before = [stores.readings.rollups([number], level, -(2**62), 2**62).to_pylist() for level in range(4)]
    stores.run(BASE + 140 * civil.DAY, everything=True, engine=here.engine)
    assert [stores.readings.rollups([number], level, -(2**62), 2**62).to_pylist() for level in range(4)] == before


def test_what_did_not_change_is_not_computed_again(stores, here):
    """A bucket is computed when its readings or series change, and when everything is asked for; what it was before is deleted."""
    stores.run(NOW, engine=here.engine)
    assert len(here.computed) == len(POINTS)
    assert stores.run(NOW, engine=here.engine).series == 0
    stores.store("plain", 0, [(t + 1, value, due, status) for t, value, due, status in hours(24)])
    stores.assign("rated", 0, 0, BASE + 20 * civil.DAY)
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)
    assert len(here.computed) == len(POINTS) + 2
    outputs = sorted(path.name for path in here.folder.glob("rows/*"))
    assert len(outputs) == len(POINTS)
    assert set(here.computed[-2:]) < set(outputs)
    stores.run(NOW, engine=here.engine, everything=True)
    assert sorted(here.computed[-len(POINTS) :]) == outputs
    stores.stands(NOW)


def test_an_exchange_between_registers_of_all_buckets_is_computed_in_one(stores, here):
    """Both devices of a point count, wherever else their registers count too."""
    stores.store("plain", 1, [(t, value - units(500), due, status) for t, value, due, status in hours(24 * DAYS)])
    stores.assign("plain", 0, 0, BASE + 20 * civil.DAY, None, units(504.8))
    stores.assign("plain", 1, BASE + 20 * civil.DAY, None, units(4.8))
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)


def test_a_run_that_was_stopped_goes_on(stores, here):
    """What was computed before a failure is not computed again, and nothing of it was stored or published."""
    here.failing = 2
    with pytest.raises(EngineError, match="stopped"):
        stores.run(NOW, engine=here.engine)
    assert not stores.published.series()
    here.failing = None
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)
    assert len(here.computed) == len(POINTS)


def test_half_an_output_is_never_seen(stores, here, monkeypatch):
    """A computation that ends while it writes leaves nothing under the output's name, and what it left goes with the next run."""
    whole = pq.write_table

    def cut(table, file, **options):
        whole(table, file, **options)
        if file.name == "days.parquet":
            file.write_bytes(file.read_bytes()[:-100])
            raise OSError("no space left on device")

    monkeypatch.setattr(pq, "write_table", cut)
    with pytest.raises(OSError, match="no space"):
        stores.run(NOW, engine=here.engine)
    assert [path.name[0] for path in here.folder.glob("rows/*")] == ["."]
    monkeypatch.setattr(pq, "write_table", whole)
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)
    assert not list(here.folder.glob("*/.*"))


def test_of_two_attempts_the_first_counts(stores, here):
    """A computation that ends after another of the same bucket leaves the first output as it is."""
    here.twice = True
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)
    assert len(list(here.folder.glob("rows/*"))) == len(POINTS)


def test_a_damaged_output_is_not_taken(stores, here):
    """Rows whose file was changed are refused with the folder to take away; after that they are computed again."""
    here.after = lambda one: _damage(one.output / "rows.parquet")
    with pytest.raises(EngineError, match="take it away") as caught:
        stores.run(NOW, engine=here.engine)
    assert str(here.folder / "rows") in str(caught.value)
    here.after = lambda one: None
    for path in here.folder.glob("rows/*"):
        shutil.rmtree(path)
    stores.run(NOW, engine=here.engine)
    stores.stands(NOW)


def test_a_folder_that_workers_do_not_share_is_named(stores, here):
    """Where outputs do not come to where they are awaited, the error says what to share."""
    here.after = lambda one: shutil.rmtree(one.output)
    with pytest.raises(EngineError, match="--shared"):
        stores.run(NOW, engine=here.engine)


def test_a_worker_of_another_release_refuses(stores, here):
    """Rules and form of the files are the same on all machines, or nothing is computed."""
    here.before = lambda one: replace(one, release="0.0")
    with pytest.raises(EngineError, match="install the same submeter"):
        stores.run(NOW, engine=here.engine)


def test_files_are_their_owners_alone(stores, here):
    """Readings and rows tell how people live: nobody else may read them."""
    before = os.umask(0o022)
    try:
        stores.run(NOW, engine=here.engine)
    finally:
        os.umask(before)
    folders = [path for path in here.folder.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_only_own_names_are_deleted(stores, here):
    """What somebody else keeps in the same folder stays."""
    other = here.folder / "rows" / "mine"
    other.mkdir(parents=True)
    stores.run(NOW, engine=here.engine)
    stores.store("plain", 0, hours(24, first=24 * DAYS))
    stores.run(NOW, engine=here.engine)
    assert other.is_dir()


def _damage(file):
    """Change a byte in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
