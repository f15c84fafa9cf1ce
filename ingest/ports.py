"""Where bytes come from: ttys and what pyserial has addresses for, TCP gateways, child processes, and lines that are sent to us (ingest/SERIAL.md 1, 3).

Every port has `read(wait_s)` (what has come, b"" if nothing does within the wait), `write` and `close`, and raises OSError when it is gone.
Rules: a tty is ours alone (two readers would get half of the bytes each), and is opened once with a short time-out that is never set again, since that
fails on ptys; only its speed is; a TCP connection has keep-alive, so that a gateway that
vanished is noticed after a minute. What is sent to us is bounded: lines and senders; what is dropped is counted.
"""

import os
import select
import shlex
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import serial

from submeter.ingest.framers import LineFramer

__all__ = ["Child", "Port", "Tcp", "TcpLines", "Tty", "UdpLines", "Wire", "connected", "listening", "opened", "serial_line"]

READ_BYTES: Final = 4096
CONNECT_S: Final = 5.0
#: How long a program may take to end when it is told to.
END_S: Final = 2.0
#: The time-out that a tty is opened with; waits are made of it.
TICK_S: Final = 0.01
#: Seconds idle, seconds between probes, probes.
KEEP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
PARITIES: Final = {"even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD, "none": serial.PARITY_NONE}
#: Senders that may be connected to a listening port at a time.
MOST_SENDERS: Final = 32
DATAGRAM: Final = 65_536


class Port(ABC):
    """What all ports do."""

    dropped = 0  # bytes that the port itself had to throw away

    @abstractmethod
    def read(self, wait_s: float) -> bytes:
        """Return what has come, after waiting at most so long for the first byte."""

    def write(self, data: bytes) -> None:
        """Send; raises OSError where nobody listens."""
        raise OSError(f"nobody is there to be told: {len(data)} bytes were not sent")

    @abstractmethod
    def close(self) -> None:
        """Leave."""


class Wire(Port):
    """A port to a line whose speed may be set."""

    @abstractmethod
    def speed(self, baud: int) -> None:
        """Send and receive at this rate from now on; raises OSError where that cannot be set from here."""


class Tty(Wire):
    """A device, or a pyserial address; `even`: 8E1 as on the wired bus, which ptys do not know."""

    def __init__(self, url: str, baud: int, *, even: bool = False) -> None:
        self._serial = serial_line(url, baud, "even" if even else "none", TICK_S)

    def read(self, wait_s: float) -> bytes:
        """Return what has come."""
        until = time.monotonic() + wait_s
        while True:
            waiting = self._serial.in_waiting
            data = self._serial.read(waiting or 1) if waiting or wait_s > 0 else b""
            if data or time.monotonic() >= until:
                return bytes(data)

    def write(self, data: bytes) -> None:
        """Send."""
        self._serial.write(data)

    def speed(self, baud: int) -> None:
        """Set the baud rate."""
        self._serial.baudrate = baud

    def close(self) -> None:
        """Close the device."""
        self._serial.close()


class Tcp(Wire):
    """A TCP gateway read like a port; pyserial's own way throws away what comes right after connecting and right before closing."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        if not address.hostname or not address.port:
            raise ValueError("write socket://host:port")
        self._link = connected(address.hostname, address.port)

    def read(self, wait_s: float) -> bytes:
        """Return what has come; raises ConnectionError when the gateway has closed."""
        if not _ready(self._link, wait_s):
            return b""
        data = self._link.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        return data

    def write(self, data: bytes) -> None:
        """Send."""
        self._link.sendall(data)

    def speed(self, baud: int) -> None:
        """The gateway's own business."""
        raise OSError(
            f"the line behind a TCP gateway has the speed that is set in the gateway, not {baud} baud: use its rfc2217:// port, if it has one"
        )

    def close(self) -> None:
        """Hang up."""
        self._link.close()


class Child(Port):
    """A program whose standard output is read, rtl_wmbus for one; what it says on standard error goes to ours."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._process = subprocess.Popen(  # noqa: S603  the operator's own command, split as a shell would, run without one
            shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout

    def read(self, wait_s: float) -> bytes:
        """Return what it printed; raises ConnectionError when it has ended."""
        if not _ready(self._output, wait_s):
            return b""
        data = os.read(self._output.fileno(), READ_BYTES)
        if not data:
            raise ConnectionError(f"{self._command.split()[0]} ended with status {self._process.wait()}")
        return data

    def close(self) -> None:
        """End it, and what it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, sign)
                try:
                    self._process.wait(END_S)
                except subprocess.TimeoutExpired:
                    continue
        self._output.close()


