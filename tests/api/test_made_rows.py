"""Rows that are made by hand, on their way to an answer: sums of several meters, parts at the edges of what is visible, ranges, and the words of ESPI."""

import re
from dataclasses import replace

import numpy as np
import pytest

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.api.bulk_stretch import Stretch
from submeter.api.consumption import Shown, answer
from submeter.api.espi import espi
from submeter.api.parts import CUT, seen_of
from submeter.api.periods import MOST_POINTS, instant_of, period
from submeter.api.problems import Invalid, TooFine
from submeter.reading import FLAGS, LEVELS, QUALITIES, STATES, Register
from submeter.store import Block, Published, PublishedSeries
from submeter.store.published import NULL, POINT, Parts
from submeter.store.registry_types import Point, Property, Unit, Visible

DAY, MONTH = LEVELS.index("day"), LEVELS.index("month")
HOUSE = Property("b", "m", "House", "UTC", "01-01", "hour")
SEEN = SeenUnit(Unit("u", "b", "Flat", ""), HOUSE, Visible("u", None, None, "hour"))
NOW = civil.instant("2024-07-01T12:00:00Z")
JANUARY, FEBRUARY, MARCH = (civil.instant(f"2024-0{month}-01T00:00:00Z") for month in (1, 2, 3))


def row(start, end, value=1_000_000, **more):
    """A row, measured and final unless said otherwise."""
    made = np.zeros(1, POINT)
    said = {
        "start": start,
        "end": end,
        "value": value,
        "lo": value,
        "hi": value,
        "n": 1,
        "coverage": 10_000,
        "rev": 1,
        "state": STATES.index("final"),
    }
    for name, what in (said | more).items():
        made[name] = what
    return made


def shown(number, quantity="cold_water", register="volume", unit="m3", kind="total", **more):
    """A point with its series."""
    name = Register(register, unit)
    return Shown(
        Point(f"p{number}", "b", "u", quantity, f"room {number}", (str(name),), {}), PublishedSeries(number, f"p{number}", name, kind, "UTC", **more)
    )


@pytest.fixture
def published(tmp_path):
    """Empty tables."""
    with Published(tmp_path / "published.sqlite") as made:
        yield made


def january(published, *meters, by_meter=False, index=False, view="latest"):
    """The series of an answer of January by months; each meter has a row, or none."""
    series = [shown(number) for number, _ in enumerate(meters, 1)]
    blocks = [Block(number, MONTH, "2024", one) for number, one in enumerate(meters, 1) if one is not None]
    published.replace([one.series for one in series], blocks)
    asked = period("2024-01-01", "2024-02-01", "P1M", HOUSE, now=NOW)
    return answer(SEEN, asked, series, published, view=view, by_meter=by_meter, index=index)["series"]


def month(**more):
    """January's row."""
    return row(JANUARY, FEBRUARY, **more)


ESTIMATED, INCOMPLETE = (QUALITIES.index(name) for name in ("estimated", "incomplete"))


@pytest.mark.parametrize(
    ("meters", "point"),
    [
        (
            [month(), month(value=2_500_000)],
            {"value": 3.5, "lo": 3.5, "hi": 3.5, "quality": "measured", "coverage": 1, "flags": [], "state": "final", "rev": 1},
        ),
        ([month(), month(quality=ESTIMATED, lo=500_000, hi=1_500_000)], {"value": 2, "lo": 1.5, "hi": 2.5, "quality": "estimated"}),
        ([month(quality=ESTIMATED), month(quality=INCOMPLETE)], {"quality": "incomplete"}),
        ([month(), month(hi=NULL)], {"value": 2, "lo": 2, "hi": None}),
        ([month(), month(value=NULL, lo=0, hi=NULL)], {"value": None, "lo": 1, "hi": None}),
        ([month(), None], {"value": 1, "lo": 1, "hi": None, "quality": "incomplete", "coverage": 0.5, "flags": ["no_data"], "rev": 1}),
        (
            [None, None],
            {"value": None, "lo": None, "hi": None, "quality": "incomplete", "coverage": 0, "flags": ["no_data"], "state": "open", "rev": 0},
        ),
        ([month(coverage=9_999), month(coverage=5_000), month(coverage=5_000)], {"coverage": 0.6666}),
        ([month(flags=1), month(flags=4), month(flags=1)], {"flags": [FLAGS[0], FLAGS[2]]}),
        ([month(rev=3), month(rev=7)], {"rev": 7}),
        ([month(state=STATES.index("provisional")), month(state=STATES.index("billed"))], {"state": "provisional"}),
        ([month(state=STATES.index("open")), month()], {"state": "open"}),
    ],
)
def test_a_sum_is_as_good_as_its_worst_part(published, meters, point):
    """Values and bounds add up, what is not known of one is not known of all; quality and state are the worst, coverage the mean, the revision the newest."""
    (series,) = january(published, *meters)
    assert {name: series["points"][0][name] for name in point} == point
    assert (series["meter"], series["label"]) == (None, None)


