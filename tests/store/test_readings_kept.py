"""What is asked of the readings' file beside readings and rows: floors, archive and rebuild, buckets, who heard what, how far everything is."""

from datetime import date

import pyarrow as pa
import pytest

from submeter.civil import DAY, HOUR, instant
from submeter.reading import LEVELS, READING_BITS, Register, Source
from submeter.store import ACCEPTED, CAUSE, DAYS, FLOOR, FORMAT, READING, RECEPTION, ROLLUP, Accepted, Readings, SeriesKey, tabled

VOLUME, FLOW = Register("volume", "m3"), Register("flow", "m3/h")
MONTH = instant("2026-03-01T00:00:00Z")
NOBODY = RECEPTION.empty_table()
HOURS, DAYLY, MONTHLY = LEVELS.index("hour"), LEVELS.index("day"), LEVELS.index("month")
BITS = 21


@pytest.fixture
def readings(tmp_path):
    """A file that knows two registers of a device and one of another, and a series of a counter and of a gauge."""
    with Readings(tmp_path / "readings.duckdb") as opened:
        opened.register_ids([("A", VOLUME), ("B", VOLUME)])
        opened.register_ids([("A", FLOW)])
        opened.series_ids([SeriesKey("p", VOLUME, "total")])
        opened.series_ids([SeriesKey("p", FLOW, "gauge")])
        yield opened


def batch(*rows):
    """Readings of register, t, value, seq, source."""
    return tabled([(register, t, value, int(src), 0, False, False, seq, "now", "received") for register, t, value, seq, src in rows], READING)


def heard(readings, *rows, **more):
    """Live readings of register, t, value; their numbers are those of messages."""
    table = batch(*((register, t, value, number << BITS, Source.LIVE) for number, (register, t, value) in enumerate(rows, 1)))
    return readings.store(table, NOBODY, len(rows), **more)


def rows(series, level, *starts, state=2):
    """Rows that begin then."""
    return tabled([(series, level, start, start + 1, 1, 1, 1, None, 10_000, 0, 0, None, None, state) for start in starts], ROLLUP)


def days(*starts, series=1, anchor_t=0, anchor_v=0):
    """Days that a computation can go on from, or not."""
    filled = dict.fromkeys(DAYS.names) | {"series": series, "anchor_t": anchor_t, "anchor_v": anchor_v, "odd": False, "next_t": 5}
    return pa.Table.from_pylist([filled | {"start": start, "end": start + DAY} for start in starts], schema=DAYS)


# How far everything is


def test_each_progress_is_its_own(readings):
    """Inbox, readings sent in, directory, published version and losses: 0 at first, none moves another; the mark rises with what is written."""

    def told():
        return readings.watermark(), readings.sent_in(), readings.directory(), readings.published(), readings.losses_looked()

    assert (told(), readings.mark()) == ((0, 0, 0, 0, 0), 0)
    heard(readings, (1, 5, 1), sent_in=7)
    readings.computed_from(3)
    readings.clear_unpublished(readings.unpublished(), 9)
    readings.publish_touched([(1, 0, 1)], looked=11)
    assert told() == (1, 7, 3, 9, 11)
    readings.computed_from(2)
    readings.clear_unpublished(readings.unpublished(), 4)
    heard(readings, (1, 6, 1), sent_in=5)
    assert told() == (1, 7, 2, 4, 11)
    assert readings.mark() == 3


# Floors


