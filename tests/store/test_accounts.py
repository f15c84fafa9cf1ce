"""Residents' accounts at the store: who is who, what gives a right and when it ends, what a grant shows, and what is forgotten when."""

from dataclasses import replace

import pytest

from submeter.civil import DAY, HOUR, MINUTE
from submeter.store import Registry
from submeter.store.account_types import Account, Claim, Contact, Factor, FlowRow, Grant, Session
from submeter.store.accounts import SETTLEMENT, digest, notice_address

pytestmark = pytest.mark.both_engines

NOW = 1_000 * DAY
HOUSE = (
    "INSERT INTO managers VALUES ('c_1', 'One'), ('c_2', 'Two')",
    "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b_1', 'c_1', 'House', 'UTC', '01-01', 'hour'), ('b_2', 'c_1', 'Yard', 'UTC', '01-01', 'day')",
    "INSERT INTO units VALUES ('u_1', 'b_1', '1', ''), ('u_2', 'b_2', '2', ''), ('u_3', 'b_1', '3', '')",
    f"INSERT INTO occupancies VALUES ('u_1', {NOW - 100 * DAY}, NULL, 'Nová'), ('u_1', {NOW - 900 * DAY}, {NOW - 100 * DAY}, 'Stará'), ('u_2', {NOW + DAY}, NULL, 'Příští')",
)
ACCOUNT = Account("a_1", "inmes", "jana", "Jana", "cs", "hash", NOW, 0, None)
GRANT = Grant("g_1", "a_1", "c_1", "u_1", NOW - 100 * DAY, "resident", NOW - 90 * DAY, None, "claim", None, NOW, None)
CLAIM = Claim("x_1", "c_1", "letter", "u_1", NOW - 100 * DAY, "resident", b"number", b"proof", NOW, None, None, None, None, None)
SESSION = Session("s_1", "inmes", "c_1", "a_1", "account", {"units": ["u_1"]}, NOW, NOW, NOW + 12 * HOUR, 30 * MINUTE, NOW, "Firefox", None)


@pytest.fixture
def registry(tmp_path):
    """A house with two flats, one yard, and the account of somebody who lives there."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        with opened.writing() as db:
            for statement in HOUSE:
                db.execute(statement)
        opened.accounts.add(ACCOUNT)
        yield opened


@pytest.fixture
def accounts(registry):
    """Its accounts."""
    return registry.accounts


def test_an_account_is_found_by_id_and_name_until_it_ends(accounts):
    """Its realm's own name only; once it has ended it is nobody's, and another may have the name."""
    assert accounts.account("a_1") == accounts.named("inmes", "jana") == ACCOUNT
    assert accounts.named("impreso", "jana") is accounts.named("inmes", "petr") is accounts.account("a_2") is None
    accounts.describe("a_1", "Jana Nová", "en", "u_1")
    assert accounts.account("a_1") == replace(ACCOUNT, name="Jana Nová", locale="en", last_unit="u_1")
    accounts.open_session(SESSION, "secret")
    accounts.end("a_1", NOW + 1)
    assert accounts.account("a_1") is accounts.named("inmes", "jana") is accounts.session("secret", NOW + 2) is None
    accounts.add(replace(ACCOUNT, id="a_2"))
    assert accounts.named("inmes", "jana").id == "a_2"


def test_wrong_passwords_are_counted_until_a_right_one_or_another(accounts):
    """In a row; a new password begins anew."""
    for failures in (1, 2):
        accounts.failed("a_1")
        assert accounts.account("a_1").failures == failures
    accounts.failed("a_1", reset=True)
    assert accounts.account("a_1").failures == 0
    accounts.failed("a_1")
    accounts.set_password("a_1", "other")
    assert (accounts.account("a_1").failures, accounts.account("a_1").password) == (0, "other")


#: What of a proven address to sign in with differs, who asks for it, and whether it is somebody's.
OWNED = (
    ({}, ("inmes", "email"), True),
    ({"use": "recovery"}, ("inmes", "email"), True),
    ({"use": "notify"}, ("inmes", "email"), False),
    ({"verified": None}, ("inmes", "email"), False),
    ({}, ("impreso", "email"), False),
    ({}, ("inmes", "phone"), False),
)


def test_who_an_address_belongs_to(accounts):
    """A proven address to sign in with or to recover by, in its realm; one for notices is nobody's."""
    for number, (contact, asked, reached) in enumerate(OWNED):
        accounts.add_contact(replace(Contact(f"k_{number}", "a_1", "email", f"{number}@example.org", "auth", NOW), **contact), "inmes")
        found = accounts.reached(*asked, f"{number}@example.org")
        assert (found and found.id) == ("a_1" if reached else None), (contact, asked)
    assert accounts.reached("inmes", "email", "petr@example.org") is None


