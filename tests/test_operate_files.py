"""What an operator sees: dashboard, alerts and their page use the metrics that there are; the live view."""

import json
import re
from pathlib import Path

import pytest
import yaml
from installation import Installation
from prometheus_client import generate_latest
from rich.console import Console
from typer.testing import CliRunner

from submeter.cli import app
from submeter.cli.watching import view
from submeter.commands import execute
from submeter.core import now
from submeter.ingest.common import Counters
from submeter.service import CoreThread
from submeter.store import KINDS, Message

DOCS = Path(__file__).resolve().parent.parent / "docs"
RULES = yaml.safe_load((DOCS / "operate" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DOCS / "operate" / "grafana.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture
def thread(tmp_path):
    """A core's thread, not started."""
    made = CoreThread(Installation(tmp_path / "here").config)
    yield made
    made.core.close()


def exported(thread):
    """The names of all metrics that are exported, with and without a sample, and the text itself."""
    thread.watch({"mqtt": Counters()})
    text = generate_latest(thread.metrics.registry).decode()
    return {name for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE) if not name.endswith("_created")}, text


def test_dashboard_and_alerts_use_metrics_that_there_are(thread):
    """Every metric of an expression is exported; every one that is exported is in the page, and no other."""
    names, _ = exported(thread)
    assert {name.removesuffix("_bucket") for text in EXPRESSIONS for name in re.findall(r"submeter_\w+", text)} <= names
    page = {line.split("|")[1].strip() for line in (DOCS / "operate.md").read_text().splitlines() if line.startswith("| submeter_")}
    assert page == names


def test_alerts_ask_for_kinds_of_events_that_there_are():
    """Every kind in an alert is one, and every alert says what to do."""
    asked = {kind for text in EXPRESSIONS for value in re.findall(r'kind=~?"([^"]+)"', text) for kind in value.split("|")}
    assert asked <= set(KINDS)
    assert all(rule["annotations"]["summary"] and rule["annotations"]["action"] for rule in RULES)
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_panels_do_not_lie_over_each_other():
    """Each panel has a place of its own and says what it shows."""
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["title"] and panel["targets"] for panel in DASHBOARD["panels"])


def test_gateways_are_told_as_they_were_seen(thread):
    """After a look each gateway has its last message, its clock and what is missing; above a bound none has a series."""
    moment = now()
    lines = [{"v": 1, "gw": "cellar", "boot": "a", "seq": seq, "t": []} for seq in (0, 1, 5)]
    thread.core.inbox.append([Message("test", json.dumps(line).encode(), moment, gateway="cellar") for line in lines])
    thread.core.drain_all()
    thread.core.look()
    _, text = exported(thread)
    assert f'submeter_gateway_last_seen_timestamp_seconds{{gateway="cellar"}} {moment / 1e6}'[:60] in text
    assert 'submeter_gateway_missing_messages{gateway="cellar"} 3.0' in text
    assert "submeter_gateways 1.0" in text
    thread.core.gateways = {f"g{number}": thread.core.gateways["cellar"] for number in range(2001)}
    text = generate_latest(thread.metrics.registry).decode()
    assert "submeter_gateways 2001.0" in text
    assert 'gateway="g1"' not in text


def test_the_live_view_shows_what_there_is(thread):
    """Waiting messages, what comes a second, gateways with their age and clock, open events, what is kept back."""
    core = thread.core
    core.inbox.append([Message("test", b"???", now(), gateway="attic")])
    core.drain_all()
    core.look()
    core.registry.events.raise_("gateway_silent", "gateway:attic", 1, now=2)
    core.inbox.append([Message("test", b"", now(), gateway="attic")])
    told = json.loads("".join(execute(core, "status.view", {})))
    before = told | {"at": told["at"] - 2_000_000, "received": told["received"] - 50}
    console = Console(record=True, width=120)
    console.print(view(told, before))
    said = console.export_text()
    for words in ("1 messages wait", "25.0 messages/s come", "attic", "gateway_silent", "unknown_format"):
        assert words in said


def test_the_live_view_needs_a_core(tmp_path):
    """Without a running core the command says what to do instead of opening the files again and again."""
    here = Installation(tmp_path / "here")
    done = CliRunner().invoke(app, ["status", "--watch", "-c", str(here.file)])
    assert "no core runs" in str(done.exception)
    assert "inbox: 0 messages wait" in CliRunner().invoke(app, ["status", "-c", str(here.file)]).output
