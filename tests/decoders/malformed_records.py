"""Malformed records: chains of DIF and VIF, lengths, BCD, integers, reals, variable data, dates, and what is void or beyond any dial."""

import struct

from malformed import GOOD, Case, Readings, air, nothing, ok, wire

from submeter.simulate import encode

STORED = encode.bcd(b"\x13", 11_000, 8, encode.Slot(storage=1))
ENERGY = b"\x06"  # kWh
MOST = 10**10


def bad(what: str, record: str, expected: str | Readings | None = None) -> Case:
    """A good record with one behind it, as hex; that one gives nothing unless it is stated."""
    return Case(what, air(GOOD + bytes.fromhex(record)), ok() if expected is None else expected)


def alone(what: str, record: str, expected: str | Readings | None = None) -> Case:
    """That record alone."""
    return Case(f"{what}, alone", air(bytes.fromhex(record)), nothing() if expected is None else expected)


def stored(what: str, date: str, expected: str | None = None) -> Case:
    """A stored value and the date that says when it was: two bytes of type G, four of type F or six of type I; it counts where the date is given here."""
    coding = {2: "426c", 4: "446d", 6: "466d"}[len(bytes.fromhex(date))]
    return Case(f"stored: {what}", air(GOOD + STORED + bytes.fromhex(coding + date)), ok(**({f"volume@{expected}": "11"} if expected else {})))


CHAINS = [
    Case("no record, filler alone", air(b"\x2f" * 20), nothing()),
    bad("a DIF and nothing", "0c", "bad_frame"),
    bad("a DIF that goes on and nothing", "8c", "bad_frame"),
    bad("a DIF of no data and nothing", "00", "bad_frame"),
    bad("a VIF that goes on and nothing", "0c86", "bad_frame"),
    bad("a VIF of a further table and nothing", "0cfd", "bad_frame"),
    bad("a VIF of a further table's further table and nothing", "0cfdfd", "bad_frame"),
    bad("one byte of data is missing", "0c06010000", "bad_frame"),
    bad("all data are missing", "0c06", "bad_frame"),
    bad("12 digits say more than is there", "0e060100000000", "bad_frame"),
    bad("64 bits say more than is there", "070601000000000000", "bad_frame"),
    *(bad(f"reserved DIF {dif}", f"{dif}0601000000", "bad_frame") for dif in ("3f", "4f", "5f", "6f", "7f", "8f", "9f", "ff")),
    bad("ten DIFEs", "8c" + "80" * 9 + "00" + "0605000000", ok(energy="5")),
    bad("eleven DIFEs", "8c" + "80" * 10 + "00" + "0605000000", "bad_frame"),
    bad("DIFEs to the end", "8c" + "80" * 60, "bad_frame"),
    bad("ten VIFEs that say nothing", "0c86" + "80" * 9 + "00" + "05000000", ok(energy="5")),
    bad("eleven VIFEs", "0c86" + "80" * 10 + "00" + "05000000", "bad_frame"),
    bad("VIFEs to the end", "0c86" + "ff" * 60, "bad_frame"),
    bad("a text VIF of no length", "0c7c", "bad_frame"),
    bad("a text VIF of length 255", "0c7cff4142", "bad_frame"),
    bad("a text VIF of length zero", "0c7c0005000000"),
    bad("a text VIF with bytes of no alphabet", "0c7c04000a0dff05000000"),
    bad("a text VIF that says kWh, which is no code", "0c7c0368576b05000000"),
    bad("a VIF of the maker", "0cff0105000000"),
    alone("a VIF of the maker", "0cff0105000000", "unknown_driver"),
    alone("a reserved VIF", "0cef0005000000", "unknown_driver"),
    alone("a reserved VIF of table FD", "0cfd7f05000000", "unknown_driver"),
    alone("a reserved VIF of table FB", "0cfb4005000000", "unknown_driver"),
    alone("any VIF, 7E", "0c7e05000000"),
    bad("a code for readout selection, DIF 08", "0806"),
    bad("no data, DIF 00", "0006"),
    bad("the maker's bytes behind, which no driver reads", "0f0c0605000000"),
    alone("the maker's bytes", "0f0c0605000000", "unknown_driver"),
    bad("more telegrams follow", "1f"),
    bad("the same register again: the first counts", "0c1399990000"),
    bad("the same register again in another unit: the first counts", "0c1499990000"),
    bad("the same register of another tariff is another one", "8c101399990000", ok(**{"volume[t1]": "9.999"})),
    bad("a tariff larger than any", "8c90b0b0b0301399990000"),
    bad("a value at an error is no present one", "3c1399990000", ok(volume_at_error="9.999")),
    bad("a value with a report of an error of the meter", "0c861505000000"),
    bad("a value with a report of an overflow", "0c861605000000"),
    bad("a value a second is no amount", "0c86a00005000000"),
    bad("a value per pulse is no amount", "0c86a80005000000"),
    bad("an average is no amount", "0c861205000000"),
    bad("a limit is no amount", "0c864005000000"),
    bad("a value of the future is no amount", "0c867e05000000"),
    bad("an offset that is added is no plain amount", "0c867805000000"),
    bad("a factor of a thousand", "0c867d05000000", ok(energy="5000")),
    bad("a factor of a millionth", "0c867005000000", ok(energy="0.000005")),
    bad("two factors of a thousand and a dial that ends before", "0e86fd7d000000000001"),
]  # fmt: skip

