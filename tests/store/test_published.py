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
from submeter.store import NULL, POINT, ROLLUP, Block, Published, PublishedSeries, StoreError, pack
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