def test_a_floor_never_moves_back(readings):
    """Rows before it go with their history, of this level and series alone; they are told as unpublished."""
    for series in (1, 2):
        readings.replace_rollups([series], pa.concat_tables([rows(series, level, 0, 10, 20) for level in (HOURS, DAYLY)]), now=1)
    readings.replace_rollups([1], pa.concat_tables([rows(1, HOURS, 10, 20), rows(1, DAYLY, 0, 10, 20)]), now=2)
    assert readings.history([1])["start"].to_pylist() == [0]
    readings.clear_unpublished(readings.unpublished(), 1)
    retention = readings.retention
    assert retention.delete_rows(tabled([(1, "hour", 20)], FLOOR)) == 1
    assert retention.delete_rows(tabled([(1, "hour", 10), (2, "day", 10)], FLOOR)) == 1
    assert [tuple(row.values()) for row in retention.floors().to_pylist()] == [(1, "hour", 20), (2, "day", 10)]
    left = {(series, level): readings.rollups([series], level, 0, 99)["start"].to_pylist() for series in (1, 2) for level in (HOURS, DAYLY)}
    assert left == {(1, HOURS): [20], (1, DAYLY): [0, 10, 20], (2, HOURS): [0, 10, 20], (2, DAYLY): [10, 20]}
    assert readings.history([1]).num_rows == 0
    noted = {(row["series"], row["level"], row["start"]) for row in readings.unpublished().to_pylist()}
    assert noted == {(1, HOURS, 10), (2, DAYLY, 0)}


def test_readings_before_a_floor_go_by_their_spans(readings):
    """Half-open, of the registers named; the floor rises in the same step."""
    heard(readings, (1, 5, 1), (1, 10, 2), (1, 15, 3), (2, 5, 4))
    spans = pa.table({"register": pa.array([1], pa.int32()), "first": [5], "beyond": [15]})
    assert readings.retention.delete_readings(tabled([(1, "readings", 12)], FLOOR), spans) == 2
    assert readings.retention.delete_readings(tabled([(1, "readings", 11)], FLOOR), spans) == 0
    assert readings.retention.floors()["start"].to_pylist() == [12]
    assert [row["t"] for row in readings.readings_of([1, 2]).to_pylist()] == [15, 5]


def test_the_day_at_a_floor_is_what_a_computation_begins_with(readings):
    """Only floors of readings have one."""
    readings.replace_rollups([1], rows(1, DAYLY, DAY), now=1, days=days(DAY, 2 * DAY, anchor_t=7, anchor_v=8))
    readings.retention.delete_rows(tabled([(1, "day", DAY)], FLOOR))
    assert readings.retention.days() == {}
    empty = pa.table({"register": pa.array([], pa.int32()), "first": pa.array([], pa.int64()), "beyond": pa.array([], pa.int64())})
    readings.retention.delete_readings(tabled([(1, "readings", 2 * DAY)], FLOOR), empty)
    assert readings.retention.days() == {1: {"start": 2 * DAY, "anchor_t": 7, "anchor_v": 8, "odd": False, "next_t": 5}}


def test_a_month_that_can_be_gone_on_from(readings):
    """The last of those asked for with an anchor; of a counter its index must be known."""
    for series, known in (
        (1, days(DAY, anchor_t=3)),
        (1, days(2 * DAY, anchor_t=4, anchor_v=None)),
        (1, days(3 * DAY, anchor_t=None)),
        (2, days(2 * DAY, series=2, anchor_t=6, anchor_v=None)),
    ):
        within = pa.table({"series": [series], "level": [DAYLY], "first": [known["start"][0].as_py()], "beyond": [known["end"][0].as_py()]})
        readings.replace_rollups([series], rows(series, DAYLY), now=1, within=within, days=known)
    months = pa.table({"series": pa.array([1, 1, 1, 2, 2], pa.int32()), "start": [DAY, 2 * DAY, 3 * DAY, DAY, 2 * DAY]})
    assert readings.retention.going_on(months) == {1: (DAY, 3), 2: (2 * DAY, 6)}


def test_months_that_are_not_final_keep_what_is_behind_them(readings):
    """The first of each series; years and finer levels say nothing."""
    for series, level, start, state in ((1, MONTHLY, 10, 2), (1, MONTHLY, 20, 1), (1, MONTHLY, 30, 0), (1, HOURS, 5, 0), (2, MONTHLY, 10, 2)):
        within = pa.table({"series": [series], "level": [level], "first": [start], "beyond": [start + 1]})
        readings.replace_rollups([series], rows(series, level, start, state=state), now=1, within=within)
    assert readings.retention.unsettled() == {1: 20}


# Archive and rebuild


