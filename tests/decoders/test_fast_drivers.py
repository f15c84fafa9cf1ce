"""Which payloads of drivers columns read, by what their tables say; what columns cannot judge is the plain path's, and both say the same of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from both_paths import COLUMNS, NOBODY, PLAIN, Sent, readers

from submeter.decoders import Profile, WrongKey
from submeter.decoders.codings import bcd, date_d, date_g, date_short_year, seconds_2000, signed, unsigned, unsigned_be
from submeter.decoders.driver import FILLED, TAIL, Bits, Codes, Driver, Due, Field, Found, Gate, History, Layout, Make, Rule, Sealed, Tags
from submeter.decoders.fast import Decoder
from submeter.decoders.security import Opened
from submeter.reading import DeviceId
from submeter.simulate import encode

POND = DeviceId("PND", "20000001", 1, 7)
WHO = {"c": COLUMNS, "p": PLAIN, "-": NOBODY}
#: Litres now and at the end of a month, its date; a day of the meter.
NOW = Field(0, 4, "volume", scale=Fraction(1, 1000))
THEN = replace(NOW, at=4, storage=1, label="month_end")
DAY = Field(8, 2, "date", date_g, storage=1)
SIGNED, SHOWN = replace(NOW, coding=signed), Layout((NOW,), read=lambda _: Found(), shows=True)
#: The ends of the years 2009, 2010 and 2020, and the days behind them.
END_9, FIRST_10, LAST_20, FIRST_21 = "3f1c", "4111", "9f2c", "a121"
RISING, YEARS = Gate(rising=("volume",)), Gate(years=(2010, 2020))


def litres(*numbers: int) -> str:
    """Numbers of four bytes."""
    return "".join(number.to_bytes(4, "little", signed=number < 0).hex() for number in numbers)


def block(*fields: Field, **more: object) -> Layout:
    """A layout of these fields."""
    return Layout(fields, **more)


#: What is read: layouts or rules of a driver; its payloads in hex, and who reads them.
Case = tuple[Mapping[str, object], Mapping[str, str]]
CASES: dict[str, Case] = {
    "the largest value that is believed": (
        {"layouts": (block(NOW),), "gate": Gate(largest={"volume": 9})},
        {litres(0): "c", litres(8999): "c", litres(9000): "p", litres(9001): "-", "ffffffff": "-"},
    ),
    "the largest value below nought": (
        {"layouts": (block(SIGNED),), "gate": Gate(largest={"volume": 9})},
        {litres(-8999): "c", litres(-9000): "p", litres(-9001): "-", "00000080": "p"},
    ),
    "a bound on what is in another unit": (
        {"layouts": (block(Field(0, 4, "energy", unit="Wh")),), "gate": Gate(largest={"energy": 9})},
        {litres(8): "c", litres(9): "p", litres(10): "-"},
    ),
    "a bound on what has no field": ({"layouts": (block(NOW),), "gate": Gate(largest={"energy": 9})}, {litres(9): "c"}),
    "a stored value above the present one": (
        {"layouts": (block(NOW, THEN, DAY),), "gate": RISING},
        {
            litres(5, 4) + FIRST_10: "c", litres(5, 5) + FIRST_10: "c", litres(5, 6) + FIRST_10: "-", litres(5, 6) + "0000": "-", litres(5, 4) + "0000": "c",
            "ffffffff" + litres(6) + FIRST_10: "p", litres(5) + "ffffffff" + FIRST_10: "-", litres(0, 0) + FIRST_10: "c",
        },
    ),
    "several stored values": (
        {"layouts": (block(THEN, NOW, replace(NOW, at=10, storage=2, label="month_end"), DAY, replace(DAY, at=14, storage=2)),), "gate": RISING},
        {
            litres(9, 5) + FIRST_10 + litres(7) + FIRST_10: "c", litres(9, 9) + FIRST_10 + litres(9) + FIRST_10: "c",
            litres(9, 5) + FIRST_10 + litres(10) + FIRST_10: "-", litres(9, 10) + FIRST_10 + litres(1) + FIRST_10: "-",
        },
    ),
    "signed values that may not fall": ({"layouts": (block(SIGNED, replace(THEN, coding=signed), DAY),), "gate": RISING}, {litres(5, 4) + FIRST_10: "p"}),
    "decimals that may not fall": (
        {"layouts": (block(replace(NOW, coding=bcd), replace(THEN, coding=bcd), DAY),), "gate": RISING},
        {litres(5, 4) + FIRST_10: "c", litres(5, 5) + FIRST_10: "c", litres(5, 6) + FIRST_10: "-", "0a000000" + litres(6) + FIRST_10: "p"},
    ),
    "values of two scales": ({"layouts": (block(NOW, replace(THEN, scale=Fraction(1, 100)), DAY),), "gate": RISING}, {litres(90, 8) + FIRST_10: "p"}),
    "values that are no whole millionths": (
        {"layouts": (block(Field(0, 4, "energy", unit="J"), Field(4, 4, "energy", unit="J", storage=1), DAY),), "gate": Gate(rising=("energy",))},
        {litres(5, 4) + FIRST_10: "p", litres(5, 6) + FIRST_10: "-"},
    ),
    "a stored value without a present one": ({"layouts": (block(THEN, DAY),), "gate": RISING}, {litres(5, 4) + FIRST_10: "p"}),
    "another register may fall": (
        {"layouts": (block(NOW, replace(THEN, quantity="energy", scale=Fraction(1)), DAY),), "gate": RISING}, {litres(5, 9) + FIRST_10: "c"},
    ),
    "what has to be there": (
        {"layouts": (block(NOW, THEN, DAY),), "gate": Gate(needs=("volume", "date"))},
        {litres(5, 4) + FIRST_10: "c", litres(5, 4) + "0000": "-", "ffffffff" + litres(4) + FIRST_10: "p"},
    ),
    "what has to be there and is shown only": ({"layouts": (block(NOW, Field(4, 1, "word")),), "gate": Gate(needs=("word",))}, {litres(5) + "00": "p"}),
    "what has to be there and never is": ({"layouts": (block(NOW),), "gate": Gate(needs=("energy",))}, {litres(5): "-"}),
    "the years that are believed": (
        {"layouts": (block(NOW, THEN, DAY),), "gate": YEARS},
        {litres(5, 4) + END_9: "-", litres(5, 4) + FIRST_10: "c", litres(5, 4) + LAST_20: "c", litres(5, 4) + FIRST_21: "-", litres(5, 4) + "0000": "c"},
    ),
    "the years of a time": (
        {"layouts": (block(NOW, Field(4, 4, "date_time", date_g)),), "gate": YEARS},
        {litres(5) + "3b17" + END_9: "-", litres(5) + "0000" + FIRST_10: "c", litres(5) + "3b17" + LAST_20: "c", litres(5) + "0000" + FIRST_21: "-"},
    ),
    "the years of a day that is shown only": (
        {"layouts": (block(NOW, Field(4, 2, "seal", date_g)),), "gate": YEARS},
        {litres(5) + END_9: "-", litres(5) + FIRST_10: "c", litres(5) + LAST_20: "c", litres(5) + FIRST_21: "-"},
    ),
    "the years of what a function reads of": (
        {"layouts": (replace(SHOWN, fields=(NOW, THEN, DAY)),), "gate": YEARS},
        {litres(5, 4) + FIRST_10: "c", litres(5, 4) + LAST_20: "p", litres(5, 4) + FIRST_21: "-", litres(5, 4) + "0000": "p"},
    ),
    "a function that is not known only to show": ({"layouts": (block(NOW, read=lambda _: Found()),)}, {litres(5): "p"}),
    "a function that shows": ({"layouts": (SHOWN,)}, {litres(5): "c", "ffffffff": "p"}),
    "a function that needs one field": (
        {"layouts": (replace(SHOWN, fields=(SIGNED, replace(SIGNED, at=4, quantity="energy", scale=Fraction(1))), vital=frozenset((0,))),)},
        {litres(5, 6): "c", "00000080" + litres(6): "p", litres(5) + "00000080": "c"},
    ),
    "a guard": ({"layouts": (block(NOW, guard=((0, 0xF0, 0x10),)),)}, {"10000000": "c", "1f000000": "c", "20000000": "-", "00000000": "-", "90000000": "-"}),
    "a guard beyond the shortest": ({"layouts": (block(NOW, guard=((5, 0xFF, 0x10),)),)}, {"10000000": "-", "101010101010": "c", "101010101011": "-"}),
    "two shapes by their guards": (
        {"layouts": (block(NOW, guard=((4, 0xFF, 1),)), block(replace(NOW, quantity="energy", scale=Fraction(1)), guard=((4, 0xFF, 2),)))},
        {litres(5) + "01": "c", litres(5) + "02": "c", litres(5) + "03": "-", litres(6) + "01": "c"},
    ),
    "a size": ({"layouts": (block(NOW, size=5),)}, {litres(5): "-", litres(5) + "00": "c", litres(5) + "ff0f": "c"}),
    "a raw value that is none": (
        {"layouts": (block(replace(NOW, void=frozenset((7,)))),)}, {litres(6): "c", litres(7): "c", litres(8): "c"},
    ),
    "two raw values that are none": ({"layouts": (block(replace(NOW, void=frozenset((7, 8)))),)}, {litres(7): "c", litres(8): "c", litres(9): "c"}),
    "flags": (
        {"layouts": (block(NOW, Field(4, 1, "alarm", flags=Bits({1: "leak"}))),)}, {litres(5) + one: "c" for one in ("00", "01", "02", "ff")},
    ),
    "flags of a signed number": (
        {"layouts": (block(NOW, Field(4, 1, "alarm", signed, flags=Bits({1: "leak"}))),)}, {litres(5) + "01": "p", litres(5) + "80": "p"},
    ),
    "flags of a number high byte first": ({"layouts": (block(NOW, Field(4, 2, "alarm", unsigned_be, flags=Bits({1: "leak"}))),)}, {litres(5) + "0100": "p"}),
    "flags of a day": (
        {"layouts": (block(NOW, Field(4, 2, "date", date_g, flags=Codes({}, other="leak_earlier"))),)}, {litres(5) + FIRST_10: "p", litres(5) + "0000": "p"},
    ),
    "numbers of seven bytes and more": (
        {"layouts": (block(replace(NOW, size=7), size=7),)}, {"05" + "00" * 6: "c", "ff" * 7: "c", "00" * 6 + "ff": "p", "05" + "00" * 7: "c"},
    ),
    "a number of eight bytes": ({"layouts": (block(replace(NOW, size=8), size=8),)}, {"05" + "00" * 7: "c", "ff" * 8: "c"}),
    "a number of nine bytes": ({"layouts": (block(replace(NOW, size=9), size=9),)}, {"05" + "00" * 8: "c", "ff" * 9: "c"}),
    "words and bytes that are shown": (
        {"layouts": (block(NOW, Field(4, 2, "word", bytes.hex), Field(4, 1, "count")),)}, {litres(5) + "0102": "c", litres(5) + "0304": "c"},
    ),
    "days of other codings": (
        {"layouts": (block(NOW, THEN, replace(DAY, coding=date_d)),)}, {litres(5, 4) + "9f25": "c", litres(5, 4) + "0000": "c", litres(5, 4) + "1f26": "c"},
    ),
    "days with a short year": ({"layouts": (block(NOW, THEN, replace(DAY, coding=date_short_year)),)}, {litres(5, 4) + "322d": "c", litres(5, 4) + "ffff": "c"}),
    "seconds": ({"layouts": (block(NOW, Field(4, 4, "date_time", seconds_2000)),)}, {litres(5, 86400): "c", litres(5, 0): "c"}),
    "a day of a coding that nobody knows": (
        {"layouts": (block(NOW, THEN, replace(DAY, coding=lambda data: date(2000 + data[0], 1, 1))),)}, {litres(5, 4) + "0900": "c", litres(5, 4) + "1100": "c"},
    ),
    "a day of three bytes": ({"layouts": (block(NOW, Field(4, 3, "date", date_g)),)}, {litres(5) + "051e0d": "p"}),
    "a field beyond the end": (
        {"layouts": (block(NOW, replace(THEN, quantity="energy", storage=0, scale=Fraction(1))),)}, {litres(5): "c", litres(5) + "010203": "c", litres(5, 6): "c"},
    ),
    "a shape that makes fields": (
        {"layouts": (Layout(shape=((0, 0x0F),), shaped=lambda data: (replace(NOW, at=data[0] & 0x0F),)),)},
        {"0105000000": "c", "f105000000": "c", "020005000000": "c", "0f": "c"},
    ),
    "a number in a tag whose coding has no value for 1": (
        {"layouts": (Layout(tags=Tags(0, {1: 1}, {1: (Field(0, 1, "volume", lambda data: None if data[0] == 1 else data[0]),)})),)},
        {"0105": "p", "0101": "p", "0106": "p"},
    ),
    "a number in a tag whose coding has one": (
        {"layouts": (Layout(tags=Tags(0, {1: 1}, {1: (Field(0, 1, "volume", lambda data: None if data[0] == 2 else data[0]),)})),)},
        {"0105": "c", "0102": "c", "0106": "c"},
    ),
    "tags": (
        {"layouts": (Layout(tags=Tags(1, {1: 4, 2: 4, 3: 1}, {1: (NOW,), 2: (replace(NOW, quantity="energy", scale=Fraction(1)),)}, check=1)),)},
        {
            "00 01" + litres(5) + "99": "c", "aa 01" + litres(6) + "98": "c", "00 02" + litres(5) + "99": "c",
            "00 01" + litres(5) + "ff" * 5 + "99": "c", "00 01" + litres(5) + "02" + litres(6) + "99": "c", "00 01" + litres(5) + "03 07 ffffff 99": "c",
            "00 01" + litres(5) + "09 07 ffffff 99": "c",
            "00 01 050000 99": "c", "00 ff 99": "c", "00 99": "c", "00": "c",
        },
    ),
}  # fmt: skip
INSIDE: dict[str, Case] = {
    "tags behind filler": (
        {"layouts": (Layout(at=FILLED, tags=Tags(1, {1: 4, 2: 4}, {1: (NOW,), 2: (replace(NOW, quantity="energy", scale=Fraction(1)),)})),)},
        {
            "2f2f 0f 01" + litres(5) + "ff" * 5: "c", "2f2f 0f 01" + litres(5) + "02" + litres(6): "c", "2f 0f 01" + litres(5) + "ff" * 6: "c",
            "2f2f 0f 02" + litres(5) + "ff" * 5: "c", "0f 01" + litres(5) + "02" + litres(6) + "ffff": "c",
        },
    ),
    "behind filler": ({"layouts": (block(NOW, at=FILLED),)}, {"2f2f" + litres(5): "c", "2f" + litres(6) + "07": "c", litres(7) + "0708": "c", "2f2f" + litres(6): "c", litres(5): "c", "2f" + litres(6): "c"}),
    "in the tail": (
        {"layouts": (block(NOW, at=TAIL, size=4),)},
        {"0f" + litres(5): "c", "0406 01000000 0f" + litres(5): "c", "0406 01000000 0f 0000": "c", "0f 0000": "p", "0406 01000000 1f" + litres(5): "c"},
    ),
    "in a record": (
        {"layouts": (block(replace(NOW, at=1), at="ff5f", size=5),)},
        {"0dff5f 04" + litres(5): "c", "0dff5f 04" + litres(5) + "0dff5f 04" + litres(6): "p", "0dff5f 03 000000": "p", "0406 01000000 0dff5f 03 000000": "c"},
    ),
    "in a record of a fixed size": ({"layouts": (block(NOW, at="ff5f"),)}, {"04ff5f" + litres(5): "c", "0406 01000000 04ff5f" + litres(5): "c"}),
    "in a record and in the tail": (
        {"layouts": (block(NOW, at="ff5f"), block(replace(NOW, quantity="energy", scale=Fraction(1)), at=TAIL))},
        {"04ff5f" + litres(5) + "0f" + litres(6): "c", "04ff5f" + litres(5): "c", "04ff5f" + litres(5) + "0f 00": "c"},
    ),
    "records that rules turn": (
        {"rules": (Rule("13", {"storage": 1}, to={"label": "month_end"}), Rule("FF20", scale=Fraction(1, 10), to={"quantity": "volume", "modifiers": ()}))},
        {"04ff20" + litres(5): "c", "0cff20 12345678": "c", "05ff20 0000803f": "c", "05ff20 0000c07f": "c", "0dff20 02 4142": "p", "07ff20" + litres(5, 0): "c",
         "4413 01000000 426c 3f2c": "c", "04ff20 00000080": "c"},
    ),
    "raw data that a rule makes void": (
        {"rules": (Rule("13", void="00000080", to={}),)}, {"0c13 00000080": "c", "0c13 00000070": "c", "0413" + litres(5): "c", "0613" + litres(5) + "0000": "c"},
    ),
    "bits that a rule names": (
        {"rules": (Rule("FD17", flags=Bits({1: "leak"})),)},
        {"01fd17 01": "c", "02fd17 0200": "c", "07fd17" + litres(1, 0): "p", "0dfd17 01 41": "p", "00fd17": "p", "0406 01000000 00fd17": "p", "0afd17 0100": "c",
         "05fd17 0000803f": "p"},
    ),
    "bits that a rule reads again": (
        {"rules": (Rule("FF20", scale=Fraction(1), flags=Bits({1: "leak"}), to={"quantity": "status_flags", "modifiers": ()}),)},
        {"01ff20 01": "c", "04ff20 ffffffff": "c", "07ff20" + litres(1, 0): "p", "0aff20 0100": "c", "05ff20 0000803f": "p"},
    ),
    "a date that a rule reads as a number": ({"rules": (Rule("6C", scale=Fraction(1), to={"quantity": "word"}),)}, {"026c 3f2c 0413 01000000": "p"}),
    "a rule that asks for the number of a header": (
        {"rules": (Rule("13", nth=2, to={"quantity": "volume_input_a"}),)}, {"0413" + litres(5) + "0413" + litres(6): "c", "0413" + litres(5): "c"},
    ),
    "a history back from a clock": (
        {"histories": (History(range(1, 4)),)},
        {"4413" + litres(5) + "840113" + litres(4) + "046d 1e0d5c2b": "c", "4413" + litres(5) + "046d 9e0d5c2b": "c", "4413" + litres(5): "c",
         "840213" + litres(4) + "046d 1e0d5c2b": "c", "4413" + litres(5) + "426c 3f2c 046d 1e0d5c2b": "c"},
    ),
    "two histories": ({"histories": (History(range(1, 3)), History(range(3, 5)))}, {"0413" + litres(5): "p", "4413" + litres(5) + "046d 1e0d5c2b": "p"}),
    "a gate over a history": ({"histories": (History(range(1, 3)),), "gate": Gate()}, {"0413" + litres(5): "p", "4413" + litres(5) + "046d 1e0d5c2b": "p"}),
    "a rule that asks for a value": ({"rules": (Rule(where={"value": 5}, to={"label": "month_end"}),)}, {"0416" + litres(5): "p", "0416" + litres(6): "p"}),
    "a history back from a stored date": (
        {"histories": (History(range(1, 4), base=1),)},
        {"4413" + litres(5) + "840113" + litres(4) + "426c 3f2c": "c", "840113" + litres(4) + "426c 0000": "c", "840113" + litres(4): "c",
         "840113" + litres(4) + "426c 0000 426c 3f2c": "p"},
    ),
}  # fmt: skip


def told(ci: int, payloads: Mapping[str, str]) -> list[Sent]:
    """Telegrams with these payloads behind a maker's CI field, or as records."""
    head = b"" if ci == 0xA7 else encode.plain(b"", encode.Header(access=1))[1:]
    bodies = (bytes([ci]) + head + bytes.fromhex(one) for one in payloads)
    return [(encode.radio(POND, body), "wmbus", "nocrc", False, Profile()) for body in bodies]


