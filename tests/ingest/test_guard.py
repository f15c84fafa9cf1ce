"""Replays and learnt formats through the real drain on real stores."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from submeter.decoders import Profile, decode
from submeter.ingest.drain import Drain, Gateway, Known
from submeter.reading import DeviceId, Register
from submeter.simulate import encode
from submeter.store import Inbox, Message, Readings, Registry, StoreError

KEY = bytes.fromhex("8d3b6ef02c5719a4d0e8417b9352fc06")
METER = DeviceId("STM", "82000001", 0x03, 0x07)
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_780_000_000 * SECOND
LATE = Gateway(store_and_forward=True)
Stores = tuple[Inbox, Readings, Registry]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stores are."""
    return tmp_path


@contextmanager
def opened(folder: Path) -> Iterator[Stores]:
    """The stores of a drain."""
    with Inbox(folder / "inbox.sqlite") as inbox, Readings(folder / "readings.duckdb") as readings, Registry(folder / "registry.sqlite") as registry:
        yield inbox, readings, registry


def drain_of(stores: Stores, profile: Profile | None) -> Drain:
    """A drain that knows every device by one profile."""
    return Drain(*stores, lambda _: Known(profile, "UTC") if profile else None, {"late": LATE})


def heard(raw: bytes, at: int, *, gateway: str = "gw", gw_time: int | None = None) -> Message:
    """One telegram as a gateway sends it; with the gateway's own time if that is given."""
    if gw_time is None:
        return Message("test", raw.hex().encode(), at, gateway=gateway)
    line = {"v": 1, "gw": gateway, "t": [{"ts": gw_time // 1000, "hex": raw.hex()}]}
    return Message("test", json.dumps(line).encode(), at, gateway=gateway)


def fed(folder: Path, profile: Profile | None, *messages: Message, steps: int | None = None) -> dict[str, int]:
    """Put messages into the inbox and drain them, `steps` at a time each after a restart; outcomes by name."""
    outcomes: dict[str, int] = {}
    with opened(folder) as (inbox, *_):
        inbox.append(messages)
    while True:
        with opened(folder) as stores:
            step = drain_of(stores, profile).step(steps or len(messages))
        if not step.messages:
            return outcomes
        for name, count in step.results.items():
            outcomes[name] = outcomes.get(name, 0) + count


def volumes(folder: Path) -> list[tuple[int, int]]:
    """What is stored of the meter's volume: minutes after the start, and litres."""
    with opened(folder) as (_, readings, _):
        number = readings.register_ids([(str(METER), Register("volume", "m3"))])
        rows = readings.readings_of(list(number.values())).to_pylist()
    return [((row["t"] - START) // MINUTE, row["value"] // 1000) for row in rows]


def plain(litres: int, access: int = 0) -> bytes:
    """An unprotected telegram."""
    return encode.radio(METER, encode.plain(encode.bcd(b"\x13", litres, 8), encode.Header(access=access)))


def mode5(litres: int, access: int) -> bytes:
    """A telegram of mode 5, which authenticates no counter."""
    return encode.radio(METER, encode.mode5(encode.bcd(b"\x13", litres, 8), encode.Header(access=access), KEY, METER))


def mode7(litres: int, counter: int) -> bytes:
    """A telegram with an authenticated counter."""
    return encode.radio(METER, encode.mode7(encode.bcd(b"\x13", litres, 8), encode.Header(access=counter % 256), KEY, METER, counter=counter))


def session(litres: int, number: int) -> bytes:
    """A telegram of the encrypted link layer."""
    body = encode.plain(encode.bcd(b"\x13", litres, 8), None)
    return encode.radio(METER, encode.extended_ctr(body, KEY, METER, access=1, session=number))


@pytest.mark.parametrize("steps", [None, 1])
@pytest.mark.parametrize("telegram", [mode7, session])
def test_an_authenticated_counter_must_rise(folder: Path, telegram: Callable[[int, int], bytes], steps: int | None) -> None:
    """An old telegram and the newest one again are replays after the radio window, also after a restart; a higher counter goes on."""
    sent = [telegram(100, 32), telegram(101, 33), telegram(100, 32), telegram(101, 33), telegram(102, 34), telegram(99, 5)]
    messages = [heard(raw, START + at * MINUTE) for at, raw in enumerate(sent)]
    assert fed(folder, Profile(KEY), *messages, steps=steps) == {"decoded": 3, "replay": 3}
    assert volumes(folder) == [(0, 100), (1, 101), (4, 102)]
    with opened(folder) as (inbox, *_):
        assert {(row.reason, row.device) for row in inbox.quarantined()} == {("replay", str(METER))}


def test_receptions_in_the_radio_window_are_no_replays(folder: Path) -> None:
    """A second gateway, a repeater and a redelivery within ten seconds are duplicates."""
    messages = [heard(mode7(100, 7), START + at * SECOND, gateway=f"gw{at}") for at in (0, 1, 9)]
    assert fed(folder, Profile(KEY), *messages) == {"decoded": 1, "duplicate": 2}


def test_a_late_delivery_is_no_replay(folder: Path) -> None:
    """A store-and-forward gateway brings lower counters that were heard before the newest; what it heard later is one."""
    messages = [
        heard(mode7(110, 10), START + 10 * MINUTE),
        heard(mode7(105, 5), START + 20 * MINUTE, gateway="late", gw_time=START + 5 * MINUTE),
        heard(mode7(104, 4), START + 21 * MINUTE, gateway="late", gw_time=START + 15 * MINUTE),
        heard(mode7(111, 11), START + 22 * MINUTE),
    ]
    assert fed(folder, Profile(KEY), *messages) == {"decoded": 3, "replay": 1}
    assert volumes(folder) == [(5, 105), (10, 110), (22, 111)]


def test_one_drain_remembers_from_step_to_step(folder: Path) -> None:
    """Without a restart as well as with one."""
    with opened(folder) as stores:
        drain, outcomes = drain_of(stores, Profile(KEY)), []
        for at, counter in enumerate((7, 8, 7)):
            stores[0].append([heard(mode7(100, counter), START + at * MINUTE)])
            outcomes.append(dict(drain.step().results))
    assert outcomes == [{"decoded": 1}, {"decoded": 1}, {"replay": 1}]


def test_a_counter_that_nothing_authenticates_does_not_count(folder: Path) -> None:
    """A forged authentication layer before a plain telegram cannot shut the meter out."""
    forged = encode.mode7(b"", encode.Header(), bytes(16), METER, counter=0xFFFFFFFF)[:17] + encode.plain(encode.bcd(b"\x13", 5, 8), encode.Header())
    assert decode(encode.radio(METER, forged), lambda _: Profile()).counter is None
    messages = [heard(raw, START + at * MINUTE) for at, raw in enumerate([encode.radio(METER, forged), plain(6)])]
    assert fed(folder, Profile(), *messages) == {"decoded": 2}


@pytest.mark.parametrize("steps", [None, 1])
@pytest.mark.parametrize(("telegram", "profile"), [(plain, Profile()), (mode5, Profile(KEY))])
def test_identical_bytes_may_not_lower_a_total(folder: Path, telegram: Callable[[int, int], bytes], profile: Profile, steps: int | None) -> None:
    """A telegram heard before is a replay once the total has moved on; repeated at the newest total it is honest; unheard bytes are left to the classifier."""
    sent = [telegram(100, 1), telegram(100, 1), telegram(105, 2), telegram(105, 2), telegram(100, 1), telegram(99, 3), telegram(99, 3)]
    messages = [heard(raw, START + at * MINUTE) for at, raw in enumerate(sent)]
    assert fed(folder, profile, *messages, steps=steps) == {"decoded": 6, "replay": 1}
    assert volumes(folder) == [(0, 100), (1, 100), (2, 105), (3, 105), (5, 99), (6, 99)]


def test_identical_bytes_heard_before_the_newest_are_late(folder: Path) -> None:
    """The old telegram that a slow gateway brings is what it is: old, and the newest value stays the newest."""
    messages = [
        heard(plain(100), START),
        heard(plain(105), START + 9 * MINUTE),
        heard(plain(100), START + 20 * MINUTE, gateway="late", gw_time=START + 4 * MINUTE),
        heard(plain(100), START + 30 * MINUTE),
    ]
    assert fed(folder, Profile(), *messages) == {"decoded": 3, "replay": 1}
    assert volumes(folder) == [(0, 100), (4, 100), (9, 105)]


def test_repeated_bytes_are_recognised_through_a_repeater(folder: Path) -> None:
    """Hop fields, the form of the message and the frame's CRCs do not make a telegram another one."""
    body = encode.plain(encode.bcd(b"\x13", 100, 8), None)
    first = encode.radio(METER, encode.extended(body, access=1, control=0x20))
    again = encode.format_a(encode.radio(METER, encode.extended(body, access=1, control=0x28)))
    messages = [heard(first, START), heard(plain(105), START + MINUTE), heard(again, START + 2 * MINUTE)]
    assert fed(folder, Profile(), *messages) == {"decoded": 2, "replay": 1}


def test_the_state_is_the_same_after_a_rebuild(folder: Path, tmp_path: Path) -> None:
    """In the order of the inbox, in one batch or in many, the newest values are the same."""
    messages = [heard(mode7(100 + n * 3 % 7, 20 + n * 5 % 11), START + n * MINUTE) for n in range(12)]
    states = []
    for name, steps in (("a", None), ("b", 1), ("c", 5)):
        (tmp_path / name).mkdir()
        fed(tmp_path / name, Profile(KEY), *messages, steps=steps)
        with opened(tmp_path / name) as (_, readings, _):
            states.append((readings.accepted(), volumes_of(readings)))
    assert states[0] == states[1] == states[2]


def volumes_of(readings: Readings) -> Any:
    """All readings, as stored."""
    return readings.readings_of(list(readings.registers().values())).to_pylist()


def test_a_late_key_makes_no_replays(folder: Path) -> None:
    """What waited for its key is judged in the order of its reception: all of it is honest, but the replay among it."""
    sent = [mode7(100, 10), mode7(101, 11), mode7(100, 10), mode7(102, 12)]
    assert fed(folder, Profile(), *(heard(raw, START + at * MINUTE) for at, raw in enumerate(sent))) == {"no_key": 4}
    with opened(folder) as stores:
        step = drain_of(stores, Profile(KEY)).redecode(stores[0].quarantined(reason="no_key"))
        assert step.results == {"decoded": 3, "replay": 1}
        assert [row.reason for row in stores[0].quarantined()] == ["replay"]
        again = drain_of(stores, Profile(KEY)).redecode(stores[0].quarantined())
        assert (again.messages, len(stores[0].quarantined())) == (0, 1)


def test_an_operator_may_take_replays_as_honest(folder: Path) -> None:
    """A meter whose counter began anew: its telegrams are taken up, and count from there."""
    assert fed(folder, Profile(KEY), heard(mode7(100, 500), START), heard(mode7(101, 1), START + MINUTE)) == {"decoded": 1, "replay": 1}
    with opened(folder) as stores:
        assert drain_of(stores, Profile(KEY)).redecode(stores[0].quarantined(reason="replay"), replays=True).results == {"decoded": 1}
    assert fed(folder, Profile(KEY), heard(mode7(102, 2), START + 2 * MINUTE)) == {"decoded": 1}
    assert volumes(folder) == [(0, 100), (1, 101), (2, 102)]


def test_a_batch_that_failed_is_decoded_again_as_if_for_the_first_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Window and counters run ahead of the store; when the store refuses, they fall back to what it has."""
    with opened(folder) as stores:
        inbox, readings, _ = stores
        drain, store = drain_of(stores, Profile(KEY)), readings.store
        inbox.append([heard(mode7(100, 10), START)])

        def refused(*_: object) -> int:
            raise StoreError("no space left")

        monkeypatch.setattr(readings, "store", refused)
        with pytest.raises(StoreError):
            drain.step()
        monkeypatch.setattr(readings, "store", store)
        assert drain.step().results == {"decoded": 1}
    assert volumes(folder) == [(0, 100)]


def test_a_full_frame_takes_up_the_compact_ones_that_waited(folder: Path) -> None:
    """The format is learnt in the store; compact frames before and after it give readings at their own instants, those of other kinds wait on."""
    records = [encode.bcd(b"\x13", litres, 8) + encode.integer(b"\x3b", 3, 2) for litres in (100, 101, 102)]
    other = encode.radio(DeviceId("STM", "82000001", 0x04, 0x07), encode.compact(records[0]))
    compact = [encode.radio(METER, encode.compact(part)) for part in records]
    full = encode.radio(METER, encode.plain(records[1], None))
    assert fed(folder, Profile(), heard(compact[0], START), heard(other, START)) == {"unknown_driver": 2}
    assert fed(folder, Profile(), heard(full, START + MINUTE)) == {"decoded": 1}
    assert volumes(folder) == [(0, 100), (1, 101)]
    assert fed(folder, Profile(), heard(compact[2], START + 2 * MINUTE)) == {"decoded": 1}
    assert volumes(folder) == [(0, 100), (1, 101), (2, 102)]
    with opened(folder) as (inbox, readings, _):
        assert [row.raw for row in inbox.quarantined()] == [other]
        assert [key[:3] for key in readings.formats()] == [("STM", 3, 7)]


def test_attack_sequence(folder: Path, shared: Path) -> None:
    """M216 first, then an older value, the same access number with other content and a fall: bytes never heard before, so they are stored for the classifier.

    Sent again, what is below the newest value is a replay.
    """
    rows = {row["id"]: row for row in map(json.loads, (shared / "reliability" / "malformed.jsonl").read_text(encoding="utf-8").splitlines())}
    order = ("M216", "M215", "M217", "M218")
    profile = Profile(bytes(range(16)))
    messages = [heard(bytes.fromhex(rows[name]["hex"]), START + at * MINUTE) for at, name in enumerate(order)]
    assert fed(folder, profile, *messages) == {"decoded": 4}
    newer = heard(bytes.fromhex(rows["M216"]["hex"]), START + 5 * MINUTE)
    older = heard(bytes.fromhex(rows["M218"]["hex"]), START + 6 * MINUTE)
    assert fed(folder, profile, newer, older) == {"decoded": 1, "replay": 1}
