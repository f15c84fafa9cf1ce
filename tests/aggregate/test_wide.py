"""Integer arithmetic beyond 64 bits against fractions."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from submeter.aggregate.gauge_columns import Wide
from submeter.aggregate.wide import DIVISOR, FACTOR, half_even, multiply_divide, rounded


def column(*numbers):
    """A column of 64-bit integers."""
    return np.array(numbers, np.int64)


@given(st.integers(1 - FACTOR, FACTOR - 1), st.integers(1, DIVISOR - 1), st.data())
@example(FACTOR - 1, DIVISOR - 1, None)
@example(1 - FACTOR, DIVISOR - 1, None)
def test_multiply_divide(a, c, data):
    """Quotient and remainder are exact at any size within the limits."""
    b = c if data is None else data.draw(st.integers(0, c))
    quotient, remainder = multiply_divide(column(a, 7), column(b, 2), column(c, 5))
    assert (quotient[0], remainder[0]) == divmod(a * b, c)
    assert (quotient[1], remainder[1]) == (2, 4)


@given(st.integers(-(2**40), 2**40), st.integers(1, 2**20))
@example(1, 2)
@example(3, 2)
@example(-1, 2)
@example(-3, 2)
def test_rounding(a, b):
    """Halves go to the even neighbour, also below zero."""
    assert rounded(column(a), column(b))[0] == round(Fraction(a, b))
    assert half_even(column(a // b), column(a % b), column(b))[0] == round(Fraction(a, b))


numbers = st.integers(-(2**35), 2**35)


@given(st.lists(st.tuples(numbers, st.integers(0, 2**45)), min_size=1, max_size=5), st.integers(1, 2**46))
def test_weighted_means(pairs, more):
    """Products are summed and divided exactly although the sum needs more than 64 bits."""
    by = sum(weight for _, weight in pairs) + more
    a, b = (column(*numbers) for numbers in zip(*pairs, strict=True))
    products = Wide.product(a, b)
    total = products.before().plus(products)
    quotient, remainder = Wide(total.high[-1:], total.low[-1:]).divided(column(by))
    assert (quotient[0], remainder[0]) == divmod(sum(x * y for x, y in pairs), by)
