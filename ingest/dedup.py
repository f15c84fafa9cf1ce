"""Radio deduplication: one transmission heard by several gateways, or twice by one, counts once (DECISIONS 4; ingest/INBOX.md 4, level 1).

Strategy: the first reception of a key opens a window of ten seconds of event time to both sides; receptions inside it are duplicates and do
not prolong it; outside it identical bytes are an honest repeat.
Rules: the verdict depends on the order of processing alone, no clock is read; memory is bounded by generations, so that a replay of last
year beside live telegrams is deduplicated as well: the last 65,536 telegrams, at least, are remembered whatever their times.
"""

from typing import Final

__all__ = ["Window"]

SECONDS: Final = 10
GENERATION: Final = 65_536


class Window:
    """The window of one drain; keys are those of `decoders.dedup_key`, times are microseconds of one clock."""

    seconds: Final = SECONDS

    def __init__(self) -> None:
        self._young: dict[tuple[bytes, int], int] = {}
        self._old: dict[tuple[bytes, int], int] = {}

    def admit(self, key: bytes, event_time_us: int) -> bool:
        """Tell whether this is the first reception of a transmission, and remember it if so."""
        slot = event_time_us // (SECONDS * 1_000_000)
        if self._inside(key, slot, event_time_us) or self._inside(key, slot - 1, event_time_us) or self._inside(key, slot + 1, event_time_us):
            return False
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, {}
        self._young[key, slot] = event_time_us
        return True

    def _inside(self, key: bytes, slot: int, event_time_us: int) -> bool:
        first = self._young.get((key, slot), self._old.get((key, slot)))
        return first is not None and abs(event_time_us - first) <= SECONDS * 1_000_000
