"""All drivers, found by themselves, and the one for a device: a dictionary lookup.

A module in `decoders/meters/` has `DRIVERS`, a tuple; one of a third party is named by an entry point of the group `submeter.meters`, which
leads to such a tuple. The most exact make counts: version and type, then either, then the manufacturer alone; among equals the third party's.
"""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from itertools import product
from pkgutil import iter_modules
from typing import Final

from submeter.decoders import meters
from submeter.decoders.driver import Driver
from submeter.reading import DeviceId

__all__ = ["ENTRY_POINTS", "driver_of", "drivers"]

#: Group of the entry points of other packages; each leads to a tuple of drivers.
ENTRY_POINTS: Final = "submeter.meters"

_Key = tuple[str, int | None, int | None]


@cache
def drivers() -> tuple[Driver, ...]:
    """Every driver: those of other packages first, then ours by the name of their module. Raises TypeError that names an entry point without drivers."""
    return (*_foreign(), *_own())


def _own() -> Iterator[Driver]:
    for module in sorted(iter_modules(meters.__path__), key=lambda found: found.name):
        yield from import_module(f"{meters.__name__}.{module.name}").DRIVERS


def _foreign() -> Iterator[Driver]:
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name):
        found = entry.load()
        if not isinstance(found, tuple) or not all(isinstance(one, Driver) for one in found):
            raise TypeError(f"entry point {entry.name} ({entry.value}) leads to no tuple of drivers")
        yield from found


@cache
def _index() -> Mapping[_Key, tuple[Driver, ...]]:
    index: dict[_Key, tuple[Driver, ...]] = {}
    for driver in drivers():
        for make in driver.makes:
            for key in product(make.manufacturers.split(), make.versions or (None,), make.types or (None,)):
                index[key] = (*index.get(key, ()), driver)
    return index


@lru_cache(maxsize=4096)
def _driver(manufacturer: str, version: int, kind: int, ci: int) -> Driver | None:
    keys = ((manufacturer, version, kind), (manufacturer, version, None), (manufacturer, None, kind), (manufacturer, None, None))
    return next((driver for key in keys for driver in _index().get(key, ()) if not driver.cis or ci in driver.cis), None)


def driver_of(device: DeviceId, ci: int) -> Driver | None:
    """The driver for telegrams of `device` with the CI field `ci`; None for a meter that follows the standard."""
    return _driver(device.manufacturer, device.version, device.type, ci)
