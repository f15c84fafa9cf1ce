"""The control socket: lines come as they are made, refusals with their words, clients may vanish or talk nonsense."""

import json
import os
import socket
import stat
import threading

import pytest
from broker import wait_until

from submeter.cli.operate import run
from submeter.config import parse
from submeter.control import ControlServer, ask, socket_path
from submeter.core import lock
from submeter.errors import SubmeterError


def execute(command, arguments):
    """A core that counts, or refuses."""
    if command == "refuse":
        raise SubmeterError("not now: wait")
    yield from (f"{command} {number}" for number in range(arguments["lines"]))


@pytest.fixture
def server(tmp_path):
    """A server over `execute` in a short folder."""
    running = ControlServer(tmp_path, execute)
    running.start()
    yield running
    running.stop()


def send(folder, raw):
    """Send bytes as they are; the answer's lines."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(folder)))
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        return [json.loads(line) for line in connection.makefile()]


def test_a_command_answers_line_by_line(server, tmp_path):
    """All lines come in order, then the end; only the owner may connect."""
    assert list(ask(tmp_path, "count", {"lines": 3})) == ["count 0", "count 1", "count 2"]
    assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o600


def test_a_refusal_is_the_cores_own_sentence(server, tmp_path):
    """What the core refuses is raised where the operator asked."""
    with pytest.raises(SubmeterError, match="not now: wait"):
        list(ask(tmp_path, "refuse", {}))


def test_without_a_core_there_is_no_answer(tmp_path):
    """No socket, or one that a killed core left, means: open the files here."""
    assert ask(tmp_path, "count", {}) is None
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(socket_path(tmp_path)))
    left.close()
    assert ask(tmp_path, "count", {}) is None
    ControlServer(tmp_path, execute).server_close()


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"command":"count"}\n', b'{"command":"count","arguments":{}}\n', b"x" * 70_000]
)
def test_nonsense_is_answered_and_the_server_goes_on(server, tmp_path, raw):
    """A request that is none gets one sentence; the next one is served."""
    assert "different versions" in send(tmp_path, raw)[0]["error"]
    assert list(ask(tmp_path, "count", {"lines": 1})) == ["count 0"]


def test_a_client_that_goes_away_harms_nobody(server, tmp_path):
    """The command runs to its end; the next client is served."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(tmp_path)))
        connection.sendall(b'{"command":"count","arguments":{"lines":100000}}\n')
    assert wait_until(lambda: list(ask(tmp_path, "count", {"lines": 1})) == ["count 0"])


def test_a_core_that_stops_in_the_middle_is_said(tmp_path):
    """An answer without an end is an error, not a success."""
    with socket.create_server(str(socket_path(tmp_path)), family=socket.AF_UNIX) as listener:
        lines = ask(tmp_path, "count", {"lines": 1})
        listener.accept()[0].close()
        with pytest.raises(SubmeterError, match="run it again"):
            list(lines)


def test_a_folder_whose_path_is_too_long_is_refused(tmp_path):
    """A socket's path has a limit; the sentence says what to do."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with pytest.raises(SubmeterError, match="choose a shorter data folder"):
        ControlServer(folder, execute)
    assert ask(folder, "count", {}) is None


def test_a_command_waits_for_a_core_that_starts(tmp_path, capsys):
    """The folder is held and nobody answers yet: the command goes to the core once it does."""
    held, servers = lock(tmp_path), []

    def start():
        servers.append(ControlServer(tmp_path, execute))
        servers[0].start()

    later = threading.Timer(0.5, start)
    later.start()
    try:
        run(parse(f'[data]\nfolder = "{tmp_path}"', tmp_path / "pipeline.toml"), "count", lines=2)
    finally:
        later.join()
        servers[0].stop()
        os.close(held)
    assert capsys.readouterr().out == "count 0\ncount 1\n"
