"""Uplinks of LoRaWAN network servers: ChirpStack 3 and 4, The Things Stack, LORIOT, ThingPark, Milesight (ingest/FORMATS.md 1, 5).

Strategy: a table says where in each server's JSON stands what is told; that becomes a telegram of link `lorawan` whose form names device, port and count
(`Uplink.form`). What the payload is, the configuration says (submeter.ingest.lorawan), it is never guessed here.
Rules: a device's EUI is eight bytes, as 16 hex digits or, from ChirpStack 3, base64; fields that are 0 or empty may be left out; the best of several receivers'
levels counts.
"""

import re
from base64 import b64decode
from binascii import Error, hexlify
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, converted, instant, level, unhex, value_at
from submeter.ingest.errors import BadPayload

__all__ = ["LNS", "Uplink"]

_EUI: Final = re.compile(r"[0-9A-Fa-f]{16}")
_EUI_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Uplink:
    """Whose uplink: EUI as 16 small hex digits, its port, the device's count of frames."""

    eui: str
    port: int
    count: int

    @property
    def form(self) -> str:
        """The form of its telegram, e.g. ``0011223344556677/2/10``."""
        return f"{self.eui}/{self.port}/{self.count}"

    @classmethod
    def of(cls, form: str) -> "Uplink":
        """The uplink that a form names."""
        eui, port, count = form.split("/")
        return cls(eui, int(port), int(count))


class _Told(msgspec.Struct):
    """What a server tells of an uplink: the payload in one of two codings, a level of its own or one for each receiver."""

    eui: str
    port: int = 0
    count: int = 0
    base64: str = ""
    hex: str = ""
    time: int | str | None = None
    level: Any = None
    receivers: list[dict[str, Any]] = []


class _Server(NamedTuple):
    """A server: the keys by which its messages are known, and where in them each field of `_Told` stands."""

    name: str
    keys: AbstractSet[str]
    places: Mapping[str, str]

    def sniff(self, payload: Payload) -> bool:
        """Whether a message is one of its uplinks; LORIOT sends other commands too."""
        return self.keys <= payload.fields.keys() and payload.fields.get("cmd", "rx") in {"rx", "gw"}

    def parse(self, payload: Payload) -> Envelope:
        """The one uplink of a message; raises BadPayload."""
        found = ((field, value_at(payload.fields, place)) for field, place in self.places.items())
        return Envelope(self.name, (_heard(converted({field: value for field, value in found if value is not None}, _Told)),))


def _heard(told: _Told) -> Heard:
    if not 0 <= told.port <= 255 or told.count < 0:
        raise BadPayload("bad_field", f"port {told.port} or count {told.count} cannot be")
    raw = unhex(told.hex) if told.hex else _base64(told.base64)
    levels = (told.level, *(one.get("rssi", one.get("LrrRSSI")) for one in told.receivers))
    known = [one for one in levels if isinstance(one, int | float) and not isinstance(one, bool)]
    time = told.time or next((one["time"] for one in told.receivers if isinstance(one.get("time"), str)), None)
    form = Uplink(_eui(told.eui), told.port, told.count).form
    return Heard(raw, "lorawan", form, None if time is None else instant(time), **level(max(known, default=None)))


def _eui(text: str) -> str:
    if _EUI.fullmatch(text):
        return text.lower()
    with suppress(Error):
        if len(raw := b64decode(text, validate=True)) == _EUI_BYTES:
            return hexlify(raw).decode()
    raise BadPayload("bad_field", f"{text!r} is no EUI: 16 hex digits, or base64 of eight bytes")


def _base64(text: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except Error as error:
        raise BadPayload("bad_base64", str(error)) from error
    if not raw:
        raise BadPayload("empty_uplink", "the uplink has no payload")
    return raw


#: ChirpStack 3, and Milesight beside it.
_CHIRPSTACK: Final = {"eui": "devEUI", "port": "fPort", "count": "fCnt", "base64": "data", "time": "time", "receivers": "rxInfo"}
_THINGS: Final = {"port": "f_port", "count": "f_cnt", "base64": "frm_payload", "time": "received_at", "receivers": "rx_metadata"}
_THINGPARK: Final = {
    "eui": "DevEUI", "port": "FPort", "count": "FCntUp", "hex": "payload_hex", "time": "Time", "level": "LrrRSSI", "receivers": "Lrrs.Lrr",
}  # fmt: skip
_SERVERS: Final = (
    _Server("tts", {"uplink_message"}, {"eui": "end_device_ids.dev_eui"} | {field: f"uplink_message.{place}" for field, place in _THINGS.items()}),
    _Server("chirpstack4", {"deviceInfo"}, _CHIRPSTACK | {"eui": "deviceInfo.devEui"}),
    _Server("thingpark", {"DevEUI_uplink"}, {field: f"DevEUI_uplink.{place}" for field, place in _THINGPARK.items()}),
    _Server(
        "loriot", {"cmd", "EUI"}, {"eui": "EUI", "port": "port", "count": "fcnt", "hex": "data", "time": "ts", "level": "rssi", "receivers": "gws"}
    ),
    _Server("milesight_ug", {"gatewaySN", "devEUI"}, _CHIRPSTACK),
    _Server("chirpstack3", {"devEUI", "applicationID"}, _CHIRPSTACK),
)

#: In the order of sniffing: Milesight's has the keys of ChirpStack 3 too.
LNS: Final = tuple(Format(one.name, one.sniff, one.parse) for one in _SERVERS)
