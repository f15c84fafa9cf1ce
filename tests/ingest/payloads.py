"""Broken payloads of many kinds, built here, and a whole telegram to build good ones from."""

import json
import zlib

#: A made-up telegram: SND-NR, manufacturer ABC, id 00112233, one volume record.
TELEGRAM = "1444" + "4304" + "33221100" + "01" + "07" + "7a2a000000" + "0413" + "39300000"
TELEGRAM += "0f" * (int(TELEGRAM[:2], 16) + 1 - len(TELEGRAM) // 2)
RAW = bytes.fromhex(TELEGRAM)
TOPIC = "submeter/v1/gw-7/up"


def batch(*telegrams, **fields) -> dict:
    """A native batch of gw-7 with these telegrams (default: one whole one)."""
    return {"v": 1, "gw": "gw-7", "boot": "b1", "seq": 1, "t": list(telegrams) or [{"hex": TELEGRAM}], **fields}


def encoded(document) -> bytes:
    """A document as compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def without(document: dict, *names: str) -> dict:
    """A document without some fields."""
    return {name: value for name, value in document.items() if name not in names}


GOOD = encoded(batch())
PACKED = zlib.compress(GOOD)
LINE = f"T1;1;1;2026-11-21 08:00:00.000;97;148;00112233;0x{TELEGRAM}".encode()

#: Messages that are refused as a whole: name → (reason, payload).
REFUSED = {
    "empty": ("empty", b""),
    "over 256 KiB": ("too_large", b" " * (256 * 1024 + 1)),
    "white space only": ("unknown_format", b" \r\n\t "),
    "one NUL": ("unknown_format", b"\0"),
    "random bytes": ("unknown_format", bytes(range(128, 200))),
    "words": ("unknown_format", b"hello, world"),
    "a bare number": ("unknown_format", b"-52"),
    "a float": ("unknown_format", b"1e400"),
    "JSON null": ("unknown_format", b"null"),
    "JSON true": ("unknown_format", b"true"),
    "JSON string": ("unknown_format", b'"aa"'),
    "JSON empty array": ("unknown_format", b"[]"),
    "JSON array of numbers": ("unknown_format", b"[1,2,3]"),
    "JSON array of arrays": ("unknown_format", b"[[{}]]"),
    "JSON empty object": ("unknown_format", b"{}"),
    "JSON unknown object": ("unknown_format", b'{"temperature":21.5}'),
    "JSON behind a byte order mark": ("unknown_format", b"\xef\xbb\xbf" + GOOD),
    "JSON in UTF-16": ("unknown_format", GOOD.decode().encode("utf-16")),
    "cut JSON": ("bad_json", GOOD[:-1]),
    "JSON and more": ("bad_json", GOOD + b"x"),
    "two JSON objects": ("bad_json", GOOD + b"\n" + GOOD),
    "NaN": ("bad_json", b'{"v":1,"t":[NaN]}'),
    "Infinity": ("bad_json", b'{"v":1,"t":[-Infinity]}'),
    "overflowing number": ("bad_json", b'{"v":1,"t":[],"seq":1e400}'),
    "single quotes": ("bad_json", b"{'v':1,'t':[]}"),
    "trailing comma": ("bad_json", b'{"v":1,"t":[],}'),
    "comment": ("bad_json", b'{"v":1,/* */"t":[]}'),
    "lone surrogate": ("bad_json", b'{"v":1,"gw":"\\ud800","t":[]}'),
    "invalid UTF-8 in a string": ("bad_json", b'{"v":1,"gw":"\xff","t":[]}'),
    "raw NUL in a string": ("bad_json", b'{"v":1,"gw":"\0","t":[]}'),
    "cut array": ("bad_json", b'[{"frame":"44"}'),
    "objects nested 17 deep": ("too_deep", b'{"a":' * 17 + b"1" + b"}" * 17),
    "arrays nested 100000 deep": ("too_deep", b"[" * 100_000 + b"]" * 100_000),
    "unclosed nesting": ("too_deep", b'{"a":[' * 20_000),
    "batch of version 2": ("unknown_format", encoded(batch(v=2))),
    "batch without t": ("unknown_format", encoded(without(batch(), "t"))),
    "t is an object": ("unknown_format", encoded(batch(t={}))),
    "batch without gw": ("bad_field", encoded(without(batch(), "gw"))),
    "gw is a number": ("bad_field", encoded(batch(gw=7))),
    "gw is empty": ("bad_field", encoded(batch(gw=""))),
    "gw is too long": ("bad_field", encoded(batch(gw="g" * 65))),
    "gw of another gateway": ("gateway_mismatch", encoded(batch(gw="gw-8"))),
    "boot is a list": ("bad_field", encoded(batch(boot=[]))),
    "boot is too long": ("bad_field", encoded(batch(boot="b" * 33))),
    "seq is negative": ("bad_field", encoded(batch(seq=-1))),
    "seq is text": ("bad_field", encoded(batch(seq="1"))),
    "seq is a fraction": ("bad_field", encoded(batch(seq=1.5))),
    "seq over 63 bits": ("bad_field", encoded(batch(seq=2**63))),
    "seq of 5000 digits": ("bad_json", b'{"v":1,"gw":"gw-7","t":[],"seq":' + b"9" * 5000 + b"}"),
    "message time without zone": ("bad_time", encoded(batch(ts="2026-10-25T02:30:00"))),
    "message time in year 9999": ("bad_time", encoded(batch(ts="9999-12-31T23:59:59Z"))),
    "message time in year 1": ("bad_time", encoded(batch(ts="0001-01-01T00:00:00+14:00"))),
    "message time beyond any calendar": ("bad_time", encoded(batch(ts=253402300800000))),
    "message time is a list": ("bad_field", encoded(batch(ts=[1]))),
    "5001 telegrams": ("too_many", encoded(batch(t=[{"hex": "aa"}] * 5001))),
    "array of 5001": ("too_many", encoded([{"frame": "aa"}] * 5001)),
    "zlib cut": ("bad_zlib", PACKED[:-3]),
    "zlib with a wrong checksum": ("bad_zlib", PACKED[:-1] + bytes([PACKED[-1] ^ 1])),
    "zlib and more": ("bad_zlib", PACKED + b"x"),
    "zlib of zlib": ("unknown_format", zlib.compress(PACKED)),
    "zlib of nothing": ("unknown_format", zlib.compress(b"")),
    "zlib bomb": ("too_large", zlib.compress(bytes(16 * 1024 * 1024), 9)),
    "only a zlib header": ("bad_zlib", b"x\x9c"),
    "hex of odd length": ("unknown_format", TELEGRAM.encode()[:-1]),
    "hex too short": ("unknown_format", b"1e44"),
    "hex with a wrong length field": ("bad_length", b"ff" + TELEGRAM.encode()[2:]),
    "hex of zeros": ("bad_length", b"00" * 5000),
    "hex with blanks": ("unknown_format", b" ".join([b"aa"] * 20)),
    "hex with a letter": ("unknown_format", TELEGRAM.encode()[:-1] + b"g"),
    "wired frame with a wrong checksum": ("bad_length", b"6803036808017200ff16"),
    "ESPHome frame is null": ("bad_field", b'{"frame":null}'),
    "ESPHome frame is no hex": ("bad_hex", b'{"frame":"zz"}'),
    "ESPHome frame is empty": ("bad_hex", b'{"frame":""}'),
    "ESPHome frame is not ASCII": ("bad_hex", '{"frame":"\u0661\u0662"}'.encode()),
    "ESPHome frame is cut": ("bad_length", encoded({"frame": TELEGRAM[:-2], "rssi": -44})),
    "radio_raw event": ("unsupported_radio_raw", encoded({"event": "radio_raw", "raw": TELEGRAM, "frame": TELEGRAM})),
}

#: Messages of which one telegram is refused: name → (reason, payload).
PARTLY = {
    "telegram is null": ("bad_field", encoded(batch(None, {"hex": TELEGRAM}))),
    "telegram is a string": ("bad_field", encoded(batch(TELEGRAM, {"hex": TELEGRAM}))),
    "telegram without hex": ("bad_field", encoded(batch({"rssi": -50}, {"hex": TELEGRAM}))),
    "hex is a number": ("bad_field", encoded(batch({"hex": 1444}, {"hex": TELEGRAM}))),
    "hex is odd": ("bad_hex", encoded(batch({"hex": "144"}, {"hex": TELEGRAM}))),
    "hex is empty": ("bad_hex", encoded(batch({"hex": ""}, {"hex": TELEGRAM}))),
    "hex with blanks": ("bad_hex", encoded(batch({"hex": "14 44"}, {"hex": TELEGRAM}))),
    "hex is not ASCII": ("bad_hex", encoded(batch({"hex": "\uff11\uff14"}, {"hex": TELEGRAM}))),
    "form is unknown": ("bad_field", encoded(batch({"hex": TELEGRAM, "form": "c"}, {"hex": TELEGRAM}))),
    "kind is not built": ("bad_field", encoded(batch({"hex": TELEGRAM, "kind": "lorawan"}, {"hex": TELEGRAM}))),
    "time without zone": ("bad_time", encoded(batch({"hex": TELEGRAM, "ts": "2026-11-21T08:00:00"}, {"hex": TELEGRAM}))),
    "time is no time": ("bad_time", encoded(batch({"hex": TELEGRAM, "ts": "yesterday"}, {"hex": TELEGRAM}))),
    "time in seconds": ("bad_time", encoded(batch({"hex": TELEGRAM, "ts": 1795248003}, {"hex": TELEGRAM}))),
    "time of 30 digits": ("bad_time", encoded(batch({"hex": TELEGRAM, "ts": 10**30}, {"hex": TELEGRAM}))),
    "time is a fraction": ("bad_field", encoded(batch({"hex": TELEGRAM, "ts": 1.5}, {"hex": TELEGRAM}))),
    "line with a wrong CRC": ("bad_crc", LINE.replace(b"T1;1;1", b"T1;0;1") + b"\n" + LINE),
    "line with a wrong 3-of-6 code": ("bad_crc", LINE.replace(b"T1;1;1", b"T1;1;0") + b"\n" + LINE),
    "line cut in the frame": ("bad_hex", LINE[:-1] + b"\n" + LINE),
    "line without a frame": ("bad_line", LINE[: LINE.index(b"0x")] + b"\n" + LINE),
    "line of something else": ("bad_line", LINE + b"\nRegistered: 00112233"),
    "line with a wrong time": ("bad_time", LINE.replace(b"2026-11-21", b"2026-13-41") + b"\n" + LINE),
    "line with bytes over 127": ("bad_hex", LINE[:-2] + b"\xff\xfe\n" + LINE),
    "array with one bad element": ("bad_hex", encoded([{"frame": "zz"}, {"frame": TELEGRAM}])),
    "array with a number": ("unknown_format", encoded([1, {"frame": TELEGRAM}])),
    "array with a batch": ("unknown_format", encoded([batch(), {"frame": TELEGRAM}])),
}
