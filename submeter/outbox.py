"""The outbox of a running submeter: a thread for each channel and one for webhooks, so that a slow mail server keeps neither SMS nor the core waiting.

Each thread has a connection to the registry of its own and looks for what is due about once a second. Trouble of any kind is told once and tried again.
Without any sink one thread remains, which takes away what has expired.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from submeter.config import Config
from submeter.config.texts import verify
from submeter.errors import SubmeterError
from submeter.post import Outlets, deliver, outlets
from submeter.post.webhooks import notify
from submeter.store import Published, Registry

__all__ = ["Postmen"]

log = structlog.get_logger()

LOOK_S: Final = 1.0
HOOKS_S: Final = 5.0
#: How long a sink that takes nothing is left alone, and how long it may take to stop.
TROUBLE_S: Final = 15.0
STOP_S: Final = 5.0


class Postmen:
    """The threads that deliver; ConfigError at once if a text is wrong. A thread in the middle of a message at `stop` is not waited for: see post/."""

    def __init__(self, config: Config, now: Callable[[], int]) -> None:
        verify()
        self._data, self._now = config.data, now
        self._stop = threading.Event()
        found = outlets(config)
        routes: dict[str, Outlets] = {channel: found.only(channel) for channel in found.sinks}
        self._told = dict.fromkeys(routes or {"nothing": found}, "")
        self._threads = [
            threading.Thread(target=self._loop, args=[name, route], name=f"outbox {name}", daemon=True)
            for name, route in (routes or {"nothing": found}).items()
        ]
        self._private = config.webhooks.private
        self._told["webhooks"] = ""
        self._threads.append(threading.Thread(target=self._hooks, name="webhooks", daemon=True))

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the message under way, if that does not take too long."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(STOP_S)

    def _loop(self, name: str, route: Outlets) -> None:
        while not self._stop.is_set():
            try:
                with Registry.of(self._data) as registry:
                    self._deliver(registry, name, route)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._tell(name, str(error) if isinstance(error, SubmeterError) else type(error).__name__)
                self._stop.wait(TROUBLE_S)

    def _hooks(self) -> None:
        """Tell the webhooks, as the others deliver messages."""
        while not self._stop.is_set():
            try:
                with Registry.of(self._data) as registry, Published.of(self._data) as published:
                    while not self._stop.is_set():
                        notify(registry, published, self._now, private=self._private)
                        self._tell("webhooks", "")
                        self._stop.wait(HOOKS_S)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._tell("webhooks", str(error) if isinstance(error, SubmeterError) else type(error).__name__)
                self._stop.wait(TROUBLE_S)

    def _deliver(self, registry: Registry, name: str, route: Outlets) -> None:
        """Deliver what is due; what was said leaves the registry's log too, once nothing more is."""
        said = False
        while not self._stop.is_set():
            report = deliver(registry, route, self._now, limit=1)
            trouble = "; ".join(report.trouble.values())
            if report.sent or trouble:
                self._tell(name, trouble)
            if not report.sent:
                said = said and not registry.empty_log()
                self._stop.wait(TROUBLE_S if trouble else LOOK_S)
            said = said or bool(report.sent)

    def _tell(self, name: str, trouble: str) -> None:
        """Say once that a channel is out, and once that it works again."""
        if trouble and trouble != self._told[name]:
            log.error("outbox cannot deliver", channel=name, error=trouble)
        elif self._told[name] and not trouble:
            log.info("outbox delivers again", channel=name)
        self._told[name] = trouble