def test_readings_are_counted_and_read_whole_by_month(readings):
    """By register and UTC month before an instant; with the register's own words, in the archive's order."""
    heard(readings, (1, MONTH - 1, 1), (1, MONTH, 2), (3, MONTH, 3), (2, MONTH + 31 * DAY, 4))
    counted = [tuple(row.values()) for row in readings.retention.counts(MONTH + 31 * DAY).to_pylist()]
    assert counted == [(1, date(2026, 2, 1), 1), (1, date(2026, 3, 1), 1), (3, date(2026, 3, 1), 1)]
    chosen = pa.table({"register": pa.array([3, 1], pa.int32())})
    whole = readings.retention.whole(chosen, MONTH, MONTH + 31 * DAY).to_pylist()
    assert [(row["device"], row["name"], row["unit"], row["idx"], row["value"]) for row in whole] == [
        ("A", "flow", "m3/h", 1, 3),
        ("A", "volume", "m3", 1, 2),
    ]
    assert "register" not in whole[0]


def test_what_messages_brought_is_forgotten(readings):
    """Their readings, the watermark, receptions since a day and values that may only rise; what a register has newest is what is left."""
    heard(readings, (1, 5, 1), (1, 10, 2), (2, 7, 3))
    receptions = [("A", "g", date(2026, 3, day), 1, None) for day in (1, 2)]
    readings.store(READING.empty_table(), tabled(receptions, RECEPTION), 9, tabled([("A", "counter", 5, 6)], ACCEPTED))
    assert readings.retention.forget(pa.table({"id": [2, 3]}), BITS, date(2026, 3, 2)) == 2
    assert [row["t"] for row in readings.readings_of([1, 2]).to_pylist()] == [5]
    assert (readings.watermark(), readings.accepted()) == (0, {})
    assert [row["day"] for row in readings.receptions().to_pylist()] == [date(2026, 3, 1)]
    readings.clear_dirty(readings.dirty())
    heard(readings, (1, 8, 2))
    assert [(row["t_from"], row["t_to"]) for row in readings.dirty().to_pylist()] == [(5, 8)]


def test_archived_readings_come_back_once(readings):
    """Unless they are there, or a message that is decoded again brings them."""
    heard(readings, (1, 5, 1))
    archived = batch(
        (1, 5, 1, 1 << BITS, Source.LIVE), (1, 6, 2, 2 << BITS, Source.LIVE), (1, 7, 3, 3 << BITS, Source.LIVE), (1, 5, 1, 1 << BITS, Source.MANUAL)
    )
    messages = pa.table({"id": pa.array([3], pa.int64())})
    assert [readings.retention.restore(archived, messages, BITS) for _ in range(2)] == [2, 0]
    readings.retention.compact()
    assert [(row["t"], row["src"]) for row in readings.readings_of([1]).to_pylist()] == [(5, Source.LIVE), (5, Source.MANUAL), (6, Source.LIVE)]


def test_buckets_are_known_by_their_sums(readings):
    """Equal readings have equal sums, whatever their order; one more, or another value, has another; a register may be in several."""
    heard(readings, (1, MONTH, 1), (2, MONTH + 1, 2), (1, MONTH + 31 * DAY, 3))
    buckets = pa.table({"bucket": pa.array([7, 7, 8], pa.int32()), "register": pa.array([1, 2, 1], pa.int32())})
    sums = {(row["bucket"], row["month"]): (row["n"], row["checksum"]) for row in readings.bucketed.sums(buckets).to_pylist()}
    assert {place: n for place, (n, _) in sums.items()} == {
        (7, date(2026, 3, 1)): 2, (7, date(2026, 4, 1)): 1, (8, date(2026, 3, 1)): 1, (8, date(2026, 4, 1)): 1,
    }  # fmt: skip
    assert sums[7, date(2026, 4, 1)] == sums[8, date(2026, 4, 1)]
    readings.retention.compact()
    readings.store(batch((1, MONTH, 9, 9 << BITS, Source.LIVE)), NOBODY, 9)
    after = {(row["bucket"], row["month"]): (row["n"], row["checksum"]) for row in readings.bucketed.sums(buckets).to_pylist()}
    assert {place for place in sums if sums[place] != after[place]} == {(7, date(2026, 3, 1)), (8, date(2026, 3, 1))}
    inside = readings.bucketed.readings(buckets, MONTH, MONTH + 1).to_pylist()
    assert [(row["bucket"], row["register"], row["value"]) for row in inside] == [(7, 1, 1), (7, 1, 9), (8, 1, 1), (8, 1, 9)]


