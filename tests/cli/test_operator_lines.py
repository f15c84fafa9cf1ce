"""What commands tell an operator, and what they refuse with which words, on one open core with a house, its history and its troubles."""

import pytest
from installation import Installation

from submeter import civil
from submeter.commands import COMMANDS, execute
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.store import Message

START = civil.instant("2026-03-01T00:00:00Z")
SIGNED = {"by": "ann", "reason": "seen"}


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """A core with three hours of one meter, a message that nobody understands, a message to somebody and an event."""
    here = Installation(tmp_path_factory.mktemp("operator") / "here")
    place = here.building.places[0]
    with here.core() as core:
        for hour in range(4):
            at = START + hour * civil.HOUR
            core.inbox.append([Message("mqtt", place.meter.telegram(at).hex().encode(), at, gateway="cellar")])
        core.inbox.append([Message("mqtt", b"hello", START, gateway="cellar"), Message("mqtt", b"not JSON {", START, gateway="attic")])
        core.drain_all()
        core.rollup()
        with core.registry.writing():
            core.registry.outbox.put(
                "", "email", "ann@example.org", "code", "cs", {"code": "1", "minutes": "5", "transaction": "x"}, now=now(), expires=now() + civil.HOUR
            )
            core.registry.events.raise_("leak", f"device:{place.meter.device}", START, now=now(), detail="water runs")
        core.place = place
        yield core


def told(core, command, **arguments):
    """The lines of a command."""
    return list(execute(core, command, arguments))


def test_status_says_what_waits_what_was_refused_and_what_is_stored(core):
    """A line for each reason and channel; a channel that nothing sends by says what to write."""
    lines = told(core, "status")
    readings, registers = (core.readings.counts()[name] for name in ("readings", "registers"))
    assert lines[0] == "inbox: 0 messages wait"
    assert "not decoded: 2 messages, unknown_format" in lines
    assert "open events: 1 leak" in lines
    assert "outbox: 1 email waiting: nothing sends it, set sink of [mail] in pipeline.toml" in lines
    assert f"readings: {readings} of {registers} registers" in lines
    assert lines[-1].startswith("rollups: ")
    assert lines[-1].endswith("; 0 ranges wait for the next run")


def test_status_says_for_how_long_messages_wait(core):
    """With the instant of the oldest one."""
    core.inbox.append([Message("mqtt", b"later", START + civil.DAY, gateway="cellar")])
    assert told(core, "status")[0] == "inbox: 1 messages wait, the oldest since 2026-03-02T00:00:00Z"
    assert told(core, "rollup.preview")[0] == "1 messages wait to be decoded: what they bring is not in this preview"
    core.drain_all()


def test_the_outbox_shows_neither_what_is_said_nor_to_whom(core):
    """Channel, a masked address, template, tries, when it is due."""
    (line,) = told(core, "outbox")
    assert "email" in line
    assert "ann@example.org" not in line
    assert "0 tries  due 20" in line


def test_events_are_listed_and_closed_by_somebody(core):
    """A kind, a subject, all of them; whoever closes one says who and why, which stands in the list from then on."""
    place = core.place
    (line,) = told(core, "events")
    assert line.split(None, 1)[1] == f"2026-03-01T00:00:00Z  leak  device:{place.meter.device}: water runs"
    assert told(core, "events", kind="leak", subject=f"device:{place.meter.device}") == [line]
    assert told(core, "events", kind="burst") == told(core, "events", subject="device:X") == []
    number = int(line.split()[0])
    assert told(core, "events", close=number, by="ann", why="mended") == [f"leak of device:{place.meter.device} is closed"]
    assert told(core, "events") == []
    (closed,) = told(core, "events", everything=True)
    assert "mended by ann" in closed


def test_tokens_are_listed_without_their_secrets(core):
    """Which manager, which scopes, when made and revoked."""
    manager = core.registry.properties()[0].manager
    (secret,) = told(core, "token.create", manager=manager)
    line = told(core, "token.list")[-1]
    number = line.split()[0]
    assert secret not in line
    assert f"{manager}  units:read consumption:read bulk:read  made 20" in line
    assert told(core, "token.revoke", token=number) == [f"{number} is revoked"]
    assert "  revoked 20" in told(core, "token.list")[-1]


