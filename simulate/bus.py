"""A simulated wired M-Bus: slaves that hear what a master sends and answer as slaves do, collisions and line faults included (ingest/SERIAL.md 5).

Strategy: `Bus.hear` takes the bytes on the line and returns the answers with their delays; `wire` puts a bus on a pty or a TCP port. What goes wrong
is drawn from the seed and the number of the answer, so that the same requests meet the same faults.
Rules: a frame with a wrong checksum is ignored, as a slave does; slaves that answer together are a bytewise OR, equal acknowledgements look like one;
a frame count bit equal to the last repeats the page, another one turns it over; orders about baud rate and primary address are acknowledged at the old
rate and obeyed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, NamedTuple

from submeter.reading import DeviceId
from submeter.simulate.consumption import hashed
from submeter.simulate.frames import header_address, wired
from submeter.simulate.layers import Header, plain
from submeter.simulate.records import Slot, bcd, integer

__all__ = ["Answer", "Bus", "Counts", "Faults", "Slave", "slaves"]

_ACK: Final = b"\xe5"
#: Control fields: link reset, user data to a slave (selections and orders), requests.
_NKE, _TOLD, _REQUESTS = 0x40, frozenset((0x53, 0x73)), frozenset((0x5B, 0x7B))
_FCB, _FCV = 0x20, 0x10
_SELECTED, _ALL, _ALL_SILENT = 253, 254, 255
_SELECTION: Final = 0x52
#: CI of an order to listen at another rate; record of one to have another primary address.
_RATES: Final = {0xB8: 300, 0xB9: 600, 0xBA: 1200, 0xBB: 2400, 0xBC: 4800, 0xBD: 9600}
_ADDRESS: Final = b"\x51\x01\x7a"
_MORE: Final = b"\x1f"
_MAKERS: Final = ("KAM", "NZR", "LUG", "ZRI", "SLB", "EFE")
_MEDIA: Final = (0x04, 0x07, 0x06, 0x02)


@dataclass(slots=True)
class Slave:
    """One meter: its address, the records of each page, the seconds until it answers, the only baud rate it hears (None: any)."""

    device: DeviceId
    primary: int
    pages: tuple[bytes, ...]
    delay_s: float = 0.0
    baud: int | None = None
    silent: bool = False
    selected: bool = False
    _fcb: int = 0
    _page: int = -1
    _access: int = 0

    def reset(self) -> None:
        """Forget the frame count bit and the page, as after SND_NKE and selection."""
        self._fcb, self._page = 0, -1

    def answer(self, control: int) -> bytes:
        """The page that a request with this control field gets."""
        fcb = control & _FCB
        if self._page < 0 or not control & _FCV or fcb != self._fcb:
            self._page = min(self._page + 1, len(self.pages) - 1)
            self._access = self._access + 1 & 0xFF
        self._fcb = fcb
        records = self.pages[self._page] + _MORE * (self._page + 1 < len(self.pages))
        return wired(plain(records, Header(self._access, 0, self.device)), address=self.primary)

    def obey(self, order: bytes) -> None:
        """Do what user data (from the CI field on) orders, if it is an order that is known."""
        if len(order) == 1 and order[0] in _RATES:
            self.baud = _RATES[order[0]]
        elif len(order) == 4 and order[:3] == _ADDRESS and order[3] <= 250:
            self.primary = order[3]

    def matches(self, selection: bytes) -> bool:
        """Whether a selection (id 4, manufacturer 2, version, medium) with its wildcards means this slave."""
        own = header_address(self.device)
        digits = zip(selection[:4].hex(), own[:4].hex(), strict=True)
        return (
            all(asked in {"f", had} for asked, had in digits)
            and selection[4:6] in {b"\xff\xff", own[4:6]}
            and all(asked in {0xFF, had} for asked, had in zip(selection[6:], own[6:], strict=True))
        )


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on the line: parts (0 to 1) of all answers that are damaged in one byte, late by `late_s`, or behind noise; the line's echo."""

    corrupt: float = 0.0
    noise: float = 0.0
    late: float = 0.0
    late_s: float = 1.0
    echo: bool = False


@dataclass(slots=True)
class Counts:
    """What the bus saw since its start."""

    selects: int = 0
    requests: int = 0
    answers: int = 0
    corrupted: int = 0


class Answer(NamedTuple):
    """Bytes that appear on the line after so many seconds."""

    delay_s: float
    data: bytes


