"""Uplinks of LoRaWAN network servers: ChirpStack 3 and 4, The Things Stack, LORIOT, ThingPark, Milesight (ingest/FORMATS.md 1, 5).

Strategy: each server's JSON becomes one `Uplink`, and that a telegram of link `lorawan` whose form names device, port and count (`Uplink.form`); what the
payload is, the configuration says (submeter.ingest.lorawan), it is never guessed here.
Rules: a device's EUI is eight bytes, as 16 hex digits or, from ChirpStack 3, base64; fields that are 0 or empty may be left out; the best of several receivers'
levels counts.
"""

import re
from base64 import b64decode
from binascii import Error, hexlify
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, instant, level, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["LNS", "Uplink"]

_EUI: Final = re.compile(r"[0-9A-Fa-f]{16}")
_EUI_BYTES: Final = 8
T = TypeVar("T", bound=msgspec.Struct)


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


class _Received(msgspec.Struct):
    rssi: Any = None


class _Info(msgspec.Struct, rename="camel"):
    dev_eui: str


class _ChirpStack4(msgspec.Struct, rename="camel"):
    device_info: _Info
    f_port: int = 0
    f_cnt: int = 0
    data: str = ""
    time: str | None = None
    rx_info: list[_Received] = []


class _ChirpStack3(msgspec.Struct, rename="camel"):
    eui: str = msgspec.field(name="devEUI")
    f_port: int = 0
    f_cnt: int = 0
    data: str = ""
    time: str | None = None
    rx_info: list[dict[str, Any]] = []


class _Ids(msgspec.Struct):
    dev_eui: str


class _Message(msgspec.Struct):
    f_port: int = 0
    f_cnt: int = 0
    frm_payload: str = ""
    received_at: str | None = None
    rx_metadata: list[_Received] = []


class _ThingsStack(msgspec.Struct):
    end_device_ids: _Ids
    uplink_message: _Message


class _Loriot(msgspec.Struct):
    EUI: str
    port: int = 0
    fcnt: int = 0
    data: str = ""
    ts: int | None = None
    rssi: Any = None
    gws: list[_Received] = []


class _Lrr(msgspec.Struct):
    LrrRSSI: Any = None


class _Lrrs(msgspec.Struct):
    Lrr: list[_Lrr] = []


class _Uplink(msgspec.Struct):
    DevEUI: str
    FPort: int = 0
    FCntUp: int = 0
    payload_hex: str = ""
    Time: str | None = None
    LrrRSSI: Any = None
    Lrrs: _Lrrs = msgspec.field(default_factory=_Lrrs)


class _ThingPark(msgspec.Struct):
    DevEUI_uplink: _Uplink


def _chirpstack4(payload: Payload) -> Heard:
    told = _read(payload, _ChirpStack4)
    return _heard(told.device_info.dev_eui, told.f_port, told.f_cnt, _base64(told.data), told.time, (one.rssi for one in told.rx_info))


def _chirpstack3(payload: Payload) -> Heard:
    told = _read(payload, _ChirpStack3)
    time = told.time or next((one["time"] for one in told.rx_info if isinstance(one.get("time"), str)), None)
    return _heard(told.eui, told.f_port, told.f_cnt, _base64(told.data), time, (one.get("rssi") for one in told.rx_info))


def _things_stack(payload: Payload) -> Heard:
    told = _read(payload, _ThingsStack)
    said = told.uplink_message
    levels = (one.rssi for one in said.rx_metadata)
    return _heard(told.end_device_ids.dev_eui, said.f_port, said.f_cnt, _base64(said.frm_payload), said.received_at, levels)


def _loriot(payload: Payload) -> Heard:
    told = _read(payload, _Loriot)
    levels = (told.rssi, *(one.rssi for one in told.gws))
    return _heard(told.EUI, told.port, told.fcnt, unhex(told.data), told.ts, levels)


def _thingpark(payload: Payload) -> Heard:
    told = _read(payload, _ThingPark).DevEUI_uplink
    levels = (told.LrrRSSI, *(one.LrrRSSI for one in told.Lrrs.Lrr))
    return _heard(told.DevEUI, told.FPort, told.FCntUp, unhex(told.payload_hex), told.Time, levels)


def _read(payload: Payload, kind: type[T]) -> T:
    try:
        return msgspec.convert(payload.document, kind)
    except msgspec.ValidationError as error:
        raise BadPayload("bad_field", str(error)) from error


def _heard(eui: str, port: int, count: int, raw: bytes, time: str | int | None, levels: Iterable[object]) -> Heard:
    if not 0 <= port <= 255 or count < 0:
        raise BadPayload("bad_field", f"port {port} or count {count} cannot be")
    known = [one for one in levels if isinstance(one, int | float) and not isinstance(one, bool)]
    form = Uplink(_eui(eui), port, count).form
    return Heard(raw, "lorawan", form, None if time is None else instant(time), **level(max(known, default=None)))


def _eui(text: str) -> str:
    if _EUI.fullmatch(text):
        return text.lower()
    raw = _base64(text)
    if len(raw) != _EUI_BYTES:
        raise BadPayload("bad_field", f"{text!r} is no EUI: 16 hex digits, or base64 of eight bytes")
    return hexlify(raw).decode()


def _base64(text: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except Error as error:
        raise BadPayload("bad_base64", str(error)) from error
    if not raw:
        raise BadPayload("empty_uplink", "the uplink has no payload")
    return raw


def _with(*names: str) -> Callable[[Payload], bool]:
    return lambda payload: payload.document is not None and all(name in payload.document for name in names)


def _is_loriot(payload: Payload) -> bool:
    return _with("cmd", "EUI")(payload) and (payload.document or {})["cmd"] in {"rx", "gw"}


def _format(name: str, sniff: Callable[[Payload], bool], heard: Callable[[Payload], Heard]) -> Format:
    return Format(name, sniff, lambda payload: Envelope(name, (heard(payload),)))


#: In the order of sniffing: Milesight's has the keys of ChirpStack 3 too.
LNS: Final = (
    _format("tts", _with("uplink_message"), _things_stack),
    _format("chirpstack4", _with("deviceInfo"), _chirpstack4),
    _format("thingpark", _with("DevEUI_uplink"), _thingpark),
    _format("loriot", _is_loriot, _loriot),
    _format("milesight_ug", _with("gatewaySN", "devEUI"), _chirpstack3),
    _format("chirpstack3", _with("devEUI", "applicationID"), _chirpstack3),
)
