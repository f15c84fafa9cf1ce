"""`decode_batch`: a table of telegrams in, a table of readings and one of telegrams out; the plain path is its specification.

Strategy: `engine` reads what has a compiled layout; the rest is decoded one by one, in order, and teaches the library. Compact frames learn from
full ones in the same order as on the plain path.
Rules: one row a reading, in the order of the telegrams and of their records; a bug in a decoder costs its telegram, and is told in `failures`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from types import MappingProxyType
from typing import Final

import numpy as np

from submeter.decoders.compact import FormatKey, Formats, learn
from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Ints
from submeter.decoders.fast.engine import Columns, read_batch
from submeter.decoders.fast.envelope import Frames, Heard, read_frames
from submeter.decoders.fast.keys import HAS_KEY, NOTHING, Access, Keys, Ways
from submeter.decoders.fast.library import Library
from submeter.decoders.fast.sessions import open_sessions
from submeter.decoders.fast.singly import open_singly
from submeter.decoders.flags import words_of
from submeter.decoders.frame import otherwise
from submeter.decoders.layers import COMPACT, device_of
from submeter.decoders.security import Profile
from submeter.decoders.telegram import Plain, ProfileOf, Telegram, decode
from submeter.reading import DeviceId

__all__ = ["DEVICES", "Batch", "Decoder", "Named", "Outcome"]

#: Devices whose names are kept.
DEVICES: Final = 65_536
Named = tuple[DeviceId, str]
#: An address that is void.
_NOBODY: Final = np.uint64(0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the plain path said of one telegram: `telegram`, or `error`; `failure` is an error that is a bug."""

    telegram: Telegram | None = None
    error: DecodeError | None = None
    failure: Exception | None = None

    @property
    def device(self) -> DeviceId | None:
        """The device, as far as it is known."""
        return self.telegram.device if self.telegram else self.error.device if self.error else None

    @property
    def reason(self) -> str | None:
        """Why it gave no readings; None where it was decoded."""
        return self.telegram.reason if self.telegram else self.error.reason if self.error else "rejected"

    @property
    def detail(self) -> str | None:
        """The reason in a sentence."""
        if self.telegram:
            return None if self.telegram.reason is None else "; ".join(self.telegram.notes) or "no register of the dictionary in it"
        return str(self.error) if self.error else f"internal: {type(self.failure).__name__}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded telegrams: the columns of those that have a layout, and `others` by their number."""

    heard: Heard
    frames: Frames
    columns: Columns
    others: dict[int, Outcome] = field(default_factory=dict)

    def broken(self) -> dict[int, tuple[str, ...]]:
        """The notes of telegrams with a layout that are cut or damaged, by their number."""
        notes = [layout.broken for _, layout in self.columns.layouts]
        which = np.array([*map(bool, notes), False])[self.columns.layout]
        return {number: notes[self.columns.layout[number]] for number in np.flatnonzero(which).tolist()}

    def words(self) -> tuple[Ints, list[tuple[str, ...]]]:
        """What each telegram with a layout says of itself, as a place in a list of words; of the others it means nothing."""
        columns = self.columns
        keys, which = np.unique(columns.layout << 32 | columns.said << 8 | self.frames.status, return_inverse=True)
        return which, [self._words(key >> 32, key & 0xFF, columns.sayings[key >> 8 & 0xFFFFFF]) for key in keys.tolist()]

    def _words(self, layout: int, status: int, said: tuple[str, ...]) -> tuple[str, ...]:
        driver = self.columns.layouts[layout][0].driver if layout >= 0 else None
        return tuple(dict.fromkeys((*words_of(status, driver.status if driver else None, ()), *said)))


