"""Telegrams that are decoded together: what each says, which are ordinary, whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from submeter.decoders import Formats, ProfileOf, fast
from submeter.ingest.plain import Ordinary, OwnerOf
from submeter.ingest.rows import Reception
from submeter.ingest.sightings import Clocks
from submeter.store import StoreError

__all__ = ["Read", "read_together"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Read:
    """What telegrams that were decoded together say: each one's outcome, which of them are ordinary, and who they are where that was plain to see."""

    outcomes: fast.Outcomes | list[fast.Outcome]
    ordinary: Ordinary | None
    received: Sequence[tuple[str, bytes] | None]


class _Instants(Sequence[datetime | None]):
    """When telegrams were heard, as naive UTC times, made for the few that are looked at."""

    def __init__(self, waiting: Sequence[Reception]) -> None:
        self._waiting = waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def __getitem__(self, number: Any) -> Any:
        return self._waiting[number].local


def read_together(decoder: fast.Decoder, waiting: Sequence[Reception], profile: ProfileOf, owner: OwnerOf, formats: Formats, clocks: Clocks) -> Read:
    """What each telegram says. A bug in a decoder costs one telegram, one in the batch its speed, never the loop; a StoreError is raised."""
    heard = fast.Heard(
        [one.telegram.raw for one in waiting],
        [one.telegram.link for one in waiting],
        [one.telegram.form for one in waiting],
        [one.decrypted for one in waiting],
        _Instants(waiting),
    )
    try:
        found = decoder.of_devices(heard, profile, formats)
        ordinary = Ordinary(decoder, found, waiting, owner, clocks)
        read, others = Read(fast.Outcomes(decoder, found), ordinary, fast.received(decoder, found)), list(found.others.values())
    except StoreError:
        raise  # the directory or its vault is in trouble, not the telegrams: they wait
    except Exception:
        log.exception("the batch failed: its telegrams are decoded one by one")
        others = decoder.one_by_one(heard, profile, formats)
        read = Read(others, None, [None] * len(waiting))
    for outcome in others:
        if isinstance(outcome.failure, StoreError):
            raise outcome.failure
    return read
