"""The native batch envelope (ingest/FORMATS.md 4): topic ``submeter/v1/<gateway>/up``, JSON, many telegrams a message.

Rules: unknown fields are ignored; the batch's own fields are binding, so a wrong one refuses the message; a wrong `hex`, `ts`, `form` or
`kind` refuses that telegram alone; `rssi` and `mode` are remarks, and a wrong one is left out.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, converted, instant, level, refused, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["NATIVE", "gateway_of"]


class _Batch(msgspec.Struct):
    gw: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    t: list[Any]
    boot: Annotated[str, msgspec.Meta(max_length=32)] | int | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    ts: int | str | None = None


class _Telegram(msgspec.Struct):
    hex: str
    ts: int | str | None = None
    form: Literal["auto", "nocrc", "a", "b", "trailing"] = "auto"
    kind: Literal["wmbus", "mbus"] = "wmbus"
    rssi: Any = None
    mode: Any = None


def gateway_of(topic: str | None) -> str | None:
    """Return the gateway that a native topic names, None for any other topic."""
    match (topic or "").split("/"):
        case ["submeter", "v1", gateway, "up"]:
            return gateway
        case _:
            return None


def _parse(payload: Payload) -> Envelope:
    batch = converted(payload.fields, _Batch)
    named = gateway_of(payload.topic)
    if named is not None and named != batch.gw:
        raise BadPayload("gateway_mismatch", f"the topic says {named!r}, the message {batch.gw!r}")
    return Envelope(
        format="native",
        telegrams=_telegrams(batch.t),
        gateway=batch.gw,
        boot=None if batch.boot is None else str(batch.boot),
        seq=batch.seq,
        sent_at=None if batch.ts is None else instant(batch.ts),
    )


def _telegrams(items: list[Any]) -> tuple[Heard, ...]:
    """All at once where all are well, else one by one."""
    try:
        return tuple(map(_heard, msgspec.convert(items, list[_Telegram])))
    except msgspec.ValidationError:
        return tuple(map(_checked, items))


def _checked(item: object) -> Heard:
    try:
        return _heard(converted(item, _Telegram))
    except BadPayload as error:
        return refused(msgspec.json.encode(item), error)


def _heard(telegram: _Telegram) -> Heard:
    try:
        raw = unhex(telegram.hex)
        gw_time = None if telegram.ts is None else instant(telegram.ts)
    except BadPayload as error:
        return refused(telegram.hex.encode(), error)
    mode = telegram.mode if isinstance(telegram.mode, str) and len(telegram.mode) <= 8 else None
    return Heard(raw, telegram.kind, telegram.form, gw_time, mode=mode, **level(telegram.rssi))


NATIVE: Final = Format("native", lambda payload: payload.fields.get("v") == 1 and isinstance(payload.fields.get("t"), list), _parse)
