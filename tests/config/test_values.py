"""What keys of pipeline.toml may say, portals as data, and how words of languages are written."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from submeter.config import ConfigError, load, parse, words
from submeter.config.languages import LOCALES
from submeter.config.portals import SHIPPED, ClaimKind, load_portal
from submeter.config.texts import PARTS, TEMPLATES, texts, written

FILE = Path("/etc/submeter/pipeline.toml")

#: Section, key, what it may say, and what it may not, as TOML has them.
KEYS = {
    "mqtt port": ("[[mqtt]]", "port", ["1", "65535"], ["0", "65536", '"1883"', "1.5", "true"]),
    "mqtt name": ("[[mqtt]]", "name", ['"a"', '"A_b.c-1"', f'"{"x" * 64}"'], ['""', '"a b"', '"a/b"', f'"{"x" * 65}"', '"ä"']),
    "mqtt topics": ("[[mqtt]]", "topics", ['["a/+/b", "#"]'], ["[]", '[""]', '"a"']),
    "mqtt session_expiry": ("[[mqtt]]", "session_expiry", ["0", "4294967295"], ["-1", "4294967296"]),
    "mqtt protocol": ("[[mqtt]]", "protocol", ['"5"', '"3.1.1"'], ['"3.1"', "5"]),
    "serial baud": ("[[serial]]", "baud", ["0", "4000000"], ["-1", "4000001"]),
    "serial kind": ("[[serial]]", "kind", ['"im871a"', '"auto"'], ['"usb"']),
    "serial stall_minutes": ("[[serial]]", "stall_minutes", ["1"], ["0"]),
    "bus baud": ("[[bus]]", "baud", ["300", "38400"], ["299", "38401"]),
    "bus latency_ms": ("[[bus]]", "latency_ms", ["0", "10000"], ["-1", "10001"]),
    "bus interval_minutes": ("[[bus]]", "interval_minutes", ["1"], ["0"]),
    "modbus url": (
        "[[modbus]]", "url", ['"tcp://10.0.0.9"', '"tcp://10.0.0.9:502"', '"socket://10.0.0.7:4001"', '"/dev/ttyUSB0"', '"COM3"'],
        ['"udp://10.0.0.9"', '"tcp://"', '"socket://10.0.0.7"', '"tcp://a/b"', '""'],
    ),
    "modbus timeout_ms": ("[[modbus]]", "timeout_ms", ["50", "10000"], ["49", "10001"]),
    "modbus meters": ("[[modbus]]", "meters", ['[{unit = 0, map = "m"}, {unit = 255, map = "m"}]'], ['[{unit = 256, map = "m"}]', '[{map = ""}]', '[{map = "m", x = 1}]']),
    "http per_minute": ("[http]", "per_minute", ["0", "1"], ["-1"]),
    "gateway zone": ("[[gateway]]", "zone", ['""', '"Europe/Prague"'], ['"Prague"', '"+02:00"']),
    "gateway form": ("[[gateway]]", "form", ['"wired"', '"a"'], ['"c"']),
    "lorawan eui": ("[[lorawan]]", "eui", ['""', '"94193a04"', '"0123456789abcdef"'], ['"94193A04"', '"0123456789abcdef0"', '"xyz"']),
    "lorawan port": ("[[lorawan]]", "port", ["0", "255"], ["256"]),
    "mapping values": ("[[mapping]]", "values", ['[{path = "v", register = "volume", unit = "L"}]'], ['[{path = ""}]', '[{of = "volume"}]']),
    "rollup hourly": ("[rollup]", "hourly", ['"*/5 * * * *"', '"0 0 1 jan mon"'], ['"* * * *"', '"60 * * * *"', '"@daily"', '""']),
    "rollup month_final_day": ("[rollup]", "month_final_day", ["1", "28"], ["0", "29"]),
    "rollup final_after_hours": ("[rollup]", "final_after_hours", ["0"], ["-1"]),
    "retention inbox_days": ("[retention]", "inbox_days", ["0", "3660"], ["-1", '"90"']),
    "events leak_nights": ("[events]", "leak_nights", ["1"], ["0"]),
    "events stuck_days": ("[events]", "stuck_days", ["0"], ["-1"]),
    "mail sender": ("[mail]", "sender", ['""', '"portal@example.org"'], ['"portal"', '"a@b, c@d"', '"A <a@b>"', '"a b@c"']),
    "mail timeout_s": ("[mail]", "timeout_s", ["1", "60"], ["0", "61"]),
    "sms url": ("[sms]", "url", ['""', '"http://x"', '"https://sms.example/send?a=b"'], ['"ftp://x"', '"https://"', '"https://a b"']),
    "sms headers": ("[sms]", "headers", ["[]", '["Authorization: Bearer {secret}", "X:y"]'], ['["no colon"]', '["A: b\\r\\nC: d"]', '["A b: c"]', '["A:"]']),
    "sms success": ("[sms]", "success", ["[100, 599]"], ["[]", "[99]", "[600]", '["200"]']),
    "sms success_pattern": ("[sms]", "success_pattern", ["""'"ok"'""", '""'], ['"("', '"*"']),
    "api proxies": ("[api]", "proxies", ["[]", '["127.0.0.1", "10.0.0.0/24", "::1"]'], ['["10.0.0.1/24"]', '["localhost"]', '["10.0.0.0/33"]']),
    "metrics collect_port": ("[metrics]", "collect_port", ["0", "65535"], ["-1", "65536"]),
    "home client_id": ("[home_assistant]", "client_id", ['"a-b_c"'], ['"a.b"', '""', f'"{"x" * 65}"']),
    "home prefix": ("[home_assistant]", "prefix", ['"homeassistant"'], ['"a/b"', '"+"', '"#"', '"a b"', '""']),
    "home topic": ("[home_assistant]", "topic", ['"a"', '"a/b/c"'], ['"a//b"', '"/a"', '"a/"', '"a/#"', '"+/a"']),
    "home points": ("[home_assistant]", "points", ["[]", '["*-kitchen"]'], ['[""]', '"*"']),
    "portal links": (
        "[[portal]]", "links",
        ["{}", '{pay = "https://p.cz/?a={account}&s={amount}&c={currency}&u={unit}"}', '{mail = "mailto:a@b.cz", phone = "tel:+420601"}', '{home = "http://localhost:80/x"}'],
        ['{pay = "http://p.cz"}', '{pay = "https://p.cz/{name}"}', '{shop = "https://p.cz"}', '{phone = "tel:601"}', '{home = "https://p.cz/{account}"}', '{mail = "mailto:{account}"}'],
    ),
    "portal readings_open": ("[[portal]]", "readings_open", ["[]", "[1, 31]", "[25, 5]"], ["[20]", "[0, 5]", "[1, 32]", "[1, 2, 3]"]),
    "portal demo_manager": ("[[portal]]", "demo_manager", ['""', '"c_2"'], ['"c_1"']),
    "data database": (
        "[data]", "database",
        ['""', '"postgresql://submeter@db.example/submeter"', '"postgres://db:5433/x?sslmode=require"', '"postgresql:///x?host=/run/postgresql"'],
        ['"postgresql://u:hunter2@db/x"', '"postgresql://u@db/x?password=hunter2"', '"mysql://u@db/x"', '"postgresql://u@db/x?a=b&password=hunter2"', '"db"'],
    ),
    "log level": ("[log]", "level", ['"debug"', '"error"'], ['"trace"', "1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_what_a_key_may_say(case):
    """Each value that it may have is taken; each other one is one line that names it with what to write, and a password in it is not repeated."""
    section, key, taken, refused = KEYS[case]
    for value in taken:
        parse(f"{section}\n{key} = {value}", FILE)
    for value in refused:
        with pytest.raises(ConfigError) as caught:
            parse(f"{section}\n{key} = {value}", FILE)
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"{FILE}: {section}"), line
        assert key.partition(" ")[0] in line
        assert "hunter2" not in line


def test_an_empty_text_is_no_file():
    """And a relative one lies beside the configuration, as do places without a scheme."""
    config = parse('[keys]\nmaster_key_file = ""\n[handover]\ngive = "common"\n[[drop]]\nfolder = "in"\n[[modbus]]\nmaps = "maps.toml"', FILE)
    assert config.keys.master_key_file is None
    assert config.handover.give == "/etc/submeter/common"
    assert (config.drop[0].folder, config.modbus[0].maps) == (FILE.parent / "in", FILE.parent / "maps.toml")
    assert parse('[handover]\ntake = "s3://meters/inbox"', FILE).handover.take == "s3://meters/inbox"
    assert parse("", FILE).handover.take == ""
    with pytest.raises(ConfigError, match=r"\[handover\] a machine either gives or takes"):
        parse('[handover]\ngive = "a"\ntake = "b"', FILE)


@pytest.mark.parametrize(
    ("database", "server"),
    [
        ("", ""),
        ("postgresql://u@db/x", "postgresql://u@db/x?password=p%40ss%2Fw%3Ard%3F%26"),
        ("postgresql://u@db/x?sslmode=require", "postgresql://u@db/x?sslmode=require&password=p%40ss%2Fw%3Ard%3F%26"),
    ],
)
def test_the_password_of_a_database_comes_from_its_file(tmp_path, database, server):
    """Read when it is needed, and written so that no sign of it has a meaning; without a file the address is as it is."""
    (tmp_path / "secret").write_text("p@ss/w:rd?&\n")
    own = parse(f'[data]\ndatabase = "{database}"\ndatabase_password_file = "secret"', tmp_path / "pipeline.toml").data
    assert own.server() == server
    assert parse(f'[data]\ndatabase = "{database}"', FILE).data.server() == database
    (tmp_path / "secret").unlink()
    if database:
        with pytest.raises(ConfigError, match=r"\[data\] database_password_file: .*secret cannot be read"):
            own.server()


@pytest.mark.parametrize(("section", "ask", "none"), [("mail", "password", ""), ("sms", "secret", ""), ("home_assistant", "password", None)])
def test_secrets_are_read_when_they_are_asked_for(tmp_path, monkeypatch, section, ask, none):
    """From the variable or the file; none if neither is named, and never both."""
    (tmp_path / "kept").write_text("from a file\r\n")
    monkeypatch.setenv("SUBMETER_TEST", "from outside")

    def told(*lines):
        return getattr(getattr(parse("\n".join([f"[{section}]", *lines]), tmp_path / "pipeline.toml"), section), ask)()

    assert told() == none
    assert told(f'{ask}_file = "kept"') == "from a file"
    assert told(f'{ask}_env = "SUBMETER_TEST"') == "from outside"
    with pytest.raises(ConfigError, match=f"{ask}_file and {ask}_env are both set: keep one"):
        told(f'{ask}_file = "kept"', f'{ask}_env = "SUBMETER_TEST"')
    with pytest.raises(ConfigError, match=rf"\[{section}\].*{ask}_env: the environment variable NOWHERE is empty"):
        told(f'{ask}_env = "NOWHERE"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[mqtt]]\nname = "a"\n[[serial]]\nname = "a"', "'a' is there twice"),
        ('[[bus]]\nname = "http"\n[http]\nenabled = true', "'http' is there twice"),
        ('[[modbus]]\n[[drop]]\nname = "modbus"', "'modbus' is there twice"),
        ("[[gateway]]\n[[gateway]]", r"\[\[gateway\]\] name: 'gateway' is there twice"),
        ("[[portal]]\n[[portal]]", r"\[\[portal\]\] host: 'localhost' is there twice"),
    ],
)  # fmt: skip
def test_names_differ(text, said):
    """Of all that brings messages together; of gateways, hosts and senders each."""
    with pytest.raises(ConfigError, match=said):
        parse(text, FILE)


def test_the_name_of_a_listener_that_is_off_is_free():
    """So is one of another section's things."""
    parse('[[bus]]\nname = "http"\n[[gateway]]\nname = "http"', FILE)


