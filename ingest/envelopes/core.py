"""What an envelope is, and what all formats share: limits, times, levels, hex, JSON (ingest/FORMATS.md 1 and 2).

A format is a `Format`: a name, a sniffer that looks at a `Payload` and a parser that turns it into an `Envelope`.
Rules: pure functions of topic and bytes; what is broken as a whole raises BadPayload, what is broken in one telegram of several is a `Heard`
with its reason; a level below zero is dBm, any other is the receiver's own scale, and the two never mix.
Instants are microseconds since 1970, UTC.
"""

import re
from binascii import unhexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any, Final, TypedDict, TypeVar

import msgspec

from submeter.decoders.errors import BadFrame, DecodeError
from submeter.decoders.frame import parse_frame
from submeter.ingest.errors import BadPayload

__all__ = [
    "Envelope", "Format", "Heard", "Payload", "converted", "decode_json", "framed", "instant", "level", "refused", "unhex", "value_at",
]  # fmt: skip

MAX_MESSAGE: Final = 256 * 1024
MAX_INFLATED: Final = 4 * 1024 * 1024
MAX_TELEGRAMS: Final = 5000
MAX_DEPTH: Final = 16

#: Instants of reception lie in this range; anything else is a gateway without a clock.
EARLIEST: Final = 946_684_800_000_000  # 2000-01-01
LATEST: Final = 4_102_444_800_000_000  # 2100-01-01

T = TypeVar("T", bound=msgspec.Struct)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_EMPTY: Final = re.compile(rb"\{\}|\[\]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))


@dataclass(frozen=True, slots=True)
class Heard:
    """One telegram as a gateway heard it.

    `link` is `wmbus`, `mbus`, `lorawan` (the payload of an uplink) or `parsed` (values), `form` the frame form (`auto`, `nocrc`, `a`, `b`, `trailing`, `wired`,
    `userdata`; of an uplink its device, port and count), `gw_time` the gateway's own instant of reception, `wall` the same where it names no zone, `mode` the radio mode. `reason` is set where the envelope says or shows that these bytes are no whole telegram.
    """

    raw: bytes
    link: str = "wmbus"
    form: str = "auto"
    gw_time: int | None = None
    wall: datetime | None = None
    rssi_dbm: int | None = None
    level: int | None = None
    mode: str | None = None
    reason: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message split: its telegrams, and what the sender says of itself (`boot` and `seq` number its messages)."""

    format: str
    telegrams: tuple[Heard, ...]
    gateway: str | None = None
    boot: str | None = None
    seq: int | None = None
    sent_at: int | None = None


@dataclass(frozen=True)
class Payload:
    """A message under examination; what several sniffers need is worked out once."""

    topic: str | None
    raw: bytes

    @cached_property
    def text(self) -> bytes:
        """The payload without white space around it."""
        return self.raw.strip()

    @cached_property
    def document(self) -> Mapping[str, Any] | None:
        """The JSON object that the payload is, None if it does not look like one; raises BadPayload if it only looks so."""
        return decode_json(self.text) if self.text.startswith(b"{") else None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of that object; none where the payload is no object."""
        return self.document or {}


@dataclass(frozen=True, slots=True)
class Format:
    """One gateway format."""

    name: str
    sniff: Callable[[Payload], bool]
    parse: Callable[[Payload], Envelope]


def decode_json(text: bytes) -> Any:
    """Decode JSON of bounded depth; raises BadPayload."""
    if too_deep(text):
        raise BadPayload("too_deep", f"JSON is nested deeper than {MAX_DEPTH}")
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload("bad_json", str(error)) from error


def too_deep(text: bytes) -> bool:
    """Tell whether brackets outside strings nest deeper than MAX_DEPTH: each pass takes the innermost pairs away."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = _EMPTY.sub(b"", brackets)
    return len(brackets) > MAX_DEPTH or _EMPTY.search(brackets) is not None


def converted(document: object, kind: type[T]) -> T:
    """A part of a document as a struct of ours; raises BadPayload."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise BadPayload("bad_field", str(error)) from error


def value_at(document: object, path: str) -> Any:
    """What stands at a path of keys and list indexes with dots between, None if nothing does."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def unhex(text: str) -> bytes:
    """Bytes of a non-empty run of hex digits in any case; raises BadPayload."""
    try:
        raw = unhexlify(text)
    except ValueError as error:
        raise BadPayload("bad_hex", str(error)) from error
    if not raw:
        raise BadPayload("bad_hex", "no digits")
    return raw


def framed(raw: bytes) -> bytes:
    """Return `raw` if it has a frame form (FORMATS.md 3); raises BadPayload."""
    try:
        parse_frame(raw)
    except BadFrame as error:
        raise BadPayload("bad_length", str(error)) from error
    except DecodeError:
        return raw
    return raw


def instant(value: int | str, *, zone: tzinfo | None = None) -> int:
    """Instant of Unix milliseconds, or of ISO 8601 with a zone (in `zone` where it names none); raises BadPayload."""
    at = value * 1000 if isinstance(value, int) else _parsed(value, zone)
    if not EARLIEST <= at < LATEST:
        raise BadPayload("bad_time", f"{value} is no instant between 2000 and 2100")
    return at


def _parsed(text: str, zone: tzinfo | None) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadPayload("bad_time", str(error)) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if moment.tzinfo is None:
        raise BadPayload("bad_time", f"{text!r} has no zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Strength(TypedDict, total=False):
    """A receiver's level as the fields of `Heard`: one of the two, or none."""

    rssi_dbm: int
    level: int


def level(value: object) -> Strength:
    """Sort a receiver's level into `rssi_dbm` (below zero) or `level`; what is no plausible number is left out."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -200 <= value <= 65535:
        return {}
    return {"rssi_dbm": round(value)} if value < 0 else {"level": round(value)}


def refused(raw: bytes, error: BadPayload, **known: Any) -> Heard:
    """One telegram of several that is broken: its bytes as sent and the reason."""
    return Heard(raw, reason=error.reason, detail=error.detail, **known)
