"""The detectors of SPEC 14 at their edges: from when on each tells, what it leaves alone, what switches it off."""

import polars as pl
import pyarrow as pa
import pytest
import test_behaviour_events as stories
from test_behaviour_events import BASE, DAY, HOUR, LIMITS, MINUTE, POINT, hourly

from submeter import civil
from submeter.aggregate.commissioning import meter_states
from submeter.aggregate.watch import DETECTORS, INCOMPLETE, MEASURED, RANGES, TYPES, View, _dense, _nights, _running, _span
from submeter.reading import MICRO, QUALITIES, Register
from submeter.store import KINDS, READING, RECEPTION, Event, Message, Point
from submeter.store.registry_types import QUANTITIES

made, house = stories.made, stories.house


def limited(**changed):
    """Limits that differ from those of pipeline.toml."""
    return LIMITS.model_copy(update=changed)


def received(house, *rows):
    """Receptions as (device, gateway, days after the base)."""
    told = [
        {"device": device, "gateway": gateway, "day": civil.utc_date(BASE + days * DAY), "n": 1, "rssi_best": None} for device, gateway, days in rows
    ]
    house.readings.store(READING.empty_table(), pa.Table.from_pylist(told, schema=RECEPTION), 0)


# The table


def test_each_kind_has_one_detector():
    """Of kinds that there are; each begin of subjects is one that a detector of this kind has alone."""
    kinds = [one.kind for one in DETECTORS]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) < set(KINDS)
    assert {one.kind for one in DETECTORS if not one.nightly} == {"silent", "gateway_silent", "unknown_meter_heard", "meter_never_heard"}
    assert set(TYPES) == set(QUANTITIES)
    assert all(least < most for least, most in RANGES.values())
    assert (QUALITIES[MEASURED], QUALITIES[INCOMPLETE]) == ("measured", "incomplete")


# Silence


@pytest.mark.parametrize(
    ("heard", "limits", "patience"),
    [
        ([0, 60, 120, 180], {}, 3 * 60),
        ([0, 60, 120, 180], {"silent_intervals": 5}, 5 * 60),
        ([0, 1, 2, 3], {}, 60),
        ([0, 1, 2, 3], {"silent_min_minutes": 2}, 3),
        ([0, 10, 20, 240], {"silent_min_minutes": 1}, 3 * 10),
        ([0, 60, 120], {}, 3 * 24 * 60),
        ([0], {"unknown_interval_hours": 2}, 3 * 120),
    ],
)
def test_how_long_a_meter_may_be_silent(house, heard, limits, patience):
    """So many of its usual intervals, the median of three at least, and never less than the least time; of a meter not known well, of a day."""
    house.hear([(BASE + minute * MINUTE, number) for number, minute in enumerate(heard)])
    last = BASE + heard[-1] * MINUTE
    house.look(last + patience * MINUTE, limited(**limits), nightly=False)
    assert house.events("silent") == []
    house.look(last + patience * MINUTE + 1, limited(**limits), nightly=False)
    assert house.events("silent") == [(POINT, last, "open")]


def test_what_a_meter_said_at_another_place_is_no_silence(made):
    """A device that was heard before it was assigned here, and not since, is awaited and not silent."""
    house = made(since=BASE + DAY)
    house.hear(hourly(range(6)))
    house.look(BASE + 30 * DAY, nightly=False)
    assert house.events("silent") == []


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "0 min"),
        (1, "1 min"),
        (119, "119 min"),
        (120, "2 h"),
        (179, "2 h"),
        (48 * 60 - 1, "47 h"),
        (48 * 60, "2 days"),
        (71 * 60, "2 days"),
        (72 * 60, "3 days"),
    ],
)
def test_an_interval_in_words(minutes, text):
    """Minutes until two hours, hours until two days, days."""
    assert _span(minutes * MINUTE) == text


def test_who_was_never_heard_is_told_unless_that_is_switched_off(made):
    """After so many hours; 0 is never."""
    house = made(since=BASE)
    for hours, now, told in ((0, 99, 0), (5, 4, 0), (5, 5, 2)):
        house.look(BASE + now * HOUR, limited(never_heard_hours=hours), nightly=False)
        assert len(house.events("meter_never_heard", "open")) == told