class UdpLines(Port):
    """Datagrams that are sent to us: lines, the last one with or without an end."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise

    def read(self, wait_s: float) -> bytes:
        """Return the next datagram as lines."""
        return self._socket.recv(DATAGRAM) + b"\n" if _ready(self._socket, wait_s) else b""

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class TcpLines(Port):
    """Senders that connect to us, each with lines of its own: whole lines come out. One sender too many is hung up on."""

    def __init__(self, host: str, port: int) -> None:
        self._server = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._senders: dict[socket.socket, LineFramer] = {}

    def read(self, wait_s: float) -> bytes:
        """Return the lines that have come."""
        ready = _readable([self._server, *self._senders], wait_s)
        lines: list[bytes] = []
        for one in ready:
            if one is self._server:
                self._welcome()
            else:
                lines += self._lines(one)
        return b"".join(line + b"\n" for line in lines)

    def close(self) -> None:
        """Listen no more."""
        for one in (self._server, *self._senders):
            one.close()

    def _welcome(self) -> None:
        sender, _ = self._server.accept()
        if len(self._senders) >= MOST_SENDERS:
            sender.close()
            return
        self._senders[_kept_alive(sender)] = LineFramer()

    def _lines(self, sender: socket.socket) -> list[bytes]:
        try:
            data = sender.recv(READ_BYTES)
        except OSError:
            data = b""
        framer = self._senders[sender]
        before = framer.dropped
        lines = framer.feed(data or b"\n")  # a line whose end is that of its connection
        self.dropped += framer.dropped - before
        if not data:
            del self._senders[sender]
            sender.close()
        return lines


def connected(host: str, port: int) -> socket.socket:
    """A TCP connection with keep-alive; raises OSError."""
    return _kept_alive(socket.create_connection((host, port), CONNECT_S))


def serial_line(url: str, baud: int, parity: str, timeout_s: float) -> serial.Serial:
    """A device or another address of pyserial, opened once with its time-out; ptys know no parity. Raises OSError or ValueError."""
    device = "://" not in url
    set_to = "none" if device and _is_pty(url) else parity
    extra = {"exclusive": True} if device else {}
    return serial.serial_for_url(url, baud, parity=PARITIES[set_to], timeout=timeout_s, **extra)


def opened(url: str, baud: int, *, even: bool = False) -> Tty | Tcp:
    """Open a device, `socket://host:port`, or another address of pyserial; raises OSError or ValueError."""
    return Tcp(url) if url.startswith("socket://") else Tty(url, baud, even=even)


def listening(url: str) -> UdpLines | TcpLines:
    """Listen at `udp://host:port` or `tcp://host:port`; raises OSError, or ValueError for another address."""
    address = urlsplit(url)
    kinds: dict[str, type[UdpLines | TcpLines]] = {"udp": UdpLines, "tcp": TcpLines}
    if address.scheme not in kinds or not address.hostname or not address.port:
        raise ValueError("write udp://host:port or tcp://host:port")
    return kinds[address.scheme](address.hostname, address.port)


def _kept_alive(link: socket.socket) -> socket.socket:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE:
        link.setsockopt(socket.IPPROTO_TCP, option, value)
    return link


def _ready(source: Any, wait_s: float) -> bool:
    return bool(_readable([source], wait_s))


def _readable(sources: Sequence[Any], wait_s: float) -> list[Any]:
    """Those that can be read, by `poll`: a process with a thousand connections has descriptors that `select` does not take."""
    waiter, numbered = select.poll(), {source.fileno(): source for source in sources}
    for number in numbered:
        waiter.register(number, select.POLLIN)
    return [numbered[number] for number, _ in waiter.poll(max(wait_s, 0.0) * 1000)]


def _is_pty(url: str) -> bool:
    return str(Path(url).resolve()).startswith("/dev/pts/")
