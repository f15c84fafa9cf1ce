"""`submeter run`: collectors, core and API in one process, or one of them alone.

Threads: each collector commits to the inbox and then acknowledges; the core's thread alone touches DuckDB and works off its queue (scheduled jobs,
operators' commands) between two steps of the drain; the API and the operations listener have an event loop each; the outbox has a thread for each channel.
APScheduler only fills the queue.
"""

import gc
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import structlog
import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler
from fastapi import FastAPI
from starlette.types import ASGIApp

from submeter import __version__, commands, jobs
from submeter.api import SignIn, create_app, create_operations
from submeter.api.flows import Tenant
from submeter.api.secrets import Secrets
from submeter.collectors import collectors
from submeter.config import Config, ConfigError
from submeter.config.people import PortalHost
from submeter.config.portals import Portal, load_portal
from submeter.control import ControlServer
from submeter.core import Core, make_folder, now
from submeter.errors import SubmeterError
from submeter.home import Home
from submeter.ingest.bus.poller import BusCollector
from submeter.ingest.common import Counters
from submeter.ingest.room import Room
from submeter.ingest.telling import Teller
from submeter.metrics import Metrics, of_sources
from submeter.outbox import Postmen
from submeter.portal import create_portal
from submeter.rates import Rates
from submeter.retries import Retries
from submeter.store import Counts, Inbox, Published, Registry, StoreBrokenError, StoreError
from submeter.store.runs import By

__all__ = ["CoreThread", "Part", "serve", "settle"]

log = structlog.get_logger()

Part = Literal["all", "api", "collect"]
IDLE_S: Final = 0.1
#: How often gateways' numbers, disk and backlog are looked at.
LOOK_S: Final = 60.0
RETRY_S: Final = 1.0
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Request:
    """One piece of work for the core's thread; lines come back through `answer`, then None, or the error that ended it."""

    command: str
    arguments: Mapping[str, Any]
    answer: "queue.SimpleQueue[str | Exception | None]" = field(default_factory=queue.SimpleQueue)


