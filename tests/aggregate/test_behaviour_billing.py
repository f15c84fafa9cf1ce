"""H02 and H08 of semantics/cases.json, and what else freezing a bill promises (SPEC 13)."""

import json

import pytest
from house import WHO, House

from submeter.errors import SubmeterError
from submeter.reading import Source

JANUARY = {"target": "p", "start": "2024-01-01", "end": "2024-02-01"}
MONTHS = {"from": "2024-01-01", "to": "2024-03-01", "resolution": "P1M"}
MIDNIGHTS = ("2024-01-01T00:00:00+01:00", "2024-02-01T00:00:00+01:00", "2024-03-01T00:00:00+01:00")


@pytest.fixture
def house(tmp_path):
    """January 4.5, February 3.5 m³, from values that the meter stored at month ends; January is billed."""
    made = House(tmp_path / "h", zone="Europe/Prague")
    made.hear(*zip(MIDNIGHTS, ("50", "54.5", "58"), strict=True), src=Source.HISTORIC)
    made.do("bill", **JANUARY, **WHO)
    yield made
    made.core.close()


def late(house, value="54.6"):
    """A stored value for the end of January arrives in a later telegram."""
    house.hear((MIDNIGHTS[1], value), src=Source.HISTORIC)


def test_h02_a_billed_month_is_frozen_and_a_late_reading_becomes_a_correction(house, shared):
    """H02: as_of=billed keeps 4.5, latest says 4.6 with a correction of 0.1 in revision 2, and February changes as usual."""
    cases = json.loads((shared / "semantics" / "cases.json").read_text())["behavioural"]
    expect = next(case for case in cases if case["id"] == "H02")["expect"]
    late(house)
    answers = {view: house.get(**MONTHS, as_of=view).json()["series"][0] for view in ("billed", "latest")}
    assert str(answers["billed"]["points"][0]["value"]) == expect["consumption(2024-01, as_of=billed)"]
    january, february = answers["latest"]["points"]
    assert str(january["value"]) == expect["consumption(2024-01, as_of=latest)"]
    assert str(february["value"]) == expect["2024-02 latest"]
    (correction,) = answers["latest"]["corrections"]
    said = {name: str(correction[name]) for name in ("old", "new", "diff")} | {"reason": correction["reason"], "rev": correction["rev"]}
    assert said | {"period": correction["start"][:7]} == expect["correction"]
    assert (correction["resolution"], correction["by"], correction["meter"]) == ("P1M", "submeter", "p")
    assert answers["billed"]["corrections"] == []


def test_states_and_revisions_of_each_view(house):
    """What was never billed is unknown in the billed view; a revision number answers the rows as they stood then."""
    late(house)
    late(house, "54.7")
    assert [(p["value"], p["state"], p["rev"]) for p in house.points(**MONTHS, as_of="billed")] == [(4.5, "billed", 1), (None, "open", 0)]
    assert [(p["value"], p["state"], p["rev"]) for p in house.points(**MONTHS)] == [(4.7, "billed", 3), (3.3, "final", 3)]
    for rev, values in ((1, [4.5, 3.5]), (2, [4.6, 3.4]), (3, [4.7, 3.3]), (9, [4.7, 3.3])):
        assert [p["value"] for p in house.points(**MONTHS, as_of=rev)] == values


def test_hours_and_days_inside_are_frozen_too(house):
    """A bill freezes all levels inside: days of the billed view still sum to the billed month, those of the latest view to the new one."""
    late(house)
    days = {"from": "2024-01-01", "to": "2024-02-01", "resolution": "P1D"}
    for view, total in (("billed", 4_500_000), ("latest", 4_600_000), ("1", 4_500_000)):
        assert sum(round(p["value"] * 1e6) for p in house.points(**days, as_of=view)) == total


def test_corrections_add_up(house):
    """Each correction starts where the one before ended, so that their sum is what the next bill owes."""
    late(house)
    late(house, "54.3")
    body = house.get(**MONTHS).json()["series"][0]
    assert [(c["old"], c["new"], c["diff"], c["rev"]) for c in body["corrections"]] == [(4.5, 4.6, 0.1, 2), (4.6, 4.3, -0.3, 3)]
    assert [line.split(": ", 1)[1] for line in house.do("corrections")] == [
        "0.1 m3  late_reading by submeter, revision 2",
        "-0.3 m3  late_reading by submeter, revision 3",
    ]