# Who heard what


def test_who_is_heard_by_a_gateway_alone(readings):
    """On all of the days asked for; a day on which another one hears it too is enough for the other answer."""
    receptions = [("A", "g", 1), ("A", "g", 2), ("A", "h", 3), ("B", "g", 2), ("B", "h", 2), ("C", "h", 1)]
    readings.store(
        READING.empty_table(), tabled([(device, gateway, date(2026, 3, day), 1, None) for device, gateway, day in receptions], RECEPTION), 1
    )
    asked = [
        (number, gateway, date(2026, 3, first), date(2026, 3, last))
        for number, (gateway, first, last) in enumerate((("g", 1, 2), ("g", 1, 3), ("h", 1, 1), ("h", 3, 9)))
    ]
    assert sorted(readings.heard_alone(asked)) == [(0, "A"), (2, "C"), (3, "A")]
    assert sorted(readings.devices_received()) == ["A", "B", "C"]
    assert readings.first_heard(date(2026, 3, 2)) == [("B", "g"), ("B", "h")]


def test_how_often_a_gateway_heard_a_device(readings):
    """Since a day: receptions, first and last day, and the best level."""
    receptions = [("A", "g", 1, 5, -40), ("A", "g", 2, 3, -70), ("A", "g", 4, 2, -60), ("A", "h", 4, 1, None)]
    readings.store(
        READING.empty_table(), tabled([(device, gateway, date(2026, 3, day), n, best) for device, gateway, day, n, best in receptions], RECEPTION), 1
    )
    told = [tuple(row.values()) for row in readings.heard_by(date(2026, 3, 2)).to_pylist()]
    assert told == [("A", "g", 5, "2026-03-02", "2026-03-04", -60), ("A", "h", 1, "2026-03-04", "2026-03-04", None)]


def test_usual_intervals_and_when_each_was_heard(readings):
    """The median between live readings since an instant, of those with enough of them; two at one instant are no interval."""
    heard(readings, *((1, t * HOUR, t) for t in (0, 1, 3, 4, 9)), *((2, t * HOUR, t) for t in (0, 5)))
    readings.store(batch((1, 4 * HOUR, 99, 99 << BITS, Source.LIVE), (1, 20 * HOUR, 1, 98 << BITS, Source.MANUAL)), NOBODY, 9)
    assert readings.intervals([1, 2], 0, 3) == {1: HOUR}
    assert readings.intervals([1, 2], HOUR, 1) == {1: 2 * HOUR}
    assert readings.intervals([1, 2], 3 * HOUR, 2) == {1: HOUR}
    assert readings.intervals([2], 0, 1) == {2: 5 * HOUR}
    assert readings.heard([1, 2, 3]) == {1: 9 * HOUR, 2: 5 * HOUR}
    assert readings.heard([1, 2], since=9 * HOUR) == {1: 9 * HOUR}


def test_what_a_telegram_brought(readings):
    """Its readings with unit, in order; which telegrams brought a value before an instant."""
    place = (4 << BITS) >> READING_BITS
    table = batch(
        (1, 5, 1, 4 << BITS, Source.LIVE),
        (3, 5, 2, (4 << BITS) + 1, Source.LIVE),
        (1, 6, 1, 5 << BITS, Source.LIVE),
        (1, 7, 1, 6 << BITS, Source.MANUAL),
    )
    readings.store(table, NOBODY, 6)
    assert [(row["name"], row["unit"], row["value"]) for row in readings.of_telegram(place)] == [("volume", "m3", 1), ("flow", "m3/h", 2)]
    assert readings.brought("A", VOLUME, 1, 99) == [5 << BITS, 4 << BITS]
    assert readings.brought("A", VOLUME, 1, 6) == [4 << BITS]
    assert readings.brought("A", VOLUME, 2, 99) == readings.brought("Z", VOLUME, 1, 99) == []


