"""Parts of the registry about people: letters, operators, tokens of their own, new addresses, wishes and limits, who read what, exports and erasures."""

from dataclasses import replace

import pytest

from submeter.civil import DAY, HOUR, MINUTE
from submeter.store import SCOPES, Registry, StoreError
from submeter.store.account_types import Account, Claim, Contact, Factor, FlowRow, Grant, Session
from submeter.store.erasures import WAIT, Erasure
from submeter.store.exports import KEPT
from submeter.store.letters import Letter
from submeter.store.new_contacts import NewContact
from submeter.store.notices import Posted, Rule, Wish
from submeter.store.operators import IDLE, LASTS, LINK, STAFF, session_of
from submeter.store.reads import EVER, Read

pytestmark = pytest.mark.both_engines

NOW = 20_000 * DAY


@pytest.fixture
def registry(tmp_path):
    """Two managers, two accounts, a flat."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        with opened.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c_1', 'One'), ('c_2', 'Two')")
            db.execute("INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b_1', 'c_1', 'House', 'UTC', '01-01', 'hour')")
            db.execute("INSERT INTO units VALUES ('u_1', 'b_1', '1', '')")
        for name in ("eva", "jan"):
            opened.accounts.add(Account(f"a_{name}", "inmes", name, name, "cs", "hash", NOW, 0, None))
        yield opened


def rows(registry, sql):
    """What the store has behind the back of its parts."""
    return registry._rows(sql)


# Letters and new addresses


def test_a_code_by_letter_works_once_until_it_is_over(registry):
    """The newest first, each for its kind and its account or grant; a used or old one opens nothing."""
    letter = Letter("l_1", "recovery", "a_eva", b"proof", NOW, NOW + 10, None)
    for one in (
        letter,
        replace(letter, id="l_2", created=NOW + 1),
        replace(letter, id="l_3", kind="confirmation"),
        replace(letter, id="l_4", subject="x"),
    ):
        registry.letters.add(one)
    assert [one.id for one in registry.letters.open("recovery", "a_eva", NOW)] == ["l_2", "l_1"]
    assert registry.letters.open("recovery", "a_eva", NOW + 10) == []
    assert [registry.letters.use("l_2", NOW), registry.letters.use("l_2", NOW), registry.letters.use("l_1", NOW + 10)] == [True, False, False]
    assert registry.letters.open("recovery", "a_eva", NOW) == [letter]
    assert registry.letters.open("confirmation", "a_eva", NOW)[0].id == "l_3"


def test_letters_are_forgotten_once_used_or_over(registry):
    """Before an instant, by whichever came first."""
    letter = Letter("over", "recovery", "a_eva", b"", NOW, NOW + 9, None)
    for one in (letter, replace(letter, id="used", expires=NOW + 99, used=NOW + 9), replace(letter, id="open", expires=NOW + 10)):
        registry.letters.add(one)
    assert registry.letters.forget(NOW + 9) == 0
    assert registry.letters.forget(NOW + 10) == 2
    assert rows(registry, "SELECT id FROM letters") == [("open",)]


def test_one_new_address_waits_for_an_account(registry):
    """Another one takes its place; it stays though its code is over, until it is dropped or over for a day."""
    first = NewContact("a_eva", "email", "eva@example.org", "auth", b"hash", 0, NOW, NOW - 5)
    other = replace(first, channel="phone", address="+420601111222", tries=2)
    registry.new_contacts.keep(first)
    registry.new_contacts.keep(other)
    registry.new_contacts.keep(replace(first, account="a_jan", expires=NOW - 1))
    assert registry.new_contacts.of("a_eva") == other
    registry.new_contacts.expire(NOW + DAY)
    assert (registry.new_contacts.of("a_eva"), registry.new_contacts.of("a_jan")) == (other, None)
    registry.new_contacts.drop("a_eva")
    assert registry.new_contacts.of("a_eva") is None


# Operators


def test_a_link_lets_an_operator_in_once(registry):
    """At its manager's portal, before it is over; a newer link makes the older one void."""
    operators = registry.operators
    old, link = (operators.invite("c_1", "Eva", "operator", identity=f"o_{number}", now=NOW) for number in range(2))
    for wrong in ((old, "c_1", NOW), (link, "c_2", NOW), (link, "c_1", NOW + LINK), (f"{link}x", "c_1", NOW)):
        assert operators.take(*wrong) is None
    taken = operators.take(link, "c_1", NOW + LINK - 1)
    assert (taken.id, taken.name, taken.role, taken.link_until) == ("o_0", "Eva", "operator", None)
    assert operators.take(link, "c_1", NOW) is None
    assert [(one.action, one.manager, one.detail) for one in registry.audit()] == [("operator.link", "c_1", "operator")] * 2


