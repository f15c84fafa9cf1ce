"""The fixed data structure of old wired meters (CI 73): two counters, their units, one status (protocol notes, section 1)."""

from decimal import Decimal
from typing import Final

from submeter.decoders.codings import bcd, unsigned
from submeter.decoders.errors import BadFrame
from submeter.decoders.records import Record, Records
from submeter.decoders.vif import UNKNOWN, Code

__all__ = ["read_fixed"]

_HISTORIC: Final = 0x3E

#: Rows (first code, last code, quantity, unit, exponent of the first code).
_ROWS: Final = (
    (0x02, 0x0A, "energy", "Wh", 0),
    (0x0B, 0x13, "energy", "J", 3),
    (0x14, 0x1C, "power", "W", 0),
    (0x1D, 0x25, "power", "J/h", 3),
    (0x26, 0x2E, "volume", "m3", -6),
    (0x2F, 0x37, "flow", "m3/h", -6),
)
_UNITS: Final[dict[int, Code]] = {
    **{code: Code(name, unit, exponent + code - first) for first, last, name, unit, exponent in _ROWS for code in range(first, last + 1)},
    0x38: Code("temperature_flow", "°C", -3),
    0x39: Code("hca", "hca"),
}


def read_fixed(payload: bytes) -> Records:
    """Two records from status(1) unit1 unit2 counter1(4) counter2(4); counter 2 is storage 1 where its unit says `historic`."""
    if len(payload) != 11:
        raise BadFrame("the fixed structure has 11 bytes behind its access number")
    status, units = payload[0], (payload[1] & 0x3F, payload[2] & 0x3F)
    first = _counter(units[0], payload[3:7], status, 0)
    historic = units[1] == _HISTORIC
    return Records((first, _counter(units[0] if historic else units[1], payload[7:11], status, int(historic))))


def _counter(unit: int, data: bytes, status: int, storage: int) -> Record:
    code = _UNITS.get(unit, UNKNOWN)
    number = unsigned(data) if status & 1 else bcd(data)
    value = None if number is None or code is UNKNOWN else Decimal(number).scaleb(code.exponent)
    return Record(b"", bytes([unit]), data, 0, storage | status >> 1 & 1, 0, 0, code.quantity, code.unit, (), value)
