"""Link frames: bytes as a receiver hands them over, to control field, address and body (EN 13757-2, EN 13757-4).

Forms: `wired` 68 L L 68 … CS 16 · `userdata` the same from the control field on, without checksum (some gateways) · `a` and `b` radio
frames with their CRCs · `nocrc` radio frames after the receiver took the CRCs away · `trailing` the same with receiver's bytes behind
the length · `auto` the first of these that checks out, in the order of the table `_SNIFF`.

Rules
* A declared form is binding: a damaged format B frame looks like one without CRCs, so a source that delivers CRCs must say so.
* Envelope before meaning: length, start bytes, checksum; then the control field (only answers and spontaneous data carry readings).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from submeter.decoders.crc import crc16
from submeter.decoders.errors import BadFrame, Rejected

__all__ = ["CONTROLS", "FORMS", "Frame", "carries_data", "otherwise", "parse_frame", "strip_a", "strip_b"]

_HEADER: Final = 10  # L C M M A*6
_KNOWN_CONTROL: Final = frozenset((0x44, 0x46, 0x06, 0x08, 0x18, 0x28, 0x38, 0x40, 0x47, 0x48, 0x53, 0x73))
_SPONTANEOUS: Final = frozenset((0x44, 0x46))
#: Control fields of radio frames that carry data.
CONTROLS: Final = frozenset(one for one in _KNOWN_CONTROL if one & 0xCF == 0x08) | _SPONTANEOUS
_USERDATA_CI: Final = frozenset((0x72, 0x73, 0x76, 0x78, 0x7A))


class Frame(NamedTuple):
    """A checked link frame. `address` is M(2) id(4) V T as sent by radio, the one primary address byte on the wire; `body` starts with a CI."""

    link: str
    control: int
    address: bytes
    body: bytes


def parse_frame(raw: bytes, link: str = "wmbus", form: str = "auto") -> Frame:
    """Check `raw` and take the link layer off; raises BadFrame, or Rejected for frames that are whole but carry no data."""
    if form == "auto":
        return _data_frame(_sniff(raw, link))
    if form not in FORMS:
        raise BadFrame(f"{form!r} is not a frame form: write one of {', '.join(FORMS)} or auto")
    return _data_frame(FORMS[form](raw))


def otherwise(raw: bytes, link: str, form: str) -> Frame | None:
    """What a radio frame that was taken for format B may be instead: one bare frame in 65,536 ends like its own CRC. None where there is no doubt."""
    if form != "auto" or link != "wmbus":
        return None
    try:
        strip_b(raw)
        return _data_frame(_nocrc(raw))
    except (BadFrame, Rejected):
        return None


def _sniff(raw: bytes, link: str) -> Frame:
    if link == "mbus":
        return _wired_somewhere(raw)
    for read in _SNIFF:
        try:
            return read(raw)
        except BadFrame:
            continue
    raise BadFrame(f"{len(raw)} bytes are no frame of any form: length, checksum or CRC do not fit")


def carries_data(control: int) -> bool:
    """Whether a frame with this control field is an answer or spontaneous data."""
    return control & 0xCF == 0x08 or control in _SPONTANEOUS


def _data_frame(frame: Frame) -> Frame:
    if not carries_data(frame.control):
        raise Rejected(f"control field {frame.control:02X}h carries no readings")
    return frame


def _wired_somewhere(raw: bytes) -> Frame:
    """The first long frame in `raw`: bus couplers add idle bytes before and behind."""
    if raw[:1] in {b"\xe5", b"\x10"}:
        raise Rejected("an acknowledgement or a short frame carries no readings")
    start = raw.find(0x68)
    while start >= 0:
        length = raw[start + 1] + 6 if start + 1 < len(raw) else 0
        try:
            return _wired(raw[start : start + length])
        except BadFrame:
            start = raw.find(0x68, start + 1)
    return _userdata(raw)


def _wired(raw: bytes) -> Frame:
    if len(raw) < 9 or raw[0] != 0x68 or raw[3] != 0x68 or raw[1] != raw[2] or len(raw) != raw[1] + 6:
        raise BadFrame("no long frame 68 L L 68 of its own length")
    if raw[-1] != 0x16 or sum(raw[4:-2]) & 0xFF != raw[-2]:
        raise BadFrame("checksum or stop byte of the wired frame is wrong")
    return _split_wired(raw[4:-2])


def _userdata(raw: bytes) -> Frame:
    if len(raw) < 3 or raw[0] & 0xCF != 0x08 or raw[2] not in _USERDATA_CI:
        raise BadFrame("neither a long frame 68 L L 68 nor its user data")
    return _split_wired(raw)


def _split_wired(data: bytes) -> Frame:
    return Frame("mbus", data[0], data[1:2], data[2:])


def _nocrc(raw: bytes) -> Frame:
    if not raw or len(raw) != raw[0] + 1:
        raise BadFrame(f"length field says {raw[0] + 1 if raw else 'nothing'}, {len(raw)} bytes came")
    return _split_radio(raw)


def _trailing(raw: bytes) -> Frame:
    return _nocrc(raw[: raw[0] + 1] if raw else raw)


def _split_radio(data: bytes) -> Frame:
    if len(data) <= _HEADER:
        raise BadFrame("shorter than the link header and a CI field")
    if data[1] not in _KNOWN_CONTROL:
        raise BadFrame(f"control field {data[1]:02X}h is none of a meter's")
    return Frame("wmbus", data[1], data[2:_HEADER], data[_HEADER:])


def strip_a(raw: bytes) -> bytes:
    """Frame format A without its block CRCs (10 bytes, then blocks of 16); raises BadFrame."""
    if not raw or len(raw) != raw[0] + 3 + 2 * -(-max(raw[0] - 9, 0) // 16):
        raise BadFrame("length is not that of frame format A")
    blocks = [raw[:12], *(raw[at : at + 18] for at in range(12, len(raw), 18))]
    return b"".join(map(_checked, blocks))


def strip_b(raw: bytes) -> bytes:
    """Frame format B without its CRCs (126 bytes, then the rest), the length field corrected; raises BadFrame."""
    if not raw or len(raw) != raw[0] + 1 or len(raw) < _HEADER + 3:
        raise BadFrame("length is not that of frame format B")
    blocks = [raw] if len(raw) <= 128 else [raw[:128], raw[128:]]
    data = b"".join(map(_checked, blocks))
    return bytes([len(data) - 1]) + data[1:]


def _checked(block: bytes) -> bytes:
    if len(block) < 3 or crc16(block[:-2]) != int.from_bytes(block[-2:], "big"):
        raise BadFrame("CRC of a link block is wrong")
    return block[:-2]


def _format_a(raw: bytes) -> Frame:
    return _split_radio(strip_a(raw))


def _format_b(raw: bytes) -> Frame:
    return _split_radio(strip_b(raw))


#: What each declared form reads.
FORMS: Final[dict[str, Callable[[bytes], Frame]]] = {
    "wired": _wired_somewhere, "userdata": _userdata, "a": _format_a, "b": _format_b, "nocrc": _nocrc, "trailing": _trailing,
}  # fmt: skip
#: Order of recognition; format B stands before the bare form, since both have the length L + 1.
_SNIFF: Final = (_wired, _format_a, _format_b, _nocrc, _userdata)
