"""`port = "auto"`, `kind = "auto"`: which port has a dongle, and of which kind (ingest/SERIAL.md 1).

Strategy: USB ports whose VID:PID is that of a dongle come first, then those of the serial chips that dongles have; each is asked by the read-only question
of each kind that may be there, twice, since some sticks start anew when their port is opened (nanoCUL). Rules: no other port is opened, let alone written to; a port that somebody else holds is passed over.
"""

import termios
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from serial.tools import list_ports

from submeter.ingest.dongles.kinds import ASKABLE, KINDS, Kind, modes_of
from submeter.ingest.dongles.talk import Take, Talk
from submeter.ingest.errors import DongleError
from submeter.ingest.framers import Radio
from submeter.ingest.ports import opened

__all__ = ["AUTO", "Found", "find", "set_up"]

AUTO: Final = "auto"
#: Sticks with a number of their own: IMST's, and the one that busware's CUL shares with other LUFA devices.
_STICKS: Final[dict[tuple[int, int], tuple[Kind, ...]]] = {(0x10C4, 0x87ED): ("im871a",), (0x03EB, 0x204B): ("cul",)}
#: Chips that any dongle may have: CP210x, FT232, FT230X, CH340, PL2303.
_CHIPS: Final = ((0x10C4, 0xEA60), (0x0403, 0x6001), (0x0403, 0x6015), (0x1A86, 0x7523), (0x067B, 0x2303))
#: Times that each question is asked.
PROBES: Final = 2


class Found(NamedTuple):
    """A dongle at an open port: what it is, what it said if it was asked already, and the conversation to go on with."""

    url: str
    kind: Kind
    answer: bytes
    talk: Talk


def find(url: str, kind: str, baud: int, take: Take, stopped: Callable[[], bool]) -> Found:
    """The first dongle that answers, at its usual baud rate unless one is given; what it hears goes to `take`. Raises DongleError."""
    looked: list[str] = []
    for place, kinds in _places(url, [one for one in ASKABLE if kind in {AUTO, one}]):
        looked.append(place)
        for one in kinds:
            if not stopped() and (found := _asked(place, one, baud, take, stopped)):
                return found
    where = ", ".join(looked) or "no USB port of a known dongle or serial chip is there"
    wanted = "dongle" if kind == AUTO else kind
    raise DongleError("dongle_silent", f"no {wanted} was found ({where}): plug it in, or write its port and kind")


def set_up(found: Found, mode: str) -> None:
    """Set the radio mode of a dongle, once it has said who it is; raises DongleError where it is silent or refuses."""
    dongle = KINDS[found.kind]
    if mode not in dongle.modes or dongle.identify is None or dongle.set_mode is None:
        raise DongleError("dongle_refused", f"{found.kind} has no mode {mode}: {modes_of(found.kind)}")
    dongle.set_mode(found.talk, mode, found.answer or dongle.identify(found.talk))


def _places(url: str, kinds: Sequence[Kind]) -> Iterator[tuple[str, Sequence[Kind]]]:
    """Where to look, and for what."""
    if url != AUTO:
        yield url, kinds
        return
    ports = sorted((one.vid, one.pid, one.device) for one in list_ports.comports() if one.vid is not None)
    for vid, pid, device in ports:
        if own := [kind for kind in _STICKS.get((vid, pid), ()) if kind in kinds]:
            yield device, own
    yield from ((device, kinds) for vid, pid, device in ports if (vid, pid) in _CHIPS)


def _asked(place: str, kind: Kind, baud: int, take: Take, stopped: Callable[[], bool]) -> Found | None:
    """What this kind's question is answered at this port; what was heard at the port of something else is nobody's."""
    dongle, heard = KINDS[kind], list[Radio | bytes]()
    assert dongle.identify is not None
    try:
        port = opened(place, baud or dongle.baud)
    except (OSError, ValueError, termios.error):
        return None
    talk = Talk(port, dongle.framer(), heard.extend, stopped, tries=PROBES)
    try:
        answer = dongle.identify(talk)
    except (OSError, termios.error, DongleError):
        port.close()
        return None
    take(heard)
    return Found(place, kind, answer, Talk(port, talk.framer, take, stopped))