def test_addresses_are_in_order_of_entry_and_an_ended_account_frees_them(accounts):
    """Each of its own account; nobody takes away another's."""
    contacts = [Contact(f"k_{9 - number}", "a_1", "email", f"{number}@example.org", "auth", NOW) for number in range(3)]
    for one in contacts:
        accounts.add_contact(one, "inmes")
    assert accounts.contacts("a_1") == contacts
    accounts.drop_contact("a_2", "k_9")
    accounts.drop_contact("a_1", "k_8")
    assert accounts.contacts("a_1") == [contacts[0], contacts[2]]
    accounts.end("a_1", NOW)
    assert accounts.reached("inmes", "email", "0@example.org") is None
    assert [one.verified for one in accounts.contacts("a_1")] == [None, None]


ADDRESSES = {"auth": ("auth", NOW), "notify": ("notify", NOW), "recovery": ("recovery", NOW), "new": ("notify", None)}


#: Which addresses there are, by which way to tell, and where that goes.
TOLD = (
    (["email:auth"], "email", "email:auth"),
    (["email:auth", "email:notify"], "email", "email:notify"),
    (["email:notify", "email:auth"], "email", "email:notify"),
    (["email:recovery"], "email", None),
    (["email:new", "email:auth"], "email", "email:auth"),
    (["email:auth"], "sms", None),
    (["phone:auth", "email:notify"], "sms", "phone:auth"),
    ([], "email", None),
)


@pytest.mark.sqlite_alone("it asks no store")
def test_where_notices_go():
    """To a proven address that was given for them, else to one to sign in with, never to one for recovery; an SMS to a phone."""
    for there, way, address in TOLD:
        contacts = [Contact(one, "a_1", channel, one, *ADDRESSES[kind]) for one in there for channel, kind in [one.split(":")]]
        assert notice_address(contacts, way) == address, (there, way)


def test_a_second_factor_counts_up_and_a_new_one_takes_its_place(accounts):
    """A code works once; a TOTP that proved itself replaces the one before and leaves recovery codes."""
    accounts.add_factor(Factor("f_1", "a_1", "totp", b"one", 5, NOW, None))
    accounts.add_factor(Factor("f_2", "a_1", "recovery", b"two", 0, NOW, None))
    assert [accounts.use_factor("f_1", counter, NOW) for counter in (5, 4, 6, 6, 7)] == [False, False, True, False, True]
    assert [(one.counter, one.used) for one in accounts.factors("a_1")] == [(7, NOW), (0, None)]
    accounts.add_factor(Factor("f_3", "a_1", "totp:new", b"three", 0, NOW, None))
    accounts.confirm_factor("f_3", 9)
    assert [(one.id, one.kind, one.counter) for one in accounts.factors("a_1")] == [("f_2", "recovery", 0), ("f_3", "totp", 9)]
    accounts.drop_factors("a_1", "totp", "totp:new")
    assert [one.id for one in accounts.factors("a_1")] == ["f_2"]
    accounts.drop_factors("a_2", "recovery")
    assert len(accounts.factors("a_1")) == 1