NUMBERS = [
    *(bad(f"BCD: digit {digit.upper()} in place {place}", "0c06" + bytes.fromhex(("0" * (7 - place) + digit + "1" * place)[:8])[::-1].hex()) for digit in "abcde" for place in (0, 3, 7)),
    *(bad(f"BCD: digit F in place {place}", "0c06" + bytes.fromhex("0" * (7 - place) + "f" + "1" * place)[::-1].hex()) for place in (0, 1, 3, 6)),
    bad("BCD: a minus", "0c06050000f0", ok(energy="-5")),
    bad("BCD: a minus before nothing", "0c06000000f0", ok(energy="0")),
    bad("BCD: two minuses", "0c06050000ff"),
    bad("BCD: FFFFFFFF", "0c06ffffffff"),
    bad("BCD: AAAAAAAA", "0c06aaaaaaaa"),
    bad("BCD: 2 digits, F and a digit", "0906f5", ok(energy="-5")),
    bad("BCD: 2 digits, FF", "0906ff"),
    bad("BCD: 12 digits of nine are beyond any dial", "0e06999999999999"),
    bad("BCD: 12 digits in mWh", "0e00999999999999", ok(energy="999999.999999")),
    *(bad(f"integer of {size} bytes: the void number", f"0{coding}06" + "00" * (size - 1) + "80") for coding, size in ((1, 1), (2, 2), (3, 3), (4, 4), (6, 6), (7, 8))),
    *(bad(f"integer of {size} bytes: all ones, in a counter", f"0{coding}06" + "ff" * size) for coding, size in ((1, 1), (2, 2), (3, 3), (4, 4), (6, 6), (7, 8))),
    bad("integer: the largest of 8 bytes", "0706" + "ff" * 7 + "7f"),
    bad("integer: the smallest of 8 bytes but one", "070601000000000000" + "80"),
    bad("integer: one beyond any dial", "0706" + (MOST + 1).to_bytes(8, "little").hex()),
    bad("integer: the end of the dial", "0706" + MOST.to_bytes(8, "little").hex(), ok(energy=str(MOST))),
    bad("integer: below zero", "0406feffffff", ok(energy="-2")),
    bad("integer: a temperature of all ones is one step below zero", "025bffff", ok(temperature_medium="-1")),
    bad("integer: a temperature that is void", "025b0080"),
    *(bad(f"real: {name}", "0506" + raw) for name, raw in (
        ("not a number", "0000c07f"), ("not a number, signalling", "0100807f"), ("not a number, negative", "0000c0ff"), ("infinite", "0000807f"), ("infinite, negative", "000080ff"),
        ("the largest", "ffff7f7f"), ("the largest, negative", "ffff7fff"), ("1e11", struct.pack("<f", 1e11).hex()),
    )),
    bad("real: the smallest above zero is rounded to none", "050601000000", ok(energy="0")),
    bad("real: minus zero", "050600000080", ok(energy="0")),
    bad("real: a third", "0506" + struct.pack("<f", 1 / 3).hex(), ok(energy="0.333333")),
    bad("real: 16777217, which has no such number", "0506" + struct.pack("<f", 16_777_217).hex(), ok(energy="16777216")),
    bad("real: cut", "05060000c0", "bad_frame"),
    Case("real: all bytes of FF in a temperature", air(GOOD + bytes.fromhex("055bffffffff")), ok()),
]  # fmt: skip

