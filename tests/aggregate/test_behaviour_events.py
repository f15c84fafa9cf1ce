"""Behavioural cases H06 and H07 of the semantics, and the other events of SPEC 14, on real stores."""

from datetime import datetime

import pyarrow as pa
import pytest

from submeter import civil
from submeter.aggregate import Finality, Rollups, watch
from submeter.config import Events as Limits
from submeter.decoders import Profile
from submeter.ingest.drain import Drain, Known
from submeter.reading import LEVELS, MICRO, DeviceId, Register, Source
from submeter.simulate import encode
from submeter.store import READING, RECEPTION, Inbox, Message, Published, Readings, Registry
from submeter.store.inbox import REPLAY

HOUR, DAY, MINUTE = civil.HOUR, civil.DAY, civil.MINUTE
BASE = civil.instant("2024-01-10T00:00:00Z")
VOLUME = Register("volume", "m3")
LIMITS = Limits()


class House:
    """A building with one cold-water meter in each flat and one of its own; readings are written as the drain would."""

    def __init__(self, folder, flats=1, parameters="{}", since=BASE - 400 * DAY):
        self.registry, self.readings = Registry(folder / "registry.sqlite"), Readings(folder / "readings.duckdb")
        self.published, self.inbox = Published(folder / "published.sqlite"), Inbox(folder / "inbox.sqlite")
        self.rollups, self.seq = Rollups(self.readings, self.registry, self.published, Finality()), 0
        with self.registry.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c', 'One')")
            db.execute(
                "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'c', 'House', 'Europe/Prague', '01-01', 'hour')"
            )
            for flat in range(flats + 1):
                unit = f"u{flat}" if flat else None
                if unit:
                    db.execute("INSERT INTO units VALUES (?, 'b', ?, '')", (unit, str(flat)))
                db.execute("INSERT INTO points VALUES (?, 'b', ?, 'cold_water', '', 'volume', ?)", (f"p{flat}", unit, parameters))
                db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 1)", (self.device(flat),))
                db.execute("INSERT INTO assignments VALUES (?, ?, ?, NULL, NULL, NULL)", (f"p{flat}", self.device(flat), since))

    @staticmethod
    def device(flat):
        """The meter of a flat; 0 is the building's own."""
        return f"SIM-0000000{flat}-01-16"

    def hear(self, readings, flat=1, status=0):
        """Keep (instant, litres) as live readings of a flat's meter."""
        number = self.readings.register_ids([(self.device(flat), VOLUME)])[self.device(flat), VOLUME]
        rows = []
        for t, litres in readings:
            self.seq += 1
            rows.append((number, t, litres * 1000, int(Source.LIVE), status, False, False, self.seq, "now", "received"))
        day = civil.local_date("UTC", rows[0][1])
        heard = pa.Table.from_pylist(
            [{"device": self.device(flat), "gateway": "gw", "day": day, "n": len(rows), "rssi_best": None}], schema=RECEPTION
        )
        table = pa.Table.from_pylist([dict(zip(READING.names, row, strict=True)) for row in rows], schema=READING)
        self.readings.store(table, heard, 0)

    def roll(self, now, **more):
        """Roll up as of an instant."""
        return self.rollups.run(now=now, **more)

    def look(self, now, limits=LIMITS, **more):
        """Run the detectors as of an instant."""
        return watch(self.readings, self.registry, now, limits=limits, inbox=self.inbox, **more)

    def events(self, kind=None, state=None):
        """Subject, instant and state of events."""
        return [(event.subject, event.at, event.state) for event in self.registry.events.find(kind, None, state)]

    def rows(self, level="hour", flat=1):
        """Rows of a flat's meter."""
        number = next(number for key, number in self.readings.series().items() if key.point == f"p{flat}")
        return self.readings.rollups([number], LEVELS.index(level), 0, BASE * 2).to_pylist()

    def close(self):
        """Close the stores."""
        for store in (self.registry, self.readings, self.published, self.inbox):
            store.close()