def test_an_operator_who_is_there_gets_another_role(registry):
    """The same person under the same id; all are listed, ended ones too, in order of manager, name and making."""
    operators = registry.operators
    operators.invite("c_1", "Eva", "operator", identity="o_1", now=NOW)
    operators.invite("c_1", "Eva", "manager", identity="o_2", now=NOW)
    assert operators.one("o_1").role == "manager"
    assert operators.one("o_2") is None
    operators.end("c_1", "Eva", NOW + 1)
    operators.invite("c_1", "Eva", "operator", identity="o_3", now=NOW + 2)
    operators.invite("c_1", "Adam", "operator", identity="o_4", now=NOW)
    assert [(one.id, one.ended) for one in operators.all()] == [("o_4", None), ("o_1", NOW + 1), ("o_3", None)]
    assert operators.one("o_1") is None


def test_the_end_of_an_operator_ends_link_and_sessions(registry):
    """At once, and nobody else's."""
    operators, accounts = registry.operators, registry.accounts
    links = {name: operators.invite("c_1", name, "operator", identity=f"o_{name}", now=NOW) for name in ("Eva", "Jan")}
    for name in links:
        accounts.open_session(session_of(operators.one(f"o_{name}"), f"s_{name}", "inmes", "Firefox" * 50, NOW), name)
    operators.end("c_1", "Eva", NOW + 1)
    assert [accounts.session(name, NOW + 2) is None for name in links] == [True, False]
    assert [operators.take(link, "c_1", NOW + 2) is None for link in links.values()] == [True, False]
    for manager, name in (("c_1", "Eva"), ("c_2", "Jan"), ("c_1", "nobody")):
        with pytest.raises(StoreError, match=f"no operator {name} of {manager}"):
            operators.end(manager, name, NOW)


def test_the_session_of_an_operator_is_short(registry):
    """Half a day at most, half an hour without a request, of nobody's account, and with a short name of its browser."""
    registry.operators.invite("c_1", "Eva", "manager", identity="o_1", now=NOW)
    session = session_of(registry.operators.one("o_1"), "s_1", "inmes", "x" * 300, NOW)
    assert (session.expires - NOW, session.idle, session.account, session.role) == (12 * HOUR, 30 * MINUTE, None, "manager")
    assert (LASTS, IDLE, LINK) == (12 * HOUR, 30 * MINUTE, 30 * MINUTE)
    assert (session.held, len(session.agent), session.manager) == ({"operator": "o_1", "name": "Eva"}, 100, "c_1")


@pytest.mark.sqlite_alone("it asks no store")
def test_what_the_roles_of_operators_may_do():
    """One may all that a token may; the other reads, but not the audit nor everything at once."""
    assert STAFF["operator"] == SCOPES
    assert set(STAFF["manager"]) == {
        "units:read", "consumption:read", "readings:read", "events:read", "documents:read", "announcements:read", "balance:read", "operations:read",
    }  # fmt: skip


