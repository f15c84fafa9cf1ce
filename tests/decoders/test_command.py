"""`submeter decode`: a table for people, lines of JSON for programs."""

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from submeter.cli.decode import decode, decode_line, decode_lines
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes.fromhex("3d9a5f10c7e2846b91f40d5ab37c2e68")
METER = DeviceId("STM", "95000001", 1, 7)
RECORDS = encode.bcd(b"\x13", 4711, 8) + bytes.fromhex("426c 3f2c 4413 01000000 02fd17 0000")
ENCRYPTED = encode.radio(METER, encode.mode5(RECORDS, encode.Header(access=3), KEY, METER))

app = typer.Typer()
app.command()(decode)


def ask(**row: Any) -> Any:
    """One line in, its answer out."""
    return decode_line(json.dumps({"id": "x", "link": "wmbus", "telegram_hex": ENCRYPTED.hex(), "key_hex": KEY.hex(), **row}))


def test_a_line_lists_every_record() -> None:
    """Numbers are JSON numbers; stored values carry their date; storage, tariff, subunit and function stand beside each value."""
    reply = ask(frame_format="noCRC")
    assert "error" not in reply
    assert reply["readings"][0] == {
        "quantity": "volume", "value": 4.711, "unit": "m3", "storage": 0, "tariff": 0, "subunit": 0, "function": "inst", "timestamp": None,
    }  # fmt: skip
    assert [(r["quantity"], r["value"], r["timestamp"]) for r in reply["readings"][1:]] == [
        ("date", "2017-12-31", "2017-12-31"), ("volume", 0.001, "2017-12-31"), ("status_flags", 0, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"key_hex": None}, "no_key"), ({"key_hex": KEY[::-1].hex()}, "wrong_key"), ({"key_hex": "zz"}, "bad_line"), ({"telegram_hex": "0"}, "bad_line"),
        ({"telegram_hex": None}, "bad_line"), ({"frame_format": "crcB"}, "bad_frame"), ({"link": "mbus"}, "bad_frame"),
    ],
)  # fmt: skip
def test_a_refused_line_says_why(row: dict[str, Any], reason: str) -> None:
    """The word of the quarantine, what is wrong, and no reading."""
    reply = ask(**row)
    assert reply["readings"] == []
    assert reply["error"].startswith(f"{reason}: ")


def test_plaintext_under_an_encrypting_header_needs_its_mark() -> None:
    """A line may say that the telegram was decrypted before."""
    plain = encode.radio(METER, bytes([0x7A, 3, 0, 0x20, 5]) + b"\x2f\x2f" + RECORDS + bytes([0x2F]) * 9)
    assert ask(telegram_hex=plain.hex())["error"].startswith("wrong_key")
    assert len(ask(telegram_hex=plain.hex(), decrypted=True)["readings"]) == 4


def test_every_line_has_its_answer() -> None:
    """Blank lines are skipped; what is no object is answered all the same."""
    lines = [json.dumps({"id": 1, "telegram_hex": ENCRYPTED.hex(), "key_hex": KEY.hex()}), "", "[1]", "{", '{"id": 2}']
    replies = [json.loads(line) for line in decode_lines(lines)]
    assert [(reply["id"], bool(reply.get("error"))) for reply in replies] == [(1, False), (None, True), (None, True), (2, True)]


def test_the_table_shows_device_readings_and_records() -> None:
    """One telegram on the command line."""
    result = CliRunner().invoke(app, [ENCRYPTED.hex(" "), "--key", KEY.hex()], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert all(word in result.output for word in ("STM-95000001-01-07", "volume", "4.711", "2017-12-31", "set_day"))


def test_a_refusal_is_one_line_and_exit_status_1() -> None:
    """No traceback, and the reason first."""
    result = CliRunner().invoke(app, [ENCRYPTED.hex()], env={"COLUMNS": "160"})
    assert (result.exit_code, result.output.splitlines()) == (1, ["no_key: STM-95000001-01-07: encrypted, and no key is known"])
    assert CliRunner().invoke(app, ["0g"]).exit_code == 1
    assert CliRunner().invoke(app, []).exit_code == 2


def test_lines_go_through_standard_input() -> None:
    """`--jsonl` reads and writes lines."""
    result = CliRunner().invoke(app, ["--jsonl"], input=json.dumps({"id": 7, "telegram_hex": "00"}) + "\n")
    assert json.loads(result.output)["id"] == 7