@pytest.fixture
def made(tmp_path):
    """A maker of houses that closes them."""
    houses = []

    def make(**more):
        folder = tmp_path / str(len(houses))
        folder.mkdir()
        houses.append(House(folder, **more))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def house(made):
    """One flat."""
    return made()


POINT = "point:p1/volume"


def hourly(litres, start=BASE):
    """Readings on the hour."""
    return [(start + hour * HOUR, value) for hour, value in enumerate(litres)]


def test_h06_a_reading_from_the_future(house):
    """H06: at 12:00 a telegram says that it was heard at 14:00: no reading is accepted, the bytes are kept, `clock_drift` is raised."""
    noon, meter = civil.instant("2024-01-10T12:00Z"), DeviceId.parse(house.device(1))
    raw = encode.radio(meter, encode.plain(encode.bcd(b"\x13", 4711, 8), encode.Header()))
    drain = Drain(house.inbox, house.readings, house.registry, lambda _: Known(Profile(), "UTC"), clock=lambda: noon)
    house.inbox.append([Message("test", raw.hex().encode(), noon + 2 * HOUR, gateway="cellar", flags=REPLAY)])
    drain.step()
    assert house.readings.counts()["readings"] == 0
    assert [row.raw for row in house.inbox.quarantined()] == [raw]
    assert house.events() == [("gateway:cellar", noon, "open")]
    assert [event.kind for event in house.registry.events.find()] == ["clock_drift"]


def test_h06_a_stored_value_from_the_future(house):
    """H06: at 12:00 a meter stamps a stored value 14:00: the value is not accepted, the live one is, the message is kept, `clock_drift` is raised."""
    noon, meter = civil.instant("2024-01-10T12:00Z"), DeviceId.parse(house.device(1))
    slot = encode.Slot(storage=1)
    records = encode.bcd(b"\x13", 4711, 8) + encode.minute(datetime(2024, 1, 10, 14), slot) + encode.bcd(b"\x13", 4712, 8, slot)
    raw = encode.radio(meter, encode.plain(records, encode.Header()))
    drain = Drain(house.inbox, house.readings, house.registry, lambda _: Known(Profile(), "UTC"), clock=lambda: noon)
    (message,) = house.inbox.append([Message("test", raw.hex().encode(), noon, gateway="cellar")])
    drain.step()
    kept = house.readings.readings_of(list(house.readings.registers().values())).to_pylist()
    assert [(row["t"], row["value"]) for row in kept] == [(noon, 4_711_000)]
    assert [stored.payload for stored in house.inbox.messages([message])] == [raw.hex().encode()]
    assert [(event.kind, event.subject, event.state) for event in house.registry.events.find()] == [("clock_drift", f"device:{meter}", "open")]


def test_h07_silence(house):
    """H07: a meter expected every 60 min of which nothing came for 5 h raises `silent`; there are no new rows, the open hour stays incomplete."""
    house.hear([(BASE + hour * HOUR + 20 * MINUTE, hour) for hour in range(6)])
    last = BASE + 5 * HOUR + 20 * MINUTE
    house.roll(last)
    before = house.rows()
    house.look(last + 3 * HOUR)
    assert house.events("silent") == []
    house.roll(last + 5 * HOUR)
    house.look(last + 5 * HOUR)
    assert house.events("silent") == [(POINT, last, "open")]
    assert [(row["start"], row["value"]) for row in house.rows()] == [(row["start"], row["value"]) for row in before]
    assert (house.rows()[-1]["end"], house.rows()[-1]["quality"]) == (BASE + 6 * HOUR, 2)
    assert house.device(1) in house.registry.events.find("silent")[0].detail


