import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pyarrow as pa
import pytest

from submeter.reading import Register
from submeter.store import NULL, POINT, ROLLUP, Block, Correction, Cut, Parts, Published, PublishedSeries, StoreError, pack
from submeter.store.published import MIGRATIONS
from submeter.store.sql import open_sql

pytestmark = pytest.mark.both_engines

VOLUME = Register("volume", "m3")
DAY = 2


@pytest.fixture
def published(tmp_path):
    """An empty published file."""
    with Published(tmp_path / "published.sqlite") as opened:
        yield opened


def points(*starts, value=1):
    """Rows that begin at these instants."""
    array = np.zeros(len(starts), POINT)
    array["start"], array["value"] = starts, value
    return array


def test_blocks_are_read_in_order_of_their_labels(published):
    """Reading a range of labels joins the blocks in order of time, both ends included."""
    published.replace([], [Block(1, DAY, label, points(start)) for label, start in (("2024-03", 3), ("2024-01", 1), ("2023-12", 0), ("2024-02", 2))])
    assert published.read(1, DAY, "2023-12", "2024-02")["start"].tolist() == [0, 1, 2]
    assert published.read(1, DAY, "2024-02", "2024-02")["start"].tolist() == [2]


def test_several_series_are_read_at_once(published):
    """Each with its own rows in order, one without any as well, in whatever order they are named; of nobody nothing is read."""
    blocks = [
        Block(number, DAY, label, points(10 * number + start))
        for label, start in (("2024-02", 2), ("2024-01", 1), ("2024-03", 3))
        for number in (1, 2)
    ]
    published.replace([], blocks)
    found = published.read_all([2, 3, 1, 2], DAY, "2024-01", "2024-02")
    assert {series: rows["start"].tolist() for series, rows in found.items()} == {2: [21, 22], 3: [], 1: [11, 12]}
    assert published.read_all([], DAY, "2024-01", "2024-02") == {}


def test_nothing_published_is_an_empty_array(published):
    """A series, level or range without blocks gives no rows."""
    published.replace([], [Block(1, DAY, "2024-01", points(1))])
    for read in (
        published.read(2, DAY, "2024-01", "2024-12"),
        published.read(1, 1, "2024-01", "2024-12"),
        published.read(1, DAY, "2025-01", "2025-12"),
    ):
        assert read.dtype == POINT
        assert read.size == 0


def test_a_block_is_replaced_as_a_whole(published):
    """A block published again has the new rows only; one without rows is gone."""
    published.replace([], [Block(1, DAY, "2024-01", points(1, 2, 3)), Block(1, DAY, "2024-02", points(4))])
    published.replace([], [Block(1, DAY, "2024-01", points(1, value=7)), Block(1, DAY, "2024-02", points())])
    assert published.read(1, DAY, "2024-01", "2024-02").tolist() == points(1, value=7).tolist()


def test_series_of_points(published):
    """Series come back as published, those of other points do not, and publishing again replaces them."""
    one = PublishedSeries(1, "m_1", VOLUME, "total", "UTC", 10, 12_345, 20)
    other = PublishedSeries(2, "m_2", Register("energy", "kWh", 1, 2, 3), "total", "UTC")
    published.replace([one, other, PublishedSeries(3, "m_3", VOLUME, "total", "UTC")], [])
    found = published.series_of(["m_2", "m_1", "m_9"])
    assert [(series.id, series.register, series.last_t, series.last_value, series.last_heard) for series in found] == [
        (1, VOLUME, 10, 12_345, 20),
        (2, other.register, None, None, None),
    ]
    published.replace([PublishedSeries(1, "m_1", VOLUME, "total", "UTC", 11)], [])
    assert published.series_of(["m_1"])[0].last_t == 11
    assert published.series_of([]) == []
    assert published.corrections([], 0, 2**62) == []


def test_versions_rise_with_what_changed(published):
    """Each publication has the next version, and the series whose blocks or last values it touched carry it."""
    series = [PublishedSeries(number, "m_1", VOLUME, "total", "UTC") for number in (1, 2)]
    assert published.replace(series, []) == 1
    assert published.replace([], [Block(2, DAY, "2024-01", points(1))]) == 2
    assert [one.version for one in published.series_of(["m_1"])] == [1, 2]
    assert published.replace([], [Block(2, DAY, "2024-01", points())]) == 3
    assert [one.version for one in published.series_of(["m_1"])] == [1, 3]