class Decoder:
    """Decodes batches, and keeps layouts, ciphers and devices between them. Safe to share between threads: one batch at a time."""

    def __init__(self) -> None:
        self._library = Library()
        self._keys = Keys()
        self._devices: dict[int, Named | None] = {}
        self._lock = RLock()

    @property
    def layouts(self) -> int:
        """How many layouts are held."""
        return len(self._library)

    def of_devices(self, heard: Heard, profile_of: ProfileOf, formats: Formats | None = None) -> Batch:
        """Decode telegrams of devices that `profile_of` knows; it is asked once a device, and again for those that take the plain path."""
        with self._lock:
            frames = read_frames(heard)
            addresses, which = np.unique(np.where(frames.fast, frames.address, _NOBODY), return_inverse=True)
            ways = self._ways(addresses.tolist(), profile_of)
            return self._batch(heard, frames, Ways(ways, which), lambda _: profile_of, formats)

    def of_profiles(self, heard: Heard, profiles: Sequence[Profile], taught: Mapping[int, Mapping[FormatKey, bytes]] = MappingProxyType({})) -> Batch:
        """Decode telegrams each with a profile of its own; `taught`: the formats of compact frames that some of them know, by their number."""
        with self._lock:
            frames = read_frames(heard)
            ways = list(map(self._keys.access, profiles))
            return self._batch(heard, frames, Ways(ways, np.arange(len(ways))), lambda number: lambda _: profiles[number], None, taught)

    def one_by_one(self, heard: Heard, profile_of: ProfileOf, formats: Formats | None = None) -> list[Outcome]:
        """The same on the plain path alone."""
        return [_plain(heard, number, profile_of, formats) for number in range(len(heard.raw))]

    def named(self, address: int) -> Named | None:
        """The device of an address of `Frames`, and how it is written; None for a void address."""
        try:
            return self._devices[address]
        except KeyError:
            if len(self._devices) >= DEVICES:
                self._devices.clear()
        try:
            device = device_of(address.to_bytes(8, "little"))
        except DecodeError:
            return self._devices.setdefault(address, None)
        return self._devices.setdefault(address, (device, str(device)))

    def names(self, addresses: Sequence[int]) -> list[str]:
        """How the devices of addresses are written; empty for void ones."""
        known = self._devices.get
        return [named[1] if (named := known(address) or self.named(address)) else "" for address in addresses]

    def _ways(self, addresses: Sequence[int], profile_of: ProfileOf) -> list[Access]:
        known, access = self._devices.get, self._keys.access
        profiles = (profile_of(named[0]) if (named := known(address) or self.named(address)) else None for address in addresses)
        return [access(profile) if profile else NOTHING for profile in profiles]

    def _batch(
        self,
        heard: Heard,
        frames: Frames,
        ways: Ways,
        profile_of: Callable[[int], ProfileOf],
        formats: Formats | None,
        taught: Mapping[int, Mapping[FormatKey, bytes]] = MappingProxyType({}),
    ) -> Batch:
        def known(number: int) -> Formats:
            return dict(taught.get(number, {})) if formats is None else formats

        decrypted = np.array(heard.decrypted, np.bool_)
        frames, opened = open_singly(heard, frames, ways.bits & HAS_KEY == 0, open_sessions(frames, ways, decrypted), profile_of, known)
        columns = read_batch(self._library, frames, ways, decrypted, heard.received)
        batch = Batch(heard, frames, columns)
        for number in batch.broken():
            if otherwise(heard.raw[number], heard.link[number], heard.form[number]):
                columns.done[number], columns.layout[number] = False, -1
        first = _first_of_each(columns.layout) if formats is not None else {}
        for number in sorted((*np.flatnonzero(~columns.done).tolist(), *first)):
            if number in first:
                shape, layout = columns.layouts[first[number]]
                learn(formats if formats is not None and shape.ci not in COMPACT else {}, shape.device, layout.found)
            else:
                batch.others[number] = _plain(heard, number, profile_of(number), known(number), opened.get(number))
        return batch


def _first_of_each(layout: Ints) -> dict[int, int]:
    """The first telegram of each layout, and which layout it is."""
    which, number = np.unique(layout, return_index=True)
    return {first: one for one, first in zip(which.tolist(), number.tolist(), strict=True) if one >= 0}


def _plain(heard: Heard, number: int, profile_of: ProfileOf, formats: Formats | None, opened: Plain | None = None) -> Outcome:
    try:
        telegram = decode(
            heard.raw[number],
            profile_of,
            link=heard.link[number],
            form=heard.form[number],
            decrypted=heard.decrypted[number],
            formats=formats,
            received=heard.received[number] if heard.received else None,
            opened=opened,
        )
    except DecodeError as error:
        return Outcome(error=error)
    except Exception as bug:  # noqa: BLE001  told to the caller, who can log it: one telegram must not cost the batch
        return Outcome(failure=bug)
    return Outcome(telegram)