@pytest.mark.parametrize(
    ("ci", "name"),
    [(ci, name) for ci, cases in ((0xA7, CASES), (0x7A, INSIDE)) for name in cases],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_drivers_tables_allow(known: Callable[[Driver], None], ci: int, name: str) -> None:
    """Each payload of the case: alone, and behind all others of it, whose layouts are known then."""
    tables, payloads = (CASES | INSIDE)[name]
    known(Driver("pond", "made up", (Make("PND"),), frozenset((ci,)), **tables))
    sent, wanted = told(ci, payloads), [WHO[one] for one in payloads.values()]
    assert [readers(Decoder(), [one])[0] for one in sent] == wanted
    assert readers(Decoder(), sent + sent) == wanted + wanted


def test_a_field_that_is_due_by_its_coding_is_labelled_so(known: Callable[[Driver], None]) -> None:
    """Both are told of columns as of the plain path."""

    def coded(data: bytes) -> int:
        return Due(unsigned(data)) if data[0] & 1 else unsigned(data)

    known(Driver("pond", "", (Make("PND"),), frozenset((0xA7,)), layouts=(block(NOW, replace(THEN, coding=coded), DAY),)))
    sent = told(0xA7, dict.fromkeys((litres(9, number) + FIRST_10 for number in (4, 5, 6)), ""))
    assert readers(Decoder(), sent) == [COLUMNS] * 3


def test_a_cipher_of_a_makers_own_is_opened_one_by_one_and_read_by_columns(known: Callable[[Driver], None]) -> None:
    """By the mode that it is for; what it refuses is nobody's, also where its bytes would pass for records; other modes are the standard's."""

    def opened(sealed: Sealed) -> Opened:
        if sealed.transport.payload[0] == 0x99:
            raise WrongKey("not mine")
        return Opened(bytes(byte ^ 0x55 for byte in sealed.transport.payload), 1)

    known(Driver("pond", "", (Make("PND"),), frozenset((0x7A,)), cipher=opened, modes=frozenset((9,))))
    bodies = {mode: encode.Header(access=1).encode(mode << 8) for mode in (0, 9, 10)}
    volume = bytes.fromhex("0413" + litres(5))
    masked, refused = bytes(byte ^ 0x55 for byte in volume), bytes.fromhex("99") + volume
    rows = [
        (bodies[0] + volume, None, COLUMNS), (bodies[9] + masked, 1, COLUMNS), (bodies[9] + refused, 1, NOBODY), (bodies[10] + volume, None, NOBODY),
        (bodies[9] + masked, 0, NOBODY),
    ]  # fmt: skip
    sent: list[Sent] = [(encode.radio(POND, body), "wmbus", "nocrc", False, Profile(mode=mode)) for body, mode, _ in rows]
    assert readers(Decoder(), sent) == [who for _, _, who in rows]
