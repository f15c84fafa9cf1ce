"""Where messages of tests really arrive: a mail server and an SMS gateway for the whole run, a folder for letters; and what they say, read back from them."""

import email
import email.policy
import json
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

from pypdf import PdfReader
from receivers import http, smtp

from submeter.config import parse
from submeter.config.texts import texts
from submeter.post import deliver, outlets


@dataclass(frozen=True)
class Arrived:
    """A message that came: `id`, `template` and `locale` are those of its row; address and values are what was received."""

    id: int
    template: str
    locale: str
    channel: str
    address: str
    values: dict


#: What runs until the end of the session: tests/conftest.py closes it.
running = ExitStack()


@cache
def receivers():
    """A mail server and a gateway that run until the end: port and inbox, address and requests."""
    os.environ.setdefault("no_proxy", "127.0.0.1")
    return *running.enter_context(smtp()), *running.enter_context(http())


class Letterbox:
    """What arrived from the outbox of one installation."""

    def __init__(self, registry):
        port, self._inbox, url, self._gateway = receivers()
        self._registry, self._letters, self._came = registry, registry.path.parent / "letters", {}
        self._outlets = outlets(
            parse(
                f'[data]\nfolder = "{registry.path.parent}"\n'
                f'[mail]\nsink = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nsender = "portal@example.org"\n'
                f"""[sms]\nsink = "http"\nurl = "{url}/"\nbody = '{{"id": "{{id}}", "to": "{{to}}", "text": "{{text}}"}}'\n"""
                f'[letters]\nsink = "file"\nfolder = "{self._letters}"\n',
                registry.path.parent / "pipeline.toml",
            )
        )

    def fetch(self, now):
        """All that arrived up to an instant (µs) since the installation began, what is due by then among it, in the order of its making."""
        mails, requests = len(self._inbox.mails), len(self._gateway.requests)
        if self._registry.outbox.due(now, 1):
            deliver(self._registry, self._outlets, lambda: now, limit=1000)
        rows = {row.mark: row for row in self._registry.outbox.find(("sent",))}
        for envelope in self._inbox.mails[mails:]:
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            row = rows[mail["Message-ID"].strip("<").partition("@")[0]]
            said = texts(row.locale)[row.template]
            subject = _values(r"\[[^]]*\] " + _pattern(said["subject"]), mail["Subject"])
            body = _values(_pattern(texts(row.locale)["frame"]["body"]).replace("(?P<text>.*?)", _pattern(said["body"])), mail.get_content())
            self._keep(row, envelope.rcpt_tos[0], subject | body)
        for _, _, _, request in self._gateway.requests[requests:]:
            sms = json.loads(request)
            row = rows[sms["id"]]
            self._keep(row, sms["to"], _values(_pattern(texts(row.locale)[row.template]["sms"]), sms["text"]))
        for file in self._letters.glob("*.pdf"):
            row = next(row for mark, row in rows.items() if file.stem.endswith(mark[:8]))
            text = "".join(page.extract_text() for page in PdfReader(file).pages)
            self._keep(row, row.address, {"secret": found[0]} if (found := re.findall(r"\b[2-9A-HJ-NP-Z]{12}\b", text)) else {})
        return [self._came[identity] for identity in sorted(self._came)]

    def _keep(self, row, address, values):
        self._came[row.id] = Arrived(row.id, row.template, row.locale, row.channel, address, values)


def _pattern(text):
    """A text with its values as groups."""
    seen = set()

    def group(found):
        name = found[1]
        again = name in seen
        seen.add(name)
        return f"(?P={name})" if again else f"(?P<{name}>.*?)"

    return re.sub(r"\\\{(\w+)\\\}", group, re.escape(text))


def _values(pattern, text):
    """What stands at the places of a text's values."""
    found = re.fullmatch(pattern + r"\s*", text.replace("\r\n", "\n"), re.DOTALL)
    assert found, (pattern, text)
    return {name: value for name, value in found.groupdict().items() if name != "brand"}