def test_a_gateway_is_silent_after_three_of_its_gaps(house):
    """The mean of them since three days, and no sooner than the least time; switched off it is never told, and one that is not seen any more stays silent."""
    for minute in (0, 10, 20, 60):
        house.inbox.append([Message("test", b"", BASE + minute * MINUTE, gateway="cellar")])
    last = BASE + 60 * MINUTE
    for limits, after, told in (({}, 60 * MINUTE, 0), ({"gateway_silent_minutes": 0}, DAY, 0), ({}, 60 * MINUTE + 1, 1), ({}, 9 * DAY, 1)):
        house.look(last + after, limited(**limits), nightly=False)
        assert house.events("gateway_silent", "open") == [("gateway:cellar", last, "open")] * told


def test_strangers_are_counted_by_gateway_on_the_day_that_they_are_first_heard(house):
    """Those that the directory has are none; a day later they are none either."""
    received(
        house,
        ("XYZ-00000001-01-07", "cellar", 0),
        ("XYZ-00000002-01-07", "cellar", 0),
        ("XYZ-00000002-01-07", "attic", 0),
        (house.device(1), "cellar", 0),
    )
    received(house, ("XYZ-00000003-01-07", "attic", -1), ("XYZ-00000003-01-07", "attic", 0))
    house.look(BASE + 5 * HOUR, nightly=False)
    told = {event.subject: (event.at, event.detail) for event in house.registry.events.find("unknown_meter_heard")}
    assert {subject: at for subject, (at, _) in told.items()} == {"gateway:attic": BASE, "gateway:cellar": BASE}
    assert [("2 devices" in told[subject][1], "1 devices" in told[subject][1]) for subject in sorted(told)] == [(False, True), (True, False)]
    house.look(BASE + DAY + HOUR, nightly=False)
    assert len(house.events("unknown_meter_heard")) == 2


# Devices


#: What a point measures, the type of its device (EN 13757-7), and whether that is another medium.
MEDIA = (
    ("cold_water", 0x07, False), ("cold_water", 0x16, False), ("cold_water", 0x17, False), ("cold_water", 0x06, True), ("cold_water", 0x15, True),
    ("hot_water", 0x06, False), ("hot_water", 0x07, False), ("hot_water", 0x15, False), ("hot_water", 0x16, False), ("hot_water", 0x04, True),
    ("heat", 0x04, False), ("heat", 0x0C, False), ("heat", 0x0D, False), ("heat", 0x0A, True), ("heat", 0x08, True),
    ("cooling", 0x0A, False), ("cooling", 0x0B, False), ("cooling", 0x0D, False), ("cooling", 0x04, True),
    ("heat_allocation", 0x08, False), ("heat_allocation", 0x07, True),
    ("energy", 0x02, False), ("energy", 0x07, True),
    ("cold_water", 0x03, False), ("energy", 0x00, False), ("heat", 0x37, False), ("heat_allocation", 0x1B, False),
)  # fmt: skip


def test_which_types_of_devices_measure_what(house):
    """A type that measures something else is told; one that measures nothing of all this says nothing."""
    devices = [f"SIM-{number:08}-02-{kind:02X}" for number, (_, kind, _) in enumerate(MEDIA, 10)]
    with house.registry.writing() as db:
        for device, (quantity, *_) in zip(devices, MEDIA, strict=True):
            db.execute("INSERT INTO points VALUES (?, 'b', NULL, ?, '', 'volume', '{}')", (device, quantity))
            db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 1)", (device,))
            db.execute("INSERT INTO assignments VALUES (?, ?, ?, NULL, NULL, NULL)", (device, device, BASE))
    house.look(BASE)
    wrong = {f"device:{device}" for device, (*_, told) in zip(devices, MEDIA, strict=True) if told}
    assert {subject for subject, *_ in house.events("wrong_medium")} == wrong


