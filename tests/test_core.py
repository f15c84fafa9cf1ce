"""The core on real stores: late keys, adopted meters, exchanges entered later, retained and broken messages."""

from datetime import datetime

import pytest
from installation import Installation

from submeter import civil
from submeter.commands import execute
from submeter.core import now
from submeter.ingest.drain import POSITION_BITS, READING_BITS
from submeter.reading import LEVELS, MICRO, Source
from submeter.simulate import encode
from submeter.store import Message, StoreError
from submeter.store.inbox import REPLAY, RETAIN

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(6)]


@pytest.fixture
def here(tmp_path):
    """An installation of one flat."""
    return Installation(tmp_path / "here")


HALF = MICRO // 2


def heard(place, t):
    """A hex message as a replay brings it."""
    return Message("test", place.meter.telegram(t).hex().encode(), t, gateway=place.gateways[0], flags=REPLAY)


def live(core, place):
    """(instant, value) of the live readings of a place's main register."""
    numbers = core.readings.registers()
    register = next(register for device, register in numbers if device == str(place.meter.device))
    rows = core.readings.readings_of([numbers[str(place.meter.device), register]]).to_pylist()
    return [(row["t"], row["value"]) for row in rows if row["src"] == Source.LIVE]


def rows(core, place, level="hour"):
    """Published rows of the place's main register."""
    main = next(one for one in core.published.series_of([place.id]))
    return core.published.read(main.id, LEVELS.index(level), "", "~")


def without_key(here, place):
    """The directory file with this meter's key left out, or with another one."""
    text = (here.folder / "directory.toml").read_text()
    return text.replace(f'key = "{place.meter.key.hex()}"', f'key = "{"00" * 16}"')


def test_a_late_key_decodes_what_waited_at_its_original_time(tmp_path):
    """Telegrams under a wrong key wait in quarantine with their bytes; the right key turns them into readings of their own hours."""
    here = Installation(tmp_path / "here")
    place = here.building.places[0]
    wrong = here.folder / "wrong.toml"
    wrong.write_text(without_key(here, place))
    with here.core() as core:
        list(execute(core, "import", {"path": str(wrong)}))
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        assert core.inbox.counts().quarantined == {"wrong_key": len(HOURS)}
        list(execute(core, "import", {"path": str(here.folder / "directory.toml")}))
        assert core.inbox.counts().quarantined == {}
        assert [t for t, _ in live(core, place)] == HOURS
        assert {HOURS[0], HOURS[4]} <= set(rows(core, place)["start"].tolist())


def test_a_meter_that_is_adopted_later_has_its_readings(here):
    """A stranger's telegrams are kept, not decoded; once the directory names the meter, they count at their times."""
    place = Installation(here.folder / "other", flats=2).building.places[6]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        assert core.inbox.counts().quarantined == {"unknown_meter": len(HOURS)}
        assert any(str(place.meter.device) in line for line in execute(core, "meters", {"unknown": True}))
        list(execute(core, "import", {"path": str(here.folder / "other" / "directory.toml")}))
        assert [t for t, _ in live(core, place)] == HOURS


def test_an_exchange_entered_later_changes_the_rows(here):
    """The directory says afterwards that the meter was exchanged: rows are computed anew with the protocol's values, flagged."""
    place = here.building.places[0]
    at = HOURS[3] + civil.HOUR // 2
    last = place.meter.truth(HOURS[3])[next(iter(place.meter.truth(HOURS[3])))]
    exchange = here.folder / "exchange.toml"
    exchange.write_text(
        f'[[device]]\nid = "SIM-99999999-01-16"\n[[assignment]]\npoint = "{place.id}"\ndevice = "{place.meter.device}"\nfrom = 2024-01-01\n'
        f'to = {civil.iso(at)}\nend_value = "{(last + HALF) / 1e6:.6f}"\n'
        f'[[assignment]]\npoint = "{place.id}"\ndevice = "SIM-99999999-01-16"\nfrom = {civil.iso(at)}\nstart_value = "0"\n'
    )
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS[:4]])
        core.drain_all()
        core.rollup()
        assert not any(rows(core, place)["flags"])
        list(execute(core, "import", {"path": str(exchange)}))
        last_hour = rows(core, place)[-1]
        assert last_hour["value"] == HALF
        assert last_hour["flags"] != 0


