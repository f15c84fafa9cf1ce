"""The conformance command against `reference`, which knows the specification only: the cases, and random registers that do all that meters do."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from submeter import civil
from submeter.aggregate import conform

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
#: A release is tried with 10,000 examples: `SUBMETER_EXAMPLES=10000 ./run test tests/aggregate`.
EXAMPLES = int(os.environ.get("SUBMETER_EXAMPLES", "90"))
ZONES = ("UTC", "Europe/Prague", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "Africa/Cairo", "America/Havana")
#: Around changes of the clock in those zones, ends of months and years, set days.
STARTS = (
    "2024-03-30T20:07Z", "2024-10-26T20:00Z", "2023-12-31T06:00Z", "2024-04-06T10:00Z", "2024-05-14T03:20Z", "2024-02-28T11:00Z", "2024-04-25T20:00Z",
    "2024-10-31T18:00Z", "2024-03-09T22:00Z", "2024-11-02T20:00Z",
)  # fmt: skip
HOUR = 3600
gaps = st.one_of(
    st.sampled_from([900, 1800, HOUR, HOUR, HOUR, 2 * HOUR, 3 * HOUR, 12 * HOUR, 24 * HOUR, 26 * HOUR]),
    st.integers(1, 3 * HOUR),
    st.sampled_from([0, 0, 3 * 86400, 30 * 86400, 0.25, HOUR + 1e-6 * 7]),
)
decimals = st.sampled_from(
    ["0", "0.001", "0.002", "1", "2", "3", "5", "10", "59", "60", "61", "100", "500", "797", "0.0000005", "0.333333", "1000000"]
)
falls = st.sampled_from(["-0.001", "-0.002", "-0.003", "-1", "-2", "-3", "-50", "-500"])
jumps = st.one_of(decimals, decimals, decimals, falls)


@st.composite
def values(draw, modulus):
    """The next value from the one before: mostly a step, at times anything, near a rollover too."""
    step = draw(st.one_of(st.tuples(st.just("by"), jumps), st.tuples(st.just("to"), st.sampled_from(["0", "4", "6", "103", "9990", "9998", "900"]))))
    return step if modulus is None or draw(st.integers(0, 3)) else ("to", draw(st.sampled_from(["9000", "9998", "1000", "2", "1001"])))


def stamp(t):
    """An instant in µs UTC with all its digits."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)).isoformat()


@st.composite
def cases(draw):
    """A register and what arrived of it."""
    register = draw(registers())
    at = civil.instant(draw(st.sampled_from(STARTS))) / 1e6 + draw(st.sampled_from([0, 0, 1, 1799, 3599]))
    value, readings = reference.Fraction(draw(st.sampled_from(["0", "100", "99.999", "9990"]))), []
    for seq in range(draw(st.integers(1, 12))):
        kind, amount = draw(values(register.get("modulus")))
        value = max(value + reference.Fraction(amount) if kind == "by" else reference.Fraction(amount), reference.Fraction(0))
        readings.append(draw(reading(at, value, seq, register)))
        at += draw(gaps)
    exchanges = draw(exchanged(readings, register)) if register.get("kind") != "gauge" else []
    batches = [{"readings": readings}]
    return {"id": "random", "tz": draw(st.sampled_from(ZONES)), "register": register, "exchanges": exchanges, "batches": batches}


@st.composite
def reading(draw, at, value, seq, register):
    """One reading of 2.2, mostly a live one."""
    found = {"t": stamp(round(at * 1e6)), "v": reference.text(value, 7), "seq": seq}
    odd = draw(st.integers(0, 9))
    if odd == 0:
        found["src"] = draw(st.sampled_from(["manual", "correction", "historic", "self"]))
    elif odd == 1:
        found |= {"src": "substitute", "pinned": draw(st.booleans())}
    elif odd == 2:
        found["status"] = draw(st.sampled_from(["permanent_error", "invalid", "temporary_error", "power_low"]))
    elif odd == 3:
        found["v"] = draw(st.sampled_from([None, found["v"]]))
    elif odd == 4 and register.get("kind") != "gauge":
        found["due"] = True
    return found