def test_one_meter_is_answered_with_its_own_name_and_index(published):
    """Asked by meter each has its label; the index at both ends where it is asked for, not of a sum."""
    meters = [month(index_start=7_000_000, index_end=8_000_000), month(value=0)]
    first, second = january(published, *meters, by_meter=True, index=True)
    assert [(one["meter"], one["label"], one["points"][0]["value"]) for one in (first, second)] == [("p1", "room 1", 1), ("p2", "room 2", 0)]
    assert (first["points"][0]["index_start"], first["points"][0]["index_end"]) == (7, 8)
    (both,) = january(published, *meters, index=True)
    assert "index_end" not in both["points"][0]


@pytest.mark.parametrize(
    ("view", "value"),
    [("latest", 3), ("billed", 2), (1, 1), (2, 2), (3, 3), (9, 3)],
)
def test_a_view_is_the_row_as_it_stood(published, view, value):
    """The newest, the billed one, or the newest up to a revision."""
    billed, final = STATES.index("billed"), STATES.index("final")
    old = np.concatenate([month(value=1_000_000, rev=1), month(value=2_000_000, rev=2, state=billed)])
    series = shown(1)
    published.replace([series.series], [Block(1, MONTH, "2024", month(value=3_000_000, rev=3, state=final))], [Block(1, MONTH, "2024", old)])
    asked = period("2024-01-01", "2024-02-01", "P1M", HOUSE, now=NOW)
    assert answer(SEEN, asked, [series], published, view=view, by_meter=False, index=False)["series"][0]["points"][0]["value"] == value


