"""The core on real stores: late keys, adopted meters, exchanges entered later, retained and broken messages."""

from datetime import date, datetime

import pytest
from installation import Installation

from submeter import civil
from submeter.commands import execute
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.logs import configure
from submeter.reading import LEVELS, MICRO, POSITION_BITS, READING_BITS, Source
from submeter.service import CoreThread
from submeter.simulate import encode
from submeter.store import Message, StoreError, VaultError, pack
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


def test_a_failed_commit_loses_nothing(here, monkeypatch):
    """A step whose commit fails is repeated as if it had not been tried: the radio window does not take it for a repetition of itself."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        with monkeypatch.context() as broken:
            broken.setattr(core.readings, "store", failing)
            with pytest.raises(StoreError):
                core.drain()
        core.drain_all()
        assert [t for t, _ in live(core, place)] == HOURS


def test_a_stream_of_messages_holds_nothing_up(here, monkeypatch):
    """Whoever wants all decoded gets what was received when it was asked; a job begins although messages never cease."""
    place, calls = here.building.places[0], []
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        drain = core.drain

        def beside():
            calls.append(core.inbox.append([heard(place, HOURS[-1] + len(calls) * civil.HOUR)]))
            assert len(calls) < 20
            return drain()

        monkeypatch.setattr(core, "drain", beside)
        core.drain_all()
        assert set(HOURS) <= {t for t, _ in live(core, place)}


def failing(*_args, **_more):
    """A disk that is full."""
    raise StoreError("no space left")


def test_a_directory_in_trouble_costs_no_telegram(here, monkeypatch):
    """When the registry or the vault cannot answer, telegrams wait; they are not quarantined."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        with monkeypatch.context() as broken:
            broken.setattr(core.registry, "device", failing)
            with pytest.raises(StoreError):
                core.drain()
        assert core.inbox.counts().quarantined == {}
        core.drain_all()
        assert [t for t, _ in live(core, place)] == HOURS


def test_a_bug_in_the_batch_costs_speed_only(here, monkeypatch):
    """When the batch breaks, its telegrams are decoded one by one; a directory in trouble then is still no fault of theirs."""
    place = here.building.places[0]
    monkeypatch.setattr("submeter.decoders.fast.Decoder.of_devices", lambda *_, **__: 1 // 0)
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        with monkeypatch.context() as broken:
            broken.setattr(core.registry, "device", failing)
            with pytest.raises(StoreError):
                core.drain()
        assert core.inbox.counts().quarantined == {}
        core.drain_all()
        assert [t for t, _ in live(core, place)] == HOURS


def test_without_its_master_key_a_core_does_not_start(here):
    """Sealed keys and no master key: the core says which device and where to name the key, instead of quarantining everything."""
    (here.folder / "master.key").rename(here.folder / "elsewhere.key")
    with pytest.raises(VaultError, match="no master key"):
        here.core()


def test_a_crash_between_readings_and_inbox_repeats_nothing(here, monkeypatch):
    """Readings committed, messages not marked: the next start marks them with their numbers, and a redelivery is still known."""
    place = here.building.places[0]
    payload = f'{{"v":1,"gw":"g","boot":"b","seq":1,"t":[{{"hex":"{place.meter.telegram(HOURS[0]).hex()}"}}]}}'.encode()
    with here.core() as core:
        core.inbox.append([Message("test", payload, HOURS[0]), Message("test", b"garbage", HOURS[0])])
        with monkeypatch.context() as broken:
            broken.setattr(core.inbox, "finish", failing)
            with pytest.raises(StoreError):
                core.drain()
    with here.core() as core:
        core.inbox.append([Message("test", payload, HOURS[0] + 30 * civil.SECOND)])
        core.drain_all()
        assert [t for t, _ in live(core, place)] == [HOURS[0]]
        assert core.inbox.counts().refused == {"redelivered": 1, "unknown_format": 1}


def test_a_lost_readings_file_is_made_again_from_the_inbox(here):
    """Without readings.duckdb the core decodes the inbox anew, and what is published is of the right points."""
    places = [place for place in here.building.places if place.flat][:2]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS for place in places])
        core.drain_all()
        core.rollup()
        before = [rows(core, place).copy() for place in places]
    (here.folder / "data" / "readings.duckdb").unlink()
    with here.core() as core:
        core.inbox.append([heard(places[1], HOURS[-1] + civil.HOUR)])
        core.drain_all()
        core.rollup()
        assert rows(core, places[0]).tobytes() == before[0].tobytes()
        assert len(rows(core, places[1])) == before[1].size + 1
        assert {one.point for one in core.published.series_of([places[0].id])} == {places[0].id}


