"""Asking a dongle: one question, one answer, among the telegrams that it hears all the while.

Rules: an answer has two seconds, and a question three tries with the same bytes; the framer of the kind tells answers from telegrams, so a damaged answer
is none, and so is one to another question. Whoever stops the collector ends the wait.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from submeter.ingest.errors import DongleError
from submeter.ingest.framers import Framer, Radio
from submeter.ingest.ports import Port

__all__ = ["Raw", "Take", "Talk"]

T = TypeVar("T")
#: Takes the telegrams that are heard meanwhile.
Take = Callable[[Iterable[Radio | bytes]], object]
ANSWER_S: Final = 2.0
TRIES: Final = 3
TICK_S: Final = 0.05
#: More than any dongle answers to one question.
MOST_RAW: Final = 4096


class Raw(Framer[Radio]):
    """Answers without frames: all that has come since the question is one."""

    def feed(self, data: bytes) -> list[Radio]:
        """Keep what comes."""
        known = self.answers.pop() if self.answers else b""
        self.answers.append((known + data)[-MOST_RAW:])
        return []


class Talk:
    """A conversation over a port; `framer` tells answers from telegrams, which go to `take`. A question may change what the framer knows."""

    def __init__(self, port: Port, framer: Framer[Radio] | Framer[bytes], take: Take, stopped: Callable[[], bool], tries: int = TRIES) -> None:
        self.port = port
        self.framer = framer
        self.take = take
        self._stopped = stopped
        self._tries = tries

    def ask(self, what: str, question: bytes, reading: Callable[[bytes], T | None]) -> T:
        """What `reading` makes of the answer; it returns None for one to another question. Raises DongleError, `dongle_silent`, where none comes."""
        for _ in range(self._tries):
            self.framer.answers.clear()
            self.port.write(question)
            until = time.monotonic() + ANSWER_S
            while (wait_s := until - time.monotonic()) > 0 and not self._stopped():
                data = self.port.read(min(wait_s, TICK_S))
                if data:
                    self.take(self.framer.feed(data))
                for answer in self.framer.answers:
                    if (found := reading(answer)) is not None:
                        return found
        raise DongleError("dongle_silent", f"{what}: no answer in {self._tries} tries of {ANSWER_S:.0f} s")

    def say(self, data: bytes) -> None:
        """Write what has no answer, to a device that has answered before."""
        self.port.write(data)
