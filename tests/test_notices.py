"""The job `notices` on real stores: who is told what, once, and what proves that they were told."""

from datetime import date

import pytest
from receivers import smtp
from residents import portal, resident, waiting, wishes
from test_information import Building, clock, months

from submeter import civil, information, jobs
from submeter.config import parse
from submeter.config.words import amount, day, instant, month
from submeter.post import deliver, outlets
from submeter.store import Registry

__all__ = ["clock"]

HAND_OVER = "2024-03-01T12:00:00Z"
NOW = "2024-04-06T08:00:00Z"


@pytest.fixture
def building(tmp_path, clock):
    """Flat u: A until noon of 1 March, then B; v has C; it is April."""
    found = Building(tmp_path)
    found.flat("u", ("A", "2023-01-01", HAND_OVER), ("B", HAND_OVER, None))
    found.flat("v", ("C", "2023-01-01", None))
    found.point("water", "u", "cold_water", *months(2024, 1, ["0", "1", "3", "6"]))
    found.point("other", "v", "cold_water", *months(2024, 1, ["0", "1", "3", "6"]))
    clock(NOW)
    yield portal(found.open())
    found.core.close()


def run(building):
    """Run the job; its report."""
    return list(jobs.perform(building.core, "notices", by="schedule"))


def publish(building, unit="u", of="2024-03"):
    """Publish a month's information."""
    information.publish(building.core, building.core.registry.unit(unit), date.fromisoformat(f"{of}-01"))


def tell(building, kind, subject, at):
    """An event that lasts."""
    building.core.registry.events.raise_(kind, subject, civil.instant(at), now=civil.instant(at))


def test_monthly_information_goes_to_each_holder_once_and_the_sent_message_is_the_proof(building):
    """Both holders of the month of the hand-over hear of their own version, nobody else; it counts as told when the mail has left, by whichever way it left."""
    a, b = resident(building, "anna", "u", since="2023-01-01T00:00:00Z"), resident(building, "bob", "u", since=HAND_OVER)
    c = resident(building, "cyril", "v", since="2023-01-01T00:00:00Z")
    for one in (a, b):
        wishes(building, one, "monthly_information/email")
    wishes(building, c, "leak/email")
    publish(building)
    publish(building, "v")
    run(building)
    run(building)
    assert waiting(building) == [("monthly_information", "anna@example.org"), ("monthly_information", "bob@example.org")]
    assert {one.notified for one in building.core.registry.information.of("u", "2024-03")} == {None}
    with smtp() as (port, inbox):
        sink = parse(f'[mail]\nsink = "smtp"\nport = {port}\ntls = "none"\nsender = "portal@example.org"\n', building.folder / "mail.toml")
        assert deliver(building.core.registry, outlets(sink), lambda: civil.instant("2024-04-06T09:00:00Z")).sent == 2
    assert sorted(one.rcpt_tos[0] for one in inbox.mails) == ["anna@example.org", "bob@example.org"]
    assert b"March 2024" in inbox.mails[0].content
    assert b"https://inmes.example" in inbox.mails[0].content
    told = building.core.registry.information.of("u", "2024-03")
    assert [(one.notified, one.via) for one in told] == [(civil.instant("2024-04-06T09:00:00Z"), "email")] * 2
    assert building.core.registry.information.newest("v", civil.instant("2023-01-01T00:00:00Z"), "2024-03").notified is None
    building.core.registry.outbox.forget(before=civil.instant("2030-01-01T00:00:00Z"))
    run(building)
    assert waiting(building) == []


