"""Exact integer arithmetic on columns where a product needs more than 64 bits.

Strategy: a product that fits is one multiplication and one division. The rest goes digit by digit, as on paper: with a factor cut into digits of
11 bits and a divisor below 2**51 every step stays inside 63 bits. No floats anywhere.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
#: Limits of `multiply_divide`: |a| below the first, c below the second.
FACTOR: Final = 2**61
DIVISOR: Final = 2**51
_DIGIT: Final = 11
_LARGEST: Final = 2**62


def multiply_divide(a: Ints, b: Ints, c: Ints) -> tuple[Ints, Ints]:
    """Quotient (rounded down) and remainder of ``a·b / c``, exactly, for ``|a| < FACTOR`` and ``0 <= b <= c < DIVISOR``."""
    product = a * b
    quotient = product // c
    remainder = product - quotient * c
    if _size(a) * _size(b) > _LARGEST:
        wide = np.flatnonzero(np.abs(a) > _LARGEST // np.maximum(b, 1))
        quotient[wide], remainder[wide] = _by_digits(a[wide], b[wide], c[wide])
    return quotient, remainder


def between(start: Ints, a: Ints, b: Ints, c: Ints) -> Ints:
    """``start + a·b / c`` rounded half to even, within the limits of `multiply_divide` and with a sum inside 63 bits."""
    if 2 * _size(a) * _size(b) + _size(c) > _LARGEST:
        quotient, remainder = multiply_divide(a, b, c)
        return half_even(start + quotient, remainder, c)
    doubled, by = 2 * a * b + c, 2 * c
    up = doubled // by
    ties = np.flatnonzero(doubled == up * by)
    up += start
    up[ties] -= up[ties] & 1
    return up


def half_even(quotient: Ints, remainder: Ints, divisor: Ints) -> Ints:
    """``quotient + remainder/divisor`` rounded half to even, for ``0 <= remainder < divisor``."""
    twice = 2 * remainder
    up: Ints = quotient + ((twice > divisor) | ((twice == divisor) & (quotient % 2 == 1)))
    return up


def rounded(a: Ints, b: Ints) -> Ints:
    """``a / b`` rounded half to even, for b > 0."""
    quotient = a // b
    return half_even(quotient, a - quotient * b, b)


def _size(column: Ints) -> int:
    """The largest number of a column, without its sign."""
    return max(int(column.max()), -int(column.min())) if len(column) else 0


def _by_digits(a: Ints, b: Ints, c: Ints) -> tuple[Ints, Ints]:
    size = np.abs(a)
    quotient, remainder = np.zeros_like(a), np.zeros_like(a)
    for shift in range(_size(size).bit_length() // _DIGIT * _DIGIT, -1, -_DIGIT):
        part = (remainder << _DIGIT) + (size >> shift & (1 << _DIGIT) - 1) * b
        step = part // c
        quotient = (quotient << _DIGIT) + step
        remainder = part - step * c
    negative, broken = a < 0, remainder > 0
    return (
        np.where(negative, -quotient - broken, quotient),
        np.where(negative & broken, c - remainder, remainder),
    )