@pytest.mark.parametrize(
    ("other", "clash", "medium"),
    [
        ("ABC-00000001-01-16", 1, 0),
        ("ABC-00000001-01-04", 1, 0),
        ("SIM-00000001-02-16", 1, 0),
        ("SIM-00000001-01-04", 0, 1),
        ("SIM-00000008-01-16", 0, 0),
    ],
)
def test_who_else_is_heard_under_a_number(house, other, clash, medium):
    """Another maker, or the same one's other version: a clash; the same maker's other type: the directory is wrong."""
    received(house, (other, "gw", 0), (house.device(0), "gw", 0))
    house.look(BASE)
    assert [subject for subject, *_ in house.events("id_clash", "open")] == [f"device:{house.device(1)}"] * clash
    assert [subject for subject, *_ in house.events("wrong_medium", "open")] == [f"device:{house.device(1)}"] * medium


def test_a_register_in_two_units_is_told_by_tariff(house):
    """Two units of one register, not of two."""
    for register in (Register("energy", "kWh"), Register("energy", "MWh", 1), Register("volume", "m3"), Register("volume", "L")):
        house.readings.register_ids([(house.device(1), register)])
    house.look(BASE)
    assert [(event.subject, event.at) for event in house.registry.events.find("unit_change")] == [(f"device:{house.device(1)}", 0)]
    assert "volume in L and in m3" in house.registry.events.find("unit_change")[0].detail


def test_how_many_meters_are_in_each_state(made):
    """The first state that holds counts, told of the device or of its point; a meter that is not assigned now counts in none."""
    house = made(flats=4)
    raised = house.registry.events.raise_
    raised("silent", "point:p1/volume", BASE, now=BASE)
    raised("key_missing", f"device:{house.device(1)}", BASE, now=BASE)
    raised("silent", "point:p2/volume", BASE, now=BASE)
    raised("wrong_key", f"device:{house.device(3)}", BASE, now=BASE)
    raised("silent", "point:p9/volume", BASE, now=BASE)
    closed = raised("silent", "point:p4/volume", BASE, now=BASE)
    house.registry.events.close(closed.id, by="eva", decision="seen", now=BASE)
    assert meter_states(house.registry, BASE) == {"ok": 2, "never_heard": 0, "no_key": 1, "wrong_key": 1, "silent": 1}
    with house.registry.writing() as db:
        db.execute("UPDATE assignments SET until = ? WHERE point = 'p2'", (BASE,))
    assert meter_states(house.registry, BASE) == {"ok": 2, "never_heard": 0, "no_key": 1, "wrong_key": 1, "silent": 0}


# Rows


def gauges(house, values):
    """Hourly readings of gauges of the flat, in micro units."""
    with house.registry.writing() as db:
        db.execute("UPDATE points SET registers = ? WHERE id = 'p1'", (" ".join(["volume", *values]),))
    rows = []
    for number, (name, value) in enumerate(values.items()):
        register = house.readings.register_ids([(house.device(1), Register(name, "x"))])[house.device(1), Register(name, "x")]
        rows += [(register, BASE + hour * HOUR, value, 2, 0, False, False, 2 * number + hour, "now", "received") for hour in range(2)]
    house.readings.store(
        pa.Table.from_pylist([dict(zip(READING.names, row, strict=True)) for row in rows], schema=READING), RECEPTION.empty_table(), 0
    )
    house.roll(BASE + DAY)
    house.look(BASE + DAY)
    return {event.subject.removeprefix("point:p1/"): event.detail for event in house.registry.events.find("out_of_range")}


@pytest.mark.parametrize("end", [0, 1])
def test_a_gauge_may_show_its_bounds(made, end):
    """Each register of the table at one of its ends; a millionth more is out of range, and the value is told."""
    assert gauges(made(), {name: bounds[end] * MICRO for name, bounds in RANGES.items()}) == {}
    told = gauges(made(), {name: bounds[end] * MICRO + 2 * end - 1 for name, bounds in RANGES.items()})
    assert set(told) == set(RANGES)
    assert f"shows {'100.000001' if end else '-0.000001'} x: check the sensor" in told["humidity"]