def test_a_crash_in_the_middle_tells_nothing_twice_and_loses_nothing(building, monkeypatch):
    """Messages and how far was told are one transaction: what a crash undid is told by the next run."""
    a, b = resident(building, "anna", "u", since="2023-01-01T00:00:00Z"), resident(building, "bob", "u", since=HAND_OVER)
    for one in (a, b):
        wishes(building, one, "monthly_information/email")
    publish(building)
    with monkeypatch.context() as broken:
        broken.setattr(type(building.core.registry.notices), "set_mark", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(building)
    assert waiting(building) == []
    run(building)
    assert len(waiting(building)) == 2


def test_a_version_that_says_something_else_is_told_and_its_proof_is_its_own(building):
    """After late readings another version is told; one that says the same is not there at all."""
    wishes(building, resident(building, "cyril", "v", since="2023-01-01T00:00:00Z"), "monthly_information/email")
    publish(building, "v")
    run(building)
    publish(building, "v")
    run(building)
    assert len(waiting(building)) == 1
    kept = building.core.registry.information
    since = kept.of("v", "2024-03")[0].since
    assert kept.keep("v", since, "2024-03", "{}", now=civil.instant(NOW) + 1) == 2
    run(building)
    said = [one.unique for one in building.core.registry.outbox.find(("waiting",))]
    assert [one.split("/")[4] for one in said] == ["1", "2"]


def test_leak_and_silence_go_to_who_lives_there_and_wished_it_before(building):
    """Not to the holder before, not to who wished it later, not to a third party, not to who has no proven address, not once it is over; by mail and SMS."""
    resident(building, "anna", "u", since="2023-01-01T00:00:00Z")
    resident(building, "bob", "u", since=HAND_OVER, phone="+420601111222", locale="cs")
    resident(building, "late", "u", since=HAND_OVER)
    resident(building, "third", "u", since=HAND_OVER, role="third_party")
    resident(building, "unproven", "u", since=HAND_OVER, proven=False)
    resident(building, "gone", "u", since=HAND_OVER)
    building.core.registry.accounts.end_grant("g_gone", 1)
    for name in ("anna", "third", "unproven", "gone"):
        wishes(building, f"a_{name}", "leak/email", "silence/email")
    wishes(building, "a_bob", "leak/email", "leak/sms", "silence/email")
    wishes(building, "a_late", "leak/email", at="2024-04-05T00:00:00Z")
    tell(building, "leak", "point:water/volume", "2024-04-01T00:00:00Z")
    tell(building, "silent", "device:AAA-00000001-01-07", "2024-04-02T10:30:00Z")
    tell(building, "backflow", "point:water/volume", "2024-04-02T00:00:00Z")
    tell(building, "silent", "gateway:g", "2024-04-02T00:00:00Z")
    tell(building, "burst", "point:water/volume", "2024-04-03T00:00:00Z")
    building.core.registry.events.settle("burst", "point:water/volume", (), now=civil.instant(NOW))
    run(building)
    run(building)
    assert waiting(building) == [("leak", "+420601111222"), ("leak", "bob@example.org"), ("silence", "bob@example.org")]
    (silence,) = [one for one in building.core.registry.outbox.find(("waiting",)) if one.template == "silence"]
    assert (silence.values["point"], silence.values["since"], silence.locale) == ("water", "2. 4. 2024 10:30", "cs")


def test_who_sees_some_classes_hears_of_those_alone(building):
    """A household that was invited to hot water: no leak of cold water, and no monthly information, which is of all classes; a resident hears of both."""
    resident(building, "bob", "u", since=HAND_OVER)
    resident(building, "eve", "u", since=HAND_OVER, role="household")
    with building.core.registry.writing() as db:
        db.execute("UPDATE grants SET quantities = 'hot_water' WHERE id = 'g_eve'")
    for name in ("bob", "eve"):
        wishes(building, f"a_{name}", "leak/email", "monthly_information/email")
    tell(building, "leak", "point:water/volume", "2024-04-01T00:00:00Z")
    publish(building)
    run(building)
    assert waiting(building) == [("leak", "bob@example.org"), ("monthly_information", "bob@example.org")]


def test_what_began_in_the_time_of_the_holder_before_is_not_told_to_the_next(building):
    """A leak since February is A's, who has left: B learns nothing of when it began."""
    wishes(building, resident(building, "bob", "u", since=HAND_OVER), "leak/email")
    building.core.registry.events.raise_("leak", "point:water/volume", civil.instant("2024-02-20T00:00:00Z"), now=civil.instant(NOW))
    run(building)
    assert waiting(building) == []


@pytest.mark.feature("Y12")
def test_balance_and_payment_are_told_as_accounting_posted_them(building):
    """Amount and date in the reader's language, to the flat's resident who wished it; not to the household, which may not read the balance."""
    wishes(building, resident(building, "cyril", "v", since="2023-01-01T00:00:00Z", locale="cs"), "balance_due/email", "payment_received/email")
    wishes(building, resident(building, "child", "v", since="2023-01-01T00:00:00Z", role="household"), "balance_due/email")
    post = building.core.registry.notices.post
    post("m", "1", ("balance.due", "v", 1_234_500_000, "CZK", "2024-04-30"), now=civil.instant(NOW))
    post("m", "2", ("payment.received", "v", 100_000_000, "CZK", "2024-04-02"), now=civil.instant(NOW))
    post("m", "3", ("balance.due", "u", 1_000_000, "CZK", "2024-04-30"), now=civil.instant(NOW))
    run(building)
    run(building)
    assert waiting(building) == [("balance_due", "cyril@example.org"), ("payment_received", "cyril@example.org")]
    due = building.core.registry.outbox.find(("waiting",))[0].values
    assert (due["amount"], due["date"], due["unit"]) == ("1234,50 CZK", "30. 4. 2024", "v")


def test_an_account_that_ended_and_a_portal_that_is_not_there_tell_nobody(building):
    """Without a portal there is no account to point to; an account that ended is told nothing."""
    wishes(building, resident(building, "cyril", "v", since="2023-01-01T00:00:00Z"), "leak/email")
    tell(building, "leak", "point:other/volume", "2024-04-01T00:00:00Z")
    with building.core.registry.writing() as db:
        db.execute("UPDATE accounts SET ended = 1")
    run(building)
    assert waiting(building) == []


def test_words_as_they_are_read():
    """Dates, months, instants and amounts by language."""
    one = date(2026, 3, 1)
    assert [day(locale, one) for locale in ("cs", "sl", "nb", "ru", "en", "de")] == [
        *("1. 3. 2026", "1. 3. 2026", "1.3.2026", "01.03.2026", "1 March 2026", "01.03.2026")
    ]
    assert (month("cs", one), month("ru", one)) == ("březen 2026", "март 2026")
    assert instant("de", civil.to_local("Europe/Berlin", civil.instant("2026-03-01T08:05:00Z"))) == "01.03.2026 09:05"
    assert (amount("en", 3, "m³", 3), amount("cs", 3, "", 2)) == ("3.000 m³", "3,00")


def test_wishes_keep_since_when_they_are(tmp_path):
    """A wish that stays counts from when it was made, a new one from now."""
    with Registry(tmp_path / "registry.sqlite") as registry:
        with registry.writing() as db:
            db.execute("INSERT INTO accounts (id, realm, name, locale, password, created) VALUES ('a', 'r', '', 'en', '', 1)")
        registry.notices.wish("a", [("leak", "email")], now=1)
        registry.notices.wish("a", [("leak", "email"), ("silence", "sms")], now=2)
        assert [(one.event, one.since) for one in registry.notices.wishes()] == [("leak", 1), ("silence", 2)]
        registry.notices.wish("a", [], now=3)
        assert registry.notices.wishes("a") == []
