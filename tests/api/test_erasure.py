"""Erasing an account, and what is forgotten by itself (portal API 10; FLOWS 10: 31, 47)."""

import pytest
from fastapi.testclient import TestClient
from portals import PASSWORD, inmes, logged_in
from tables import dumped

from submeter.config import load
from submeter.core import Core
from submeter.forget import BROWSERS, CLAIMS, READS, forget
from submeter.jobs import perform
from submeter.store import Published, Registry
from submeter.store.reads import Read

MAIL, PHONE = "jana@example.org", "+420777123456"
DAY = 86_400


def night(here, days=0):
    """The nightly job so many days later."""
    here.now += days * DAY
    return forget(here.registry, int(here.now * 1e6), 90)


def test_an_account_is_erased_a_week_after_it_was_asked_for(here):
    """Not a moment earlier; then address, phone, password, sessions and messages are nowhere in the file, meter data and other people are."""
    one, _ = inmes(here)
    inmes(here, "cz-b", "petr@example.org", "777000111")
    one.client.post("/v1/me/factors", json={"kind": "recovery"})
    account = here.registry.accounts.reached("inmes", "email", MAIL).id
    asked = one.client.post("/v1/me/erasure")
    assert (asked.status_code, asked.json()["due"]) == (202, "2025-06-22T15:06:40Z")
    assert "0 accounts" in night(here, 6.99)
    assert logged_in(here, "inmes", MAIL).units() == ["cz-a"]
    assert "1 accounts" in night(here, 0.02)
    assert one.units() == 401
    written = dumped(here.registry)
    assert [word for word in (MAIL, PHONE, "jana") if word in written] == []
    left = [(row.actor, row.action) for row in here.registry.audit() if account in (row.actor + row.subject)]
    assert left[-1] == ("job:nightly", "account.erase")
    if here.registry._connection.engine == "sqlite":
        assert here.registry._rows("PRAGMA foreign_key_check") == []
    assert here.registry.trail.verify().broken is None
    assert here.registry.unit("cz-a") is not None
    assert here.registry.occupancies_of("cz-a") != []
    assert logged_in(here, "inmes", "petr@example.org").units() == ["cz-b"]


@pytest.mark.both_engines
def test_the_same_address_may_come_again(here):
    """Who was erased is a stranger: the old password opens nothing, a new activation makes a new account."""
    one, _ = inmes(here)
    before = here.registry.accounts.reached("inmes", "email", MAIL).id
    one.client.post("/v1/me/erasure")
    night(here, 8)
    stranger = here.browser("inmes")
    stranger.start("login")
    assert stranger.go(name=MAIL, password=PASSWORD, _status=422)["type"] == "not-accepted"
    again, _ = inmes(here)
    assert again.units() == ["cz-a"]
    assert here.registry.accounts.reached("inmes", "email", MAIL).id != before


def test_a_wish_may_be_taken_back(here):
    """Within the week; then nothing is erased. A wish that is not there is 404, a second one is the first one."""
    one, _ = inmes(here)
    assert one.client.delete("/v1/me/erasure").status_code == 404
    first = one.client.post("/v1/me/erasure").json()
    here.now += 60
    assert one.client.post("/v1/me/erasure").json() == first
    here.now += 6 * DAY
    late = logged_in(here, "inmes", MAIL)
    assert late.client.delete("/v1/me/erasure").status_code == 204
    night(here, 30)
    assert logged_in(here, "inmes", MAIL).units() == ["cz-a"]
    assert [row.action for row in here.registry.audit() if row.action.startswith("erasure")] == ["erasure.ask", "erasure.withdraw"]


def test_every_address_is_told_once(here):
    """Mail and phone get a notice with the day; asking again says nothing more."""
    one, _ = inmes(here)
    one.client.post("/v1/me/erasure")
    one.client.post("/v1/me/erasure")
    assert here.sent("erasure_asked") == 2
    assert here.mail("erasure_asked").values["when"] == "2025-06-22T15:06:40Z"


