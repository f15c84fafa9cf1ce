"""What is delivered more than once, late, or under a number that two meters have: faults 26, 27, 28, 35, 39 and 41 of reliability/FAULTS.md."""

import json
import os
import random
import tty
from contextlib import suppress

import pytest
from broker import wait_until
from exactly import computed, exactly_once
from installation import Installation
from pushing import numbered, stored_message
from test_serial import Collecting

from submeter import civil
from submeter.core import now
from submeter.decoders import DecodeError, Profile, decode
from submeter.reading import DeviceId, Source
from submeter.simulate import Network, encode
from submeter.store import Message
from submeter.store.inbox import DUP

ORDERS = int(os.environ.get("SUBMETER_ORDERS", "2"))
KEY = bytes(range(16))


@pytest.fixture
def here(tmp_path):
    """An installation of one flat."""
    return Installation(tmp_path / "here")


def test_fault_26_one_message_ten_times_counts_once(here):
    """Delivered ten times, marked as repeated or not, in one step and in the next: one reading, and the rest is told as redelivered."""
    (message,) = [next(numbered(here.building))]
    with here.core() as core:
        for times in (7, 3):
            core.inbox.append([Message("b", message.payload, now(), gateway=message.gateway, flags=DUP * (number > 0)) for number in range(times)])
            core.drain_all()
        assert core.inbox.counts().refused == {"redelivered": 9}
    exactly_once(here, message.sent)


def test_fault_27_three_gateways_one_reading_and_the_best_level(here):
    """One telegram through three gateways is one reading; each gateway's reception is counted with its own level."""
    place, t = here.building.places[0], now() - civil.HOUR
    levels = {"a": -91, "b": -54, "c": -77}
    with here.core() as core:
        for late, (gateway, level) in enumerate(levels.items()):
            telegram = {"hex": place.meter.telegram(t).hex(), "rssi": level}
            core.inbox.append([Message("m", json.dumps({"v": 1, "gw": gateway, "t": [telegram]}).encode(), t + late * civil.SECOND, gateway=gateway)])
        core.drain_all()
        assert len(all_readings(core)) == 1
        assert {row["gateway"]: (row["n"], row["rssi_best"]) for row in core.readings.receptions().to_pylist()} == {
            gateway: (1, level) for gateway, level in levels.items()
        }


def all_readings(core):
    """Every live reading."""
    return [row for row in core.readings.readings_of(list(core.readings.registers().values())).to_pylist() if row["src"] == Source.LIVE]


def test_fault_28_any_order_up_to_forty_days_late_gives_the_same_rows(tmp_path):
    """The same messages in order, shuffled, repeated and with rollups in between: the same rows, and those of a computation from scratch."""
    start = now() - 40 * civil.DAY
    first = Installation(tmp_path / "in-order")
    messages = [message for hour in range(0, 24 * 40, 8) for message in Network(first.building, civil.HOUR, f"b{hour}").messages(
        start + hour * civil.HOUR, start + (hour + 1) * civil.HOUR)]  # fmt: skip
    sent = [one for message in messages for one in message.sent]
    with first.core() as core:
        core.inbox.append([stored_message(message) for message in messages])
        core.drain_all()
        core.rollup()
        expected = shown(core)
    for order in range(ORDERS):
        chance, other = random.Random(order), Installation(tmp_path / f"order-{order}")
        shuffled = messages + chance.sample(messages, 20)
        chance.shuffle(shuffled)
        with other.core() as core:
            while shuffled:
                some, shuffled = shuffled[: (size := chance.randrange(1, 120))], shuffled[size:]
                core.inbox.append([stored_message(message) for message in some])
                core.drain_all()
                core.rollup()
            assert shown(core) == expected
        exactly_once(other, sent)


def shown(core):
    """All rows by point and register, without the count of their revisions."""
    names = {number: (key.point, str(key.register)) for key, number in core.readings.series().items()}
    fields = ("start", "value", "lo", "hi", "index_start", "index_end", "coverage", "quality", "flags")
    found = {}
    for number, name in names.items():
        for level in range(4):
            table = core.readings.rollups([number], level, -(2**62), 2**62)
            found[name, level] = [table[field].to_pylist() for field in fields]
    assert len(computed(core)) == len(found)
    return found


def test_fault_35_one_number_of_two_manufacturers_is_two_meters(here):
    """Equal eight digits do not make one meter: the stranger's telegrams change nothing of ours."""
    place, t = here.building.places[0], now() - civil.HOUR
    ours = place.meter.device
    stranger = DeviceId("ZZZ", ours.id, ours.version, ours.type)
    raw = encode.radio(stranger, encode.plain(encode.bcd(b"\x13", 77_777, 8), encode.Header(access=1)))
    with here.core() as core:
        core.inbox.append([Message("t", place.meter.telegram(t).hex().encode(), t), Message("t", raw.hex().encode(), t + civil.MINUTE)])
        core.drain_all()
        assert core.inbox.counts().quarantined == {"unknown_meter": 1}
        assert {device for device, _ in core.readings.registers()} == {str(ours)}


def test_fault_39_endless_records_end(shared):
    """Frames that made decoders loop, and as many records as a frame can hold, end with a bounded number of them or a reason."""
    rows = [json.loads(line) for line in (shared / "reliability" / "malformed.jsonl").read_text("utf-8").splitlines()]
    looped = bytes.fromhex(next(row["hex"] for row in rows if row["id"] == "M064"))
    many = encode.radio(DeviceId("STM", "11111111", 1, 7), encode.plain(b"\x01\x13\x05" * 75, encode.Header(access=1)))
    most = 256
    for raw in (looped, many):
        with suppress(DecodeError):
            assert len(decode(raw, lambda _: Profile()).records) <= most


def test_fault_41_two_readers_on_one_port(tmp_path):
    """The second reader of a serial port is told, and takes nothing from the first."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        with Collecting(tmp_path / "one.sqlite", os.ttyname(theirs)) as first, Collecting(tmp_path / "two.sqlite", os.ttyname(theirs)) as second:
            wait_until(lambda: "port_lost" in second.events)
            for number in range(20):
                os.write(ours, b"%040x\n" % number)
            first.wait_for(*(b"%040x" % number for number in range(20)))
            assert second.collector.counters.messages == 0
    finally:
        os.close(ours)
        os.close(theirs)
