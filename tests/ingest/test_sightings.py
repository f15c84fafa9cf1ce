"""What telegrams say beside readings becomes events: through the real drain on real stores."""

import json
from contextlib import closing
from datetime import datetime

import pytest

from submeter import civil
from submeter.decoders import Profile, Telegram
from submeter.decoders.flags import FLAGS
from submeter.ingest.drain import Drain, Known
from submeter.ingest.sightings import ALARMS, Clocks, Sightings
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import KINDS, Inbox, Message, Readings, Registry, StoreError

METER = DeviceId("STM", "82000001", 0x03, 0x07)
SUBJECT = f"device:{METER}"
KEY = bytes(range(16))
START = civil.instant("2026-03-02T10:00:00Z")
MINUTE, HOUR, DAY = civil.MINUTE, civil.HOUR, civil.DAY
LOW, TEMPORARY, PERMANENT = 0x04, 0x10, 0x08


class House:
    """Stores and a drain whose clock stands where a test sets it."""

    def __init__(self, folder, profile=None, zone="Europe/Prague", since=None):
        self.folder, self.known, self.now, self.litres = folder, Known(profile or Profile(), zone, since), START, 0
        self.open()

    def open(self):
        """Open the stores, as after a start."""
        self.inbox, self.readings = Inbox(self.folder / "inbox.sqlite"), Readings(self.folder / "readings.duckdb")
        self.registry = Registry(self.folder / "registry.sqlite")
        self.drain = Drain(self.inbox, self.readings, self.registry, lambda _: self.known, clock=lambda: self.now)

    def close(self):
        """Close them."""
        for store in (self.inbox, self.readings, self.registry):
            store.close()

    def hear(self, at, status=0, records=b"", raw=None, gw_time=None):
        """One telegram heard at `at`."""
        self.litres += 1
        header = encode.Header(access=self.litres & 0xFF, status=status)
        raw = raw or encode.radio(METER, encode.plain(records + encode.bcd(b"\x13", self.litres, 8), header))
        stamp = {} if gw_time is None else {"ts": gw_time // 1000}
        line = {"v": 1, "gw": "cellar", "t": [{"hex": raw.hex(), **stamp}]}
        self.now = max(self.now, at)
        self.inbox.append([Message("test", json.dumps(line).encode(), at, gateway="cellar")])
        return self.drain.step().results

    def events(self, kind=None, subject=None, state=None):
        """Kind, subject, instant, end and state of events."""
        return [(one.kind, one.subject, one.at, one.until, one.state) for one in self.registry.events.find(kind, subject, state)]

    def volume(self):
        """Instants of the readings kept."""
        return [row["t"] for row in self.readings.readings_of(list(self.readings.registers().values())).to_pylist()]


@pytest.fixture
def house(tmp_path):
    """A house whose meters send plainly."""
    made = House(tmp_path)
    yield made
    made.close()


def test_an_alarm_begins_and_ends_with_its_flag(house):
    """A flag raises its event at first sight; the first later telegram without it closes the event at that instant."""
    for at, status in ((0, 0), (1, LOW), (2, LOW), (3, 0), (4, 0)):
        house.hear(START + at * HOUR, status)
    assert house.events() == [("power_low", SUBJECT, START + HOUR, START + 3 * HOUR, "closed")]


def test_several_alarms_stand_at_once(house):
    """Each flag has an event of its own, with what to do."""
    house.hear(START, LOW | PERMANENT)
    house.hear(START + HOUR, PERMANENT)
    assert [(kind, state) for kind, _, _, _, state in house.events()] == [("power_low", "closed"), ("permanent_error", "open")]
    (event,) = house.registry.events.find(state="open")
    assert str(METER) in event.detail
    assert "exchange the meter" in event.detail


def test_a_flag_that_comes_and_goes_is_one_event(house):
    """A meter that sends its flags in every second telegram has one event; a flag that is back after days has another."""
    for hour in range(6):
        house.hear(START + hour * HOUR, LOW * (hour % 2 == 0))
    assert house.events() == [("power_low", SUBJECT, START, START + 5 * HOUR, "closed")]
    house.hear(START + 3 * DAY, LOW)
    assert [at for _, _, at, _, _ in house.events(state="open")] == [START + 3 * DAY]


def test_an_alarm_outlives_a_restart(house):
    """After a restart the same flag is the same event, and its end is still seen."""
    house.hear(START, LOW)
    house.close()
    house.open()
    house.hear(START + HOUR, LOW)
    assert house.events() == [("power_low", SUBJECT, START, None, "open")]
    house.hear(START + 2 * HOUR)
    assert house.events() == [("power_low", SUBJECT, START, START + 2 * HOUR, "closed")]


def test_a_telegram_from_before_ends_nothing(house):
    """A telegram without the flag that was sent before it was seen says nothing about its end."""
    house.hear(START + HOUR, LOW)
    house.hear(START)
    assert house.events(state="open") == [("power_low", SUBJECT, START + HOUR, None, "open")]


def test_a_failed_step_tells_again(house, monkeypatch):
    """Events of a step whose readings could not be stored are there once, after the next attempt."""
    store = house.readings.store
    monkeypatch.setattr(house.readings, "store", failing)
    with pytest.raises(StoreError):
        house.hear(START, LOW)
    monkeypatch.setattr(house.readings, "store", store)
    house.drain.step()
    assert house.events() == [("power_low", SUBJECT, START, None, "open")]


def failing(*_args, **_more):
    """A full disk."""
    raise StoreError("no space")


def test_quiet_telegrams_write_nothing(house, monkeypatch):
    """A step in which no condition begins or ends does not write the registry; nor does a flag that stands."""
    house.hear(START, LOW)
    before = house.registry._rows("PRAGMA data_version"), house.registry._connection.total_changes
    for hour in range(1, 5):
        house.hear(START + hour * HOUR, LOW)
    assert (house.registry._rows("PRAGMA data_version"), house.registry._connection.total_changes) == before


def test_every_alarm_word_is_a_flag_and_a_kind():
    """The table of alarms speaks the decoders' words and the events' kinds."""
    assert set(ALARMS) <= set(FLAGS)
    assert set(ALARMS.values()) <= set(KINDS)


def test_what_was_earlier_only_tells(house):
    """A flag of the past is information, once a month."""
    raw = encode.radio(
        DeviceId("KAM", "82000001", 0x1B, 0x16),
        encode.plain(bytes.fromhex("02FF20 1000".replace(" ", "")) + encode.bcd(b"\x13", 1, 8), encode.Header()),
    )
    for hour in range(3):
        house.hear(START + hour * HOUR, raw=raw[:-1] + bytes([hour]))
    notes = house.events()
    assert [(kind, state) for kind, _, _, _, state in notes] == [("dry", "closed")]
    assert notes[0][2] == civil.instant("2026-02-28T23:00:00Z")


def clock(text):
    """The meter's own time as a record."""
    return encode.minute(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("2026-07-01T12:20", None),
        ("2026-07-01T11:00", None),
        ("2026-07-01T10:05", None),
        ("2026-07-01T14:40", "2 h 40 min ahead"),
        ("2026-06-28T12:00", "3 d 0 h behind"),
        ("2026-07-01T13:00", "1 h 0 min ahead"),
    ],
)
def test_a_meters_clock(house, shown, said):
    """A meter's clock may show civil time, standard time or UTC; anything else is told with how far it is off, until it is right again."""
    at = civil.instant("2026-07-01T10:00:00Z")
    house.hear(at, records=clock(shown))
    assert [event.detail.split(" is ")[1].split(":")[0] for event in house.registry.events.find("clock_drift")] == [said] * bool(said)
    house.hear(at + HOUR, records=clock("2026-07-01T13:00"))
    assert house.events(state="open") == []


