"""Operator commands beside a running core: a Unix socket in the data folder, readable by its owner only (DECISIONS 18).

Protocol: the client sends one JSON line ``{"command": …, "arguments": {…}}``; the server answers with JSON lines ``{"line": …}`` while the command
runs and ends with ``{"exit": 0}`` or ``{"error": …}``. The command itself runs on the core's thread, between two steps of its loop.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from submeter.errors import SubmeterError

__all__ = ["ControlServer", "ask", "socket_path"]

#: Runs a command on the core's thread; yields its lines; raises SubmeterError when the command refuses.
Execute = Callable[[str, dict[str, Any]], Iterator[str]]
LONGEST_REQUEST: Final = 1 << 20
#: What `sockaddr_un` holds, its final zero left out (BSD and macOS have the least).
LONGEST_PATH: Final = 103


def socket_path(folder: Path) -> Path:
    """Where the core of this data folder listens."""
    return folder / "control.sock"


class _Handler(socketserver.StreamRequestHandler):
    server: "ControlServer"

    def handle(self) -> None:
        try:
            request = json.loads(self.rfile.readline(LONGEST_REQUEST))
            for line in self.server.execute(request["command"], request["arguments"]):
                self._send({"line": line})
            self._send({"exit": 0})
        except SubmeterError as error:
            self._send({"error": str(error)})
        except (ValueError, KeyError, TypeError, RecursionError):
            self._send({"error": "the request is not a command line of submeter: client and core are of different versions"})

    def _send(self, answer: dict[str, Any]) -> None:
        """Answer one line; an operator who went away misses it, and the command goes on."""
        with suppress(OSError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class ControlServer(socketserver.ThreadingUnixStreamServer):
    """Listens in the data folder until `stop`; a socket left by a core that was killed is replaced."""

    daemon_threads = True

    def __init__(self, folder: Path, execute: Execute) -> None:
        path = socket_path(folder)
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise SubmeterError(f"{path} is too long for a socket ({LONGEST_PATH} bytes at most): choose a shorter data folder")
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)
        self.execute = execute
        self._path = path
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="control", daemon=True)

    def start(self) -> None:
        """Answer in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and take the socket away."""
        self.shutdown()
        self.server_close()
        self._path.unlink(missing_ok=True)


def ask(folder: Path, command: str, arguments: dict[str, Any]) -> Iterator[str] | None:
    """Let the running core of `folder` execute a command: its lines, or None when no core runs there. Raises SubmeterError with the core's words."""
    try:
        if not socket_path(folder).is_socket():
            return None
    except OSError:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(socket_path(folder)))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return _lines(connection, {"command": command, "arguments": arguments})


def _lines(connection: socket.socket, request: dict[str, Any]) -> Iterator[str]:
    try:
        with connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            for raw in stream:
                answer = json.loads(raw)
                if "error" in answer:
                    raise SubmeterError(answer["error"])
                if "exit" in answer:
                    return
                yield answer["line"]
    except OSError:
        pass
    raise SubmeterError("the core stopped before the command was done: run it again")