@st.composite
def registers(draw):
    """Parameters of 2.1."""
    kind = draw(st.sampled_from(["total", "total", "period", "gauge"]))
    found = {"kind": kind, "resolution": draw(st.sampled_from(["0.001", "1"])), "max_gap": draw(st.sampled_from(["PT2H", "PT59M", "P1D", "PT3600S"]))}
    found["year_start"] = draw(st.sampled_from(["01-01", "01-01", "04-01", "11-01"]))
    if kind == "gauge":
        return found | {"mode": draw(st.sampled_from(["linear", "hold"]))}
    optional = {
        "modulus": st.just("10000"), "max_rate_per_h": st.sampled_from(["60", "5", "0.5"]), "confirm_window": st.sampled_from(["PT3H", "PT24H", "P7D"]),
        "confirm_n": st.sampled_from([1, 2, 3]), "dip_tolerance": st.sampled_from(["0", "0.0025", "3"]),
    }  # fmt: skip
    found |= {name: draw(strategy) for name, strategy in optional.items() if draw(st.booleans())}
    if "max_rate_per_h" in found:
        found["resettable"] = draw(st.booleans())
    if kind == "period" and draw(st.integers(0, 3)):
        found["set_day"] = draw(st.sampled_from(["12-31", "month", "03-31", "02-28", "10-26"]))
    if draw(st.integers(0, 4)) == 0:
        at = [civil.instant(text) for text in STARTS[:2]]
        found["factors"] = [[civil.iso(at[0] + 7 * HOUR * 10**6), "1.5"], [civil.iso(at[1] + draw(st.integers(1, 90_000)) * 10**6), "0.333"]]
    return found


@st.composite
def exchanged(draw, readings, register):
    """Exchanges off every set day and due reading; only the last may lack its start (2.5)."""
    last = civil.instant(readings[-1]["t"])
    first = civil.instant(readings[0]["t"]) - 5 * civil.HOUR
    count = draw(st.sampled_from([0, 0, 0, 1, 2]))
    at = sorted(draw(st.sets(st.integers(0, max((last - first) // civil.SECOND, 1) + 8 * HOUR), min_size=count, max_size=count)))
    found = []
    for number, seconds in enumerate(at, 1):
        one = {"at": stamp(first + seconds * civil.SECOND + 500_001)}
        one |= {"end": draw(st.sampled_from(["100", "105.5", "3"]))} if draw(st.booleans()) else {}
        one |= {"start": draw(st.sampled_from(["0", "0.012", "7"]))} if number < count or draw(st.booleans()) else {}
        found.append(one)
    return found


def comparable(answer):
    """An answer with dropped reasons as a multiset."""
    return {**answer, "dropped": Counter(answer["dropped"])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_reference_gives_the_cases(case):
    """What is written here from the specification alone agrees with every row that a case expects."""
    for count, batch in enumerate(case["batches"], 1):
        found = reference.answer({**case, "batches": case["batches"][:count]})
        for level, rows in batch["expect"]["rows"].items():
            assert [{**row, "flags": sorted(row.get("flags", []))} for row in found["rows"][level]] == [
                {**row, "flags": sorted(row.get("flags", []))} for row in rows
            ]
        assert Counter(found["dropped"]) == Counter(batch["expect"]["dropped"])
        assert found["pending"] is batch["expect"]["pending"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases())
def test_any_register_is_rolled_up_as_specified(case):
    """The kernel and an implementation that shares nothing with it answer alike, field by field."""
    assert comparable(conform.run_case(case)) == comparable(reference.answer(case))


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases())
def test_the_exact_path_is_as_specified(case):
    """So does the path without columns, which holds any number of digits."""
    answer, storable = None, conform._storable
    try:
        conform._storable = lambda _: False
        answer = conform.run_case(case)
    finally:
        conform._storable = storable
    assert comparable(answer) == comparable(reference.answer(case))
