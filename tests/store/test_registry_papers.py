"""Parts of the registry about papers and things: documents, announcements, balance, messages, monthly information, webhooks, readings sent in, runs, announced meters."""

from dataclasses import replace

import pytest

from submeter.civil import DAY, HOUR
from submeter.store import Registry, StoreError
from submeter.store.account_types import Account, Contact, Grant
from submeter.store.announcements import Announcement
from submeter.store.audience import Audience
from submeter.store.balance import Line
from submeter.store.documents import Document, Wishes, sha_of
from submeter.store.entities import HISTORY
from submeter.store.messages import Letter
from submeter.store.runs import KEPT, LONGEST_DETAIL
from submeter.store.webhooks import Marks

pytestmark = pytest.mark.both_engines

NOW = 20_000 * DAY
FLAT = Audience("c_1", "b_1", "A", "u_1")
#: Whom something may be for, and whether the flat above is meant.
MEANT = {
    "everybody": (Audience("c_1"), True),
    "its house": (Audience("c_1", "b_1"), True),
    "its entrance": (Audience("c_1", "b_1", "A"), True),
    "itself": (FLAT, True),
    "another manager's": (Audience("c_2"), False),
    "another house": (Audience("c_1", "b_2"), False),
    "another entrance": (Audience("c_1", "b_1", "B"), False),
    "its neighbour": (Audience("c_1", "b_1", "A", "u_2"), False),
}


