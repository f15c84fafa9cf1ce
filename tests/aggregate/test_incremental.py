"""Rollups by windows equal a computation from scratch, whatever comes in whatever order (SPEC 12.1).

`SUBMETER_FUZZ` says how many histories of stores are tried (default 12).
"""

import os
import tempfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import BASE, BILLED, POINTS, Stores, units

from submeter import civil
from submeter.reading import Source

HISTORIES = int(os.environ.get("SUBMETER_FUZZ", "12"))
DAYS = 75
END = BASE + DAYS * civil.DAY
instants = st.integers(0, DAYS * 24 * 4).map(lambda quarter: BASE + quarter * civil.HOUR // 4)
odd_instants = st.one_of(instants, st.integers(BASE, END))


@st.composite
def readings(draw, size=10):
    """Readings of a stretch: mostly a rising index at a steady rate, with all that meters do."""
    start, step = draw(instants), draw(st.sampled_from([civil.HOUR, 6 * civil.HOUR, civil.DAY, 3 * civil.DAY, 11 * civil.DAY]))
    found = []
    for i in range(draw(st.integers(1, size))):
        t = min(start + i * step, END) + draw(st.sampled_from([0, 0, 0, 1, 7 * civil.MINUTE]))
        rising = (t - BASE) // civil.HOUR * units(0.01) + units(500)
        value = draw(st.one_of(*[st.just(rising)] * 6, st.integers(0, units(1000)), st.integers(-3, 3).map(lambda d, v=rising: v + d), st.none()))
        found.append((t, value, draw(st.integers(0, 14)) == 0, draw(st.sampled_from([0] * 20 + [2, 4]))))
    return found


names = st.sampled_from(list(POINTS))
sources = st.sampled_from([Source.LIVE] * 8 + [Source.HISTORIC] * 3 + [Source.MANUAL, Source.CORRECTION, Source.SUBSTITUTE])
operations = st.one_of(
    *[st.tuples(st.just("store"), names, st.integers(0, 1), readings(), sources)] * 8,
    st.tuples(st.just("again"), names, st.integers(0, 1)),
    st.tuples(
        st.just("exchange"), names, odd_instants, st.one_of(st.none(), st.integers(0, units(600))), st.one_of(st.none(), st.integers(0, units(600)))
    ),
    st.tuples(st.just("factor"), st.sampled_from(["[]", '[["2026-03-01T00:00:00Z", "1.5"]]'])),
    st.tuples(st.just("zone"), st.sampled_from(["Europe/Prague", "UTC", "Asia/Kolkata", "America/New_York"])),
    st.tuples(st.just("year"), st.sampled_from(["01-01", "04-01"])),
    st.tuples(st.just("later"), st.integers(1, 40)),
    st.tuples(st.just("accept"), names, odd_instants),
    st.tuples(st.just("reject"), names, odd_instants, st.integers(1, 5 * civil.DAY)),
    st.tuples(st.just("enter"), names, odd_instants, st.integers(0, units(1000))),
    st.tuples(st.just("take_back"), st.integers(0, 3)),
    st.tuples(st.just("bill"), names, st.integers(2, 5)),
)


class History:
    """What happened to the stores of one folder so far."""

    def __init__(self, folder):
        self.stores, self.now, self.last = Stores(folder), END - 30 * civil.DAY, {}

    def step(self, operation, *arguments):
        getattr(self, operation)(*arguments)
        self.stores.run(self.now)
        self.stores.stands(self.now)
        assert not any(self.owed())

    def store(self, name, number, found, source):
        self.last[name, number] = found, source
        self.stores.store(name, number, found, source=source)

    def again(self, name, number):
        found, source = self.last.get((name, number), ([], Source.LIVE))
        if found:
            self.stores.store(name, number, [(t, value, due, 0) for t, value, due, _ in found], source=source)

    def exchange(self, name, at, end, start):
        at += 3  # off every reading and set day (SPEC 2.5)
        self.stores.assign(name, 0, 0, at, None, end)
        self.stores.assign(name, 1, at, None, start)

    def factor(self, written):
        parameters = POINTS["month"][2]
        text = str({**parameters, "factors": 0}).replace("'", '"').replace("0}", written + "}")
        self.stores.write(("UPDATE points SET parameters = ? WHERE id = 'month'", (text,)))

    def zone(self, zone):
        self.stores.write(("UPDATE properties SET zone = ?", (zone,)))

    def year(self, start):
        self.stores.write(("UPDATE properties SET year_start = ?", (start,)))

    def later(self, days):
        self.now += days * civil.DAY

    def accept(self, name, at):
        self.decide("accept", name, t=at)

    def reject(self, name, at, wide):
        self.decide("reject", name, t=at, until=at + wide)

    def enter(self, name, at, value):
        at += 5  # off every exchange, where two devices would share it
        self.decide("reading", name, t=at, value=value, src="manual", due=False, pinned=False)

    def take_back(self, which):
        if held := self.stores.registry.decisions.in_force():
            self.stores.registry.decisions.withdraw(held[which % len(held)].id, by="test", reason="test", now=self.now)

    def bill(self, name, month):
        zone = self.stores.registry.properties()[0].zone
        start, end = (civil.midnight(zone, date(2026, number, 1)) for number in (month, month + 1))
        if all(end <= one.details["start"] or one.details["end"] <= start for one in self.stores.registry.decisions.in_force("bill", point=name)):
            self.decide("bill", name, start=start, end=end, level="month", rows={})

    def decide(self, kind, name, **details):
        register = "" if kind == "bill" else POINTS[name][0]
        self.stores.registry.decisions.enter(kind, name, register, by="test", reason="test", now=self.now, details=details)

    def owed(self):
        """Of each bill of a counter: the months as they stand less what was billed and corrected since; all zero."""
        found = []
        for bill in self.stores.readings.bills().to_pylist():
            if self.stores.series()[bill["series"]].kind == "gauge":
                continue
            inside = (
                pl.col("level").eq(bill["level"]) & pl.col("start").is_between(bill["start"], bill["end"] - 1) & pl.col("series").eq(bill["series"])
            )
            rows, gone, corrections = (
                pl.from_arrow(table).filter(inside)
                for table in (
                    self.stores.readings.rollups([bill["series"]], bill["level"], bill["start"], bill["end"]),
                    self.stores.readings.history([bill["series"]]),
                    self.stores.readings.corrections([bill["series"]]),
                )
            )
            was = gone.filter(pl.col("state") == BILLED).sort("rev").group_by("start").first()
            was = pl.concat(
                [was.select("start", "value"), rows.join(was, on="start", how="anti").filter(pl.col("state") == BILLED).select("start", "value")]
            )
            found.append(rows["value"].sum() - was["value"].sum() - (corrections["new"].fill_null(0) - corrections["old"].fill_null(0)).sum())
        return found


@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(operations, min_size=2, max_size=12))
def test_any_history_equals_a_computation_from_scratch(operations):
    """After every batch, late reading, repetition, exchange, factor, zone, lapse of time and decision, rows, days and blocks are those of all readings at once."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        for operation in operations:
            history.step(*operation)
        history.stores.close()


@pytest.fixture
def history(tmp_path):
    """Stores with hourly readings of all points over the whole time, computed."""
    history = History(tmp_path)
    for name in POINTS:
        history.stores.store(
            name, 0, [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in range(DAYS * 24) if not gap(hour)]
        )
    history.now = END
    history.step("later", 0)
    yield history
    history.stores.close()


def gap(hour):
    """An outage of half a day and one of five days are not there at first."""
    return 700 <= hour < 712 or 1100 <= hour < 1220


def late(history, name, hours):
    """Readings that come late, at these hours."""
    history.stores.store(name, 0, [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in hours])


def computed(history, monkeypatch):
    """The windows of the next run."""
    seen = []

    def found(_registry, _batch, _result, windows, **_now):
        seen.extend({"series": one.series, "first": one.first, "beyond": one.beyond} for one in windows)

    monkeypatch.setattr("submeter.aggregate.findings.found", found)
    report = history.stores.run(history.now)
    history.stores.stands(history.now)
    return seen, report


@pytest.mark.parametrize("name", list(POINTS))
def test_an_outage_costs_its_days_only(history, monkeypatch, name):
    """Late readings of two outages are two windows of a series, a few days each, and nothing of any other series."""
    late(history, name, range(700, 712))
    late(history, name, range(1100, 1220))
    seen, _ = computed(history, monkeypatch)
    assert len(seen) == 2
    assert sum(window["beyond"] - window["first"] for window in seen) <= 15 * civil.DAY


def test_new_readings_cost_the_last_days_only(history, monkeypatch):
    """Readings after all others begin a window shortly before them."""
    late(history, "plain", range(DAYS * 24, DAYS * 24 + 30))
    history.now += 30 * civil.HOUR
    (window,), _ = computed(history, monkeypatch)
    assert END - window["first"] <= 3 * civil.DAY


def test_nothing_new_computes_nothing(history):
    """A run without a change computes no series and touches no row."""
    report = history.stores.run(history.now)
    assert (report.series, report.rows, report.blocks) == (0, 0, 0)


def test_an_exchange_of_one_point_computes_that_point(history):
    """A changed directory computes the series whose specification differs, with its reason in history."""
    history.exchange("plain", BASE + 30 * civil.DAY, None, None)
    assert history.stores.run(history.now).series == 1
    history.stores.stands(history.now)
    assert set(history.stores.readings.history(list(history.stores.series()))["reason"].to_pylist()) == {"exchange"}


def test_a_shift_by_an_odd_number_of_micro_units_moves_ties_of_the_tail(history):
    """Half micro units are rounded to the even index: the tail is computed anew if the use before it changes by an odd number (SPEC 12.2)."""
    history.stores.store("reset", 0, [(BASE + 705 * civil.HOUR, 0, False, 0)])
    history.stores.store("plain", 0, [(BASE + 705 * civil.HOUR, units(507) + 1, False, 0)])
    history.step("later", 0)


def test_a_point_that_was_out_of_the_directory_is_computed_whole(history):
    """Readings that came while a point could not be computed are not forgotten when it can be again."""
    history.stores.write("UPDATE points SET registers = 'energy' WHERE id = 'plain'")
    history.step("later", 0)
    late(history, "plain", range(700, 712))
    history.step("later", 0)
    history.stores.write("UPDATE points SET registers = 'volume' WHERE id = 'plain'")
    history.step("later", 0)


@pytest.mark.parametrize("name", list(POINTS))
def test_decisions_hold_in_every_window(history, monkeypatch, name):
    """What was rejected and entered counts so too where a late reading beside it has only some days computed anew."""
    history.stores.store(name, 0, [(BASE + 705 * civil.HOUR, units(510), False, 0)])
    history.step("reject", name, BASE + 705 * civil.HOUR, civil.HOUR)
    history.step("enter", name, BASE + 706 * civil.HOUR, units(507.06))
    late(history, name, (701, 708))
    seen, _ = computed(history, monkeypatch)
    assert seen[0]["first"] > BASE


@pytest.mark.parametrize("name", ["plain", "rated", "reset"])
def test_late_readings_after_a_bill_are_corrections(history, name):
    """Days inside a billed month that change leave a correction of the month; what is owed adds up, up and down, and after it is taken back."""
    history.step("bill", name, 3)
    for value in (units(509.575), units(509.589)):
        history.stores.store(name, 0, [(civil.midnight("Europe/Prague", date(2026, 4, 1)), value, False, 0)], source=Source.CORRECTION)
        history.step("later", 0)
    ((number, _),) = [one for one in history.stores.series().items() if one[1].point.id == name]
    assert len(set(history.stores.readings.corrections([number])["rev"].to_pylist())) == 2
    history.step("take_back", 0)
    assert not history.stores.readings.corrections([number]).num_rows


def test_rows_of_a_bill_that_is_taken_back_are_as_settled_as_time_makes_them(tmp_path):
    """A late reading that nobody has decided on leaves an open tail in a billed month: it is open, not final, when the bill is taken back."""
    history = History(tmp_path)
    hours = range(28 * 24)
    history.stores.store("plain", 0, [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in hours])
    history.step("later", 0)
    history.step("bill", "plain", 3)
    history.step("store", "plain", 0, [(BASE + 28 * civil.DAY + civil.HOUR, units(3), False, 0)], Source.LIVE)
    assert history.stores.readings.computed()[1]["since"] is not None
    history.step("take_back", 0)
    history.stores.close()