def test_an_operator_that_cannot_be_is_refused(registry):
    """An unknown role or manager, and names that nobody can read; nothing is kept of them."""
    for manager, name, role, said in (
        ("c_1", "Eva", "root", "'root' is no role of an operator: write one of operator, manager"),
        ("c_1", " ", "operator", "a name has 1 to 60 printable characters"),
        ("c_1", "x" * 61, "operator", "a name has 1 to 60"),
        ("c_1", "E\nva", "operator", "a name has 1 to 60"),
        ("c_9", "Eva", "operator", "there is no manager c_9"),
    ):
        with pytest.raises(StoreError, match=said):
            registry.operators.invite(manager, name, role, identity="o_1", now=NOW)
    assert registry.operators.all() == registry.audit() == []
    registry.operators.invite("c_1", "x" * 60, "operator", identity="o_1", now=NOW)


# Tokens of their own


def test_a_personal_token_runs_until_its_end(registry):
    """Its secret is told once and begins with what finds a leaked one; use is noted once a minute; the account's end is its end."""
    made, secret = registry.personal.make("a_eva", "c_1", ["units:read"], ["g_1", "g_2"], "boiler", now=NOW, expires=NOW + DAY)
    assert secret.startswith(f"sm_{made.id}_")
    assert registry.personal.of("a_eva", NOW) == [made]
    assert (made.scopes, made.grants, made.used) == (("units:read",), ("g_1", "g_2"), None)
    assert registry.personal.held(secret, NOW) == made
    assert registry.personal.held(f"{secret}x", NOW) is None
    for at in (NOW + MINUTE, NOW + MINUTE + 1):
        registry.personal.held(secret, at)
    assert registry.personal.of("a_eva", NOW)[0].used == NOW + MINUTE + 1
    assert [registry.personal.held(secret, at) is None for at in (NOW + DAY - 1, NOW + DAY)] == [False, True]
    registry.accounts.end("a_eva", NOW)
    assert registry.personal.held(secret, NOW) is None


def test_personal_tokens_end_one_by_one_or_together(registry):
    """Nobody ends another's; what is over for a day goes."""
    made = [registry.personal.make("a_eva", "c_1", [], [], str(number), now=NOW + number, expires=NOW + 9 * DAY)[0] for number in range(3)]
    other, _ = registry.personal.make("a_jan", "c_1", [], [], "", now=NOW, expires=NOW + 5)
    assert not registry.personal.end("a_jan", made[0].id, NOW)
    assert [registry.personal.end("a_eva", made[0].id, NOW + 1), registry.personal.end("a_eva", made[0].id, NOW)] == [True, False]
    assert [one.label for one in registry.personal.of("a_eva", NOW)] == ["1", "2"]
    registry.personal.end_all("a_eva", NOW + 2)
    assert registry.personal.of("a_eva", NOW) == []
    assert registry.personal.of("a_jan", NOW) == [other]
    assert registry.personal.expire(NOW + DAY + 2) == 1
    assert registry.personal.expire(NOW + DAY + 6) == 3


# Wishes and limits


def test_a_wish_counts_from_when_it_was_made(registry):
    """What an account wanted before keeps its beginning, what it wants no more is gone; an account that ended wants nothing."""
    notices = registry.notices
    notices.wish("a_eva", {("leak", "email"), ("silence", "sms")}, now=NOW)
    notices.wish("a_eva", {("leak", "email"), ("leak", "sms")}, now=NOW + 5)
    notices.wish("a_jan", {("balance_due", "email")}, now=NOW)
    eva = [Wish("a_eva", "leak", "email", NOW), Wish("a_eva", "leak", "sms", NOW + 5)]
    assert notices.wishes("a_eva") == eva
    assert notices.wishes() == [*eva, Wish("a_jan", "balance_due", "email", NOW)]
    registry.accounts.end("a_jan", NOW)
    assert notices.wishes() == eva


def test_what_was_posted_twice_is_what_it_was(registry):
    """Under its name at its manager; the same name of another manager is another post."""
    notices, said = registry.notices, ("balance_due", "u_1", 12_000_000, "CZK", "2026-01-31")
    first, made = notices.post("c_1", "bill 7", said, now=NOW)
    assert (first, made) == (Posted(1, "c_1", "bill 7", *said, NOW), True)
    assert notices.post("c_1", "bill 7", ("payment_received", "u_2", 1, "EUR", "2026-02-01"), now=NOW + 9) == (first, False)
    assert first.said == said
    other, made = notices.post("c_2", "bill 7", said, now=NOW)
    assert made
    assert notices.posted(0) == [first, other]
    assert notices.posted(first.id) == [other]


