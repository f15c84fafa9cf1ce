"""Replay: telegrams that were sent once and are sent again by somebody else (DECISIONS 5; docs/decisions/2026-11-21-replay.md).

Strategy: per device the newest accepted value of what can only rise, and when it was heard. An authenticated counter must be higher than the highest one
accepted, unless it was heard before that one. Where nothing is authenticated, a total below the newest accepted one is looked into: the telegram is a
replay if its very bytes were accepted before; else the classifier judges the fall (SPEC 5).
Rules: order is that of the instants of reception, so that a gateway may deliver late; the radio window counts as one instant. What a batch accepted
becomes `newest` only when the store has it (`keep`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from submeter.decoders import DICTIONARY, Telegram
from submeter.ingest.dedup import Window
from submeter.reading import Register
from submeter.store import Accepted

__all__ = ["COUNTER", "RISING", "Guard", "Key"]

#: Name of the authenticated counter among the names of registers.
COUNTER: Final = "counter"
WINDOW: Final = Window.seconds * 1_000_000
#: Registers whose values can only rise.
RISING: Final = frozenset(name for name, entry in DICTIONARY.items() if entry.kind in {"total", "period"})

#: Device and counter or register.
Key = tuple[str, str]


class Guard:
    """What was accepted last of each device; one for each drain."""

    def __init__(self, newest: Mapping[Key, Accepted]) -> None:
        self._newest = dict(newest)
        self._fresh: dict[Key, Accepted] = {}

    @property
    def fresh(self) -> Mapping[Key, Accepted]:
        """What is to be kept since the last `keep`."""
        return self._fresh

    def keep(self) -> None:
        """The store has what was fresh."""
        self._newest |= self._fresh
        self._fresh = {}

    def objection(self, telegram: Telegram, at: int, sent_before: Callable[[Register, int], bool]) -> str | None:
        """Why this telegram, heard at `at` (µs UTC), is a replay; None if it is not. `sent_before` tells whether its bytes brought this value of a register before."""
        if telegram.counter is not None:
            highest = self._known((str(telegram.device), COUNTER))
            rises = highest is None or telegram.counter > highest.value or at <= highest.at + WINDOW
            return None if rises else f"its counter {telegram.counter} is not above the one before"
        for key, register, value in _totals(telegram):
            newest = self._known(key)
            if newest and at > newest.at + WINDOW and value < newest.value and sent_before(register, value):
                return f"{register} falls below the newest value in a telegram that was heard before"
        return None

    def accept(self, telegram: Telegram, at: int, *, anyhow: bool = False) -> None:
        """Take this telegram as the newest of its device if it is; `anyhow`: an operator says that it is."""
        if telegram.counter is not None:
            key = (str(telegram.device), COUNTER)
            highest = self._known(key)
            if anyhow or highest is None or telegram.counter > highest.value:
                self._fresh[key] = Accepted(at, telegram.counter)
            return
        for key, _, value in _totals(telegram):
            newest = self._known(key)
            if newest is None or at >= newest.at:
                self._fresh[key] = Accepted(at, value)

    def rise(self, totals: Sequence[tuple[Key, int]], at: int) -> bool:
        """Accept live totals heard at `at` (µs UTC), as `accept` does, if none of them falls; of others the telegram must be looked into."""
        newest = [self._known(key) for key, _ in totals]
        for (_, value), before in zip(totals, newest, strict=True):
            if before and value < before.value and at > before.at + WINDOW:
                return False
        for (key, value), before in zip(totals, newest, strict=True):
            if before is None or at >= before.at:
                self._fresh[key] = Accepted(at, value)
        return True

    def last(self, device: str, register: Register) -> int | None:
        """When the newest accepted value of a total was heard; None if there is none, or if it is no total."""
        newest = self._known((device, str(register)))
        return newest.at if newest else None

    def _known(self, key: Key) -> Accepted | None:
        return self._fresh.get(key) or self._newest.get(key)


def _totals(telegram: Telegram) -> Iterator[tuple[Key, Register, int]]:
    """The live totals of a telegram, each with its key and value."""
    device = str(telegram.device)
    for reading in telegram.readings:
        if reading.stamp is None and reading.value is not None and reading.register.name in RISING:
            yield (device, str(reading.register)), reading.register, reading.value
