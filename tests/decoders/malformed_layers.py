"""Malformed layers between link and records: CI fields, transport headers, what the configuration word says, extended link and authentication layers."""

from malformed import GOOD, KEY, KEYED, METER, PLAIN, Case, flipped, nothing, ok, put

from submeter.decoders import Profile
from submeter.decoders.security import ELL_CTR
from submeter.reading import DeviceId
from submeter.simulate import encode

HEADER = encode.Header(access=9)
LONG = encode.Header(access=9, address=METER)
STRANGER = encode.Header(access=9, address=DeviceId("SMU", "71000002", 0x05, 0x07))
BODY = encode.plain(GOOD, HEADER)
MODE5 = encode.mode5(GOOD, HEADER, KEY, METER)
TWO = encode.mode5(GOOD * 4, HEADER, KEY, METER)
MODE7 = encode.mode7(GOOD, HEADER, KEY, METER, counter=7)
CTR = encode.extended_ctr(BODY, KEY, METER, access=9, session=16)
#: Where things stand: CI, access, status, configuration low and high, payload; in mode 7 behind an authentication layer of 17 bytes.
CONFIG, PAYLOAD, AFL = 3, 5, 17
OPEN = Profile(KEY, whole=False)


def air(body: bytes) -> bytes:
    """The meter's radio frame with this body."""
    return encode.radio(METER, body)


def config(body: bytes, word: int, at: int = CONFIG) -> bytes:
    """The body with another configuration word."""
    return body[:at] + word.to_bytes(2, "little") + body[at + 2 :]


def under(mode: int, blocks: int = 1, payload: bytes = MODE5[PAYLOAD:]) -> bytes:
    """A short header of this mode and number of blocks before a payload."""
    return BODY[:CONFIG] + (mode << 8 | blocks << 4).to_bytes(2, "little") + payload


REJECTED = {
    0x50: "reset", 0x51: "data to the device", 0x52: "a selection", 0x5A: "a command", 0x5B: "a command with a long header", 0x60: "a COSEM command", 0x6C: "a clock that is set",
    0x6E: "an application error, short header", 0x70: "an application error", 0x71: "an alarm", 0x74: "an alarm, short header", 0x75: "an alarm, long header", 0x80: "transport layer only",
    0x82: "a network management command", 0xB8: "a baud rate that is set", 0xC0: "a command over radio",
}  # fmt: skip
UNREAD = {
    0x00: "none", 0x20: "reserved", 0x81: "network layer", 0x84: "reserved for compact transport", 0x8B: "reserved", 0x91: "reserved",
    0xA0: "a maker's own, of a meter without a driver", 0xB7: "a maker's own, the last one", 0xD0: "reserved", 0xFF: "reserved",
}  # fmt: skip

CONTENT = [
    *(Case(f"CI {ci:02X}, {what}", air(bytes([ci]) + BODY[1:]), "rejected") for ci, what in REJECTED.items()),
    *(Case(f"CI {ci:02X}, {what}", air(bytes([ci]) + BODY[1:]), "unknown_driver") for ci, what in UNREAD.items()),
    *(Case(f"CI {ci:02X}, {what}, on the wire", encode.wired(bytes([ci]) + BODY[1:]), "rejected", "mbus") for ci, what in REJECTED.items() if ci < 0x80),
    Case("CI 7A and nothing", air(b"\x7a"), "bad_frame"),
    Case("CI 7A and a header that is cut", air(BODY[:4]), "bad_frame"),
    Case("CI 7A and a header alone", air(BODY[:5]), nothing()),
    Case("CI 72 and a header that is cut in its address", air(encode.plain(b"", LONG)[:8]), "bad_frame"),
    Case("CI 72 and a header that is cut behind its address", air(encode.plain(b"", LONG)[:11]), "bad_frame"),
    Case("CI 72 of a meter that nobody knows", air(encode.plain(GOOD, STRANGER)), "unknown_meter", profile=None),
    Case("CI 72 with the id FFFFFFFF", air(b"\x72" + b"\xff" * 4 + encode.plain(GOOD, LONG)[5:]), "bad_frame"),
    Case("CI 72 with manufacturer 0000", air(encode.plain(GOOD, LONG)[:5] + bytes(2) + encode.plain(GOOD, LONG)[7:]), "bad_frame"),
    Case("CI 78 without a header: records at once", air(encode.plain(GOOD, None)), ok()),
    Case("CI 78 and nothing", air(b"\x78"), nothing()),
    Case("CI 79, a compact frame that is cut", air(b"\x79\x01\x02"), "bad_frame"),
    Case("CI 79, a compact frame of headers that nobody taught", air(encode.compact(GOOD + encode.bcd(b"\x5b", 21, 2))), "unknown_driver"),
    Case("CI 7B, a compact frame without its signature", air(encode.compact(GOOD, HEADER)[:6]), "bad_frame"),
]  # fmt: skip