def test_silence_ends_when_the_meter_is_heard_again(house):
    """The event closes by itself; another silence is another event."""
    house.hear(hourly(range(6)))
    house.look(BASE + 12 * HOUR)
    house.look(BASE + 13 * HOUR)
    house.hear(hourly([9], BASE + 14 * HOUR))
    house.look(BASE + 15 * HOUR)
    assert house.events("silent") == [(POINT, BASE + 5 * HOUR, "closed")]
    house.look(BASE + 20 * HOUR)
    assert house.events("silent", "open") == [(POINT, BASE + 14 * HOUR, "open")]


def test_meters_behind_a_silent_gateway_are_not_told(made):
    """Not while it is silent, if it alone hears them; then they are, from their own last reading. One that was silent before, or that others hear, is told."""
    house = made(flats=3)
    for flat in (1, 2, 3):
        house.hear(hourly(range(5 if flat == 2 else 8)), flat=flat)
    other = {"device": house.device(3), "gateway": "attic", "day": civil.local_date("UTC", BASE), "n": 1, "rssi_best": None}
    house.readings.store(READING.empty_table(), pa.Table.from_pylist([other], schema=RECEPTION), 0)
    house.inbox.append([Message("test", b"x", BASE + hour * HOUR, gateway="gw") for hour in range(8)])
    house.look(BASE + 7 * HOUR + 30 * MINUTE, nightly=False)
    assert house.events("silent") == [("point:p2/volume", BASE + 4 * HOUR, "open")]
    for hours in (12, 30):
        house.look(BASE + hours * HOUR, nightly=False)
        assert house.events("gateway_silent", "open") == [("gateway:gw", BASE + 7 * HOUR, "open")]
        assert house.events("silent", "open") == [("point:p2/volume", BASE + 4 * HOUR, "open"), ("point:p3/volume", BASE + 7 * HOUR, "open")]
    house.inbox.append([Message("test", b"x", BASE + 31 * HOUR, gateway="gw")])
    house.look(BASE + 31 * HOUR, nightly=False)
    assert ("point:p1/volume", BASE + 7 * HOUR, "open") in house.events("silent")


def test_the_interval_may_be_given_and_is_never_below_an_hour(made):
    """A point's expected_interval goes before what is learnt; a meter that sends each minute is silent after an hour at the earliest."""
    daily, often = made(parameters='{"expected_interval": "P1D"}'), made()
    daily.hear(hourly(range(6)))
    daily.look(BASE + 3 * DAY)
    assert daily.events("silent") == []
    daily.look(BASE + 4 * DAY)
    assert daily.events("silent") == [(POINT, BASE + 5 * HOUR, "open")]
    often.hear([(BASE + n * MINUTE, n) for n in range(10)])
    often.look(BASE + 65 * MINUTE)
    assert often.events("silent") == []
    often.look(BASE + 75 * MINUTE)
    assert len(often.events("silent")) == 1


def test_silence_of_months_stays_one_event(house):
    """A meter that was last heard longer ago than is looked keeps its event open."""
    house.hear(hourly(range(6)))
    for days in (1, 30, 100):
        house.look(BASE + days * DAY)
    assert house.events("silent") == [(POINT, BASE + 5 * HOUR, "open")]


def test_a_meter_that_was_never_heard(made):
    """A device assigned for a day and never received is told, until it is received."""
    house = made(since=BASE)
    house.look(BASE + 23 * HOUR)
    assert house.events() == []
    house.look(BASE + 24 * HOUR)
    assert house.events("meter_never_heard", "open") == [(f"device:{house.device(n)}", BASE, "open") for n in (0, 1)]
    house.hear([(BASE + 25 * HOUR, 1)])
    house.look(BASE + 25 * HOUR)
    assert house.events("meter_never_heard", "open") == [(f"device:{house.device(0)}", BASE, "open")]


