"""Whom a Modbus line is asked for, and by which requests: a map put to a unit of the line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from submeter.ingest.envelopes.modbus import Block, Function
from submeter.ingest.modbus.maps import RegisterMap
from submeter.reading import DeviceId

__all__ = ["Station", "station"]

#: Unit, function, first address, number of registers → their bytes.
Ask = Callable[[int, int, int, int], bytes]
_DIGITS: Final = re.compile(r"[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Station:
    """One meter behind a line; `requests` are first address and number of registers, each asked for by `function`."""

    unit: int
    map: str
    offset: int
    meter: str
    function: Function
    requests: tuple[tuple[int, int], ...]

    def read(self, ask: Ask) -> list[Block]:
        """What its registers hold; raises what `ask` raises."""
        return [Block(self.function, at, ask(self.unit, self.function, at, count).hex()) for at, count in self.requests]

    def __str__(self) -> str:
        return f"unit {self.unit}, {self.meter or self.map}{f' at {self.offset:+}' if self.offset else ''}"


def station(maps: Mapping[str, RegisterMap], unit: int, name: str, offset: int, meter: str) -> Station:
    """Put a map to a unit; raises ValueError that says what to write."""
    by = maps.get(name)
    if by is None:
        raise ValueError(f"map {name!r} is in no file of `maps`, and none is shipped under this name: there are {', '.join(sorted(maps))}")
    if not by.points:
        raise ValueError(f"map {name!r} has no points: its file says why, write a map of your own (docs/modbus.md)")
    if meter and not _DIGITS.fullmatch(meter):
        DeviceId.parse(meter)
    if not meter and by.serial is None:
        raise ValueError(f"unit {unit} says no meter and map {name!r} has no serial to tell it: write meter")
    return Station(unit, name, offset, meter, by.function, tuple(by.requests(offset)))