CONFIGURED = [
    Case("mode 5 without a key", air(MODE5), "no_key"),
    Case("mode 5 under another key", air(MODE5), "wrong_key", profile=Profile(bytes(16))),
    Case("mode 5 under a key of 15 bytes", air(MODE5), "wrong_key", profile=Profile(KEY[:15])),
    Case("mode 5 with a bit of the access number, which changes bytes 8 to 15: here filler", air(flipped(MODE5, 1)), ok(), profile=KEYED),
    Case("mode 5 with a bit of the access number, which changes bytes 8 to 15: here a record", air(flipped(TWO, 1)), "bad_frame", profile=KEYED),
    Case("mode 5 with the first cipher byte changed", air(flipped(MODE5, PAYLOAD)), "wrong_key", profile=KEYED),
    Case("mode 5 of a meter that says plain", air(config(MODE5, 0)), "downgrade", profile=KEYED),
    Case("mode 5 of a meter with a key that sends plainly", air(BODY), "downgrade", profile=KEYED),
    Case("mode 5 with no block encrypted", air(under(5, 0, GOOD)), "downgrade", profile=KEYED),
    Case("mode 5 with no block encrypted, of a meter without a key", air(under(5, 0, GOOD)), ok()),
    Case("mode 5 with one block more than there is", air(config(MODE5, 0x0520)), "bad_frame", profile=KEYED),
    Case("mode 5 with 15 blocks and one there", air(config(MODE5, 0x05F0)), "bad_frame", profile=KEYED),
    Case("mode 5 with one block less than there is", air(config(TWO, 0x0510)), "downgrade", profile=KEYED),
    Case("mode 5 whose block is cut", air(MODE5[:-1]), "bad_frame", profile=KEYED),
    Case("mode 5 with no payload", air(MODE5[:PAYLOAD]), "bad_frame", profile=KEYED),
    Case("mode 5 with plain filler behind", air(MODE5 + b"\x2f\x2f"), ok(), profile=KEYED),
    Case("mode 5 with a plain record behind", air(MODE5 + encode.bcd(b"\x06", 5, 8)), "downgrade", profile=KEYED),
    Case("mode 5 with a plain record behind, of a meter that is pinned so", air(MODE5 + encode.bcd(b"\x06", 5, 8)), ok(energy="5"), profile=OPEN),
    Case("mode 5 with plain bytes behind that are no record", air(MODE5 + b"\x0c"), "bad_frame", profile=OPEN),
    Case("mode 5 whose plain text was sent under its header", air(under(5, 1, b"\x2f\x2f" + GOOD + b"\x2f" * 8)), "wrong_key", profile=KEYED),
    Case("mode 5 where mode 7 is pinned", air(MODE5), "downgrade", profile=Profile(KEY, 7)),
    Case("mode 5 where plain is pinned", air(MODE5), "no_key", profile=Profile(None, 0)),
    Case("mode 5 of two meters: the other one's address in the header", air(encode.mode5(GOOD, STRANGER, KEY, METER)), ok(), profile=KEYED),
    Case("mode 5 under the header of another meter with the same key: its first record is none", air(encode.plain(b"", STRANGER)[:-2] + MODE5[CONFIG:]), "unknown_driver", profile=KEYED),
    Case("mode 2 without being pinned", air(encode.mode2(GOOD, HEADER, KEY[:8])), "unknown_mode", profile=KEYED),
    Case("mode 2 without a key", air(encode.mode2(GOOD, HEADER, KEY[:8])), "no_key", profile=Profile(None, 2)),
    Case("mode 2 under another key", air(encode.mode2(GOOD, HEADER, KEY[:8])), "wrong_key", profile=Profile(b"\x55" * 8, 2)),
    Case("mode 2 with more bytes than there are", air(config(encode.mode2(GOOD, HEADER, KEY[:8]), 0x02F8)), "bad_frame", profile=Profile(KEY[:8], 2)),
    Case("mode 7 without an authentication layer", air(MODE7[AFL:]), "bad_frame", profile=KEYED),
    Case("mode 7 without a key", air(MODE7), "no_key"),
    Case("mode 7 under another key", air(MODE7), "mac_fail", profile=Profile(bytes(16))),
    Case("mode 7 with a cipher byte changed", air(flipped(MODE7, -1)), "mac_fail", profile=KEYED),
    Case("mode 7 with its code changed", air(flipped(MODE7, AFL - 1)), "mac_fail", profile=KEYED),
    Case("mode 7 with its counter changed", air(flipped(MODE7, 5)), "mac_fail", profile=KEYED),
    Case("mode 7 with its access number changed", air(flipped(MODE7, AFL + 1)), "mac_fail", profile=KEYED),
    Case("mode 7 with its status changed", air(flipped(MODE7, AFL + 2)), "mac_fail", profile=KEYED),
    Case("mode 7 with another number of blocks", air(config(MODE7, 0x0720, AFL + CONFIG)), "mac_fail", profile=KEYED),
    Case("mode 7 with another derivation of keys", air(put(MODE7, AFL + PAYLOAD, 0x20)), "unknown_mode", profile=KEYED),
    Case("mode 7 that says mode 5", air(config(MODE7, 0x0510, AFL + CONFIG)), "wrong_key", profile=KEYED),
    Case("mode 7 that says plain", air(config(MODE7, 0, AFL + CONFIG)), "downgrade", profile=KEYED),
    Case("mode 7 with no payload", air(MODE7[: AFL + PAYLOAD]), "bad_frame", profile=KEYED),
    *(Case(f"mode {mode}, which is not read", air(under(mode)), "unknown_mode", profile=KEYED) for mode in (1, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 31)),
    *(Case(f"mode {mode}, which is not read, and plain text behind", air(under(mode, 0, GOOD)), "unknown_mode") for mode in (1, 3, 8, 13)),
    Case("mode 5 on the wire without a key", encode.wired(encode.mode5(GOOD, LONG, KEY, METER)), "no_key", "mbus"),
    Case("mode 5 on the wire under another key", encode.wired(encode.mode5(GOOD, LONG, KEY, METER)), "wrong_key", "mbus", profile=Profile(bytes(16))),
]  # fmt: skip