def test_a_retained_message_is_no_reading(here):
    """A broker's retained message is of unknown age: kept with its reason, never decoded."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([Message("test", place.meter.telegram(HOURS[0]).hex().encode(), HOURS[0], flags=RETAIN)])
        core.drain_all()
        assert core.inbox.counts().refused == {"retained": 1}
        assert core.readings.counts()["readings"] == 0


def test_two_gateways_hear_one_telegram_once(here):
    """Receptions by two gateways give one reading and are both counted."""
    place = here.building.places[0]
    raw = place.meter.telegram(HOURS[0]).hex().encode()
    with here.core() as core:
        core.inbox.append([Message("test", raw, HOURS[0] + late * civil.SECOND, gateway=name) for name, late in (("a", 0), ("b", 2), ("b", 60))])
        core.drain_all()
        assert [t for t, _ in live(core, place)] == [HOURS[0], HOURS[0] + 60 * civil.SECOND]
        assert {(row["gateway"], row["n"]) for row in core.readings.receptions().to_pylist()} == {("a", 1), ("b", 2)}


def test_a_restart_does_not_open_the_radio_window_again(here):
    """A second reception just after a restart is still a duplicate."""
    place = here.building.places[0]
    raw = place.meter.telegram(HOURS[0]).hex().encode()
    for late in (0, 3):
        with here.core() as core:
            core.inbox.append([Message("test", raw, HOURS[0] + late * civil.SECOND, gateway=f"g{late}")])
            core.drain_all()
    with here.core() as core:
        assert len(live(core, place)) == 1


def test_a_reading_from_the_future_is_not_accepted(here):
    """A store-and-forward gateway whose clock runs two hours ahead gives no reading ahead of its reception (H06)."""
    place = here.building.places[0]
    t = HOURS[0]
    ahead = f'{{"v":1,"gw":"{place.gateways[0]}","t":[{{"ts":{(t + 2 * civil.HOUR) // 1000},"hex":"{place.meter.telegram(t).hex()}"}}]}}'
    with here.core() as core:
        core.inbox.append([Message("test", ahead.encode(), t, gateway=place.gateways[0])])
        core.drain_all()
        assert [at for at, _ in live(core, place)] == [t]


def test_order_of_readings_is_that_of_the_inbox(here):
    """`seq` holds message, position and place in the telegram, so that it is the same after a rebuild."""
    place = here.building.places[0]
    with here.core() as core:
        first = core.inbox.append([heard(place, t) for t in HOURS])[0]
        core.drain_all()
        numbers = core.readings.registers()
        seqs = sorted(row["seq"] for number in numbers.values() for row in core.readings.readings_of([number]).to_pylist())
        assert {seq >> (POSITION_BITS + READING_BITS) for seq in seqs} <= set(range(first, first + len(HOURS)))


def test_only_one_core_opens_a_data_folder(here):
    """A second core is refused with the process that holds the folder."""
    with here.core(), pytest.raises(StoreError, match="in use by another submeter"):
        here.core()


def test_rows_settle_with_time_alone(here, monkeypatch):
    """Rows of a silent meter become final by a later run without any new reading."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        moments = iter([HOURS[-1], now()])
        monkeypatch.setattr("submeter.core.now", lambda: next(moments))
        core.rollup()
        before = {int(row["start"]): int(row["state"]) for row in rows(core, place)}
        core.rollup(settle=True)
        after = {int(row["start"]): int(row["state"]) for row in rows(core, place)}
        assert before[HOURS[0]] == 1
        assert after[HOURS[0]] == 2


def test_a_stamp_of_another_century_is_no_reading(here):
    """A meter whose stored date says 1965 gives its live value, and no reading in a year that has no civil grid."""
    device = here.building.places[0].meter
    records = (
        encode.bcd(b"\x13", 4711, 8)
        + encode.minute(datetime(1965, 3, 1), encode.Slot(storage=1))
        + encode.bcd(b"\x13", 4000, 8, encode.Slot(storage=1))
    )
    raw = encode.radio(device.device, encode.mode5(records, encode.Header(access=1), device.key, device.device))
    with here.core() as core:
        core.inbox.append([Message("test", raw.hex().encode(), HOURS[0])])
        core.drain_all()
        assert live(core, here.building.places[0]) == [(HOURS[0], 4_711_000)]
        assert core.readings.counts()["readings"] == 1
