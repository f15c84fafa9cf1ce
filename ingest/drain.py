"""Inbox → telegrams → readings: restartable, and each message counts exactly once.

A step takes the oldest waiting messages and goes, in this order, so that a crash between any two leaves it repeatable:
  1. split and decode (pure)
  2. quarantine rows, keyed by message and position (inbox file)
  3. readings, dirty ranges, receptions and the watermark in one transaction (readings file)
  4. messages done (inbox file)
A message at or below the watermark is only marked done: its readings are there. Nothing about a message can stop the loop.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import structlog

from submeter import civil
from submeter.decoders import DecodeError, Profile, Telegram, decode, dedup_key, identify
from submeter.ingest.dedup import Window
from submeter.ingest.envelopes import BadPayload, Envelope, Heard, split
from submeter.reading import STATUS, DeviceId, Reading, Register
from submeter.store import READING, RECEPTION, Done, Inbox, Quarantined, Readings, Stored
from submeter.store.inbox import REPLAY, RETAIN

__all__ = ["Drain", "Gateway", "Known", "Step"]

log = structlog.get_logger()

MICROSECONDS: Final = 1_000_000
#: How far an instant may lie ahead of its reception (SPEC 14, `clock_drift`).
AHEAD: Final = 600 * MICROSECONDS
#: How late a store-and-forward gateway may deliver (DECISIONS 1).
LATE: Final = 45 * 86_400 * MICROSECONDS
BATCH: Final = 500
#: `seq` of a reading: message id, then position of the telegram in it (13 bits), then of the reading in the telegram (8 bits).
POSITION_BITS: Final = 13
READING_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the configuration says of one gateway; the default holds for gateways that it does not name."""

    store_and_forward: bool = False
    decrypted: bool = False
    form: str = "auto"