@pytest.fixture
def registry(tmp_path):
    """Two managers, two flats of one house, two accounts."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        with opened.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c_1', 'One'), ('c_2', 'Two')")
            db.execute("INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b_1', 'c_1', 'House', 'UTC', '01-01', 'hour')")
            db.execute("INSERT INTO units VALUES ('u_1', 'b_1', '1', 'A'), ('u_2', 'b_1', '2', 'B')")
            db.execute(f"INSERT INTO occupancies VALUES ('u_1', {NOW - DAY}, NULL, 'Eva'), ('u_1', {NOW - 9 * DAY}, {NOW - DAY}, 'Jan')")
        for name in ("eva", "jan"):
            opened.accounts.add(Account(f"a_{name}", "inmes", name, name, "cs", "hash", NOW, 0, None))
        yield opened


def document(identity="d_1", meant=FLAT, content=b"%PDF", **changed):
    """A bill for a flat."""
    place = (meant.manager, meant.property, meant.entrance, meant.unit)
    rest = ("bill", "Bill", "cs", "2026-01-01", "2026-02-01", 120_000, "CZK", "2026-02-20", NOW, None, "application/pdf")
    return replace(Document(identity, *place, None, None, *rest, sha_of(content), len(content), NOW), **changed)


def announcement(identity="n_1", meant=FLAT, **changed):
    """Something for a flat to know."""
    place = (meant.manager, meant.property, meant.entrance, meant.unit)
    return replace(Announcement(identity, *place, NOW, None, NOW, {"cs": {"title": "Odečty", "text": "Ve středu."}}), **changed)


@pytest.mark.sqlite_alone("it asks no store")
def test_an_audience_holds_what_it_does_not_narrow_out():
    """What is not named may be anything."""
    assert {case: meant.holds(FLAT) for case, (meant, _) in MEANT.items()} == {case: held for case, (_, held) in MEANT.items()}


def test_documents_and_announcements_reach_their_audience(registry):
    """As `Audience.holds` says; a document comes back whole, with its bytes."""
    for case, (meant, _) in MEANT.items():
        registry.documents.add(document(case, meant), b"%PDF")
        registry.announcements.add(announcement(case, meant))
    wanted = sorted(case for case, (_, held) in MEANT.items() if held)
    assert [one.id for one in registry.documents.of(FLAT)] == wanted
    assert [one.id for one in registry.announcements.of(FLAT, NOW)] == wanted
    found = registry.documents.one("itself")
    assert found == document("itself")
    assert registry.documents.content(found) == b"%PDF"
    assert registry.documents.one("nothing") is None


# Documents


def test_documents_come_newest_first(registry):
    """By when they may be seen, then by when they came."""
    for identity, visible, created in (("a", 1, 5), ("b", 2, 1), ("c", 2, 2), ("d", 2, 2)):
        registry.documents.add(document(identity, visible_from=visible, created=created), b"%PDF")
    assert [one.id for one in registry.documents.of(FLAT)] == ["c", "d", "b", "a"]


def test_the_same_document_is_known_again(registry):
    """Whenever it came and however it is called; what says or shows anything else is another."""
    registry.documents.add(document(), b"%PDF")
    assert registry.documents.same(document("later", created=NOW + 9, visible_from=NOW + 9)).id == "d_1"
    for changed in (
        {"amount": 1},
        {"unit": "u_2"},
        {"account": "a_eva"},
        {"manager": "c_2"},
        {"sha": "other"},
        {"title": "Reminder"},
        {"unit": None},
    ):
        assert registry.documents.same(document(**changed)) is None, changed


def test_statements_that_accounts_had_made_are_forgotten(registry):
    """With their reads, and their bytes unless another document has the same; what the accounting system pushed stays."""
    for one, content in (
        (document("pushed", content=b"one"), b"one"),
        (document("made", content=b"one", account="a_eva", created=NOW - 1), b"one"),
        (document("alone", content=b"two", account="a_eva", created=NOW - 1), b"two"),
        (document("young", content=b"three", account="a_eva"), b"three"),
    ):
        registry.documents.add(one, content)
        registry.documents.read(one.id, "a_eva", NOW)
    assert registry.documents.forget_made(NOW) == 2
    assert registry.documents.forget_made(NOW) == 0
    assert sorted(registry.documents.read_by("a_eva")) == ["pushed", "young"]
    assert sorted(bytes(content) for (content,) in registry._rows("SELECT content FROM document_files")) == [b"one", b"three"]


def test_the_first_time_that_something_was_read_counts(registry):
    """Of each account its own."""
    registry.documents.add(document(), b"%PDF")
    registry.announcements.add(announcement())
    for at in (NOW, NOW + 1):
        registry.documents.read("d_1", "a_eva", at)
        registry.announcements.read("n_1", "a_eva", at)
    registry.announcements.read("n_1", "a_jan", NOW + 2)
    assert registry.documents.read_by("a_eva") == {"d_1": NOW}
    assert registry.announcements.read_by("a_jan") == {"n_1": NOW + 2}
    assert (registry.announcements.readers("n_1"), registry.announcements.readers("n_2")) == (2, 0)


def test_what_an_account_chose_for_a_flat(registry):
    """Nothing unless it says so; each flat its own, and who wants a statement each month is known."""
    documents = registry.documents
    assert documents.wishes("a_eva", "u_1") == Wishes(e_invoices=False, statement_monthly=False, announcements_by_mail=False)
    documents.wish("a_eva", "u_2", Wishes(statement_monthly=True))
    documents.wish("a_eva", "u_1", Wishes(e_invoices=True))
    documents.wish("a_jan", "u_1", Wishes(statement_monthly=True, announcements_by_mail=True))
    assert documents.wishes_of("a_eva") == {"u_1": Wishes(e_invoices=True), "u_2": Wishes(statement_monthly=True)}
    assert documents.monthly() == [("a_eva", "u_2"), ("a_jan", "u_1")]
    documents.wish("a_eva", "u_2", Wishes())
    assert documents.wishes("a_eva", "u_2") == Wishes()
    assert documents.monthly() == [("a_jan", "u_1")]


# Announcements


def test_an_announcement_is_shown_in_its_time(registry):
    """From its beginning on, and not at its end; the newest first."""
    for identity, since, until in (("ever", NOW - 5, None), ("now", NOW, NOW + 1), ("over", NOW - 9, NOW), ("later", NOW + 1, None)):
        registry.announcements.add(announcement(identity, since=since, until=until))
    assert [one.id for one in registry.announcements.of(FLAT, NOW)] == ["now", "ever"]
    assert registry.announcements.of(FLAT, NOW)[1].texts == {"cs": {"title": "Odečty", "text": "Ve středu."}}
    assert [one.id for one in registry.announcements.of_manager("c_1")] == ["later", "now", "ever", "over"]
    registry.announcements.read("over", "a_eva", NOW)
    assert registry.announcements.forget(NOW) == 0
    assert registry.announcements.forget(NOW + 1) == 1
    assert registry.announcements.read_by("a_eva") == {}


#: Who lives in the flat: what of the grant or of the address differs, and whether an announcement to all goes there.
LIVING = (
    ({}, {}, True),
    ({"role": "household"}, {}, True),
    ({"role": "guest"}, {}, True),
    ({"role": "third_party"}, {}, False),
    ({"role": "resident:limited"}, {}, False),
    ({"since": NOW + 1}, {}, False),
    ({"until": NOW}, {}, False),
    ({"until": NOW + 1}, {}, True),
    ({"ended": NOW - 1}, {}, False),
    ({"occupancy": NOW - 9 * DAY}, {}, False),
    ({"occupancy": NOW - DAY}, {}, True),
    ({"manager": "c_2"}, {}, False),
    ({"unit": "u_2"}, {}, False),
    ({}, {"verified": None}, False),
    ({}, {"channel": "phone"}, False),
)


def test_an_announcement_goes_to_those_who_live_there(registry):
    """To proven mail addresses, in the language of the account."""
    for number, (grant, contact, _) in enumerate(LIVING):
        account = f"a_{number}"
        registry.accounts.add(Account(account, "inmes", None, "", ("cs", "en")[number % 2], "", NOW, 0, None))
        registry.accounts.add_contact(replace(Contact(f"k_{number}", account, "email", f"{number:02}@x.cz", "auth", NOW), **contact), "inmes")
        registry.accounts.add_grant(replace(Grant(f"g_{number}", account, "c_1", "u_1", None, "resident", NOW, None, "", None, NOW, None), **grant))
    told = registry.announcements.addressees(announcement(), NOW, everybody=True)
    assert told == [(f"{number:02}@x.cz", ("cs", "en")[number % 2]) for number, (*_, goes) in enumerate(LIVING) if goes]
    assert registry.announcements.addressees(announcement(), NOW, everybody=False) == []
    registry.documents.wish("a_0", "u_1", Wishes(announcements_by_mail=True))
    registry.documents.wish("a_1", "u_2", Wishes(announcements_by_mail=True))
    assert registry.announcements.addressees(announcement(), NOW, everybody=False) == [("00@x.cz", "cs")]
    wider = [len(registry.announcements.addressees(announcement(meant=meant), NOW, everybody=True)) for meant, _ in MEANT.values()]
    here = sum(goes for *_, goes in LIVING)
    assert wider == [here + 1, here + 1, here, here, 0, 0, 1, 0]


# Balance and messages


def test_a_line_that_is_pushed_again_takes_its_own_place(registry):
    """Known by the accounting system's id of it at its manager; all of a push or nothing."""
    line = Line("c_1", "7", "u_1", None, "SK-1", "2026-01", NOW, "heat", "charge", 120_050, "CZK")
    assert registry.balance.put([line, replace(line, id="8", kind="payment")]) == {"added": 2, "changed": 0, "known": 0}
    assert registry.balance.put([line, replace(line, id="8", amount=-5), replace(line, manager="c_2")]) == {"added": 1, "changed": 1, "known": 1}
    assert registry.balance.of("u_1", NOW, NOW + 1)[0] == line
    assert [one.amount for one in registry.balance.of("u_1", NOW, NOW + 1)] == [120_050, 120_050, -5]
    with pytest.raises(StoreError):
        registry.balance.put([replace(line, amount=1), replace(line, id="9", kind="gift")])
    assert registry.balance.of("u_1", NOW, NOW + 1)[0].amount == 120_050


