"""The simulated wired bus by known answers: what slaves hear, answer, obey and leave alone (EN 13757-2; ingest/SERIAL.md 5)."""

import pytest

from submeter.decoders import Profile, decode
from submeter.reading import DeviceId
from submeter.simulate.bus import Answer, Bus, Counts, Faults, Slave, slaves
from submeter.simulate.frames import wired
from submeter.simulate.records import Slot, bcd

ACK = b"\xe5"
DEVICE = DeviceId("KAM", "12345678", 0x1B, 0x04)
PAGES = tuple(bcd(b"\x06", 100 + page, 8, Slot(storage=page)) for page in range(3))


def short(control: int, address: int) -> bytes:
    """A short frame."""
    return bytes([0x10, control, address, control + address & 0xFF, 0x16])


def told(address: int, data: str, control: int = 0x53) -> bytes:
    """User data to a slave."""
    return wired(bytes.fromhex(data), address=address, control=control)


def slave(primary: int = 5, identity: str = "12345678", **more: object) -> Slave:
    """A slave with three pages."""
    return Slave(DeviceId("KAM", identity, 0x1B, 0x04), primary, PAGES, **more)


def heard(bus: Bus, *frames: bytes, baud: int | None = None) -> list[bytes]:
    """What the line answers to each frame, nothing as b""."""
    return [b"".join(answer.data for answer in bus.hear(frame, baud)) for frame in frames]


def page(answer: bytes) -> int:
    """Which page an answer is, by the storage of its record."""
    (record, *_) = decode(answer, lambda _: Profile(), link="mbus").records
    return record.storage


@pytest.mark.parametrize(
    ("controls", "pages"),
    [
        ([0x7B], [0]), ([0x7B, 0x7B], [0, 0]), ([0x7B, 0x5B], [0, 1]), ([0x7B, 0x5B, 0x7B], [0, 1, 2]), ([0x7B, 0x5B, 0x7B, 0x5B], [0, 1, 2, 2]),
        ([0x5B, 0x7B], [0, 1]), ([0x7B, 0x5B, 0x5B, 0x7B], [0, 1, 1, 2]), ([0x7B, 0x40, 0x7B], [0, None, 0]), ([0x7B, 0x5B, 0x40, 0x5B], [0, 1, None, 0]),
    ],
)  # fmt: skip
def test_a_frame_count_bit_turns_the_page(controls: list[int], pages: list[int | None]) -> None:
    """An equal one repeats, another one turns over, the last page stays; a reset begins anew, and is acknowledged."""
    answers = heard(Bus([slave()]), *(short(control, 5) for control in controls))
    assert [None if answer == ACK else page(answer) for answer in answers] == pages


def test_pages_say_whether_more_follow_and_count_on() -> None:
    """All but the last end with the mark; access numbers rise with each page and stay with a repetition."""
    answers = heard(Bus([slave()]), *(short(control, 5) for control in (0x7B, 0x7B, 0x5B, 0x7B)))
    assert [answer[-3] == 0x1F for answer in answers] == [True, True, True, False]
    access = [decode(answer, lambda _: Profile(), link="mbus").access_number for answer in answers]
    assert access == [1, 1, 2, 3]
    assert all(decode(answer, lambda _: Profile(), link="mbus").device == DEVICE for answer in answers)


#: Selection: id low byte first, manufacturer, version, medium.
@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        ("78563412 2d2c 1b 04", True), ("ffffffff ffff ff ff", True), ("78563412 ffff ff ff", True), ("7856341f ffff ff ff", True), ("f8563412 ffff ff ff", True),
        ("78563413 ffff ff ff", False), ("79563412 ffff ff ff", False), ("ffffff12 2d2c ff ff", True), ("ffffffff 2d2d ff ff", False), ("ffffffff ff2c ff ff", False),
        ("ffffffff ffff 1b ff", True), ("ffffffff ffff 1c ff", False), ("ffffffff ffff ff 04", True), ("ffffffff ffff ff 07", False),
    ],
)  # fmt: skip
def test_a_selection_means_whom_its_digits_mean(selection: str, meant: bool) -> None:
    """F is any digit, FF any version and medium, FFFF any maker; who is meant acknowledges and answers at 253, and nobody else does."""
    bus = Bus([slave()])
    assert heard(bus, told(253, "52" + selection), short(0x7B, 253)) == ([ACK, wired(_body(1), address=5)] if meant else [b"", b""])
    assert bus.counts == Counts(selects=1, requests=1, answers=2 * meant)