@dataclass(frozen=True, slots=True)
class Known:
    """A device of the directory: how its telegrams are secured, and the zone in which its local times are meant."""

    profile: Profile
    zone: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did; `results` counts telegrams by outcome (`decoded`, `duplicate` or a quarantine reason)."""

    messages: int = 0
    results: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Heard:
    """One telegram with the place and the instant of its reception."""

    message: int
    position: int
    received_at: int
    gateway: str
    trusted: bool  # the gateway's own time counts
    decrypted: bool
    telegram: Heard

    @property
    def at(self) -> int:
        """The instant of a live value: the gateway's time where it is trusted, else the collector's (DECISIONS 1)."""
        return self.telegram.gw_time if self.trusted and self.telegram.gw_time is not None else self.received_at


#: Device and register, then the columns of READING after `register`.
_Row = tuple[tuple[str, Register], int, int | None, int, int, bool, bool, int, str, str]


@dataclass(slots=True)
class _Batch:
    readings: list[_Row] = field(default_factory=list)
    receptions: dict[tuple[str, str, date], list[int | None]] = field(default_factory=dict)  # levels in dBm, one per reception
    quarantined: list[Quarantined] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    numbered: dict[tuple[str, str, int], bytes] = field(default_factory=dict)  # payloads under the gateways' own numbers
    results: Counter[str] = field(default_factory=Counter)


class Drain:
    """The one consumer of an inbox; `known` answers for a device of the directory, None for a stranger."""

    def __init__(
        self, inbox: Inbox, readings: Readings, known: Callable[[DeviceId], Known | None], gateways: Mapping[str, Gateway] | None = None
    ) -> None:
        self._inbox = inbox
        self._readings = readings
        self._known = known
        self._gateways = gateways or {}
        self._window = Window()
        self._heard_before_restart()

    def step(self, limit: int = BATCH) -> Step:
        """Decode up to `limit` waiting messages; `messages` is 0 when none waits."""
        pending = self._inbox.pending(limit)
        if not pending:
            return Step()
        watermark = self._readings.watermark()
        batch = _Batch()
        for message in pending:
            if message.id <= watermark:
                batch.done.append(Done(message.id))
            else:
                self._message(message, batch)
        self._commit(batch, upto=max(pending[-1].id, watermark))
        self._inbox.finish(batch.done)
        return Step(len(pending), batch.results)

    def redecode(self, rows: Sequence[Quarantined]) -> Step:
        """Decode quarantined telegrams again at their original times (late key, adopted meter, new driver); what decodes leaves the quarantine."""
        batch = _Batch()
        for row in rows:
            telegram = Heard(raw=row.raw, link=row.link, form=row.form, gw_time=row.gw_time)
            self._decode(
                _Heard(row.message, row.position, row.received_at, row.gateway or "", trusted=True, decrypted=False, telegram=telegram), batch
            )
        self._commit(batch, upto=self._readings.watermark())
        still = {(row.message, row.position) for row in batch.quarantined}
        self._inbox.release([(row.message, row.position) for row in rows if (row.message, row.position) not in still])
        return Step(len(rows), batch.results)

    def _commit(self, batch: _Batch, *, upto: int) -> None:
        """Quarantine first, then readings and watermark: repeating both changes nothing."""
        self._inbox.quarantine(batch.quarantined)
        numbers = self._readings.register_ids({row[0] for row in batch.readings})
        readings = _table(READING, [(numbers[row[0]], *row[1:]) for row in batch.readings])
        receptions = _table(RECEPTION, [(*place, len(levels), _best(levels)) for place, levels in batch.receptions.items()])
        self._readings.store(readings, receptions, upto)

    def _message(self, message: Stored, batch: _Batch) -> None:
        if message.flags & RETAIN:
            batch.done.append(Done(message.id, reason="retained"))
            return
        try:
            envelope = split(message.topic, message.payload, message.format)
        except BadPayload as error:
            batch.results["rejected"] += 1
            batch.done.append(Done(message.id, reason=error.reason))
            log.warning("message refused", message=message.id, topic=message.topic, gateway=message.gateway, reason=error.reason, detail=str(error))
            return
        gateway = message.gateway or envelope.gateway or message.source
        if self._redelivered(message, envelope, gateway, batch):
            batch.done.append(Done(message.id, format=envelope.format, reason="redelivered"))
            return
        for heard in self._telegrams(message, envelope, gateway):
            self._telegram(heard, batch)
        batch.done.append(Done(message.id, format=envelope.format, gateway=gateway, boot=envelope.boot, seq=envelope.seq))

    def _redelivered(self, message: Stored, envelope: Envelope, gateway: str, batch: _Batch) -> bool:
        """The gateway's own numbering says that this message was taken before (INBOX 4, level 4)."""
        if envelope.boot is None or envelope.seq is None:
            return False
        before = batch.numbered.setdefault((gateway, envelope.boot, envelope.seq), message.payload)
        here = before is not message.payload and before == message.payload
        return here or self._inbox.seen(gateway, envelope.boot, envelope.seq, before=message.id)

    def _telegrams(self, message: Stored, envelope: Envelope, gateway: str) -> Iterator[_Heard]:
        settings = self._gateways.get(gateway, Gateway())
        for position, telegram in enumerate(envelope.telegrams):
            trusted = bool(message.flags & REPLAY) or (settings.store_and_forward and _plausible(telegram.gw_time, message.received_at))
            pinned = telegram if telegram.form != "auto" or settings.form == "auto" else telegram.with_form(settings.form)
            yield _Heard(message.id, position, message.received_at, gateway, trusted=trusted, decrypted=settings.decrypted, telegram=pinned)

    def _telegram(self, heard: _Heard, batch: _Batch) -> None:
        telegram = heard.telegram
        if telegram.reason is not None:
            self._quarantine(heard, batch, None, "rejected", telegram.reason)
            return
        try:
            device = identify(telegram.raw, link=telegram.link, form=telegram.form)
        except DecodeError as error:
            self._quarantine(heard, batch, error.device, error.reason, str(error))
            return
        batch.receptions.setdefault((str(device), heard.gateway, _day(heard.at)), []).append(telegram.rssi_dbm)
        if telegram.link == "wmbus" and not self._window.admit(dedup_key(telegram.raw, form=telegram.form), heard.at):
            batch.results["duplicate"] += 1
            return
        self._decode(heard, batch)

    def _decode(self, heard: _Heard, batch: _Batch) -> None:
        telegram, zone = heard.telegram, "UTC"

        def profile(device: DeviceId) -> Profile | None:
            nonlocal zone
            known = self._known(device)
            zone = known.zone if known else zone
            return known.profile if known else None

        try:
            decoded = decode(telegram.raw, profile, link=telegram.link, form=telegram.form, decrypted=heard.decrypted)
        except DecodeError as error:
            self._quarantine(heard, batch, error.device, error.reason, str(error))
        except Exception as error:  # a bug in a decoder costs one telegram, never the loop; its bytes are kept
            log.exception("decoder failed", message=heard.message, position=heard.position)
            self._quarantine(heard, batch, None, "rejected", f"internal: {type(error).__name__}")
        else:
            if decoded.reason is not None:
                self._quarantine(heard, batch, decoded.device, decoded.reason, "; ".join(decoded.notes) or "no register of the dictionary in it")
                return
            batch.results["decoded"] += 1
            batch.readings.extend(_rows(decoded, heard, zone))

    def _quarantine(self, heard: _Heard, batch: _Batch, device: DeviceId | None, reason: str, detail: str) -> None:
        batch.results[reason] += 1
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

    def _heard_before_restart(self) -> None:
        """Fill the deduplication window with what was heard just before, so that a restart joins receptions as if it had not happened."""
        for message in self._inbox.tail(self._window.seconds * MICROSECONDS):
            try:
                envelope = split(message.topic, message.payload, message.format)
            except BadPayload:
                continue
            for heard in self._telegrams(message, envelope, message.gateway or envelope.gateway or message.source):
                if heard.telegram.reason is None and heard.telegram.link == "wmbus":
                    try:
                        self._window.admit(dedup_key(heard.telegram.raw, form=heard.telegram.form), heard.at)
                    except DecodeError:
                        continue


