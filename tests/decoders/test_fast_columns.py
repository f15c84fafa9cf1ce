"""Columns of numbers and dates: what each function gives at the ends of what it takes, by known answers."""

from datetime import date, datetime
from itertools import product

import numpy as np
import pytest

from submeter.decoders.fast import columns
from submeter.decoders.fast.columns import bcd, dates, integers, local_time, low_bytes, microseconds, rounded, spread, words


def column(*texts: str) -> tuple[columns.Words, np.ndarray]:
    """Data in hex as words, low byte first, and their sizes."""
    data = [bytes.fromhex(text) for text in texts]
    return np.array([int.from_bytes(one, "little") for one in data], np.uint64), np.array([len(one) for one in data], np.uint8)


def known(found: tuple[np.ndarray, np.ndarray]) -> list[int | None]:
    """Values, None where they are void."""
    return [None if void else value for value, void in zip(found[0].tolist(), found[1].tolist(), strict=True)]


@pytest.mark.parametrize("size", range(1, 9))
def test_signed_integers_at_their_ends(size: int) -> None:
    """The lowest number of each size is void, its neighbours are not."""
    lowest = -(1 << 8 * size - 1)
    numbers = [lowest, lowest + 1, -2, -1, 0, 1, -lowest - 2, -lowest - 1]
    found = integers(*column(*(number.to_bytes(size, "little", signed=True).hex() for number in numbers)), np.full(8, True))
    assert known(found) == [None, *numbers[1:]]


@pytest.mark.parametrize("size", range(1, 8))
def test_unsigned_integers_at_their_ends(size: int) -> None:
    """None of them is void, the one that would be the lowest neither."""
    numbers = [0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1]
    found = integers(*column(*(number.to_bytes(size, "little").hex() for number in numbers)), np.full(5, False))
    assert known(found) == numbers


def test_signed_and_unsigned_ones_stand_in_one_column() -> None:
    """Each as its own row says."""
    assert known(integers(*column("80", "80", "ff", "ff", "0080", "0080"), np.array([True, False] * 3))) == [None, 128, -1, 255, None, 32768]


@pytest.mark.parametrize("size", range(1, 7))
def test_each_digit_of_a_decimal(size: int) -> None:
    """Every digit in every place; A to F make it void, but for F in the highest place, which is a minus."""
    for place in range(2 * size):
        texts = [f"{digit:x}".ljust(place + 1, "1").rjust(2 * size, "1") for digit in range(16)]
        found = known(bcd(*column(*(bytes.fromhex(text)[::-1].hex() for text in texts))))
        highest = place == 2 * size - 1
        wanted = [int(text) if text.isdecimal() else -int(text[1:]) if highest and text[0] == "f" else None for text in texts]
        assert found == wanted, place


@pytest.mark.parametrize(
    ("text", "number"),
    [("00", 0), ("f0", 0), ("f9", -9), ("9f", None), ("99", 99), ("01f0", -1), ("0ff0", None), ("99999999", 99_999_999), ("999999999999", 999_999_999_999),
     ("9999999999f9", -99_999_999_999), ("ffff", None), ("ffffffff", None), ("000000000010", 100_000_000_000)],
)  # fmt: skip
def test_decimals(text: str, number: int | None) -> None:
    """Low byte first, as sent."""
    assert known(bcd(*column(text))) == [number]


@pytest.mark.parametrize(
    ("number", "above", "below", "value"),
    [
        (7, 1000, 1, 7000), (-7, 1000, 1, -7000), (1, 1, 2, 0), (3, 1, 2, 2), (5, 1, 2, 2), (-1, 1, 2, 0), (-3, 1, 2, -2), (-5, 1, 2, -2), (1, 1, 3, 0),
        (2, 1, 3, 1), (-1, 1, 3, 0), (-2, 1, 3, -1), (4, 5, 18, 1), (9, 5, 18, 2), (27, 5, 18, 8), (45, 5, 18, 12), (0, 5, 18, 0),
    ],
)  # fmt: skip
def test_a_product_is_rounded_half_to_even(number: int, above: int, below: int, value: int) -> None:
    """Above and below nought, alone and in a column whose other rows divide by nothing."""
    rows = np.array([[number, above, below], [10, 10, 1], [number, above, below]], np.int64)
    assert rounded(rows[:, 0], rows[:, 1], rows[:, 2]).tolist() == [value, 100, value]


def f_word(minute: int, hour: int, day: date, *, hundreds: int = 0, bit: int = 0) -> str:
    """Type F."""
    year = day.year % 100
    return bytes([minute | bit, hour | hundreds << 5, day.day | (year & 7) << 5, day.month | year >> 3 << 4]).hex()


