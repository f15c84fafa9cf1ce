"""What decoders hand on are values: nobody changes one that somebody else holds, and none has attributes that nobody declared."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

from submeter import decoders
from submeter.decoders.driver import Driver, Make

#: What one function fills while it works, and hands to nobody before.
GROWING = {"Cursor", "Shape", "Spots"}
MODULES = [import_module(one.name) for one in walk_packages(decoders.__path__, "submeter.decoders.") if Path(one.name).suffix != ".__main__"]
CLASSES = sorted({
    one for module in MODULES for one in vars(module).values()
    if isinstance(one, type) and is_dataclass(one) and one.__module__.startswith("submeter.decoders")
}, key=lambda one: one.__name__)  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_value_does_not_change(kind: type) -> None:
    """Its fields are set once, but for those that grow; it has no others."""
    held = object.__new__(kind)
    name = fields(kind)[0].name  # type: ignore[arg-type]
    assert set(kind.__slots__) == {field.name for field in fields(kind)}  # type: ignore[arg-type,attr-defined]
    if kind.__name__ in GROWING:
        setattr(held, name, None)
    else:
        with pytest.raises(FrozenInstanceError):
            setattr(held, name, None)


def test_all_of_them_are_seen() -> None:
    """Of every layer, and those that grow among them."""
    assert {one.__name__ for one in CLASSES} >= GROWING | {
        "Telegram",
        "Profile",
        "Code",
        "Information",
        "Records",
        "Layout",
        "Frames",
        "Columns",
        "Driver",
    }
    assert len(CLASSES) > 30


def test_a_driver_is_equal_to_itself_only() -> None:
    """What follows from its tables is kept by it, so two that say the same are two."""
    one, other = (Driver("pond", "made up", (Make("PND"),)) for _ in range(2))
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2
    assert Make("PND") == Make("PND")
