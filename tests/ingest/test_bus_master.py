"""The master of the wired bus against answers that are written here, on a clock of its own: what is sent when, what is believed, how long is waited (EN 13757-2; SERIAL.md 2)."""

import pytest
from test_bus_frames import LONG, PAGE, long_frame

from submeter.ingest.bus.frames import SELECTED, Secondary, nke, parse_address, request, select
from submeter.ingest.bus.master import Master, Timing
from submeter.ingest.errors import PollError

ACK = b"\xe5"
OURS = parse_address("20135442 523B 03 02")
MORE, LAST = long_frame(LONG + "0c13 78563412 1f"), PAGE


class Line:
    """A wire; `answers` are what comes of each request in turn: pieces of bytes, and seconds of silence between them. Its clock goes with what is waited."""

    def __init__(self, *answers):
        self.answers, self.asked, self.rates = list(answers), [], []
        self.now, self._coming = 0.0, []

    def clock(self):
        """Seconds."""
        return self.now

    def write(self, data):
        """A request."""
        self.asked.append(data)
        told = self.answers.pop(0) if self.answers else ()
        self._coming = [told] if isinstance(told, (bytes, float)) else list(told)

    def read(self, wait_s):
        """The next piece, if it comes within the wait."""
        while self._coming:
            if isinstance(self._coming[0], bytes):
                return self._coming.pop(0)
            if self._coming[0] > wait_s:
                self._coming[0] -= wait_s
                break
            self.now += self._coming[0]
            wait_s -= self._coming.pop(0)
        self.now += wait_s
        return b""

    def speed(self, baud):
        """Another rate."""
        self.rates.append(baud)


def master(*answers, **settings):
    """A master, and its line."""
    line = Line(*answers)
    return Master(line, clock=line.clock, **settings), line


def why(asking, address=5):
    """Why a read failed."""
    with pytest.raises(PollError) as caught:
        asking.read(address)
    return caught.value.reason


def test_a_read_by_primary_address():
    """SND_NKE, then REQ_UD2 with the frame count bit set, and turned over for each further page."""
    asking, line = master(ACK, MORE, long_frame(LONG + "0c13 00000000 1f"), LAST)
    assert asking.read(5) == [MORE, long_frame(LONG + "0c13 00000000 1f"), LAST]
    assert line.asked == [nke(5), request(5, fcb=True), request(5, fcb=False), request(5, fcb=True)]
    assert (asking.sent, asking.heard.total()) == ({"nke": 1, "request": 3}, 0)
    assert asking.received == len(ACK) + sum(map(len, (MORE, MORE, LAST)))


def test_a_read_by_secondary_address():
    """A selection, then the same at 253."""
    asking, line = master(ACK, LAST)
    assert asking.read(OURS) == [LAST]
    assert line.asked == [select(OURS), request(SELECTED, fcb=True)]


#: Answers to a read of primary address 5 that goes well in the end → what was asked besides.
PATIENT = [
    ((0.0, ACK, LAST), [nke(5)]),
    ((ACK, 0.0, LAST), [request(5, fcb=True)]),
    ((ACK, b"\xff", LAST), [request(5, fcb=True)]),
    ((ACK, ACK, LAST), [request(5, fcb=True)]),
    ((ACK, 0.0, 0.0, LAST), [request(5, fcb=True)] * 2),
    ((b"\xe5\xe5", ACK, LAST), [nke(5)]),
    ((ACK, LAST[:-1], LAST[:-1], LAST[:-1], ACK, LAST), [request(5, fcb=True)] * 2 + [nke(5), request(5, fcb=True)]),
]


@pytest.mark.parametrize(("answers", "more"), PATIENT)
def test_what_is_missed_or_damaged_is_asked_for_again(answers, more):
    """The same bytes up to three times; a read that breaks off in damage is begun anew, once."""
    asking, line = master(*answers)
    assert asking.read(5) == [LAST]
    assert sorted(line.asked) == sorted([nke(5), request(5, fcb=True), *more])


#: Answers, the address → the reason, and how often the line was asked.
GIVEN_UP = [
    ((), 5, "timeout", 3),
    ((ACK,), 5, "timeout", 4),
    ((), OURS, "not_selected", 3),
    ((ACK,), OURS, "timeout", 4),
    ((ACK, ACK, ACK, ACK) * 2, 5, "framing", 8),
    ((ACK, *[LAST[:-2] + b"\0\x16"] * 3) * 2, 5, "checksum", 8),
    ((b"\xe5\xe5",) * 6, 5, "collision", 6),
    ((ACK, long_frame("08 06" + LONG[5:])) * 2, 5, "framing", 4),
    ((ACK, long_frame(LONG.replace("42541320", "43541320"))), OURS, "not_selected", 2),
    ((ACK, *[long_frame(LONG + f"0c13 {number:08d} 1f") for number in range(16)]), 5, "page_limit", 17),
    ((ACK, *[MORE] * 16), 5, "page_limit", 17),
]


@pytest.mark.parametrize(("answers", "address", "reason", "asked"), GIVEN_UP)
def test_what_is_given_up(answers, address, reason, asked):
    """Each with the reason of its last try, after no more questions than that takes."""
    asking, line = master(*answers)
    assert (why(asking, address), len(line.asked)) == (reason, asked)