FLAGS = MODE7[2:4]
EXTENDED = [
    Case("an extended link layer that is cut", air(b"\x8c\x20"), "bad_frame"),
    Case("an extended link layer and nothing behind", air(b"\x8c\x20\x09"), "bad_frame"),
    Case("an extended link layer twice", air(encode.extended(encode.extended(BODY, access=9), access=9)), "unknown_driver"),
    Case("an extended link layer before a plain telegram", air(encode.extended(BODY, access=9)), ok()),
    Case("an extended link layer on the wire", encode.wired(encode.extended(BODY, access=9)), "unknown_driver", "mbus"),
    Case("an extended link layer with an address that is cut", air(b"\x8e\x20\x09" + bytes(6)), "bad_frame"),
    Case("an encrypted extended link layer that is cut in its session", air(CTR[:6]), "bad_frame", profile=KEYED),
    Case("an encrypted extended link layer with half of its CRC", air(CTR[:8]), "bad_frame", profile=KEYED),
    Case("an encrypted extended link layer without a key", air(CTR), "no_key"),
    Case("an encrypted extended link layer under another key", air(CTR), "wrong_key", profile=Profile(bytes(16))),
    Case("an encrypted extended link layer with a bit of its session", air(flipped(CTR, 4)), "wrong_key", profile=KEYED),
    Case("an encrypted extended link layer with a bit of its control", air(flipped(CTR, 1)), "wrong_key", profile=KEYED),
    Case("an encrypted extended link layer with a bit of its body", air(flipped(CTR, -1)), "wrong_key", profile=KEYED),
    Case("an encrypted extended link layer that is one byte short", air(CTR[:-1]), "wrong_key", profile=KEYED),
    Case("an encrypted extended link layer that is one byte long", air(CTR + b"\x00"), "wrong_key", profile=KEYED),
    Case("an extended link layer whose cipher is reserved", air(put(CTR, 6, 0x40)), "unknown_mode", profile=KEYED),
    Case("an extended link layer that says plain over a cipher", air(put(CTR, 6, 0x00)), "bad_frame", profile=KEYED),
    Case("an extended link layer with plain text and its CRC, of a meter with a key", air(b"\x8d\x20\x09" + bytes(4) + encode.crc(BODY).to_bytes(2, "little") + BODY), "downgrade", profile=KEYED),
    Case("an extended link layer with plain text and a wrong CRC", air(b"\x8d\x20\x09" + bytes(4) + b"\x00\x00" + BODY), "bad_frame"),
    Case("an encrypted extended link layer where mode 5 is pinned", air(CTR), "downgrade", profile=Profile(KEY, 5)),
    Case("mode 5 where an encrypted extended link layer is pinned", air(MODE5), "downgrade", profile=Profile(KEY, ELL_CTR)),
    Case("an encrypted extended link layer with nothing inside", air(encode.extended_ctr(b"", KEY, METER, access=9, session=16)), "bad_frame", profile=KEYED),
    Case("an authentication layer that is cut behind its CI", air(b"\x90"), "bad_frame"),
    Case("an authentication layer of length zero", air(b"\x90\x00" + BODY), "bad_frame"),
    Case("an authentication layer of one byte", air(b"\x90\x01\x00" + BODY), "bad_frame"),
    Case("an authentication layer longer than the frame", air(put(MODE7, 1, 0xFF)), "bad_frame", profile=KEYED),
    Case("an authentication layer that is one byte too long: the access number is taken for a CI field", air(put(MODE7, 1, MODE7[1] + 1)), "unknown_driver", profile=KEYED),
    Case("an authentication layer with nothing behind", air(MODE7[:AFL]), "bad_frame", profile=KEYED),
    Case("an authentication layer twice", air(MODE7[:AFL] + MODE7), "bad_frame", profile=KEYED),
    Case("an authentication layer that says fragment 1", air(put(MODE7, 2, 1)), "unknown_driver", profile=KEYED),
    Case("an authentication layer that says more fragments follow", air(put(MODE7, 3, FLAGS[1] | 0x40)), "unknown_driver", profile=KEYED),
    Case("an authentication layer whose fields do not fit", air(b"\x90\x02\x00\x2c" + MODE7[AFL:]), "bad_frame", profile=KEYED),
    Case("an authentication layer of a reserved type", air(put(MODE7, 4, 0x2F)), "bad_frame", profile=KEYED),
    Case("an authentication layer without a code", air(b"\x90\x07\x00\x28" + MODE7[4:9] + MODE7[AFL:]), "mac_fail", profile=KEYED),
    Case("an authentication layer whose type says that there is no code", air(b"\x90\x07\x00\x2c\x20" + MODE7[5:9] + MODE7[AFL:]), "mac_fail", profile=KEYED),
    Case("an authentication layer without a counter", air(b"\x90\x0b\x00\x24" + MODE7[4:5] + MODE7[9:AFL] + MODE7[AFL:]), "bad_frame", profile=KEYED),
    Case("a code cut to two bytes, which a weaker type claims", air(b"\x90\x09\x00\x2c\x23" + MODE7[5:11] + MODE7[AFL:]), "mac_fail", profile=KEYED),
    Case("an authentication layer before a plain telegram of a meter with a key", air(MODE7[:AFL] + BODY), "downgrade", profile=KEYED),
    Case("an authentication layer before the extended link layer", air(MODE7[:AFL] + encode.extended(BODY, access=9)), "unknown_driver", profile=PLAIN),
    Case("an authentication layer on the wire", encode.wired(MODE7), "unknown_driver", "mbus"),
]  # fmt: skip

LAYERS = CONTENT + CONFIGURED + EXTENDED