def test_jobs_are_paused_resumed_and_shown(core):
    """What is paused stays so over restarts; the status says since when."""
    assert told(core, "job.pause", name="nightly") == ["nightly is paused, also over restarts, until `submeter rollup --resume nightly`"]
    lines = told(core, "rollup.status")
    assert lines[0] == "now: nothing runs"
    assert any(line.startswith("nightly ") and "paused since 20" in line for line in lines)
    assert any(line.startswith("hourly ") and "next 20" in line for line in lines)
    assert told(core, "job.resume", name="nightly")[0] == "nightly runs by itself again"


def test_the_audit_holds_and_names_who_did_what(core):
    """Narrowed by actor, action, subject and time; the newest of many."""
    everything = told(core, "audit")
    assert told(core, "audit", limit=1) == everything[-1:]
    assert told(core, "audit", actor="nobody") == told(core, "audit", until="2000-01-01") == []
    assert told(core, "audit", since="2000-01-01", until="2100-01-01") == everything
    (line,) = told(core, "audit", verify=True)
    assert line.startswith(f"the audit holds: {len(everything)} rows are linked")


def test_a_quarantined_telegram_is_shown_with_its_bytes(core):
    """When, of whom, by which gateway, why; one of a stranger waits for its adoption."""
    stranger = core.place.meter.telegram(START)
    stranger = stranger[:4] + bytes.fromhex("78563412") + stranger[8:]
    core.inbox.append([Message("mqtt", stranger.hex().encode(), START, gateway="cellar")])
    core.drain_all()
    (line,) = told(core, "quarantine")
    assert line.startswith(f"2026-03-01T00:00:00Z  {str(core.place.meter.device)[:4]}12345678")
    assert line.endswith(stranger.hex())
    reason = line.split()[2]
    assert told(core, "quarantine", reason=reason) == [line]
    assert told(core, "quarantine", reason="mac_fail") == told(core, "quarantine", device="KAM-12345678-1B-06") == []
    assert told(core, "requeue.count", reason=reason) == [f"1 telegrams of the quarantine: 1 {reason}"]
    assert told(core, "requeue.count", until="2026-03-01") == ["0 telegrams of the quarantine"]
    device = line.split()[1]
    assert told(core, "requeue.count", device=device, since="2026-03-01")[1].startswith(f"and what {device} sent in kept messages since 2026-03-01")


