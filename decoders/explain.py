"""Every byte of a telegram with its meaning, for a person who debugs a meter.

Strategy: the layers of `telegram` walked once more, a row for each field, until a layer refuses; then the readings. What was encrypted is told twice: as
sent, and as read. Rules: pure, raises nothing; a key is never shown; `at` counts in the frame without its link CRCs, and from 0 again in what was
decrypted or built anew from a compact frame.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from submeter.decoders.compact import Formats
from submeter.decoders.errors import DecodeError
from submeter.decoders.explain_link import LINK, Cursor, Row, address_rows, link_rows
from submeter.decoders.explain_payload import payload_rows
from submeter.decoders.frame import Frame, parse_frame
from submeter.decoders.layers import Ell, identity_of, split_afl, split_ell
from submeter.decoders.security import open_ell
from submeter.decoders.telegram import ProfileOf, decode, open_frame

__all__ = ["Row", "explain"]

_FIXED: Final = 0x73
_LONG: Final = frozenset((0x72, 0x73, 0x76, 0x6B))
_SHORT: Final = frozenset((0x7A, 0x7B, 0x71, 0x6A))
_CI: Final = {
    0x72: "records behind a long header", 0x76: "records behind a long header, high byte first", 0x7A: "records behind a short header",
    0x73: "the fixed structure of the wire, or a compact frame behind a long header", 0x78: "records without a header", 0x79: "compact frame", 0x7B: "compact frame behind a short header", 0x8C: "extended link layer I",
    0x8D: "extended link layer II", 0x8E: "extended link layer III", 0x8F: "extended link layer IV", 0x90: "authentication layer",
}  # fmt: skip
_ELL_BITS: Final = ("repeated access", "accessible", "priority", "repeated by a repeater", "synchronous", "response delay", "bidirectional")
_CIPHERS: Final = ("not encrypted", "AES-128-CTR")
_AFL_FIELDS: Final = (
    (13, 1, "message control"),
    (9, 2, "key information"),
    (11, 4, "message counter"),
    (10, 0, "authentication code"),
    (12, 2, "message length"),
)
_MODES: Final = {
    0: "nothing encrypted", 2: "DES-CBC", 5: "AES-128-CBC", 7: "AES-128-CBC with derived keys", 8: "AES-CTR and CMAC", 9: "AES-GCM", 10: "AES-CCM", 13: "TLS",
}  # fmt: skip
_STATUS: Final = ("power low", "permanent error", "temporary error", "manufacturer bit 5", "manufacturer bit 6", "manufacturer bit 7")
_APPLICATION: Final = ("", "busy", "application error", "abnormal condition")


def explain(
    raw: bytes, profile_of: ProfileOf, *, link: str = "wmbus", form: str = "auto", decrypted: bool = False, formats: Formats | None = None
) -> tuple[Row, ...]:
    """Rows for all bytes of a telegram, then its readings, or why it is refused; never raises. Parameters: see `decode`."""
    known: Formats = {} if formats is None else dict(formats)
    rows: list[Row] = []
    try:
        frame = parse_frame(raw, link, form)
        rows.extend(link_rows(raw, frame))
        for row in _body(frame, profile_of, known, decrypted=decrypted):
            rows.append(row)  # noqa: PERF402  rows told before a refusal stay
        telegram = decode(raw, profile_of, link=link, form=form, decrypted=decrypted, formats=known)
    except DecodeError as error:
        return (*rows, Row(0, b"" if rows else raw, "refused", f"{error.reason}: {error}"))
    for one in telegram.readings:
        value = "nothing" if one.value is None else f"{Decimal(one.value).scaleb(-6).normalize():f} {one.register.unit}"
        rows.append(Row(0, b"", "reading", f"{one.register} = {value}, {one.stamp or 'at reception'}, {one.label}"))
    words = [f"status: {' '.join(telegram.status)}"] if telegram.status else []
    rows.extend(Row(0, b"", "note", text) for text in (*telegram.notes, *words))
    return (*rows, Row(0, b"", "refused", telegram.reason)) if telegram.reason else tuple(rows)


def _body(frame: Frame, profile_of: ProfileOf, formats: Formats, *, decrypted: bool) -> Iterator[Row]:
    device = identity_of(frame)
    body, base = frame.body, LINK[frame.link]
    ell, _ = split_ell(frame)
    if ell:
        cursor = Cursor(body, base, "extended link")
        _ell(cursor, ell)
        yield from cursor.rows
        profile = profile_of(device)
        body, base = body[cursor.at :], base + cursor.at
        if ell.session and profile:
            body, base = open_ell(ell, split_ell(frame)[1], profile, decrypted=decrypted).payload, 0 if ell.encryption else base
    if frame.link == "wmbus":
        cursor = Cursor(body, base, "authentication")
        _, rest = split_afl(body)
        _afl(cursor, len(body) - len(rest))
        yield from cursor.rows
        body, base = rest, base + cursor.at
    cursor = Cursor(body, base, "transport")
    _transport(cursor, frame.link)
    yield from cursor.rows
    plain = open_frame(frame, device, profile_of, decrypted=decrypted)
    if plain.transport.payload != plain.opened.payload and plain.opened.mode:
        yield Row(
            base + cursor.at,
            body[cursor.at :],
            "security",
            f"encrypted, opened with the key of {plain.device}; what it holds follows, counted from 0",
        )
        base = -cursor.at
    yield from payload_rows(plain, formats, base + cursor.at)


def _ell(cursor: Cursor, ell: Ell) -> None:
    kind = cursor.take(1, lambda data: f"CI: {_CI[data[0]]}")[0]
    cursor.take(1, f"control: {', '.join(word for bit, word in enumerate(_ELL_BITS, 1) if ell.control >> bit & 1) or 'no bit set'}")
    cursor.take(1, f"access number {ell.access}")
    if kind in {0x8E, 0x8F}:
        address_rows(cursor, "M id V T")
    if ell.session:
        number = int.from_bytes(ell.session, "little")
        cipher = _CIPHERS[ell.encryption] if ell.encryption < len(_CIPHERS) else f"encryption {ell.encryption}, not read here"
        cursor.take(4, f"session number: {cipher}, time {number >> 4 & 0x1FFFFFF} min, session {number & 15}")
        cursor.take(2, f"CRC of what follows{', encrypted like it' if ell.encryption else ''}")
        if ell.encryption:
            cursor.take(len(cursor.data), "encrypted; what it holds follows, counted from 0")


def _afl(cursor: Cursor, size: int) -> None:
    if not size:
        return
    cursor.take(1, "CI: authentication layer")
    cursor.take(1, f"{size - 2} bytes follow")
    flags = int.from_bytes(cursor.take(2, "fragment 0, and which of the fields follow"), "little")
    fixed = sum(length for bit, length, _ in _AFL_FIELDS if flags >> bit & 1)
    code = size - 4 - fixed
    for bit, length, name in _AFL_FIELDS:
        if flags >> bit & 1:
            told = cursor.data[cursor.at : cursor.at + length] if name == "message counter" else b""
            cursor.take(length or code, f"{name} {int.from_bytes(told, 'little')}" if told else name)
    cursor.take(size - cursor.at, "not known")


def _transport(cursor: Cursor, link: str) -> None:
    kind = cursor.take(1, lambda data: f"CI: {_CI.get(data[0], 'of the manufacturer, or another service')}")[:1]
    if not kind or kind[0] not in _LONG | _SHORT:
        return
    if kind[0] == _FIXED and link == "mbus":
        cursor.take(4, lambda data: f"id {data[::-1].hex().upper()}")
        cursor.take(1, lambda data: f"access number {data[0]}")
        return
    if kind[0] in _LONG and len(cursor.data) >= 13:
        address_rows(cursor, "id M V T")
    cursor.take(1, lambda data: f"access number {data[0]}")
    cursor.take(1, lambda data: f"status: {_status(data[0])}")
    cursor.take(2, lambda data: _configuration(int.from_bytes(data, "little")))


def _status(byte: int) -> str:
    words = [_APPLICATION[byte & 3], *(word for bit, word in enumerate(_STATUS, 2) if byte >> bit & 1)]
    return ", ".join(filter(None, words)) or "nothing to report"


def _configuration(word: int) -> str:
    mode = word >> 8 & 0x1F
    blocks = f", {word >> 4 & 15} blocks of 16 bytes" if mode in {5, 7} else f", {word & 0xF8} bytes" if mode == 2 else ""
    return f"configuration: mode {mode}, {_MODES.get(mode, 'reserved or of the manufacturer')}{blocks}"
