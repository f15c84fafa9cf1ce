"""Parts of buckets: what former and next holder used of an hour, a day, a month, a year, by what is published beside the blocks."""

from itertools import pairwise

import numpy as np
import pytest
from stores import BASE, POINTS, Stores, units

from submeter import civil
from submeter.aggregate.classifier import classify
from submeter.aggregate.periods import samples_of, uses
from submeter.aggregate.retain import Limits
from submeter.reading import FLAGS, LEVELS, QUALITIES, Register

ZONE = "Europe/Prague"
HOUR, DAY, MINUTE = civil.HOUR, civil.DAY, civil.MINUTE
COUNTERS = ("plain", "rated", "month", "reset")
EXCHANGE = 1 << FLAGS.index("exchange")
ESTIMATED = QUALITIES.index("estimated")


def at(text):
    """The instant of local time."""
    return civil.to_utc(ZONE, civil.datetime.fromisoformat(text))


class Flat(Stores):
    """Stores whose points all belong to one flat."""

    def __init__(self, folder, points=tuple(POINTS)):
        super().__init__(folder, points)
        if not self.registry.units():
            self.write("INSERT INTO units (id, property, label, entrance) VALUES ('u', 'b', 'Flat', '')", "UPDATE points SET unit = 'u'")

    def move(self, *edges):
        """Who lives there changes at these instants, and never else."""
        spans = enumerate(pairwise([0, *edges, None]))
        rows = [("INSERT INTO occupancies (unit, since, until, name) VALUES ('u', ?, ?, ?)", (since, until, str(i))) for i, (since, until) in spans]
        self.write("DELETE FROM occupancies", *rows)

    def number(self, name):
        """The series of a point."""
        return next(number for number, one in self.series().items() if one.point.id == name)

    def parts(self, name, level):
        """The published parts of a level: (start, end, value)."""
        return [
            (int(one["start"]), int(one["end"]), int(one["value"])) for one in self.published.parts(self.number(name), LEVELS.index(level), "", "~")
        ]

    def stand(self, *names, since=0):
        """Assert that all parts are what the whole series' segments say between the same instants, that none is missing, and that they add up to the bucket."""
        cuts = self.registry.hand_overs().get("u", ())
        for name in names:
            number = self.number(name)
            series, readings = self.rollups.readings_of(name, str(Register(*POINTS[name][:2])))
            segments, gap = classify(samples_of(readings), series.spec).segments, series.spec.parameters.max_gap
            for level, word in enumerate(LEVELS):
                rows = self.readings.rollups([number], level, since, 2**62).to_pylist()
                published = {
                    (int(one["start"]), int(one["end"])): one for one in self.published.parts(number, level, "", "~") if one["start"] >= since
                }
                for row in rows:
                    edges = [row["start"], *(cut for cut in cuts if row["start"] < cut < row["end"]), row["end"]]
                    pieces = list(pairwise(edges)) if len(edges) > 2 else []
                    expected = {piece: next(uses(segments, piece, gap), None) for piece in pieces}
                    found = {piece: published.pop(piece, None) for piece in pieces}
                    for piece, use in expected.items():
                        assert (use is None) == (found[piece] is None), (name, word, piece)
                        if use:
                            said = {field: value for field, value in use._asdict().items() if field != "n"}
                            told = {field: None if int(found[piece][field]) == -(2**63) else int(found[piece][field]) for field in said}
                            assert told == said, (name, word, piece)
                    if pieces and row["value"] is not None:
                        assert sum(int(one["value"]) for one in found.values() if one is not None) == row["value"]
                assert since or not published, (name, word)


@pytest.fixture
def flat(tmp_path):
    """A flat with a point of each kind."""
    with_all = Flat(tmp_path)
    yield with_all
    with_all.close()


def hourly(flat, name, since, hours, *, step=0.25, first=100, minute=7, number=0):
    """Readings of a device each hour, at a minute of its own."""
    flat.store(name, number, [(since + i * HOUR + minute * MINUTE, units(first + i * step), False, 0) for i in range(hours)])


