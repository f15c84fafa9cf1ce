"""What a demo's portals sent: a page with the messages, the newest first, and a line for each on the console.

The messages are the files of the sink `file`. Links lead to the demo's own port. Nobody but this machine is answered: the page shows codes.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from submeter.demo.folder import Demo
from submeter.demo.loopback import local
from submeter.simulate.world import COMPANIES

__all__ = ["PATH", "Printed", "Sent", "page", "sent"]

#: Where the page is mounted.
PATH: Final = "/demo"
LOOK_S: Final = 0.5
NEWEST: Final = 200
HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>submeter demo</title>
<link rel="stylesheet" href="/static/portal.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a class="brand" href="/demo/outbox">submeter demo</a></header>
"""
#: Where a company's payment service would be.
PAY: Final = (
    HEAD
    + """<main id="main">
<h1>Here one would pay</h1>
<p>In service this link leads to the company's payment service, with the amount filled in. In the demo nothing is paid.</p>
<p><a class="button" href="/demo/outbox">Outbox</a></p>
</main>
</body>
</html>
"""
)
TEMPLATE: Final = (
    HEAD
    + """<main id="main">
<h1>Outbox</h1>
<p>What the portals sent, the newest first. In service this leaves by mail, SMS and post; here it stays on this machine.</p>
<p><a class="button" href="/demo/outbox">Look again</a></p>
<ul>
{% for url in portals %}<li><a href="{{ url }}">{{ url }}</a></li>
{% endfor %}
</ul>
{% for one in messages %}
<article>
<h2>{{ one.channel }} to {{ one.to }}{% if one.subject %}: <span{% if one.lang %} lang="{{ one.lang }}"{% endif %}>{{ one.subject }}</span>{% endif %}</h2>
<p><small>{{ one.at.strftime("%H:%M:%S") }}</small></p>
{% if one.letter %}
<p><a href="/demo/letters/{{ one.letter }}">the letter as PDF</a></p>
{% endif %}
<p{% if one.lang %} lang="{{ one.lang }}"{% endif %}>
{% for part in one.parts() %}{% if part.startswith("http") %}<a href="{{ part }}">{{ part }}</a>{% elif part == "\\n" %}<br>
{% else %}{{ part }} {% endif %}{% endfor %}
</p>
</article>
{% else %}
<p>Nothing was sent so far: begin in one of the portals.</p>
{% endfor %}
</main>
</body>
</html>
"""
)


class Sent(NamedTuple):
    """One message as it would have left; `letter` is the name of its file, `lang` its language where it says so."""

    channel: str
    to: str
    subject: str
    text: str
    at: datetime
    letter: str = ""
    lang: str = ""

    def parts(self) -> Iterator[str]:
        """The text word by word, with its line ends."""
        for line in self.text.strip().splitlines():
            yield from (*line.split(), "\n")

    def line(self) -> str:
        """The message in one line for the console."""
        said = self.subject if self.channel == "letter" else " ".join(self.text.split())
        return f"OUTBOX  {self.channel:6} {self.to:24} {said}"


def page(demo: Demo) -> Starlette:
    """The application with the page `outbox` and the letters."""
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(TEMPLATE)
    portals = [f"http://{one.host}:{demo.config.api.port}" for one in COMPANIES]

    async def outbox(request: Request) -> Response:
        if not _near(request):
            return PlainTextResponse("not found", 404)
        return HTMLResponse(template.render(messages=sent(demo)[:NEWEST], portals=portals))

    async def letter(request: Request) -> Response:
        name = request.path_params["name"]
        if not _near(request) or name not in {one.letter for one in sent(demo)}:
            return PlainTextResponse("not found", 404)
        return FileResponse(_folder(demo) / name, media_type="application/pdf")

    async def pay(request: Request) -> Response:
        return HTMLResponse(PAY) if _near(request) else PlainTextResponse("not found", 404)

    return Starlette(routes=[Route("/outbox", outbox), Route("/letters/{name}", letter), Route("/pay", pay)])


def sent(demo: Demo) -> list[Sent]:
    """All messages, the newest first."""
    return [_read(path, demo) for path in reversed(_files(demo))]


class Printed:
    """A thread that prints each message as it is sent."""

    def __init__(self, demo: Demo, say: Callable[[str], None]) -> None:
        self._demo, self._say = demo, say
        self._seen = set(_files(demo))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="printed outbox", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(LOOK_S):
            for path in _files(self._demo):
                if path not in self._seen:
                    self._seen.add(path)
                    self._say(_read(path, self._demo).line())


def _near(request: Request) -> bool:
    """Whether this machine asks, by one of its own names: a foreign page whose name was made to point here is not answered."""
    host = request.url.hostname or ""
    return request.client is not None and local(request.client.host) and (local(host) or host.endswith(".localhost"))


def _folder(demo: Demo) -> Path:
    return demo.config.mail.folder


def _files(demo: Demo) -> list[Path]:
    """The files of messages in the order in which they were sent."""
    found = [path for path in _folder(demo).glob("*-*") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _read(path: Path, demo: Demo) -> Sent:
    at = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    if path.suffix == ".pdf":
        return Sent("letter", "by post", path.name, "", at, path.name)
    if path.suffix == ".eml":
        message = message_from_bytes(path.read_bytes(), policy=default)
        text = _linked(str(message.get_content()), demo)
        return Sent("email", str(message["To"]), str(message["Subject"]), text, at, lang=str(message["Content-Language"] or ""))
    head, _, text = path.read_text("utf-8").partition("\n\n")
    return Sent("sms", head.splitlines()[0].removeprefix("To: "), "", _linked(text, demo), at)


def _linked(text: str, demo: Demo) -> str:
    """The text with links to where the demo's portals are."""
    for one in COMPANIES:
        text = text.replace(f"https://{one.host}", f"http://{one.host}:{demo.config.api.port}")
    return text