def test_what_has_no_bounds_is_never_out_of_range(house):
    """A power may be anything."""
    assert gauges(house, {"power": -(10**15), "humidity": 50 * MICRO}) == {}


#: Days that the index moved on before the still month, whether the other meter moves, days since the last reading, and whether it is stuck.
STILL = ((14, True, 0, 1), (13, True, 0, 0), (20, False, 0, 0), (20, True, 4, 0))


@pytest.mark.parametrize(("moved", "others", "silent", "stuck"), STILL)
def test_when_an_index_is_stuck(made, moved, others, silent, stuck):
    """It moved on fourteen of the days before, others of its kind in the house move, and it is heard all the same."""
    house, start = made(flats=2), BASE - HOUR
    house.hear([(start + day * DAY, min(day, moved) * 100) for day in range(moved + 12 - silent)])
    house.hear([(start + day * DAY, day * 100 * others) for day in range(moved + 12)], flat=2)
    now = start + (moved + 11) * DAY
    house.roll(now)
    house.look(now, limited(stuck_days=10))
    assert house.events("stuck") == [(POINT, start + moved * DAY, "open")] * stuck


def test_a_stuck_index_stays_so_while_nothing_moves(made):
    """Neither it nor the house: the event is open from its begin on until the index goes on."""
    house, start, limits = made(flats=2), BASE - HOUR, limited(stuck_days=10)
    house.hear([(start + day * DAY, min(day, 20) * 100) for day in range(55)])
    house.hear([(start + day * DAY, min(day, 32) * 100) for day in range(55)], flat=2)
    for day in (31, 54):
        house.roll(start + day * DAY)
        house.look(start + day * DAY, limits)
        assert (POINT, start + 20 * DAY, "open") in house.events("stuck", "open")
    house.hear([(start + 55 * DAY, 2001)])
    house.roll(start + 56 * DAY)
    house.look(start + 56 * DAY, limits)
    assert POINT not in [subject for subject, *_ in house.events("stuck", "open")]


@pytest.mark.parametrize(
    ("main", "subs", "tolerance", "told"),
    [(0, (0, 0), 20, 0), (0, (1, 0), 20, 1), (100, (60, 20), 20, 0), (100, (60, 19), 20, 1), (100, (0, 0), 0, 0)],
)
def test_sums_that_differ_by_more_than_the_tolerance(made, main, subs, tolerance, told):
    """Of what the building's meter counts; none at all where that is nothing; a tolerance of 0 switches it off."""
    house = made(flats=2)
    start, end = civil.instant("2023-12-31T23:00:00Z"), civil.instant("2024-01-31T23:00:00Z")
    for flat, litres in enumerate((main, *subs)):
        house.hear([(start, 0), (end, litres)], flat=flat)
    house.roll(end + DAY)
    house.look(end + DAY, limited(sum_tolerance_percent=tolerance))
    assert [(event.subject, event.amount) for event in house.registry.events.find("sum_mismatch")] == [
        ("point:p0/volume", (main - sum(subs)) * 1000)
    ] * told


# Nights


def hours(*rows):
    """Hours as (instant, litres, quality) of series 1."""
    return pl.DataFrame(
        [(1, civil.instant(t), litres * 1000, quality) for t, litres, quality in rows], schema=["series", "start", "value", "quality"], orient="row"
    )


