"""Which readings count, and why rows change: covered self readings, the last usable one, causes; and the numbers of a computation elsewhere."""

import socket

import pytest

from submeter.aggregate import Used, spark
from submeter.aggregate.causes import causes
from submeter.aggregate.covered import uncovered
from submeter.aggregate.decided import SEQ
from submeter.aggregate.engine import FEWEST, SERIES, TOGETHER, _count, _together
from submeter.aggregate.events import UNUSABLE
from submeter.aggregate.frames import framed, last_usable
from submeter.aggregate.kernel import READINGS
from submeter.aggregate.parameters import Parameters, SeriesSpec
from submeter.aggregate.series import Series
from submeter.civil import HOUR
from submeter.reading import MESSAGE_BITS, READING_BITS, STATUS, Register, Source
from submeter.store import CAUSE, Decision, Point, tabled

WEAK = 1 << STATUS.index("power_low")


def readings(*rows):
    """Readings of series 1 as (t, value, source) and what else differs."""
    rest = {"series": 1, "status": 0, "due": False, "pinned": False, "dev": 1}
    named = [rest | {"t": t, "value": value, "src": source, "seq": place} | dict(*more) for place, (t, value, source, *more) in enumerate(rows)]
    return framed(tabled([[row[name] for name in READINGS.names] for row in named], READINGS))


LIVE, SELF, MANUAL, SUBSTITUTE = Source.LIVE, Source.SELF, Source.MANUAL, Source.SUBSTITUTE
#: Readings, the gap that is permitted, and the instants that are left.
COVERED = {
    "between two": ([(0, 1, LIVE), (HOUR, 2, SELF), (2 * HOUR, 3, LIVE)], 2 * HOUR, [0, 2 * HOUR]),
    "too far apart": ([(0, 1, LIVE), (HOUR, 2, SELF), (2 * HOUR, 3, LIVE)], 2 * HOUR - 1, [0, HOUR, 2 * HOUR]),
    "before all": ([(0, 1, SELF), (HOUR, 2, LIVE)], 9 * HOUR, [0, HOUR]),
    "after all": ([(0, 1, LIVE), (HOUR, 2, SELF)], 9 * HOUR, [0, HOUR]),
    "at the same instant": ([(0, 1, LIVE), (0, 2, SELF)], HOUR, [0]),
    "a reading by hand is better": ([(0, 1, MANUAL), (1, 2, SELF), (2, 3, MANUAL)], HOUR, [0, 2]),
    "a substitute is not": ([(0, 1, LIVE), (1, 2, SELF), (2, 3, SUBSTITUTE)], HOUR, [0, 1, 2]),
    "nor what has no value": ([(0, 1, LIVE), (1, 2, SELF), (2, None, LIVE)], HOUR, [0, 1, 2]),
    "nor what may not be used": ([(0, 1, LIVE), (1, 2, SELF), (2, 3, LIVE, {"status": UNUSABLE})], HOUR, [0, 1, 2]),
    "a weak battery may": ([(0, 1, LIVE), (1, 2, SELF), (2, 3, LIVE, {"status": WEAK})], HOUR, [0, 2]),
    "another series does not cover": ([(0, 1, LIVE), (1, 2, SELF), (2, 3, LIVE, {"series": 2})], HOUR, [0, 1, 2]),
    "two of them": ([(0, 1, LIVE), (1, 2, SELF), (2, 3, SELF), (3, 4, LIVE)], 3, [0, 3]),
    "none at all": ([(2, 3, LIVE), (0, 1, LIVE)], 1, [2, 0]),
}


@pytest.mark.parametrize("case", COVERED)
def test_a_reading_of_residents_counts_where_no_better_one_covers_it(case):
    """Better ones stand at or around it, no further apart than the series is permitted."""
    rows, gap, left = COVERED[case]
    found = uncovered(readings(*rows), {1: gap, 2: gap})
    assert sorted(found["t"].to_list()) == sorted(left)
    assert found.schema == readings().schema


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ([(0, 1, LIVE), (5, 2, LIVE)], 2),
        ([(5, 1, LIVE), (0, 2, LIVE)], 1),
        ([(0, 1, LIVE), (5, None, LIVE)], 1),
        ([(0, 1, LIVE), (5, 2, LIVE, {"status": UNUSABLE})], 1),
        ([(0, 1, LIVE), (5, 2, LIVE, {"status": WEAK})], 2),
        ([(5, 1, LIVE), (5, 2, LIVE, {"due": True})], 1),
        ([(5, 1, LIVE), (5, 2, MANUAL)], 2),
        ([(5, 1, LIVE), (5, 2, SELF)], 1),
        ([(5, 1, LIVE), (5, 2, LIVE)], 2),
        ([(5, 1, LIVE, {"seq": 9}), (5, 2, LIVE, {"seq": 3})], 1),
    ],
)
def test_where_a_series_stands(rows, value):
    """The last usable reading; of one instant the one after the due value, of the best source, received last."""
    assert last_usable(readings(*rows), "series")["value"].to_list() == [value]


VOLUME = Series(Point("p", "b", None, "cold_water", "", ("volume",), {}), Register("volume", "m3"), (), SeriesSpec(Parameters(), "UTC"))
FLOW = Series(VOLUME.point, Register("flow", "m3/h"), (), VOLUME.spec)


