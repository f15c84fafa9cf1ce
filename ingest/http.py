"""HTTP collector: a listener of its own for gateways that push (ingest/MQTT.md 9). What is answered stands in push.py.

Strategy: one thread with an event loop; requests share it, the inbox and their commits. Trouble with the port or the files ends the listener; after a pause
everything is opened anew.
Rules: the registry is opened without a vault, to look tokens up, and only read; nothing is answered 200 before it is on disk. After a refusal of the inbox all is
well again when the disk takes a write, not only when the next message comes.
"""

import asyncio
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import uvicorn

from submeter.config import Data
from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter
from submeter.ingest.push import Push, Together
from submeter.ingest.room import Room, Writes
from submeter.rates import Rates
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox
from submeter.store.registry import Registry

__all__ = ["HttpCollector", "HttpSettings"]

BACKOFF_S: Final = (0.1, 30.0)
STEADY_S: Final = 10.0
POLL_S: Final = 0.05
#: Connections at a time: bounds the memory that bodies may take.
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where to listen, and how many requests a minute one gateway may make (0: no limit)."""

    name: str = "http"
    host: str = "127.0.0.1"
    port: int = 8081
    per_minute: int = 600


class HttpCollector:
    """Collects what is pushed into the inbox of a data folder; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: HttpSettings, data: Data, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._data = data
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._rates = Rates({"p": settings.per_minute})
        self._writes = Writes(data.folder)

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; survives troubles of port and files."""
        while not stop.is_set():
            started = time.monotonic()
            try:
                self._listen(stop)
            except OSError as error:
                self._reporter.tell(
                    "http_refused", f"cannot listen on {self.settings.host}:{self.settings.port}: {error.strerror}; see [http] in pipeline.toml"
                )
            except StoreError as error:
                self.counters.failed_commits += 1
                self._reporter.tell("inbox_write_failed", str(error))
            self.counters.connected = False
            if time.monotonic() - started > STEADY_S:
                self._backoff.reset()
            stop.wait(self._backoff.wait_s())

    def _listen(self, stop: threading.Event) -> None:
        """Serve from the opening of port and files to their end."""
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server((self.settings.host, self.settings.port)))
            inbox = stack.enter_context(Inbox(self._data.folder / "inbox.sqlite"))
            registry = stack.enter_context(Registry.of(self._data))
            keep = Together(lambda messages: self.counters.commit(inbox.append, messages)).keep
            app = Push(self.settings.name, registry.gateways.holder, keep, self._rates, Room(self._data.folder), self.counters, self._reporter)
            asyncio.run(self._serve(app, listener, stop))

    async def _serve(self, app: Push, listener: socket.socket, stop: threading.Event) -> None:
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(settings)
        serving, told = asyncio.create_task(server.serve(sockets=[listener])), False
        while not serving.done():
            if server.started and not told:
                told = True
                self.counters.connections += 1
                self._well()
            if told and not self.counters.connected and await self._mended():
                self._well()
            server.should_exit = stop.is_set()
            await asyncio.sleep(POLL_S)
        await serving

    async def _mended(self) -> bool:
        """Whether the disk takes writes again and nothing was refused meanwhile."""
        refused = self.counters.failed_commits
        return await asyncio.to_thread(self._writes.again) and refused == self.counters.failed_commits

    def _well(self) -> None:
        self.counters.connected = True
        self._reporter.tell("http_connected", f"listens on {self.settings.host}:{self.settings.port}")
