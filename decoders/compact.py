"""Compact frames: data without their headers, which a full frame of the same kind of meter taught before (EN 13757-3; protocol notes, section 7).

A compact frame is signature(2) CRC(2) data. The signature is the CRC over all DIF and VIF bytes of the full frame, the CRC is over that whole frame; so the
full frame is built again and checked: a wrong format, or damaged data, does not pass.
Rules: a format belongs to a kind of meter (manufacturer, version, type), is learnt from whole telegrams only, and the first one under a signature stays.
`Formats` is the caller's: decoding adds to it and forgets nothing.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from submeter.decoders.crc import crc16
from submeter.decoders.errors import BadFrame, UnknownDriver
from submeter.decoders.records import Records, header_ends, walk
from submeter.decoders.values import data_length
from submeter.reading import DeviceId

__all__ = ["SHIPPED", "FormatKey", "Formats", "full_frame", "learn", "read_compact"]

#: Manufacturer, version, type and signature of a format.
FormatKey = tuple[str, int, int, int]
#: All headers of the full frame, one after the other.
Formats = MutableMapping[FormatKey, bytes]

#: More formats than this are not learnt: some meters vary their telegrams without end.
MOST: Final = 4096
_FILLER: Final = b"\x2f"
_VARIABLE: Final = 0x0D

#: Published formats by signature, known before any full frame is heard (facts: manufacturer layouts 10.1 and 11).
SHIPPED: Final[Mapping[int, bytes]] = {
    crc16(headers): headers
    for headers in map(
        bytes.fromhex,
        (
            "02FF20 0413 4413 615B 6167",  # Multical 21, flowIQ
            "02FF20 0413 92013B A1015B 8101E7FF0F",
            "04FF23 4413 523B 06FF1B 426C 6167 5167 023B 0413 8101E7FF0F",
            "02FF20 0413 4413 426C 523B 615B 6167 5167 8101E7FF0F 06FF1B",
            "02FF20 0413 4413 A1015B 8101E7FF0F",
            "02FF20 0413 4413 615B 5167",
            "02FF20 0413 4413",
            "02FF20 0413 523B",
            "04FF23 0413 4413 426C 023B 92013B A2013B 06FF1B A1015B 91015B A10167",  # KWM2231
            "0406 04FF07 04FF08 0414 043B 0259 025D 04FF22 026C 4406 4414 426C",  # Multical 403
            "040F 04FF07 04FF08 0414 844014 84804014 043B 0259 025D 142D 84100F 84200F 04FF22 026C 440F 4414 C44014 C4804014 426C",  # Multical 803
            "02F9FF15 0406 04EEFF07 04EEFF08 0414 844014 84804014 02FD17 026C 426C 4406 4414 C44014 C4804014 043B 0259 025D",  # Multical 602
            "0306 4306 0314 426C 022D 01FF21",  # Multical 302
            "030E 430E 0313 426C 022D 01FF21",
            "0406 0414 04FF07 04FF08 0259 025D 023B 02FF22 026C 4406 4414 426C",  # Multical 303
            "2269 1269 0269 05FF09 05FF0A 02FD17",  # pressure sensor
            "0404 04843C 042B 04AB3C",  # Omnipower
            "0405 04FB8275 04853C 04FB82F53C 01FD17",  # EM24
            "426C 4413 01FD17 840113 C40113 840213 C40213 840313 C40313 840413 C40413 840513 C40513 840613 C40613 840713 C40713 840813 046D 0413",  # Engelmann FAW
        ),
    )
}


def learn(formats: Formats, device: DeviceId, found: Records) -> None:
    """Keep the headers of a full frame whose records ended where it ended."""
    if found.broken is None and not found.tail and not found.more and found.records and len(formats) < MOST:
        headers = b"".join(record.dif + record.vif for record in found.records)
        formats.setdefault(_key(device, _signature(headers)), headers)


def read_compact(payload: bytes, device: DeviceId, formats: Formats) -> Records:
    """The records of a compact frame; raises BadFrame when it is cut, UnknownDriver while its format is not known.

    Data whose CRC does not fit give records that are marked as broken.
    """
    frame, fits = full_frame(payload, device, formats)
    found = walk(frame)
    return found if fits else replace(found, broken=found.broken or "the CRC of the full frame does not fit: damaged, or of another format")


def full_frame(payload: bytes, device: DeviceId, formats: Formats) -> tuple[bytes, bool]:
    """The full frame of a compact one, and whether its CRC fits; raises BadFrame when it is cut, UnknownDriver while its format is not known."""
    if len(payload) < 4:
        raise BadFrame("cut inside the signature of a compact frame")
    signature, check = int.from_bytes(payload[:2], "little"), int.from_bytes(payload[2:4], "little")
    known = [headers for headers in (formats.get(_key(device, signature)), SHIPPED.get(signature)) if headers is not None]
    if not known:
        raise UnknownDriver(f"a compact frame of format {signature:04X}h, which no full frame has taught yet")
    full = [b"".join(_parts(headers, payload[4:])) for headers in known]
    fitting = next((frame for frame in full if crc16(frame) == check), None)
    return (full[0], False) if fitting is None else (fitting, True)


@lru_cache(maxsize=4096)
def _signature(headers: bytes) -> int:
    return crc16(headers)


def _key(device: DeviceId, signature: int) -> FormatKey:
    return device.manufacturer, device.version, device.type, signature


def _parts(headers: bytes, data: bytes) -> Iterator[bytes]:
    """Header and data of each record in turn; what is left of the data must be filler, else it is kept and breaks the CRC."""
    at = 0
    for header in _headers(headers):
        coding = header[0] & 0x0F
        lvar = data[at] if coding == _VARIABLE and at < len(data) else None
        size = data_length(coding, lvar) + (coding == _VARIABLE)
        yield header + data[at : at + size]
        at += size
    yield data[at:].lstrip(_FILLER)


@lru_cache(maxsize=4096)
def _headers(headers: bytes) -> tuple[bytes, ...]:
    return tuple(headers[start:end] for start, end in header_ends(headers))