@dataclass(slots=True)
class Bus:
    """All slaves of one line."""

    slaves: Sequence[Slave]
    seed: int = 0
    faults: Faults = Faults()
    counts: Counts = field(default_factory=Counts)
    _rest: bytearray = field(default_factory=bytearray)

    def hear(self, data: bytes, baud: int | None = None) -> list[Answer]:
        """What the line answers to these bytes, sent at `baud` if that is known."""
        heard = [Answer(0.0, data)] if self.faults.echo else []
        self._rest += data
        for frame in self._frames():
            answers = list(self._answers(frame, [one for one in self.slaves if baud is None or one.baud in {None, baud}]))
            if answers:
                heard.append(self._on_the_line(answers))
        return heard

    def _frames(self) -> Iterator[bytes]:
        """Whole frames from the control field up to the checksum; whatever is none is passed over byte by byte."""
        while self._rest:
            size = _size(self._rest)
            if size > len(self._rest):
                return
            inner = bytes(self._rest[1 if size == 5 else 4 : size - 2])
            sound = size and self._rest[size - 1] == 0x16 and sum(inner) & 0xFF == self._rest[size - 2]
            if sound:
                yield inner
            del self._rest[: size if sound else 1]

    def _answers(self, frame: bytes, hearing: list[Slave]) -> Iterator[Answer]:
        control, address = frame[0], frame[1]
        if control in _TOLD and address == _SELECTED and frame[2:3] == bytes([_SELECTION]) and len(frame) == 11:
            self.counts.selects += 1
            yield from self._selection(frame[3:], hearing)
            return
        meant = [one for one in hearing if address in {one.primary, _ALL, _ALL_SILENT} or (address == _SELECTED and one.selected)]
        self.counts.requests += control in _REQUESTS
        for one in meant:
            if control in _TOLD and not one.silent:
                one.obey(frame[2:])
            answer = _answered(one, control, deselect=address == _SELECTED)
            if answer and not one.silent and address != _ALL_SILENT:
                yield Answer(one.delay_s, answer)

    def _selection(self, selection: bytes, hearing: list[Slave]) -> Iterator[Answer]:
        for one in hearing:
            one.selected = one.matches(selection)
            if one.selected:
                one.reset()
                if not one.silent:
                    yield Answer(one.delay_s, _ACK)

    def _on_the_line(self, answers: list[Answer]) -> Answer:
        self.counts.answers += 1
        texts = [one.data for one in answers]
        data = bytearray(_merged(texts))
        if self._happens("corrupt", self.faults.corrupt):
            self.counts.corrupted += 1
            data[self._drawn("where") % len(data)] ^= 1 + self._drawn("what") % 255
        if self._happens("noise", self.faults.noise):
            data[:0] = self._drawn("noise bytes").to_bytes(8, "big")[: 1 + self._drawn("noise size") % 3]
        late_s = self.faults.late_s if self._happens("late", self.faults.late) else 0.0
        return Answer(max(one.delay_s for one in answers) + late_s, bytes(data))

    def _happens(self, what: str, part: float) -> bool:
        return self._drawn(what) % 1_000_000 < part * 1_000_000

    def _drawn(self, what: str) -> int:
        return hashed(self.seed, what, self.counts.answers) % 2**64


def slaves(count: int, seed: int, *, pages: int = 1, bauds: Sequence[int | None] = (None,)) -> list[Slave]:
    """So many meters with random ids, makers and media; primary addresses from 1 on, as far as there are any; these baud rates in turn."""
    return [_slave(number, seed, pages, bauds[number % len(bauds)]) for number in range(count)]


def _slave(number: int, seed: int, pages: int, baud: int | None) -> Slave:
    drawn = hashed(seed, "slave", number)
    identity = f"{drawn % 10**8:08d}"
    device = DeviceId(_MAKERS[drawn % len(_MAKERS)], identity, drawn % 90 + 1, _MEDIA[drawn // 7 % len(_MEDIA)])
    return Slave(device, number % 250 + 1, tuple(_page(drawn, page) for page in range(pages)), baud=baud)


def _page(drawn: int, page: int) -> bytes:
    """The first page has the total, each further one a stored value of its own."""
    value = drawn // 11 % 10**6
    if page == 0:
        return bcd(b"\x06", value, 8) + integer(b"\x2b", value % 9000, 4)
    return bcd(b"\x06", max(value - page * 10, 0), 8, Slot(storage=page))


def _answered(slave: Slave, control: int, *, deselect: bool) -> bytes:
    if control == _NKE:
        slave.reset()
        slave.selected = slave.selected and not deselect
        return _ACK
    return slave.answer(control) if control in _REQUESTS else _ACK


def _merged(answers: Iterable[bytes]) -> bytes:
    """What is on the line when these are sent together."""
    merged = bytearray()
    for together in zip_longest(*answers, fillvalue=0):
        byte = 0
        for one in together:
            byte |= one
        merged.append(byte)
    return bytes(merged)


def _size(rest: bytes | bytearray) -> int:
    """The length of the frame that begins here, 0 if none does; more than there is if it is not whole yet."""
    if rest[0] == 0x10:
        return 5
    if rest[0] != 0x68:
        return 0
    if len(rest) < 4:
        return 4
    return rest[1] + 6 if rest[1] == rest[2] and rest[3] == 0x68 and rest[1] >= 3 else 0
