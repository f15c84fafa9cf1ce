"""JSON that wraps frames and little else: iotmaxx gwmqtt's batches, decode requests of wmbusmeters (ingest/FORMATS.md 1).

Rules: `key` and `driver` of a decode request are neither used nor kept: a key comes from the directory alone.
"""

from typing import Annotated, Final

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, converted, framed, refused, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["DECODE_REQUEST", "GWMQTT"]


class _Data(msgspec.Struct):
    data: str


class _Telegrams(msgspec.Struct):
    telegrams: Annotated[list[_Data], msgspec.Meta(min_length=1)]


class _Call(msgspec.Struct):
    params: _Telegrams


class _Request(msgspec.Struct):
    telegram: str


def _gwmqtt(payload: Payload) -> Envelope:
    return Envelope("gwmqtt", tuple(_heard(one.data) for one in converted(payload.fields, _Call).params.telegrams))


def _heard(digits: str) -> Heard:
    try:
        return Heard(framed(unhex(digits)))
    except BadPayload as error:
        return refused(digits.encode(), error)


def _request(payload: Payload) -> Envelope:
    asked = converted(payload.fields, _Request)
    return Envelope("decode_request", (Heard(framed(unhex(asked.telegram.replace("_", "").replace("|", "")))),))


GWMQTT: Final = Format("gwmqtt", lambda payload: payload.fields.get("method") == "wmbus", _gwmqtt)
DECODE_REQUEST: Final = Format("decode_request", lambda payload: "telegram" in payload.fields and payload.fields.get("_") != "telegram", _request)