@pytest.mark.parametrize(
    ("section", "keys", "fits"),
    [
        ("mail", 'username = "u"\ntls = "none"', True),
        ("mail", 'username = "u"\ntls = "none"\nhost = "localhost"', True),
        ("mail", 'username = "u"\ntls = "none"\nhost = "::1"', True),
        ("mail", 'username = "u"\ntls = "none"\nhost = "smtp.example"', False),
        ("mail", 'tls = "none"\nhost = "smtp.example"', True),
        ("mail", 'username = "u"\nhost = "smtp.example"', True),
        ("sms", 'sink = "http"\nurl = "https://x"', True),
        ("mail", 'sink = "smtp"\nsender = "a@b.cz"', True),
        ("[mqtt]", 'tls = true\nca_file = "a"\ncert_file = "b"\nkey_file = "c"', True),
        ("[mqtt]", 'key_file = "c"\ntls = true', False),
    ],
)
def test_keys_that_go_together(section, keys, fits):
    """No password in clear to another host, no sink without what it needs, no certificate without its key."""
    text = f"[{section}{']' if section[0] == '[' else ''}\n{keys}".replace("[[mqtt]]]", "[[mqtt]]") if section[0] == "[" else f"[{section}]\n{keys}"
    if fits:
        parse(text, FILE)
        return
    with pytest.raises(ConfigError):
        parse(text, FILE)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """A folder, and what is no text."""
    (tmp_path / "latin.toml").write_bytes(b'name = "Lipov\xe1"')
    for path in (tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(ConfigError, match=f"{path}: cannot be read"):
            load(path)


def test_whether_anything_is_shown_at_home():
    """One pattern is enough."""
    assert not parse("", FILE).home_assistant.wanted
    for key in ("properties", "units", "points"):
        assert parse(f'[home_assistant]\n{key} = ["*"]', FILE).home_assistant.wanted


# Portals


@pytest.mark.parametrize(
    ("fields", "strength"),
    [
        ({"a": "identifier"}, "identifier"),
        ({"a": "identifier", "b": "knowledge"}, "knowledge"),
        ({"a": "knowledge", "b": "secret", "c": "identifier"}, "secret"),
    ],
)
def test_how_strong_a_claim_is(fields, strength):
    """By the strongest of its fields (FLOWS 5)."""
    assert ClaimKind(fields=fields, single_use=True).strength == strength


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_portal_loads(name):
    """With what all have in common beneath it."""
    portal = load_portal(name)
    assert portal.name == name
    assert {"login", "recover", "accept"} <= set(portal.flows) or {"recover", "accept"} <= set(portal.flows)
    assert "invitation" in portal.claims
    assert portal.policy.level == 2 or portal.policy.password_min >= 15


#: What a file says beyond its languages, and what is said of it (None: it loads).
PORTALS = (
    ("", None),
    ("[policy]\nlevel = 1\npassword_min = 15", None),
    ("[policy]\nlevel = 1\npassword_min = 14", "policy: password_min is 14: at level 1 write 15 or more"),
    ("[policy]\nlevel = 1", "password_min is 8: at level 1 write 15 or more"),
    ("[policy]\npassword_min = 7", "policy.password_min"),
    ("[policy]\ncode_ttl = 601", "policy.code_ttl"),
    ("[policy]\ncode_ttl = 600\ncode_tries = 5\nmail_ttl = 86400\nletter_days = 30", None),
    ("[policy]\nmail_ttl = 86401", "policy.mail_ttl"),
    ("[policy]\ncode_tries = 6", "policy.code_tries"),
    ("[policy]\nletter_days = 31", "policy.letter_days"),
    ("[policy]\nspeed = 1", "policy.speed"),
    ('[flows]\nlogin = [{do="identify", by="email"}, {do="verify"}, {do="challenge", channel="email"}, {do="session"}]', "flows.login.0.by"),
    ('[flows]\nlogin = [{do="verify"}, {do="challenge", channel="email"}, {do="session"}]', None),
    (
        '[flows]\nlogin = [{do="challenge", channel="email"}, {do="session"}]',
        r"flows.login, step 2 \(session\): at level 2 a login needs verify and a challenge",
    ),
    ('[policy]\nlevel = 1\npassword_min = 15\n[flows]\nlogin = [{do="verify"}, {do="session"}]', None),
    ('[flows]\nx = [{do="claim"}]', r"flows.x, step 1 \(claim\): it names no kind, channel or factor"),
    ('[flows]\nx = [{do="challenge", factor="second"}]', None),
    ('[flows]\nx = [{do="claim", kind=["invitation", "letter"]}]', "claim kind 'letter' is not declared: add .claims.letter."),
    ('[flows]\nx = [{do="claim", kind="letter"}]\n[claims.letter]\nfields = {a="secret"}\nsingle_use = true', None),
    ('[flows]\nguest = [{do="contact", channel="phone"}, {do="challenge", channel=["phone", "email"]}]', None),
    (
        '[flows]\nguest = [{do="contact", channel="phone"}, {do="challenge", channel="email"}]',
        r"step 2 \(challenge\): no contact of email stands before it",
    ),
    ('[flows]\nupgrade = [{do="challenge", channel=["phone", "email"]}]', "no contact of email or phone stands before it"),
    ('[flows]\nactivate = [{do="challenge", channel="recovery"}]', None),
    ('[flows]\nx = [{do="challenge", channel="email"}]', None),
    ('[flows]\nactivate = [{do="secret"}]', r"flows.activate, step 1 \(secret\): it makes an account without a proven channel"),
    ('[flows]\nupgrade = [{do="secret"}]', None),
    ('[flows]\nx = [{do="session", role="submitter"}]', "a submitter's session belongs to self_reading alone"),
    ('[flows]\nself_reading = [{do="session", role="submitter"}]', None),
    ('[flows]\nx = [{do="review"}, {do="consent", join=true}]', None),
    ('[flows]\nx = [{do="consent", join=true}]', "the first step joins nothing"),
    ("[flows]\nx = []", "flows.x"),
    ('[flows]\nx = [{do="secret", length=7}]', "flows.x.0.length"),
    ('[flows]\nx = [{do="challenge", factor="second", ttl=29}]', "flows.x.0.ttl"),
    ("[claims.x]\nfields = {}\nsingle_use = true", "claims.x.fields"),
    ('[claims.x]\nfields = {a="weak"}\nsingle_use = true', "claims.x.fields.a"),
)


@pytest.mark.parametrize(("text", "said"), PORTALS)
def test_what_a_portal_may_be(tmp_path, text, said):
    """One line names portal, file, list and step of what cannot work."""
    file = tmp_path / "mine.toml"
    file.write_text(f'locales = ["en"]\ncountry = "420"\n{text}\n')
    if said is None:
        assert load_portal("mine", file).name == "mine"
        return
    with pytest.raises(ConfigError, match=f"portal mine, {file}: .*{said}") as caught:
        load_portal("mine", file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "head",
    ['locales = ["xx"]\ncountry = "420"', 'locales = []\ncountry = "420"', 'locales = ["en"]\ncountry = "0420"', 'locales = ["en"]', "locales = ["],
)
def test_a_portal_without_languages_or_country_is_refused(tmp_path, head):
    """As is what is no TOML, and a file that is not there."""
    (tmp_path / "mine.toml").write_text(head)
    for file in (tmp_path / "mine.toml", tmp_path / "none.toml"):
        with pytest.raises(ConfigError, match=f"portal mine, {file}: "):
            load_portal("mine", file)


def test_a_portal_lays_its_own_over_what_is_common(tmp_path):
    """Table by table: what it does not say stays."""
    (tmp_path / "mine.toml").write_text(
        'locales = ["en", "cs"]\ncountry = "47"\nbrand = "Mine"\n[policy]\nidle_minutes = 5\n[documents]\nterms = "https://x"\n'
    )
    portal, common = load_portal("mine", tmp_path / "mine.toml"), load_portal("inmes")
    assert (portal.locales, portal.brand, portal.policy.idle_minutes, portal.documents) == (("en", "cs"), "Mine", 5, {"terms": "https://x"})
    assert portal.policy == common.policy.model_copy(update={"idle_minutes": 5})
    assert portal.flows["recover"] == common.flows["recover"]


# Words


#: A day, a month, an instant, a number and an amount in each language.
READ = {
    "cs": ("3. 1. 2026", "leden 2026", "31. 12. 2026 07:05", "-1234,50", "0,125 m³"),
    "de": ("03.01.2026", "Januar 2026", "31.12.2026 07:05", "-1234,50", "0,125 m³"),
    "en": ("3 January 2026", "January 2026", "31 December 2026 07:05", "-1234.50", "0.125 m³"),
    "nb": ("3.1.2026", "januar 2026", "31.12.2026 07:05", "-1234,50", "0,125 m³"),
    "ru": ("03.01.2026", "январь 2026", "31.12.2026 07:05", "-1234,50", "0,125 m³"),
    "sl": ("3. 1. 2026", "januar 2026", "31. 12. 2026 07:05", "-1234,50", "0,125 m³"),
}


@pytest.mark.parametrize("locale", READ)
def test_how_dates_and_numbers_are_read(locale):
    """As the language writes them; a number without a unit has no blank behind it."""
    day, last = date(2026, 1, 3), datetime(2026, 12, 31, 7, 5)
    found = words.day(locale, day), words.month(locale, day), words.instant(locale, last), words.number(locale, Decimal("-1234.5"), 2)
    assert (*found, words.amount(locale, Decimal("0.125"), "m³", 3)) == READ[locale]
    assert words.amount(locale, Decimal(2), "", 0) == "2"
    assert len(set(words.words_of(locale).months)) == 12
    assert locale in LOCALES


@pytest.mark.parametrize("locale", LOCALES)
def test_a_message_has_a_subject_a_body_and_an_sms(locale):
    """Each part filled in once, who writes in front of the subject."""
    for template, names in TEMPLATES.items():
        text = written(template, locale, {name: f"<{name}>" for name in names}, "Brand")
        parts = texts(locale)[template]
        assert set(parts) == set(PARTS)
        filled = {part: parts[part].format_map({name: f"<{name}>" for name in names} | {"brand": "Brand"}) for part in PARTS}
        assert (text.subject, text.short) == (f"[Brand] {filled['subject']}", filled["sms"])
        assert filled["body"] in text.body
