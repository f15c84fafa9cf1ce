"""Mail by SMTP: one connection a message, encrypted and logged in as [mail] says.

Rules: what the server says is told, what we say is not; no name is looked up for the greeting; once the server has taken the message nothing that follows
undoes it; a server that answers, but never comes to an end, is hung up on.
"""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from submeter.config import ConfigError, Mail
from submeter.post.errors import SinkError
from submeter.post.message import Message, ascii_address, mail

__all__ = ["Smtp"]

#: The whole conversation may take so many times as long as one answer.
PATIENCE: Final = 4


class Smtp:
    """The mail server of [mail]."""

    def __init__(self, settings: Mail) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        """Hand a mail to the server; SinkError says in the server's words why it did not take it."""
        made = mail(message)
        try:
            with self._session() as client:
                client.send_message(made, ascii_address(message.sender), [ascii_address(message.to)])
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(*next(iter(error.recipients.values()))) from None
        except smtplib.SMTPDataError as error:
            raise _refused(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPSenderRefused as error:
            raise SinkError(f"the mail server does not take this sender: {error.smtp_code} {_words(error.smtp_error)}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise SinkError(f"the mail server does not offer what [mail] wants: {error}", whole=True) from None
        except smtplib.SMTPResponseException as error:
            raise SinkError(f"the mail server says {error.smtp_code} {_words(error.smtp_error)}", whole=True) from None
        except (OSError, smtplib.SMTPException) as error:
            raise SinkError(
                f"no answer of {self._settings.host}:{self._settings.port}: {type(error).__name__} {error}".rstrip(), whole=True
            ) from None
        except ConfigError as error:
            raise SinkError(str(error), whole=True) from None

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        client = self._connect()
        try:
            self._introduce(client)
            yield client
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
        finally:
            client.limit.cancel()
            client.close()

    def _connect(self) -> "_Client":
        settings = self._settings
        if settings.tls == "tls":
            return _TlsClient(settings.host, settings.port, socket.gethostname(), timeout=settings.timeout_s, context=self._context())
        return _Client(settings.host, settings.port, socket.gethostname(), timeout=settings.timeout_s)

    def _introduce(self, client: smtplib.SMTP) -> None:
        if self._settings.tls == "starttls":
            client.starttls(context=self._context())
        if self._settings.username:
            client.login(self._settings.username, self._settings.password())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._settings.ca_file) if self._settings.ca_file else None)


class _Client(smtplib.SMTP):
    """A client that hangs up when the whole conversation takes too long, from the greeting on."""

    def __init__(self, host: str, port: int, name: str, *, timeout: float, **more: Any) -> None:
        self.limit = threading.Timer(PATIENCE * timeout, self._hang_up)
        self.limit.daemon = True
        self.limit.start()
        try:
            super().__init__(host, port, name, timeout=timeout, **more)
        except BaseException:
            self.limit.cancel()
            raise

    def _hang_up(self) -> None:
        with suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)


class _TlsClient(_Client, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def _refused(code: int, words: bytes | str) -> SinkError:
    """This message is not taken: for ever if that is about the recipient (5xx), not if it is about us (enhanced status x.7.x)."""
    said = _words(words)
    return SinkError(f"the mail server says {code} {said}", lasting=500 <= code <= 599 and "5.7." not in said)


def _words(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words