def test_rollup_rows_are_packed_without_loss():
    """Every field of a row of the readings comes through, null as NULL, a null count as 0."""
    row = {"series": 1, "level": 0, "start": 1, "end": 2, "value": -(2**62), "lo": None, "hi": None, "n": None, "coverage": 10_000, "quality": 2}
    row |= {"flags": 2**32 - 1, "index_start": 5, "index_end": None, "state": 3}
    table = pa.Table.from_pylist([row, row | {"n": 7, "hi": 9}], schema=ROLLUP).append_column("rev", pa.array([1, 65_535], pa.int32()))
    first, second = pack(table)
    expected = {"start": 1, "end": 2, "value": -(2**62), "lo": NULL, "hi": NULL, "n": 0, "coverage": 10_000, "quality": 2, "flags": 2**32 - 1}
    expected |= {"index_start": 5, "index_end": NULL, "state": 3, "rev": 1}
    assert {name: first[name].item() for name in POINT.names} == expected
    assert (second["n"], second["hi"], second["rev"]) == (7, 9, 65_535)
    assert pack(table.slice(0, 0)).size == 0


def test_a_newer_file_is_refused(tmp_path, server):
    """A file of a newer release is refused by name."""
    known = len(MIGRATIONS)
    open_sql(tmp_path / "published.sqlite", [f"CREATE TABLE t{n} (x INTEGER);" for n in range(known + 1)], server=server).close()
    with pytest.raises(StoreError, match=rf"published.* has schema {known + 1}"):
        Published(tmp_path / "published.sqlite")


@pytest.mark.sqlite_alone("a server looks after its own files")
def test_a_damaged_file_is_an_error_with_its_name(published, tmp_path):
    """A file that is damaged under its reader is a StoreError, not a row."""
    published.replace([], [Block(1, DAY, "2024-01", points(*range(2000)))])
    published.close()
    file = tmp_path / "published.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"published\.sqlite"), Published(file) as damaged:
        damaged.read(1, DAY, "2024-01", "2024-01")


PUBLISHER = """
    import sys
    from pathlib import Path
    import numpy as np
    from submeter.reading import Register
    from submeter.store import POINT, Block, Published, PublishedSeries

    published = Published(Path(sys.argv[1]), server=sys.argv[2])
    print("ready", flush=True)
    while True:
        points = np.zeros(24, POINT)
        points["value"] = 1 + max((one.version for one in published.series_of(["m_1"])), default=0)
        series = [PublishedSeries(number, "m_1", Register("volume", "m3"), "total", "UTC") for number in range(20)]
        published.replace(series, [Block(one.id, 0, label, points) for one in series for label in ("2024-01-01", "2024-01-02")])
"""


def test_readers_see_whole_publications_while_they_are_written(tmp_path, server):
    """Another process reads on while the publisher writes and is killed, and the blocks it reads in one call are of one version."""
    file, chance = tmp_path / "published.sqlite", random.Random(3)
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PUBLISHER), file, server], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        with Published(file) as reader:
            until = time.monotonic() + chance.uniform(0.2, 0.5)
            while time.monotonic() < until:
                assert len(set(reader.read(7, 0, "2024-01-01", "2024-01-02")["value"].tolist())) <= 1
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
            for series in reader.series_of(["m_1"]):
                assert set(reader.read(series.id, 0, "2024-01-01", "2024-01-02")["value"].tolist()) == {series.version}


def test_changed_series_come_in_order_of_their_publication(published):
    """After a place in the order of version and number, at most as many as asked for; a series that is published again moves to the end."""
    series = [PublishedSeries(number, "m_1", VOLUME, "total", "UTC") for number in (1, 2, 3)]
    assert published.version() == 0
    published.replace(series, [])
    published.replace([], [Block(1, DAY, "2024-01", points(1))])
    assert published.version() == 2
    assert [(one.version, one.id) for one in published.changed(0, 0, 9)] == [(1, 2), (1, 3), (2, 1)]
    assert [one.id for one in published.changed(1, 2, 1)] == [3]
    assert published.changed(2, 1, 9) == []


def test_replaced_rows_are_read_by_blocks(published):
    """Beside the rows that stand; a block of them is replaced as a whole."""
    published.replace(
        [], [Block(1, DAY, "2024-01", points(1))], [Block(1, DAY, "2024-01", points(1, 1, value=7)), Block(1, DAY, "2024-02", points(5))]
    )
    published.replace([], [], [Block(1, DAY, "2024-01", points(1, value=8))])
    assert published.revisions(1, DAY, "2024-01", "2024-02")["value"].tolist() == [8, 1]
    assert published.revisions(1, DAY, "2024-02", "2024-02")["start"].tolist() == [5]
    assert published.read(1, DAY, "2024-01", "2024-02")["value"].tolist() == [1]


def correction(start, end=None, series=1, old=5, new=7, made=1):
    """A billed row that changed."""
    return Correction(series, DAY, start, start + 10 if end is None else end, old, new, "late_reading", "submeter", made, 2)


def test_corrections_of_a_time(published):
    """Those that touch it, in order of start and time; all of a series are replaced at once, and no other's."""
    published.replace([], [], corrections={1: [correction(20, made=2), correction(20, made=1), correction(0)], 2: [correction(0, series=2)]})
    found = published.corrections([1], 10, 30)
    assert [(one.start, one.at) for one in found] == [(20, 1), (20, 2)]
    assert [len(published.corrections([1, 2], *span)) for span in ((0, 1), (10, 20), (9, 10), (29, 99), (30, 99))] == [2, 0, 2, 2, 0]
    published.replace([], [], corrections={1: []})
    assert [one.series for one in published.corrections([1, 2], 0, 99)] == [2]