def test_any_page_of_somebody_else_spoils_the_read():
    """All pages are of whom was selected; one without a long header says nothing against it."""
    other = long_frame(LONG.replace("42541320", "43541320"))
    assert why(master(ACK, MORE, other)[0], OURS) == "not_selected"
    bare = long_frame("08 05 78 0c13 78563412")
    assert master(ACK, MORE, bare)[0].read(OURS) == [MORE, bare]
    assert master(ACK, long_frame("08 63" + LONG[5:]))[0].read(254) == [long_frame("08 63" + LONG[5:])]


def test_a_page_that_comes_again_is_one():
    """A slave that repeats itself is asked on; two equal pages with another between them are two."""
    other = long_frame(LONG + "0c13 00000000 1f")
    assert master(ACK, MORE, MORE, LAST)[0].read(5) == [MORE, LAST]
    assert master(ACK, MORE, other, MORE, LAST)[0].read(5) == [MORE, other, MORE, LAST]


#: How a line echoes; what the master knows of it before and after.
ECHOES = [
    (None, True, True),
    (None, False, False),
    (True, True, True),
    (False, False, False),
]


@pytest.mark.parametrize(("before", "echoes", "after"), ECHOES)
def test_whether_a_line_echoes_is_found_out(before, echoes, after):
    """Our own bytes in front of an answer are taken away, and known about then."""
    sent = (nke(5), request(5, fcb=True))
    asking, _ = master(*((own, answer) if echoes else (answer,) for own, answer in zip(sent, (ACK, LAST), strict=True)), echo=before)
    assert (asking.read(5), asking.echo) == ([LAST], after)


def test_an_echo_that_nobody_expects_is_no_answer():
    """Where the configuration says that there is none, our own bytes are damage."""
    assert why(master(*[(nke(5), ACK)] * 6, echo=False)[0]) == "framing"


def test_an_echo_alone_is_silence():
    """Nobody answered; and a cut echo is none either."""
    asking, _ = master(*[nke(5)] * 3)
    assert (why(asking), asking.echo) == ("timeout", True)
    assert why(master(*[nke(5)[:3]] * 3)[0]) == "timeout"


SLOW = Timing(2400)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        ([0.2, LAST], True),
        ([0.3, LAST], False),
        ([LAST[:9], 0.03, LAST[9:]], True),
        ([LAST[:9], 0.05, LAST[9:]], False),
        ([LAST[:1], 0.03, LAST[1:2], 0.03, LAST[2:]], True),
        ([nke(5), 0.2, ACK], False),  # an echo of another request
    ],
)
def test_how_long_an_answer_is_waited_for(answer, whole):
    """To its first byte 330 bits and 50 ms behind the request, between two bytes 22 bits and the way; what comes later is damage."""
    asking, _ = master(answer, timing=SLOW)
    if whole:
        assert asking.page(5, fcb=True, tries=1) == LAST
    else:
        with pytest.raises(PollError):
            asking.page(5, fcb=True, tries=1)


def test_behind_an_echo_a_slave_has_its_whole_time():
    """The echo takes the time of the request on the line; the answer may come as late as without it."""
    asking, _ = master([request(5, fcb=True), 0.2, LAST], timing=SLOW)
    assert asking.page(5, fcb=True, tries=1) == LAST


def test_a_line_that_never_ends_does_not_hold_a_read_up():
    """Noise without a pause is damage after the time of the longest frame."""

    class Noise(Line):
        def read(self, wait_s):
            self.now += 0.01
            return b"\x55"

    line = Noise()
    with pytest.raises(PollError, match="framing: request: 1 times, at last 55 55"):
        Master(line, SLOW, clock=line.clock).page(5, fcb=True, tries=1)
    assert line.now < 6


def test_an_acknowledgement_that_is_damaged_is_one_of_a_selection():
    """Several slaves may answer at a time: the page proves who it was."""
    asking, line = master(b"\xe5\xe5")
    assert asking.select(OURS)
    silent, deaf = master()
    assert not silent.select(Secondary(), tries=2)
    assert (len(line.asked), len(deaf.asked), silent.sent["select"]) == (1, 2, 2)


def test_orders_want_an_acknowledgement():
    """Three times; the sentence says what came instead."""
    asking, line = master(0.0, ACK)
    asking.order(b"order")
    assert line.asked == [b"order"] * 2
    with pytest.raises(PollError, match="timeout: order: 3 times, at last nothing came"):
        asking.order(b"order")
    asking.deselect()
    assert line.asked[-1] == nke(253)


def test_the_speed_is_set_where_it_is_another():
    """Waits are those of the new rate."""
    asking, line = master(timing=SLOW)
    asking.speed(2400)
    asking.speed(300)
    asking.speed(300)
    assert (line.rates, asking.timing) == ([300], Timing(300))


def test_sixteen_pages_are_read():
    """As many as there may be."""
    pages = [long_frame(LONG + f"0c13 {number:08d} 1f") for number in range(15)]
    assert len(master(ACK, *pages, LAST)[0].read(5)) == 16