def test_the_example_of_the_flows(flat):
    """10.0 on 1 April, 14.0 at the hand-over on 11 April 12:00, 20.0 on 1 May: the former holder used 4, the next one 6."""
    april, over, may = at("2026-04-01T00:00"), at("2026-04-11T12:00"), at("2026-05-01T00:00")
    flat.move(over)
    flat.store("plain", 0, [(april, units(10), False, 0), (over, units(14), False, 0), (may, units(20), False, 0)])
    flat.run(may + DAY)
    assert flat.parts("plain", "month") == [(april, over, units(4)), (over, may, units(6))]
    year = at("2026-01-01T00:00"), at("2027-01-01T00:00")
    assert flat.parts("plain", "year") == [(year[0], over, units(4)), (over, year[1], units(6))]
    assert [(int(one["lo"]), int(one["hi"])) for one in flat.published.parts(flat.number("plain"), LEVELS.index("month"), "", "~")] == [
        (units(4), units(4)),
        (units(6), units(6)),
    ]
    flat.stand("plain")


@pytest.mark.parametrize(
    ("over", "cut"),
    [
        ("2026-03-10T12:20", "hour day month year"),
        ("2026-03-10T12:00", "day month year"),
        ("2026-03-10T00:00", "month year"),
        ("2026-03-01T00:00", "year"),
        ("2026-01-01T00:00", ""),
        ("2026-03-29T03:30", "hour day month year"),
        ("2026-03-29T03:00", "day month year"),
        ("2025-10-26T02:30", "hour day month year"),
        ("2025-10-26T23:59:59.999999", "hour day month year"),
    ],
)
def test_each_level_is_cut_where_a_hand_over_lies_inside_its_bucket(flat, over, cut):
    """Edges of hour, day, month and year cut nothing of their level; the days of both clock changes are cut as any other."""
    flat.move(at(over))
    for name in COUNTERS:
        hourly(flat, name, at("2025-10-20T00:00"), 24 * 200, step=0.013)
    flat.run(at("2026-05-20T00:00"))
    assert [level for level in LEVELS if flat.parts("plain", level)] == cut.split()
    flat.stand(*COUNTERS)


def test_without_a_reading_of_the_hand_over_the_parts_have_bounds_and_are_estimated(flat):
    """Between readings a month apart the use is shared by time, with the bounds that are sure; both parts say that they are estimated."""
    flat.move(at("2026-04-11T12:00"))
    flat.store("plain", 0, [(at("2026-04-01T00:00"), units(10), False, 0), (at("2026-05-01T00:00"), units(20), False, 0)])
    flat.run(at("2026-05-02T00:00"))
    former, following = flat.published.parts(flat.number("plain"), LEVELS.index("month"), "", "~")
    assert int(former["value"]) + int(following["value"]) == units(10)
    assert [(int(one["lo"]), int(one["hi"]), int(one["quality"])) for one in (former, following)] == [(0, units(10), ESTIMATED)] * 2
    flat.stand("plain")


def test_an_exchange_beside_a_hand_over_falls_to_the_holder_of_its_time(flat):
    """A meter exchanged on the day of the hand-over: each holder has what its meters counted, and the flag only where it happened."""
    over, swap = at("2026-04-11T12:00"), at("2026-04-11T15:00")
    flat.move(over)
    flat.assign("plain", 0, 0, swap, None, units(200))
    flat.assign("plain", 1, swap, None, units(5))
    flat.store("plain", 0, [(over - i * HOUR, units(190 - i * 0.25), False, 0) for i in range(24 * 20)])
    flat.store("plain", 1, [(swap + i * HOUR + MINUTE, units(5.5 + i * 0.25), False, 0) for i in range(24 * 30)])
    flat.run(swap + 31 * DAY)
    former, following = flat.published.parts(flat.number("plain"), LEVELS.index("day"), "", "~")
    assert [bool(int(one["flags"]) & EXCHANGE) for one in (former, following)] == [False, True]
    flat.stand("plain")


