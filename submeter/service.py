"""`submeter run`: collectors, core and API in one process, or one of them alone.

Threads: each collector commits to the inbox and then acknowledges; the core's thread alone touches DuckDB and works off its queue (scheduled jobs,
operators' commands) between two steps of the drain; the API and the operations listener have an event loop each. APScheduler only fills the queue.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import structlog
import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from fastapi import FastAPI

from submeter import __version__, commands
from submeter.api import create_app, create_operations
from submeter.collectors import collectors
from submeter.config import Config
from submeter.control import ControlServer
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.metrics import Metrics
from submeter.store import Inbox, Published, Registry, StoreBrokenError

__all__ = ["CoreThread", "Part", "serve"]

log = structlog.get_logger()

Part = Literal["all", "api", "collect"]
IDLE_S: Final = 0.1
RETRY_S: Final = 1.0
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Request:
    """One piece of work for the core's thread; lines come back through `answer`, then None, or the error that ended it."""

    command: str
    arguments: Mapping[str, Any]
    answer: "queue.SimpleQueue[str | Exception | None]" = field(default_factory=queue.SimpleQueue)


class CoreThread:
    """The core's loop: drain, and between two steps whatever the queue holds."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.metrics = Metrics(self._counts, now)
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._loop, name="core")

    def start(self) -> None:
        """Begin to drain."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way; waits for it."""
        self._stop.set()
        self._queue.put(None)
        self._thread.join()

    def submit(self, command: str, arguments: Mapping[str, Any] | None = None) -> Iterator[str]:
        """Run a command on the core's thread; its lines as they come. Raises SubmeterError when it refuses."""
        request = _Request(command, arguments or {})
        self._queue.put(request)
        while (answer := request.answer.get()) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def post(self, command: str, **arguments: Any) -> None:
        """Run a command on the core's thread and forget it: failures are logged and counted."""
        self._queue.put(_Request(command, arguments))

    def health(self) -> Mapping[str, Any]:
        """Whether the core does its work, and what keeps it from it."""
        return {"ok": self._trouble is None and self._thread.is_alive(), "version": __version__, "trouble": self._trouble}

    def _counts(self) -> Any:
        with Inbox(self.core.folder / "inbox.sqlite") as inbox:
            return inbox.counts()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
                self._trouble = None
            except StoreBrokenError as error:
                self._failed(error)
                self._recover()
            except Exception as error:  # noqa: BLE001 - the loop outlives every error: it is told, and tried again
                self._failed(error)
                time.sleep(RETRY_S)
        while not self._queue.empty():
            if (request := self._queue.get()) is not None:
                request.answer.put(SubmeterError("the core is stopping: run the command again"))

    def _turn(self) -> None:
        step = self.core.drain()
        self.metrics.messages.inc(step.messages)
        for result, count in step.results.items():
            self.metrics.telegrams.labels(result).inc(count)
        try:
            request = self._queue.get_nowait() if step.messages else self._queue.get(timeout=IDLE_S)
        except queue.Empty:
            return
        if request is not None:
            self._execute(request)

    def _execute(self, request: _Request) -> None:
        try:
            for line in commands.execute(self.core, request.command, request.arguments):
                request.answer.put(line)
            request.answer.put(None)
        except Exception as error:
            self.metrics.job_failures.labels(request.command).inc()
            log.exception("command failed", command=request.command)
            request.answer.put(
                error if isinstance(error, SubmeterError) else SubmeterError(f"{request.command} failed: {type(error).__name__}: {error}")
            )
            if isinstance(error, StoreBrokenError):
                raise

    def _failed(self, error: Exception) -> None:
        self._trouble = f"{type(error).__name__}: {error}"
        log.error("the core cannot go on and tries again", error=self._trouble)

    def _recover(self) -> None:
        try:
            self.core.recover()
        except SubmeterError as error:
            self._failed(error)
            time.sleep(RETRY_S)


def serve(config: Config, *, part: Part, stop: threading.Event, started: Callable[[CoreThread | None], None] = lambda _core: None) -> None:
    """Run until `stop` is set. `started` is called once everything listens."""
    with ExitStack() as stack:
        core = None
        if part == "all":
            core = _core(config, stack)
        if part in {"all", "collect"}:
            _collect(config, stack, core.metrics if core else None)
        if part in {"all", "api"} and config.api.enabled:
            _api(config, stack)
        if core and config.metrics.enabled:
            operations = create_operations(core.health, core.health, core.metrics.registry)
            _listen(operations, config.metrics.host, config.metrics.port, "operations", stack)
        log.info("submeter runs", part=part, folder=str(config.data.folder))
        started(core)
        stop.wait()
        log.info("submeter stops")


def _core(config: Config, stack: ExitStack) -> CoreThread:
    thread = CoreThread(stack.enter_context(Core(config)))
    control = ControlServer(config.data.folder, thread.submit)
    scheduler = _scheduler(config, thread)
    stack.callback(thread.stop)
    thread.start()
    stack.callback(control.stop)
    control.start()
    stack.callback(scheduler.shutdown)
    scheduler.start()
    thread.post("rollup")  # what was due while nothing ran
    return thread


def _scheduler(config: Config, thread: CoreThread) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(timezone=ZoneInfo("UTC"), job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    for job, expression, settle in (("hourly", config.rollup.hourly, False), ("nightly", config.rollup.nightly, True)):
        trigger = CronTrigger.from_crontab(expression, timezone=ZoneInfo("UTC"))
        scheduler.add_job(thread.post, trigger, args=["rollup"], kwargs={"settle": settle}, id=job)
    return scheduler


def _collect(config: Config, stack: ExitStack, metrics: Metrics | None) -> None:
    """Each collector in a thread of its own, which owns its connection to the inbox."""
    config.data.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stop = threading.Event()
    running = collectors(config)
    threads = [threading.Thread(target=one.run, args=[stop], name=f"collector {one.settings.name}") for one in running]
    for thread in threads:
        stack.callback(thread.join, STOP_S)
    stack.callback(stop.set)
    for thread in threads:
        thread.start()
    if metrics:
        metrics.watch({one.settings.name: one.counters for one in running})


def _api(config: Config, stack: ExitStack) -> None:
    """The API with connections of its own; without a vault, so that this part cannot open a meter's key."""
    config.data.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    registry = stack.enter_context(Registry(config.data.folder / "registry.sqlite"))
    published = stack.enter_context(Published(config.data.folder / "published.sqlite"))
    _listen(create_app(registry, published, __version__), config.api.host, config.api.port, "api", stack)


def _listen(app: FastAPI, host: str, port: int, name: str, stack: ExitStack) -> None:
    """Serve in a thread of its own; returns when it listens, raises SubmeterError when it cannot."""
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, name=name, daemon=True)
    thread.start()

    def end() -> None:
        server.should_exit = True
        thread.join(STOP_S)

    stack.callback(end)
    while not server.started:
        if not thread.is_alive():
            raise SubmeterError(f"the {name} cannot listen on {host}:{port}: another program has the port; choose one in pipeline.toml")
        time.sleep(0.01)