def test_posts_are_forgotten_when_they_were_told(registry):
    """And came before an instant; how far was told is a mark for each source."""
    notices, said = registry.notices, ("balance_due", "u_1", 1, "CZK", "2026-01-31")
    _, second, third = (notices.post("c_1", str(number), said, now=NOW + number)[0] for number in range(3))
    assert notices.mark("posted") < 0
    assert notices.forget(NOW + 9) == 0
    notices.set_mark("posted", second.id)
    notices.set_mark("events", 99)
    assert notices.mark("posted") == second.id
    assert notices.forget(NOW + 1) == 1
    assert notices.posted(0) == [second, third]
    assert notices.forget(NOW + 9) == 1


def test_limits_of_an_account_at_a_unit(registry):
    """All of them at once, in the order that they were given; other units and accounts keep theirs."""
    notices = registry.notices
    rule = Rule("r_1", "a_eva", "u_1", "cold_water", "day", 500_000, "email", NOW)
    rules = [rule, replace(rule, id="r_0", kind="month", channels="email sms")]
    notices.set_rules("a_eva", "u_1", rules)
    notices.set_rules("a_eva", "u_0", [replace(rule, id="r_2", unit="u_0")])
    notices.set_rules("a_jan", "u_1", [replace(rule, id="r_3", account="a_jan")])
    assert notices.rules("a_eva", "u_1") == rules
    assert [one.id for one in notices.rules_of("a_eva")] == ["r_2", "r_1", "r_0"]
    assert [one.id for one in notices.rules()] == ["r_1", "r_0", "r_2", "r_3"]
    notices.set_rules("a_eva", "u_1", [])
    registry.accounts.end("a_jan", NOW)
    assert [one.id for one in notices.rules()] == ["r_2"]


def test_a_limit_tells_of_each_period_once(registry):
    """Of the same, or an earlier one, not again."""
    registry.notices.set_rules("a_eva", "u_1", [Rule("r_1", "a_eva", "u_1", "heat", "day", 1, "email", NOW)])
    assert [registry.notices.told("r_1", NOW + days * DAY) for days in (1, 1, 0, 2)] == [True, False, False, True]
    assert registry.notices.rules("a_eva", "u_1")[0].told == NOW + 2 * DAY


# Who read what


def read(**changed):
    """A manager's token reads the consumption of the flat."""
    return replace(Read("u_1", NOW, "token:k_1", "consumption", "", EVER, "c_1", NOW + 5, NOW + 5, 1), **changed)


def test_reads_of_an_hour_are_summed(registry):
    """One row a unit, hour, reader, route, role and occupancy, with the first and the last of them."""
    registry.reads.add([read(), read(first=NOW + 2, last=NOW + 3, times=4), read(first=NOW + 9, last=NOW + 9)])
    registry.reads.add([read(action="bulk"), read(hour=NOW + HOUR, first=NOW + HOUR, last=NOW + HOUR)])
    assert [(one.action, one.first - NOW, one.last - NOW, one.times) for one in registry.reads.of("u_1", "a_eva", EVER, NOW, NOW + 2 * HOUR)] == [
        ("consumption", HOUR, HOUR, 1),
        ("consumption", 2, 9, 6),
        ("bulk", 5, 5, 1),
    ]
    assert registry.reads.of("u_2", "a_eva", EVER, NOW, NOW + HOUR) == []
    assert registry.reads.forget(NOW) == 0
    assert registry.reads.forget(NOW + 1) == 2


