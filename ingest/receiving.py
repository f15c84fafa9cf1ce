"""A message of the inbox as receptions: split, with the forms that the configuration pins, and whose clock counts.

Rules: a gateway's time counts where it delivers later on purpose and the time is plausible, or in a replayed file (DECISIONS 1); a wall clock without a zone is
meant in the zone of its gateway, in the repeated hour of autumn the later instant that is not after the reception (FORMATS 7).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from submeter import civil
from submeter.decoders import dedup_key
from submeter.ingest.envelopes import BadPayload, Envelope, Heard, Payload, split
from submeter.ingest.envelopes.discovery import Announced
from submeter.ingest.envelopes.entities import FALLBACK, described
from submeter.ingest.envelopes.mapping import Rule
from submeter.ingest.rows import MICROSECONDS, Reception
from submeter.store import Stored
from submeter.store.inbox import REPLAY

__all__ = ["WRAPPED", "Gateway", "Receiver", "bytes_of", "gateway_of"]

#: How late a store-and-forward gateway may deliver (DECISIONS 1).
LATE: Final = 45 * 86_400 * MICROSECONDS
#: Links of telegrams that are looked into before they are decoded.
WRAPPED: Final = frozenset(("lorawan", "parsed"))


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the configuration says of one gateway; the default holds for gateways that it does not name."""

    store_and_forward: bool = False
    decrypted: bool = False
    form: str = "auto"
    zone: str = ""


class Receiver:
    """Splits messages; `ahead` is how far a gateway's time may lie ahead of the reception, µs.

    `announced` tells the entities whose values come under a message's topic, as they were announced when it came.
    """

    def __init__(
        self, gateways: Mapping[str, Gateway], rules: Sequence[Rule], ahead: int, announced: Callable[[Stored], tuple[Announced, ...]]
    ) -> None:
        self._gateways = gateways
        self._announced = announced
        self._rules = rules
        self._ahead = ahead

    def envelope(self, message: Stored) -> Envelope:
        """What a message says: of a format that is known, else of entities that its bridge announced; raises BadPayload."""
        try:
            return split(message.topic, message.payload, message.format, self._rules)
        except BadPayload as error:
            entities = self._announced(message) if error.reason in FALLBACK else ()
            if not entities:
                raise
        return described(entities, Payload(message.topic, message.payload))

    def receptions(self, message: Stored, envelope: Envelope) -> Iterator[Reception]:
        """The telegrams of a message as they are decoded."""
        gateway = gateway_of(message, envelope)
        settings = self.settings(gateway)
        replayed = bool(message.flags & REPLAY)
        for position, told in enumerate(envelope.telegrams):
            telegram = replace(told, gw_time=_clock_of(settings.zone, told.wall, message.received_at)) if told.wall and settings.zone else told
            trusted = replayed or (settings.store_and_forward and self.plausible(telegram.gw_time, message.received_at))
            pinned = telegram if telegram.form != "auto" or settings.form == "auto" else replace(telegram, form=settings.form)
            yield Reception(message.id, position, message.received_at, gateway, trusted=trusted, decrypted=settings.decrypted, telegram=pinned)

    def again(self, message: Stored) -> Iterator[Reception]:
        """The telegrams of a message that was split before, none if it cannot be."""
        try:
            envelope = self.envelope(message)
        except BadPayload:
            return
        yield from self.receptions(message, envelope)

    def unwrapped(self, heard: Reception, telegrams: Sequence[Reception]) -> list[Reception]:
        """The telegrams that an uplink brought, each with whether its time counts."""
        timely = [one.telegram.gw_time == heard.telegram.gw_time or self.plausible(one.telegram.gw_time, heard.received_at) for one in telegrams]
        return [one._replace(trusted=heard.trusted and right) for one, right in zip(telegrams, timely, strict=True)]

    def settings(self, gateway: str) -> Gateway:
        """What is known of a gateway."""
        return self._gateways.get(gateway) or Gateway()

    def plausible(self, gw_time: int | None, received_at: int) -> bool:
        """Whether a gateway's time may be right."""
        return gw_time is not None and received_at - LATE <= gw_time <= received_at + self._ahead


def gateway_of(message: Stored, envelope: Envelope) -> str:
    """The gateway that a message is counted under."""
    return message.gateway or envelope.gateway or message.source


def bytes_of(telegram: Heard) -> bytes:
    """What all receptions of one telegram share."""
    return telegram.raw if telegram.link in WRAPPED else dedup_key(telegram.raw, link=telegram.link, form=telegram.form)


def _clock_of(zone: str, wall: datetime | None, received_at: int) -> int | None:
    """The instant of a wall clock."""
    if wall is None or wall.year not in civil.YEARS:
        return None
    second = civil.to_utc(zone, wall, second=True)
    return second if second <= received_at else civil.to_utc(zone, wall)
