"""Sinks for trials and for letters: a file a message, and the console."""

import os
import sys
from pathlib import Path

from submeter.pdf import Paper
from submeter.post.errors import SinkError
from submeter.post.message import Message, mail

__all__ = ["Console", "Files"]


class Files:
    """One file a message, whole or not there: `.eml` of a mail, `.pdf` of a letter, else `.txt`. Sent again, it is the same file. Its owner alone reads it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        """Write the file."""
        ending, content = _file(message)
        name = f"{message.channel}-{message.id:06}-{message.mark[:8]}.{ending}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._folder / name, content)
        except OSError as error:
            raise SinkError(f"{self._folder}: {error.strerror}", whole=True) from None


class Console:
    """Standard output, for trials: it shows codes to whoever sees it."""

    def send(self, message: Message) -> None:
        """Print the message."""
        sys.stdout.write(f"OUTBOX  {message.channel}\n{_plain(message)}\n")
        sys.stdout.flush()


def _file(message: Message) -> tuple[str, bytes]:
    """The ending and the content of a message's file."""
    if message.channel == "email":
        return "eml", mail(message).as_bytes()
    if message.channel == "letter":
        return "pdf", _letter(message)
    return "txt", _plain(message).encode()


def _letter(message: Message) -> bytes:
    """A letter of one page or more: where it goes, then what it says."""
    paper = Paper(message.text.subject, message.locale, message.created, message.brand)
    paper.page()
    paper.paragraph("\n".join(message.to.split(", ")))
    paper.heading(message.text.subject)
    paper.paragraph(message.text.body)
    return paper.made()


def _plain(message: Message) -> str:
    said = message.text.short if message.channel == "sms" else f"{message.text.subject}\n\n{message.text.body}"
    return f"To: {message.to}\nFrom: {message.sender or message.brand}\n\n{said}\n"


def _write(path: Path, content: bytes) -> None:
    """Put the file there in one step, and on the disk."""
    beside = path.with_name(f".{path.name}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