def test_a_lost_published_file_is_made_again(here):
    """Without published.sqlite the next run publishes everything."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        core.rollup()
        before = rows(core, place).tobytes()
    for left in (here.folder / "data").glob("published.sqlite*"):
        left.unlink()
    with here.core() as core:
        core.rollup()
        assert rows(core, place).tobytes() == before


def test_another_zone_leaves_no_block_of_the_old_one(here):
    """Hours published by the days of one zone do not stand beside those of another after the directory moved the house."""
    place = here.building.places[0]
    moved = here.folder / "moved.toml"
    moved.write_text(f'[[property]]\nid = "{here.building.id}"\nmanager = "demo"\nname = "{here.building.name}"\nzone = "Pacific/Auckland"\n')
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        core.rollup()
        list(execute(core, "import", {"path": str(moved)}))
        core.inbox.append([heard(place, HOURS[2] + civil.HOUR // 2)])
        core.drain_all()
        core.rollup()
        hours = rows(core, place)["start"].tolist()
        assert len(hours) == len(set(hours))
        main = core.published.series_of([place.id])[0]
        computed = pack(core.readings.rollups([main.id], 0, -(2**62), 2**62))
        assert rows(core, place).tobytes() == computed.tobytes()


def test_what_the_directory_no_longer_shows_is_taken_back(here):
    """A register that is taken off a point leaves the published tables."""
    place = next(place for place in here.building.places if place.meter.kind == "heat")
    fewer = here.folder / "fewer.toml"
    fewer.write_text(
        (here.folder / "directory.toml")
        .read_text()
        .replace('registers = ["energy", "volume", "power", "flow", "temperature_flow", "temperature_return"]', 'registers = ["energy"]')
    )
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        core.rollup()
        assert len(core.published.series_of([place.id])) > 1
        list(execute(core, "import", {"path": str(fewer)}))
        assert [one.register.name for one in core.published.series_of([place.id])] == ["energy"]


@pytest.mark.parametrize(
    "parameters", ['{ confirm_n = "abc" }', "{ factors = 5 }", '{ resettable = "false" }', '{ max_gap = "2 hours" }', '{ set_day = "02-30" }']
)
def test_parameters_that_cannot_be_computed_with_are_not_imported(here, parameters):
    """An import names the point and the parameter, and changes nothing."""
    wrong = here.folder / "wrong.toml"
    text = (here.folder / "directory.toml").read_text()
    at = text.index("registers = ")
    wrong.write_text(text[:at] + f"parameters = {parameters}\n" + text[at:])
    with here.core() as core:
        version = core.registry.version()
        with pytest.raises(StoreError, match=f"point {here.building.places[0].id}"):
            list(execute(core, "import", {"path": str(wrong)}))
        assert core.registry.version() == version


def test_a_wrong_assignment_can_be_taken_back(here):
    """`remove = true` and the right entry in one file correct what was imported."""
    place = here.building.places[0]
    right = here.folder / "right.toml"
    entry = f'[[assignment]]\npoint = "{place.id}"\ndevice = "{place.meter.device}"\nfrom = '
    right.write_text(f"{entry}2024-01-01\nremove = true\n{entry}2026-03-01T02:00:00Z\n")
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        list(execute(core, "import", {"path": str(right)}))
        assert rows(core, place)["start"].min() >= HOURS[2]


def test_a_telegram_from_the_future_is_not_accepted(here):
    """A replayed line that says it was heard next year is kept with its reason."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, now() + 400 * civil.DAY)])
        core.drain_all()
        assert core.inbox.counts().quarantined == {"rejected": 1}
        assert "clock_drift" in next(iter(execute(core, "quarantine", {})))


def test_a_step_is_bounded_by_its_readings(here, monkeypatch):
    """A backlog of big messages is decoded message by message once enough readings came together, in order and completely."""
    monkeypatch.setattr("submeter.ingest.drain.MOST_READINGS", 3)
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        assert core.drain().messages < len(HOURS)
        core.drain_all()
        assert [t for t, _ in live(core, place)] == HOURS


def test_no_key_reaches_the_log(here, capfd):
    """An import that is refused, and a telegram that fails inside, show no local variables: a key may be one of them."""
    configure("debug", "console")
    place = here.building.places[0]
    wrong = here.folder / "wrong.toml"
    wrong.write_text((here.folder / "directory.toml").read_text() + '[[assignment]]\npoint = "nope"\ndevice = "SIM-1"\nfrom = 2024-01-01\n')
    thread = CoreThread(here.config)
    thread.start()
    try:
        with pytest.raises(StoreError):
            list(thread.submit("import", {"path": str(wrong)}))
        with pytest.raises(SubmeterError):
            list(thread.submit("import", {"nonsense": place.meter.key.hex()}))
    finally:
        thread.stop()
    said = "".join(capfd.readouterr())
    assert "command refused" in said
    assert place.meter.key.hex() not in said
    assert repr(place.meter.key) not in said


def test_a_water_meter_that_restarts_at_the_set_day_is_a_period(here):
    """A point may say that its index restarts (older Techem water meters): the fall at the set day is no suspicion, and use counts from 0."""
    meter = here.building.places[0].meter
    period = here.folder / "period.toml"
    text = (here.folder / "directory.toml").read_text()
    at = text.index("registers = ")
    period.write_text(text[:at] + 'parameters = { kind = "period", set_day = "12-31", max_gap = "P3D" }\n' + text[at:])
    turn = civil.midnight("Europe/Prague", date(2026, 1, 1))
    with here.core() as core:
        list(execute(core, "import", {"path": str(period)}))
        for number, (t, litres) in enumerate([(turn - 2 * civil.HOUR, 9_000), (turn + civil.HOUR, 30), (turn + 2 * civil.HOUR, 40)]):
            raw = encode.radio(meter.device, encode.mode5(encode.bcd(b"\x13", litres, 8), encode.Header(access=number), meter.key, meter.device))
            core.inbox.append([Message("test", raw.hex().encode(), t, flags=REPLAY)])
        core.drain_all()
        core.rollup()
        main = core.published.series_of([here.building.places[0].id])[0]
        assert main.kind == "period"
        year = core.published.read(main.id, LEVELS.index("year"), "", "~")[-1]
        assert year["value"] == 40_000
