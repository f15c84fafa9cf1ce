"""Our own malformed frames (FAULTS.md, G4): each ends in the one outcome that its row states, and gives no reading that is not stated."""

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from malformed import PLAIN, Case
from malformed_layers import LAYERS
from malformed_links import LINKS
from malformed_records import RECORDS

from submeter.decoders import DecodeError, decode, dedup_key, identify
from submeter.ingest.drain import Drain, Known
from submeter.reading import from_micro
from submeter.store import Inbox, Message, Readings, Registry

CASES = LINKS + LAYERS + RECORDS


def outcome(case: Case) -> str | dict[str, Decimal]:
    """The reason of a refusal or of the quarantine, or all readings of the telegram."""
    try:
        telegram = decode(case.raw, lambda _: case.profile, link=case.link, form=case.form)
    except DecodeError as refusal:
        return refusal.reason
    return telegram.reason or {
        str(one.register) + (f"@{one.stamp:%Y-%m-%d}" if one.stamp else ""): from_micro(one.value)
        for one in telegram.readings
        if one.value is not None
    }


@pytest.mark.parametrize("case", CASES, ids=[f"{case.link}: {case.what}" for case in CASES])
def test_a_malformed_frame_ends_as_stated(case: Case) -> None:
    """One typed outcome; where readings may be given, these and no others."""
    assert outcome(case) == case.expected
    for asked in (identify, dedup_key):
        with suppress(DecodeError):
            asked(case.raw, link=case.link, form=case.form)


def test_the_set_is_as_large_as_promised() -> None:
    """With the 258 of the shared set there are more than 500, each by another name and of other bytes."""
    assert (
        len({(case.link, case.what) for case in CASES})
        == len({(case.link, case.form, case.raw, case.profile) for case in CASES})
        == len(CASES)
        > 500 - 258
    )


def test_malformed_frames_pass_through_the_inbox(tmp_path) -> None:
    """The frames of plain meters through inbox and drain: an outcome each, none an internal error, and what is refused keeps its bytes."""
    cases = [case for case in CASES if case.profile is PLAIN and case.raw and case.form in {"auto", "a", "b", "trailing", "nocrc"}]
    telegrams = [{"hex": case.raw.hex(), "kind": case.link, "form": case.form} for case in cases]
    with (
        Inbox(tmp_path / "inbox.sqlite") as inbox,
        Readings(tmp_path / "readings.duckdb") as readings,
        Registry(tmp_path / "registry.sqlite") as registry,
    ):
        inbox.append(
            [
                Message("mqtt", json.dumps({"v": 1, "gw": "gw", "t": [one]}).encode(), 1_780_000_000_000_000 + 60_000_000 * at, gateway="gw")
                for at, one in enumerate(telegrams)
            ]
        )
        results = Drain(inbox, readings, registry, lambda _: Known(PLAIN, "UTC")).step(len(cases)).results
        kept = list(inbox.quarantined())
        refused = inbox.counts().refused
    assert sum(results.values()) == len(cases)
    assert len(kept) + sum(refused.values()) == len(cases) - results["decoded"]
    assert not [row for row in kept if "internal" in row.detail]
