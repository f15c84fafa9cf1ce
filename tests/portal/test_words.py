"""Every word of every page is there in every language, with its values and plurals (portal SCREENS 5, languages)."""

import re
import string
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.pofile import read_po

from submeter.api.flows.shown import fields_of
from submeter.api.forms import address_of, text_of, username_of
from submeter.api.personal_tokens import READABLE
from submeter.api.problems import Invalid
from submeter.api.secrets import fault_of
from submeter.config.languages import LOCALES
from submeter.config.portals import SHIPPED, load_portal
from submeter.portal import account, factors, faults, letters, papers, people, places, privacy, reading, readings, staff, tokens
from submeter.portal.words import Words
from submeter.store.accounts import ROLES
from submeter.store.notices import WAYS, WISHES
from submeter.store.outbox import CHANNELS, State
from submeter.store.registry_types import QUANTITIES

PORTAL = Path(__file__).resolve().parents[2] / "portal"


def catalogue(locale):
    """Key to text (a list where it counts)."""
    with (PORTAL / f"locale/{locale}.po").open("rb") as file:
        return {one.id[0] if isinstance(one.id, tuple) else one.id: one.string for one in read_po(file, locale) if one.id}


def said():
    """Keys that templates name outright."""
    for file in (PORTAL / "templates").glob("*.html"):
        text = file.read_text()
        yield from re.findall(r'\b_\("([^"]+)"[,)]', text)
        yield from re.findall(r"\b_\('([^']+)'[,)]", text)
        yield from (one for _, one in re.findall(r"""w\.plural\((["'])(.+?)\1""", text))


def made():
    """Keys that are made of a kind and a word of the API."""
    for name in SHIPPED:
        portal = load_portal(name)
        tenant = type("Tenant", (), {"portal": portal})()
        for flow, steps in portal.flows.items():
            yield f"flow {flow}"
            for step in steps:
                yield from (f"field {field}" for field in fields_of(tenant, step) if field != "name")
                yield from [f"document {step.doc}"] if step.do == "consent" else []
                yield from [f"field by {' '.join(step.by)}"] if step.do == "identify" and step.source == "typed" else []
                yield from [f"sent by {step.form}"] if step.do == "challenge" else []
    yield from (f"by {channel}" for channel in ("totp", "phone", "email"))
    yield from (f"tile {name}" for name in reading.CLASSES)
    yield from (*QUANTITIES, reading.POWER)
    for module in (account, factors, papers, people, places, privacy, readings, staff, letters, tokens):
        for screen in module.SCREENS.values():
            for field, sentence in screen.wrong.values():
                yield from [sentence, *([f"field {field}"] if field else [])]
    yield from (f"use {name}" for name in account.USES)
    yield from (f"scope {name}" for name in READABLE)
    yield from (f"level {name}" for name in people.FINEST)
    yield from (f"notice {name}" for name in WISHES)
    yield from (f"channel {name}" for name in WAYS)
    yield from (f"paper {name}" for name in papers.KINDS)
    yield from (f"wish {name}" for name in papers.WISHES)
    yield from (f"line {name}" for name in ("charge", "payment", "penalty"))
    yield from (f"sum {name}" for name in ("charge", "payment", "penalty", "due"))
    yield from (f"source {name}" for name in ("meter", "self"))
    yield from (f"reader {name}" for name in ("manager", "account", *ROLES) if name != "submitter")
    yield from ("received", "taken")
    yield from (f"link {name}" for name in ("manual", "video", "home"))
    yield from faults.SENTENCES
    yield from (f"limit {name}" for name in places.KINDS)
    yield from (f"copy {name}" for name in ("waiting", "ready", "failed"))
    yield from (f"staff {path.rpartition('/')[2]}" for path in (*staff.SCREENS, *letters.SCREENS) if path != "/operator")
    yield from (f"open {name}" for name in ("tasks", "silent", "awaited", "unknown", "events"))
    yield from reading.REASONS
    yield from (f"claim {kind}" for name in SHIPPED for kind in load_portal(name).claims)
    yield from ("not measured", "partly not measured", "estimated")
    yield from (f"events {name}" for name in ("open", "closed", "all"))
    yield from (f"message {name}" for name in get_args(State))
    yield from (f"channel {name}" for name in CHANNELS)
    yield from (f"role {role}" for role in ROLES if role not in {"account", "submitter", "demo"})


def test_every_language_has_a_catalogue():
    """And no catalogue is there without the texts that go with it."""
    assert {path.stem for path in (PORTAL / "locale").glob("*.po")} == set(LOCALES)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_word_is_there(locale):
    """A sentence of a template, a field, a flow or a role without a text in a language fails."""
    texts = catalogue(locale)
    assert {key for key in (*said(), *made()) if not texts.get(key)} == set()


@pytest.mark.parametrize("locale", LOCALES)
def test_texts_have_the_same_values(locale):
    """What stands in braces in English stands there in every language."""
    english, other = catalogue("en"), catalogue(locale)
    assert english.keys() == other.keys()

    def values(text):
        return {name for part in ([text] if isinstance(text, str) else text) for _, name, _, _ in string.Formatter().parse(part) if name}

    assert [key for key in english if values(english[key]) != values(other[key])] == []


def test_months_and_plurals_follow_the_language():
    """Months as they stand alone; Slovenian has a dual, Russian counts 22 as 2."""
    cs, sl, ru = Words("cs"), Words("sl"), Words("ru")
    assert cs.months()[4] == "kvě"
    assert [sl.plural("{n} second", "{n} seconds", n) for n in (1, 2, 3, 5)] == ["1 sekunda", "2 sekundi", "3 sekunde", "5 sekund"]
    assert [ru.plural("{n} second", "{n} seconds", n) for n in (1, 22, 11)] == ["1 секунда", "22 секунды", "11 секунд"]


def test_what_is_wrong_with_a_field_has_a_text():
    """Each sentence that the API says of a text, a name, an address or a password is one of those in the catalogues."""
    policy = load_portal("inmes").policy
    wrong = [fault_of(text, policy, ["Mainstreet"]) for text in ("short", "a" * 257, "password1", "aaabbbccc", "Mainstreet1")]
    for work, *arguments in (
        (text_of, {}, "city"),
        (username_of, "ä"),
        (address_of, "email", "nobody", "420"),
        (address_of, "phone", "1", "420"),
    ):
        with pytest.raises(Invalid) as refused:
            work(*arguments)
        wrong.append(refused.value.errors[0]["detail"])
    assert {re.sub(r"\d+", "{n}", one) for one in wrong} <= faults.SENTENCES
    assert len(set(wrong)) == 9
    assert faults.said(Words("cs"), "too short: 8 characters or more") == "Příliš krátké: alespoň 8 znaků."
    assert faults.said(Words("de"), "something new") == Words("de").text("That was not accepted")
