"""Gateways and operators as an operator of the service types them, and the picture of `submeter status --watch`."""

import re

import pytest
from desk import Desk, said
from installation import Installation
from rich.console import Console

from submeter.cli.watching import view
from submeter.config import load
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.store.gateways import COLLECTOR

MICRO = 1_000_000


@pytest.fixture
def here(tmp_path):
    """An installation of one flat, with a portal of its manager."""
    made = Installation(tmp_path / "here")
    with made.file.open("a") as file:
        file.write(f'[[portal]]\nhost = "portal.example"\nmanager = "{made.building.manager}"\n')
    return made


@pytest.fixture
def desk(here):
    """Who types commands there."""
    return Desk(here.file)


def test_a_gateway_is_let_in_and_shut_out(desk):
    """Its secret is shown once; a new one replaces it; the password file has who is in, as hashes."""
    secret, where, once = desk("gateway", "create", "gw-9")
    assert where.startswith("MQTT user gw-9 with this password; or over HTTP: POST /ingest/v1/gw-9")
    assert "gateway passwords" in once
    other, *_ = desk("gateway", "rotate", "gw-9")
    assert secret != other
    (entry,) = [line for line in desk("gateway", "passwords") if line.startswith("gw-9:")]
    assert re.fullmatch(r"gw-9:\$7\$\d+\$\S+\$\S+", entry)
    (listed,) = [line for line in desk("gateway", "list") if line.startswith("gw-9 ")]
    assert "revoked" not in listed
    assert desk("gateways") == [
        "gw-9  never heard of late  0 messages, 0 telegrams today  0 meters, 0 heard by it alone  0 messages missing, 0 gaps, 0 restarts"
    ]
    assert desk("gateway", "revoke", "gw-9")[0].startswith("gw-9 is out")
    assert "revoked" in next(line for line in desk("gateway", "list") if line.startswith("gw-9 "))
    assert [line for line in desk("gateway", "passwords") if line.startswith("gw-9:")] == []
    assert desk("gateways") == []
    everything = desk.text("gateway", "list") + desk.text("audit")
    assert secret not in everything
    assert other not in everything


def test_the_collector_has_a_password_too(desk):
    """The user of the collector is told where its password goes."""
    assert desk("gateway", "create", COLLECTOR)[1] == f"MQTT user {COLLECTOR}: put this password into the file that password_file of [[mqtt]] names"


@pytest.mark.parametrize(
    ("words", "told"),
    [(("rotate", "gw-1"), "gw-1"), (("revoke", "gw-1"), "gw-1"), (("create", "gw/1"), "gw/1"), (("create", "gw+"), r"gw\+")],
)
def test_a_gateway_that_cannot_be(desk, words, told):
    """A name that is not there, and one that is no level of a topic, are named."""
    with pytest.raises(SubmeterError, match=told):
        desk("gateway", *words)


def test_operators_have_a_role(desk, here):
    """An operator is let in by a link to the portal, as who does all or who reads; the list has the role and no link."""
    manager = here.building.manager
    link, _ = desk("operator", "add", "olga", "--manager", manager)
    assert link.startswith("https://portal.example/operator/enter/")
    desk("operator", "add", "max", "--manager", manager, "--role", "manager")
    assert [line.split()[:3] for line in desk("operator", "list")] == [["max", manager, "manager"], ["olga", manager, "operator"]]
    desk("operator", "end", "olga", "--manager", manager)
    with Core(load(desk.file)) as core:
        assert core.registry.operators.take(link.rsplit("/", 1)[1], manager, 2**60) is None
    with pytest.raises(SubmeterError, match="no role of an operator"):
        desk("operator", "add", "eva", "--manager", manager, "--role", "chief")
    with pytest.raises(SubmeterError, match="no operator eva"):
        desk("operator", "end", "eva", "--manager", manager)


def shown(told, before=None):
    """The picture as text."""
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(view(told, before))
    return console.export_text()


def picture(**told):
    """What a core tells of itself."""
    quiet = {"waiting": 0, "oldest": None, "refused": {}, "quarantined": {}, "events": {}, "readings": 0, "free": 2**31, "gateways": {}}
    return {"at": 1_780_000_000 * MICRO, "received": 0, **quiet, **told}


def test_a_quiet_picture():
    """Nothing waits, nothing is kept back: three lines and no table."""
    assert [line.rstrip() for line in shown(picture()).splitlines()] == [
        "submeter  2026-05-28 20:26:40 UTC",
        "inbox: 0 messages wait",
        "readings: 0; free on disk: 2.0 GiB",
    ]


@pytest.mark.parametrize(
    ("ago", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (90_000, "25 h"), (-5, "0 s")]
)
def test_how_long_ago(ago, words):
    """Seconds to two minutes, minutes to two hours, then hours; a clock that is behind says none."""
    at = picture()["at"]
    assert f"1 messages wait, the oldest for {words}" in shown(picture(waiting=1, oldest=at - ago * MICRO))


def test_rates_are_between_two_pictures():
    """Messages a second since the last picture; none is told where no time went by."""
    first, second = picture(received=100), picture(received=150)
    second["at"] += 4 * MICRO
    assert "inbox: 0 messages wait, 12.5 messages/s come" in shown(second, first)
    assert "messages/s" not in shown(first, first)


def test_tables_of_what_there_is():
    """Gateways, the last heard first; events, the most first; what is kept back, messages and telegrams together."""
    at = picture()["at"]
    gateways = {
        "gw-1": {"last": at - 600 * MICRO, "skew": -90 * MICRO, "missing": 3, "gaps": 1},
        "gw-2": {"last": at - 5 * MICRO, "skew": None, "missing": 0, "gaps": 0},
    }
    text = shown(picture(gateways=gateways, events={"silent": 2, "suspect_jump": 7}, refused={"not_json": 4}, quarantined={"no_key": 9}))
    order = [
        text.index(word) for word in ("gateways (2)", "gw-2", "gw-1", "open events", "suspect_jump", "silent", "kept back", "no_key", "not_json")
    ]
    assert order == sorted(order)
    line = next(one for one in text.splitlines() if "gw-1" in one)
    assert re.sub(r"[│┃|\s]+", " ", line).strip() == "gw-1 10 min ago -90 s 3 1"


def test_watching_needs_a_running_core(tmp_path):
    """`status --watch` asks a process; without one it says what opens the files itself."""
    (tmp_path / "pipeline.toml").write_text('[data]\nfolder = "data"\n')
    with pytest.raises(SubmeterError, match="`submeter status` without --watch opens the files itself"):
        said("status", "--watch", "-c", tmp_path / "pipeline.toml")


def test_status_of_a_new_folder(desk):
    """Without a process the files are opened: nothing waits, nothing was read."""
    lines = desk("status")
    assert lines[0] == "inbox: 0 messages wait"
    assert lines[-2:] == ["readings: 0 of 0 registers", "rollups: 0 rows of 0 series; 0 ranges wait for the next run"]