def told(reason, *decisions, found=(), keyed=()):
    """(reason, what did it, when, who) by series: 1 is the point's volume, 2 its flow."""
    rows = causes({1: VOLUME, 2: FLOW}, readings(*found), reason, decisions, keyed=keyed)
    assert rows.schema == CAUSE
    return {series: tuple(rest) for series, *rest in (row.values() for row in rows.to_pylist())}


def decision(number, kind, register="volume", *, point="p", withdraws=None):
    """A decision, made at an instant of its number."""
    return Decision(number, 100 + number, f"eva {number}", "seen", kind, point, register, {}, number, withdraws)


def test_the_newest_decision_that_can_be_the_reason_is_it():
    """Of the series, or of the whole point; what takes another back names that."""
    assert told("correction", decision(1, "accept"), decision(2, "reject"), decision(3, "exchange")) == {
        1: ("correction", "decision 2", 102, "eva 2"), 2: ("correction", None, None, None),
    }  # fmt: skip
    assert told("correction", decision(4, "reading", withdraws=3), decision(5, "accept", point="q"))[1] == ("correction", "decision 3", 104, "eva 4")
    whole = told("exchange", decision(6, "exchange", ""))
    assert whole == {1: ("exchange", "decision 6", 106, "eva 6"), 2: ("exchange", "decision 6", 106, "eva 6")}


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [("accept", {"correction"}), ("reject", {"correction"}), ("exchange", {"exchange", "config"}), ("reading", {"substitute", "correction"})],
)
def test_what_each_kind_of_decision_can_be_the_reason_of(kind, reasons):
    """Other reasons are the directory's."""
    words = {"config", "factor", "exchange", "substitute", "correction"}
    assert {word for word in words if told(word, decision(1, kind))[1][1] == "decision 1"} == reasons


def place(message, position=0):
    """Where a message's telegram stands in the order of reception."""
    return {"seq": message << MESSAGE_BITS | position << READING_BITS}


def test_late_readings_name_the_message_that_brought_the_last_one():
    """When it was received a live value of the same telegram tells; entered readings are no message; telegrams that waited for a key say so."""
    rows = [(9, 1, LIVE, place(4)), (50, 1, LIVE, place(7, 3)), (3, 2, Source.HISTORIC, place(7, 3)), (90, 3, MANUAL, {"seq": SEQ + 1})]
    assert told("late_reading", found=rows) == {1: ("late_reading", "message 7", 50, None), 2: ("late_reading", None, None, None)}
    stored = [(3, 2, Source.HISTORIC, place(8)), (50, 1, LIVE, place(7))]
    assert told("late_reading", found=stored, keyed={1})[1] == ("key_arrived", "message 8", None, None)


@pytest.mark.parametrize(
    ("series", "buckets"),
    [(0, FEWEST), (FEWEST * SERIES, FEWEST), (FEWEST * SERIES + 1, 2 * FEWEST), (4 * FEWEST * SERIES, 4 * FEWEST), (10**6, 2048)],
)
def test_how_many_buckets(series, buckets):
    """A power of two, with five hundred series in each at most, on average."""
    assert _count(series) == buckets


@pytest.mark.parametrize(
    ("counts", "together"),
    [
        ([], []),
        ([1], [[1]]),
        ([TOGETHER + 9, 1], [[TOGETHER + 9], [1]]),
        ([TOGETHER - 1, 1, 1], [[TOGETHER - 1, 1], [1]]),
        ([1, TOGETHER, 5], [[1], [TOGETHER], [5]]),
    ],
)
def test_files_that_are_read_together(counts, together):
    """As many as bounded memory holds, and one in any case."""
    assert [[one[1] for one in some] for some in _together([(0, count, None) for count in counts])] == together


def test_what_runs_took_adds_up():
    """And is told in one line."""
    both = Used(16, 4, 3, 1000, 50, 1.25) + Used(16, 2, 0, 0, 0, 0.5)
    assert both == Used(32, 6, 3, 1000, 50, 1.75)
    assert str(both) == "3 of 32 buckets computed (3 more were there): 1000 readings, 50 rows, 1.8 s of work"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", "it said nothing"),
        ("a\n\n b \n", "b"),
        ("INFO x\n2026 ERROR lost\nINFO y", "2026 ERROR lost"),
        ("ERROR no blanks\nJava Exception: one\nValueError: two\nend", "ValueError: two"),
        ("EngineError: told\n2026 ERROR later", "EngineError: told"),
        ("x Exception: first\nx Exception: last\nend", "x Exception: last"),
        ("x" * 400, "x" * 300),
    ],
)
def test_why_spark_gave_up(tmp_path, lines, why):
    """The most telling line of its log, the last of its kind."""
    (tmp_path / "spark.log").write_text(lines)
    assert spark._why(tmp_path / "spark.log") == why


@pytest.mark.parametrize("master", ["local[2]", "yarn", "k8s://https://x", "spark"])
def test_of_other_masters_nothing_is_known(master):
    """Only a standalone master is asked whether it is there."""
    assert spark._silent(master) is None


@pytest.mark.parametrize("master", ["spark://127.0.0.1:1", "spark://", "spark://127.0.0.1:port", "spark://127.0.0.1:1,[::1]:1"])
def test_a_standalone_master_that_does_not_answer_is_told(master):
    """Whatever is wrong with its address."""
    assert spark._silent(master) == f"no Spark master answers at {master}: is it started, and is this the address that its page shows?"


def test_one_master_of_several_is_enough():
    """The first that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert spark._silent(f"spark://127.0.0.1:1,127.0.0.1:{server.getsockname()[1]}") is None