def test_31_asking_and_taking_back_need_a_fresh_proof(here):
    """After five minutes 401 reauth; a token cannot; another's wish is not there."""
    one, _ = inmes(here)
    one.client.post("/v1/me/erasure")
    here.now += 301
    for answer in (one.client.post("/v1/me/erasure"), one.client.delete("/v1/me/erasure")):
        assert (answer.status_code, answer.json()["type"]) == (401, "reauth")
    other, _ = inmes(here, "cz-b", "petr@example.org", "777000111")
    assert other.client.delete("/v1/me/erasure").status_code == 404
    secret = here.registry.create_token("cz", ["units:read"])
    assert TestClient(here.app, headers={"Authorization": f"Bearer {secret}"}).post("/v1/me/erasure").status_code == 403


def test_what_was_given_to_others_ends_with_the_account(here):
    """The household of who is erased sees nothing any more, and an open invitation opens nothing."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={}).json()["code"]
    guest = here.browser("inmes")
    guest.start("accept")
    guest.go(code=code)
    guest.go(email="guest@example.org")
    guest.follow()
    guest.go()
    guest.go(accept=True)
    guest.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert guest.units() == ["cz-a"]
    one.client.post("/v1/units/cz-a/invitations", json={})
    one.client.post("/v1/me/erasure")
    night(here, 8)
    assert logged_in(here, "inmes", "guest@example.org").units() == []
    assert here.registry._rows("SELECT count(*) FROM claims WHERE kind = 'invitation' AND used IS NULL AND withdrawn IS NULL") == [(0,)]


def test_an_erasure_of_tables_that_come_later(here):
    """Whatever table refers to accounts loses the rows of who is erased, without being named here."""
    one, _ = inmes(here)
    account = here.registry.accounts.reached("inmes", "email", MAIL).id
    with here.registry.writing() as db:
        db.execute("CREATE TABLE later (id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES accounts) STRICT")
        db.execute("INSERT INTO later VALUES ('x', ?)", (account,))
    one.client.post("/v1/me/erasure")
    night(here, 8)
    assert here.registry._rows("SELECT * FROM later") == []


def test_47_what_is_over_is_deleted_when_its_time_comes(here):
    """Flows, sessions, tries, browsers, ended messages, claims and the access log: each is there the night before, and gone the night after."""
    inmes(here)
    abandoned = here.browser("inmes")
    abandoned.start("login")
    abandoned.go(name=MAIL, password="wrong", _status=422)
    for notice in here.registry.outbox.due(int(here.now * 1e6), 1000):
        here.registry.outbox.sent(notice.id, int(here.now * 1e6))
    now = int(here.now * 1e6)
    here.registry.reads.add([Read("cz-a", now - now % 3_600_000_000, "token:k", "meters", "", 0, "cz", now, now, 1)])
    begun = here.now
    assert BROWSERS == CLAIMS == READS
    for days, tables in ((1.1, ["flows", "sessions"]), (7.37, ["throttle"]), (90, ["outbox"]), (READS / 864e8, ["browsers", "claims", "reads"])):
        for late, there in ((-0.2, True), (0.2, False)):
            here.now = begun + (days + late) * DAY
            night(here)
            assert {table: here.registry._rows(f"SELECT count(*) FROM {table}") != [(0,)] for table in tables} == dict.fromkeys(tables, there)


def test_47_the_nightly_job_does_it(tmp_path, server):
    """The job that runs by itself erases and forgets, by the real clock."""
    config = tmp_path / "pipeline.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path}"\ndatabase = "{server}"\n')
    with Registry(tmp_path / "registry.sqlite") as registry, Published(tmp_path / "published.sqlite"), registry.writing() as db:
        db.execute("INSERT INTO accounts (id, realm, name, locale, password, created) VALUES ('a_1', 'inmes', 'Jana', 'cs', '', 1)")
        db.execute("INSERT INTO erasures VALUES ('a_1', 1, 2)")
        db.execute("INSERT INTO flows VALUES ('f_1', ?, NULL, 'inmes', 'cz', 'login', '{}', 1)", (b"0",))
    core = Core(load(config))
    try:
        lines = list(perform(core, "nightly", by="operator"))
        assert [line for line in lines if line.startswith("forgotten: 1 accounts, 0 exports, 1 flows, sessions and tokens")]
        assert core.registry._rows("SELECT * FROM accounts") == core.registry._rows("SELECT * FROM flows") == []
    finally:
        core.close()
