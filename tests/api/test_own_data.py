"""Every table that holds something of an account: in the copy of one's data, and erased with it, or named here with its reason (portal API 10)."""

import io
import json
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
from portals import Here, inmes
from tables import columns
from test_matrix import EDGE, publish

from submeter import civil
from submeter.api.access import Access
from submeter.api.export import SECTIONS, Subject, write
from submeter.forget import SAID, forget
from submeter.reading import LEVELS
from submeter.store.accounts import ROLES
from submeter.store.announcements import Announcement
from submeter.store.balance import Line
from submeter.store.documents import Document, Wishes
from submeter.store.letters import Letter
from submeter.store.messages import Letter as Message
from submeter.store.notices import Rule
from submeter.store.published import POINT, Parts
from submeter.store.reads import EVER, Read
from submeter.store.registry_types import Principal

MAIL = "jana@example.org"
#: Names of columns by which a table may hold something of an account.
TELLING = {"account", "realm", "address", "sender", "subject", "actor", "giver", "owner", "held", "username", "sent_to"}
#: Of each such table: the section of the copy that has its rows, or why none has.
COPIED = {
    "accounts": "account",
    "contacts": "contacts",
    "factors": "factors",
    "consents": "consents",
    "grants": "grants",
    "sessions": "sessions",
    "reads": "access_log",
    "personal_tokens": "tokens",
    "claims": "invitations",
    "wishes": "notifications",
    "unit_wishes": "unit_wishes",
    "alert_rules": "limits",
    "documents": "documents",
    "document_reads": "documents",
    "announcement_reads": "announcements",
    "balance": "balance",
    "messages": "messages",
    "self_readings": "self_readings",
}
NOT_COPIED = {
    "browsers": "hashes of cookies",
    "flows": "what is typed in flows that are under way, for minutes",
    "new_contacts": "an address that waits for its code, for minutes; a section when it is proven",
    "letters": "hashes of codes",
    "outbox": "who was sent it has it; only that it went is kept",
    "exports": "the copies themselves",
    "erasures": "asked for by the person, within a week",
    "audit": "the operator's record, by a random id",
    "events": "subjects are meters and devices",
}
#: Where the id of an account that was erased may stand still, naming nobody.
LEFT = {("audit", "actor"), ("audit", "subject"), ("reads", "actor"), ("grants", "giver"), ("claims", "giver")}


@pytest.fixture
def here(tmp_path):
    """Five portals; cz-a changed hands at the end of 2024 and has rows around it."""
    made = Here(tmp_path)
    made.hand_over("cz-a")
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


@pytest.fixture
def full(here):
    """An account that has something in every table: its browser and its id."""
    one, _ = inmes(here)
    registry, now = here.registry, int(here.now * 1e6)
    own = registry.accounts.reached("inmes", "email", MAIL).id
    grant = registry.accounts.grants(own)[0].id
    one.client.post("/v1/me/factors", json={"kind": "recovery"})
    one.client.post("/v1/units/cz-a/invitations", json={})
    one.client.post("/v1/me/contacts", json={"channel": "email", "address": "second@example.org", "use": "auth"})
    one.start("reauth")
    registry.personal.make(own, "cz", ["units:read"], [grant], "home", now=now, expires=now + 10**13)
    registry.notices.wish(own, {("leak", "email")}, now=now)
    registry.notices.set_rules(own, "cz-a", [Rule("r", own, "cz-a", "cold_water", "day", 1, "email", now)])
    registry.documents.wish(own, "cz-a", Wishes(e_invoices=True))
    for name, account in (("b_all", None), ("b_own", own)):
        said = ("statement", name, "en", None, None, None, None, None, 1, None, "application/pdf", name, 4, now)
        registry.documents.add(Document(name, "cz", None, None, "cz-a", EDGE, account, *said), name.encode())
        registry.documents.read(name, own, now)
    registry.announcements.add(Announcement("n", "cz", None, None, "cz-a", EDGE, None, 1, {"en": {"title": "t", "text": "t"}}))
    registry.announcements.read("n", own, now)
    registry.balance.put([Line("cz", "1", "cz-a", EDGE, "payer 7", "2025-05", EDGE, "heat", "charge", 100, "CZK")])
    registry.messages.add(Message("t", "cz", "cz-a", own, "the cellar is wet", now))
    registry.self_readings.keep("p", "volume", t=now, value=8_000_000, now=now, sender=f"account:{own}", confirmation="ABC")
    registry.letters.add(Letter("l_1", "recovery", own, b"1", now, now + 10**13, None))
    registry.letters.add(Letter("l_2", "confirmation", grant, b"2", now, now + 10**13, None))
    registry.reads.add([Read("cz-a", now - now % 3_600_000_000, "token:k", "meters", "", EVER, "cz", now, now, 1)])
    registry.reads.add([Read("cz-b", now - now % 3_600_000_000, f"account:{own}", "meters", "household", 0, "cz", now, now, 1)])
    return SimpleNamespace(browser=one, account=own, grant=grant)


def test_somebody_decided_of_every_table_that_tells_of_an_account(here):
    """A new table with such a column fails until it is a section of the copy, or named here with the reason why not."""
    telling = {name for name, found in columns(here.registry).items() if found & TELLING}
    assert telling == set(COPIED) | set(NOT_COPIED)
    assert set(COPIED.values()) <= set(SECTIONS)


