import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from submeter.cli.check import check, described
from submeter.config import (
    Broker,
    Config,
    ConfigError,
    Drop,
    Gateway,
    LoraWan,
    MappedTopic,
    ModbusLine,
    PortalHost,
    Sender,
    SerialPort,
    WiredBus,
    load,
    parse,
)

FILE = Path("pipeline.toml")
SHIPPED = Path(__file__).resolve().parents[2] / "pipeline.toml"
LISTS = {
    "mqtt": Broker,
    "serial": SerialPort,
    "bus": WiredBus,
    "modbus": ModbusLine,
    "drop": Drop,
    "gateway": Gateway,
    "lorawan": LoraWan,
    "mapping": MappedTopic,
    "sender": Sender,
    "portal": PortalHost,
}


def uncommented(text):
    """The file with the lines that it offers as comments taken in."""
    return re.sub(r"^#(?=\[\[|\w+ = )", "", text, flags=re.MULTILINE)


def as_written(field: FieldInfo):
    """A default as TOML writes it."""
    default = "" if field.default is None else str(field.default) if isinstance(field.default, Path) else field.default
    return list(default) if isinstance(default, tuple) else default


def defaults(model):
    """All keys of a section as TOML writes them."""
    return {name: as_written(field) for name, field in model.model_fields.items()}


def complaint(text):
    """What is said about a configuration that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    return str(caught.value)


def test_shipped_file_is_the_defaults():
    """The shipped pipeline.toml loads to exactly what an empty file loads to."""
    assert load(SHIPPED) == parse("", SHIPPED)


def test_shipped_file_lists_every_key():
    """pipeline.toml names every section and key with its default value, the list sections as comments."""
    written = tomllib.loads(uncommented(SHIPPED.read_text()))
    expected = {name: [defaults(LISTS[name])] if name in LISTS else defaults(field.annotation) for name, field in Config.model_fields.items()}
    assert written == expected


def test_uncommented_shipped_file_loads():
    """The lines that the shipped file offers as comments are themselves a valid configuration."""
    config = parse(uncommented(SHIPPED.read_text()), SHIPPED)
    assert config.mqtt == (parse("[[mqtt]]", SHIPPED).mqtt[0],)
    assert config.gateway[0].form == "auto"


def test_every_key_has_a_comment_above():
    """Each key of the shipped file, or the first of a run of keys, stands below a comment that says what it is for."""
    lines = SHIPPED.read_text().splitlines()
    for above, line in pairwise(lines):
        if re.match(r"#?\w+ = ", line):
            assert re.match(r"# |#?\w+ = ", above), line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[[mqtt]]\nport = "x"',
            "pipeline.toml: [[mqtt]] 1 port: 'x' cannot be used: write a whole number from 1 to 65535, e.g. port = 1883, with tls 8883",
        ),
        ("[api]\nport = 70000", "pipeline.toml: [api] port: 70000 cannot be used: write a whole number from 1 to 65535, e.g. port = 8080"),
        ("[api]\nprt = 80", "pipeline.toml: [api] prt: unknown key: write port"),
        ("[apy]", "pipeline.toml: apy: unknown section or key: write api"),
        ("data = 1", "pipeline.toml: [data] is a section: write [data] on a line of its own"),
        ("[mqtt]\nport = 1", "pipeline.toml: [[mqtt]] is a section: write [[mqtt]] on a line of its own"),
        ("[api]\nenabled = 1", "pipeline.toml: [api] enabled: 1 cannot be used: write true or false"),
        (
            '[rollup]\nhourly = "99 * * * *"',
            "pipeline.toml: [rollup] hourly: '99 * * * *' cannot be used: write five cron fields in UTC, e.g. hourly = \"5 * * * *\"",
        ),
        ('[[mqtt]]\nca_file = "a"', "pipeline.toml: [[mqtt]] 1 ca_file is set without tls: write tls = true, or leave ca_file out"),
        ('[[mqtt]]\ntls = true\ncert_file = "a"', "pipeline.toml: [[mqtt]] 1 cert_file and key_file belong together: write both, or neither"),
        (
            '[[mqtt]]\ncert_file = "a"\nkey_file = "b"',
            "pipeline.toml: [[mqtt]] 1 cert_file is set without tls: write tls = true, or leave cert_file and key_file out",
        ),
        ('[[mqtt]]\npassword_file = "a"\npassword_env = "A"', "pipeline.toml: [[mqtt]] 1 password_file and password_env are both set: keep one"),
        (
            '[mail]\nhost = "smtp.example"\nusername = "u"\ntls = "none"',
            'pipeline.toml: [mail] the password would go in clear to another host: write tls = "starttls" or "tls"',
        ),
        ('[mail]\nsink = "smtp"', 'pipeline.toml: [mail] there is no sender: write e.g. sender = "portal@example.org"'),
        ('[mail]\npassword_file = "a"\npassword_env = "A"', "pipeline.toml: [mail] password_file and password_env are both set: keep one"),
        ('[sms]\nsink = "http"', 'pipeline.toml: [sms] there is no gateway: write e.g. url = "https://sms.example/send"'),
        (
            '[sms]\nurl = "file:///etc/passwd"',
            "pipeline.toml: [sms] url: 'file:///etc/passwd' cannot be used: write the address of the gateway, e.g. url = \"https://sms.example/send\"",
        ),
        ("[[sender]]\n[[sender]]", "pipeline.toml: [[sender]] manager: 'c_1' is there twice: give each its own"),
        ("[[mqtt]]\n[[mqtt]]", "pipeline.toml: [[mqtt]] [[serial]] [[bus]] [[modbus]] [[drop]] name: 'mqtt' is there twice: give each its own"),
        (
            '[[mqtt]]\ntopics = ["a", 1]',
            'pipeline.toml: [[mqtt]] 1 topics: 1 cannot be used: write a list of topic filters, e.g. topics = ["submeter/v1/+/up"]',
        ),
    ],
)
def test_a_mistake_is_one_line(text, line):
    """Each mistake is one line with file, section and key that says what to write instead."""
    assert complaint(text) == line


def test_all_mistakes_are_told_at_once():
    """Two mistakes are two lines."""
    assert len(complaint("[api]\nport = 0\n[log]\nlevel = 'loud'").splitlines()) == 2


def test_a_password_in_the_file_is_refused_and_not_repeated():
    """The file takes no secret, and the refusal does not print it."""
    said = complaint('[[mqtt]]\npassword = "hunter2"')
    assert "unknown key: write password_env" in said
    assert "hunter2" not in said


def test_not_toml():
    """What is not TOML is refused with the file's name and the place."""
    assert complaint("[api").startswith("pipeline.toml: this is not TOML: ")


