"""The master of the wired bus and its scan, against the simulated bus: in memory for the rules, on a pty and a TCP port for the line."""

import os
import socket
import threading

import pytest
from bus_ports import InMemory
from hypothesis import given
from hypothesis import strategies as st

from submeter.decoders import Profile, decode
from submeter.ingest.bus.frames import EVERYBODY, Secondary, header_of, more_follows, nke, parse_address, request, select, verdict
from submeter.ingest.bus.master import Master, Timing
from submeter.ingest.bus.scan import Scan, scan_primary
from submeter.ingest.errors import PollError
from submeter.ingest.ports import opened
from submeter.reading import DeviceId
from submeter.simulate import Bus, Faults, PtyLine, Slave, TcpLine, encode, slaves

#: Slaves of the scan on a pty; the full bar is 60, which takes half a minute of silences.
SLAVES = int(os.environ.get("SUBMETER_BUS_SLAVES", "8"))
FAST = Timing(38400, latency_s=0.0)


def bus(count=3, seed=1, pages=1, **faults):
    """A simulated bus."""
    return Bus(slaves(count, seed, pages=pages), seed, Faults(**faults))


def master(on, **settings):
    """A master of a bus in memory."""
    return Master(InMemory(on), **settings)


def addresses(on):
    """The secondary addresses of all slaves."""
    return {Secondary.of(one.device) for one in on.slaves}


def found(on, **settings):
    """What a scan finds, without trouble."""
    return [one.address for one in Scan(master(on), **settings).run() if not one.trouble]


def stored(page):
    """The storage number of the last record of a page: which page of the simulated slave it is."""
    telegram = decode(page, lambda device: Profile(), link="mbus")
    return max(record.storage for record in telegram.records)


def test_frames_are_those_of_the_standard():
    """Short frames, a selection and the text form of a secondary address, byte by byte."""
    assert nke(5).hex() == "1040054516"
    assert request(5, fcb=True).hex() == "107b058016"
    assert request(5, fcb=False).hex() == "105b056016"
    address = parse_address("20135442 523B 03 07")
    assert select(address).hex(" ", 1) == "68 0b 0b 68 53 fd 52 42 54 13 20 52 3b 03 07 02 16"
    assert str(address) == "20135442 523B 03 07"
    assert parse_address("NZR-20135442-03-07") == address
    assert [parse_address(text) for text in ("1", "250", "254")] == [1, 250, EVERYBODY]
    assert parse_address("20135442") == Secondary("20135442")


@pytest.mark.parametrize("text", ["0", "251", "255", "", "x", "2013544", "20135442 523B 03", "NZR-2013-03-07"])
def test_a_wrong_address_says_what_to_write(text):
    """An address of no form is refused with examples of those there are."""
    with pytest.raises(ValueError, match="write a primary one"):
        parse_address(text)


@given(st.binary(max_size=40))
def test_any_answer_has_a_verdict(answer):
    """Any bytes are whole, or have a reason."""
    told = verdict(answer)
    assert told.whole == (told.reason is None)


def test_verdicts():
    """An acknowledgement with anything behind it is a collision, a wrong sum is `checksum`, the rest `framing`."""
    page = encode.wired(b"\x78\x0f")
    assert verdict(page) == (True, None)
    assert verdict(b"\xe5") == (True, None)
    assert verdict(b"\xe5\xe5").reason == "collision"
    assert verdict(page[:-2] + bytes([page[-2] ^ 1, 0x16])).reason == "checksum"
    assert {verdict(part).reason for part in (page[:-1], page + b"\0", b"\0" + page, b"\x68")} == {"framing"}
    assert verdict(b"").reason == "timeout"


def test_pages_of_a_read_come_in_order_and_the_read_can_be_repeated():
    """Three pages by primary and by secondary address, again and again: always the first to the last, whatever was read before."""
    on = bus(pages=3)
    asking = master(on)
    for one in [*on.slaves, on.slaves[0], on.slaves[0]]:
        for address in (one.primary, Secondary.of(one.device)):
            assert [stored(page) for page in asking.read(address)] == [0, 1, 2]
    assert asking.heard.total() == 0


