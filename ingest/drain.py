"""Inbox → telegrams → readings: restartable, and each message counts exactly once.

A step takes the oldest waiting messages and goes, in this order, so that a crash between any two leaves it repeatable:
  1. split and decode (pure)
  2. quarantine rows, keyed by message and position (inbox file)
  3. readings, dirty ranges, receptions and the watermark in one transaction (readings file)
  4. messages done (inbox file)
A message at or below the watermark is only marked done: its readings are there. Nothing about a message can stop the loop.

`receiving` splits · `lorawan` joins what came in parts · `together` decodes · `told` takes values of other programs · `judge` says what counts · `earlier` finds
what a device sent before.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import structlog

from submeter import civil
from submeter.decoders import FormatKey, Profile, fast
from submeter.failpoint import failpoint
from submeter.ingest.announcements import Announcements
from submeter.ingest.batch import Batch, Step
from submeter.ingest.common import now_us
from submeter.ingest.earlier import Earlier
from submeter.ingest.envelopes import BadPayload, Envelope, Heard
from submeter.ingest.envelopes.discovery import is_announcement
from submeter.ingest.envelopes.entities import HOMEASSISTANT
from submeter.ingest.envelopes.mapping import Rule
from submeter.ingest.judge import Judge, Known
from submeter.ingest.lorawan import PARTIAL, Assembler, Route
from submeter.ingest.modbus.maps import RegisterMap
from submeter.ingest.plain import Owner
from submeter.ingest.receiving import WRAPPED, Gateway, Receiver, gateway_of
from submeter.ingest.rows import Reception, table
from submeter.ingest.sightings import Clocks, Sightings
from submeter.ingest.together import Read, read_together
from submeter.ingest.told import Told
from submeter.reading import DeviceId, Register
from submeter.store import ACCEPTED, FORMAT, READING, RECEPTION, Done, Inbox, Quarantined, Readings, Registry, Stored
from submeter.store.entities import Entities
from submeter.store.inbox import RETAIN

__all__ = ["Drain", "Gateway", "Known", "Step"]

log = structlog.get_logger()

BATCH: Final = 500
#: No instant lies before minus this.
LATEST: Final = 2**61
#: Telegrams that are decoded together, at least, where as many wait.
TOGETHER: Final = 1000
#: A step ends after the messages that bring more readings than these: bounds its memory and its time.
MOST_READINGS: Final = 20_000
#: Frame form, in quarantine, of what the envelope itself gave up: there is no telegram to decode again.
REFUSED: Final = "refused"
CLOCKS: Final = Clocks()
NO_MAPS: Final[Mapping[str, RegisterMap]] = {}


class Drain:
    """The one consumer of an inbox; `known` answers for a device of the directory, None for a stranger. Announcements are kept in `entities`, default: the registry's."""

    def __init__(
        self,
        inbox: Inbox,
        readings: Readings,
        registry: Registry,
        known: Callable[[DeviceId], Known | None],
        gateways: Mapping[str, Gateway] | None = None,
        clock: Callable[[], int] = now_us,
        clocks: Clocks = CLOCKS,
        routes: Sequence[Route] = (),
        numbered: Callable[[str], Sequence[DeviceId]] = lambda _: (),
        rules: Sequence[Rule] = (),
        entities: Entities | None = None,
        maps: Mapping[str, RegisterMap] = NO_MAPS,
    ) -> None:
        self._inbox = inbox
        self._readings = readings
        self._ahead = False
        self._known = known
        self._routes = routes
        self._uplinks = Assembler(routes)
        self._told = Told(maps, numbered, lambda device: known(device) is not None)
        self.announcements = Announcements(entities or registry.entities)
        self.receiver = Receiver(gateways or {}, rules, clocks.ahead, self.announcements.of)
        self._clock = clock
        self._clocks = clocks
        self.sightings = Sightings(registry, clocks, clock)
        self._judge = Judge(inbox, readings, self.receiver, known, self.sightings, clocks.ahead)
        self._decoder = fast.Decoder()
        #: Telegrams that gave readings when they were decoded again, by why they were.
        self.redecoded: Counter[str] = Counter()
        self._remember()

    def step(self, limit: int = BATCH) -> Step:
        """Decode up to `limit` waiting messages; `messages` is 0 when none waits."""
        pending = self._inbox.pending(limit)
        if not pending:
            return Step()
        self._begin()
        watermark = self._readings.watermark()
        batch = Batch()
        for message in pending:
            self._message(message, batch, stored=message.id <= watermark)
            if len(batch.waiting) >= TOGETHER or batch.size > MOST_READINGS:
                self._decode(batch)
            if batch.size > MOST_READINGS:
                break
        self._decode(batch)
        taught = self._commit(batch, upto=max(batch.done[-1].id, watermark))
        self._inbox.finish(batch.done)
        self._taught(taught)
        return Step(len(batch.done), batch.telegrams, batch.formats, batch.refused, batch.redelivered)

    def redecode(self, rows: Sequence[Quarantined], *, cause: str = "requeue", replays: bool = False) -> Step:
        """Decode quarantined telegrams again at their original times (late key, adopted meter, new driver); what decodes leaves the quarantine.

        Replays stay: they are judged once, in the order of reception. `replays`: the operator says that they are none; the last is the newest of its device.
        """
        rows = [row for row in rows if row.form != REFUSED and row.reason != PARTIAL and (replays or row.reason != "replay")]
        telegrams = Counter[tuple[str, str, str]]()
        for piece in (rows[first : first + BATCH] for first in range(0, len(rows), BATCH)):
            self._begin()
            batch = Batch(replays=replays, again=True)
            for row in piece:
                telegram, gateway = Heard(raw=row.raw, link=row.link, form=row.form, gw_time=row.gw_time), row.gateway or ""
                decrypted = self.receiver.settings(gateway).decrypted
                heard = Reception(row.message, row.position, row.received_at, gateway, trusted=True, decrypted=decrypted, telegram=telegram)
                if row.link in WRAPPED:
                    self._telegram(heard, batch)
                else:
                    batch.waiting.append(heard)
            self._settle(batch, [(row.message, row.position) for row in piece])
            telegrams.update(batch.telegrams)
        return self._again(cause, Step(len(rows), telegrams))

    def decode_again(self, messages: Iterable[Stored], device: str) -> Step:
        """Decode what one device sent in messages that were done before, at its original times; readings that are there already are not doubled.

        The messages come in the order of their ids. Quarantined telegrams that are understood now leave the quarantine.
        """
        before = Earlier(device, self.receiver, self._routes, self._told)
        batch, places, found = Batch(again=True), list[tuple[int, int]](), 0
        telegrams = Counter[tuple[str, str, str]]()
        self._begin()
        for message in messages:
            for heard in before.sent(message):
                places.append((heard.message, heard.position))
                found += 1
                if heard.telegram.link == "parsed":
                    self._values(heard, batch, counted=True)
                else:
                    batch.waiting.append(heard)
            if batch.size >= TOGETHER:
                self._settle(batch, places)
                telegrams.update(batch.telegrams)
                batch, places = Batch(again=True), []
                self._begin()
        self._settle(batch, places)
        telegrams.update(batch.telegrams)
        return self._again("requeue", Step(found, telegrams))

    def _settle(self, batch: Batch, places: Iterable[tuple[int, int]]) -> None:
        """Store what was decoded again; what these places hold leaves the quarantine unless it goes there again."""
        self._decode(batch)
        self._commit(batch, upto=self._readings.watermark())
        still = {(row.message, row.position) for row in batch.quarantined}
        self._inbox.release([place for place in places if place not in still], self._readings.mark())

    def _again(self, cause: str, step: Step) -> Step:
        self.redecoded[cause] += step.results["decoded"]
        return step

    def _begin(self) -> None:
        """What is remembered runs ahead of the stores until `_commit`: after a failure in between it is read anew."""
        if self._ahead:
            self._remember()
        self._ahead = True

    def _remember(self) -> None:
        """Radio window, newest values, formats and standing conditions as the stores have them."""
        self.sightings.remember()
        self._uplinks.remember(self._inbox.quarantined(reason=PARTIAL))
        self._judge.remember()
        self._formats = self._readings.formats()
        self._kept = set(self._formats)
        self._register_ids: dict[tuple[str, str], int] = {}
        self._ahead = False

    def _taught(self, taught: Mapping[FormatKey, bytes]) -> None:
        """Decode the compact frames that waited for the full frames just heard."""
        kinds = {(manufacturer, version, kind) for manufacturer, version, kind, _ in taught}
        waiting = self._inbox.quarantined(reason="unknown_driver") if kinds else []
        rows = [row for row in waiting if row.device and _kind(DeviceId.parse(row.device)) in kinds]
        if rows:
            self.redecode(rows, cause="full_frame")

    def _commit(self, batch: Batch, *, upto: int) -> Mapping[FormatKey, bytes]:
        """Quarantine and events first, then readings and watermark: repeating all changes nothing. Returns the formats learnt."""
        self._inbox.quarantine(batch.quarantined)
        self.sightings.write()
        self.announcements.write()
        numbers = self._readings.register_ids({row[0] for row in batch.readings})
        rows = table(READING, [(numbers[row[0]], *row[1:]) for row in batch.readings])
        readings = pa.concat_tables([rows, *(one.table(self._numbers) for one in batch.ordinary)])
        days = {day: civil.utc_date(day * civil.DAY) for _, _, day in batch.receptions}
        heard = [(device, gateway, days[day], len(levels), _best(levels)) for (device, gateway, day), levels in batch.receptions.items()]
        receptions = table(RECEPTION, heard)
        accepted = table(ACCEPTED, [(*key, newest.at, newest.value) for key, newest in self._judge.guard.fresh.items()])
        taught = {key: self._formats[key] for key in self._formats.keys() - self._kept}
        failpoint("decoded")
        self._readings.store(readings, receptions, upto, accepted, table(FORMAT, [(*key, headers) for key, headers in taught.items()]))
        failpoint("stored")
        self._inbox.release(batch.joined)
        self._judge.guard.keep()
        self._kept |= taught.keys()
        self._ahead = False
        return taught

    def _numbers(self, devices: Sequence[str], places: Sequence[int], registers: Sequence[Register]) -> list[int]:
        """The numbers of devices' registers; new ones are added."""
        texts, known = [f"{register} {register.unit}" for register in registers], self._register_ids
        keys = [(device, texts[place]) for device, place in zip(devices, places, strict=True)]
        if any(key not in known for key in keys):
            new = {key: (key[0], registers[place]) for key, place in zip(keys, places, strict=True) if key not in known}
            numbers = self._readings.register_ids(new.values())
            known |= {key: numbers[register] for key, register in new.items()}
        return [known[key] for key in keys]

    def _message(self, message: Stored, batch: Batch, *, stored: bool) -> None:
        """Split a message and decode its telegrams; of one whose readings are `stored` already, only what a crash left undone is done."""
        try:
            if is_announcement(message.topic):
                self.announcements.take(message)
                batch.done.append(Done(message.id, format=HOMEASSISTANT))
                return
            if message.flags & RETAIN:
                self._retained(message, batch, stored=stored)
                return
            envelope = self.receiver.envelope(message)
        except BadPayload as error:
            self._refused(message, error, batch)
            return
        batch.formats[message.source, envelope.format] += 1
        gateway = gateway_of(message, envelope)
        if self._redelivered(message, envelope, gateway, batch):
            batch.redelivered[gateway] += 1
            batch.done.append(Done(message.id, format=envelope.format, reason="redelivered"))
            return
        receptions = self.receiver.receptions(message, envelope)
        if stored:
            self._judge.heard_before(receptions)
        else:
            for heard in receptions:
                self._telegram(heard, batch)
        batch.done.append(Done(message.id, format=envelope.format, gateway=gateway, boot=envelope.boot, seq=envelope.seq))

    def _retained(self, message: Stored, batch: Batch, *, stored: bool) -> None:
        """A retained message comes again at each subscription: only values count that say of when they are and are newer than the last ones (FORMATS 1)."""
        told = [
            heard._replace(trusted=True)
            for heard in self.receiver.again(message)
            if heard.telegram.link == "parsed" and self.receiver.plausible(heard.telegram.gw_time, heard.received_at)
        ]
        taken = 0
        for heard in told:
            if stored:
                taken += bool(self._readings.of_telegram(heard.place))
            elif telegram := self._told.newer(heard, self._judge.last):
                self._judge.decoded(telegram, heard, batch)
                taken += 1
        batch.formats[message.source, "retained"] += 1
        batch.done.append(Done(message.id, reason=None if taken else "retained"))

    @staticmethod
    def _refused(message: Stored, error: BadPayload, batch: Batch) -> None:
        batch.telegrams[message.gateway or message.source, "message", "rejected"] += 1
        batch.formats[message.source, "unknown"] += 1
        batch.refused[error.reason] += 1
        batch.done.append(Done(message.id, reason=error.reason))
        log.warning("message refused", message=message.id, topic=message.topic, gateway=message.gateway, reason=error.reason, detail=str(error))

    def _redelivered(self, message: Stored, envelope: Envelope, gateway: str, batch: Batch) -> bool:
        """The gateway's own numbering says that this message was taken before (INBOX 4, level 4)."""
        if envelope.boot is None or envelope.seq is None:
            return False
        before = batch.numbered.setdefault((gateway, envelope.boot, envelope.seq), message.payload)
        here = before is not message.payload and before == message.payload
        return here or self._inbox.seen(gateway, envelope.boot, envelope.seq, before=message.id)

    def _telegram(self, heard: Reception, batch: Batch) -> None:
        telegram = heard.telegram
        if telegram.reason is not None:
            batch.refused[telegram.reason] += 1
            self._judge.quarantine(heard._replace(telegram=replace(telegram, form=REFUSED)), batch, None, "rejected", telegram.reason)
            return
        moment = self._clock()
        ahead = heard.at > moment + self._clocks.ahead
        self.sightings.gateway_time(heard.gateway, heard.at if ahead else telegram.gw_time, min(heard.received_at, moment))
        if ahead:
            self._judge.quarantine(heard, batch, None, "rejected", "clock_drift: its time of reception lies ahead of now")
            return
        if telegram.link in WRAPPED:
            self._wrapped(heard, batch)
            return
        batch.waiting.append(heard)

    def _wrapped(self, heard: Reception, batch: Batch) -> None:
        """An uplink, which carries telegrams or parts of one; or values that the gateway decoded itself."""
        if heard.telegram.link == "parsed":
            self._values(heard, batch)
            return
        taken = self._uplinks.take(heard)
        if taken.again:
            batch.count(heard, "duplicate")
        batch.joined += taken.joined
        for one, reason, detail in taken.kept:
            self._judge.quarantine(one, batch, None, reason, detail)
        for one in self.receiver.unwrapped(heard, taken.telegrams):
            self._telegram(one, batch)

    def _values(self, heard: Reception, batch: Batch, *, counted: bool = False) -> None:
        """Values of a device, as if they had been decoded here; `counted`: their reception was."""
        try:
            telegram = self._told.telegram(heard)
        except BadPayload as error:
            self._judge.quarantine(heard, batch, None, error.reason, error.detail)
            return
        if not counted:
            batch.receive(heard, str(telegram.device))
        self._judge.decoded(telegram, heard, batch)

    def _decode(self, batch: Batch) -> None:
        """Decode what waits, together, and judge it in the order of reception."""
        waiting, batch.waiting = batch.waiting, []
        if not waiting:
            return
        asked: dict[DeviceId, Known | None] = {}

        def profile(device: DeviceId) -> Profile | None:
            if device not in asked:
                asked[device] = self._known(device)
            known = asked[device]
            return known.profile if known else None

        def owner(device: DeviceId, name: str) -> Owner | None:
            known = None if batch.replays or self.sightings.stands(name) else asked.get(device)
            return Owner(name, known.zone, -LATEST if known.since is None else known.since) if known else None

        read = read_together(self._decoder, waiting, profile, owner, self._formats, self._clocks)
        if read.ordinary is not None:
            batch.ordinary.append(read.ordinary)
        for number, heard in enumerate(waiting):
            if batch.again or self._judge.first(heard, read.received[number], batch):
                self._outcome(number, heard, read, batch)
        if read.ordinary is not None:
            batch.columns += read.ordinary.rows()

    def _outcome(self, number: int, heard: Reception, read: Read, batch: Batch) -> None:
        if read.ordinary is not None and self._judge.ordinary(number, heard, read.ordinary):
            batch.count(heard, "decoded")
            return
        outcome = read.outcomes[number]
        if outcome.failure is not None:
            log.error("decoder failed", message=heard.message, position=heard.position, exc_info=outcome.failure)
        if outcome.telegram is None or outcome.reason is not None:
            self._judge.quarantine(heard, batch, outcome.device, outcome.reason or "", outcome.detail or "")
        else:
            self._judge.decoded(outcome.telegram, heard, batch)


def _kind(device: DeviceId) -> tuple[str, int, int]:
    return device.manufacturer, device.version, device.type


def _best(levels: list[int | None]) -> int | None:
    return levels[0] if len(levels) == 1 else max((level for level in levels if level is not None), default=None)
