"""Parameters are read exactly, and refused by name where SPEC 2.1 to 2.5 does not allow them."""

from fractions import Fraction

import pytest

from submeter import civil
from submeter.aggregate import Exchange, ParameterError, Parameters, SeriesSpec
from submeter.civil import CivilError


def test_defaults():
    """What is not given has the defaults of SPEC 2.1."""
    assert Parameters.parse({}) == Parameters()
    assert (Parameters().resolution, Parameters().max_gap, Parameters().confirm_n, Parameters().dip) == (1000, 2 * civil.HOUR, 2, 2000)


def test_numbers_are_exact():
    """Decimal strings of any length are read without loss; a tolerance given replaces twice the resolution."""
    found = Parameters.parse({"resolution": "0.0000001", "modulus": "1e22", "dip_tolerance": "0", "factors": [["2024-01-01T00:00:00+01:00", "1.25"]]})
    assert found.resolution == Fraction(1, 10)
    assert found.modulus == 10**28
    assert found.dip == 0
    assert found.factors == ((civil.instant("2023-12-31T23:00:00Z"), Fraction(5, 4)),)


@pytest.mark.parametrize(("text", "seconds"), [("PT90S", 90), ("PT15M", 900), ("PT2H", 7200), ("P40D", 40 * 86400)])
def test_durations(text, seconds):
    """The four forms of SPEC 2.1."""
    assert Parameters.parse({"max_gap": text}).max_gap == seconds * civil.SECOND


@pytest.mark.parametrize(
    ("register", "named"),
    [
        ({"kind": "counter"}, "counter"),
        ({"resolution": "0"}, "resolution"),
        ({"resolution": "a litre"}, "a litre"),
        ({"resolution": "NaN"}, "NaN"),
        ({"resolution": 0.001}, "float"),
        ({"modulus": "0.001"}, "modulus"),
        ({"max_rate_per_h": "-1"}, "max_rate_per_h"),
        ({"max_gap": "2 hours"}, "2 hours"),
        ({"max_gap": "PT1H30M"}, "PT1H30M"),
        ({"max_gap": "PT0S"}, "max_gap"),
        ({"dip_tolerance": "-0.1"}, "dip_tolerance"),
        ({"resettable": True}, "resettable"),
        ({"set_day": "12-31"}, "set_day"),
        ({"kind": "period", "set_day": "02-29"}, "02-29"),
        ({"kind": "period", "set_day": "13-01"}, "13-01"),
        ({"year_start": "10-02"}, "10-02"),
        ({"year_start": "october"}, "october"),
        ({"mode": "step"}, "step"),
        ({"factors": [["2024-02-01T00:00Z", "1"], ["2024-01-01T00:00Z", "2"]]}, "factors"),
        ({"resolutoin": "1"}, "resolutoin"),
    ],
)
def test_refused(register, named):
    """Each mistake is one sentence that names the key or the value."""
    with pytest.raises(ParameterError, match=named):
        Parameters.parse(register)


def test_exchanges():
    """Exchanges are distinct, and none falls on the set day of the register."""
    exchange = Exchange.parse({"at": "2024-03-10T10:00:00Z", "from": "A", "to": "B", "end": "812.345"})
    assert exchange == Exchange(civil.instant("2024-03-10T10:00:00Z"), end=812_345_000, start=None)
    with pytest.raises(ParameterError, match="one instant"):
        SeriesSpec(Parameters(), "UTC", (exchange, exchange))
    with pytest.raises(ParameterError, match="2023-12-31T23:00:00Z"):
        SeriesSpec(Parameters(kind="period", set_day="12-31"), "Europe/Prague", (Exchange(civil.instant("2023-12-31T23:00:00Z")),))
    with pytest.raises(ParameterError, match="None"):
        Exchange.parse({"end": "1"})


def test_zone():
    """A series in no known zone is refused."""
    with pytest.raises(CivilError, match="Europe/Praha"):
        SeriesSpec(Parameters(), "Europe/Praha")
