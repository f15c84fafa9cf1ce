"""What a meter family is, as data: the vocabulary of the files in `decoders/meters/`.

A `Driver` says whom it is for (`Make`, CI fields), how standard records differ from the standard (`Rule`), what manufacturer bytes mean
(`Layout` of `Field`s, or `Tags`), what bits are called (`Bits`, `Codes`), when undated storages were taken (`History`), and what must be
plausible where no check covers the bytes (`Gate`). Odd families name one small pure function: `Layout.read`, `Driver.cipher`.

Rules
* Everything ends in records: fields become `Record`s like those of DIF and VIF, and from there all goes one way (instants, registers).
* A `Rule` sees headers, never values, so a compiled layout may apply it once.
* A quantity of the dictionary names its register; any other word is shown, and never becomes a reading. So is one with modifiers.
* A date field of a storage number dates all fields of that storage, as it does with standard records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import reduce
from operator import or_
from typing import Any

from submeter.decoders.codings import Coding, unsigned
from submeter.decoders.layers import Transport
from submeter.decoders.records import Record
from submeter.decoders.security import Opened, Profile
from submeter.reading import DeviceId

__all__ = [
    "FILLED", "PAYLOAD", "TAIL", "Bits", "Block", "Codes", "Driver", "Due", "Field", "Found", "Gate", "History", "Layout", "Make", "Rule", "Sealed", "Tags",
]  # fmt: skip

#: Places of a layout: the whole payload · the same behind its leading filler 2F · what follows DIF 0F or 1F. Any other word is a VIF chain in hex.
PAYLOAD, FILLED, TAIL = "payload", "filled", "tail"


@dataclass(frozen=True, slots=True)
class Bits:
    """Names of the bits of a number: mask → flag word of `decoders.flags`. A mask of several bits holds when all of them are set."""

    names: Mapping[int, str]

    def words(self, value: int) -> tuple[str, ...]:
        """The flags of `value`; `unnamed` stands for set bits that have no name."""
        known = [(mask, word) for mask, word in self.names.items() if value & mask == mask]
        rest = value & ~reduce(or_, (mask for mask, _ in known), 0)
        return (*dict.fromkeys(word for _, word in known if word), *(("unnamed",) if rest else ()))


@dataclass(frozen=True, slots=True)
class Codes:
    """Names of whole values: value → flag word; nought is quiet, a value without a name is `other`."""

    names: Mapping[int, str]
    other: str = "unnamed"

    def words(self, value: int) -> tuple[str, ...]:
        """The flag of `value`."""
        return (self.names.get(value, self.other),) if value else ()


@dataclass(frozen=True, slots=True)
class Field:
    """One number, date or set of flags at a fixed place of a block: `size` bytes at `at`, read by `coding`, times `scale`, in `unit`.

    Without a unit it is the dictionary's of `quantity`. `void` are raw values that mean no data. `due`: the last value before a restart.
    A field beyond the end of its block is left out; `Layout.size` says what must be there. `reckon` makes its instant of the first date of storage
    number `since` in the telegram (0: the meter's own day). A `quiet` one is not shown where it is void.
    """

    at: int
    size: int
    quantity: str
    coding: Coding = unsigned
    scale: Fraction = Fraction(1)
    unit: str = ""
    storage: int = 0
    function: int = 0
    tariff: int = 0
    subunit: int = 0
    label: str = "now"
    due: bool = False
    modifiers: tuple[str, ...] = ()
    void: frozenset[int] = frozenset()
    flags: Bits | Codes | None = None
    reckon: Callable[[date], date] | None = None
    since: int = 0
    quiet: bool = False


class Due(int):
    """A number that a coding knows to be the last before a restart: it is labelled `set_day`, and due."""


@dataclass(frozen=True, slots=True)
class Tags:
    """A block of registers behind one another: a tag byte, then as many bytes as `lengths` says; `fields` count from behind the tag.

    The walk starts at `start`, ends at `filler` or within the last `check` bytes, and at a tag that no row knows: its length is not guessed.
    """

    start: int
    lengths: Mapping[int, int]
    fields: Mapping[int, tuple[Field, ...]]
    filler: int = 0xFF
    check: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """What a reading function sees: the bytes, whose they are, the CI field, and the standard records beside them."""

    data: bytes
    device: DeviceId
    ci: int
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a block gave: records, and notes where it had to stop."""

    records: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """What the bytes at `at` mean, where they are at least `size` long and each (offset, mask, value) of `guard` holds.

    `fields` and `tags` are tables; `shaped` are more fields, which hang on the bytes (offset, mask) of `shape` alone. `read` is the small pure function
    of an odd family and comes behind them; it raises nothing but DecodeErrors. `shows`: its records are shown and become no readings, flags or instants,
    and it refuses none whose fields all have a value, or those at `vital`.
    """

    fields: tuple[Field, ...] = ()
    at: str = PAYLOAD
    size: int = 1
    guard: tuple[tuple[int, int, int], ...] = ()
    tags: Tags | None = None
    read: Callable[[Block], Found] | None = None
    shows: bool = False
    vital: frozenset[int] | None = None
    shape: tuple[tuple[int, int], ...] = ()
    shaped: Callable[[bytes], tuple[Field, ...]] | None = None

    def all_fields(self, data: bytes) -> tuple[Field, ...]:
        """The fields of such a block."""
        return (*self.fields, *self.shaped(data)) if self.shaped else self.fields

    def fits(self, data: bytes) -> bool:
        """Whether `data` are such a block."""
        return len(data) >= self.size and all(offset < len(data) and data[offset] & mask == value for offset, mask, value in self.guard)


@dataclass(frozen=True, slots=True)
class Rule:
    """Records whose header matches become something else.

    Matches: `vif` is the whole VIF chain as sent (hex), empty for any; `where` are attributes of the record; `nth` is the how-manieth record
    of one header (0: any). Then the attributes in `to` replace the record's own; with `scale` the data are read again as a number and
    multiplied, in the dictionary's unit of the new quantity unless `to` has one; `void` (hex) are data that mean no value; `flags` names the bits.
    The first rule that matches counts.
    """

    vif: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    nth: int = 0
    to: Mapping[str, Any] = field(default_factory=dict)
    scale: Fraction | None = None
    void: str = ""
    flags: Bits | Codes | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Undated storages: the k-th of `storages` (from 0) was taken k months before the date of storage `base`, month ends staying month ends.

    Without a base the first was taken at the last month end before the meter's own time, and none is dated if the telegram lacks that.
    """

    storages: range
    base: int | None = None
    label: str = "month_end"


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold before anything of a payload without an integrity check is believed.

    `years`: first and last year of every date in it. `clock_days`: how far the meter's time may be from the reception, where that is known.
    `largest`: register → the largest value believed, canonical unit. `rising`: registers whose stored values may not exceed the present one.
    `needs`: quantities that must be there with a value.
    """

    years: tuple[int, int] = (2000, 2080)
    clock_days: int | None = None
    largest: Mapping[str, int] = field(default_factory=dict)
    rising: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a cipher of a manufacturer's own sees: the link address as sent (M id V T), the transport part, and the device's profile."""

    address: bytes
    transport: Transport
    profile: Profile
    decrypted: bool


@dataclass(frozen=True, slots=True)
class Make:
    """Whom a driver is for: manufacturers (letters, blank between), versions and types of `DeviceId`; empty means any."""

    manufacturers: str
    versions: tuple[int, ...] = ()
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """One meter family; equal to itself only, so that what follows from its tables can be kept by it.

    `cis`: the CI fields it is for, empty for any. `medium`: the device type whose register names apply, where the sent one is odd.
    `cipher` opens payloads behind a manufacturer's CI, and those of the security modes in `modes`; raises NoKey or WrongKey. `published` is the key of
    mode 5 telegrams from devices that have none of their own.
    `status`: names of all bits of the transport status byte, for devices that use them in their own way.
    """

    name: str
    about: str
    makes: tuple[Make, ...]
    cis: frozenset[int] = frozenset()
    medium: int | None = None
    layouts: tuple[Layout, ...] = ()
    rules: tuple[Rule, ...] = ()
    histories: tuple[History, ...] = ()
    status: Bits | None = None
    gate: Gate | None = None
    cipher: Callable[[Sealed], Opened] | None = None
    modes: frozenset[int] = frozenset()
    published: bytes | None = None