class CoreThread:
    """The core's loop: drain, and between two steps whatever the queue holds. Trouble of either keeps the other going."""

    def __init__(self, config: Config) -> None:
        self.metrics = Metrics(
            self._counts,
            now,
            self._events,
            lambda: self.core.gateways,
            config.data.folder,
            lambda: self.core.meters,
            lambda: self.core.decoding.redecoded,
            lambda: self.core.spark_used,
        )
        self.core = Core(config, self.metrics.count)
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._trouble: str | None = None
        self._broken = False
        self._look_at = 0.0
        self._planned: set[str] = set()
        self._sources: Mapping[str, Counters] = {}
        self._room = Room(config.data.folder)
        self._retries = Retries(config.data.folder)
        self._thread = threading.Thread(target=self._loop, name="core")
        self.metrics.healthy.set_function(lambda: float(self.health()["ok"]))

    def start(self) -> None:
        """Begin to drain."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way, and close the stores."""
        self.core.stopping.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self.core.close()

    def submit(self, command: str, arguments: Mapping[str, Any] | None = None) -> Iterator[str]:
        """Run a command on the core's thread; its lines as they come. Raises SubmeterError when it refuses or the core has stopped."""
        if command in commands.ASIDE:
            yield from commands.execute(self.core, command, arguments or {})
            return
        request = _Request(command, arguments or {})
        self._queue.put(request)
        while (answer := self._answer(request)) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def plan(self, name: str, by: By = "schedule") -> None:
        """Put a job into the queue, unless it waits there already: its failures are noted, logged and counted."""
        if name not in self._planned:
            self._planned.add(name)
            self._queue.put(_Request("job", {"name": name, "by": by}))

    def catch_up(self) -> None:
        """Plan what was due while nothing ran, once each, and the hourly job where stores had to be brought to one level."""
        if self.core.levelled:
            self.plan("hourly", "catch_up")
        for one, due in jobs.missed(self.core, now=now()):
            log.info("job is caught up", job=one.name, due=due)
            self.plan(one.name, "catch_up")

    def watch(self, sources: Mapping[str, Counters]) -> None:
        """Let health and metrics tell of these collectors."""
        self._sources = sources
        self.metrics.watch(sources)

    def health(self) -> Mapping[str, Any]:
        """Whether the core does its work and the collectors can keep what comes, and what keeps them from it."""
        told = _health(self._sources)
        trouble = self._trouble or self._no_room() or told["trouble"] or self.core.lacking or self.core.estranged or self._failed_jobs()
        return {**told, "ok": trouble is None and self._thread.is_alive(), "trouble": trouble}

    def _answer(self, request: _Request) -> str | Exception | None:
        while True:
            try:
                return request.answer.get(timeout=RETRY_S)
            except queue.Empty:
                if not self._thread.is_alive():
                    return SubmeterError("the core has stopped: run the command again")

    def _no_room(self) -> str | None:
        """Why nothing more is kept."""
        return f"{self._room.folder} is nearly full: nothing more is taken; free disk space" if self._room.short else None

    def _failed_jobs(self) -> str | None:
        """Which jobs failed and have not succeeded since; or why nobody can tell."""
        try:
            failed = self.core.registry.events.find("job_failed", state="open")
        except SubmeterError as error:
            return str(error)
        said = "; ".join(f"{event.subject.removeprefix('job:')} failed: {event.detail}" for event in failed)
        return f"{said}; when that is mended: submeter rollup --now JOB" if said else None

    def _events(self) -> Mapping[str, int]:
        try:
            return self.core.registry.events.counts()
        except StoreError:
            return {}

    def _counts(self) -> Counts:
        with Inbox(self.core.folder / "inbox.sqlite") as inbox:
            return inbox.counts()

    def _loop(self) -> None:
        while not self.core.stopping.is_set():
            self._serve(self._drain())
        log.debug("the core's loop has ended")

    def _drain(self) -> float:
        """One step of the drain; returns how long the queue may be waited for. Every error is told and tried again: the loop outlives it."""
        try:
            if self._broken:
                self.core.recover()
                self._broken = False
            messages = self.core.drain().messages
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_S
                self.core.look()
        except Exception as error:  # noqa: BLE001
            self._failed(error)
            return RETRY_S
        self._trouble = None
        for name in self._retries.due():
            self.plan(name, "catch_up")
        return 0.0 if messages else IDLE_S

    def _serve(self, wait_s: float) -> None:
        try:
            request = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
        except queue.Empty:
            return
        if request is not None:
            self._execute(request)

    def _execute(self, request: _Request) -> None:
        self._planned.discard(_label(request))
        self.core.work.listener = request.answer.put
        try:
            for line in commands.execute(self.core, request.command, request.arguments):
                request.answer.put(line)
            self._retries.ended(_label(request))
            request.answer.put(None)
        except SubmeterError as error:
            log.error("command refused", command=request.command, error=str(error))
            self._refuse(request, error)
        except Exception as error:
            log.exception("command failed", command=request.command)
            self._refuse(request, error)
        finally:
            self.core.work.listener = None

    def _refuse(self, request: _Request, error: Exception) -> None:
        self.metrics.job_failures.labels(_label(request)).inc()
        if request.command == "job":
            self._retries.ended(_label(request), error)
        if isinstance(error, StoreBrokenError):
            self._failed(error)
        known = isinstance(error, SubmeterError)
        request.answer.put(error if known else SubmeterError(f"{request.command} failed: {type(error).__name__}: {error}"))

    def _failed(self, error: Exception) -> None:
        self._broken = self._broken or isinstance(error, StoreBrokenError)
        self._trouble = f"{type(error).__name__}: {error}"
        log.error("the core cannot go on and tries again", error=self._trouble)


def _health(sources: Mapping[str, Counters]) -> Mapping[str, Any]:
    """Whether collectors can keep what comes."""
    refused = [name for name, counters in sources.items() if counters.failed_commits and not counters.connected]
    trouble = f"the inbox takes nothing from {', '.join(refused)}: free disk space and file rights come first" if refused else None
    states = {name: "connected" if counters.connected else "not connected" for name, counters in sources.items()}
    return {"ok": trouble is None, "version": __version__, "trouble": trouble, "sources": states}


def _label(request: _Request) -> str:
    """The job that a request runs, or its command."""
    return str(request.arguments.get("name", request.command)) if request.command == "job" else request.command


def serve(
    config: Config,
    *,
    part: Part,
    stop: threading.Event,
    started: Callable[[CoreThread | None], None] = lambda _core: None,
    beside: Mapping[str, ASGIApp] = MappingProxyType({}),
) -> None:
    """Run until `stop` is set; ConfigError for a core that would give its messages away. `started` is called once everything listens; `beside` are applications by the path under which the API's listener has them too."""
    if config.handover.give and part == "all":
        raise ConfigError("[handover] give: a machine that decodes keeps its messages: run it with --only collect, or write take")
    if config.handover.take and part == "collect":
        raise ConfigError("[handover] take: messages are taken by the machine that decodes: run it without --only, or write give")
    with ExitStack() as stack:
        core = _core(config, stack) if part == "all" else None
        if part in {"all", "api"} and config.api.enabled:
            _api(config, stack, beside)
        if core and config.metrics.enabled:
            _listen(create_operations(core.health, core.health, core.metrics.registry), config.metrics.host, config.metrics.port, "metrics", stack)
        if part in {"all", "collect"}:
            _collect(config, stack, core)  # last: nothing is taken that nobody would see
        settle()
        stack.callback(gc.unfreeze)
        log.info("submeter runs", part=part, folder=str(config.data.folder))
        started(core)
        stop.wait()
        log.info("submeter stops")


