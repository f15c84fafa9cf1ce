"""Whether a telegram counts: the first reception of a transmission, no replay; what does not is kept in quarantine with its reason, and told.

Strategy: what is remembered (the radio window, the newest values) runs ahead of the stores while a batch is made; `remember` reads it anew from them.
Rules: telegrams come in the order of the inbox, so that the verdicts are the same after a rebuild.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from submeter.decoders import DecodeError, Profile, Telegram, dedup_key, receive
from submeter.ingest.batch import Batch
from submeter.ingest.dedup import Window
from submeter.ingest.guard import WINDOW, Guard
from submeter.ingest.plain import Ordinary
from submeter.ingest.receiving import Receiver, bytes_of
from submeter.ingest.rows import POSITION_BITS, READING_BITS, Reception, rows_of
from submeter.ingest.sightings import DISTRUSTED, Sightings
from submeter.reading import DeviceId, Register
from submeter.store import Inbox, Quarantined, Readings

__all__ = ["NOBODY", "Judge", "Known"]

log = structlog.get_logger()

#: Outcomes that say that somebody tampers, or that a device is not configured as it sends.
SECURITY: Final = frozenset(("wrong_key", "mac_fail", "replay", "downgrade", "unknown_mode"))
#: … and those that are events where the device is known.
TOLD: Final = SECURITY | DISTRUSTED.keys()


@dataclass(frozen=True, slots=True)
class Known:
    """A device of the directory: how its telegrams are secured, the zone in which its local times are meant, and when it was first installed (µs UTC)."""

    profile: Profile
    zone: str
    since: int | None = None


NOBODY: Final = Known(Profile(), "UTC")


class Judge:
    """One for each drain; `ahead` is how far a time may lie ahead, µs."""

    guard: Guard

    def __init__(
        self, inbox: Inbox, readings: Readings, receiver: Receiver, known: Callable[[DeviceId], Known | None], sightings: Sightings, ahead: int
    ) -> None:
        self._inbox = inbox
        self._readings = readings
        self._receiver = receiver
        self._known = known
        self._sightings = sightings
        self._ahead = ahead

    def remember(self) -> None:
        """Start from what the stores have; the radio window from what was heard just before, so that a restart joins receptions as if it had not happened."""
        self._window = Window()
        self.guard = Guard(self._readings.accepted())
        for message in self._inbox.tail(WINDOW):
            self.heard_before(self._receiver.again(message))

    def heard_before(self, receptions: Iterable[Reception]) -> None:
        """Remember radio telegrams that counted already."""
        for heard in receptions:
            if heard.telegram.reason is None and heard.telegram.link == "wmbus":
                with suppress(DecodeError):
                    self._window.admit(dedup_key(heard.telegram.raw, form=heard.telegram.form), heard.at)

    def first(self, heard: Reception, known: tuple[str, bytes] | None, batch: Batch) -> bool:
        """Count a reception; whether it is the first one of a telegram whose frame is whole. `known`: its device and key, if they were read before."""
        telegram = heard.telegram
        try:
            device, key = known or receive(telegram.raw, link=telegram.link, form=telegram.form)
        except DecodeError as error:
            self.quarantine(heard, batch, error.device, error.reason, str(error))
            return False
        batch.receive(heard, str(device))
        if telegram.link == "wmbus" and not self._window.admit(key, heard.at):
            batch.count(heard, "duplicate")
            return False
        return True

    def ordinary(self, number: int, heard: Reception, ordinary: Ordinary) -> bool:
        """Take a telegram as columns if it is ordinary and nothing of it falls."""
        totals = ordinary.totals.get(number)
        if totals is None or self._sightings.stands(totals[0][0][0] if totals else ordinary.name(number)) or not self.guard.rise(totals, heard.at):
            return False
        ordinary.take(number)
        return True

    def decoded(self, telegram: Telegram, heard: Reception, batch: Batch) -> None:
        """Take the readings of a telegram that is no replay."""
        known = self._known(telegram.device) or NOBODY
        if not batch.replays and (objection := self._objection(telegram, heard, batch)):
            self.quarantine(heard, batch, telegram.device, "replay", objection)
            return
        self.guard.accept(telegram, heard.at, anyhow=batch.replays)
        batch.count(heard, "decoded")
        rows = list(rows_of(telegram, heard, known.zone, self._ahead))
        batch.readings.extend(rows)
        self._sightings.decoded(telegram, heard.at, known.zone, len(telegram.readings) - len(rows))
        if known.since is not None and (early := sum(row[1] < known.since for row in rows)):
            self._sightings.before_installation(str(telegram.device), known.since, early)

    def quarantine(self, heard: Reception, batch: Batch, device: DeviceId | None, reason: str, detail: str) -> None:
        """Keep what does not count, with its bytes."""
        batch.count(heard, reason)
        if reason in SECURITY:
            log.warning("a telegram is not trusted", kind=reason, device=str(device), gateway=heard.gateway, message=heard.message, detail=detail)
        if reason in TOLD and device and (known := self._known(device)):
            self._sightings.distrusted(str(device), reason, heard.at, known.zone, detail)
        batch.quarantined.append(
            Quarantined(
                message=heard.message,
                position=heard.position,
                received_at=heard.received_at,
                gw_time=heard.telegram.gw_time if heard.trusted else None,
                gateway=heard.gateway,
                device=str(device) if device else None,
                reason=reason,
                detail=detail,
                link=heard.telegram.link,
                form=heard.telegram.form,
                raw=heard.telegram.raw,
            )
        )

    def last(self, device: str, register: Register) -> int | None:
        """When the newest accepted value of a register was heard."""
        return self.guard.last(device, register) or self._readings.last(device, register)

    def _objection(self, telegram: Telegram, heard: Reception, batch: Batch) -> str | None:
        """Why this telegram is a replay."""

        def sent_before(register: Register, value: int) -> bool:
            key, before = (str(telegram.device), register), heard.at - WINDOW
            here = (row[7] for row in batch.readings if row[0] == key and row[1] < before and row[2] == value)
            columns = (seq for one in batch.ordinary for seq in one.seqs(key, value, before))
            seqs = {*self._readings.brought(*key, value, before), *here, *columns}
            return self._same_bytes(heard, {seq >> READING_BITS for seq in seqs})

        return self.guard.objection(telegram, heard.at, sent_before)

    def _same_bytes(self, heard: Reception, places: set[int]) -> bool:
        """Whether one of the telegrams at these places (message and position) is the one heard, hop fields aside."""
        key = bytes_of(heard.telegram)
        messages = self._inbox.messages(place >> POSITION_BITS for place in places - {heard.place})
        earlier = (other for message in messages for other in self._receiver.again(message) if other.place in places)
        return any(bytes_of(other.telegram) == key for other in earlier)
