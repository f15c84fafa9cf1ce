"""Ports by themselves: lines that are sent to us, programs, gateways; what is dropped is counted, and what is gone is an OSError (ingest/SERIAL.md 1, 3)."""

import os
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest
from broker import free_port, wait_until

from submeter.ingest import ports
from submeter.ingest.framers import MAX_LINE
from submeter.ingest.ports import MOST_SENDERS, Child, Tcp, TcpLines, Tty, UdpLines, listening, opened


def until(port, wanted, tries=100):
    """Read until so many bytes have come."""
    found = b""
    while len(found) < wanted and tries:
        found, tries = found + port.read(0.05), tries - 1
    return found


@pytest.fixture
def lines():
    """Lines over TCP, at a port of loopback, and a way to connect."""
    number = free_port()
    with closing(TcpLines("127.0.0.1", number)) as port:
        yield port, lambda: socket.create_connection(("127.0.0.1", number), 5)


#: What a sender writes and whether it hangs up → the lines that come of it, and how many bytes are dropped.
SENT = [
    (b"one\ntwo\n", False, [b"one", b"two"], 0),
    (b"one\r\n\r\n  two  \n", False, [b"one", b"two"], 0),
    (b"one\nhalf", False, [b"one"], 0),
    (b"one\nhalf", True, [b"one", b"half"], 0),
    (b"half", True, [b"half"], 0),
    (b"x" * MAX_LINE + b"\nafter\n", False, [b"x" * MAX_LINE, b"after"], 0),
    (b"x" * (MAX_LINE + 1) + b"\nafter\n", False, [b"after"], MAX_LINE + 1),
    (b"x" * (MAX_LINE + 1), True, [], MAX_LINE + 1),
]


@pytest.mark.parametrize(("sent", "ends", "found", "dropped"), SENT)
def test_lines_of_a_sender(lines, sent, ends, found, dropped):
    """Whole lines, the last one also by the end of its connection; what is longer than any line is dropped and counted."""
    port, connect = lines
    wanted = b"".join(line + b"\n" for line in found)
    with connect() as sender:
        sender.sendall(sent)
        if ends:
            sender.close()
        assert until(port, len(wanted)) == wanted
        wait_until(lambda: port.read(0.0) == b"" and port.dropped == dropped)


def test_lines_of_several_senders_are_not_mixed(lines):
    """Each has a line of its own under way."""
    port, connect = lines
    with connect() as one, connect() as other:
        one.sendall(b"first ")
        other.sendall(b"second ")
        assert port.read(0.2) == b""
        one.sendall(b"half\n")
        other.sendall(b"half\n")
        assert sorted(until(port, 23).splitlines()) == [b"first half", b"second half"]


def test_a_sender_too_many_is_hung_up_on(lines):
    """The others go on; when one has left, another may come."""
    port, connect = lines
    senders = [connect() for _ in range(MOST_SENDERS)]
    for _ in senders:
        port.read(0.2)
    with connect() as one_more:
        port.read(0.2)
        assert one_more.recv(1) == b""
    senders[0].close()
    wait_until(lambda: port.read(0.0) == b"" and len(port._senders) < MOST_SENDERS)
    with connect() as another:
        another.sendall(b"there\n")
        assert until(port, 6) == b"there\n"
    for sender in senders[1:]:
        sender.close()


def test_a_sender_that_is_cut_off_costs_itself(lines):
    """A reset connection ends its line; the port lives."""
    port, connect = lines
    sender = connect()
    sender.sendall(b"half")
    assert port.read(0.2) == b""
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sender.close()
    with connect() as other:
        other.sendall(b"whole\n")
        assert b"whole\n" in until(port, 11, tries=20)


def test_datagrams_are_lines():
    """One datagram, one line at least, however it ends; nobody is answered."""
    number = free_port()
    with closing(UdpLines("127.0.0.1", number)) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for sent in (b"one", b"two\n", b"three\nfour"):
            sender.sendto(sent, ("127.0.0.1", number))
        assert [port.read(1.0) for _ in range(3)] == [b"one\n", b"two\n\n", b"three\nfour\n"]
        assert port.read(0.0) == b""
        with pytest.raises(OSError, match="3 bytes were not sent"):
            port.write(b"abc")
        with pytest.raises(OSError, match="in use"):
            UdpLines("127.0.0.1", number)