def settle() -> None:
    """Take what the start has made out of the collector's rounds: some 200,000 objects that stay, and 140 ms a round in which nobody is answered."""
    gc.collect()
    gc.freeze()


def _core(config: Config, stack: ExitStack) -> CoreThread:
    thread = CoreThread(config)
    stack.callback(thread.stop)
    control = ControlServer(config.data.folder, thread.submit)
    scheduler = _scheduler(config, thread)
    postmen = Postmen(config, now)
    stack.callback(postmen.stop)
    thread.start()
    postmen.start()
    if config.home_assistant.wanted:
        _show(config, stack, thread)
    stack.callback(control.stop)
    control.start()
    stack.callback(scheduler.shutdown)
    scheduler.start()
    thread.catch_up()
    return thread


def _show(config: Config, stack: ExitStack, thread: CoreThread) -> None:
    home = Home(config, now, thread.metrics.shown)
    thread.metrics.home_connected.set_function(lambda: float(home.connected))
    stack.callback(home.stop)
    home.start()


def _scheduler(config: Config, thread: CoreThread) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(timezone=jobs.ZONE, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    for job in jobs.JOBS.values():
        scheduler.add_job(thread.plan, job.trigger(config), args=[job.name], id=job.name)
    return scheduler


def _collect(config: Config, stack: ExitStack, core: CoreThread | None) -> None:
    """Each collector in a thread of its own, which owns its connection to the inbox."""
    make_folder(config.data.folder)
    stop, teller = threading.Event(), Teller(config.data)
    running = collectors(config, teller.voice)
    threads = [threading.Thread(target=one.run, args=[stop], name=f"collector {one.settings.name}") for one in running]
    teller.start()
    stack.callback(teller.stop)
    for thread in threads:
        stack.callback(thread.join, STOP_S)
    stack.callback(stop.set)
    for thread in threads:
        thread.start()
    counted = {one.settings.name: one.counters for one in running}
    if core:
        core.watch(counted)
        core.core.buses = [one for one in running if isinstance(one, BusCollector)]
    elif config.metrics.enabled and config.metrics.collect_port:
        told = create_operations(lambda: _health(counted), lambda: _health(counted), of_sources(counted))
        _listen(told, config.metrics.host, config.metrics.collect_port, "metrics", stack)


def _api(config: Config, stack: ExitStack, beside: Mapping[str, ASGIApp]) -> None:
    """The API with connections of its own; without a vault, so that this part cannot open a meter's key."""
    make_folder(config.data.folder)
    registry = stack.enter_context(Registry.of(config.data))
    published = stack.enter_context(Published.of(config.data))
    portals = sign_in(config)
    app = create_app(registry, published, __version__, portals=portals, rates=rates(config))
    for path, other in beside.items():
        app.mount(path, other)
    if portals is not None:
        app.mount("/", create_portal(app))
    stack.callback(app.state.reads.close)
    _listen(app, config.api.host, config.api.port, "api", stack, proxies=config.api.proxies)


def rates(config: Config) -> Rates:
    """How often one may ask, as configured."""
    of = config.api
    return Rates({"c": of.cheap_per_minute, "r": of.reads_per_minute, "w": of.writes_per_minute, "e": of.exports_per_minute})


def sign_in(config: Config) -> SignIn | None:
    """The portals of the configuration, None where it has none; ConfigError names what is wrong in one."""
    if not config.portal:
        return None
    loaded = {one.name: load_portal(one.name, one.file) for one in config.portal}
    return SignIn(Secrets.of(config.data.folder / "portal.key"), [_tenant(one, loaded[one.name]) for one in config.portal])


def _tenant(one: PortalHost, portal: Portal) -> Tenant:
    days = (one.readings_open[0], one.readings_open[-1]) if one.readings_open else None
    links = {str(name): link for name, link in one.links.items()}
    return Tenant(portal, one.manager, one.host, one.operator_email, links, one.demo_manager, days)


def _listen(app: FastAPI, host: str, port: int, name: str, stack: ExitStack, *, proxies: Sequence[str] = ()) -> None:
    """Serve in a thread of its own; returns when it listens, raises SubmeterError when it cannot."""
    try:
        listener = stack.enter_context(socket.create_server((host, port)))
    except OSError as error:
        raise SubmeterError(f"cannot listen on {host}:{port}: {error.strerror}; see [{name}] in pipeline.toml") from error
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=name)

    def end() -> None:
        server.should_exit = True
        thread.join(STOP_S)

    stack.callback(end)
    thread.start()
    while not server.started:
        time.sleep(0.01)