def test_the_only_slave_of_a_line_answers_to_254():
    """Point to point nobody need know the address."""
    on = bus(1)
    assert header_of(master(on).read(EVERYBODY)[0]) in addresses(on)


def test_damaged_answers_are_asked_for_again():
    """With 15 % of all answers damaged, 100 reads of three pages are right, pages in order."""
    on = bus(5, pages=3, corrupt=0.15)
    asking = master(on)
    for number in range(100):
        one = on.slaves[number % 5]
        assert [stored(page) for page in asking.read(one.primary if number % 2 else Secondary.of(one.device))] == [0, 1, 2]
    assert on.counts.corrupted > 40
    assert asking.heard["checksum"] > 20


def reason(asking, address):
    """Why a read failed."""
    with pytest.raises(PollError) as caught:
        asking.read(address)
    return caught.value.reason


def test_every_failure_has_its_reason():
    """Silence, no selection, a collision, damage, pages without end."""
    on = bus(2)
    assert reason(master(on), 77) == "timeout"
    assert reason(master(on), Secondary("00000000")) == "not_selected"
    on.slaves[0].primary = on.slaves[1].primary
    assert reason(master(on), on.slaves[1].primary) in {"checksum", "framing"}
    assert reason(master(bus(1, corrupt=1.0)), 1) in {"checksum", "framing", "collision"}
    assert reason(master(bus(1, pages=17)), 1) == "page_limit"
    assert len(master(bus(1, pages=16)).read(1)) == 16


def test_a_page_that_comes_twice_is_one_page():
    """A slave that repeats a page although it was asked for the next one does not make two of it."""
    on = bus(1, pages=2)
    original, asked = Slave.answer, []

    def stubborn(slave, control):
        asked.append(control)
        return original(slave, asked[-2] if len(asked) == 2 else control)

    on.slaves[0].__class__ = type("Stubborn", (Slave,), {"__slots__": (), "answer": stubborn})
    assert [stored(page) for page in master(on).read(1)] == [0, 1]
    assert asked == [0x7B, 0x5B, 0x7B, 0x5B]


@pytest.mark.parametrize("echo", [None, True])
def test_a_line_that_echoes(echo):
    """The echo is found out and taken away, or taken away because it is configured."""
    on = bus(2, pages=2, echo=True)
    asking = master(on, echo=echo)
    assert [len(asking.read(one.primary)) for one in on.slaves] == [2, 2]
    assert asking.echo is True
    assert set(found(bus(5, echo=True))) == addresses(bus(5))


def test_a_scan_of_sixty_slaves_needs_no_more_than_400_exchanges(capsys):
    """On eleven buses of 60 random slaves (on the last, frames laid over each other look sound) all are found with at most 400 selections and requests."""
    worst = 0
    for seed in (*range(10), 13):
        on = bus(60, seed)
        assert set(found(on)) == addresses(on)
        worst = max(worst, on.counts.selects + on.counts.requests)
    with capsys.disabled():
        print(f" [scan of 60 slaves: at most {worst} exchanges]", end="")  # noqa: T201  the figure of the bar
    assert worst <= 400


def test_a_scan_on_a_noisy_line_finds_all():
    """Damaged and late answers cost exchanges, no slave."""
    for seed in range(5):
        on = bus(20, seed, corrupt=0.15, noise=0.05, late=0.03)
        assert set(found(on)) == addresses(on)


def test_slaves_with_equal_ids_are_parted():
    """Where all digits are equal, medium, version and manufacturer part the slaves; what nothing parts is told."""
    page = slaves(1, 1)[0].pages
    ids = [DeviceId("KAM", "12345678", 1, 7), DeviceId("KAM", "12345678", 1, 4), DeviceId("KAM", "12345678", 2, 4), DeviceId("NZR", "12345678", 2, 4)]
    on = Bus([Slave(device, number + 1, page, delay_s=0.0) for number, device in enumerate(ids)])
    makers = [Secondary.of(device).manufacturer for device in ids]
    assert set(found(on, manufacturers=makers)) == addresses(on)
    troubles = [one for one in Scan(master(on)).run() if one.trouble]
    assert [(one.trouble, one.address.id) for one in troubles] in ([], [("collision", "12345678")])


