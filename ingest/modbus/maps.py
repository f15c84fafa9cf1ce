"""Register maps: where a device keeps which value (ingest/SERIAL.md 4).

Strategy: a map is data in a TOML file; those of this package stand in devices/, an operator's own in a file that `[[modbus]] maps` names, and go before ours.
Rules: a map is checked when it is read, before anything is asked of a device; a mistake names file, map and point. Addresses are those on the wire, counted from 0.
A point of this package has the vendor's document in the head of its file.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from submeter.ingest.envelopes.mapping import factor_of
from submeter.ingest.envelopes.modbus import Function

__all__ = ["LAST", "SERIAL", "MapError", "Point", "RegisterMap", "maps_in"]

#: The last address that there is.
LAST: Final = 65_535
#: Registers that a value of a type takes.
WIDTH: Final[Mapping[str, int]] = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "bcd32": 2}
#: What a point is that tells which meter this is, instead of a register of the dictionary.
SERIAL: Final = "serial"

#: How msgspec names a place in a map's points.
_PLACE: Final = re.compile(r" - at `\$(?:\.point\[(\d+)\])?\.?(\w*)`$")

Address = Annotated[int, msgspec.Meta(ge=0, le=LAST)]


class MapError(ValueError):
    """A map cannot be used; the sentence names its file, the map and the point."""


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value: `words` says which of two registers comes first, `void` which raw values say that there is none, beside those of its type."""

    address: Address
    type: Literal["u16", "i16", "u32", "i32", "f32", "bcd32"]
    register: str
    unit: str = ""
    scale: Decimal = Decimal(1)
    words: Literal["big", "little"] = "big"
    void: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.register == SERIAL:
            if self.type not in {"u32", "bcd32"} or self.scale != 1 or self.unit:
                raise ValueError('a serial is of type "u32" or "bcd32", without scale and unit')
            return
        factor_of(self.register, self.unit)
        if not self.scale.is_finite() or not self.scale:
            raise ValueError(f"scale {self.scale} gives no value")

    @property
    def width(self) -> int:
        """How many registers it takes."""
        return WIDTH[self.type]


class RegisterMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The points of one kind of device; `function` reads them, `base` is added to their addresses."""

    function: Function
    base: Address = 0
    points: tuple[Point, ...] = msgspec.field(default=(), name="point")

    def __post_init__(self) -> None:
        names = [one.register for one in self.points]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"register {twice!r} is there twice: a meter has one")
        self.requests(0)

    @property
    def serial(self) -> Point | None:
        """The point that tells which meter this is."""
        return next((one for one in self.points if one.register == SERIAL), None)

    def requests(self, offset: int) -> list[tuple[int, int]]:
        """First address and number of registers of each request; what stands together is asked for together, and is never more than a request may ask for (125). Raises ValueError beyond the last address."""
        spans: list[tuple[int, int]] = []
        for first, behind in sorted((self.base + offset + one.address, self.base + offset + one.address + one.width) for one in self.points):
            if behind > LAST + 1 or first < 0:
                raise ValueError(f"address {first} with base {self.base} and offset {offset}: there are 0 to {LAST}")
            if spans and first <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], behind))
            else:
                spans.append((first, behind))
        return [(first, behind - first) for first, behind in spans]


def maps_in(own: Iterable[Path] = ()) -> dict[str, RegisterMap]:
    """The maps of this package and those of an operator's files, by name; raises MapError."""
    shipped: dict[str, RegisterMap] = {}
    for one in sorted((files(__package__) / "devices").iterdir(), key=lambda one: one.name):
        shipped |= _read(one.read_text("utf-8"), one.name)
    theirs: dict[str, RegisterMap] = {}
    for file in dict.fromkeys(own):
        try:
            found = _read(file.read_text("utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise MapError(f"{file}: cannot be read: {error}") from error
        if twice := next((name for name in found if name in theirs), None):
            raise MapError(f"{file}: map {twice}: another file has one of this name")
        theirs |= found
    return shipped | theirs


def _read(text: str, where: str) -> dict[str, RegisterMap]:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise MapError(f"{where}: this is not TOML: {error}") from error
    tables = document.get("map")
    if not isinstance(tables, dict) or len(document) != 1:
        raise MapError(f"{where}: write maps only, each as [map.NAME]")
    return {name: _map(where, name, table) for name, table in tables.items()}


def _map(where: str, name: str, table: object) -> RegisterMap:
    try:
        return msgspec.convert(table, RegisterMap)
    except msgspec.ValidationError as error:
        raise MapError(f"{where}: map {name}: {_PLACE.sub(_named, str(error))}") from None


def _named(place: re.Match[str]) -> str:
    """The same for a person, who counts from 1."""
    point = f", point {int(place[1]) + 1}" if place[1] else ""
    return f"{point}, {place[2]}" if place[2] else point
