import pytest

from submeter.config import ConfigError, words
from submeter.config.languages import LOCALES, read
from submeter.config.texts import SECRET, TEMPLATES, parse, texts, verify, written
from submeter.store import Registry

#: GSM 03.38: one septet each, and those of the extension table, two each.
GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
EXTENDED = set("^{}\\[~]|€")
VALUES = {"code": "493817", "transaction": "1912800", "minutes": "10", "secret": "K7MQ2XTP"}


def values_of(template):
    """A value of each name, which nothing else says."""
    return {name: f"<{name}>" for name in TEMPLATES[template]}


def segments(text):
    """How many SMS a text takes."""
    if set(text) <= GSM | EXTENDED:
        length = len(text) + sum(one in EXTENDED for one in text)
        return 1 if length <= 160 else -(-length // 153)
    return 1 if len(text) <= 70 else -(-len(text) // 67)


def test_all_languages_agree():
    """The shipped texts have the same templates, parts and values in every language."""
    verify()
    assert {locale: set(texts(locale)) - {"frame"} for locale in LOCALES} == {locale: set(TEMPLATES) for locale in LOCALES}
    assert set(TEMPLATES) >= SECRET


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_written(template, locale):
    """Each body says each value and who writes; subject and SMS are one line; no brace is left."""
    text = written(template, locale, values_of(template), "Správa domů")
    assert all(value in text.body for value in values_of(template).values())
    assert "Správa domů" in text.body
    assert text.subject.startswith("[Správa domů] ")
    assert "\n" not in text.subject + text.short
    assert not set("{}") & set(text.subject + text.body + text.short)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", ["code", "activation_password"])
def test_a_code_is_one_sms(template, locale):
    """At most 160 characters of the GSM alphabet, or 70 of others; the code is near the beginning."""
    text = written(template, locale, {name: VALUES.get(name, "https://portal.example") for name in TEMPLATES[template]}, "Brand").short
    assert segments(text) == 1, (len(text), text)
    assert text.index(VALUES["code" if template == "code" else "secret"]) < 30


@pytest.mark.parametrize("locale", LOCALES)
def test_the_languages_are_not_each_others(locale):
    """No text of one language stands in another's file."""
    mine = {part for parts in texts(locale).values() for part in parts.values() if part.strip("{}: ").islower() or " " in part}
    for other in set(LOCALES) - {locale}:
        assert mine & {part for parts in texts(other).values() for part in parts.values()} <= {"{sender}"}


def test_a_value_is_not_read_for_braces_and_makes_no_line():
    """Braces in a value stay; line ends and controls are spaces where there may be one line only."""
    text = written(
        "message_to_operator",
        "en",
        {"link": "x", "unit": "1\r\nBcc: all@example.org", "ticket": "t_1", "sender": "{text}", "text": "a\nb {link}"},
        "B\r\nX: y",
    )
    assert text.subject == "[B X: y] Message of a user: 1 Bcc: all@example.org, t_1"
    assert "{text} writes" in text.body
    assert "a\nb {link}" in text.body


def test_nothing_is_in_a_repr():
    """A text is not shown when it is logged by mistake."""
    assert "493817" not in repr(written("code", "en", VALUES, "B"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{minutes} min. Tell", "a while. {unit} Tell", r"\[code\] sms: there is no value unit"),
        ("your code is {code}.", "your code.", r"\[code\] body: it does not say code"),
        ("your code is {code}.", "your code is {code!r}.", r"\[code\] body: there is no value"),
        ("your code is {code}.", "your code is {code", r"\[code\] body: there is no value"),
        ("[statement]", "[statements]", r"\[statements\]: there is no such template"),
        ('sms = "Statement', 'short = "Statement', r"\[statement\] sms: it is missing"),
        ("{brand}", "", r"\[frame\] body: it says \{text\} and \{brand\}"),
        ("[frame]", "[frame", "this is not TOML"),
    ],
)
def test_a_mistake_in_a_text_names_its_place(old, new, said):
    """File, template and part are told."""
    from importlib.resources import files

    text = files("submeter.config").joinpath("texts/en.toml").read_text("utf-8")
    assert old in text
    with pytest.raises(ConfigError, match=f"texts/en.toml: {said}"):
        parse(text.replace(old, new), "texts/en.toml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, r"\[words\] name: it is missing"),
        ({"months": ["January"]}, r"\[words\] months: write twelve names"),
        ({"date": "{day}. {weekday}"}, r"\[words\] date: write it with"),
        ({"plural": "s"}, r"\[words\] plural: there is no such word"),
        ({"classes": {}}, r"\[words.classes\] cold_water: it is missing"),
        ({"events": {"flood": "flood"}}, r"\[words.events\] flood: there is no such word"),
        ({"units": {"d": 1}}, r"\[words.units\] d: it is missing"),
        ({"letters": "Letters"}, r"\[words.letters\] letters: it is missing"),
    ],
)
def test_a_mistake_in_a_word_names_its_place(change, said):
    """Section and name are told; a section that is open takes more words than are needed."""
    found = read("en")["words"]
    assert words.parse({**found, "letters": found["letters"] | {"city": "Town"}}, "x").letters["city"] == "Town"
    with pytest.raises(ConfigError, match=f"texts/en.toml: {said}"):
        words.parse({**found, **change}, "texts/en.toml")


def test_languages_that_differ_are_found(monkeypatch):
    """A value that one language leaves out of its SMS is a mistake."""
    from submeter.config import texts as module

    changed = {name: {"sms": "x", **parts} | ({"sms": "short"} if name == "code" else {}) for name, parts in texts("de").items()}
    monkeypatch.setattr(module, "texts", lambda locale: changed if locale == "de" else texts(locale))
    with pytest.raises(ConfigError, match=r"texts/de.toml: \[code\] sms: it has other values"):
        verify()


def test_every_template_can_be_put(tmp_path):
    """The outbox takes each template with the values that its texts say."""
    with Registry(tmp_path / "registry.sqlite") as registry:
        for template in TEMPLATES:
            registry.outbox.put("", "email", "a@example.org", template, "en", values_of(template), now=0, expires=9)
        assert len(registry.outbox.due(1, 99)) == len(TEMPLATES)