def test_what_can_only_rise_is_kept_by_device_and_name(readings):
    """Told again it replaces; formats are learnt once."""
    for counter in (5, 6):
        readings.store(
            READING.empty_table(),
            NOBODY,
            1,
            tabled([("A", "counter", counter, counter)], ACCEPTED),
            tabled([("KAM", 1, 2, counter // 6, b"%d" % counter)], FORMAT),
        )
    readings.store(READING.empty_table(), NOBODY, 1, formats=tabled([("KAM", 1, 2, 0, b"other")], FORMAT))
    assert readings.accepted() == {("A", "counter"): Accepted(6, 6)}
    assert readings.formats() == {("KAM", 1, 2, 0): b"5", ("KAM", 1, 2, 1): b"6"}


# Rows


def test_a_rehearsal_says_what_would_change_and_changes_nothing(readings):
    """What would be new, gone, or another value; inside, nothing is to be published, and the file goes on as it was."""
    readings.replace_rollups([1], rows(1, HOURS, 0, 10, 20), now=1)
    with readings.rehearsal() as rehearsed:
        assert readings.rehearsing
        changed = rows(1, HOURS, 10, 20, 30)
        changed = changed.set_column(4, "value", pa.array([1, 5, 7], pa.int64()))
        readings.replace_rollups([1], changed, now=2)
        readings.register_ids([("C", VOLUME)])
        assert readings.unpublished().num_rows == 0
        told = [tuple(row.values())[2:] for row in rehearsed().to_pylist()]
    assert told == [(0, 1, None, False, True), (20, 1, 5, False, False), (30, None, 7, True, False)]
    assert readings.rollups([1], HOURS, 0, 99)["value"].to_pylist() == [1, 1, 1]
    assert (readings.rehearsing, ("C", VOLUME) in readings.registers(), readings.unpublished().num_rows) == (False, False, 3)


def test_rows_that_something_touched_are_published_again(readings):
    """Those that overlap it; of all rows those of some series."""
    readings.replace_rollups([1], rows(1, HOURS, 0, 10, 20), now=1)
    readings.clear_unpublished(readings.unpublished(), 1)
    readings.publish_touched([(1, 1, 10), (2, 0, 99)], looked=1)
    assert readings.unpublished()["start"].to_pylist() == []
    readings.publish_touched([(1, 0, 11)], looked=1)
    assert readings.unpublished()["start"].to_pylist() == [0, 10]
    readings.publish_again([2, 1])
    assert readings.unpublished()["start"].to_pylist() == [0, 0, 10, 10, 20]


def test_which_rows_stand(readings):
    """Of those asked for, in order."""
    readings.replace_rollups([1], pa.concat_tables([rows(1, HOURS, 0, 10), rows(1, DAYLY, 10)]), now=1)
    asked = pa.table(
        {"series": pa.array([1, 1, 1, 2], pa.int32()), "level": pa.array([DAYLY, HOURS, HOURS, HOURS], pa.uint8()), "start": [10, 10, 20, 10]}
    )
    assert readings.standing(asked) == [(1, HOURS, 10), (1, DAYLY, 10)]


def test_the_history_of_a_row_says_what_did_it(readings):
    """The cause of its series, or the reason of the run."""
    for series in (1, 2):
        readings.replace_rollups([series], rows(series, HOURS, 0), now=1)
    causes = tabled([(1, "correction", "decision 4", 77, "eva")], CAUSE)
    readings.replace_rollups([1, 2], pa.concat_tables([rows(1, HOURS), rows(2, HOURS)]), now=5, reason="config", causes=causes)
    told = [(row["series"], row["reason"], row["caused_by"], row["received_at"], row["replaced_at"]) for row in readings.history([1, 2]).to_pylist()]
    assert told == [(1, "correction", "decision 4", 77, 5), (2, "config", None, None, 5)]


def test_everything_may_be_marked_dirty_again(readings):
    """All registers, for a time."""
    readings.touch(5, 9)
    assert [(row["register"], row["t_from"], row["t_to"]) for row in readings.dirty().to_pylist()] == [(1, 5, 9), (2, 5, 9), (3, 5, 9)]