def test_a_silent_gateway(house):
    """A gateway is silent after three of its gaps and at least ten minutes, whatever files are replayed; it ends with its next message."""

    def deliver(at, flags=0):
        house.inbox.append([Message("test", b"", at, gateway="cellar", flags=flags)])

    for n in range(4):
        deliver(BASE + n * 5 * MINUTE)
    last = BASE + 15 * MINUTE
    deliver(last + 14 * MINUTE, REPLAY)
    house.look(last + 15 * MINUTE)
    assert house.events("gateway_silent") == []
    house.look(last + 16 * MINUTE)
    house.look(last + 5 * DAY)
    assert house.events("gateway_silent") == [("gateway:cellar", last, "open")]
    deliver(last + 5 * DAY)
    house.look(last + 5 * DAY + MINUTE)
    assert house.events("gateway_silent", "open") == []


RATE = '{"max_rate_per_h": "0.01"}'


def test_a_held_step_is_a_task(made):
    """A jump that is not booked is an open task with its amount, its meter and what to do; computed again it is the same one."""
    house = made(parameters=RATE)
    house.hear(hourly([100, 103, 900, 901, 902]))
    house.roll(BASE + DAY)
    (task,) = house.registry.events.find("suspect_jump")
    assert (task.subject, task.at, task.amount, task.state) == (POINT, BASE + 2 * HOUR, 797_000, "open")
    assert all(text in task.detail for text in (house.device(1), "0.797 m3", "enter the exchange in the directory"))
    house.roll(BASE + 2 * DAY, everything=True)
    assert house.registry.events.find("suspect_jump") == [task]


def test_a_task_that_holds_no_longer_closes(made):
    """A late reading that shows the jump to be a spike closes the task, and tells of the spike."""
    house = made(parameters=RATE)
    house.hear(hourly([100, 103, 900, 901, 902]))
    house.roll(BASE + DAY)
    house.hear([(BASE + 2 * HOUR + 30 * MINUTE, 104)])
    house.roll(BASE + 2 * DAY)
    (task,) = (event for event in house.registry.events.find("suspect_jump") if event.at == BASE + 2 * HOUR)
    assert (task.state, task.decision, task.decided_by) == ("closed", "gone", None)
    (spike,) = house.registry.events.find("spike")
    assert (spike.at, spike.count, spike.state) == (BASE - HOUR, 1, "closed")


def test_an_undecided_tail_is_a_task_until_it_is_decided(made):
    """`pending` is open from the last sure reading on, and closes when more readings decide."""
    house = made(parameters=RATE)
    house.hear(hourly([100, 103, 900]))
    house.roll(BASE + DAY)
    assert house.events("pending") == [(POINT, BASE + HOUR, "open")]
    house.hear(hourly([104], BASE + 3 * HOUR))
    house.roll(BASE + DAY)
    assert house.events("pending") == [(POINT, BASE + HOUR, "closed")]


def test_a_decision_stands(made):
    """What an operator closed is not opened by the next computation."""
    house = made(parameters=RATE)
    house.hear(hourly([100, 103, 50, 51, 52]))
    house.roll(BASE + DAY)
    (task,) = house.registry.events.find("suspect_exchange", state="open")
    house.registry.events.close(task.id, by="jan", decision="accepted", now=BASE + DAY)
    house.roll(BASE + 2 * DAY, everything=True)
    assert house.registry.events.find("suspect_exchange")[0].decided_by == "jan"


def test_dropped_readings_are_one_event_a_day(made):
    """Glitches are counted per register and local day, however many and however often computed."""
    house = made(parameters=RATE)
    house.hear(hourly([100, 101, 50, 102, 103, 51, 104, 105, 105]))
    house.roll(BASE + DAY)
    house.roll(BASE + DAY, everything=True)
    assert [(event.at, event.count, event.state) for event in house.registry.events.find("glitch")] == [(BASE - HOUR, 2, "closed")]


def test_a_rollover_is_told(made):
    """An index that went past its last digit leaves a note at the hour."""
    house = made(parameters='{"modulus": "10"}')
    house.hear(hourly([9990, 9998, 4, 5]))
    house.roll(BASE + DAY)
    assert house.events("rollover") == [(POINT, BASE + HOUR, "closed")]