@pytest.mark.sqlite_alone("it asks no store")
@pytest.mark.parametrize(("old", "new", "diff"), [(5, 7, 2), (7, 5, -2), (None, 5, 5), (5, None, -5), (None, None, 0)])
def test_what_a_correction_settles(old, new, diff):
    """Where there was or is no row, nothing was or is used."""
    assert correction(0, old=old, new=new).diff == diff


def parts(label, start, *starts, series=1, level=DAY):
    """Pieces of a bucket of ten."""
    return Parts(series, level, label, start, start + 10, points(*starts))


def test_the_parts_of_a_bucket_are_replaced_together(published):
    """By the bucket's ends; without pieces it has none any more."""
    published.replace([], [], parts=[parts("2024-01", 0, 0, 4), parts("2024-02", 10, 10, 15), parts("2024-01", 0, 0, level=1)])
    published.replace([], [], parts=[parts("2024-01", 0, 0, 2, 7)])
    assert published.parts(1, DAY, "2024-01", "2024-12")["start"].tolist() == [0, 2, 7, 10, 15]
    published.replace([], [], parts=[parts("2024-02", 10)])
    assert published.parts(1, DAY, "2024-01", "2024-12")["start"].tolist() == [0, 2, 7]
    published.forget_parts([(1, DAY, 7), (2, DAY, 99)])
    assert published.parts(1, DAY, "2024-01", "2024-12")["start"].tolist() == [7]
    assert published.parts(1, 1, "2024-01", "2024-12")["start"].tolist() == [0]


def test_a_series_that_is_cut_anew_loses_its_parts_from_an_instant_on(published):
    """What they are made by is kept, until it is not cut any more; others stay."""
    published.replace(
        [], [], parts=[parts("2024-01", 0, 0, 5), parts("2024-02", 10, 10), parts("2024-01", 0, 3, series=2)], cuts=[Cut(1, "a", 99), Cut(2, "b", 99)]
    )
    published.replace([], [], parts=[parts("2024-03", 20, 20)], cuts=[Cut(1, "c", 5)])
    assert published.parts(1, DAY, "2024-01", "2024-12")["start"].tolist() == [0, 20]
    assert published.cuts() == {1: "c", 2: "b"}
    published.replace([], [], cuts=[Cut(1, None, 0)])
    assert published.cuts() == {2: "b"}
    assert published.parts(1, DAY, "2024-01", "2024-12").size == 0
    assert published.parts(2, DAY, "2024-01", "2024-12").size == 1


def test_a_series_that_is_dropped_leaves_nothing(published):
    """Blocks, replaced rows, corrections, parts; other series keep theirs."""
    series = [PublishedSeries(number, "m_1", VOLUME, "total", "UTC") for number in (1, 2)]
    blocks = [Block(number, DAY, "2024-01", points(1)) for number in (1, 2)]
    corrections = {number: [correction(0, series=number)] for number in (1, 2)}
    pieces = [parts("2024-01", 0, 3, series=number) for number in (1, 2)]
    published.replace(series, blocks, blocks, corrections, pieces, [Cut(number, "x", 0) for number in (1, 2)])
    published.drop([1])
    left = [published.read(number, DAY, "2024-01", "2024-01").size + published.revisions(number, DAY, "2024-01", "2024-01").size for number in (1, 2)]
    assert left == [0, 2]
    assert [one.series for one in published.corrections([1, 2], 0, 99)] == [2]
    assert [published.parts(number, DAY, "2024-01", "2024-01").size for number in (1, 2)] == [0, 1]
    assert (published.cuts(), [one.id for one in published.series()]) == ({2: "x"}, [2])


def test_a_file_that_was_lost_goes_on_behind_what_readers_saw(published):
    """Its version only rises, and every series is cut anew."""
    published.replace([], [], cuts=[Cut(1, "x", 0)])
    published.begin_again(7)
    assert (published.version(), published.cuts()) == (7, {})
    published.begin_again(3)
    assert published.replace([], []) == 8


def test_a_rehearsal_is_seen_by_nobody_else(published, tmp_path):
    """And undone at its end."""
    published.replace([], [Block(1, DAY, "2024-01", points(1))])
    with Published(tmp_path / "published.sqlite") as other:
        with published.rehearsal():
            published.replace([], [Block(1, DAY, "2024-01", points(1, value=9))])
            assert [one.read(1, DAY, "2024-01", "2024-01")["value"].tolist() for one in (published, other)] == [[9], [1]]
        assert published.read(1, DAY, "2024-01", "2024-01")["value"].tolist() == [1]