def test_lines_of_a_flat_are_told_for_a_time(registry):
    """Half-open, in order of time and id; another flat's are not."""
    line = Line("c_1", "1", "u_1", None, "", "2026-01", NOW, "heat", "charge", 1, "CZK")
    registry.balance.put(
        [replace(line, id=name, at=NOW + at, unit=unit) for name, at, unit in (("c", 1, "u_1"), ("b", 1, "u_1"), ("a", 2, "u_1"), ("d", 1, "u_2"))]
    )
    assert [one.id for one in registry.balance.of("u_1", NOW + 1, NOW + 2)] == ["b", "c"]
    assert [one.id for one in registry.balance.of("u_1", NOW, NOW + 9)] == ["b", "c", "a"]


def test_what_residents_wrote_and_what_became_of_it(registry):
    """The newest first, by account and flat, and for the manager so many; only its manager answers, and answered ones go with the answer's time."""
    letter = Letter("t_1", "c_1", "u_1", "a_eva", "The tap drips.", NOW)
    for one in (letter, replace(letter, id="t_2", created=NOW + 1), replace(letter, id="t_3", unit="u_2"), replace(letter, id="t_4", account=None)):
        registry.messages.add(one)
    assert [one.id for one in registry.messages.of("a_eva", "u_1")] == ["t_2", "t_1"]
    assert [one.id for one in registry.messages.written_by("a_eva")] == ["t_2", "t_1", "t_3"]
    assert [one.id for one in registry.messages.of_manager("c_1", 3)] == ["t_2", "t_1", "t_3"]
    assert registry.messages.of_manager("c_2", 9) == []
    assert [registry.messages.answer(manager, "t_1", "done", NOW + 5) for manager in ("c_2", "c_1")] == [False, True]
    assert registry.messages.of("a_eva", "u_1")[1] == replace(letter, status="done", changed=NOW + 5)
    assert [registry.messages.forget(NOW + at) for at in (1, 5, 6)] == [2, 1, 1]


