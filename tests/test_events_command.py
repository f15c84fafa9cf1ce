"""The command that shows and closes events, and what status says of them."""

import pytest
from installation import Installation

from submeter import civil
from submeter.commands import execute
from submeter.errors import SubmeterError

AT = civil.instant("2026-03-01T00:00:00Z")


def test_the_command_lists_and_closes(tmp_path):
    """`events` shows open ones with their ids; `--close` needs a name and a reason and writes the audit; status counts what is open."""
    with Installation(tmp_path / "here").core() as core:
        event = core.registry.events.raise_("leak", "device:X", AT, now=AT, detail="water runs")
        core.registry.events.raise_("tamper", "device:X", AT, now=AT, detail="look at it")
        assert "open events: 1 leak" in list(execute(core, "status", {}))
        (line,) = execute(core, "events", {"kind": "leak"})
        assert line.split() == [str(event.id), "2026-03-01T00:00:00Z", "leak", "device:X:", "water", "runs"]
        with pytest.raises(SubmeterError, match="--by NAME --why TEXT"):
            list(execute(core, "events", {"close": event.id, "by": "jan"}))
        assert list(execute(core, "events", {"close": event.id, "by": "jan", "why": "tap mended"})) == ["leak of device:X is closed"]
        assert list(execute(core, "events", {"kind": "leak"})) == []
        assert "tap mended by jan" in next(execute(core, "events", {"kind": "leak", "everything": True}))
        assert [entry.actor for entry in core.registry.audit() if entry.action == "event.close"] == ["jan"]
        with pytest.raises(SubmeterError, match="no kind of event 'drip'"):
            list(execute(core, "events", {"kind": "drip"}))
