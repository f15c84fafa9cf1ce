"""A simulated bus on a pty or a TCP port: the thread that owns the line's other end (ingest/SERIAL.md 5).

A line has a `url` for a master, `unplug` and `plug_in`; as a context it is plugged in. What the bus counts is read from `line.bus.counts`.
"""

import os
import select
import socket
import termios
import threading
import tty
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from submeter.simulate.bus import Bus

__all__ = ["Line", "PtyLine", "TcpLine"]

_WAIT_S: Final = 0.02
_CHUNK: Final = 4096
_BAUD: Final = {getattr(termios, f"B{rate}"): rate for rate in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}


class Line(ABC):
    """A bus within reach of a master."""

    url: str

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug_in(self) -> None:
        """Be there."""
        self._open()
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, name=f"bus {self.url}")
        self._thread.start()

    def unplug(self) -> None:
        """Be gone, as a cable that is pulled."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None
            self._close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):  # the master hung up
                self._answer(self._read())

    def _answer(self, data: bytes) -> None:
        for answer in self.bus.hear(data, self._baud()) if data else ():
            if answer.delay_s and self._stop.wait(answer.delay_s):
                return
            self._write(answer.data)

    def _baud(self) -> int | None:
        return None

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    @abstractmethod
    def _read(self) -> bytes:
        """What the master sent, b"" if nothing came in a moment."""

    @abstractmethod
    def _write(self, data: bytes) -> None: ...


class PtyLine(Line):
    """A pty behind a link of this name, so that a bus that is plugged in again has the same one."""

    def __init__(self, bus: Bus, link: Path) -> None:
        super().__init__(bus)
        self.url = str(link)
        self._link = link

    def _open(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._theirs))

    def _close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._link.unlink(missing_ok=True)

    def _read(self) -> bytes:
        return os.read(self._ours, _CHUNK) if _readable(self._ours) else b""

    def _write(self, data: bytes) -> None:
        os.write(self._ours, data)

    def _baud(self) -> int | None:
        return _BAUD.get(termios.tcgetattr(self._theirs)[4])


class TcpLine(Line):
    """A listening TCP port that takes one master at a time, as small gateways do; `baud` is the speed that the gateway is set to, None for any."""

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 0, baud: int | None = None) -> None:
        super().__init__(bus)
        self.baud = baud
        self._host, self._port = host, port
        self._master: socket.socket | None = None
        self.url = f"socket://{host}:{port}"

    def _open(self) -> None:
        self._server = socket.create_server((self._host, self._port))
        self._port = self._server.getsockname()[1]
        self.url = f"socket://{self._host}:{self._port}"

    def _close(self) -> None:
        self._server.close()
        self._hang_up()

    def _baud(self) -> int | None:
        return self.baud

    def _hang_up(self) -> None:
        if self._master:
            self._master.close()
            self._master = None

    def _read(self) -> bytes:
        if not _readable((self._master or self._server).fileno()):
            return b""
        if self._master is None:
            self._master, _ = self._server.accept()
            self._master.settimeout(1.0)
            return b""
        try:
            data = self._master.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def _write(self, data: bytes) -> None:
        if self._master:
            self._master.sendall(data)


def _readable(descriptor: int) -> bool:
    """Whether something comes within the wait; by `poll`, which takes descriptors of any number."""
    waiter = select.poll()
    waiter.register(descriptor, select.POLLIN)
    return bool(waiter.poll(_WAIT_S * 1000))
