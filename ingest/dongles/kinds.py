"""The kinds of dongles: line, framer, question and modes of each. What SERIAL.md has no bytes for is not asked and not set (iu891a)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from submeter.ingest.dongles import amber, cul, im871a, rc1180
from submeter.ingest.dongles.talk import Talk
from submeter.ingest.framers import AmberFramer, BareFramer, CulFramer, Framer, Im871aFramer, Iu891aFramer, LineFramer, Radio

__all__ = ["ASKABLE", "KINDS", "Dongle", "Kind", "modes_of"]

Kind = Literal["lines", "im871a", "iu891a", "amber", "cul", "rc1180"]


@dataclass(frozen=True, slots=True)
class Dongle:
    """A kind: its usual baud rate, its framer; `identify` asks without changing anything, `set_mode` knows what that answered."""

    baud: int
    framer: Callable[[], Framer[Radio] | Framer[bytes]]
    identify: Callable[[Talk], bytes] | None = None
    set_mode: Callable[[Talk, str, bytes], None] | None = None
    modes: Mapping[str, Any] = field(default_factory=dict)


KINDS: Final[Mapping[Kind, Dongle]] = {
    "lines": Dongle(9600, LineFramer),
    "cul": Dongle(38400, CulFramer, cul.identify, cul.set_mode, cul.MODES),
    "im871a": Dongle(57600, Im871aFramer, im871a.identify, im871a.set_mode, im871a.MODES),
    "amber": Dongle(9600, AmberFramer, amber.identify, amber.set_mode, amber.MODES),
    "rc1180": Dongle(19200, BareFramer, rc1180.identify, rc1180.set_mode, rc1180.MODES),
    "iu891a": Dongle(115200, Iu891aFramer),
}
#: Those that can be asked, in the order in which a port is: the question of the last one interrupts what is no dongle of its kind the most.
ASKABLE: Final[tuple[Kind, ...]] = tuple(kind for kind, dongle in KINDS.items() if dongle.identify)


def modes_of(kind: Kind) -> str:
    """What may be written as its mode."""
    modes = ", ".join(KINDS[kind].modes)
    return f"write one of {modes}" if modes else "it is received only: leave the mode out and set it with its maker's tool"