def _plausible(gw_time: int | None, received_at: int) -> bool:
    return gw_time is not None and received_at - LATE <= gw_time <= received_at + AHEAD


def _day(at: int) -> date:
    return datetime.fromtimestamp(at // MICROSECONDS, UTC).date()


def _best(levels: list[int | None]) -> int | None:
    return max((level for level in levels if level is not None), default=None)


def _table(schema: pa.Schema, rows: list[Any]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)


def _rows(telegram: Telegram, heard: _Heard, zone: str) -> Iterator[_Row]:
    """Readings as rows with their instants in UTC; one that lies ahead of its reception is left out and logged (SPEC 14)."""
    for order, reading in enumerate(telegram.readings):
        at, time_source = _instant(reading, heard, zone)
        if at is None or at > heard.at + AHEAD:
            log.warning("a reading's time cannot be right", device=str(telegram.device), register=str(reading.register), stamp=str(reading.stamp))
            continue
        seq = (heard.message << POSITION_BITS | heard.position) << READING_BITS | min(order, 2**READING_BITS - 1)
        status = sum(1 << STATUS.index(word) for word in reading.status)
        key = (str(telegram.device), reading.register)
        yield key, at, reading.value, int(reading.source), status, reading.due, False, seq, reading.label, time_source


def _instant(reading: Reading, heard: _Heard, zone: str) -> tuple[int | None, str]:
    """When the value was valid, None for a stamp outside the years that have a civil grid; and which clock says so."""
    if reading.stamp is None:
        return heard.at, "gateway" if heard.at != heard.received_at else "received"
    if reading.stamp.year not in civil.YEARS:
        return None, "meter"
    if isinstance(reading.stamp, datetime):
        return civil.to_utc(zone, reading.stamp), "meter"
    return civil.stored_date(zone, reading.stamp), "meter"