def test_history_says_why(house):
    """A replaced row keeps the message that caused it."""
    late(house)
    (old,) = [row for row in house.history() if row["level"] == 2 and row["state"] == 3]
    assert (old["reason"], old["caused_by"], old["value"], old["rev"]) == ("late_reading", "message 4", 4_500_000, 1)


def test_the_act_of_billing_is_kept_with_its_figures(house):
    """The decision says what was billed, by whom and why, and the audit has its line."""
    (bill,) = house.core.registry.decisions.in_force("bill")
    assert (bill.by, bill.reason, bill.details["level"], bill.details["rows"]) == ("Eva", "seen on site", "month", {"volume": 4_500_000})
    assert [entry.actor for entry in house.core.registry.audit() if entry.action == "decision.bill"] == ["Eva"]


def test_a_bill_that_is_taken_back_leaves_nothing_frozen(house):
    """Withdrawn, its rows are final again, nothing is answered as billed, and nothing is to be settled."""
    late(house)
    house.do("withdraw", decision=1, **WHO)
    assert [row["state"] for row in house.rows("month")] == [2, 2]
    assert [p["value"] for p in house.points(**MONTHS, as_of="billed")] == [None, None]
    assert house.do("corrections") == []
    house.do("bill", **JANUARY, **WHO)
    assert [p["value"] for p in house.points(**MONTHS, as_of="billed")] == [4.6, None]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (JANUARY, "billed in this time by decision 1"),
        ({**JANUARY, "end": "2024-03-01"}, "billed in this time by decision 1"),
        ({**JANUARY, "start": "2024-03-01", "end": "2099-01-01"}, "not final"),
        ({**JANUARY, "start": "2024-02-01", "end": "2024-02-01"}, "no period of whole days"),
        ({**JANUARY, "start": "2024-02-01T12:00:00Z", "end": "2024-03-01"}, "no period of whole days"),
        ({**JANUARY, "start": "2021-01-01", "end": "2022-01-01"}, "nothing to bill"),
        ({**JANUARY, "target": "nowhere"}, "no point, unit or property"),
    ],
)
def test_what_cannot_be_billed_is_refused(house, asked, said):
    """A period billed already, not settled, not of whole days or without rows is refused, and nothing is kept of it."""
    with pytest.raises(SubmeterError, match=said):
        house.do("bill", **asked, **WHO)
    assert len(house.core.registry.decisions.all()) == 1


def test_a_crash_after_the_decision_is_made_good(house, monkeypatch):
    """A bill that was decided and not yet applied is applied by the next run."""
    with monkeypatch.context() as broken:
        broken.setattr(house.core.readings, "bill", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            house.do("bill", target="u", start="2024-02-01", end="2024-03-01", **WHO)
    assert [row["state"] for row in house.rows("month")] == [3, 2]
    house.core.rollup()
    assert [row["state"] for row in house.rows("month")] == [3, 3]
    assert [p["value"] for p in house.points(**MONTHS, as_of="billed")] == [4.5, 3.5]


def test_h08_a_property_shows_nothing_finer_than_its_finest(tmp_path):
    """H08: finest=month answers months with 200 and refuses hours with 403, whatever view is asked for."""
    house = House(tmp_path / "h", finest="month")
    house.hear(("2024-01-01T00:00:00Z", "0"), ("2024-02-01T00:00:00Z", "1"))
    period = {"from": "2024-01-01", "to": "2024-01-02"}
    for view in ("latest", "billed", "1"):
        assert [house.get(**period, resolution=r, as_of=view).status_code for r in ("PT1H", "P1D", "P1M", "P1Y")] == [403, 403, 200, 200]
    house.core.close()


@pytest.mark.parametrize("nonsense", ["", "yesterday", "0", "-1", "1.5", "LATEST", "99999999999999999999"])
def test_a_view_that_is_none_is_refused(house, nonsense):
    """`as_of` is latest, billed or a revision from 1; anything else is named as the wrong parameter."""
    answer = house.get(**MONTHS, as_of=nonsense)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "as_of")