def test_hex_ids_are_found_on_request():
    """Ids with A to E are found with `hex_digits`; without it the mask that they hide behind is not resolved."""
    page = slaves(1, 1)[0].pages
    on = Bus([Slave(DeviceId("KAM", identity, 1, 7), 1, page) for identity in ("12A45678", "12B45678", "99999999")])
    assert set(found(on, hex_digits=True)) == addresses(on)


def test_known_slaves_cost_two_exchanges_each():
    """A bus whose inventory is known is checked by one selection and one request a meter; those that are away are left out."""
    on = bus(20)
    on.slaves[3].silent = True
    scan = Scan(master(on))
    there = [one.address for one in scan.known(Secondary.of(one.device) for one in on.slaves)]
    assert set(there) == addresses(on) - {Secondary.of(on.slaves[3].device)}
    assert on.counts.selects + on.counts.requests == 39
    assert [one for one in scan.run() if not one.trouble] == []


def test_primary_addresses():
    """SND_NKE finds primary addresses; two slaves at one address are told as they answer, a line that damages everything is named as such."""
    on = bus(5)
    assert [one.address for one in scan_primary(master(on), range(1, 20)) if not one.trouble] == [1, 2, 3, 4, 5]
    with pytest.raises(PollError, match="--echo yes"):
        list(scan_primary(master(bus(20, corrupt=1.0))))


def test_scan_and_reads_on_a_pty(tmp_path, capsys):
    """On a real pty: all slaves are found, three-page reads with 15 % damaged answers are right. SUBMETER_BUS_SLAVES=60 is the whole bar."""
    on = bus(SLAVES, 7, pages=3)
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        port = opened(line.url, FAST.baud, even=True)
        scan = Scan(Master(port, FAST))
        assert {one.address for one in scan.run() if not one.trouble} == addresses(on)
        if SLAVES == 60:
            assert on.counts.selects + on.counts.requests <= 400
        with capsys.disabled():
            print(f" [scan of {SLAVES} slaves on a pty: {on.counts.selects} selections, {on.counts.requests} requests]", end="")  # noqa: T201  the figure of the bar
        on.faults = Faults(corrupt=0.15)
        asking = Master(port, FAST)
        for number in range(100 if SLAVES == 60 else 15):
            assert [stored(page) for page in asking.read(on.slaves[number % SLAVES].primary)] == [0, 1, 2]
        port.close()


def test_reads_through_a_tcp_gateway():
    """The same master over socket://; a gateway that hangs up is an OSError at once, one that is back is read again."""
    on = bus(2, pages=2)
    with TcpLine(on) as line:
        port = opened(line.url, 2400, even=True)
        assert len(Master(port, FAST).read(1)) == 2
        link = port._link
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert [link.getsockopt(socket.IPPROTO_TCP, one) for one in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)] == [30, 10, 3]
        line.unplug()
        with pytest.raises(OSError, match=r"closed|reset|pipe"):
            Master(port, FAST).read(1)
        port.close()
        line.plug_in()
        port = opened(line.url, 2400, even=True)
        assert len(Master(port, FAST).read(1)) == 2
        port.close()


def test_slaves_of_another_baud_rate_are_not_heard(tmp_path):
    """The simulated line knows the speed of the port, so a slave of 300 baud answers at 300 baud only."""
    on = bus(2)
    on.slaves[0].baud = 300
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        for baud, there in ((38400, [2]), (300, [1, 2])):
            port = opened(line.url, baud, even=True)
            assert [one.address for one in scan_primary(Master(port, FAST), [1, 2])] == there
            port.close()


def test_threads_end_with_their_line(tmp_path):
    """A simulated line leaves no thread behind."""
    before = threading.active_count()
    with PtyLine(bus(1), tmp_path / "ttyBUS"):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_the_last_page_says_so():
    """`more_follows` is the last DIF, not the last byte: manufacturer data behind 0F may end in 1F."""
    assert more_follows(encode.wired(encode.plain(b"\x04\x13\0\0\0\0\x1f", encode.Header(1, 0, DeviceId("ABC", "00000001", 1, 7)))))
    assert not more_follows(encode.wired(encode.plain(b"\x04\x13\0\0\0\0\x0f\x1f", encode.Header(1, 0, DeviceId("ABC", "00000001", 1, 7)))))