def test_reads_are_told_by_hours_that_touch(registry):
    """An hour that only begins at the end does not, nor does one that ends at the start."""
    registry.reads.add([read(hour=NOW + number * HOUR) for number in range(4)])
    found = registry.reads.of("u_1", "a_eva", EVER, NOW + HOUR, NOW + 3 * HOUR)
    assert sorted((one.hour - NOW) // HOUR for one in found) == [1, 2]


def test_an_account_is_told_of_others_in_its_own_time(registry):
    """Not of itself, nor of its tokens; of those who see all times, and of who sees the same occupancy."""
    registry.reads.add(
        [
            read(actor="account:a_eva", role="household"),
            read(actor="account:a_eva/t_1", role="household"),
            read(actor="account:a_evan", role="household"),
            read(actor="account:a_jan", role="household", since=NOW),
            read(actor="account:a_old", role="household", since=NOW - DAY),
        ]
    )
    assert [one.actor for one in registry.reads.of("u_1", "a_eva", NOW, NOW, NOW + 1)] == ["account:a_evan", "account:a_jan"]


def test_residents_alone_are_not_watched(registry):
    """What a resident reads of the own unit is kept from when somebody else has a grant there, whichever way it is read."""
    own = [read(actor=actor, role=role) for actor in ("account:a_eva", "account:a_eva/t_1") for role in ("resident", "resident:limited")]
    grant = Grant("g_1", "a_eva", "c_1", "u_1", None, "resident", NOW, None, "claim", None, NOW, None)
    registry.accounts.add_grant(grant)
    registry.reads.add(own)
    assert rows(registry, "SELECT count(*) FROM reads") == [(0,)]
    registry.accounts.add_grant(replace(grant, id="g_2", account="a_jan", role="household"))
    registry.reads.add(own)
    assert rows(registry, "SELECT count(*) FROM reads") == [(4,)]
    registry.accounts.end_grant("g_2", NOW)
    registry.reads.add([replace(one, hour=NOW + HOUR) for one in own])
    assert rows(registry, "SELECT count(*) FROM reads") == [(4,)]


# Exports and erasures


def test_an_export_is_its_accounts_for_a_week(registry):
    """Its file is whole when it is said so, is its owner's alone, and goes with its row."""
    exports = registry.exports
    made, other = (exports.ask(f"e_{number}", "a_eva", NOW + number) for number in range(2))
    assert exports.of("a_eva", NOW) == [other, made]
    assert (made.ready, made.failed, made.file.endswith(".zip")) == (None, 0, True)
    assert made.expires == NOW + KEPT == NOW + 7 * DAY
    with exports.create(made) as file:
        file.write(b"one")
    with exports.create(made) as file:
        file.write(b"two")
    assert (exports.path(made).read_bytes(), exports.path(made).stat().st_mode & 0o777) == (b"two", 0o600)
    assert exports.path(made).parent.stat().st_mode & 0o777 == 0o700
    assert exports.made("e_0", NOW + 3)
    exports.failed("e_1")
    assert (exports.one("e_0", "a_eva", NOW).ready, exports.one("e_1", "a_eva", NOW).failed) == (NOW + 3, 1)
    for wrong in (("e_0", "a_jan", NOW), ("e_0", "a_eva", NOW + KEPT), ("e_9", "a_eva", NOW)):
        assert exports.one(*wrong) is None
    assert exports.forget(NOW + KEPT) == 1
    assert not exports.path(made).exists()
    assert not exports.made("e_0", NOW)


def test_exports_of_an_account_go_at_once_and_files_of_nobody_too(registry):
    """What no row names was begun by a process that died."""
    exports = registry.exports
    assert exports.forget(NOW) == 0
    mine, other = exports.ask("e_1", "a_eva", NOW), exports.ask("e_2", "a_jan", NOW)
    for one in (mine, other):
        exports.create(one).close()
    exports.path(mine).with_name("rest.zip").write_bytes(b"")
    assert exports.forget(NOW, "a_eva") == 1
    assert [path.name for path in exports.path(mine).parent.iterdir()] == [other.file]


def test_a_wish_to_be_erased_may_be_taken_back_for_a_week(registry):
    """The first wish counts; then it is due, in order of time."""
    erasures = registry.erasures
    assert erasures.ask("a_eva", NOW) == Erasure("a_eva", NOW, NOW + WAIT)
    assert erasures.ask("a_eva", NOW + DAY).due == NOW + WAIT
    erasures.ask("a_jan", NOW - 1)
    assert WAIT == 7 * DAY
    assert [one.account for one in erasures.ripe(NOW + WAIT - 1)] == ["a_jan"]
    assert [one.account for one in erasures.ripe(NOW + WAIT)] == ["a_jan", "a_eva"]
    assert [one.account for one in erasures.ripe(NOW + WAIT, "a_eva")] == ["a_eva"]
    assert [erasures.withdraw("a_eva"), erasures.withdraw("a_eva")] == [True, False]


def test_erasing_takes_all_of_one_account_and_nothing_of_another(registry):
    """Whatever refers to it, by reference or by its address; messages to an address that another has too stay; grants that it gave end."""
    accounts, outbox = registry.accounts, registry.outbox
    for name in ("eva", "jan"):
        account, mail = f"a_{name}", f"{name}@example.org"
        accounts.add_contact(Contact(f"k_{name}", account, "email", mail, "auth", NOW), "inmes")
        accounts.add_contact(Contact(f"n_{name}", account, "email", "both@example.org", "notify", NOW), "inmes")
        accounts.add_factor(Factor(f"f_{name}", account, "totp", b"", 0, NOW, None))
        accounts.open_session(Session(f"s_{name}", "inmes", "c_1", account, "account", {}, NOW, NOW, NOW + DAY, DAY, NOW, "", None), name)
        accounts.keep_flow(FlowRow(f"w_{name}", b"", "inmes", "c_1", "login", {"address": mail}, NOW + DAY), None)
        accounts.count(f"mail:{mail}", NOW, lambda _: 0)
        accounts.add_grant(Grant(f"g_{name}", account, "c_1", "u_1", None, "resident", NOW, None, "claim", None, NOW, None))
        registry.letters.add(Letter(f"l_{name}", "confirmation", f"g_{name}", b"", NOW, NOW + DAY, None))
        registry.self_readings.keep("m_1", "volume", t=NOW, value=1, now=NOW, sender=f"account:{account}", confirmation=name)
        for address in (mail, "both@example.org"):
            outbox.put("c_1", "email", address, "account_exists", "cs", {"portal": "p"}, now=NOW)
    accounts.add_grant(Grant("g_given", "a_jan", "c_1", "u_1", None, "household", NOW, None, "invitation", "a_eva", NOW, None))
    accounts.add_claim(Claim("x_given", "c_1", "invitation", "u_1", None, "household", b"", b"", NOW, None, None, None, "a_eva", None))
    registry.new_contacts.keep(NewContact("a_eva", "phone", "+420601111222", "auth", b"", 0, NOW, NOW))
    accounts.count("sms:+420601111222", NOW, lambda _: 0)
    registry.erasures.erase("a_eva", NOW + 5)
    left = {
        "SELECT id FROM accounts": ["a_jan"],
        "SELECT id FROM contacts ORDER BY id": ["k_jan", "n_jan"],
        "SELECT id FROM factors": ["f_jan"],
        "SELECT id FROM sessions": ["s_jan"],
        "SELECT id FROM flows": ["w_jan"],
        "SELECT key FROM throttle": ["mail:jan@example.org"],
        "SELECT id FROM letters": ["l_jan"],
        "SELECT account FROM new_contacts": [],
        "SELECT sender FROM self_readings ORDER BY id": ["", "account:a_jan"],
        "SELECT address FROM outbox ORDER BY id": ["both@example.org", "jan@example.org", "both@example.org"],
        "SELECT id FROM grants WHERE ended IS NULL": ["g_jan"],
        "SELECT id FROM grants WHERE ended IS NOT NULL": ["g_given"],
        "SELECT id FROM claims WHERE withdrawn IS NOT NULL": ["x_given"],
    }
    assert {sql: [value for (value,) in rows(registry, sql)] for sql in left} == left
    assert [(one.actor, one.action, one.subject) for one in registry.audit()] == [("job:nightly", "account.erase", "a_eva")]
