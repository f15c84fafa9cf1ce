"""Balance lines: mirrored, summed exactly, each holder's own; and where to pay."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrored import people
from test_documents import IBAN, push

from submeter.api.mirror import minor, money


@pytest.fixture
def who(here):
    """cz-a with a former and a present holder."""
    return people(here)


@pytest.fixture
def accounting(here):
    """The accounting system of the Czech manager."""
    return here.service("cz", "balance:write", "balance:read", "documents:write")


def line(identity, period, amount, kind="charge", **fields):
    """One line of the accounting system."""
    whole = {
        "id": identity,
        "unit": "cz-a",
        "account": "4711",
        "period": period,
        "service": "heat",
        "kind": kind,
        "amount": amount,
        "currency": "CZK",
    }
    return whole | fields


def put(client, *lines, status=200):
    """Push lines."""
    answer = client.post("/v1/balance", content="\n".join(json.dumps(one) for one in lines), headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == status, answer.text
    return answer.json()


def balance(client, unit="cz-a", **query):
    """Ids and sums of what somebody sees."""
    answer = client.get(f"/v1/units/{unit}/balance", params=query)
    return ([one["id"] for one in answer.json()["lines"]], answer.json()["sums"]) if answer.status_code == 200 else answer.status_code


def test_each_holder_has_the_own_lines(here, who, accounting):
    """At the hand-over lines part; a payment of who has left names him; foreign units are not there."""
    put(
        accounting,
        line("1", "2024-12", "100.10"),
        line("2", "2025-01", "200"),
        line("3", "2025-02-03", "100.10", "payment", holder="2024-12-31"),
        line("4", "2025-02-03", 50.05, "payment"),
        line("5", "2025-02", "1", "penalty"),
    )
    former = {"CZK": {"charge": "100.10", "payment": "100.10", "penalty": "0.00", "due": "0.00"}}
    present = {"CZK": {"charge": "200.00", "payment": "50.05", "penalty": "1.00", "due": "150.95"}}
    assert balance(who.former) == (["1", "3"], former)
    assert balance(who.present) == (["2", "5", "4"], present)
    assert balance(accounting)[0] == ["1", "2", "5", "3", "4"]
    assert (balance(who.neighbour), balance(who.neighbour, "cz-b"), balance(who.household)) == (404, ([], {}), 403)
    assert balance(here.service("si", "balance:read")) == 404


def test_a_range_is_half_open_by_the_local_first_day(who, accounting):
    """From is in, to is not."""
    put(accounting, *(line(str(month), f"2025-0{month}", "1.00") for month in range(1, 6)))
    assert balance(who.present, **{"from": "2025-02-01", "to": "2025-04-01"})[0] == ["2", "3"]
    assert balance(who.present, **{"from": "2025-04-01"})[0] == ["4", "5"]
    assert balance(who.present, **{"from": "2025-04-01", "to": "2025-04-01"}) == 422


def test_lines_are_known_by_their_ids(who, accounting):
    """The same again changes nothing, other words replace, and another manager's line of that id is another line."""
    assert put(accounting, line("1", "2025-01", "10.00"), line("2", "2025-01", "1")) == {"added": 2, "changed": 0, "known": 0}
    assert put(accounting, line("1", "2025-01", "10.00"), line("2", "2025-01", "2")) == {"added": 0, "changed": 1, "known": 1}
    assert balance(who.present)[1]["CZK"]["charge"] == "12.00"


def test_a_foreign_manager_cannot_change_a_line(here, who, accounting):
    """Neither by the id of the line nor by the unit."""
    put(accounting, line("1", "2025-01", "10.00"))
    other = here.service("si", "balance:write")
    assert put(other, line("1", "2025-01", "9", unit="si-a"))["added"] == 1
    assert put(other, line("1", "2025-01", "9"), status=422) == put(other, line("1", "2025-01", "9", unit="u_nowhere"), status=422)
    assert balance(who.present)[1]["CZK"]["charge"] == "10.00"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": "1.001"}, "amount"),
        ({"amount": 0.001}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "99999999999999"}, "amount"),
        ({"currency": "Kč"}, "currency"),
        ({"kind": "fee"}, "kind"),
        ({"period": "2025-13"}, "period"),
        ({"period": "2025-02-30"}, "period"),
        ({"unit": "u_nowhere"}, "unit"),
        ({"extra": 1}, "extra"),
        ({"period": "1999-01"}, "nobody"),
    ],
)
def test_a_wrong_line_keeps_all_out(here, accounting, wrong, said):
    """All lines or none; the answer names the line and what is wrong with it."""
    (error,) = put(accounting, line("1", "2024-01", "1"), line("2", "2024-01", "1") | wrong, status=422)["errors"]
    assert error["parameter"] == "line 2"
    assert said in error["detail"]
    assert balance(accounting) == ([], {})


def test_a_month_of_two_holders_must_say_whose_it_is(here, who, accounting):
    """A charge over the hand-over is refused until it names a day of its holder."""
    here.hand_over("cz-b", "2025-03-15")
    put(accounting, line("1", "2025-03", "1", unit="cz-b"), status=422)
    put(accounting, line("1", "2025-03", "1", unit="cz-b", holder="2025-03-01"))
    assert balance(who.neighbour, "cz-b")[0] == ["1"]


@given(st.lists(st.decimals(min_value=-(10**10), max_value=10**10, places=2), max_size=50))
def test_sums_are_exact(amounts):
    """Sums of minor units are the sums of the decimals, and come back as they were written."""
    assert sum(minor(one) for one in amounts) == sum(amounts, Decimal(0)) * 100
    assert all(Decimal(money(minor(one))) == one for one in amounts)


def test_where_to_pay(who, accounting):
    """What is due, the link with it, and the payment string of the newest document that has one; nobody else's."""
    put(accounting, line("1", "2024-06", "70"), line("2", "2025-01", "480.55", account="47/11"))
    payment = {"scheme": "spd", "iban": IBAN, "variable": "1234"}
    push(accounting, period={"from": "2025-01-01", "to": "2025-02-01"}, amount="480.55", currency="CZK", due="2025-02-14", payment=payment)
    told = who.present.get("/v1/units/cz-a/payment").json()
    assert (told["due"], told["link"]) == ({"CZK": "480.55"}, "https://pay.example/?sum=480.55&for=47%2F11")
    assert told["payment"]["string"] == f"SPD*1.0*ACC:{IBAN}*AM:480.55*CC:CZK*DT:20250214*X-VS:1234"
    former = who.former.get("/v1/units/cz-a/payment").json()
    assert (former["due"], former["payment"]) == ({"CZK": "70.00"}, None)
    assert who.neighbour.get("/v1/units/cz-a/payment").status_code == 404
    assert who.household.get("/v1/units/cz-a/payment").status_code == 403