# Monthly information


def test_information_has_a_version_for_each_text(registry):
    """The same text again is none; each holder and month counts its own, and the newest are told."""
    told = registry.information
    assert [told.keep("u_1", 0, "2026-01", body, now=NOW + at) for at, body in enumerate(("{}", "{}", '{"a": 1}', "{}"))] == [1, None, 2, 3]
    assert told.keep("u_1", 5, "2026-01", "{}", now=NOW) == told.keep("u_1", 0, "2026-02", "{}", now=NOW + 1) == 1
    assert (told.newest("u_1", 0, "2026-01").version, told.newest("u_2", 0, "2026-01")) == (3, None)
    assert told.version("u_1", 0, "2026-01", 2).body == '{"a": 1}'
    assert told.version("u_1", 0, "2026-01", 4) is None
    assert [(one.since, one.version) for one in told.of("u_1", "2026-01")] == [(0, 3), (5, 1)]
    assert [(one.month, one.since, one.version) for one in told.newer(NOW)] == [("2026-02", 0, 1), ("2026-01", 0, 3)]


def test_the_notice_of_a_version_is_noted_once(registry):
    """By whoever sent it; a message that tells of something else, or was told before, notes nothing."""
    told = registry.information
    for body in ("{}", "[]"):
        told.keep("u_1", 0, "2026-01", body, now=NOW)
    first, second = (told.version("u_1", 0, "2026-01", number) for number in (1, 2))
    assert first.notice == "information/u_1/0/2026-01/1"
    told.notified(first, "email", now=NOW + 1)
    with pytest.raises(StoreError, match="information of 2026-01 for unit u_1, version 1: the notice is noted already"):
        told.notified(first, "sms", now=NOW + 2)
    with pytest.raises(StoreError, match="or it is not there"):
        told.notified(replace(first, version=9), "sms", now=NOW + 2)
    for name in ("statement/u_1/0/2026-01/2", "information/u_1/0/2026-01", "information/u_1/0/2026-01/9"):
        told.left(name, "email", now=NOW + 3)
    assert told.version("u_1", 0, "2026-01", 2).notified is None
    told.left(f"{second.notice}/a_eva", "sms", now=NOW + 4)
    told.left(second.notice, "email", now=NOW + 5)
    assert [(one.notified, one.via) for one in (told.version("u_1", 0, "2026-01", number) for number in (1, 2))] == [
        (NOW + 1, "email"),
        (NOW + 4, "sms"),
    ]


# Webhooks, flows that were counted