@pytest.mark.parametrize(
    ("last", "until", "complete"),
    [
        ([FEBRUARY, MARCH], None, "2024-02-01T00:00:00+00:00"),
        ([MARCH, None], None, None),
        ([], None, None),
        ([MARCH], FEBRUARY, "2024-02-01T00:00:00+00:00"),
        ([JANUARY], FEBRUARY, "2024-01-01T00:00:00+00:00"),
    ],
)
def test_an_answer_is_complete_until_its_oldest_last_reading(published, last, until, complete):
    """Unknown where one of the series has none; never later than what is visible."""
    series = [shown(number, last_t=at) for number, at in enumerate(last, 1)]
    seen = replace(SEEN, visible=replace(SEEN.visible, until=until))
    asked = period("2024-01-01", "2024-02-01", "P1M", HOUSE, now=NOW)
    assert answer(seen, asked, series, published, view="latest", by_meter=False, index=False)["complete_until"] == complete


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [(0, 10, 1, 0), (10, 20, 1, 0), (20, 30, 1, 0)]),
        (10, None, [(10, 20, 1, 0), (20, 30, 1, 0)]),
        (None, 20, [(0, 10, 1, 0), (10, 20, 1, 0)]),
        (14, None, [(14, 20, 6, CUT), (20, 30, 1, 0)]),
        (None, 14, [(0, 10, 1, 0), (10, 14, 4, CUT)]),
        (14, 17, []),
        (12, None, [(20, 30, 1, 0)]),
        (10, 10, []),
        (30, None, []),
        (None, 0, []),
    ],
)
def test_what_is_seen_of_rows(published, since, until, expected):
    """Rows inside what is visible; of one over its edge the part that ends there, with the flag, the state and the revision of the whole; never the whole."""
    at = [JANUARY + days * civil.DAY for days in range(31)]
    rows = np.concatenate([row(at[start], at[start + 10], rev=5) for start in (0, 10, 20)])
    halves = np.concatenate([row(at[10], at[14], 4_000_000, rev=0, state=0), row(at[14], at[20], 6_000_000, rev=0, state=0)])
    published.replace([shown(1).series], [], parts=[Parts(1, DAY, "2024-01", at[10], at[20], halves)])
    visible = Visible("u", None if since is None else at[since], None if until is None else at[until], "hour")
    seen = seen_of(rows, 1, "day", replace(SEEN, visible=visible), published)
    assert [
        ((one["start"] - JANUARY) // civil.DAY, (one["end"] - JANUARY) // civil.DAY, one["value"] // 1_000_000, one["flags"]) for one in seen
    ] == expected
    assert {(int(one["rev"]), int(one["state"])) for one in seen} <= {(5, STATES.index("final"))}
    older = seen_of(rows, 1, "day", replace(SEEN, visible=visible), published, newest=False)
    assert not any(one["flags"] & CUT for one in older)


@pytest.mark.parametrize(
    ("start", "end", "resolution", "edges", "cut"),
    [
        ("2024-01-01", "2024-01-03", "P1D", ["01-01", "01-02", "01-03"], []),
        ("2024-01-01T06:00:00Z", "2024-01-02T06:00:00Z", "P1D", ["01-01", "01-02", "01-03"], []),
        ("2024-01-15", "2024-02-15", "P1M", ["01-10", "02-01", "03-01"], ["01-10"]),
        ("2024-01-01", "2024-01-12", "P1D", ["01-10", "01-11", "01-12"], []),
        ("2024-05-30", "2024-06-30", "P1M", ["05-01", "06-01", "06-10"], ["06-01"]),
        ("2024-01-01", "2024-01-05", "P1D", ["01-10"], []),
        ("2024-08-01", "2024-08-02", "P1D", ["06-10"], []),
    ],
)
def test_buckets_of_a_range(start, end, resolution, edges, cut):
    """Those that touch it, as wholes; no more than from 10 January to 10 June is visible, and buckets over these edges are cut."""
    bounded = edges[0] != "01-01" or len(edges) < 3
    visible = Visible("u", civil.instant("2024-01-10T00:00:00Z"), civil.instant("2024-06-10T00:00:00Z"), "hour") if bounded else None
    found = period(start, end, resolution, HOUSE, now=NOW, visible=visible)
    if len(edges) > 1:
        assert [civil.iso(int(at))[5:10] for at in found.edges] == edges
    assert len(found.edges) == len(edges)
    assert [civil.iso(at)[5:10] for at in found.cut] == cut
    assert found.next is None


def test_a_bucket_that_is_cut_begins_by_itself_elsewhere():
    """Where it is seen to begin, and where it does."""
    since = civil.instant("2024-01-10T12:00:00Z")
    found = period("2024-01-01", "2024-03-01", "P1M", HOUSE, now=NOW, visible=Visible("u", since, None, "hour"))
    assert found.cut == {since: JANUARY}
    assert found.starts == [JANUARY, FEBRUARY]


def test_buckets_that_have_not_begun_are_none():
    """The present one is the last; of a range to come there are none."""
    assert civil.iso(int(period("2024-06-30", "2024-08-01", "P1D", HOUSE, now=NOW).edges[-1]))[:10] == "2024-07-02"
    assert len(period("2024-07-02", "2024-08-01", "P1D", HOUSE, now=NOW).edges) == 1


@pytest.mark.parametrize(("end", "taken"), [("2024-01-05", True), ("2024-01-06", False)])
def test_five_years_are_the_longest_range(end, taken):
    """Of 366 days each, to the day; what is to come of a range does not count."""
    if taken:
        assert len(period("2019-01-01", end, "P1M", HOUSE, now=NOW).edges) == 62
    else:
        with pytest.raises(Invalid):
            period("2019-01-01", end, "P1M", HOUSE, now=NOW)
    assert period("2020-01-01", "2099-01-01", "P1Y", HOUSE, now=NOW).next is None


def test_a_long_range_goes_on():
    """Ten thousand buckets, then where the next one begins."""
    found = period("2023-01-01", "2024-07-01", "PT1H", HOUSE, now=NOW)
    assert len(found.edges) == MOST_POINTS + 1
    assert found.next == found.edges[-1] == civil.instant("2023-01-01T00:00:00Z") + MOST_POINTS * civil.HOUR


@pytest.mark.parametrize(
    ("finest", "allowed"), [("hour", ["PT1H", "P1D", "P1M", "P1Y"]), ("day", ["P1D", "P1M", "P1Y"]), ("month", ["P1M", "P1Y"]), ("year", ["P1Y"])]
)
def test_no_finer_than_the_house_shows(finest, allowed):
    """What is finer is refused, not made coarser."""
    for resolution in ("PT1H", "P1D", "P1M", "P1Y"):
        try:
            period("2024-01-01", "2024-01-02", resolution, replace(HOUSE, finest=finest), now=NOW)
        except TooFine:
            assert resolution not in allowed
        else:
            assert resolution in allowed


@pytest.mark.parametrize(
    ("start", "end", "parameter"),
    [
        ("2024-01-02", "2024-01-02", "to"),
        ("2024-01-02", "2024-01-01", "to"),
        ("2019-01-01", "2024-01-08", "from"),
        ("2024-13-01", "2024-01-02", "from"),
        ("2024-01-01", "soon", "to"),
        ("20240101", "2024-01-02", "from"),
        ("2024-01-01T00:00:00", "2024-01-02", "from"),
        ("0001-01-01", "0001-01-02", "from"),
    ],
)
def test_ranges_that_are_refused(start, end, parameter):
    """Reversed, empty, over five years, unreadable, without an offset, before all calendars: by the parameter."""
    with pytest.raises(Invalid) as refused:
        period(start, end, "P1D", HOUSE, now=NOW)
    assert refused.value.errors[0]["parameter"] == parameter


@pytest.mark.parametrize(
    ("text", "zone", "at"),
    [
        ("2024-03-31", "Europe/Prague", "2024-03-30T23:00:00Z"),
        ("2024-07-01", "Europe/Prague", "2024-06-30T22:00:00Z"),
        ("2024-07-01T00:00:00+02:00", "UTC", "2024-06-30T22:00:00Z"),
        ("2024-07-01T00:00:00Z", "Europe/Prague", "2024-07-01T00:00:00Z"),
        ("2024-04-26", "Africa/Cairo", "2024-04-25T22:00:00Z"),
    ],
)
def test_instants_of_a_query(text, zone, at):
    """A date is its first local instant, also where the clocks are changed at midnight; an instant is its own."""
    assert instant_of("from", text, zone) == civil.instant(at)


HOURLY, DAILY = (JANUARY, JANUARY + civil.HOUR), (JANUARY, JANUARY + civil.DAY)


@pytest.mark.parametrize(
    ("quantity", "register", "unit", "kind", "span", "service", "said"),
    [
        (
            "cold_water",
            "volume",
            "m3",
            "total",
            HOURLY,
            2,
            {
                "commodity": 9,
                "uom": 42,
                "powerOfTenMultiplier": -6,
                "kind": 0,
                "accumulationBehaviour": 4,
                "dataQualifier": 12,
                "intervalLength": 3600,
                "timeAttribute": 7,
            },
        ),
        ("hot_water", "volume", "m3", "total", DAILY, 2, {"commodity": 9, "uom": 42, "intervalLength": 86400, "timeAttribute": 11}),
        (
            "heat",
            "energy",
            "kWh",
            "total",
            (JANUARY, FEBRUARY),
            5,
            {"commodity": 12, "uom": 72, "powerOfTenMultiplier": -3, "kind": 12, "intervalLength": None, "timeAttribute": 13},
        ),
        (
            "heat",
            "power",
            "kW",
            "gauge",
            HOURLY,
            5,
            {"commodity": 12, "uom": 38, "powerOfTenMultiplier": -3, "kind": 37, "accumulationBehaviour": 6, "dataQualifier": 2},
        ),
        ("heat", "flow", "m3/h", "gauge", HOURLY, 5, {"uom": 125, "powerOfTenMultiplier": -6, "kind": 155}),
        ("heat", "temperature_flow", "°C", "gauge", HOURLY, 5, {"uom": 23, "powerOfTenMultiplier": -6, "kind": 0}),
        (
            "cooling",
            "energy_cooling",
            "kWh",
            "total",
            (JANUARY, JANUARY + 366 * civil.DAY),
            6,
            {"commodity": 13, "uom": 72, "intervalLength": None, "timeAttribute": 0},
        ),
        ("heat_allocation", "hca", "hca", "total", DAILY, 5, {"commodity": 12, "uom": 0, "powerOfTenMultiplier": -6, "kind": 0}),
        ("energy", "energy_reactive", "kvarh", "total", HOURLY, 0, {"commodity": 1, "uom": 73, "powerOfTenMultiplier": -3, "kind": 12}),
        ("energy", "energy_apparent", "kVAh", "total", HOURLY, 0, {"uom": 71, "powerOfTenMultiplier": -3, "kind": 12}),
        ("energy", "power_reactive", "kvar", "gauge", HOURLY, 0, {"uom": 63, "kind": 37}),
        ("energy", "power_apparent", "kVA", "gauge", HOURLY, 0, {"uom": 61, "kind": 37}),
        ("energy", "voltage", "V", "gauge", HOURLY, 0, {"uom": 29, "powerOfTenMultiplier": -6, "kind": 54}),
        ("energy", "current", "A", "gauge", HOURLY, 0, {"uom": 5, "powerOfTenMultiplier": -6, "kind": 4}),
        ("energy", "frequency", "Hz", "gauge", HOURLY, 0, {"uom": 33, "powerOfTenMultiplier": -6, "kind": 15}),
    ],
)
def test_the_reading_types_of_espi(quantity, register, unit, kind, span, service, said):
    """Codes of NAESB REQ.21: unit of measure, power of ten of a micro unit, commodity, kind, length of the interval; the service of the usage point."""
    stretch = Stretch(SEEN, shown(1, quantity, register, unit, kind), row(*span))
    feed = b"".join(espi([stretch])).decode()
    fields = dict(re.findall(r"<(\w+)>(-?\d+)</\1>", feed[feed.index("<ReadingType") : feed.index("</ReadingType>")]))
    assert {name: fields.get(name) for name in said} == {name: None if code is None else str(code) for name, code in said.items()}
    assert f"<ServiceCategory><kind>{service}</kind></ServiceCategory>" in feed


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, 17),
        ({"quality": ESTIMATED}, 9),
        ({"quality": INCOMPLETE}, 10),
        ({"flags": 1 << FLAGS.index("substitute")}, 8),
        ({"flags": 1 << FLAGS.index("substitute"), "quality": ESTIMATED}, 8),
        ({"flags": 1}, 17),
    ],
)
def test_an_interval_of_espi(more, code):
    """Its quality, its length and start in seconds, and its value as it is kept."""
    feed = b"".join(espi([Stretch(SEEN, shown(1), row(*DAILY, 1_234_567, **more))])).decode()
    assert (
        f"<IntervalReading><ReadingQuality><quality>{code}</quality></ReadingQuality><timePeriod><duration>86400</duration><start>1704067200</start></timePeriod>"
        "<value>1234567</value></IntervalReading>"
    ) in feed


def test_what_is_not_known_is_no_interval_of_espi():
    """ESPI has no null: the row is left out, its block still spans it."""
    feed = b"".join(espi([Stretch(SEEN, shown(1), np.concatenate([row(*DAILY, NULL), row(DAILY[1], DAILY[1] + civil.DAY)]))])).decode()
    assert feed.count("<IntervalReading>") == 1
    assert "<interval><duration>172800</duration><start>1704067200</start></interval>" in feed