def test_final_rows_that_change_are_told(house):
    """A late reading that revises final rows leaves one note with how many; rows that were not final leave none."""
    house.hear([(BASE, 0), (BASE + 4 * HOUR, 4)])
    house.roll(BASE + HOUR * 5)
    house.hear([(BASE + 3 * HOUR, 1)])
    house.roll(BASE + HOUR * 5)
    assert house.events("changed_after_final") == []
    house.roll(BASE + 5 * DAY)
    house.hear([(BASE + 2 * HOUR, 1)])
    house.roll(BASE + 5 * DAY)
    (event,) = house.registry.events.find("changed_after_final")
    assert (event.subject, event.state) == (POINT, "closed")
    assert event.at < BASE + 4 * HOUR
    assert "late_reading" in event.detail


def nights(litres_per_hour, days, start=BASE - HOUR):
    """Hourly readings of a flow that never stops, from local midnight on."""
    return [(start + hour * HOUR, hour * litres_per_hour) for hour in range(days * 24 + 1)]


def test_water_that_never_stops_is_a_leak(made):
    """Use in every hour of three nights in a row is a leak since the first of them; one night without ends it."""
    house = made(flats=2)
    house.hear(nights(6, 3))
    house.hear(nights(5, 3), flat=2)
    end = BASE - HOUR + 3 * DAY
    house.roll(end)
    house.look(end)
    assert house.events("leak") == [(POINT, BASE + HOUR, "open")]
    assert "6 l/h" in house.registry.events.find("leak")[0].detail
    house.hear([(end + hour * HOUR, 3 * 24 * 6) for hour in range(1, 25)])
    house.roll(end + DAY)
    house.look(end + DAY)
    assert house.events("leak") == [(POINT, BASE + HOUR, "closed")]


def test_two_nights_or_daily_readings_are_no_leak(made):
    """Two nights are too few; interpolated hours of a meter that is heard daily tell nothing about the night."""
    short, sparse = made(), made(parameters='{"max_gap": "P2D"}')
    short.hear(nights(50, 2))
    sparse.hear([(t, litres) for t, litres in nights(50, 5) if (t - BASE + HOUR) % DAY == 0])
    for one in (short, sparse):
        one.roll(BASE + 5 * DAY)
        one.look(BASE + 2 * DAY)
        one.look(BASE + 5 * DAY)
        assert one.events("leak") == []


def test_an_index_that_stands_still(made):
    """An index that moved daily and stands still for the limit is stuck while others move; one that never moved is not."""
    house, limits = made(flats=3), LIMITS.model_copy(update={"stuck_days": 10})
    house.hear([(BASE - HOUR + day * DAY, min(day, 20) * 100) for day in range(35)])
    house.hear([(BASE - HOUR + day * DAY, day * 100) for day in range(35)], flat=2)
    house.hear([(BASE - HOUR + day * DAY, 7) for day in range(35)], flat=3)
    now = BASE - HOUR + 34 * DAY
    house.roll(now)
    house.look(BASE + 27 * DAY, limits)
    assert house.events("stuck") == []
    house.look(now, limits)
    assert house.events("stuck") == [(POINT, BASE - HOUR + 20 * DAY, "open")]
    house.look(now, limits.model_copy(update={"stuck_days": 0}))
    assert house.events("stuck", "open") == []


@pytest.mark.parametrize(("main", "told"), [(1000, 0), (1240, 0), (1260, 1), (790, 1)])
def test_submeters_that_do_not_agree_with_the_main_meter(made, main, told):
    """A complete month whose sum differs from the building's own meter by more than 20 % of that is told, with the difference."""
    house = made(flats=2)
    start, end = civil.instant("2023-12-31T23:00:00Z"), civil.instant("2024-01-31T23:00:00Z")
    for flat, litres in ((0, main), (1, 400), (2, 600)):
        house.hear([(start, 0), (end, litres)], flat=flat)
    house.roll(end + DAY)
    house.look(end + DAY)
    assert house.events("sum_mismatch") == [("point:p0/volume", start, "open")] * told
    assert [event.amount for event in house.registry.events.find("sum_mismatch")] == [(main - 1000) * 1000] * told


