"""What each command of the terminal asks the core for: over the real socket, to a core that only notes what it is asked."""

import inspect
import json
import re

import pytest
from typer.testing import CliRunner

from submeter.cli import COMMANDS as VERBS
from submeter.cli import app
from submeter.commands import COMMANDS
from submeter.control import ControlServer

BY = ("--by", "ann", "--reason", "seen")
SIGNED = {"by": "ann", "reason": "seen"}
PLAIN = {"everything": False, "since": None, "until": None}

#: What an operator types → the command of the core, and what it is told.
ASKED = [
    ("status", "status", {}),
    ("rollup", "rollup", PLAIN),
    ("rollup --everything", "rollup", PLAIN | {"everything": True}),
    ("rollup --from 2026-01-01 --to 2026-01-31", "rollup", PLAIN | {"since": "2026-01-01", "until": "2026-01-31"}),
    ("rollup --status", "rollup.status", {}),
    ("rollup --now nightly", "job", {"name": "nightly"}),
    ("rollup --pause hourly", "job.pause", {"name": "hourly"}),
    ("rollup --resume hourly", "job.resume", {"name": "hourly"}),
    ("rollup --dry-run --everything", "rollup.preview", PLAIN | {"everything": True}),
    ("rollup --engine spark --master spark://h:7077", "rollup.spark", PLAIN | {"master": "spark://h:7077", "shared": None}),
    ("rollup --engine spark --master spark://h:7077 --shared /s", "rollup.spark", PLAIN | {"master": "spark://h:7077", "shared": "/s"}),
    ("replay {folder}/lines", "replay", {"path": "{folder}/lines"}),
    ("import {folder}/directory.toml", "import", {"path": "{folder}/directory.toml"}),
    ("import {folder}/keys.csv", "import.keys", {"path": "{folder}/keys.csv", "password": "", "id_column": None, "key_column": None}),
    (
        "import {folder}/keys.csv --id-column no --key-column k",
        "import.keys",
        {"path": "{folder}/keys.csv", "password": "", "id_column": "no", "key_column": "k"},
    ),
    ("rebuild", "rebuild", {}),
    ("backup {folder}/kept", "backup", {"folder": "{folder}/kept"}),
    ("quarantine", "quarantine", {"reason": None, "device": None}),
    ("quarantine --reason no_key --device KAM-12345678-1B-06", "quarantine", {"reason": "no_key", "device": "KAM-12345678-1B-06"}),
    ("requeue --yes --state no_key", "requeue", {"reason": "no_key", "device": None, "since": None, "until": None}),
    (
        "requeue --yes --meter M --since 2026-01-01 --until 2026-02-01",
        "requeue",
        {"reason": None, "device": "M", "since": "2026-01-01", "until": "2026-02-01"},
    ),
    ("decode --explain 17", "explain", {"message": 17, "position": None}),
    ("decode --explain 17/2", "explain", {"message": 17, "position": 2}),
    ("events", "events", {"kind": None, "subject": None, "everything": False, "close": None, "by": "", "why": ""}),
    (
        "events --all --kind leak --subject device:M",
        "events",
        {"kind": "leak", "subject": "device:M", "everything": True, "close": None, "by": "", "why": ""},
    ),
    (
        "events --close 5 --by ann --why mended",
        "events",
        {"kind": None, "subject": None, "everything": False, "close": 5, "by": "ann", "why": "mended"},
    ),
    ("outbox", "outbox", {"retry": None}),
    ("outbox --retry 7", "outbox", {"retry": 7}),
    ("audit", "audit", {"since": None, "until": None, "actor": None, "action": None, "unit": None, "limit": 1000, "verify": False}),
    (
        "audit --from 2026-01-01 --to 2026-02-01 --actor operator --action session.open --unit u1 --limit 5",
        "audit",
        {"since": "2026-01-01", "until": "2026-02-01", "actor": "operator", "action": "session.open", "unit": "u1", "limit": 5, "verify": False},
    ),
    ("audit --verify", "audit", {"since": None, "until": None, "actor": None, "action": None, "unit": None, "limit": 1000, "verify": True}),
    ("information u1 --month 2026-01", "information", {"unit": "u1", "month": "2026-01", "publish": False, "notified": None}),
    (
        "information u1 --month 2026-01 --publish --notified letter",
        "information",
        {"unit": "u1", "month": "2026-01", "publish": True, "notified": "letter"},
    ),
    ("meters", "meters", {"unknown": False, "heard": False}),
    ("meters --unknown", "meters", {"unknown": True, "heard": False}),
    ("meters --heard", "meters", {"unknown": False, "heard": True}),
    ("meters --announced", "meters.announced", {}),
    ("meters --named home:x --device M", "meters.named", {"name": "home:x", "device": "M"}),
    ("meters --adopt M --point p1", "meters.adopt", {"device": "M", "point": "p1", "since": None, "key": None}),
    ("meters --adopt M --point p1 --from 2026-01-01", "meters.adopt", {"device": "M", "point": "p1", "since": "2026-01-01", "key": None}),
    (
        "meters --adopt M --point p1 --key-file {folder}/keys.csv",
        "meters.adopt",
        {"device": "M", "point": "p1", "since": None, "key": None, "key_file": "{folder}/keys.csv", "password": ""},
    ),
    ("token create m1", "token.create", {"manager": "m1", "scopes": ["units:read", "consumption:read", "bulk:read"]}),
    ("token create m1 --scope units:read --scope events:read", "token.create", {"manager": "m1", "scopes": ["units:read", "events:read"]}),
    ("token list", "token.list", {}),
    ("token revoke k_1", "token.revoke", {"token": "k_1"}),
    ("gateways", "gateways", {}),
    ("gateway create cellar", "gateway.create", {"name": "cellar"}),
    ("gateway rotate cellar", "gateway.rotate", {"name": "cellar"}),
    ("gateway revoke cellar", "gateway.revoke", {"name": "cellar"}),
    ("gateway list", "gateway.list", {}),
    ("gateway passwords", "gateway.passwords", {}),
    ("operator add ann --manager m1", "operator.add", {"name": "ann", "manager": "m1", "role": "operator"}),
    ("operator add ann --manager m1 --role manager", "operator.add", {"name": "ann", "manager": "m1", "role": "manager"}),
    ("operator list", "operator.list", {}),
    ("operator end ann --manager m1", "operator.end", {"name": "ann", "manager": "m1"}),
    ("tasks", "tasks", {}),
    (("tasks", "accept", "4", *BY), "tasks.accept", SIGNED | {"task": 4}),
    (("tasks", "reject", "4", *BY), "tasks.reject", SIGNED | {"task": 4, "until": None}),
    (("tasks", "reject", "4", "--until", "2026-01-31", *BY), "tasks.reject", SIGNED | {"task": 4, "until": "2026-01-31"}),
    (
        ("exchange", "p1", "--at", "2026-01-31", *BY),
        "exchange",
        SIGNED | {"point": "p1", "at": "2026-01-31", "new": None, "end": None, "start": None},
    ),
    (
        ("exchange", "p1", "--at", "2026-01-31", "--new", "M", "--end", "812.3", "--start", "0", *BY),
        "exchange",
        SIGNED | {"point": "p1", "at": "2026-01-31", "new": "M", "end": "812.3", "start": "0"},
    ),
    (
        ("reading", "p1", "--at", "2026-01-31", "--value", "8.1", *BY),
        "reading",
        SIGNED | {"point": "p1", "at": "2026-01-31", "value": "8.1", "src": "manual", "due": False, "register": None},
    ),
    (
        ("reading", "p1", "--at", "2026-01-31", "--value", "8.1", "--correction", "--due", "--register", "energy", *BY),
        "reading",
        SIGNED | {"point": "p1", "at": "2026-01-31", "value": "8.1", "src": "correction", "due": True, "register": "energy"},
    ),
    (
        ("substitute", "p1", "--at", "2026-01-31", "--value", "8.1", "--method", "degree_days", "--pinned", *BY),
        "reading",
        SIGNED | {"point": "p1", "at": "2026-01-31", "value": "8.1", "src": "substitute", "method": "degree_days", "pinned": True, "register": None},
    ),
    (
        ("bill", "p1", "--from", "2025-01-01", "--to", "2026-01-01", *BY),
        "bill",
        SIGNED | {"target": "p1", "start": "2025-01-01", "end": "2026-01-01"},
    ),
    (("withdraw", "9", *BY), "withdraw", SIGNED | {"decision": 9}),
    ("decisions", "decisions", {"point": None}),
    ("decisions --point p1", "decisions", {"point": "p1"}),
    ("corrections --point p1", "corrections", {"point": "p1"}),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a core that only notes what it is asked, and its notes."""
    folder, asked = tmp_path_factory.mktemp("words"), []
    (folder / "pipeline.toml").write_text(f'[data]\nfolder = "{folder}"\n')
    (folder / "keys.csv").write_text("id,key\n12345678,00112233445566778899AABBCCDDEEFF\n")
    (folder / "directory.toml").write_text("")

    def execute(command, arguments):
        asked.append((command, arguments))
        yield f"done: {command}"

    core = ControlServer(folder, execute)
    core.start()
    yield folder, asked
    core.stop()


@pytest.fixture
def terminal(place):
    """Runs what is typed; returns the answer and what the core was asked."""
    folder, asked = place
    asked.clear()

    def typed(words):
        words = [word.replace("{folder}", str(folder)) for word in (words.split() if isinstance(words, str) else words)]
        return CliRunner().invoke(app, [*words, "--config", str(folder / "pipeline.toml")]), asked

    return typed


@pytest.mark.parametrize(("words", "command", "told"), ASKED, ids=[words if isinstance(words, str) else " ".join(words) for words, _, _ in ASKED])
def test_what_is_typed_is_what_the_core_is_asked(terminal, place, words, command, told):
    """Each option arrives under the name that the core's command takes it by, and its lines are printed."""
    answer, asked = terminal(words)
    assert answer.exit_code == 0, answer.output
    told = json.loads(json.dumps(told).replace("{folder}", str(place[0])))
    assert asked[-1] == (command, told)
    assert f"done: {command}" in answer.stdout
    inspect.signature(COMMANDS[command]).bind(None, **told)


def test_every_command_of_the_core_can_be_asked_for():
    """Commands that nobody types: those that others ask with, and those of the demo and of `status --watch`."""
    typed = {command for _, command, _ in ASKED}
    assert COMMANDS.keys() - typed == {"poll", "requeue.count", "status.view"}


def test_a_requeue_says_how_many_and_asks(terminal):
    """Without --yes the operator sees first what is meant; no answer but yes changes anything."""
    answer, asked = terminal("requeue --reason no_key")
    assert answer.exit_code != 0  # nobody answered
    assert [command for command, _ in asked] == ["requeue.count"]
    assert "done: requeue.count" in answer.stdout


#: What cannot be meant → a word of what is said of it.
WRONG = [
    ("rollup --engine spark", "--engine spark needs --master"),
    ("rollup --master spark://h:7077", "need --engine spark"),
    ("rollup --shared /s", "need --engine spark"),
    ("rollup --status --now hourly", "choose one of"),
    ("rollup --now hourly --everything", "choose one of"),
    ("rollup --pause hourly --resume hourly", "choose one of"),
    ("rollup --dry-run --engine spark --master spark://h:7077", "leave --engine out"),
    ("rollup --engine cloud", "cloud"),
    ("meters --adopt M", "write --point"),
    ("meters --named home:x", "write --device"),
    ("audit --limit 0", "--limit"),
    ("events --close first", "--close"),
    ("information u1", "--month"),
    ("exchange p1 --at 2026-01-31 --by ann", "--reason"),
    ("gateway create", "Missing argument"),
    ("decode", "write the telegram as hex digits"),
    ("simulate fleet --format smoke", "smoke is no format"),
    ("simulate fleet --meters 1000000", "there are ids for"),
    ("simulate fleet --format homeassistant", "publish it, --broker HOST"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[words for words, _ in WRONG])
def test_what_cannot_be_meant_is_refused_before_the_core_is_asked(terminal, words, said):
    """One sentence on standard error, exit status 2, nothing done."""
    if words.startswith("simulate"):
        answer, asked = CliRunner().invoke(app, words.split()), []
    else:
        answer, asked = terminal(words)
    assert (answer.exit_code, asked) == (2, [])
    assert said in " ".join(re.sub(r"[│╭╮╰╯─]", "", answer.stderr).split())


def test_drivers_are_listed_without_a_core(terminal):
    """Name, makers and what it is of; a meter with bytes of its own has its line."""
    answer, asked = terminal("meters --drivers")
    assert (answer.exit_code, asked) == (0, [])
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("apator162 ")]
    assert "APA" in line


@pytest.mark.parametrize(("lines", "status", "error"), [("", 0, None), ("{}\n", 1, True), ("nonsense\n\n", 1, True)])
def test_conformance_cases_that_are_none_are_a_finding(lines, status, error):
    """One answer a line, with what is wrong; exit status 1 tells that there was one, 0 that there was none."""
    answer = CliRunner().invoke(app, ["conform"], input=lines)
    assert answer.exit_code == status
    assert ["error" in json.loads(line) for line in answer.stdout.splitlines()] == [True] * bool(error)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_tells_what_it_does(verb):
    """Each verb of the table can be imported, and has a help that says more than its name."""
    answer = CliRunner().invoke(app, [verb, "--help"])
    assert answer.exit_code == 0
    assert len(answer.stdout.split()) > 10


def test_what_is_no_verb_and_the_version():
    """An unknown verb is refused; the version is one line."""
    assert CliRunner().invoke(app, ["roll-up"]).exit_code == 2
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, re.fullmatch(r"submeter \d+\.\d+\.\d+\n", told.stdout) is not None) == (0, True)
