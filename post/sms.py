"""SMS by an HTTP gateway, whose request is a template in [sms].

Rules: placeholders are replaced once, each value quoted as its place needs (URL, JSON, form, XML), so that no value says more than a value; redirects are
not followed; neither request nor answer is told, only the status.
"""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from submeter.config import ConfigError, Sms
from submeter.post.errors import SinkError
from submeter.post.message import Message

__all__ = ["Http"]

Quote = Callable[[str], str]
#: How values are quoted in a body of each format, and its Content-Type.
FORMATS: Final[Mapping[str, tuple[Quote, str]]] = {
    "json": (lambda text: json.dumps(text)[1:-1], "application/json"),
    "form": (quote_plus, "application/x-www-form-urlencoded"),
    "xml": (lambda text: escape(text, {'"': "&quot;", "'": "&apos;"}), "text/xml; charset=utf-8"),
    "plain": (lambda text: text, "text/plain; charset=utf-8"),
}
_PLACE: Final = re.compile(r"\{(to|digits|text|sender|id|secret)\}")
#: So much of an answer is read to find the pattern in.
_ANSWER: Final = 65_536


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like another."""

    def redirect_request(self, *_: Any) -> None:
        """Go nowhere."""


class Http:
    """The gateway of [sms]."""

    def __init__(self, settings: Sms) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(_Stay)

    def send(self, message: Message) -> None:
        """Hand an SMS to the gateway; SinkError if its answer does not say that it was taken."""
        try:
            with self._opener.open(self._request(message), timeout=self._settings.timeout_s) as answer:
                self._read(answer.status, answer)
        except urllib.error.HTTPError as error:
            with error:
                self._read(error.code, error)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise SinkError(f"no answer of the SMS gateway: {reason}", whole=True) from None
        except ConfigError as error:
            raise SinkError(str(error), whole=True) from None
        except ValueError:
            raise SinkError("no request can be made of this: look at url and headers in [sms]") from None

    def _request(self, message: Message) -> urllib.request.Request:
        settings = self._settings
        inside, content = FORMATS[settings.format]
        values = {"to": message.to, "digits": message.to.lstrip("+"), "text": message.text.short, "sender": message.sender}
        values |= {"id": message.mark, "secret": settings.secret()}
        pairs = [line.partition(":") for line in settings.headers]
        headers = {"Content-Type": content} | {name: _filled(value.strip(), values, _line) for name, _, value in pairs}
        body = None if settings.method == "GET" else _filled(settings.body, values, inside).encode()
        url = _filled(settings.url, values, lambda text: quote(text, safe=""))
        return urllib.request.Request(url, body, headers, method=settings.method)  # noqa: S310 - [sms] takes http and https only

    def _read(self, status: int, answer: Any) -> None:
        if status not in self._settings.success:
            raise SinkError(f"the SMS gateway answered {status}", whole=status in {401, 403, 429} or status >= 500)
        if not self._settings.success_pattern:
            return
        if not re.search(self._settings.success_pattern, answer.read(_ANSWER).decode("utf-8", "replace")):
            raise SinkError("the SMS gateway did not answer what success_pattern wants")


def _filled(template: str, values: Mapping[str, str], quoted: Quote) -> str:
    return _PLACE.sub(lambda place: quoted(values[place[1]]), template)


def _line(text: str) -> str:
    return " ".join(text.split())