def test_consents_are_kept_in_order_of_time_and_taken_back_once(accounts):
    """The first withdrawal counts; nobody withdraws another's."""
    accounts.consent("n_2", "a_1", "privacy", "1", "cs", NOW + 1)
    accounts.consent("n_1", "a_1", "terms", "3", "cs", NOW)
    assert [one["id"] for one in accounts.consents("a_1")] == ["n_1", "n_2"]
    assert not accounts.withdraw_consent("a_2", "n_1", NOW + 2)
    assert accounts.withdraw_consent("a_1", "n_1", NOW + 3)
    assert accounts.withdraw_consent("a_1", "n_1", NOW + 9)
    assert [one["withdrawn"] for one in accounts.consents("a_1")] == [NOW + 3, None]
    assert accounts.consents("a_1")[0] == {"id": "n_1", "doc": "terms", "version": "3", "locale": "cs", "at": NOW, "withdrawn": NOW + 3}


#: What of a claim differs, and whether something may follow from it.
STANDING = (
    ({}, True),
    ({"expires": NOW + 1}, True),
    ({"expires": NOW}, False),
    ({"used": NOW - 1}, False),
    ({"withdrawn": NOW - 1}, False),
    ({"occupancy": None}, True),
    ({"occupancy": NOW - 900 * DAY}, False),
    ({"occupancy": NOW - 5 * DAY}, False),
    ({"unit": "u_2", "occupancy": NOW + DAY}, True),
    ({"unit": "u_2", "occupancy": NOW - 100 * DAY}, False),
)


def test_when_a_claim_is_in_force(accounts):
    """Not used, taken back or over, and of an occupancy that is on record and has not ended; what does not stand cannot be used, what does once."""
    for number, (changed, stands) in enumerate(STANDING):
        claim = replace(CLAIM, id=f"x_{number}", identifier=b"%d" % number, **changed)
        accounts.add_claim(claim)
        assert accounts.claims("c_1", "letter", claim.identifier, NOW) == [claim] * stands, changed
        assert accounts.claims("c_2", "letter", claim.identifier, NOW) == accounts.claims("c_1", "contract", claim.identifier, NOW) == []
        assert accounts.stands(claim, NOW) is stands
        assert [accounts.use_claim(claim.id, NOW), accounts.use_claim(claim.id, NOW)] == [stands, False]
        assert accounts.claim(claim.id).used == (NOW if stands else claim.used)


