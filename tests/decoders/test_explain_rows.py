"""What is told of telegrams of each kind, row by row: where, which bytes, which layer, what they mean."""

import json
from pathlib import Path

import pytest

from submeter.decoders import FormatKey, Profile, decode
from submeter.decoders.explain import explain
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes.fromhex("71e0d3289bf54a06c8927d1e35fa6b40")
METER = DeviceId("STM", "84000001", 0x11, 0x04)
HEADER, LONG = encode.Header(access=77, status=0x0C), encode.Header(access=77, address=METER)
PARTNER = encode.radio(DeviceId("STM", "84000002", 1, 7), b"\x78")[2:10]
ENERGY = bytes.fromhex("0406 01000000")
VECTORS = Path(__file__).parents[1] / "vectors" / "meters"
FORMATS: dict[FormatKey, bytes] = {}
TWO = encode.integer(b"\x06", 51234, 4) + encode.integer(b"\x14", 1, 4)
decode(encode.radio(METER, encode.plain(TWO, None)), lambda _: Profile(), formats=FORMATS)


def vector(driver: str) -> bytes:
    """The first vector of a driver."""
    rows = (row for file in sorted(VECTORS.glob("*.json")) for row in json.loads(file.read_text(encoding="utf-8")))
    return bytes.fromhex(next(row["hex"] for row in rows if row["driver"] == driver))


def session(kind: int, body: bytes) -> bytes:
    """A session of the extended link layer in clear, whatever cipher it names."""
    return (0x123 | kind << 29).to_bytes(4, "little") + encode.crc(body).to_bytes(2, "little") + body