#: A zone, what a meter there shows on 1 July at 10:00 UTC, and how far its clock is off.
CLOCKS = [
    ("America/New_York", "2026-07-01T06:00", None),
    ("America/New_York", "2026-07-01T05:00", None),  # standard time
    ("America/New_York", "2026-07-01T10:29", None),  # UTC
    ("America/New_York", "2026-07-01T07:00", "1 h 0 min ahead"),
    ("America/New_York", "2026-07-01T02:00", "4 h 0 min behind"),
    ("Asia/Kolkata", "2026-07-01T15:30", None),
    ("Asia/Kolkata", "2026-07-01T10:00", None),
    ("Asia/Kolkata", "2026-07-01T14:30", "1 h 0 min behind"),
    ("UTC", "2026-07-01T10:30", None),
    ("UTC", "2026-07-01T10:31", "0 h 31 min ahead"),
    ("UTC", "2026-07-01T09:29", "0 h 31 min behind"),
    ("Europe/Prague", "2026-07-08T12:00", "7 d 0 h ahead"),
]


@pytest.mark.parametrize(("zone", "shown", "said"), CLOCKS)
def test_a_meters_clock_in_any_zone(tmp_path, zone, shown, said):
    """Against civil time, standard time and UTC, east and west of Greenwich; half an hour is allowed."""
    at = civil.instant("2026-07-01T10:00:00Z")
    with closing(Registry(tmp_path / "registry.sqlite")) as registry:
        told = Sightings(registry, Clocks(), lambda: at)
        told.decoded(Telegram(METER, (), (), 1, (), 0, None, datetime.fromisoformat(shown), b"", more=False, suspect=False, notes=()), at, zone, 0)
        told.write()
        assert [event.detail for event in registry.events.find("clock_drift")] == [
            f"the clock of {METER} is {said}: set it, or exchange the meter"
        ] * bool(said)


