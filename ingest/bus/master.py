"""The master of a wired M-Bus: one request, one answer; whole reads of slaves (ingest/SERIAL.md 2).

Strategy: `Master` speaks over a `Wire` (ports.py) with deadlines of its own; a read is SND_NKE or a selection, then all pages, or a PollError.
Rules
* The first request after SND_NKE or a selection has the frame count bit set; it is turned over only to ask for the next page; a retry repeats it.
* All pages or nothing; at most 16; a page that comes again unchanged is the same page.
* An answer counts only if it is of the slave that was asked.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from submeter.ingest.bus.frames import ACK, SELECTED, Address, Reason, Secondary, header_of, more_follows, nke, request, select, verdict
from submeter.ingest.errors import PollError
from submeter.ingest.ports import Wire

__all__ = ["ECHO", "Master", "Timing"]

#: How an operator says whether a line echoes.
ECHO: Final = {"auto": None, "yes": True, "no": False}
MOST_PAGES: Final = 16
TRIES: Final = 3
_BITS: Final = 11  # of a character on the line
_DAMAGED: Final = frozenset(("checksum", "collision", "framing"))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long answers may take at a baud rate: `latency_s` is the way there and back (0.03 on a wire, 0.2 to 1 through TCP), `slave_s` the slave's own time."""

    baud: int = 2400
    latency_s: float = 0.03
    slave_s: float = 0.05

    @property
    def answer_s(self) -> float:
        """From the end of a request to the first byte of its answer."""
        return 330 / self.baud + self.slave_s + self.latency_s

    @property
    def gap_s(self) -> float:
        """Between two bytes of one answer."""
        return 22 / self.baud + max(0.03, self.latency_s)

    @property
    def silence_s(self) -> float:
        """After which a damaged answer is over."""
        return 33 / self.baud + max(0.03, self.latency_s)

    def on_the_line_s(self, count: int) -> float:
        """The time that so many bytes take."""
        return count * _BITS / self.baud


@dataclass(slots=True)
class Master:
    """One bus; `echo`: the line repeats what is sent (None: find out). `sent` counts what was asked, `heard` what came back instead of an answer, `received` bytes."""

    port: Wire
    timing: Timing = Timing()
    echo: bool | None = None
    clock: Callable[[], float] = time.monotonic
    sent: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    received: int = 0

    def read(self, address: Address) -> list[bytes]:
        """Return all pages of a slave as sent; raises PollError. A read that broke off in damaged answers is begun anew, once."""
        try:
            return self._read(address)
        except PollError as error:
            if error.reason not in _DAMAGED:
                raise
        return self._read(address)

    def select(self, mask: Secondary, *, tries: int = TRIES) -> bool:
        """Whether anybody answers to the mask; a damaged acknowledgement is one too, since the page that follows proves whose it was."""
        for _ in range(tries):
            self.sent["select"] += 1
            _, reason = self._exchange(select(mask))
            if reason != "timeout":
                return True
        return False

    def speed(self, baud: int) -> None:
        """Speak at this baud rate from now on; raises OSError where the line's speed cannot be set from here."""
        if baud != self.timing.baud:
            self.port.speed(baud)
            self.timing = replace(self.timing, baud=baud)

    def order(self, frame: bytes) -> None:
        """Send user data, that is, an order; raises PollError if nobody acknowledges."""
        self._asked("order", frame, TRIES, lambda answer: answer == ACK)

    def deselect(self) -> None:
        """Leave no slave selected; nobody need answer."""
        self.sent["nke"] += 1
        self._exchange(nke(SELECTED))

    def awaken(self, address: int, *, tries: int = TRIES) -> None:
        """SND_NKE to a slave; raises PollError if it does not acknowledge."""
        self._asked("nke", nke(address), tries, lambda answer: answer == ACK)

    def page(self, address: int, *, fcb: bool, tries: int = TRIES) -> bytes:
        """One REQ_UD2 and its answer; raises PollError with the reason of the last try."""
        return self._asked("request", request(address, fcb=fcb), tries, lambda answer: answer != ACK)

    def _read(self, address: Address) -> list[bytes]:
        if isinstance(address, Secondary):
            if not self.select(address):
                raise PollError("not_selected", f"no slave answers to {address}")
            pages = self._pages(SELECTED)
            _same_slave(pages, address)
            return pages
        self.awaken(address)
        pages = self._pages(address)
        if address <= 250 and any(page[5] != address for page in pages):
            raise PollError("framing", f"a slave of another primary address than {address} answered")
        return pages

    def _pages(self, address: int) -> list[bytes]:
        pages: list[bytes] = []
        fcb = True
        for _ in range(MOST_PAGES):
            page = self.page(address, fcb=fcb)
            if not pages or page != pages[-1]:
                pages.append(page)
            if not more_follows(page):
                return pages
            fcb = not fcb
        raise PollError("page_limit", f"more than {MOST_PAGES} pages: the slave says every time that another follows")

    def _asked(self, what: str, frame: bytes, tries: int, fits: Callable[[bytes], bool]) -> bytes:
        """Ask up to `tries` times with the same bytes."""
        reason: Reason = "timeout"
        answer = b""
        for _ in range(tries):
            self.sent[what] += 1
            answer, told = self._exchange(frame)
            if told is None and fits(answer):
                return answer
            reason = told or "framing"
            self.heard[reason] += 1
        raise PollError(reason, f"{what}: {tries} times, at last {answer[:24].hex(' ') or 'nothing'} came")

    def _exchange(self, frame: bytes) -> tuple[bytes, Reason | None]:
        """Send a frame and return what came, and what is wrong with it."""
        self._drain(0.0)
        self.port.write(frame)
        answer = self._answer(frame, self.clock() + self.timing.on_the_line_s(len(frame)) + self.timing.answer_s)
        told = verdict(answer)
        if answer and not told.whole:
            self._drain(self.timing.silence_s)
        return answer, told.reason

    def _answer(self, frame: bytes, until: float) -> bytes:
        """Collect bytes until they are a whole frame or the line is silent; the echo is taken away."""
        raw, answer = b"", b""
        limit = until + self.timing.on_the_line_s(len(frame) + 261) + self.timing.gap_s
        while (wait_s := min(until, limit) - self.clock()) > 0:
            data = self.port.read(wait_s)
            if not data:
                break
            raw += data
            self.received += len(data)
            answer = self._without_echo(raw, frame)
            if answer and answer != ACK and verdict(answer).whole:
                break
            if answer:  # behind an echo the slave still has its whole time
                until = self.clock() + self.timing.gap_s
        return answer

    def _without_echo(self, raw: bytes, frame: bytes) -> bytes:
        if self.echo is False:
            return raw
        if raw.startswith(frame):
            self.echo = True
            return raw[len(frame) :]
        if frame.startswith(raw):
            return b""  # the beginning of an echo, as far as one can tell
        if self.echo is None and raw[:1] in {ACK, b"\x68"}:
            self.echo = False
        return raw

    def _drain(self, silence_s: float) -> None:
        """Throw away what comes until nothing comes for so long; a line that never ends is a fault of the next answer."""
        until = self.clock() + self.timing.on_the_line_s(261) + silence_s
        while self.port.read(silence_s) and self.clock() < until:
            pass


def _same_slave(pages: list[bytes], address: Secondary) -> None:
    for page in pages:
        told = header_of(page)
        if told is not None and page[6] == 0x72 and not address.covers(told):
            raise PollError("not_selected", f"{told} answered instead of {address}")