PLAIN = encode.plain(ENERGY, None)
CASES = {
    "records": encode.radio(METER, encode.plain(bytes.fromhex(
        "2f2f 0c13 78563412 8c8110 14 11223344 426c 3f2c dc9120 3b 15000000 0dfd0c 03 414243 0413 00000080 349316 01000000 0f a1b2"), HEADER)),
    "format A": encode.format_a(encode.radio(METER, encode.plain(ENERGY, LONG), control=0x46)),
    "trailing": encode.radio(METER, PLAIN, control=0x08) + b"\xaa\xbb",
    "wire": b"\xff" + encode.wired(encode.plain(ENERGY + b"\x1f", LONG), address=9) + b"\xe5",
    "fixed": encode.wired(bytes.fromhex("73 78563412 0a 00 05 3e 64000000 03000000")),
    "session": encode.radio(METER, encode.extended_ctr(PLAIN, KEY, METER, access=3, session=0x12345, control=0x9A)),
    "authenticated": encode.radio(METER, encode.extended(encode.mode7(ENERGY, HEADER, KEY, METER, counter=1234), access=3, control=0)),
    "sealed": encode.radio(METER, encode.mode5(ENERGY, encode.Header(access=1, status=0xF3), KEY, METER)),
    "partner": encode.radio(METER, b"\x8f\x65\x05" + PARTNER + session(0, PLAIN)),
    "other cipher": encode.radio(METER, b"\x8d\x20\x05" + session(2, PLAIN)),
    "tail": vector("zenner0b"), "block": vector("fhkvdataiii-69"), "tags": vector("apator162"),
    "compact": encode.radio(METER, encode.compact(TWO, HEADER)),
    "command": encode.radio(METER, b"\x6e\x00\x00"),
    "no address": b"\x10\x44\0\0" + encode.radio(METER, PLAIN)[4:],
    "cut": encode.radio(METER, encode.plain(b"\x2f\x04\x06\x01", HEADER)),
}  # fmt: skip
#: Offset, bytes, layer, meaning; of most the rows of the link are left out.
ROWS = {
    "records": """
0 41 link: L: 65 bytes follow; its CRCs were taken off
1 44 link: C: SND_NR, sent spontaneously
2 8d4e link: manufacturer STM
4 01000084 link: id 84000001
8 11 link: version 11h
9 04 link: type 04h
10 7a transport: CI: records behind a short header
11 4d transport: access number 77
12 0c transport: status: power low, permanent error
13 0000 transport: configuration: mode 0, nothing encrypted
15 2f2f record: filler
17 0c record: DIF: BCD, 8 digits
18 13 record: VIF: volume in m3
19 78563412 record: 12345.678 m3
23 8c8110 record: DIF: BCD, 8 digits, storage 2, tariff 4
26 14 record: VIF: volume in m3
27 11223344 record: 443322.11 m3
31 42 record: DIF: integer, 16 bits, storage 1
32 6c record: VIF: date
33 3f2c record: 2017-12-31
35 dc9120 record: DIF: BCD, 8 digits, storage 3, tariff 9, max
38 3b record: VIF: flow in m3/h
39 15000000 record: 0.015 m3/h
43 0d record: DIF: variable length
44 fd0c record: VIF: model
46 03414243 record: CBA
50 04 record: DIF: integer, 32 bits
51 13 record: VIF: volume in m3
52 00000080 record: no value
56 34 record: DIF: integer, 32 bits, err
57 9316 record: VIF: volume in m3
59 01000000 record: no value: the meter reports overflow
63 0f record: DIF: manufacturer data to the end
64 a1b2 manufacturer: not known
0 - reading: volume = 12345.678 m3, at reception, now
0 - note: status: power_low permanent_error
""",
    "format A": """
0 1c link: L: 28 bytes follow; frame format A
1 46 link: C: SND_IR, sent for installation
2 8d4e link: manufacturer STM
4 01000084 link: id 84000001
8 11 link: version 11h
9 04 link: type 04h
0 9578 link: CRC of block 1, right
0 6efb link: CRC of block 2, right
0 ffff link: CRC of block 3, right
10 72 transport: CI: records behind a long header
11 01000084 transport: id 84000001
15 8d4e transport: manufacturer STM
17 11 transport: version 11h
18 04 transport: type 04h
19 4d transport: access number 77
20 00 transport: status: nothing to report
21 0000 transport: configuration: mode 0, nothing encrypted
23 04 record: DIF: integer, 32 bits
24 06 record: VIF: energy in Wh
25 01000000 record: 1000 Wh
0 - reading: energy = 1 kWh, at reception, now
""",
    "trailing": """
0 10 link: L: 16 bytes follow; its CRCs were taken off
1 08 link: C: RSP_UD, an answer
2 8d4e link: manufacturer STM
4 01000084 link: id 84000001
8 11 link: version 11h
9 04 link: type 04h
17 aabb link: behind the telegram: the receiver's
10 78 transport: CI: records without a header
11 04 record: DIF: integer, 32 bits
12 06 record: VIF: energy in Wh
13 01000000 record: 1000 Wh
0 - reading: energy = 1 kWh, at reception, now
""",
    "wire": """
0 ff link: in front of the frame: idle bytes of the bus
1 68161668 link: 68 L L 68: 22 bytes follow
5 08 link: C: RSP_UD, an answer
6 09 link: A: primary address 9
27 6f link: checksum, right
28 16 link: end
29 e5 link: behind the frame
6 72 transport: CI: records behind a long header
7 01000084 transport: id 84000001
11 8d4e transport: manufacturer STM
13 11 transport: version 11h
14 04 transport: type 04h
15 4d transport: access number 77
16 00 transport: status: nothing to report
17 0000 transport: configuration: mode 0, nothing encrypted
19 04 record: DIF: integer, 32 bits
20 06 record: VIF: energy in Wh
21 01000000 record: 1000 Wh
25 1f record: DIF: manufacturer data to the end, more telegrams follow
0 - reading: energy = 1 kWh, at reception, now
""",
    "fixed": """
0 68131368 link: 68 L L 68: 19 bytes follow
4 08 link: C: RSP_UD, an answer
5 01 link: A: primary address 1
23 44 link: checksum, right
24 16 link: end
6 73 transport: CI: the fixed structure of the wire, or a compact frame behind a long header
7 78563412 transport: id 12345678
11 0a transport: access number 10
12 00 record: status
13 05 record: unit of counter 1
14 3e record: unit of counter 2
15 64000000 record: 64000 Wh
19 03000000 record: 3000 Wh
0 - reading: energy = 64 kWh, at reception, now
""",
    "session": """
10 8d extended link: CI: extended link layer II
11 9a extended link: control: repeated access, priority, repeated by a repeater, bidirectional
12 03 extended link: access number 3
13 45230120 extended link: session number: AES-128-CTR, time 4660 min, session 5
17 1522 extended link: CRC of what follows, encrypted like it
19 393dd6bc624be7 extended link: encrypted; what it holds follows, counted from 0
0 78 transport: CI: records without a header
1 04 record: DIF: integer, 32 bits
2 06 record: VIF: energy in Wh
3 01000000 record: 1000 Wh
0 - reading: energy = 1 kWh, at reception, now
""",
    "authenticated": """
10 8c extended link: CI: extended link layer I
11 00 extended link: control: no bit set
12 03 extended link: access number 3
13 90 authentication: CI: authentication layer
14 0f authentication: 15 bytes follow
15 002c authentication: fragment 0, and which of the fields follow
17 25 authentication: message control
18 d2040000 authentication: message counter 1234
22 6132051c11618441 authentication: authentication code
30 7a transport: CI: records behind a short header
31 4d transport: access number 77
32 0c transport: status: power low, permanent error
33 1007 transport: configuration: mode 7, AES-128-CBC with derived keys, 1 blocks of 16 bytes
35 102c050b0b8c433f1e41c7f27df1112be2 security: encrypted, opened with the key of STM-84000001-11-04; what it holds follows, counted from 0
0 2f2f record: filler
2 04 record: DIF: integer, 32 bits
3 06 record: VIF: energy in Wh
4 01000000 record: 1000 Wh
8 2f2f2f2f2f2f2f2f record: filler
0 - reading: energy = 1 kWh, at reception, now
0 - note: status: power_low permanent_error
""",
    "sealed": """
10 7a transport: CI: records behind a short header
11 01 transport: access number 1
12 f3 transport: status: abnormal condition, temporary error, manufacturer bit 5, manufacturer bit 6, manufacturer bit 7
13 1005 transport: configuration: mode 5, AES-128-CBC, 1 blocks of 16 bytes
15 0e35326c7946687aaf79f43b25c0b6b4 security: encrypted, opened with the key of STM-84000001-11-04; what it holds follows, counted from 0
0 2f2f record: filler
2 04 record: DIF: integer, 32 bits
3 06 record: VIF: energy in Wh
4 01000000 record: 1000 Wh
8 2f2f2f2f2f2f2f2f record: filler
0 - reading: energy = 1 kWh, at reception, now
0 - note: status: alarm temporary_error
""",
    "partner": """
10 8f extended link: CI: extended link layer IV
11 65 extended link: control: accessible, synchronous, response delay
12 05 extended link: access number 5
13 8d4e extended link: manufacturer STM
15 02000084 extended link: id 84000002
19 01 extended link: version 01h
20 07 extended link: type 07h
21 23010000 extended link: session number: not encrypted, time 18 min, session 3
25 60aa extended link: CRC of what follows
27 78 transport: CI: records without a header
28 04 record: DIF: integer, 32 bits
29 06 record: VIF: energy in Wh
30 01000000 record: 1000 Wh
0 - reading: energy = 1 kWh, at reception, now
""",
    "other cipher": """
10 8d extended link: CI: extended link layer II
11 20 extended link: control: synchronous
12 05 extended link: access number 5
13 23010040 extended link: session number: encryption 2, not read here, time 18 min, session 3
17 60aa extended link: CRC of what follows, encrypted like it
19 78040601000000 extended link: encrypted; what it holds follows, counted from 0
0 - refused: unknown_mode: encryption 2 of the extended link layer
""",
    "tail": """
10 7a transport: CI: records behind a short header
11 11 transport: access number 17
12 00 transport: status: nothing to report
13 0000 transport: configuration: mode 0, nothing encrypted
15 2f2f record: filler
17 0f record: DIF: manufacturer data to the end
18 00000000 manufacturer: status_flags: 0 bits
22 00102700 manufacturer: volume: 10 m3
26 00d53000 manufacturer: volume: 12.501 m3
0 - reading: status_flags = 0 bits, at reception, now
0 - reading: volume = 12.501 m3, at reception, now
""",
    "block": """
10 a0 transport: CI: of the manufacturer, or another service
11 11 manufacturer: not known
12 9f2d manufacturer: date: 2022-12-31
14 3601 manufacturer: hca: 310 hca
16 8004 manufacturer: not known
18 0c00 manufacturer: hca: 12 hca
20 6608 manufacturer: temperature_ambient: 21.5 °C
22 cb0c manufacturer: temperature_radiator: 32.75 °C
24 0102 manufacturer: read by driver fhkvdataiii-69
0 - reading: hca = 310 hca, 2022-12-31, set_day
0 - reading: hca = 12 hca, at reception, now
0 - reading: temperature_ambient = 21.5 °C, at reception, now
0 - reading: temperature_radiator = 32.75 °C, at reception, now
""",
    "tags": """
10 7a transport: CI: records behind a short header
11 01 transport: access number 1
12 00 transport: status: nothing to report
13 0000 transport: configuration: mode 0, nothing encrypted
15 0f01020304050607710140e2010010270000a010aabbcc1087d61200ffffff1234 manufacturer: read by driver apator162
0 - reading: volume = 1234.567 m3, at reception, now
""",
    "compact": """
10 7b transport: CI: compact frame behind a short header
11 4d transport: access number 77
12 0c transport: status: power low, permanent error
13 0000 transport: configuration: mode 0, nothing encrypted
15 adc4 compact: format signature C4ADh
17 bb93 compact: CRC of the full frame
19 22c8000001000000 compact: data without headers; the full frame follows as it was built again, counted from 0
0 04 record: DIF: integer, 32 bits
1 06 record: VIF: energy in Wh
2 22c80000 record: 51234000 Wh
6 04 record: DIF: integer, 32 bits
7 14 record: VIF: volume in m3
8 01000000 record: 0.01 m3
0 - reading: energy = 51234 kWh, at reception, now
0 - reading: volume = 0.01 m3, at reception, now
0 - note: status: power_low permanent_error
""",
    "command": """
10 6e transport: CI: of the manufacturer, or another service
0 - refused: rejected: CI 6Eh carries no readings
""",
    "no address": """
0 10 link: L: 16 bytes follow; its CRCs were taken off
1 44 link: C: SND_NR, sent spontaneously
2 0000 link: manufacturer not readable: manufacturer code 0000h is not three letters
4 01000084 link: id not readable: manufacturer code 0000h is not three letters
8 11 link: version not readable: manufacturer code 0000h is not three letters
9 04 link: type not readable: manufacturer code 0000h is not three letters
0 - refused: bad_frame: manufacturer code 0000h is not three letters
""",
    "cut": """
10 7a transport: CI: records behind a short header
11 4d transport: access number 77
12 0c transport: status: power low, permanent error
13 0000 transport: configuration: mode 0, nothing encrypted
15 2f record: filler
16 040601 record: not readable as a record
0 - note: record 1 at byte 1: its data run 3 bytes over the end
0 - note: status: power_low permanent_error
0 - refused: bad_frame
""",
}


