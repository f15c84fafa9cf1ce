"""What one device sent in messages that were done before: for a driver, a key or a place in the directory that came late.

Rules: a repetition under its gateway's own number, a retained message and a second reception give nothing, as when the messages were taken first; parts of a
telegram whose others came before these messages stay what they are.
"""

from collections.abc import Iterator, Sequence

from submeter.decoders import DecodeError, receive
from submeter.ingest.dedup import Window
from submeter.ingest.envelopes import BadPayload
from submeter.ingest.lorawan import Assembler, Route
from submeter.ingest.receiving import Receiver, gateway_of
from submeter.ingest.rows import Reception
from submeter.ingest.told import Told
from submeter.store import Stored
from submeter.store.inbox import RETAIN

__all__ = ["Earlier"]


class Earlier:
    """Takes messages in the order of their ids."""

    def __init__(self, device: str, receiver: Receiver, routes: Sequence[Route], told: Told) -> None:
        self._device = device
        self._receiver = receiver
        self._told = told
        self._uplinks = Assembler(routes)
        self._window = Window()
        self._numbered = set[tuple[str, str, int]]()

    def sent(self, message: Stored) -> Iterator[Reception]:
        """The device's telegrams of a message, each once, and its values."""
        for heard in self._once(message):
            if heard.telegram.reason is None:
                yield from self._of_device(heard)

    def _once(self, message: Stored) -> Iterator[Reception]:
        """The telegrams of a message, none if it is a repetition of one before or was retained."""
        try:
            envelope = self._receiver.envelope(message)
        except BadPayload:
            return
        if envelope.boot is not None and envelope.seq is not None:
            number = (gateway_of(message, envelope), envelope.boot, envelope.seq)
            if number in self._numbered:
                return
            self._numbered.add(number)
        if not message.flags & RETAIN:
            yield from self._receiver.receptions(message, envelope)

    def _of_device(self, heard: Reception) -> Iterator[Reception]:
        if heard.telegram.link == "parsed":
            if self._is_told_of(heard):
                yield heard
            return
        found = self._receiver.unwrapped(heard, self._uplinks.take(heard).telegrams) if heard.telegram.link == "lorawan" else [heard]
        yield from (one for one in found if self._is_sent_by(one))

    def _is_told_of(self, heard: Reception) -> bool:
        try:
            return str(self._told.telegram(heard).device) == self._device
        except BadPayload:
            return False

    def _is_sent_by(self, heard: Reception) -> bool:
        try:
            sender, key = receive(heard.telegram.raw, link=heard.telegram.link, form=heard.telegram.form)
        except DecodeError:
            return False
        return str(sender) == self._device and (heard.telegram.link != "wmbus" or self._window.admit(key, heard.at))