def i_word(second: int, minute: int, hour: int, day: date, bit: int = 0) -> str:
    """Type I; the hour's byte has a weekday above."""
    g = f_word(0, 0, day)[4:]
    return bytes([second, minute | bit, hour | 0xA0]).hex() + g + "3f"


NEW_YEARS_EVE = date(2026, 12, 31)


@pytest.mark.parametrize(("minute", "hour", "bit"), list(product((0, 1, 59, 60, 63), (0, 23, 24, 31), (0, 0x80))))
def test_times_at_their_ends(minute: int, hour: int, bit: int) -> None:
    """Minutes to 59 and hours to 23 are a time, more is none; nor is one whose highest bit says that the clock is not set."""
    good = minute < 60 and hour < 24 and not bit
    wanted = microseconds(datetime(2026, 12, 31, hour, minute)) if good else None
    assert known(dates(*column(f_word(minute, hour, NEW_YEARS_EVE, bit=bit)))) == [wanted]
    for second in (0, 1, 59, 60, 63):
        found = known(dates(*column(i_word(second, minute, hour, NEW_YEARS_EVE, bit))))
        assert found == [wanted + second * 1_000_000 if wanted is not None and second < 60 else None], second


def test_days_of_each_type() -> None:
    """The same day as G, F and I; days that no month has are void in each; bits that mean something else elsewhere do not count."""
    day, midnight = f_word(0, 0, NEW_YEARS_EVE)[4:], microseconds(NEW_YEARS_EVE)
    assert known(dates(*column(day, "0000" + day, "000000" + day + "00", "40e0" + day, "c00000" + day + "ff"))) == [midnight] * 5
    none = ["0000", "ffff", "013d", "0031", "5e32", "4020"]
    assert known(dates(*column(*none, *("0000" + one for one in none), *("000000" + one + "00" for one in none)))) == [None] * 18


@pytest.mark.parametrize(("hundreds", "two_digits", "year"), [
    (0, 26, 2026), (1, 26, 2026), (2, 26, 2026), (3, 26, 2026), (0, 80, 2080), (0, 81, 1981), (0, 99, 1999), (1, 99, 2099), (2, 99, 2099), (0, 100, None),
])  # fmt: skip
def test_hundreds_of_years(hundreds: int, two_digits: int, year: int | None) -> None:
    """Bits 13 and 14 of type F, as far as they make a year of these two centuries."""
    low, high = 1 | (two_digits & 7) << 5, 1 | two_digits >> 3 << 4
    found = known(dates(*column(bytes([0, hundreds << 5, low, high & 0xFF]).hex())))
    assert found == [None if year is None else microseconds(date(year, 1, 1))]


@pytest.mark.parametrize(
    ("stamp", "value"),
    [
        (date(1970, 1, 1), 0), (date(1970, 1, 2), 86_400_000_000), (date(1969, 12, 31), -86_400_000_000), (datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
        (datetime(1969, 12, 31, 23, 59, 59), -1_000_000), (datetime(2026, 11, 28, 16, 30), 1_795_883_400_000_000), (date(2000, 3, 1), 951_868_800_000_000),
    ],
)  # fmt: skip
def test_local_microseconds(stamp: date, value: int) -> None:
    """Times and days before and after 1970, and back."""
    assert microseconds(stamp) == value
    assert local_time(value) == (stamp if isinstance(stamp, datetime) else datetime(stamp.year, stamp.month, stamp.day))


def test_elements_know_whose_they_are() -> None:
    """Of counts, those that are nought among them: the owner of each element, and its number there."""
    owner, number = spread(np.array([2, 0, 1, 3], np.int64))
    assert (owner.tolist(), number.tolist()) == ([0, 0, 2, 3, 3, 3], [0, 1, 0, 0, 1, 2])
    assert [part.tolist() for part in spread(np.array([], np.int64))] == [[], []]


def test_words_begin_at_each_byte() -> None:
    """Eight bytes from each place on, as long as there are eight; of which as many count as are wanted, all where more are."""
    found = words(np.arange(1, 11, dtype=np.uint8))
    assert [one.to_bytes(8, "little").hex() for one in found.tolist()] == ["0102030405060708", "0203040506070809", "030405060708090a"]
    cut = low_bytes(np.full(10, found[0]), np.arange(10, dtype=np.uint8))
    assert [one.to_bytes(8, "little").rstrip(b"\0").hex() for one in cut.tolist()] == ["0102030405060708"[: 2 * size] for size in range(10)]
