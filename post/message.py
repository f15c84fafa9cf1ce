"""A message ready to leave, and the form of a mail (RFC 5322). Pure: no clock, nothing is opened.

Rules: headers are made by `email`, which refuses line ends; date and Message-ID come from the row, so that a mail sent twice is the same mail twice.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from typing import Final

from submeter.config.texts import Text
from submeter.post.errors import SinkError
from submeter.store.outbox import Channel

__all__ = ["Message", "ascii_address", "mail"]

#: The domain of a Message-ID where there is no sender.
NOBODY: Final = "submeter.invalid"


class _Policy(EmailPolicy):
    """SMTP's, but for the subject: Python 3.11 loses the blank between two encoded words of a header (cpython issue 92081)."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """A header as it is sent."""
        if name != "Subject" or value.isascii():
            return super().fold_binary(name, value)
        return f"{name}: {Header(value, 'utf-8', header_name=name).encode(linesep=self.linesep)}{self.linesep}".encode("ascii")


#: Of all mails.
POLICY: Final = _Policy(linesep=SMTP.linesep)


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to one address: `mark` is the same at every try, `brand` is who writes, `sender` the address or number that it comes from."""

    id: int
    mark: str
    channel: Channel
    to: str = field(repr=False)
    locale: str
    created: int
    brand: str
    sender: str
    text: Text = field(repr=False)


def mail(message: Message) -> EmailMessage:
    """The mail as it goes to a server or a file; SinkError for an address that no mail can be written to."""
    try:
        return _made(message)
    except (ValueError, MessageError):
        raise SinkError("no mail can be made of this address", lasting=True) from None


def _made(message: Message) -> EmailMessage:
    made, sender = EmailMessage(policy=POLICY), ascii_address(message.sender)
    if sender:
        made["From"] = Address(" ".join(message.brand.split()), addr_spec=sender)
    made["To"] = Address(addr_spec=ascii_address(message.to))
    made["Subject"] = message.text.subject
    made["Date"] = datetime.fromtimestamp(message.created // 1_000_000, UTC)
    made["Message-ID"] = f"<{message.mark}@{sender.rpartition('@')[2] or NOBODY}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.text.body, cte="quoted-printable")
    made["Content-Language"] = message.locale
    return made


def ascii_address(address: str) -> str:
    """The address with its domain as the name system knows it; as it is if there is no such form."""
    name, at, domain = address.rpartition("@")
    try:
        return f"{name}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return address