def test_what_a_program_prints_until_it_ends():
    """Its standard output as it comes; its end is told with its status, and nothing can be written to it."""
    with closing(Child(f"{sys.executable} -c 'import sys; print(\"a telegram\", flush=True); sys.exit(3)'")) as port:
        assert until(port, 11) == b"a telegram\n"
        with pytest.raises(OSError, match="were not sent"):
            port.write(b"x")
        with pytest.raises(ConnectionError, match="ended with status 3"):
            until(port, 1)
    with pytest.raises(OSError, match="no-such-program"):
        Child("no-such-program -x")


@pytest.mark.parametrize("deaf", [False, True])
def test_a_program_is_ended_with_what_it_started(monkeypatch, deaf):
    """Told to end, and killed where it does not listen; its own children go with it."""
    monkeypatch.setattr(ports, "END_S", 0.3 if deaf else 20)
    ignoring = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if deaf else ""
    code = f"import os, signal, time; {ignoring}child = os.fork(); child and os.write(1, b'%d %d' % (os.getpid(), child)); time.sleep(60)"
    port = Child(f'{sys.executable} -c "{code}"')
    both = [int(one) for one in until(port, 4).split()]
    assert len(both) == 2
    port.close()
    wait_until(lambda: not any(alive(one) for one in both))
    assert port._process.returncode == -(signal.SIGKILL if deaf else signal.SIGTERM)


def alive(process):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_gateway_over_tcp():
    """Bytes as they come, bytes as they are sent; its end is an error; its line's speed is its own."""
    with socket.create_server(("127.0.0.1", 0)) as server, closing(Tcp(f"socket://127.0.0.1:{server.getsockname()[1]}")) as port:
        gateway, _ = server.accept()
        gateway.sendall(b"abc")
        assert until(port, 3) == b"abc"
        assert port.read(0.0) == b""
        port.write(b"de")
        assert gateway.recv(10) == b"de"
        with pytest.raises(OSError, match="set in the gateway, not 300 baud"):
            port.speed(300)
        gateway.close()
        with pytest.raises(ConnectionError, match="closed the connection"):
            until(port, 1)


def test_a_tty_is_read_written_and_ours_alone():
    """What waits comes at once, nothing within the wait is nothing; a second reader would take half of the bytes."""
    ours, theirs = os.openpty()
    with closing(Tty(os.ttyname(theirs), 9600, even=True)) as port:
        os.write(ours, b"abc")
        assert until(port, 3) == b"abc"
        assert port.read(0.0) == b""
        assert port.read(0.03) == b""
        port.write(b"de")
        assert os.read(ours, 10) == b"de"
        port.speed(300)
        with pytest.raises(OSError, match="lock"):
            Tty(os.ttyname(theirs), 9600)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "udp://127.0.0.1", "tcp://:4001", "udp:4001", ""])
def test_an_address_to_listen_at_that_is_none(url):
    """The sentence shows both forms."""
    with pytest.raises(ValueError, match="write udp://host:port or tcp://host:port"):
        listening(url)


@pytest.mark.parametrize("url", ["socket://127.0.0.1", "socket://:4001", "socket://"])
def test_an_address_of_a_gateway_that_is_none(url):
    """Host and port are needed."""
    with pytest.raises(ValueError, match="write socket://host:port"):
        opened(url, 2400)


def test_both_kinds_of_address():
    """IPv4 and IPv6, lines and datagrams."""
    for url, kind in (("udp://127.0.0.1:{}", UdpLines), ("tcp://127.0.0.1:{}", TcpLines), ("udp://[::1]:{}", UdpLines), ("tcp://[::1]:{}", TcpLines)):
        with closing(listening(url.format(free_port()))) as port:
            assert type(port) is kind
            assert port.read(0.0) == b""