def test_claims_are_listed_and_taken_back(accounts):
    """Of a manager the newest first, used ones too; the first withdrawal counts, another manager's has no effect."""
    for number in range(3):
        accounts.add_claim(replace(CLAIM, id=f"x_{number}", created=NOW + number // 2))
    assert [one.id for one in accounts.claims_of("c_1")] == ["x_2", "x_0", "x_1"]
    assert accounts.claims_of("c_2") == []
    assert not accounts.withdraw_claim("c_2", "x_0", NOW)
    assert accounts.withdraw_claim("c_1", "x_0", NOW)
    assert accounts.withdraw_claim("c_1", "x_0", NOW + 5)
    assert accounts.claim("x_0").withdrawn == NOW
    assert accounts.claim("x_9") is None


#: What of a grant differs, with the role that it has; what is seen then as (since, until, finest, quantities), None for nothing.
SEEN = {
    "it is inside its occupancy": ({}, (NOW - 100 * DAY, None, "hour", None)),
    "it waits": ({"since": NOW + 1}, None),
    "it begins now": ({"since": NOW}, (NOW - 100 * DAY, None, "hour", None)),
    "it is over": ({"until": NOW}, None),
    "it is over soon": ({"until": NOW + 1}, (NOW - 100 * DAY, NOW + 1, "hour", None)),
    "it has ended": ({"ended": NOW - 1}, None),
    "its occupancy ended": ({"occupancy": NOW - 900 * DAY}, (NOW - 900 * DAY, NOW - 100 * DAY, "hour", None)),
    "of an ended occupancy a guest sees nothing": ({"occupancy": NOW - 900 * DAY, "role": "household"}, None),
    "nor does a third party": ({"occupancy": NOW - 900 * DAY, "role": "third_party"}, None),
    "its occupancy is not on record": ({"occupancy": NOW - 5}, None),
    "there are no occupancies": ({"unit": "u_3", "occupancy": None}, (None, None, "hour", None)),
    "it is narrowed in time": ({"data_from": NOW - 10 * DAY}, (NOW - 10 * DAY, None, "hour", None)),
    "it is narrowed to before its occupancy": ({"data_from": NOW - 200 * DAY}, (NOW - 100 * DAY, None, "hour", None)),
    "it is narrowed to a level": ({"finest": "month"}, (NOW - 100 * DAY, None, "month", None)),
    "it is not finer than the property": ({"unit": "u_2", "occupancy": None, "finest": "hour"}, (None, None, "day", None)),
    "it is limited": ({"role": "resident:limited"}, (NOW - 100 * DAY, None, "month", None)),
    "it is narrowed to classes": ({"quantities": "heat cold_water"}, (NOW - 100 * DAY, None, "hour", {"heat", "cold_water"})),
    "it is narrowed to nothing": ({"quantities": ""}, (NOW - 100 * DAY, None, "hour", set())),
    "it is of another manager's unit": ({"manager": "c_2"}, None),
    "it ends before its occupancy": ({"occupancy": NOW - 900 * DAY, "until": NOW + DAY}, (NOW - 900 * DAY, NOW - 100 * DAY, "hour", None)),
}


def test_what_a_grant_shows(accounts):
    """The time of its occupancy as far as the grant reaches, down to the coarser of two levels."""
    for number, (case, (grant, seen)) in enumerate(SEEN.items()):
        accounts.add(replace(ACCOUNT, id=f"of_{number}", username=None))
        accounts.add_grant(replace(GRANT, id=f"g_{number}", account=f"of_{number}", **grant))
        found = [(one.since, one.until, one.finest, one.quantities) for one in accounts.visible(f"of_{number}", NOW)]
        assert found == ([] if seen is None else [seen]), case
    assert accounts.visible("a_1", NOW) == []


def test_settlement_is_a_year(accounts):
    """A resident reads the old flat until a year after the occupancy's end, and not at its last instant any more."""
    accounts.add_grant(replace(GRANT, occupancy=NOW - 900 * DAY))
    over = NOW - 100 * DAY + SETTLEMENT
    assert SETTLEMENT == 365 * DAY
    assert [len(accounts.visible("a_1", at)) for at in (over - 1, over)] == [1, 0]


def test_the_latest_occupancy_of_a_unit_comes_first(accounts):
    """Units in order, each grant's by the beginning of its occupancy; one without any comes last."""
    for number, (unit, occupancy) in enumerate((("u_3", None), ("u_1", NOW - 900 * DAY), ("u_1", None), ("u_1", NOW - 100 * DAY))):
        accounts.add_grant(replace(GRANT, id=f"g_{number}", unit=unit, occupancy=occupancy))
    assert [one.grant for one in accounts.visible("a_1", NOW)] == ["g_3", "g_1", "g_2", "g_0"]
    shown = accounts.visible("a_1", NOW)[0]
    assert (shown.unit, shown.role, shown.shows("heat")) == ("u_1", "resident", True)


def test_what_a_guest_holds_by_claims(accounts):
    """From when the session began; nothing of a claim that was taken back, nothing before its time."""
    accounts.add_claim(replace(CLAIM, role="guest", quantities="heat"))
    accounts.add_claim(replace(CLAIM, id="x_2", unit="u_3", occupancy=None, role="guest"))
    seen = accounts.held(["x_1", "x_2", "x_9"], NOW, NOW)
    assert [(one.unit, one.since, one.role, one.grant, one.shows("cold_water")) for one in seen] == [
        ("u_1", NOW - 100 * DAY, "guest", "x_1", False),
        ("u_3", None, "guest", "x_2", True),
    ]
    assert accounts.held(["x_1"], NOW + 1, NOW) == []
    accounts.withdraw_claim("c_1", "x_1", NOW)
    assert [one.unit for one in accounts.held(["x_1", "x_2"], NOW, NOW)] == ["u_3"]


def test_grants_are_listed_by_whose_and_of_what(accounts):
    """Of an account, a unit, a giver, and those of a manager that wait; ended ones in none of them, though one is found by its id."""
    accounts.add(replace(ACCOUNT, id="a_2", username="petr"))
    accounts.add_grant(GRANT)
    accounts.add_grant(replace(GRANT, id="g_2", account="a_2", giver="a_1", created=NOW + 2, since=NOW + 9))
    accounts.add_grant(replace(GRANT, id="g_3", unit="u_3", since=NOW + 5, created=NOW + 1))
    accounts.add_grant(replace(GRANT, id="g_4", ended=NOW - 1, giver="a_1", since=NOW + 1))
    assert [one.id for one in accounts.grants("a_1")] == ["g_1", "g_3"]
    assert [one.id for one in accounts.grants_of("u_1")] == ["g_1", "g_2"]
    assert [one.id for one in accounts.grants_given("a_1")] == ["g_2"]
    assert [one.id for one in accounts.waiting("c_1", NOW)] == ["g_3", "g_2"]
    assert [one.id for one in accounts.waiting("c_1", NOW + 5)] == ["g_2"]
    assert accounts.waiting("c_2", NOW) == []
    assert accounts.grant("g_4").ended == NOW - 1
    assert accounts.grant("g_9") is None


def test_a_grant_that_waits_begins_and_a_limited_one_becomes_whole(accounts):
    """One that has begun keeps its beginning; another role stays what it is."""
    accounts.add_grant(replace(GRANT, since=NOW + DAY, role="resident:limited"))
    accounts.add_grant(replace(GRANT, id="g_2", role="household"))
    for identity in ("g_1", "g_2"):
        accounts.start_grant(identity, NOW)
        accounts.confirm_grant(identity)
    assert [(one.since, one.role) for one in map(accounts.grant, ("g_1", "g_2"))] == [(NOW, "resident"), (GRANT.since, "household")]


def test_what_somebody_gave_ends_with_the_own_grant(accounts):
    """Of the same unit, also invitations that nobody followed; what was given for another unit stays, and what ended before keeps its end."""
    accounts.add_grant(GRANT)
    for number, unit in enumerate(("u_1", "u_3")):
        accounts.add_grant(replace(GRANT, id=f"given_{number}", account="a_1", giver="a_1", unit=unit))
        accounts.add_claim(replace(CLAIM, id=f"x_{number}", kind="invitation", unit=unit, giver="a_1", occupancy=None, created=NOW - number))
        accounts.add_claim(replace(CLAIM, id=f"used_{number}", kind="invitation", unit=unit, giver="a_1", used=NOW - 5))
    accounts.add_claim(replace(CLAIM, id="x_2", kind="invitation", giver="a_1", expires=NOW))
    accounts.add_claim(replace(CLAIM, id="x_3", kind="invitation", giver="a_1", created=NOW - 9))
    accounts.add_grant(replace(GRANT, id="old", giver="a_1", ended=NOW - 7))
    assert [one.id for one in accounts.invitations("a_1", "u_1", NOW)] == ["x_3", "x_0"]
    accounts.end_grant("g_1", NOW)
    assert accounts.invitations("a_1", "u_1", NOW) == []
    assert [one.id for one in accounts.invitations("a_1", "u_3", NOW)] == ["x_1"]
    ended = {identity: accounts.grant(identity).ended for identity in ("g_1", "given_0", "given_1", "old")}
    assert ended == {"g_1": NOW, "given_0": NOW, "given_1": None, "old": NOW - 7}
    assert accounts.claim("used_0").withdrawn is None


def test_a_flow_is_kept_until_it_is_over(accounts):
    """As it stood last, by its id and by the link that it waits for."""
    flow = FlowRow("f_1", b"cookie", "inmes", "c_1", "login", {"step": 1}, NOW + 60)
    accounts.keep_flow(flow, b"link")
    accounts.keep_flow(replace(flow, state={"step": 2, "named": "Žižkov"}), b"other")
    assert accounts.flow("f_1", NOW) == accounts.flow_of_link(b"other", NOW) == replace(flow, state={"step": 2, "named": "Žižkov"})
    assert accounts.flow_of_link(b"link", NOW) is accounts.flow("f_1", NOW + 60) is accounts.flow("f_2", NOW) is None
    accounts.end_flow("f_1")
    assert accounts.flow("f_1", NOW) is None


def test_a_session_ends_by_itself(accounts):
    """After its longest pause, whatever end it was given."""
    accounts.open_session(SESSION, "secret")
    assert (accounts.session("secret", NOW).id, accounts.session("secret", NOW).held) == ("s_1", {"units": ["u_1"]})
    assert accounts.session("other", NOW) is None
    for at, runs in ((NOW + 30 * MINUTE, False), (NOW + 12 * HOUR, False), (NOW + 30 * MINUTE - 1, True)):
        assert (accounts.session("secret", at) is not None) is runs


def test_a_session_that_is_used_goes_on_until_its_end(accounts):
    """Being seen is written once a minute; at its end it is over all the same."""
    accounts.open_session(replace(SESSION, expires=NOW + 40 * MINUTE), "secret")
    accounts.session("secret", NOW + MINUTE)
    assert accounts.sessions("a_1", NOW + MINUTE)[0].seen == NOW
    accounts.session("secret", NOW + MINUTE + 1)
    assert accounts.sessions("a_1", NOW + MINUTE + 1)[0].seen == NOW + MINUTE + 1
    assert accounts.session("secret", NOW + 30 * MINUTE + 1) is not None
    assert accounts.session("secret", NOW + 40 * MINUTE) is None


def test_sessions_end_one_by_one_or_all_but_one(accounts):
    """The newest is listed first; of a session without an account nobody's end is asked."""
    for number in range(3):
        accounts.open_session(replace(SESSION, id=f"s_{number}", created=NOW + number), f"secret {number}")
    accounts.open_session(replace(SESSION, id="guest", account=None), "guest")
    assert [one.id for one in accounts.sessions("a_1", NOW)] == ["s_2", "s_1", "s_0"]
    accounts.end_session("s_2", NOW)
    assert accounts.end_sessions("a_1", NOW, but="s_1") == 1
    assert [one.id for one in accounts.sessions("a_1", NOW)] == ["s_1"]
    assert accounts.session("guest", NOW).account is None
    assert accounts.end_sessions("a_1", NOW) == 1


def test_a_session_that_was_proven_again_has_another_secret(accounts):
    """The old one is void; how fresh it is moves on."""
    accounts.open_session(SESSION, "secret")
    accounts.freshen("s_1", "another", NOW + 7)
    assert accounts.session("secret", NOW + 8) is None
    assert accounts.session("another", NOW + 8).fresh == NOW + 7


def test_browsers_are_known_by_account(accounts):
    """A secret opens nothing but the knowledge that it was seen; without a secret nobody is known."""
    accounts.remember_browser("a_1", "cookie", NOW)
    accounts.remember_browser("a_1", "cookie", NOW + 5)
    assert [accounts.knows_browser(*who) for who in (("a_1", "cookie"), ("a_1", "other"), ("a_2", "cookie"), ("a_1", ""))] == [
        True,
        False,
        False,
        False,
    ]


def test_failures_hold_the_next_try_up(accounts):
    """As long as told for so many; forgiven, it begins anew."""
    counted = []
    for _ in range(3):
        accounts.count("key", NOW, lambda fails: counted.append(fails) or fails * 10)
    assert counted == [1, 2, 3]
    assert [accounts.held_up("key", at) for at in (NOW, NOW + 29, NOW + 30)] == [True, True, False]
    assert not accounts.held_up("other", NOW)
    accounts.forgive("key")
    assert not accounts.held_up("key", NOW)
    accounts.count("key", NOW, lambda fails: counted.append(fails) or 0)
    assert counted[-1] == 1


def test_a_daily_count_begins_anew_each_day(accounts):
    """So many a day and no more; the next day counts from one, where a count that is not daily goes on."""
    for _ in range(2):
        accounts.count("mails", NOW, lambda _: 0, daily=True)
    assert [accounts.held_up("mails", NOW, daily=limit) for limit in (2, 3)] == [True, False]
    assert not accounts.held_up("mails", NOW + DAY, daily=2)
    accounts.count("mails", NOW + DAY, lambda _: 0, daily=True)
    assert [accounts.held_up("mails", NOW + DAY, daily=limit) for limit in (1, 2)] == [True, False]
    accounts.count("mails", NOW + 2 * DAY, lambda _: 0)
    assert accounts.held_up("mails", NOW + 2 * DAY, daily=2)


def test_what_is_over_for_a_day_is_deleted(registry, accounts):
    """Flows and sessions, these by whichever end came first; failures after a week, unless they hold somebody up."""
    flow = FlowRow("f_1", b"", "inmes", "c_1", "login", {}, NOW - DAY)
    accounts.keep_flow(flow, None)
    accounts.keep_flow(replace(flow, id="f_2", expires=NOW - DAY - 1), None)
    late = NOW - DAY
    for identity, changed in (
        ("stays", {"seen": late - 30 * MINUTE, "created": late - DAY}),
        ("idle", {"seen": late - 30 * MINUTE - 1}),
        ("expired", {"expires": late - 1}),
        ("ended", {"ended": late - 1}),
    ):
        accounts.open_session(replace(SESSION, id=identity, **changed), identity)
    for key, day, wait in (("young", 7, 0), ("old", 8, 0), ("held", 8, 9 * DAY)):
        accounts.count(key, NOW - day * DAY, lambda _, wait=wait: wait)
    assert accounts.expire(NOW) == 4
    assert registry._rows("SELECT id FROM flows") == [("f_1",)]
    assert registry._rows("SELECT id FROM sessions") == [("stays",)]
    assert registry._rows("SELECT key FROM throttle ORDER BY key") == [("held",), ("young",)]


def test_old_browsers_and_dead_claims_are_forgotten(registry, accounts):
    """A browser not seen for long, and claims that were over, used or taken back before an instant; what stands stays however old it is."""
    accounts.remember_browser("a_1", "old", NOW - 1)
    accounts.remember_browser("a_1", "young", NOW)
    ends = {
        "stands": {},
        "used": {"used": NOW - 1},
        "withdrawn": {"withdrawn": NOW - 1},
        "expired": {"expires": NOW - 1},
        "late": {"used": NOW, "expires": NOW},
    }
    for identity, changed in ends.items():
        accounts.add_claim(replace(CLAIM, id=identity, **changed))
    assert accounts.forget(browsers=NOW, claims=NOW) == 4
    assert registry._rows("SELECT id FROM claims ORDER BY id") == [("late",), ("stands",)]
    assert registry._rows("SELECT hash FROM browsers") == [(digest("young"),)]


@pytest.mark.sqlite_alone("tests/store/test_postgres.py asks the server")
def test_what_may_be_missing_after_a_power_cut(registry, accounts):
    """Flows, what is noted of sessions and browsers, and counts of failures do not wait for the disk; all else does."""
    flow = FlowRow("f_1", b"", "inmes", "c_1", "login", {}, NOW + DAY)
    for waits, call in (
        (True, lambda: accounts.set_password("a_1", "other")),
        (False, lambda: accounts.keep_flow(flow, None)),
        (True, lambda: accounts.open_session(SESSION, "secret")),
        (False, lambda: accounts.session("secret", NOW + 2 * MINUTE)),
        (True, lambda: accounts.end_sessions("a_2", NOW)),
        (False, lambda: accounts.freshen("s_1", "another", NOW)),
        (True, lambda: accounts.add_grant(GRANT)),
        (False, lambda: accounts.remember_browser("a_1", "cookie", NOW)),
        (True, lambda: accounts.add_claim(CLAIM)),
        (False, lambda: accounts.count("key", NOW, lambda _: 0)),
        (True, lambda: accounts.end_grant("g_1", NOW)),
        (False, lambda: accounts.forgive("key")),
        (True, lambda: accounts.expire(NOW)),
        (False, lambda: accounts.end_flow("f_1")),
    ):
        call()
        assert registry._connection.execute("PRAGMA synchronous").fetchone() == (2 if waits else 1,)