@pytest.mark.parametrize("name", CASES)
def test_rows(name: str) -> None:
    """Of a telegram of each kind: all of them, in order."""
    raw, wanted = CASES[name], ROWS[name].strip().splitlines()
    link, form = "mbus" if raw[0] in {0x68, 0xFF} else "wmbus", "trailing" if name == "trailing" else "auto"
    profile = Profile(KEY if name in {"session", "authenticated", "sealed", "other cipher"} else None)
    found = explain(raw, lambda _: profile, link=link, form=form, formats=FORMATS)
    told = [f"{row.at} {row.data.hex() or '-'} {row.layer}: {row.what}" for row in found]
    assert told[0].startswith(wanted[0]) or told[6].startswith(wanted[0])
    assert told == wanted if told[0] == wanted[0] else told[6:] == wanted


@pytest.mark.parametrize(("ci", "said"), [
    (0x72, "records behind a long header"), (0x73, "the fixed structure of the wire, or a compact frame behind a long header"), (0x78, "records without a header"),
    (0x7A, "records behind a short header"), (0x79, "compact frame"), (0x7B, "compact frame behind a short header"), (0x6B, "of the manufacturer, or another service"), (0x6A, "of the manufacturer, or another service"),
    (0xA5, "of the manufacturer, or another service"),
])  # fmt: skip
def test_ci_fields(ci: int, said: str) -> None:
    """Each by its name; the bytes of a header are told where there is one."""
    long, short = ci in {0x72, 0x73, 0x6B}, ci in {0x7A, 0x7B, 0x6A}
    rows = explain(encode.radio(METER, bytes([ci]) + LONG.encode(0)[1:] + bytes(4)), lambda _: Profile())
    assert rows[6].what == f"CI: {said}"
    header = [row.what.split(" ")[0] for row in rows if row.layer == "transport"][1:]
    assert header == ["id", "manufacturer", "version", "type"] * long + ["access", "status:", "configuration:"] * (long or short)