def test_late_readings_change_the_parts_even_where_the_bucket_stays(flat):
    """A reading inside the hour of the hand-over moves use from one holder to the other though no row changes."""
    over = at("2026-03-10T12:30")
    flat.move(over)
    hourly(flat, "plain", BASE, 24 * 40, minute=0)
    flat.run(BASE + 40 * DAY)
    before = flat.parts("plain", "hour")
    assert [value for *_, value in before] == [units(0.125), units(0.125)]
    start = at("2026-03-10T12:00")
    flat.store("plain", 0, [(over, units(100 + (start - BASE) // HOUR * 0.25 + 0.2), False, 0)])
    flat.run(BASE + 40 * DAY + HOUR)
    assert [value for *_, value in flat.parts("plain", "hour")] == [units(0.2), units(0.05)]
    flat.stand("plain")


def test_a_hand_over_entered_moved_and_removed_cuts_what_was_computed_before(flat):
    """The directory alone changes: the next run cuts the same rows anew, or leaves no part behind."""
    for name in COUNTERS:
        hourly(flat, name, BASE, 24 * 60, step=0.013)
    flat.run(BASE + 60 * DAY)
    assert not flat.parts("plain", "month")
    for cuts in ([at("2026-03-10T12:20")], [at("2026-03-10T12:20"), at("2026-03-10T18:00"), at("2026-04-01T00:00")], [at("2026-04-02T01:01")], []):
        flat.move(*cuts)
        version = flat.published.version()
        flat.run(BASE + 60 * DAY)
        assert flat.published.version() > version
        assert bool(flat.parts("plain", "day")) == bool(cuts)
        flat.stand(*COUNTERS)
    assert not flat.published.cuts()


def test_a_running_year_goes_on_with_its_parts(flat):
    """Day by day the part of the holder who lives there grows with the year, as far as there are readings, and the former holder's stays."""
    over = at("2026-03-10T12:20")
    flat.move(over)
    for day in range(12, 30, 2):
        for name in COUNTERS:
            hourly(flat, name, BASE + day * DAY, 48, step=0.25, first=100 + day * 6)
        flat.run(BASE + (day + 2) * DAY)
        flat.stand(*COUNTERS)


def test_rating_factors_and_entered_readings_count_in_parts(flat):
    """Where no days are kept, the whole series says what each part is."""
    over = at("2026-03-10T12:20")
    flat.move(over)
    flat.write(
        ("UPDATE points SET parameters = ? WHERE id = 'plain'", ('{"factors": [["2026-01-01T00:00:00Z", "1.5"], ["2026-03-10T06:00:00Z", "2"]]}',))
    )
    for name in ("plain", "rated"):
        hourly(flat, name, BASE, 24 * 40, step=0.01)
    flat.run(BASE + 40 * DAY)
    flat.stand("plain", "rated")
    details = {"t": over, "value": units(104.2), "src": "manual", "due": False, "pinned": True}
    flat.registry.decisions.enter("reading", "rated", "volume", by="t", reason="protocol", now=BASE, details=details)
    flat.run(BASE + 40 * DAY)
    flat.stand("plain", "rated")


def test_a_gauge_has_no_parts(flat):
    """A mean is nobody's use."""
    flat.move(at("2026-03-10T12:20"))
    hourly(flat, "gauge", BASE, 24 * 40)
    flat.run(BASE + 40 * DAY)
    assert not any(flat.parts("gauge", level) for level in LEVELS)


def test_retention_takes_the_parts_with_the_rows_and_leaves_the_others(flat):
    """Parts of hours go with the hours; those of months stay as they were published, though nothing could compute them again."""
    flat.move(BASE + 10 * DAY + 20 * MINUTE, BASE + 120 * DAY + 20 * MINUTE)
    hourly(flat, "plain", BASE, 24 * 130)
    flat.run(BASE + 130 * DAY)
    months = flat.parts("plain", "month")
    flat.rollups.retain(Limits(readings=60, hour=60), now=BASE + 130 * DAY)
    assert len(flat.parts("plain", "hour")) == 2
    flat.run(BASE + 130 * DAY, everything=True)
    assert flat.parts("plain", "month") == months
    flat.stand("plain", since=BASE + 100 * DAY)
    flat.write("DELETE FROM occupancies WHERE name = '2'")
    flat.run(BASE + 130 * DAY)
    assert flat.parts("plain", "month")[:2] == months[:2]


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_any_hand_overs_add_up_to_the_bucket(flat, seed):
    """Random readings with gaps, random hand-overs, late readings in between: parts are exact and add up after each run."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.choice(np.arange(0, 70 * 24 * 60), 900, replace=False)) * MINUTE + BASE
    values = np.cumsum(rng.integers(0, 400_000, 900)) + units(100)
    order = rng.permutation(900)
    flat.move(*sorted({int(one) for one in BASE + rng.integers(0, 70 * 24 * 60 * 2, 4) * (MINUTE // 2)}))
    for some in np.split(order, [500, 700, 880]):
        for name in ("plain", "month", "reset"):
            flat.store(name, 0, [(int(times[i]), int(values[i]), False, 0) for i in sorted(some)])
        flat.run(BASE + 71 * DAY)
        flat.stand("plain", "month", "reset")