#: A command that is refused → its words.
REFUSED = [
    ("nonsense", {}, "knows no command 'nonsense'"),
    ("rollup", {"since": "2026-03-01"}, "a range has two ends"),
    ("rollup", {"until": "2026-03-01"}, "a range has two ends"),
    ("rollup", {"since": "2026-03-05", "until": "2026-03-01"}, "is empty: --from is the earlier one"),
    ("rollup", {"since": "march", "until": "2026-03-01"}, "'march' is not an instant"),
    ("rollup.preview", {"since": "2026-03-01"}, "a range has two ends"),
    ("job", {"name": "weekly"}, "there is no job 'weekly': write one of hourly, nightly, monthly"),
    ("job.pause", {"name": "weekly"}, "there is no job"),
    ("job.resume", {"name": "weekly"}, "there is no job"),
    ("requeue", {"since": "2026-03-02", "until": "2026-03-01"}, "is empty: --since is the earlier one"),
    ("requeue.count", {"since": "x"}, "'x' is not an instant"),
    ("explain", {"message": 999_999}, "neither in the inbox nor in the archive"),
    ("explain", {"message": 1, "position": 1}, "message 1 has 1 telegrams: they are counted from 0"),
    ("events", {"kind": "fire"}, "there is no kind of event 'fire': write one of"),
    ("events", {"close": 1}, "who closes it, and why"),
    ("events", {"close": 1, "by": "ann"}, "who closes it, and why"),
    ("events", {"close": 999, "by": "ann", "why": "x"}, "999"),
    ("outbox", {"retry": 999}, "999"),
    ("audit", {"since": "x"}, "'x' is not an instant"),
    ("information", {"unit": "nowhere", "month": "2026-01"}, "there is no unit nowhere"),
    ("information", {"unit": "{unit}", "month": "january"}, "'january' is no month: write e.g. 2026-01"),
    ("information", {"unit": "{unit}", "month": "2026-1"}, "'2026-1' is no month"),
    ("information", {"unit": "{unit}", "month": "2025-01"}, "nothing is published for"),
    ("information", {"unit": "{unit}", "month": "2099-01", "publish": True}, "2099-01 is not over"),
    ("meters.adopt", {"device": "KAM-12345678-1B-06", "point": "p"}, "was never heard"),
    ("token.create", {"manager": "nobody"}, "nobody"),
    ("token.revoke", {"token": "k_none"}, "k_none"),
    ("operator.add", {"name": "ann", "manager": "nobody"}, "nobody has no portal"),
    ("gateway.rotate", {"name": "nobody"}, "nobody"),
    ("gateway.create", {"name": "a/b"}, "a/b"),
    ("poll", {"port": "/dev/none", "address": "5"}, "the running core reads no [[bus]] at /dev/none"),
    ("tasks.accept", SIGNED | {"task": 999}, "999"),
    ("tasks.reject", SIGNED | {"task": 999}, "999"),
    ("withdraw", SIGNED | {"decision": 999}, "999"),
    ("bill", SIGNED | {"target": "nothing", "start": "2025-01-01", "end": "2026-01-01"}, "nothing is no point, unit or property"),
    ("bill", SIGNED | {"target": "{point}", "start": "2026-03-02", "end": "2026-03-01"}, "is no period of whole days"),
    ("bill", SIGNED | {"target": "{point}", "start": "2026-03-01T05:00:00Z", "end": "2026-03-02"}, "is no period of whole days"),
    ("bill", SIGNED | {"target": "{point}", "start": "2099-01-01", "end": "2100-01-01"}, "rows in this time that are not final"),
    ("exchange", SIGNED | {"point": "nowhere", "at": "2026-03-01"}, "nowhere"),
    ("exchange", SIGNED | {"point": "{point}", "at": "1999-01-01"}, "there is no device to exchange"),
    ("exchange", SIGNED | {"point": "{point}", "at": "2026-03-01T01:30:00Z", "new": "pump"}, "pump"),
    ("exchange", SIGNED | {"point": "{point}", "at": "2026-03-01T01:30:00Z", "end": "a lot"}, "a lot"),
    ("reading", SIGNED | {"point": "nowhere", "at": "2026-03-01", "value": "1"}, "nowhere"),
    ("reading", SIGNED | {"point": "{point}", "at": "2026-03-01", "value": "much"}, "much"),
    ("reading", SIGNED | {"point": "{point}", "at": "2026-03-01", "value": "1", "register": "wind"}, "has no register wind: write one of"),
    ("reading", SIGNED | {"point": "{point}", "at": "2099-03-01", "value": "1"}, "lies ahead: a reading is of the past"),
    ("reading", SIGNED | {"point": "{point}", "at": "1999-03-01", "value": "1"}, "no device was at point"),
    (
        "reading",
        SIGNED | {"point": "{point}", "at": "2026-03-01", "value": "1", "src": "substitute", "method": "guess"},
        "'guess' is no method: write one of",
    ),
]


@pytest.mark.parametrize(("command", "arguments", "words"), REFUSED, ids=[f"{command} {number}" for number, (command, _, _) in enumerate(REFUSED)])
def test_what_cannot_be_done_says_why_and_changes_nothing(core, command, arguments, words):
    """One sentence that names what was meant; readings, decisions, assignments and the audit are as before."""
    point = next(one for one in core.registry.points() if one.id == core.place.id)
    named = {name: value.format(unit=point.unit, point=point.id) if isinstance(value, str) else value for name, value in arguments.items()}

    def state():
        decided = len(core.registry.decisions.in_force("bill", point=point.id))
        return core.readings.counts()["readings"], core.registry.assignments_of(point.id), len(told(core, "audit")), decided

    before = state()
    with pytest.raises(SubmeterError) as refusal:
        told(core, command, **named)
    assert words in str(refusal.value)
    assert state() == before


def test_every_command_that_takes_a_name_refuses_a_wrong_one():
    """Commands without a row above take nothing that could be wrong, or are told about elsewhere."""
    harmless = {
        "backup", "corrections", "decisions", "gateway.list", "gateway.passwords", "gateway.revoke", "gateways", "import", "import.keys", "meters", "meters.announced",
        "meters.named", "operator.end", "operator.list", "quarantine", "rebuild", "replay", "rollup.spark", "rollup.status", "status", "status.view", "tasks", "token.list",
    }  # fmt: skip
    assert COMMANDS.keys() - {command for command, _, _ in REFUSED} == harmless