def test_a_webhook_waits_after_a_failure_and_goes_on_where_it_was(registry):
    """Its marks move with a delivery; a look without anything new is none."""
    hooks = registry.webhooks
    hooks.add("w_1", "c_1", "https://one.example", "secret", now=NOW)
    hooks.add("w_2", "c_1", "https://two.example", "secret", now=NOW - 1)
    assert [one.id for one in hooks.of("c_1")] == ["w_2", "w_1"]
    assert [(one.id, one.marks, one.tries) for one in hooks.due(NOW)] == [("w_2", None, 0), ("w_1", None, 0)]
    hooks.failed("w_1", "refused" * 100, retry_at=NOW + 9)
    hooks.failed("w_1", "refused" * 100, retry_at=NOW + 9)
    assert [one.id for one in hooks.due(NOW + 8)] == ["w_2"]
    failed = hooks.due(NOW + 9)[1]
    assert (failed.tries, len(failed.error), failed.delivered) == (2, 300, None)
    for at, marks in ((NOW + 9, Marks(1, 2, 3, 4)), (None, Marks(5, 6, 7, 8))):
        hooks.told("w_1", marks, now=at)
    told = hooks.of("c_1")[1]
    assert (told.marks, told.delivered, told.tries, told.error) == (Marks(5, 6, 7, 8), NOW + 9, 0, "")
    assert "secret" not in repr(told)
    assert [hooks.remove(manager, "w_1") for manager in ("c_2", "c_1", "c_1")] == [False, True, False]


def test_flows_are_counted_by_day_and_name(registry):
    """Started and finished apart; another manager's are its own, and old days go."""
    for manager, name, what, at in (
        ("c_1", "login", "started", 0), ("c_1", "login", "started", 1), ("c_1", "login", "finished", 2), ("c_1", "activate", "started", 3),
        ("c_1", "login", "started", DAY), ("c_2", "login", "started", 0),
    ):  # fmt: skip
        registry.funnel.count(manager, name, what, NOW + at)
    assert [tuple(one.values()) for one in registry.funnel.counts("c_1", NOW + 5)] == [
        ("2024-10-04", "activate", 1, 0), ("2024-10-04", "login", 2, 1), ("2024-10-05", "login", 1, 0),
    ]  # fmt: skip
    assert len(registry.funnel.counts("c_1", NOW + DAY)) == 1
    assert registry.funnel.forget(NOW) == 0
    assert registry.funnel.forget(NOW + DAY) == 3


# Readings that residents sent in, runs, announced meters


def test_readings_that_were_sent_in_wait_until_the_core_takes_them(registry):
    """In order of their coming; when they were taken first counts."""
    sent = registry.self_readings
    made = [
        sent.keep(point, "volume", t=NOW + t, value=number, now=NOW, sender=sender, confirmation=f"c{number}")
        for number, (point, t, sender) in enumerate((("m_1", 5, "account:a"), ("m_1", 1, "session:b"), ("m_2", 0, "account:a")))
    ]
    assert [one.value for one in sent.of("m_1", NOW + 1, NOW + 5)] == [1]
    assert [one.value for one in sent.of("m_1", NOW, NOW + 6)] == [1, 0]
    assert [one.value for one in sent.sent_by("account:a")] == [2, 0]
    assert sent.places() == {("m_1", "volume"), ("m_2", "volume")}
    assert sent.after(0, 2) == made[:2]
    assert [one.value for one in sent.after(made[1].id, 9)] == [2]
    for at in (NOW + 7, NOW + 8):
        sent.take([made[0].id], at)
    assert [one.taken for one in sent.after(0, 9)] == [NOW + 7, None, None]
    with pytest.raises(StoreError):
        sent.keep("m_3", "volume", t=NOW, value=1, now=NOW, sender="", confirmation="c1")


def test_runs_of_a_job_are_known_and_old_ones_go(registry):
    """How far planned ones succeeded, which were killed, the last thousand and those under way."""
    runs = registry.runs
    assert (runs.covered("rollup"), runs.last("rollup")) == (None, None)
    first = runs.begin("rollup", by="schedule", now=NOW + 5, planned=NOW)
    runs.end(first, "ok", now=NOW + 6, detail="x" * 5000)
    late = runs.begin("rollup", by="catch_up", now=NOW + 7, planned=NOW + 9)
    assert runs.covered("rollup") == NOW + 5
    runs.end(late, "ok", now=NOW + 8)
    runs.end(runs.begin("rollup", by="operator", now=NOW + 20), "failed", now=NOW + 21)
    assert runs.covered("rollup") == NOW + 9
    other = runs.begin("archive", by="operator", now=NOW + 30)
    assert [one.job for one in runs.history(limit=2)] == ["archive", "rollup"]
    assert (len(runs.history("rollup")), len(runs.history("rollup")[-1].detail)) == (3, LONGEST_DETAIL)
    assert [(one.id, one.outcome, one.ended) for one in runs.interrupted(now=NOW + 40)] == [(other.id, "killed", NOW + 40)]
    assert runs.interrupted(now=NOW + 41) == []
    with registry.writing() as db:
        db.execute("INSERT INTO runs (id, job, started, by, detail) VALUES (?, 'rollup', 1, 'operator', '')", (other.id + KEPT,))
        db.execute("INSERT INTO runs (id, job, started, by, detail) VALUES (?, 'rollup', 1, 'operator', '')", (other.id + 1,))
        db.execute("UPDATE runs SET outcome = 'ok' WHERE id = ?", (other.id + KEPT,))
    runs.history()
    assert [one.id for one in runs.history("rollup", 9)] == [other.id + KEPT, other.id + 1, first.id + 2, late.id, first.id]


