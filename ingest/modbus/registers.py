"""What registers say by a map: exact values of the dictionary's registers, and which meter it is.

Rules: what a type says when it has no value is no reading (all ones in an unsigned number or a counter, 8000… in a signed one, NaN and infinities, a digit above 9),
nor is what the point calls void, or what no dial shows; one that was not read is none either. A meter that tells another number than the configuration expects gives
nothing at all. Words are sent high byte first.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from submeter.decoders import DICTIONARY
from submeter.decoders.codings import bcd_be
from submeter.decoders.registers import LARGEST, all_ones_void
from submeter.ingest.envelopes.mapping import factor_of
from submeter.ingest.envelopes.modbus import Block, registers_of
from submeter.ingest.envelopes.parsed import Values
from submeter.ingest.errors import BadPayload
from submeter.ingest.modbus.maps import SERIAL, Point, RegisterMap
from submeter.reading import MICRO, Register

__all__ = ["bytes_of", "read_by", "value_of"]


def read_by(maps: Mapping[str, RegisterMap], raw: bytes) -> Values:
    """The meter and its values; raises BadPayload."""
    told = registers_of(raw)
    if told.map not in maps:
        raise BadPayload("unknown_map", f"map {told.map!r} is in no file that [[modbus]] names")
    by = maps[told.map]
    read = ((point, bytes_of(point, by, told.offset, told.read)) for point in by.points)
    found = {point.register: number for point, data in read if data and (number := value_of(point, data)) is not None}
    meter = _meter(told.meter, found.pop(SERIAL, None))
    values = {Register(name, DICTIONARY[name].unit): Decimal(one.numerator) / Decimal(one.denominator) for name, one in found.items()}
    if not values:
        raise BadPayload("no_values", f"none of the {len(by.points)} points of map {told.map} has a value in these registers")
    return Values(meter, values)


def value_of(point: Point, data: bytes) -> Fraction | None:
    """What the bytes of a point say, in its register's unit; None for no value."""
    ordered = data[2:] + data[:2] if point.words == "little" and len(data) == 4 else data
    raw = _RAW[point.type](ordered)
    void = raw is None or int.from_bytes(ordered, "big") in point.void or (not ordered.strip(b"\xff") and all_ones_void(point.register))
    if void or raw is None:
        return None
    value = raw * Fraction(point.scale) * (1 if point.register == SERIAL else factor_of(point.register, point.unit))
    return value if abs(value) * MICRO <= LARGEST else None


def bytes_of(point: Point, by: RegisterMap, offset: int, read: Sequence[Block]) -> bytes | None:
    """The bytes of a point in the registers that were read; None if they are not among them."""
    first = by.base + offset + point.address
    for block in read:
        start, end = 2 * (first - block.at), 2 * (first - block.at + point.width)
        if block.fc == by.function and start >= 0 and end <= len(data := bytes.fromhex(block.hex)):
            return data[start:end]
    return None


def _meter(configured: str, serial: Fraction | None) -> str:
    """Whose the values are."""
    told = None if serial is None else f"{int(serial):08d}"
    if configured and told and told not in configured:
        raise BadPayload("meter_mismatch", f"the registers are of meter {told}, not of {configured}: was the meter exchanged?")
    if not configured and not told:
        raise BadPayload("no_meter", "the registers say no meter, and [[modbus]] meters names none")
    return configured or told or ""


def _unsigned(data: bytes) -> Fraction | None:
    return Fraction(int.from_bytes(data, "big")) if data.strip(b"\xff") else None


def _signed(data: bytes) -> Fraction | None:
    number = int.from_bytes(data, "big", signed=True)
    return None if number == -(1 << 8 * len(data) - 1) else Fraction(number)


def _real(data: bytes) -> Fraction | None:
    """The shortest decimal that reads back as the same float32."""
    number = np.frombuffer(data, ">f4")[0]
    return Fraction(Decimal(str(number))) if np.isfinite(number) else None


def _bcd(data: bytes) -> Fraction | None:
    number = bcd_be(data)
    return None if number is None else Fraction(number)


_RAW = {"u16": _unsigned, "u32": _unsigned, "i16": _signed, "i32": _signed, "f32": _real, "bcd32": _bcd}