@pytest.mark.parametrize(
    ("rows", "night"),
    [
        ([("2024-01-10T01:00Z", 9, 0), ("2024-01-10T02:00Z", 7, 0), ("2024-01-10T03:00Z", 8, 0)], ("2024-01-10T01:00Z", 7, True)),
        (
            [("2024-01-10T00:00Z", 0, 0), ("2024-01-10T01:00Z", 9, 0), ("2024-01-10T02:00Z", 7, 0), ("2024-01-10T04:00Z", 0, 0)],
            ("2024-01-10T01:00Z", 7, True),
        ),
        ([("2024-01-10T01:00Z", 9, 0), ("2024-01-10T02:00Z", 7, 1), ("2024-01-10T03:00Z", 8, 0)], ("2024-01-10T01:00Z", 7, False)),
        ([("2024-01-10T01:00Z", 9, 0)], ("2024-01-10T01:00Z", 9, False)),
        ([("2024-03-31T01:00Z", 9, 0), ("2024-03-31T02:00Z", 8, 0)], ("2024-03-31T01:00Z", 8, True)),
        (
            [("2024-10-27T00:00Z", 6, 0), ("2024-10-27T01:00Z", 9, 0), ("2024-10-27T02:00Z", 8, 0), ("2024-10-27T03:00Z", 8, 0)],
            ("2024-10-27T00:00Z", 6, True),
        ),
    ],
)
def test_a_night_is_from_two_to_five_local_time(rows, night):
    """Its least hour counts, and it is sure if all of its hours were measured; the nights of a change of the clock have an hour less or more."""
    begin, litres, sure = night
    assert _nights(hours(*rows), "Europe/Prague") == {1: [(civil.instant(begin), litres * 1000, sure)]}


def night(number, litres=6, *, sure=True):
    """One night's least use of an hour."""
    return BASE + number * DAY, litres * 1000, sure


#: Nights that are known, whether a leak is open since night -5, and since which night one is there.
NIGHTS = {
    "three in a row": ([night(0), night(1), night(2)], False, 0),
    "two": ([night(0), night(1)], False, None),
    "the last three count": ([night(0, 0), night(1), night(2), night(3)], False, 1),
    "one below": ([night(0), night(1, 5), night(2)], False, None),
    "at the limit": ([night(0, 5), night(1, 5), night(2, 5)], False, None),
    "one not sure": ([night(0), night(1, sure=False), night(2)], False, None),
    "not in a row": ([night(0), night(1), night(3)], False, None),
    "it goes on": ([night(2)], True, -5),
    "it goes on unheard": ([], True, -5),
    "it goes on unsure": ([night(1), night(2, 0, sure=False)], True, -5),
    "it ended": ([night(1), night(2, 5)], True, None),
}


@pytest.mark.parametrize("case", NIGHTS)
def test_since_when_water_runs(case):
    """So many sure nights in a row above the limit begin a leak, which lasts until a sure night without."""
    nights, goes_on, since = NIGHTS[case]
    leak = Event(1, "leak", POINT, BASE - 5 * DAY, None, 0, 0, 1, 9000, "", "open", None, None, "")
    view = View(None, None, None, LIMITS, BASE + 4 * DAY, {("leak", POINT): leak} if goes_on else {})
    found = _running(view, POINT, Point("p1", "b", "u", "cold_water", "Kitchen", ("volume",), {}), "UTC", nights, 5000)
    assert (found and found.at) == (None if since is None else BASE + since * DAY)
    if found:
        assert found.amount == (9000 if goes_on else 6000)
        assert f"Kitchen all night since {civil.utc_date(found.at)}, at least" in found.detail


@pytest.mark.parametrize(
    ("parameters", "dense"), [({}, True), ({"max_gap": "PT3H"}, True), ({"max_gap": "PT181M"}, False), ({"max_gap": "often"}, False)]
)
def test_whose_hours_tell_of_the_night(parameters, dense):
    """Points that are read every three hours at least; one whose parameters cannot be read tells nothing."""
    assert _dense(Point("p", "b", None, "heat", "", ("volume",), parameters)) is dense


def test_what_goes_on_is_written_once_a_day_or_when_it_changes(house):
    """Not each time that somebody looks."""
    house.hear([(BASE, 0)])
    for after, seen in ((5 * HOUR, 5 * HOUR), (DAY, 5 * HOUR), (5 * HOUR + DAY - 1, 5 * HOUR), (5 * HOUR + DAY, 5 * HOUR + DAY)):
        house.look(BASE + after, limited(unknown_interval_hours=1), nightly=False)
        (event,) = house.registry.events.find("silent")
        assert (event.at, event.state, event.seen) == (BASE, "open", BASE + seen)
    house.registry.events.raise_("silent", POINT, BASE, now=BASE, amount=7)
    house.look(BASE + 6 * HOUR + DAY, limited(unknown_interval_hours=1), nightly=False)
    assert house.registry.events.one(event.id).amount is None
