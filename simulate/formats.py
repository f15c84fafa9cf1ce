"""How gateways write what they heard: the inverse of ingest/envelopes, one row of `FORMATS` a format.

A new format is a function from (gateway, boot, sequence number, transmissions) to the payload, and its row: the topic under which such a gateway publishes,
whether a message holds several telegrams, and how the gateway announces its meters where its messages alone say nothing.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from submeter.simulate.announcing import Announcement, announce, announce_libmbus, state, state_libmbus
from submeter.simulate.building import Place
from submeter.simulate.gateway import TOPIC, Message, Sent, envelope, level
from submeter.simulate.meters import Meter

__all__ = ["FORMATS", "Format"]

#: Payload of a message: gateway, its boot, the message's number, the transmissions in it.
Write = Callable[[str, str, int, Sequence[Sent]], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """One gateway format; `topic` has places for the gateway's name and the meter's number."""

    write: Write
    topic: str = TOPIC
    batches: bool = False
    announce: Callable[[str, Meter], Iterator[Announcement]] | None = None

    def announced(self, places: Iterable[Place]) -> Iterator[Announcement]:
        """What gateways announce of the meters that they hear, to be published as retained messages before all else."""
        if self.announce is not None:
            for place in places:
                yield from self.announce(place.gateways[0], place.meter)

    def message(self, gateway: str, boot: str, number: int, sent: Sequence[Sent]) -> Message:
        """What the gateway publishes about these transmissions."""
        return Message(gateway, self.write(gateway, boot, number, sent), tuple(sent), self.topic.format(gateway, meter=sent[0].place.meter.device.id))


def _hex(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    return sent[0].raw.hex().upper().encode()


def _rtl_wmbus(gateway: str, _: str, __: int, sent: Sequence[Sent]) -> bytes:
    return "\n".join(_line(gateway, one) for one in sent).encode()


def _line(gateway: str, one: Sent) -> str:
    time = datetime.fromtimestamp(one.t / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return f"T1;1;1;{time};{level(gateway, one)};148;{one.place.meter.device.id};0x{one.raw.hex()}"


def _esphome(gateway: str, _: str, __: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    told = {"address": one.place.meter.device.id, "mode": "T1", "rssi": level(gateway, one), "frame": one.raw.hex().upper()}
    return json.dumps(told, separators=(",", ":")).encode()


def _gwmqtt(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    return _json({"method": "wmbus", "params": {"telegrams": [{"data": one.raw.hex()} for one in sent]}})


def _packed(gateway: str, boot: str, number: int, sent: Sequence[Sent]) -> bytes:
    return zlib.compress(_gwmqtt(gateway, boot, number, sent))


def _log(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    return "\n".join(f"telegram=|{one.raw.hex().upper()}|+{one.t // 1_000_000}" for one in sent).encode()


def _rtl_433(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    lines = (f"{_second(one)},,,Wireless-MBus,,{one.place.meter.device.id},,,,CRC,{one.raw.hex()},,22,C" for one in sent)
    return "\n".join(lines).encode()


def _request(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    return _json({"_": "decode", "telegram": sent[0].raw.hex()})


def _chirpstack4(gateway: str, _: str, number: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    info, heard = {"devEui": _eui(one)}, [{"gatewayId": "00" * 8, "rssi": level(gateway, one)}]
    return _json({"deviceInfo": info, "fCnt": number, "fPort": 1, "data": _base64(one), "time": _iso(one), "rxInfo": heard})


def _chirpstack3(gateway: str, _: str, number: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    heard = [{"gatewayID": "AAAAAAAAAAA=", "time": _iso(one), "rssi": level(gateway, one)}]
    eui = b64encode(bytes.fromhex(_eui(one))).decode()
    return _json({"applicationID": "1", "devEUI": eui, "fCnt": number, "fPort": 1, "data": _base64(one), "rxInfo": heard})


def _milesight(gateway: str, boot: str, number: int, sent: Sequence[Sent]) -> bytes:
    told = json.loads(_chirpstack3(gateway, boot, number, sent))
    return _json({**told, "applicationID": 1, "devEUI": _eui(sent[0]), "gatewaySN": "0000000000000001", "time": _iso(sent[0])})


def _things_stack(gateway: str, _: str, number: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    said = {"f_port": 1, "frm_payload": _base64(one), "received_at": _iso(one), "rx_metadata": [{"rssi": level(gateway, one)}]}
    return _json({"end_device_ids": {"dev_eui": _eui(one)}, "uplink_message": said | ({"f_cnt": number} if number else {})})


def _loriot(gateway: str, _: str, number: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    return _json({
        "cmd": "rx", "EUI": _eui(one), "fcnt": number, "port": 1, "ts": one.t // 1000, "rssi": level(gateway, one), "data": one.raw.hex(),
    })  # fmt: skip


def _thingpark(gateway: str, _: str, number: int, sent: Sequence[Sent]) -> bytes:
    (one,) = sent
    lrrs = {"Lrr": [{"LrrRSSI": float(level(gateway, one))}]}
    return _json(
        {"DevEUI_uplink": {"DevEUI": _eui(one), "FPort": 1, "FCntUp": number, "payload_hex": one.raw.hex(), "Time": _iso(one), "Lrrs": lrrs}}
    )


def _json(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def _base64(one: Sent) -> str:
    return b64encode(one.raw).decode()


def _eui(one: Sent) -> str:
    """A LoRaWAN bridge for each meter."""
    return f"70b3d57b{one.place.meter.device.id}"


def _iso(one: Sent) -> str:
    return f"{datetime.fromtimestamp(one.t / 1_000_000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _second(one: Sent) -> str:
    return f"{datetime.fromtimestamp(one.t / 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


_UPLINKS: Final = "application/1/device/{}/event/up"
FORMATS: Final[Mapping[str, Format]] = MappingProxyType({
    "native": Format(envelope, batches=True),
    "hex": Format(_hex),
    "rtl_wmbus": Format(_rtl_wmbus),
    "esphome_json": Format(_esphome),
    "rtl_433": Format(_rtl_433),
    "gwmqtt": Format(_gwmqtt, "gwmqtt/{}/out", batches=True),
    "gwmqtt_zlib": Format(_packed, "gwmqtt/{}/out/zlib", batches=True),
    "wmbusmeters_log": Format(_log),
    "decode_request": Format(_request),
    "chirpstack4": Format(_chirpstack4, _UPLINKS),
    "chirpstack3": Format(_chirpstack3, _UPLINKS),
    "milesight_ug": Format(_milesight),
    "tts": Format(_things_stack, "v3/app@tenant/devices/{}/up"),
    "loriot": Format(_loriot),
    "thingpark": Format(_thingpark),
    "homeassistant": Format(state, "bridge/{}/{meter}/state", announce=announce),
    "libmbus2mqtt": Format(state_libmbus, "libmbus2mqtt/device/{meter}/state", announce=announce_libmbus),
})  # fmt: skip