MODES = {
    0: "nothing encrypted", 2: "DES-CBC, 0 bytes", 5: "AES-128-CBC, 0 blocks of 16 bytes", 7: "AES-128-CBC with derived keys, 0 blocks of 16 bytes",
    8: "AES-CTR and CMAC", 9: "AES-GCM", 10: "AES-CCM", 13: "TLS",
}  # fmt: skip


def test_modes_by_their_names() -> None:
    """Of 32, those that have one."""
    for mode in range(32):
        rows = explain(encode.radio(METER, bytes([0x7A, 1, 0, 0, mode]) + bytes(16)), lambda _: Profile())
        assert rows[9].what == f"configuration: mode {mode}, {MODES.get(mode, 'reserved or of the manufacturer')}"


def test_bits_of_the_status_and_of_the_link_layer() -> None:
    """Each bit by its word, none by a word of its own."""
    for bit, word in enumerate(
        ("busy", "application error", "power low", "permanent error", "temporary error", *(f"manufacturer bit {bit}" for bit in (5, 6, 7)))
    ):
        rows = explain(encode.radio(METER, bytes([0x7A, 1, 1 << bit, 0, 0])), lambda _: Profile())
        assert rows[8].what == f"status: {word}"
    words = ("no bit set", "repeated access", "accessible", "priority", "repeated by a repeater", "synchronous", "response delay", "bidirectional")
    for bit, word in enumerate(words):
        rows = explain(encode.radio(METER, bytes([0x8C, 1 << bit, 1]) + PLAIN), lambda _: Profile())
        assert rows[7].what == f"control: {word}"


CODINGS = (
    "no data", "integer, 8 bits", "integer, 16 bits", "integer, 24 bits", "integer, 32 bits", "float, 32 bits", "integer, 48 bits", "integer, 64 bits",
    "selection for readout", "BCD, 2 digits", "BCD, 4 digits", "BCD, 6 digits", "BCD, 8 digits", "variable length", "BCD, 12 digits",
)  # fmt: skip


def test_codings_and_functions_by_their_names() -> None:
    """Fifteen codings and the four functions of a record."""
    for number, coding in enumerate(CODINGS):
        for function, word in enumerate(("", ", max", ", min", ", err")):
            rows = explain(encode.radio(METER, encode.plain(bytes([number | function << 4, 0x13]) + bytes(8), None)), lambda _: Profile())
            assert next(row.what for row in rows if row.layer == "record") == f"DIF: {coding}{word}"