def test_a_job_that_is_paused_stays_so(registry):
    """Since the first pause, over restarts, until it is resumed; both are in the audit."""
    for at in (NOW, NOW + 5):
        registry.runs.pause("rollup", now=at)
    with registry.another() as other:
        assert other.runs.paused() == {"rollup": NOW}
    registry.runs.resume("rollup")
    assert registry.runs.paused() == {}
    assert [(one.action, one.subject) for one in registry.audit()] == [("job.pause", "job:rollup")] * 2 + [("job.resume", "job:rollup")]


def test_announcements_of_bridges_keep_their_last_changes(registry):
    """Each from the message on that brought it; told again it replaces, and of one topic so many stay."""
    registry.entities.keep([("b", "t", number, str(number)) for number in range(HISTORY + 3)])
    registry.entities.keep([("b", "t", HISTORY, "again"), ("a", "t", 1, "other")])
    kept = registry.entities.all()
    assert kept[0] == ("a", "t", 1, "other")
    assert [since for _, _, since, _ in kept[1:]] == list(range(3, HISTORY + 3))
    assert ("b", "t", HISTORY, "again") in kept


def test_a_name_of_a_gateway_is_linked_to_a_device(registry):
    """One that the directory has; another link of the name replaces it, and it goes before a number."""
    with registry.writing() as db:
        db.execute("INSERT INTO devices VALUES ('AAA-12345678-01-07', NULL, NULL, 1), ('BBB-12345678-01-07', NULL, NULL, 1)")
    assert [str(one) for one in registry.numbered("12345678")] == ["AAA-12345678-01-07", "BBB-12345678-01-07"]
    assert registry.numbered("1234567") == registry.numbered("kitchen") == []
    for device in ("AAA-12345678-01-07", "BBB-12345678-01-07"):
        registry.entities.link("12345678", device)
        assert [str(one) for one in registry.numbered("12345678")] == [device]
    with pytest.raises(StoreError, match=r"no device CCC-00000001-01-07: import it, or take it in by `submeter meters --adopt"):
        registry.entities.link("kitchen", "CCC-00000001-01-07")
    assert [(one.action, one.detail) for one in registry.audit()] == [("meter.link", "12345678")] * 2


def test_what_is_heard_of_a_gateways_numbers_is_kept(registry):
    """With the transaction that is open; what is not told again stays."""
    assert registry.gateways.numbers() == (0, {})
    registry.gateways.keep_numbers(7, {"cellar": {"boot": "a"}, "attic": {"boot": "b"}})
    registry.gateways.keep_numbers(9, {"cellar": {"boot": "c"}})
    assert registry.gateways.numbers() == (9, {"attic": {"boot": "b"}, "cellar": {"boot": "c"}})


def test_a_hand_over_is_known_by_its_instants(registry):
    """Where an occupancy begins or ends, in order; a flat without any has a holder without beginning and end."""
    assert registry.hand_overs() == {"u_1": (NOW - 9 * DAY, NOW - DAY)}
    assert [one.name for one in registry.holders_of("u_1")] == ["Jan", "Eva"]
    (nobody,) = registry.holders_of("u_2")
    assert (nobody.until, nobody.holds(0), nobody.holds(NOW + 900 * DAY)) == (None, True, True)
    eva = registry.occupancies_of("u_1")[1]
    assert [eva.holds(NOW - DAY + at * HOUR) for at in (-1, 0, 1)] == [False, True, True]
    assert [registry.occupancies_of("u_1")[0].holds(NOW - DAY - at) for at in (0, 1)] == [False, True]
