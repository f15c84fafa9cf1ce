"""Which slaves are on a bus: the search by secondary addresses with wildcards (ingest/SERIAL.md 2).

Strategy: known addresses first; then a mask that means all, and where several answer, each digit in the place of the next wildcard. A selection that
is acknowledged proves nothing (equal acknowledgements look like one): the page does.
Rules
* A sound page with a plausible address is one slave, a damaged one several, until no digit is left; then medium, version and manufacturer part them.
  Frames laid over each other are sound once in 256 times: where that is likely, the full address must answer too.
* Silence is believed at once on a line that shows no trouble. Whatever shows some (no page behind an acknowledgement, a damaged page where there was
  one slave, fewer slaves than collided) has all silent masks looked at again. `thorough` asks every silent mask twice and the full address of every slave.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from submeter.decoders import DecodeError
from submeter.decoders.frame import parse_frame
from submeter.decoders.layers import split_transport
from submeter.decoders.records import walk
from submeter.ingest.bus.frames import SELECTED, Address, Secondary, header_of
from submeter.ingest.bus.master import Master
from submeter.ingest.errors import PollError

__all__ = ["Found", "Scan", "scan_primary"]

DIGITS: Final = "0123456789"
MORE_DIGITS: Final = "ABCDE"
#: Media of submeters first: heat, warm and cold water, allocators, combined ones.
MEDIA: Final = (0x03, 0x04, 0x06, 0x07, 0x0A, 0x0C, 0x0D, 0x0E, 0x15, 0x16)
#: Codings of decimal numbers in a DIF.
BCD: Final = frozenset((0x9, 0xA, 0xB, 0xC, 0xE))
#: Damaged answers in a row at primary addresses that can only be echo or noise (libmbus #138, #131).
MOST_DAMAGED: Final = 10


#: Where so few digits of a mask are fixed, several slaves are likely behind it.
FEW_DIGITS: Final = 1


class Found(NamedTuple):
    """A slave at its address, with its first page; or what a mask showed that is none: `select_without_answer`, `collision`."""

    address: Address
    page: bytes = b""
    trouble: str = ""


@dataclass(slots=True)
class Scan:
    """One search. `hex_digits` also tries A to E in ids; `manufacturers` (four hex digits as sent) part meters that differ in nothing else."""

    master: Master
    hex_digits: bool = False
    thorough: bool = False
    manufacturers: Sequence[str] = ()
    _seen: set[Secondary] = field(default_factory=set)
    _silent: list[Secondary] = field(default_factory=list)
    _last_look: bool = False
    _single: int = 0
    _doubtful: bool = False

    def known(self, addresses: Iterable[Secondary]) -> Iterator[Found]:
        """Those of these slaves that answer: one selection and one request each."""
        for address in addresses:
            yield from (one for one in self._look(address) if not one.trouble)

    def run(self) -> Iterator[Found]:
        """All slaves that answer to secondary addresses, and the masks that do not resolve."""
        yield from self._look(Secondary())
        if self._doubtful:
            self._last_look = True
            for mask in self._silent:
                yield from self._look(mask)
        self.master.deselect()

    def _look(self, mask: Secondary) -> Iterator[Found]:
        """What a mask means."""
        if not self._answers(mask):
            return
        page = self._page(mask)
        told = header_of(page) or mask if page else None
        if page and told and self._plausible(told, mask):
            if told in self._seen:
                self._single += 1
            elif self._sure(told, page, mask) or self.master.select(told):
                self._single += 1
                self._seen.add(told)
                yield Found(told, page)
            else:
                yield from self._several(mask)
        elif page is None:
            self._doubtful = True
            if self._last_look:
                yield Found(mask, trouble="select_without_answer")
            else:
                self._silent.append(mask)
        else:
            yield from self._several(mask)

    def _several(self, mask: Secondary) -> Iterator[Found]:
        children = list(self._children(mask))
        if not children:
            yield Found(mask, trouble="collision")
            return
        before = self._single
        for child in children:
            yield from self._look(child)
        if self._single - before < 2:
            self._doubtful = True

    def _sure(self, told: Secondary, page: bytes, mask: Secondary) -> bool:
        """Whether this can only be one slave."""
        return told == mask or (_fixed_digits(mask) > FEW_DIGITS and _decimal(page) and not self.thorough)

    def _answers(self, mask: Secondary) -> bool:
        """Whether the mask means anybody; one that was asked only once is remembered."""
        tries = 3 if mask == Secondary() else 1 + (self._doubtful or self.thorough)
        answered = self.master.select(mask, tries=tries)
        if not answered and tries == 1:
            self._silent.append(mask)
        return answered

    def _page(self, mask: Secondary) -> bytes | None:
        """The page of who is selected; b"" where it is damaged, None where none comes. Where nothing is left to part, damage is asked about again."""
        last = "F" not in mask.id
        for _ in range(3 if last else 2):
            try:
                return self.master.page(SELECTED, fcb=True, tries=1)
            except PollError as error:
                reason = error.reason
            if reason != "timeout" and not last:
                return b""
        return None if reason == "timeout" else b""

    def _plausible(self, told: Secondary, mask: Secondary) -> bool:
        """Whether this can be one slave's address: frames laid over each other seldom have a right checksum, and then an odd address."""
        code = int.from_bytes(bytes.fromhex(told.manufacturer), "little")
        letters = all(1 <= code >> shift & 31 <= 26 for shift in (10, 5, 0)) or told.manufacturer == "FFFF"
        return letters and "F" not in told.id and (self.hex_digits or told.id.isdecimal() or "F" not in mask.id) and mask.covers(told)

    def _children(self, mask: Secondary) -> Iterator[Secondary]:
        """The masks that part this one, the next wildcard first."""
        if "F" in mask.id:
            at = mask.id.index("F")
            digits = DIGITS + MORE_DIGITS * self.hex_digits
            yield from (mask.with_digit(at, digit) for digit in digits)
        elif mask.medium == "FF":
            rest = (medium for medium in range(0xFF) if medium not in MEDIA)
            yield from (replace(mask, medium=f"{medium:02X}") for medium in (*MEDIA, *rest))
        elif mask.version == "FF":
            yield from (replace(mask, version=f"{version:02X}") for version in range(0xFF))
        elif mask.manufacturer == "FFFF":
            makers = dict.fromkeys([*(one.manufacturer for one in self._seen), *self.manufacturers])
            yield from (replace(mask, manufacturer=maker) for maker in makers if maker != "FFFF")


def scan_primary(master: Master, addresses: Iterable[int] = range(1, 251)) -> Iterator[Found]:
    """Which primary addresses acknowledge SND_NKE; raises PollError where every one is damaged: that is the line, not the meters."""
    damaged = 0
    for address in addresses:
        try:
            master.awaken(address, tries=1)
        except PollError as error:
            damaged = damaged + 1 if error.reason != "timeout" else 0
            if damaged == MOST_DAMAGED:
                raise PollError(
                    error.reason,
                    f"{damaged} addresses in a row answer with damaged bytes: the line echoes or is noisy; try --echo yes, check wiring and baud",
                ) from error
            if error.reason != "timeout":
                yield Found(address, trouble="collision")
            continue
        damaged = 0
        yield Found(address)


def _fixed_digits(mask: Secondary) -> int:
    return len(mask.id) - mask.id.count("F")


def _decimal(page: bytes) -> bool:
    """Whether all decimal numbers of a page have decimal digits."""
    try:
        transport = split_transport(parse_frame(page, "mbus").body, "mbus")
    except DecodeError:
        return False
    records = () if transport.fixed else walk(transport.payload, high_first=transport.high_first).records
    return all(record.data.hex().isdecimal() for record in records if record.dif[0] & 0x0F in BCD)