def _body(access: int) -> bytes:
    """The first page behind its long header."""
    return bytes.fromhex("72 78563412 2d2c 1b 04") + bytes([access, 0, 0, 0]) + PAGES[0] + b"\x1f"


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (short(0x7B, 254), True), (short(0x7B, 255), False), (short(0x7B, 253), False), (short(0x7B, 5), True), (short(0x7B, 6), False), (short(0x40, 254), True),
        (short(0x40, 255), False), (told(5, "5a00"), True), (told(6, "5a00"), False), (told(253, "52ffffffffffffff"), False), (told(253, "51ffffffffffffffff"), False),
        (told(253, "52ffffffffffffffffff"), False), (told(5, "52ffffffffffffffff"), True), (told(253, "52ffffffffffffffff", control=0x7B), False),
    ],
)  # fmt: skip
def test_who_is_meant_answers(frame: bytes, answer: bool) -> None:
    """The own address and 254; 255 is for all and answered by none, 253 for the one that is selected; a selection is eight bytes behind 52."""
    assert bool(heard(Bus([slave()]), frame)[0]) == answer
    assert heard(Bus([slave(silent=True)]), frame) == [b""]


def test_a_reset_at_253_ends_the_selection() -> None:
    """At the own address it does not; another selection that means somebody else does."""
    for frame, stays in (
        (short(0x40, 253), False),
        (short(0x40, 5), True),
        (told(253, "52 79563412 ffffffff"), False),
        (told(253, "52 78563412 ffffffff"), True),
    ):
        bus = Bus([slave()])
        heard(bus, told(253, "52 ffffffff ffffffff"), frame)
        assert bool(heard(bus, short(0x7B, 253))[0]) == stays


@pytest.mark.parametrize(("ci", "rate"), [("b8", 300), ("b9", 600), ("ba", 1200), ("bb", 2400), ("bc", 4800), ("bd", 9600)])
def test_a_slave_goes_to_another_rate(ci: str, rate: int) -> None:
    """The order is acknowledged, then it hears that rate only."""
    bus = Bus([slave()])
    assert heard(bus, told(5, ci), baud=19200) == [ACK]
    assert [bool(heard(bus, short(0x7B, 5), baud=baud)[0]) for baud in (rate, 2 * rate, None)] == [True, False, True]


@pytest.mark.parametrize(
    ("order", "address"), [("51017a09", 9), ("51017afa", 250), ("51017afb", 5), ("51017a", 5), ("51017a0900", 5), ("51017b09", 5), ("50017a09", 5), ("b7", 5), ("be", 5), ("b800", 5)]
)  # fmt: skip
def test_a_slave_takes_another_address(order: str, address: int) -> None:
    """Up to 250, by the one record that says it; any other user data is acknowledged and does nothing. A silent slave obeys nothing."""
    for silent in (False, True):
        one = slave(silent=silent)
        assert heard(Bus([one]), told(5, order, control=0x73)) == [b"" if silent else ACK]
        assert (one.primary, one.baud) == (5 if silent else address, None)