def copy_of(here, account):
    """The sections of an account's copy."""
    asks = Principal("s", "cz", frozenset(ROLES["account"]), account)
    read = Access(asks, here.registry, None, int(here.now * 1e6), frozenset({"units:read", "consumption:read"}))
    file = io.BytesIO()
    write(Subject(here.registry.accounts.account(account), read, here.published), file)
    with ZipFile(file) as book:
        return {name: json.loads(book.read(f"{name}.json")) for name in SECTIONS}, b"".join(book.read(name) for name in book.namelist())


def test_the_copy_has_something_of_every_table(here, full):
    """No section is empty for an account that has everything, and no secret is in any."""
    told, whole = copy_of(here, full.account)
    assert [name for name, rows in told.items() if not rows] == []
    assert {row["id"] for row in told["documents"] if row["read_at"]} == {"b_all", "b_own"}
    assert [row["text"] for row in told["messages"]] == ["the cellar is wet"]
    assert [(row["meter"], row["value"]) for row in told["self_readings"]] == [("p", 8)]
    hashes = [row[0] for row in here.registry._rows("SELECT hash FROM personal_tokens UNION ALL SELECT hash FROM sessions")]
    assert not [one for one in hashes if one in whole or one.hex().encode() in whole]


def test_the_copy_has_the_own_part_of_a_bucket_that_is_two_holders(here, full):
    """The month in which the own time begins: its part is there with the flag `cut`, as in the answer of the API."""
    begun, end = EDGE + 10 * civil.DAY, EDGE + 31 * civil.DAY
    with here.registry.writing() as db:
        db.execute("UPDATE grants SET data_from = ?", (begun,))
    part = np.zeros(1, POINT)
    part["start"], part["end"], part["value"], part["coverage"] = begun, end, 5_000_000, 10_000
    (label,) = civil.blocks_of("UTC", "month", np.array([EDGE], np.int64))
    here.published.replace([], [], parts=[Parts(1, LEVELS.index("month"), label, EDGE, end, part)])
    months = [row for row in copy_of(here, full.account)[0]["consumption"] if row["level"] == "month"]
    assert [(row["start"], row["value"]) for row in months if row["flags"] == "cut"] == [("2025-01-11T00:00:00+00:00", 5)]


def test_nothing_of_the_account_is_left(here, full):
    """After the week no table names the account, its grant, its addresses or what it wrote, but the records that are named here; its statements' bytes are gone."""
    full.browser.client.post("/v1/me/erasure")
    here.now += 8 * 86_400
    forget(here.registry, int(here.now * 1e6), 90)
    words = (full.account, MAIL, "second@example.org", "+420777123456", "the cellar is wet")
    left = set()
    for table, found in columns(here.registry).items():
        for column in found:
            for (value,) in here.registry._rows(f"SELECT {column} FROM {table}"):
                text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                left |= {(table, column) for word in words if word in text}
    assert left <= LEFT
    assert here.registry._rows("SELECT sha FROM document_files") == [("b_all",)]
    assert here.registry._rows("SELECT count(*) FROM letters") == [(0,)]
    assert here.registry._rows("SELECT value, sender FROM self_readings") == [(8_000_000, "")]


def test_what_was_said_is_deleted_in_its_time(here, full):
    """Letters a day after they are over; announcements, statements, messages, posts that were told, counts after 400 days; what has no end stays."""
    registry, now = here.registry, int(here.now * 1e6)
    registry.announcements.add(Announcement("n_over", "cz", None, None, "cz-a", EDGE, now, 1, {"en": {"title": "t", "text": "t"}}))
    registry.announcements.read("n_over", full.account, now)
    for name in ("told", "waits"):
        registry.notices.post("cz", name, ("balance.due", "cz-a", 1, "CZK", "2025-06-01"), now=now)
    registry.notices.set_mark("posted", 1)
    with registry.writing() as db:
        db.execute("UPDATE letters SET expires = ?", (now,))
    listed = {
        "letters": "id",
        "announcements": "id",
        "announcement_reads": "announcement",
        "documents": "id",
        "document_files": "sha",
        "messages": "id",
    }
    counted = {"posted": "name", "flow_counts": "name"}

    def left():
        return {table: {value for (value,) in registry._rows(f"SELECT {column} FROM {table}")} for table, column in (listed | counted).items()}

    before = left()
    assert all(before.values())
    for days, letters, rest in ((0.9, True, True), (1.1, False, True), (SAID / civil.DAY - 0.1, False, True), (SAID / civil.DAY + 1.1, False, False)):
        forget(registry, now + int(days * civil.DAY), 0)
        found = left()
        assert bool(found["letters"]) == letters, days
        if rest:
            assert {name: rows for name, rows in found.items() if name != "letters"} == {
                name: rows for name, rows in before.items() if name != "letters"
            }
    assert found == {
        "letters": set(),
        "announcements": {"n"},
        "announcement_reads": {"n"},
        "documents": {"b_all"},
        "document_files": {"b_all"},
        "messages": set(),
        "posted": {"waits"},
        "flow_counts": set(),
    }