def test_nothing_is_opened(tmp_path):
    """Loading names files that do not exist without touching them; reading the secret later says which key names it."""
    config = parse('[[mqtt]]\npassword_file = "nowhere"', tmp_path / "pipeline.toml")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"\[\[mqtt\]\] mqtt: password_file: .*/nowhere cannot be read"):
        config.mqtt[0].password()


def test_password_from_a_file(tmp_path):
    """A password file is read from the folder of the configuration, without its line end."""
    (tmp_path / "secret").write_text("häslo\n")
    assert parse('[[mqtt]]\npassword_file = "secret"', tmp_path / "pipeline.toml").mqtt[0].password() == "häslo"


def test_password_from_the_environment(monkeypatch):
    """A password variable is read when asked for; an empty one is an error that names it."""
    broker = parse('[[mqtt]]\npassword_env = "SUBMETER_TEST_PASSWORD"', FILE).mqtt[0]
    monkeypatch.setenv("SUBMETER_TEST_PASSWORD", "abc")
    assert broker.password() == "abc"
    monkeypatch.setenv("SUBMETER_TEST_PASSWORD", "")
    with pytest.raises(ConfigError, match="SUBMETER_TEST_PASSWORD is empty"):
        broker.password()


def test_no_password():
    """A broker without password asks for none."""
    assert parse("[[mqtt]]", FILE).mqtt[0].password() is None


def test_sections_do_not_change():
    """A loaded configuration is frozen."""
    with pytest.raises(ValidationError):
        parse("", FILE).api.port = 1


def test_relative_paths_count_from_the_file():
    """A relative folder lies beside the file, an absolute one stays."""
    assert parse("", Path("/etc/submeter/pipeline.toml")).data.folder == Path("/etc/submeter/data")
    assert parse('[data]\nfolder = "/srv"', Path("/etc/submeter/pipeline.toml")).data.folder == Path("/srv")


def test_no_file_means_defaults(tmp_path, monkeypatch):
    """Without an option and without a pipeline.toml here the defaults hold; a file that is named must exist."""
    monkeypatch.chdir(tmp_path)
    assert load() == parse("", tmp_path / "pipeline.toml")
    with pytest.raises(ConfigError, match="there is no such file"):
        load(Path("other.toml"))


def test_check_prints_no_secret(tmp_path):
    """What `check` prints names brokers and places, never a password."""
    (tmp_path / "secret").write_text("hunter2")
    config = parse('[[mqtt]]\nusername = "u"\npassword_file = "secret"\n[[serial]]\n[[gateway]]\ndecrypted = true', tmp_path / "pipeline.toml")
    lines = list(described(config))
    assert "mqtt      mqtt: mqtt://u@127.0.0.1:1883 as submeter, submeter/v1/+/up" in lines
    assert not any("hunter2" in line for line in lines)


def test_check_creates_nothing(tmp_path, capsys):
    """`submeter check` ends with ok for a usable file, with the mistake otherwise, and leaves the folder as it was."""
    file = tmp_path / "pipeline.toml"
    file.write_text("")
    check(config=file)
    assert capsys.readouterr().out.endswith("\nok\n")
    file.write_text("[api]\nport = 0")
    with pytest.raises(ConfigError, match=r"pipeline.toml: \[api\] port: 0"):
        check(config=file)
    assert list(tmp_path.iterdir()) == [file]


def test_values_survive_json():
    """A configuration can be shown as JSON, for the log of a start."""
    assert json.loads(parse("", FILE).model_dump_json())["api"]["port"] == 8080