def test_values_of_the_future_are_told(house):
    """A stored value stamped after its reception is not kept as a reading, and raises clock_drift of the meter."""
    records = encode.minute(datetime(2026, 3, 2, 14, 0), encode.Slot(storage=1)) + encode.bcd(b"\x13", 5, 8, encode.Slot(storage=1))
    house.hear(START, records=records)
    assert house.volume() == [START]
    assert house.events() == [("clock_drift", SUBJECT, START, None, "open")]


def test_a_gateways_clock_is_told(house):
    """A gateway that stamps ahead of the reception has an event until its clock is right."""
    house.hear(START, gw_time=START + 2 * HOUR)
    assert house.events() == [("clock_drift", "gateway:cellar", START, None, "open")]
    house.hear(START + HOUR, gw_time=START + HOUR)
    assert house.events(state="open") == []


def test_values_from_before_the_installation_are_told_once(tmp_path):
    """Readings from before the first assignment are kept, and told once at the assignment's begin."""
    house = House(tmp_path, since=START + 2 * HOUR)
    for hour in range(4):
        house.hear(START + hour * HOUR)
    assert house.events() == [("before_installation", SUBJECT, START + 2 * HOUR, START + 2 * HOUR, "closed")]
    assert len(house.volume()) == 4
    house.close()


def test_a_wrong_key_is_told_until_the_right_one(tmp_path):
    """A known device that cannot be opened three times in a row has an event; it ends when the device is understood."""
    house = House(tmp_path, Profile(KEY))
    sealed = [encode.radio(METER, encode.mode5(encode.bcd(b"\x13", litres, 8), encode.Header(access=litres), KEY, METER)) for litres in range(1, 8)]
    right, wrong = Known(Profile(KEY), "Europe/Prague"), Known(Profile(bytes(16)), "Europe/Prague")
    for number, known in enumerate((wrong, wrong, right, wrong, wrong, wrong)):
        assert house.events() == []
        house.known = known
        assert house.hear(START + number * HOUR, raw=sealed[number]) == {"decoded" if known is right else "wrong_key": 1}
    assert house.events() == [("wrong_key", SUBJECT, START + 3 * HOUR, None, "open")]
    house.known = right
    house.hear(START + 6 * HOUR, raw=sealed[6])
    assert house.events() == [("wrong_key", SUBJECT, START + 3 * HOUR, START + 6 * HOUR, "closed")]
    house.close()


def test_a_missing_key_is_told_until_it_is_there(tmp_path):
    """A known device without a key that encrypts has an event from its first telegram on; it ends when the device is understood."""
    house = House(tmp_path)
    sealed = [encode.radio(METER, encode.mode5(encode.bcd(b"\x13", litres, 8), encode.Header(access=litres), KEY, METER)) for litres in (1, 2)]
    assert house.hear(START, raw=sealed[0]) == {"no_key": 1}
    assert house.events() == [("key_missing", SUBJECT, START, None, "open")]
    house.known = Known(Profile(KEY), "Europe/Prague")
    house.hear(START + HOUR, raw=sealed[1])
    assert house.events() == [("key_missing", SUBJECT, START, START + HOUR, "closed")]
    house.close()


def test_a_missing_driver_is_told_after_a_while(house):
    """A device whose payload nothing reads has an event after ten telegrams in a row."""
    for number in range(12):
        raw = encode.radio(METER, b"\xa2" + bytes([number]) * 20)
        assert house.hear(START + number * HOUR, raw=raw) == {"unknown_driver": 1}
        assert len(house.events()) == (number >= 9)
    assert house.events() == [("driver_missing", SUBJECT, START, None, "open")]


def test_an_attack_stays_open(tmp_path):
    """A telegram in clear in the name of a meter with a key is told once a day, from the local day on, and good telegrams do not close it."""
    house = House(tmp_path, Profile(KEY))
    for hour in (0, 1, 30):
        assert house.hear(START + hour * HOUR) == {"downgrade": 1}
        good = encode.mode5(encode.bcd(b"\x13", 100 + hour, 8), encode.Header(access=hour), KEY, METER)
        house.hear(START + hour * HOUR + MINUTE, raw=encode.radio(METER, good))
    day = civil.instant("2026-03-01T23:00:00Z")
    (event,) = house.registry.events.find("downgrade")
    assert (event.subject, event.at, event.count, event.state) == (SUBJECT, day, 2, "open")
    house.registry.events.close(event.id, by="jan", decision="test set", now=house.now)
    house.hear(START + 60 * HOUR)
    assert house.events(state="open") == [("downgrade", SUBJECT, day + 2 * DAY, None, "open")]
    house.close()


def test_a_stranger_is_no_event(house):
    """What a device outside the directory sends is its owner's business."""
    house.known = None
    house.hear(START, LOW)
    assert house.events() == []
