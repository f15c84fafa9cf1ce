"""ESPHome's raw JSON (SzczepanLeon v4): ``{"address", "mode", "rssi", "frame"}``, one telegram, no time (ingest/FORMATS.md 1).

`address` repeats the frame's own and is not read. `radio_raw` of the bridge firmwares may still hold CRCs or 3-of-6 coding and is refused.
"""

from typing import Any, Final, NoReturn

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, converted, framed, level, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["ESPHOME", "RADIO_RAW"]


class _Message(msgspec.Struct):
    frame: str
    rssi: Any = None
    mode: Any = None


def _parse(payload: Payload) -> Envelope:
    message = converted(payload.fields, _Message)
    mode = message.mode if isinstance(message.mode, str) and len(message.mode) <= 8 else None
    return Envelope("esphome_json", (Heard(framed(unhex(message.frame)), mode=mode, **level(message.rssi)),))


def _refuse(_: Payload) -> NoReturn:
    raise BadPayload("unsupported_radio_raw", "a diagnostic event: publish the telegram topic instead")


ESPHOME: Final = Format("esphome_json", lambda payload: "frame" in payload.fields, _parse)
RADIO_RAW: Final = Format("radio_raw", lambda payload: payload.fields.get("event") == "radio_raw", _refuse)
