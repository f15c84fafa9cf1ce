"""The running demo: the service, gateways that send at a multiple of real time, the older years in between.

The world's clock begins where its history ends and goes `speed` times as fast as ours until it has caught up; from then on it is ours. Gateways keep and
forward, so what they heard yesterday is of yesterday; accounts, codes and sessions always live in real time.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from submeter import civil
from submeter.core import now
from submeter.demo.building import fill
from submeter.demo.folder import LIVE, Demo
from submeter.demo.outbox import PATH, Printed, page
from submeter.errors import SubmeterError
from submeter.service import CoreThread, serve
from submeter.simulate.gateway import Network
from submeter.simulate.history import Stretch
from submeter.store import Inbox
from submeter.store.inbox import Message

__all__ = ["Gateways", "running"]

SOURCE: Final = "demo"
TICK_S: Final = 1.0
#: So many ticks pass between two rollups, and before the older years begin to come.
ROLLUP_EVERY: Final = 5
OLDER_AFTER: Final = 3

Say = Callable[[str], None]


@contextmanager
def running(demo: Demo, say: Say) -> Iterator[CoreThread]:
    """The service of a demo with its outbox page, in threads of this process."""
    stop, started = threading.Event(), threading.Event()
    cores: list[CoreThread] = []

    def begin(core: CoreThread | None) -> None:
        if core is not None:
            cores.append(core)
        started.set()

    arguments = {"part": "all", "stop": stop, "started": begin, "beside": {PATH: page(demo)}}
    service = threading.Thread(target=serve, args=[demo.config], kwargs=arguments, name="service")
    printed = Printed(demo, say)
    service.start()
    try:
        while not started.wait(0.1):
            if not service.is_alive():
                raise SubmeterError("the service did not start: see the lines above")
        printed.start()
        yield cores[0]
    finally:
        stop.set()
        service.join()
        if started.is_set():
            printed.stop()


class Gateways:
    """The gateways of all houses since this start, `speed` times as fast as real time."""

    def __init__(self, demo: Demo, core: CoreThread, *, speed: float, say: Say) -> None:
        self._demo, self._core, self._speed, self._say = demo, core, speed, say
        self._networks = [Network(building, LIVE, f"live-{now()}") for building in demo.world.buildings.values()]
        self._begun, self._from = time.monotonic(), demo.until

    def run(self, seconds: float | None) -> None:
        """Send for so many seconds, or until interrupted; returns when everything that was sent is in the tables, the older years too."""
        end, tick = time.monotonic() + seconds if seconds is not None else float("inf"), 0
        with Inbox(self._demo.config.data.folder / "inbox.sqlite") as inbox:
            while time.monotonic() < end or (seconds is not None and self._demo.left):
                time.sleep(TICK_S)
                self._send(inbox)
                tick += 1
                if tick % ROLLUP_EVERY == 0:
                    self._roll()
                if tick > OLDER_AFTER and self._demo.left:
                    fill(self._demo, self._command, self._say)
            self._roll()
        self._demo.keep()

    def _send(self, inbox: Inbox) -> None:
        """What was heard since the last time goes into the inbox, as a collector would put it there."""
        t_from, t_to = self._demo.until, self._clock()
        if t_from >= t_to:
            return
        heard = [
            Message(SOURCE, message.payload, now(), topic=message.topic) for network in self._networks for message in network.messages(t_from, t_to)
        ]
        inbox.append(heard)
        self._demo.note(Stretch(t_from, t_to, LIVE))

    def _clock(self) -> int:
        """What time it is in the world, whole milliseconds."""
        passed = (time.monotonic() - self._begun) * self._speed
        return min(now(), self._from + round(passed * civil.SECOND)) // 1000 * 1000

    def _roll(self) -> None:
        for _ in self._command("rollup", {}):
            pass
        self._demo.keep()

    def _command(self, command: str, arguments: Mapping[str, Any]) -> Iterator[str]:
        return self._core.submit(command, arguments)