@pytest.mark.parametrize(
    ("noise", "frames"),
    [
        (b"", 1), (b"\x00\xff\x55", 1), (b"\x10", 1), (b"\x68", 1), (b"\x68\x03\x03", 1), (b"\x68\x02\x02\x68", 1), (b"\x68\x04\x05\x68", 1), (b"\x10\x40\x05\x46\x16", 1),
        (b"\x10\x40\x05\x45\x17", 1), (short(0x40, 6), 1), (short(0x40, 5), 2), (told(6, "5a"), 1),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_passed_over(noise: bytes, frames: int) -> None:
    """Bytes, beginnings, wrong lengths, sums and ends in front of a frame, whole or byte by byte: the frame is heard."""
    for parts in ([noise + short(0x40, 5)], [bytes([one]) for one in noise + short(0x40, 5)]):
        bus = Bus([slave()])
        assert b"".join(heard(bus, *parts, short(0x40, 5))) == ACK * (frames + 1)


def test_answers_of_several_are_one() -> None:
    """Equal acknowledgements look like one; different answers are a bytewise OR, which is none of them; the slowest says when."""
    bus = Bus([slave(5, delay_s=0.1), slave(5, "21436587", delay_s=0.3), slave(6)])
    assert bus.hear(short(0x40, 5)) == [Answer(0.3, ACK)]
    ((delay, data),) = bus.hear(short(0x7B, 5))
    alone = [Bus([one]).hear(short(0x7B, 5))[0].data for one in (slave(5), slave(5, "21436587"))]
    assert data == bytes(one | other for one, other in zip(*alone, strict=True))
    assert (delay, data in alone) == (0.3, False)


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_faults_happen_as_often_as_said(part: float) -> None:
    """Of a thousand answers: damaged in one byte, behind one to three bytes of noise, late; none, a part, or all of them, the same for a seed."""
    seen = {}
    for name in ("corrupt", "noise", "late"):
        bus = Bus([slave()], 7, Faults(**{name: part}, late_s=2.0))
        answers = [bus.hear(short(0x40, 5))[0] for _ in range(1000)]
        seen[name] = {
            "corrupt": sum(one.data != ACK for one in answers),
            "noise": sum(len(one.data) > 1 for one in answers),
            "late": sum(one.delay_s == 2.0 for one in answers),
        }
        assert seen[name] == {other: seen[name][other] if other == name else 0 for other in seen[name]} or name == "noise"
        assert abs(seen[name][name] - 1000 * part) <= (50 if 0 < part < 1 else 0)
        assert bus.counts.corrupted == seen["corrupt"]["corrupt"] * (name == "corrupt")
        if name == "noise":
            assert {len(one.data) for one in answers} == ({1} if not part else {2, 3, 4} if part == 1 else {1, 2, 3, 4})
            assert all(one.data.endswith(ACK) for one in answers)
        again = Bus([slave()], 7, Faults(**{name: part}, late_s=2.0))
        assert answers == [again.hear(short(0x40, 5))[0] for _ in range(1000)]


def test_an_echo_stands_before_the_answer() -> None:
    """Whatever is sent comes back at once, also where nobody answers."""
    bus = Bus([slave(delay_s=0.5)], faults=Faults(echo=True))
    assert bus.hear(short(0x40, 5)) == [Answer(0.0, short(0x40, 5)), Answer(0.5, ACK)]
    assert bus.hear(b"\x00") == [Answer(0.0, b"\x00")]
    assert Bus([slave()]).hear(b"\x00") == []


def test_made_up_slaves() -> None:
    """As many as asked, each by its number alone: ids of digits, addresses from 1 to 250 and again, rates in turn, pages with values of their own."""
    made = slaves(260, 3, pages=3, bauds=(300, None, 2400))
    assert made == slaves(260, 3, pages=3, bauds=(300, None, 2400)) != slaves(260, 4, pages=3, bauds=(300, None, 2400))
    assert [one.primary for one in made] == [*range(1, 251), *range(1, 11)]
    assert [one.baud for one in made[:4]] == [300, None, 2400, 300]
    assert len({one.device for one in made}) == 260
    assert all(one.device.id.isdecimal() and 1 <= one.device.version <= 90 and one.device.type in {2, 4, 6, 7} for one in made)
    for one in made[:20]:
        values = [decode(wired(b"\x78" + records), lambda _: Profile(), link="mbus").records[0].value for records in one.pages]
        assert values == [max(values[0] - 10_000 * number, 0) for number in range(3)]
    assert slaves(0, 3) == []
