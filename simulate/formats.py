"""How gateways write what they heard: the inverse of ingest/envelopes, one row of `FORMATS` a format.

A new format is a function from (gateway, boot, sequence number, transmissions) to the payload, and its row: the topic under which such a gateway publishes,
and whether a message holds several telegrams.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from submeter.simulate.gateway import TOPIC, Message, Sent, envelope, level

__all__ = ["FORMATS", "Format"]

#: Payload of a message: gateway, its boot, the message's number, the transmissions in it.
Write = Callable[[str, str, int, Sequence[Sent]], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """One gateway format; `topic` has a place for the gateway's name."""

    write: Write
    topic: str = TOPIC
    batches: bool = False

    def message(self, gateway: str, boot: str, number: int, sent: Sequence[Sent]) -> Message:
        """What the gateway publishes about these transmissions."""
        return Message(gateway, self.write(gateway, boot, number, sent), tuple(sent), self.topic.format(gateway))


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


FORMATS: Final[Mapping[str, Format]] = MappingProxyType({
    "native": Format(envelope, batches=True),
    "hex": Format(_hex),
    "rtl_wmbus": Format(_rtl_wmbus),
    "esphome_json": Format(_esphome),
})  # fmt: skip
