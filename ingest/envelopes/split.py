"""Which format a message has: the table of formats in the order of sniffing, and what wraps any of them (ingest/FORMATS.md 2).

Strategy: empty and oversize first, then one level of zlib, then the first format whose sniffer says yes; a JSON array is its elements.
Rules: the order of the table is that of FORMATS.md 2 and matters; a pinned format does not fall through; limits hold before work is done.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from submeter.ingest.envelopes.core import MAX_INFLATED, MAX_MESSAGE, MAX_TELEGRAMS, Envelope, Format, Heard, Payload, decode_json, refused
from submeter.ingest.envelopes.esphome import ESPHOME, RADIO_RAW
from submeter.ingest.envelopes.frames import BINARY, HEX
from submeter.ingest.envelopes.lines import ELVACO, RTL_433, WMBUSMETERS_LOG
from submeter.ingest.envelopes.lns import LNS
from submeter.ingest.envelopes.mapping import Rule, fits, mapped
from submeter.ingest.envelopes.modbus import MODBUS
from submeter.ingest.envelopes.native import NATIVE
from submeter.ingest.envelopes.parsed import WMBUSMETERS
from submeter.ingest.envelopes.rtl_wmbus import RTL_WMBUS
from submeter.ingest.envelopes.wrapped import DECODE_REQUEST, GWMQTT
from submeter.ingest.errors import BadPayload

__all__ = ["FORMATS", "split"]

#: First match wins.
FORMATS: Final = (
    HEX, BINARY, RTL_WMBUS, RTL_433, WMBUSMETERS_LOG, NATIVE, MODBUS, *LNS, RADIO_RAW, ESPHOME, GWMQTT, DECODE_REQUEST, WMBUSMETERS, ELVACO,
)  # fmt: skip

_BY_NAME: Final = {known.name: known for known in FORMATS}


def split(topic: str | None, payload: bytes, pinned: str | None = None, rules: Sequence[Rule] = ()) -> Envelope:
    """Split a message into telegrams, by the `pinned` format, the first of the `rules` for its topic, or the first format that fits; raises BadPayload."""
    if not payload:
        raise BadPayload("empty", "no bytes")
    if len(payload) > (most := MAX_INFLATED if _is_zlib(payload) else MAX_MESSAGE):
        raise BadPayload("too_large", f"{len(payload)} bytes; a message has at most {most}")
    plain = Payload(topic, inflated(payload) if _is_zlib(payload) else payload)
    rule = next((one for one in rules if fits(one.topic, topic)), None) if pinned is None and rules else None
    envelope = mapped(rule, plain) if rule else _split(plain, pinned)
    if len(envelope.telegrams) > MAX_TELEGRAMS:
        raise BadPayload("too_many", f"{len(envelope.telegrams)} telegrams; a message has at most {MAX_TELEGRAMS}")
    return envelope


def inflated(payload: bytes) -> bytes:
    """Undo one level of zlib within the limit; raises BadPayload."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(payload, MAX_INFLATED + 1)
    except zlib.error as error:
        raise BadPayload("bad_zlib", str(error)) from error
    if len(plain) > MAX_INFLATED:
        raise BadPayload("too_large", f"more than {MAX_INFLATED} bytes after decompression")
    if not stream.eof or stream.unused_data:
        raise BadPayload("bad_zlib", "the stream is cut, or something follows it")
    return plain


def _is_zlib(payload: bytes) -> bool:
    return len(payload) > 1 and payload[0] == 0x78 and int.from_bytes(payload[:2], "big") % 31 == 0


def _split(payload: Payload, pinned: str | None) -> Envelope:
    if payload.text.startswith(b"["):
        return _array(payload, pinned)
    return _format(payload, pinned).parse(payload)


def _format(payload: Payload, pinned: str | None) -> Format:
    candidates = FORMATS if pinned is None else filter(None, [_BY_NAME.get(pinned)])
    for known in candidates:
        if known.sniff(payload):
            return known
    raise BadPayload("unknown_format", f"not {pinned}" if pinned else "no known format")


def _array(payload: Payload, pinned: str | None) -> Envelope:
    elements = decode_json(payload.text)
    if len(elements) > MAX_TELEGRAMS:
        raise BadPayload("too_many", f"{len(elements)} elements; a message has at most {MAX_TELEGRAMS}")
    heard = tuple(telegram for element in elements for telegram in _element(payload.topic, element, pinned))
    if all(telegram.reason == "unknown_format" for telegram in heard):
        raise BadPayload("unknown_format", "a JSON array without an element of a known format")
    return Envelope("json_array", heard)


def _element(topic: str | None, element: object, pinned: str | None) -> tuple[Heard, ...]:
    part = Payload(topic, msgspec.json.encode(element))
    try:
        return _unnumbered(part, pinned)
    except BadPayload as error:
        return (refused(part.raw, error),)


def _unnumbered(part: Payload, pinned: str | None) -> tuple[Heard, ...]:
    if part.document is None:
        raise BadPayload("unknown_format", "not a JSON object")
    envelope = _format(part, pinned).parse(part)
    if envelope.gateway is not None:
        raise BadPayload("unknown_format", "a numbered batch stands alone, not in an array")
    return envelope.telegrams
