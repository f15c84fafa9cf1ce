"""Which sink takes which channel, and as whom a manager writes: made of the configuration, nothing is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from submeter.config import Config, Sender
from submeter.config.texts import written
from submeter.post.files import Console, Files
from submeter.post.message import Message
from submeter.post.sms import Http
from submeter.post.smtp import Smtp
from submeter.store.outbox import Channel, Notice

__all__ = ["Outlets", "Sink", "outlets"]

#: Who writes where no manager does.
OURSELVES: Final = "submeter"


class Sink(Protocol):
    """What takes messages of a channel."""

    def send(self, message: Message) -> None:
        """Return when the message was taken; SinkError if it was not."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """The sinks by channel (one that is not there: its messages wait), the sender of each channel, and managers with senders of their own."""

    sinks: Mapping[Channel, Sink]
    sender: Mapping[Channel, str] = field(default_factory=dict)
    managers: Mapping[str, Sender] = field(default_factory=dict)

    def only(self, channel: Channel) -> "Outlets":
        """The same with one channel."""
        return Outlets({channel: self.sinks[channel]}, self.sender, self.managers)

    def message(self, notice: Notice, names: Mapping[str, str]) -> Message:
        """What a row of the outbox says, as it leaves; `names` are the managers' in the directory."""
        own = self.managers.get(notice.manager)
        brand = (own.name if own else "") or names.get(notice.manager, OURSELVES)
        sender = _own(own, notice.channel) or self.sender.get(notice.channel, "")
        text = written(notice.template, notice.locale, notice.values, brand)
        return Message(notice.id, notice.mark, notice.channel, notice.address, notice.locale, notice.created, brand, sender, text)


def outlets(config: Config) -> Outlets:
    """The outlets that the configuration names."""
    found: dict[Channel, Sink | None] = {
        "email": Smtp(config.mail) if config.mail.sink == "smtp" else _trial(config.mail.sink, config.mail.folder),
        "sms": Http(config.sms) if config.sms.sink == "http" else _trial(config.sms.sink, config.sms.folder),
        "letter": _trial(config.letters.sink, config.letters.folder),
    }
    sinks = {channel: sink for channel, sink in found.items() if sink is not None}
    return Outlets(sinks, {"email": config.mail.sender, "sms": config.sms.sender}, {one.manager: one for one in config.sender})


def _own(own: Sender | None, channel: Channel) -> str:
    if own is None:
        return ""
    return {"email": own.mail, "sms": own.sms}.get(channel, "")


def _trial(sink: str, folder: Path) -> Sink | None:
    found: dict[str, Sink] = {"file": Files(folder), "console": Console()}
    return found.get(sink)