def test_a_month_that_lacks_a_meter_is_not_compared(made):
    """Where one submeter's month is incomplete or missing, the sum says nothing."""
    house = made(flats=2)
    start, end = civil.instant("2023-12-31T23:00:00Z"), civil.instant("2024-01-31T23:00:00Z")
    for flat, litres in ((0, 1000), (1, 400)):
        house.hear([(start, 0), (end, litres)], flat=flat)
    house.roll(end + DAY)
    house.look(end + DAY)
    house.hear([(start + DAY, 0), (end, 10)], flat=2)
    house.roll(end + DAY)
    house.look(end + DAY)
    assert house.events("sum_mismatch") == []


def test_strangers_under_a_known_number(house):
    """A stranger of another maker under a known number is a clash, one of the same maker and another type is of the wrong medium."""
    day = civil.local_date("UTC", BASE)
    heard = [{"device": name, "gateway": "gw", "day": day, "n": 1, "rssi_best": None} for name in ("ABC-00000001-01-16", "SIM-00000000-01-06")]
    house.readings.store(READING.empty_table(), pa.Table.from_pylist(heard, schema=RECEPTION), 0)
    house.look(BASE)
    assert [subject for subject, _, _ in house.events("id_clash")] == [f"device:{house.device(1)}"]
    assert [subject for subject, _, _ in house.events("wrong_medium")] == [f"device:{house.device(0)}"]


def test_a_meter_of_another_medium(house):
    """A heat cost allocator at a water point is of the wrong medium."""
    with house.registry.writing() as db:
        db.execute("INSERT INTO devices VALUES ('SIM-00000009-01-08', NULL, NULL, 1)")
        db.execute("UPDATE assignments SET device = 'SIM-00000009-01-08' WHERE point = 'p1'")
    house.look(BASE)
    assert [subject for subject, _, _ in house.events("wrong_medium")] == ["device:SIM-00000009-01-08"]


def test_a_gauge_that_shows_what_cannot_be(house):
    """A temperature beyond any water is out of range on its day."""
    with house.registry.writing() as db:
        db.execute("UPDATE points SET registers = 'volume temperature_flow' WHERE id = 'p1'")
    gauge = Register("temperature_flow", "°C")
    number = house.readings.register_ids([(house.device(1), gauge)])[house.device(1), gauge]
    rows = [(number, BASE + n * HOUR, value * MICRO, 2, 0, False, False, n, "now", "received") for n, value in enumerate((20, 900, 20))]
    table = pa.Table.from_pylist([dict(zip(READING.names, row, strict=True)) for row in rows], schema=READING)
    house.readings.store(table, RECEPTION.empty_table(), 0)
    house.roll(BASE + DAY)
    house.look(BASE + DAY)
    assert house.events("out_of_range") == [("point:p1/temperature_flow", BASE - HOUR, "open")]


def test_by_day_only_what_is_cheap_is_looked_for(house):
    """The hourly run looks for silence, and leaves what the nightly run found as it is."""
    house.registry.events.raise_("leak", POINT, BASE, now=BASE)
    house.hear(hourly(range(6)))
    told = house.look(BASE + DAY, nightly=False)
    assert told == {"silent": 1, "gateway_silent": 0, "unknown_meter_heard": 0, "meter_never_heard": 1}
    assert house.events("leak") == [(POINT, BASE, "open")]


def test_looking_again_writes_nothing(house):
    """A condition that goes on is written once a day at most."""
    house.hear(hourly(range(6)))
    house.look(BASE + DAY)
    before = house.registry._connection.total_changes
    house.look(BASE + DAY + HOUR)
    assert house.registry._connection.total_changes == before
    house.look(BASE + 2 * DAY + HOUR)
    assert house.registry._connection.total_changes > before
