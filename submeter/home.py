"""Home Assistant of a running submeter: a thread that brings to its broker what chosen meters say (docs/home-assistant.md).

Strategy: it looks every few seconds whether directory or published tables have changed, with connections of its own and without the master key; the broker's troubles
are paho's thread's, and are told once.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Final

import structlog

from submeter import civil
from submeter.config import Config, ConfigError, HomeAssistant
from submeter.errors import SubmeterError
from submeter.ingest.envelopes.mapping import fits
from submeter.ingest.session import MqttSettings, tls_context
from submeter.post.home_assistant import Showing
from submeter.post.shown import Shown, shown
from submeter.store import Published, Registry

__all__ = ["Home", "verify"]

log = structlog.get_logger()

LOOK_S: Final = 5.0
#: Assignments begin and end without a change of the directory: everything is looked at anew so often.
AGAIN: Final = 15 * civil.MINUTE
TROUBLE_S: Final = 15.0
STOP_S: Final = 15.0
LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))


class Home:
    """The thread; ConfigError at once for what cannot work. `count` hears of messages by outcome."""

    def __init__(self, config: Config, now: Callable[[], int], count: Callable[[str, int], None]) -> None:
        verify(config)
        self._wanted, self._data, self._now = config.home_assistant, config.data, now
        self._said = ""
        self._stop = threading.Event()
        self._showing = Showing(self._wanted, _tls(self._wanted), told=self._tell, count=count)
        self._thread = threading.Thread(target=self._loop, name="home assistant", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._showing.connected.is_set()

    def start(self) -> None:
        """Begin to show."""
        self._showing.start()
        self._thread.start()

    def stop(self) -> None:
        """End after the messages under way; Home Assistant sees that we are away."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)
            self._showing.close()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                with Registry.of(self._data) as registry, Published.of(self._data) as published:
                    self._look(registry, published)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._tell(str(error) if isinstance(error, SubmeterError) else type(error).__name__)
                self._stop.wait(TROUBLE_S)

    def _look(self, registry: Registry, published: Published) -> None:
        seen, at, what = (-1, -1), 0, Shown({}, 0, 0)
        while not self._stop.is_set():
            versions = registry.version(), published.version()
            if versions != seen or self._now() >= at + AGAIN:
                seen, at = versions, self._now()
                what = self._asked(registry, published, at, what)
            self._stop.wait(0 if self._showing.bring(what) else LOOK_S)

    def _asked(self, registry: Registry, published: Published, now: int, before: Shown) -> Shown:
        what = shown(registry, published, self._wanted, now=now)
        if what.left_out and not before.left_out:
            log.warning("home assistant: too many meters, the rest is not shown", shown=what.points, left_out=what.left_out)
        return what

    def _tell(self, trouble: str) -> None:
        """Say once that the broker is out, and once that it is there again."""
        if trouble and trouble != self._said:
            log.error("home assistant is not told", error=trouble)
        elif self._said and not trouble:
            log.info("home assistant is told again")
        self._said = trouble


def verify(config: Config) -> None:
    """ConfigError if a collector would read what is published here."""
    ours = config.home_assistant
    for broker in config.mqtt if ours.wanted else ():
        same = broker.port == ours.port and (broker.host == ours.host or {broker.host, ours.host} <= LOOPBACK)
        for wanted in broker.topics if same else ():
            if fits(wanted, f"{ours.topic}/point/register"):
                raise ConfigError(f"[[mqtt]] {broker.name}: {wanted!r} would read what [home_assistant] publishes: narrow its topics")


def _tls(wanted: HomeAssistant) -> ssl.SSLContext | None:
    """What the broker is checked against; ConfigError names the file that cannot be used."""
    if not wanted.tls:
        return None
    try:
        return tls_context(MqttSettings(tls=True, ca_file=wanted.ca_file, cert_file=wanted.cert_file, key_file=wanted.key_file))
    except OSError as error:
        raise ConfigError(f"{wanted.section}: {error}") from error
