"""`decode --readings`: the lines of the batch are those of the plain path, any line has an answer."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from submeter.cli import readings
from submeter.cli.readings import answer_lines, stream
from submeter.decoders import Profile
from submeter.decoders.fast import Decoder
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.building import Building

METER = DeviceId("SIM", "12345678", 0x01, 0x07)
KEY = bytes(range(16))
NOON = 1_795_258_800_000_000


def line(raw: bytes, **more: object) -> bytes:
    """A line of input."""
    return json.dumps({"id": 1, "telegram_hex": raw.hex(), **more}).encode()


def only(text: bytes) -> dict[str, object]:
    """The answer to one line."""
    [answer] = answer_lines(Decoder(), [text])
    assert answer.endswith("\n")
    return json.loads(answer)


def test_lines_of_both_paths_are_equal_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A building's telegrams, written from columns and written one by one."""
    meters = [place.meter for place in Building.make().places]
    asked = [
        line(meter.telegram(NOON + 60_000_000 * number), key_hex=meter.key.hex() if meter.key else None, link="wmbus" if meter.key else "mbus")
        for number, meter in enumerate(meters)
    ]
    decoder = Decoder()
    by_columns = answer_lines(decoder, asked)
    assert decoder.layouts
    monkeypatch.setattr("submeter.decoders.fast.library.VARIANTS", 0)
    plain = Decoder()
    assert answer_lines(plain, asked) == by_columns
    assert not plain.layouts


def test_a_line_names_registers_flags_and_instants() -> None:
    """What a stored, a tariff and a present value look like, in canonical units; the id is given back as it came."""
    records = (
        encode.bcd(b"\x13", 1234, 8)
        + encode.bcd(b"\x13", 99, 8, encode.Slot(tariff=2, subunit=1))
        + bytes.fromhex("426c") + encode.day(readings.local_time(0).date().replace(year=2024, month=12, day=31))[2:]
        + encode.bcd(b"\x13", 1000, 8, encode.Slot(storage=1))
    )  # fmt: skip
    raw = encode.radio(METER, encode.mode5(records, encode.Header(access=9, status=0x04), KEY, METER))
    assert only(line(raw, id={"a": [1.50]}, key_hex=KEY.hex())) == {
        "id": {"a": [1.5]},
        "device": "SIM-12345678-01-07",
        "mode": 5,
        "access_number": 9,
        "meter_time": None,
        "flags": ["power_low"],
        "readings": [
            {"name": "volume", "unit": "m3", "value": 1.234},
            {"name": "volume", "unit": "m3", "tariff": 2, "subunit": 1, "value": 0.099},
            {"name": "volume", "unit": "m3", "value": 1.0, "label": "set_day", "due": False, "stamp": "2024-12-31"},
        ],
    }


def test_every_line_has_an_answer() -> None:
    """Broken JSON, wrong types, bad digits and refused telegrams are errors; blank lines are none."""
    asked = [b"{", b"[]", b'{"id":3}', b'{"id":4,"telegram_hex":"xy"}', b'{"id":5,"telegram_hex":"00","key_hex":"q"}', b"  ", line(b"\x00")]
    answers = list(map(json.loads, answer_lines(Decoder(), asked)))
    assert [answer["id"] for answer in answers] == [None, None, 3, 4, 5, 1]
    assert [answer["error"].partition(":")[0] for answer in answers] == ["bad_line"] * 5 + ["bad_frame"]


def test_earlier_telegrams_and_short_keys_are_answered_one_by_one() -> None:
    """A compact frame after its full one; a key of DES."""
    payload = encode.integer(b"\x13", 1234, 4)
    full = encode.radio(METER, encode.plain(payload, encode.Header()))
    assert only(line(full, prior_telegrams_hex=[full.hex(), "zz", "00"]))["readings"] == [{"name": "volume", "unit": "m3", "value": 1.234}]
    assert str(only(line(full, prior_telegrams_hex=[], key_hex="00" * 8))["error"]).startswith("downgrade")


def test_the_command_answers_as_lines_arrive(tmp_path: Path) -> None:
    """Through standard input and output; the last line needs no end."""
    raw = encode.radio(METER, encode.plain(encode.bcd(b"\x13", 1, 8), encode.Header()))
    command = [sys.executable, "-m", "submeter", "decode", "--readings"]
    done = subprocess.run(command, input=line(raw) + b"\n" + line(raw, id=2), capture_output=True, check=True, cwd=tmp_path)
    assert [json.loads(one)["id"] for one in done.stdout.splitlines()] == [1, 2]


def test_a_stream_is_answered_in_order_whatever_its_pieces() -> None:
    """Lines cut between two writes are whole lines; what came is answered before more comes."""
    raw = encode.radio(METER, encode.plain(encode.bcd(b"\x13", 1, 8), encode.Header()))
    source, sink = os.pipe()
    written: list[str] = []

    def feed() -> None:
        with os.fdopen(sink, "wb", buffering=0) as pipe:
            pipe.write(line(raw) + b"\n" + line(raw, id=2)[:9])
            time.sleep(0.05)
            pipe.write(line(raw, id=2)[9:] + b"\n")

    feeding = threading.Thread(target=feed)
    feeding.start()
    with os.fdopen(source, "rb") as pipe:
        stream(pipe, written.append)
    feeding.join()
    assert [json.loads(one)["id"] for one in "".join(written).splitlines()] == [1, 2]
    assert written[0].count("\n") == 1


def test_the_key_fits_every_device_but_short_ones() -> None:
    """Eight bytes are a key of mode 2, but for the Diehl group."""
    assert readings.profile_of("00" * 8)(METER) == Profile(bytes(8), mode=2, whole=False)
    assert readings.profile_of("00" * 8)(DeviceId("SAP", "00000001", 0, 7)) == Profile(bytes(8), whole=False)
    assert readings.profile_of(None)(METER) == Profile(whole=False)
