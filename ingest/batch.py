"""What one step of the drain makes, and what it tells of it: plain values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from submeter import civil
from submeter.ingest.plain import Ordinary
from submeter.ingest.rows import Reception, Row
from submeter.store import Done, Quarantined

__all__ = ["Batch", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: how many messages, telegrams by gateway, link and outcome (`decoded`, `duplicate` or a quarantine reason)."""

    messages: int = 0
    telegrams: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    formats: Mapping[tuple[str, str], int] = field(default_factory=dict)  # messages by source and format
    refused: Mapping[str, int] = field(default_factory=dict)  # messages and telegrams that their envelope gave up, by reason
    redelivered: Mapping[str, int] = field(default_factory=dict)  # messages by gateway

    @property
    def results(self) -> Counter[str]:
        """Telegrams by outcome; a message that cannot be split counts as one, `rejected`."""
        found = Counter[str]()
        for (_, _, outcome), count in self.telegrams.items():
            found[outcome] += count
        return found


@dataclass(slots=True)
class Batch:
    """What one step makes before it is committed."""

    waiting: list[Reception] = field(default_factory=list)  # to be decoded together
    readings: list[Row] = field(default_factory=list)
    ordinary: list[Ordinary] = field(default_factory=list)  # further readings, as columns, …
    columns: int = 0  # … and how many
    receptions: dict[tuple[str, str, int], list[int | None]] = field(default_factory=dict)  # by UTC day since 1970: levels in dBm, one per reception
    quarantined: list[Quarantined] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)  # parts in quarantine that are telegrams now
    done: list[Done] = field(default_factory=list)
    numbered: dict[tuple[str, str, int], bytes] = field(default_factory=dict)  # payloads under the gateways' own numbers
    telegrams: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by gateway, link and outcome
    formats: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    redelivered: Counter[str] = field(default_factory=Counter)
    replays: bool = False  # taken as honest
    again: bool = False  # their receptions were counted before

    @property
    def size(self) -> int:
        """How many readings it holds, or will."""
        return len(self.waiting) + len(self.readings) + self.columns

    def receive(self, heard: Reception, device: str) -> None:
        """Count a reception of a device by gateway and day, with its level."""
        self.receptions.setdefault((device, heard.gateway, heard.at // civil.DAY), []).append(heard.telegram.rssi_dbm)

    def count(self, heard: Reception, outcome: str) -> None:
        """Count a telegram."""
        self.telegrams[heard.gateway, heard.telegram.link, outcome] += 1