VARIABLE = [
    bad("variable: no length", "0d06", "bad_frame"),
    bad("variable: a text in place of a number", "0d06023132"),
    bad("variable: a text of length zero", "0d0600"),
    bad("variable: a text one byte longer than there is", "0d06033132", "bad_frame"),
    bad("variable: the longest text, and nothing there", "0d06bf", "bad_frame"),
    bad("variable: bytes of no alphabet", "0dfd110400ff0a0d"),
    bad("variable: BCD of one byte", "0d06c105", ok(energy="5")),
    bad("variable: BCD of no byte", "0d06c0"),
    bad("variable: BCD of nine bytes, beyond any dial", "0d06c9" + "99" * 9),
    bad("variable: BCD of nine bytes, a small number", "0d06c905" + "00" * 8, ok(energy="5")),
    bad("variable: BCD with a digit A", "0d06c1a5"),
    bad("variable: BCD with a minus where the length says the sign", "0d06c1f5"),
    bad("variable: a negative BCD", "0d06d105", ok(energy="-5")),
    bad("variable: a negative BCD of no byte", "0d06d0"),
    bad("variable: BCD one byte longer than there is", "0d06c205", "bad_frame"),
    bad("variable: a number of one byte", "0d06e105", ok(energy="5")),
    bad("variable: a number of no byte", "0d06e0"),
    bad("variable: a number of two bytes that is void", "0d06e20080"),
    bad("variable: a number of nine bytes is kept raw", "0d06e9" + "05" + "00" * 8),
    bad("variable: a number of 15 bytes is kept raw", "0d06ef" + "05" + "00" * 14),
    bad("variable: a number of 16 bytes is kept raw", "0d06f1" + "05" * 20),
    bad("variable: 48 bytes", "0d06f5" + "05" * 48),
    bad("variable: 64 bytes", "0d06f6" + "05" * 64),
    bad("variable: 64 bytes, one of them missing", "0d06f6" + "05" * 63, "bad_frame"),
    *(bad(f"variable: reserved length {code}", f"0d06{code}" + "05" * 70, "bad_frame") for code in ("ca", "cf", "da", "df", "f7", "f8", "fa", "ff")),
]  # fmt: skip

DATES = [
    stored("a date", "9f3c", "2028-12-31"),
    stored("day 0", "803c"),
    stored("month 0", "8130"),
    stored("month 13", "813d"),
    stored("month 15, as meters send that know no date", "ffff"),
    stored("31 February", "3f32"),
    stored("30 February in a leap year", "9e32"),
    stored("29 February in a leap year", "9d32", "2028-02-29"),
    stored("29 February in a year that is none", "3d32"),
    stored("31 April", "3f34"),
    stored("year 100", "81c1"),
    stored("year 127", "e1f1"),
    stored("all zero", "0000"),
    stored("a time", "1e0c3f3c", "2025-12-31"),
    stored("a time of minute 60", "3c0c3f3c"),
    stored("a time of minute 63", "3f0c3f3c"),
    stored("a time of hour 24", "1e183f3c"),
    stored("a time of hour 31", "1e1f3f3c"),
    stored("a time whose clock is not set", "9e0c3f3c"),
    stored("a time of day 0", "1e0c203c"),
    stored("a time of month 15", "1e0c3f3f"),
    stored("a time of all zero", "00000000"),
    stored("a time of all ones", "ffffffff"),
    stored("a time with seconds", "0a1e0c3f3c00", "2025-12-31"),
    stored("a time of second 60", "3c1e0c3f3c00"),
    stored("a time with seconds whose clock is not set", "0a9e0c3f3c00"),
    stored("a time with seconds of all ones", "ff" * 6),
    stored("a time with seconds of all zero", "00" * 6),
    Case("stored: no date at all", air(GOOD + STORED), ok()),
    Case("stored: the date of another storage", air(GOOD + STORED + bytes.fromhex("82016c3f3c")), ok()),
    Case("stored: a date as a number of digits", air(GOOD + STORED + bytes.fromhex("4a6c3112")), ok()),
    Case("stored: a date as a real", air(GOOD + STORED + bytes.fromhex("456c00000000")), ok()),
    Case("stored: a date of one byte", air(GOOD + STORED + bytes.fromhex("416c3f")), ok()),
    Case("stored: a date of eight bytes", air(GOOD + STORED + bytes.fromhex("476c" + "3f3c" * 4)), ok()),
    Case("stored: a date that is cut", air(GOOD + STORED + bytes.fromhex("426c3f")), "bad_frame"),
    Case("stored: the value is void", air(GOOD + encode.void(b"\x13", 4, encode.Slot(storage=1)) + bytes.fromhex("426c3f3c")), ok()),
    Case("stored: the date is before its value", air(GOOD + bytes.fromhex("426c3f3c") + STORED), ok(**{"volume@2025-12-31": "11"})),
    stored("year 80 is of this century", "1fac", "2080-12-31"),
    stored("year 99 is of the last one", "7fcc", "1999-12-31"),
    bad("a meter's clock of month 15 is none", "046d1e0c3f3f"),
    Case("a meter's clock of all ones, on the wire", wire(GOOD + bytes.fromhex("046dffffffff")), ok(), "mbus"),
]  # fmt: skip

RECORDS = CHAINS + NUMBERS + VARIABLE + DATES
