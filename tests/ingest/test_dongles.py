"""Setting dongles up and finding them, on real ptys with a dongle on the other side: modes, faults, nothing written that nobody asked for."""

from types import SimpleNamespace

import pytest
from broker import wait_until
from dongle_lines import amber
from serial.tools import list_ports
from sticks import Amber, Cul, Im871a, Rc1180
from threaded import kept, running

from submeter.ingest.dongles import finding, talk
from submeter.ingest.envelopes import split
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.reading import DeviceId
from submeter.simulate import encode

STICKS = {"im871a": Im871a, "amber": Amber, "cul": Cul, "rc1180": Rc1180}
FRAME = encode.radio(DeviceId("STM", "82000001", 3, 7), encode.plain(encode.bcd(b"\x13", 1, 8), encode.Header(1, 0)))
STRANGER = {"im871a": Amber, "amber": Im871a, "cul": Amber, "rc1180": Cul}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """An answer on a pty is there at once or never."""
    monkeypatch.setattr(talk, "ANSWER_S", 0.2)


class Collecting:
    """A collector of one dongle, its events, its telegrams."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.told = []
        self.collector = SerialCollector(SerialSettings("dongle", **settings), folder / "inbox.sqlite", lambda *event: self.told.append(event))

    def __enter__(self):
        self._end = running(self.collector)
        return self

    def __exit__(self, *_):
        self._end()

    def events(self):
        """Their names."""
        return [event for event, _ in self.told]

    def hears(self, stick, count=1, line=None):
        """A telegram reaches the inbox; returns all that did."""
        wait_until(lambda: self.collector.counters.connected)
        stick.hears(FRAME, line)
        wait_until(lambda: self.collector.counters.messages >= count)
        return [split(None, message.payload, message.format).telegrams[0] for message in kept(self.folder)]


@pytest.mark.parametrize("kind", list(STICKS))
def test_nothing_is_written_unless_the_configuration_asks_for_it(tmp_path, kind):
    """Without a mode a dongle is listened to: not one byte is sent to it."""
    with STICKS[kind]() as stick, Collecting(tmp_path, url=stick.url, kind=kind) as running_one:
        assert running_one.hears(stick)[0].raw == FRAME
        assert stick.asked == []


@pytest.mark.parametrize(
    ("kind", "mode", "is_set"),
    [("im871a", "T1", 3), ("im871a", "C+T", 10), ("amber", "C+T", 9), ("amber", "T1", 8), ("cul", "C1", b"c"), ("cul", "T1", b"t")],
)
def test_the_mode_is_set(tmp_path, kind, mode, is_set):
    """A dongle is asked who it is, then told the mode; what it hears between its answers is kept, with its level."""
    with STICKS[kind](between=FRAME) as stick, Collecting(tmp_path, url=stick.url, kind=kind, mode=mode) as running_one:
        wait_until(lambda: stick.mode == is_set)
        telegrams = running_one.hears(stick, 3)
        assert {telegram.raw for telegram in telegrams} == {FRAME}
        assert None not in {telegram.rssi_dbm for telegram in telegrams}
        assert running_one.events() == ["port_connected"]
        assert stick.asked[0] in {bytes.fromhex("a5010f00"), bytes.fromhex("ff0a02008077"), b"V\r\n"}


@pytest.mark.parametrize(("kind", "line"), [("amber", lambda frame: amber(frame, None)), ("rc1180", bytes)])
def test_a_module_without_levels_is_understood(tmp_path, kind, line):
    """The memory of an Amber or an RC1180 says whether levels follow: without them frames are whole, and have none."""
    with STICKS[kind](rssi=0) as stick, Collecting(tmp_path, url=stick.url, kind=kind, mode="T1") as running_one:
        wait_until(lambda: stick.asked[-1:] == ([b"X"] if kind == "rc1180" else [b"\xff\x04\x01\x08\xf2"]))
        assert [(one.raw, one.rssi_dbm) for one in running_one.hears(stick, line=line)] == [(FRAME, None)]


def test_an_rc1180_is_read_and_left(tmp_path):
    """Its memory is compared with the mode and never written; it hears again afterwards, and another mode is told."""
    with Rc1180(mode=0) as stick, Collecting(tmp_path, url=stick.url, kind="rc1180", mode="T1") as running_one:
        wait_until(lambda: "dongle_refused" in running_one.events())
        wait_until(lambda: stick.asked == [b"\x00", b"0", b"X"])
        assert not stick.open
        assert running_one.hears(stick)[0].raw == FRAME


def test_an_rc1180_that_is_cut_short_is_left_all_the_same(tmp_path):
    """Where the memory does not come whole, nothing is believed, and the module hears again."""
    with Rc1180(lambda answer: answer[:100]) as stick, Collecting(tmp_path, url=stick.url, kind="rc1180", mode="T1") as running_one:
        wait_until(lambda: "dongle_silent" in running_one.events())
        wait_until(lambda: stick.asked == [b"\x00", b"0", b"0", b"0", b"X"])
        assert running_one.hears(stick)[-1].raw == FRAME


@pytest.mark.parametrize("kind", list(STICKS))
@pytest.mark.parametrize("fault", ["silent", "damaged", "stranger"])
def test_a_dongle_that_does_not_answer_is_told_and_not_written_to(tmp_path, kind, fault):
    """No answer, a damaged one, one of another device: three times the question, nothing else, one event; what is heard is kept all the same."""
    make = STICKS[kind]
    damage = {"silent": lambda answer: b"", "damaged": _damaged, "stranger": lambda answer: _said_by(STRANGER[kind])}[fault]
    with make(damage) as stick, Collecting(tmp_path, url=stick.url, kind=kind, mode="T1") as running_one:
        wait_until(lambda: "dongle_silent" in running_one.events())
        assert len(stick.asked) >= 3
        assert set(stick.asked) == {stick.asked[0]}
        assert "it is listened to as it is" in running_one.told[-1][1]
        assert running_one.hears(stick)[-1].raw == FRAME


@pytest.mark.parametrize(
    ("kind", "other"), [("im871a", bytes.fromhex("a5010200")), ("amber", bytes.fromhex("ff8b0412345678") + b"\x78"), ("cul", b"21  900\r\n")]
)
def test_an_answer_to_another_question_is_none(tmp_path, kind, other):
    """A sound answer of the right device, to a question that was not asked, says nothing."""
    with STICKS[kind](lambda _: other) as stick, Collecting(tmp_path, url=stick.url, kind=kind, mode="T1") as running_one:
        wait_until(lambda: "dongle_silent" in running_one.events())
        assert set(stick.asked) == {stick.asked[0]}


def _damaged(answer):
    """One byte of it is wrong, one of the word CUL where there is no checksum."""
    return answer[:-6] + bytes([answer[-6] ^ 0x41]) + answer[-5:] if len(answer) > 6 else b"?"


def _said_by(kind):
    """What another kind says to its own question."""
    question = {Amber: "ff0a02008077", Im871a: "a5010f00", Cul: b"V\r\n".hex()}[kind]
    return kind().answer(bytes.fromhex(question))


def test_refusals_are_told(tmp_path):
    """An old firmware has no C+T, a stubborn dongle keeps its mode, a module refuses one: each is a sentence, none is believed."""
    cases = [
        (Im871a(firmware=0x13), "im871a", "C+T", "firmware"),
        (Im871a(stubborn=True), "im871a", "T1", "another one"),
        (Amber(status=1), "amber", "T1", "status 01"),
    ]
    for number, (stick, kind, mode, words) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        with stick, Collecting(folder, url=stick.url, kind=kind, mode=mode) as running_one:
            wait_until(lambda one=running_one: "dongle_refused" in one.events())
            assert words in running_one.told[-1][1]
            assert running_one.hears(stick)[0].raw == FRAME
    assert bytes.fromhex("a5010306000" + "20a300100") not in cases[0][0].asked


def usb(monkeypatch, *ports):
    """What is plugged in: VID, PID and device of each; returns a list that grows with each look at them."""
    looks = []

    def comports():
        looks.append(1)
        return [SimpleNamespace(vid=vid, pid=pid, device=device) for vid, pid, device in ports]

    monkeypatch.setattr(list_ports, "comports", comports)
    return looks


def test_a_dongle_is_found_by_its_number_first(tmp_path, monkeypatch):
    """`port = "auto"` asks the stick with a number of its own before any serial chip, and opens nothing that is neither."""
    with Im871a() as stick, Amber() as other, Cul() as modem:
        usb(monkeypatch, (0x0403, 0x6001, other.url), (0x1234, 0x5678, modem.url), (None, None, modem.url), (0x10C4, 0x87ED, stick.url))
        with Collecting(tmp_path, url="auto", kind="im871a", mode="T1") as running_one:
            wait_until(lambda: stick.mode == 3)
            assert running_one.hears(stick)[0].raw == FRAME
            assert (other.asked, modem.asked) == ([], [])
            assert stick.asked.count(bytes.fromhex("a5010f00")) == 1


@pytest.mark.parametrize("kind", list(STICKS))
def test_any_dongle_is_found(tmp_path, monkeypatch, kind):
    """`kind = "auto"` asks each kind's question at each kind's speed, and hears whichever answers."""
    with STICKS[kind]() as stick:
        usb(monkeypatch, (0x1A86, 0x7523, stick.url))
        with Collecting(tmp_path, url="auto", kind="auto") as running_one:
            assert running_one.hears(stick)[0].raw == FRAME
            assert running_one.told == [("port_connected", f"{kind} at {stick.url}")]


def test_a_stick_that_starts_when_it_is_opened_is_found(tmp_path, monkeypatch):
    """A nanoCUL misses what is said to it in its first seconds: it is asked again."""
    deaf = [True]
    with Cul(lambda answer: b"" if deaf and deaf.pop() else answer) as stick:
        usb(monkeypatch, (0x1A86, 0x7523, stick.url))
        with Collecting(tmp_path, url="auto", kind="cul") as running_one:
            assert running_one.hears(stick)[0].raw == FRAME
        assert stick.asked == [b"V\r\n", b"V\r\n"]


def test_no_dongle_is_told_and_looked_for_again(tmp_path, monkeypatch):
    """Where nothing answers, the event says where it was looked; one that is plugged in later is found; a port that is taken is passed over."""
    monkeypatch.setattr("submeter.ingest.serial.BACKOFF_S", (0.05, 0.2))
    usb(monkeypatch)
    with Cul() as stick, Collecting(tmp_path, url="auto", kind="cul") as running_one:
        wait_until(lambda: running_one.events() == ["dongle_silent"])
        assert "no USB port" in running_one.told[0][1]
        holding = finding.opened(stick.url, 38400)
        looks = usb(monkeypatch, (0x03EB, 0x204B, stick.url))
        wait_until(lambda: len(looks) > 1)
        assert stick.asked == []
        holding.close()
        assert running_one.hears(stick)[0].raw == FRAME
        assert running_one.events() == ["dongle_silent", "port_connected"]
