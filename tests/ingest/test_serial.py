"""The serial collector on a real pty and a real TCP socket."""

import os
import socket
import sqlite3
import threading
import tty

import pytest
from broker import wait_until
from hypothesis import given
from hypothesis import strategies as st
from payloads import LINE, TELEGRAM

from submeter.ingest import serial as module
from submeter.ingest.framers import MAX_LINE, LineFramer
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.store.inbox import Inbox

HEX = TELEGRAM.encode()


class Collecting:
    """A collector on a thread of its own, its events and its inbox."""

    def __init__(self, path, url, **settings):
        self.events = []
        self.path = path
        self.collector = SerialCollector(SerialSettings("dongle", url, **settings), path, lambda event, *_: self.events.append(event))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.collector.run, args=[self._stop])

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self.events)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def wait_for(self, *payloads):
        """Wait until exactly these payloads are kept, in this order."""
        with Inbox(self.path) as inbox:
            wait_until(lambda: [message.payload for message in inbox.pending(100)] == list(payloads))
            return inbox.pending(100)


@pytest.fixture
def port():
    """A pty: what is written to `port[0]` arrives at the device `port[1]`."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Do not wait a second before each new attempt."""
    monkeypatch.setattr(module, "BACKOFF_S", (0.05, 0.2))


def test_lines_from_a_tty_are_messages(tmp_path, port):
    """Each line is a message of its source and gateway, whatever pieces it comes in."""
    with Collecting(tmp_path / "inbox.sqlite", port[1], gateway="cellar", format="hex") as running:
        os.write(port[0], b"\r\n" + HEX[:11])
        os.write(port[0], HEX[11:] + b"\r\n" + LINE + b"\n" + HEX)
        kept = running.wait_for(HEX, LINE)
        assert {(message.source, message.gateway, message.format) for message in kept} == {("dongle", "cellar", "hex")}
        os.write(port[0], b"\n")
        running.wait_for(HEX, LINE, HEX)
        assert running.events == ["port_connected"]
        wait_until(lambda: running.collector.counters.messages == 3)


def test_the_port_names_the_gateway_if_nothing_else_does(tmp_path, port):
    """Without a gateway in the settings, telegrams are counted under the port's name."""
    with Collecting(tmp_path / "inbox.sqlite", port[1]) as running:
        os.write(port[0], HEX + b"\n")
        assert running.wait_for(HEX)[0].gateway == "dongle"


def test_noise_is_kept_or_counted_and_stops_nothing(tmp_path, port):
    """Lines that are no telegrams are kept for their reason; one without an end is dropped up to the next line and counted."""
    with Collecting(tmp_path / "inbox.sqlite", port[1]) as running:
        os.write(port[0], b"\x00\xff\xfe\n")
        for _ in range(5):
            os.write(port[0], b"\x55" * 1000)
        os.write(port[0], b"\n" + HEX + b"\n")
        running.wait_for(b"\x00\xff\xfe", HEX)
        assert running.collector.counters.dropped_bytes == 5000


def test_a_tcp_gateway_that_comes_and_goes(tmp_path):
    """A socket is read like a port, and connected again after the gateway closes it."""
    server = socket.create_server(("127.0.0.1", 0))
    with Collecting(tmp_path / "inbox.sqlite", f"socket://127.0.0.1:{server.getsockname()[1]}") as running:
        for number in range(1, 4):
            client, _ = server.accept()
            client.sendall(LINE + b"\n")
            running.wait_for(*[LINE] * number)
            client.close()
            wait_until(lambda number=number: running.events.count("port_lost") == number)
    server.close()


def test_a_tcp_gateway_that_sends_and_closes_at_once(tmp_path):
    """What comes together with the connection, and what comes together with its end, is kept."""
    server = socket.create_server(("127.0.0.1", 0))
    with Collecting(tmp_path / "inbox.sqlite", f"socket://127.0.0.1:{server.getsockname()[1]}") as running:
        for number in range(1, 6):
            client, _ = server.accept()
            client.sendall(LINE + b"\n")
            client.close()
            running.wait_for(*[LINE] * number)
    server.close()


def test_a_missing_port_is_waited_for(tmp_path, port):
    """A port that appears later is opened then; the trouble is told once."""
    device = tmp_path / "ttyLATER"
    with Collecting(tmp_path / "inbox.sqlite", str(device)) as running:
        device.symlink_to(port[1])
        wait_until(lambda: running.events == ["port_lost", "port_connected"])
        os.write(port[0], HEX + b"\n")
        running.wait_for(HEX)


@pytest.mark.parametrize("url", ["nonsense://x", "socket://127.0.0.1:notaport", "socket://127.0.0.1", "/dev/null", ""])
def test_a_wrong_address_is_told(tmp_path, url):
    """An address that cannot work is reported and leaves the collector running."""
    with Collecting(tmp_path / "inbox.sqlite", url) as running:
        assert running.events == ["port_lost"]
        assert running._thread.is_alive()


def test_a_silent_port_is_opened_again(tmp_path, port):
    """A port from which nothing comes for the stall time is reported and opened anew."""
    with Collecting(tmp_path / "inbox.sqlite", port[1], stall_s=0.1) as running:
        wait_until(lambda: running.collector.counters.connections >= 3)
        assert running.events == ["port_connected", "port_stalled"]
        os.write(port[0], HEX + b"\n")
        running.wait_for(HEX)


def test_lines_wait_while_the_inbox_refuses(tmp_path, port):
    """What the inbox cannot take waits and is kept once it can; more than the bound is dropped, oldest first, and counted."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port[1]) as running:
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE messages RENAME TO away")
        for number in range(100):
            os.write(port[0], b"%03d" % number + b"x" * 997 + b"\n")
        wait_until(lambda: running.collector.counters.bytes == 100 * 1001)
        assert "inbox_write_failed" in running.events
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE away RENAME TO messages")
        other.close()
        running.wait_for(*(b"%03d" % number + b"x" * 997 for number in range(100 - 65, 100)))
        assert running.collector.counters.dropped_bytes == 35 * 1000
        wait_until(lambda: running.events[-1] == "port_connected")


@given(st.binary(max_size=3 * MAX_LINE), st.lists(st.integers(1, 500), max_size=20))
def test_framing_does_not_depend_on_the_pieces(data, cuts):
    """However a stream is cut, the same lines come out, none too long."""
    whole, pieces = LineFramer(), LineFramer()
    lines, at = [], 0
    for cut in cuts:
        lines += pieces.feed(data[at : at + cut])
        at += cut
    lines += pieces.feed(data[at:])
    assert lines == whole.feed(data)
    assert lines == [line.strip() for line in data.split(b"\n")[:-1] if line.strip() and len(line) <= MAX_LINE]
    assert pieces.dropped == whole.dropped
