"""Inputs that broke some decoder or reader somewhere: each ends in one typed outcome, through the real inbox and drain."""

import json

from submeter.decoders import Profile
from submeter.ingest.drain import Drain, Known
from submeter.ingest.framers import LineFramer
from submeter.ingest.rows import POSITION_BITS, READING_BITS
from submeter.reading import DeviceId
from submeter.store import Inbox, Message, Readings, Registry

OUTCOMES = {
    "decoded", "no_key", "wrong_key", "mac_fail", "replay", "downgrade", "unknown_mode", "unknown_driver", "bad_frame", "rejected", "unknown_meter",
}  # fmt: skip
ATTACKED = DeviceId("SEN", "12345678", 0x68, 0x07)
KEY = bytes(range(16))


def known(device: DeviceId) -> Known:
    """The attacked meter has a key, all others send plainly."""
    return Known(Profile(KEY) if device == ATTACKED else Profile(), "UTC")


def message(row: dict[str, str], at: int) -> Message | None:
    """A row as its transport brings it; None where a stream waits for more."""
    if row["layer"] == "serial":
        lines = LineFramer().feed(bytes.fromhex(row["hex"]))
        return Message("port", lines[0], at) if lines else None
    if row["layer"] == "payload":
        return Message("mqtt", row["raw"].encode(), at, topic="submeter/gw/up")
    kind = "wmbus" if row["layer"] == "wmbus" else "mbus"
    text = row["hex"] if row["layer"] != "dvrecords" else "0801" + "78" + row["hex"]
    return Message("mqtt", json.dumps({"v": 1, "gw": "gw", "t": [{"hex": text, "kind": kind}]}).encode(), at, gateway="gw")


def test_every_input_has_one_typed_outcome(shared, tmp_path):
    """One outcome each, none of them an internal error; refused telegrams keep their bytes, and attacks give no reading of the meter."""
    rows = [json.loads(line) for line in (shared / "reliability" / "malformed.jsonl").read_text("utf-8").splitlines()]
    messages = {row["id"]: message(row, 1_780_000_000_000_000 + number * 60_000_000) for number, row in enumerate(rows)}
    brought = {name: told for name, told in messages.items() if told is not None}
    folder = tmp_path
    with Inbox(folder / "inbox.sqlite") as inbox, Readings(folder / "readings.duckdb") as readings, Registry(folder / "registry.sqlite") as registry:
        names = dict(zip(inbox.append(list(brought.values())), brought, strict=True))
        results = Drain(inbox, readings, registry, known).step(len(rows)).results
        kept = {names[row.message]: row for row in inbox.quarantined()}
        refused = inbox.counts().refused
        stored = readings.readings_of(list(readings.registers().values())).to_pylist()
    giving = {names[row["seq"] >> POSITION_BITS + READING_BITS] for row in stored}
    assert (len(rows), sum(results.values())) == (258, len(brought))
    assert results.keys() <= OUTCOMES
    assert len(kept) + sum(refused.values()) == len(brought) - results["decoded"]
    assert not [row for row in kept.values() if "internal" in row.detail]
    assert not giving & kept.keys()
    assert {name for name in map("M{:03d}".format, range(208, 221)) if name not in kept} == {"M208", "M214", "M215", "M216", "M217", "M218"}
    assert {name for name in giving if rows[int(name[1:]) - 1]["expect"].startswith(("reject", "quarantine"))} <= {
        "M031",
        "M047",
        "M048",
        "M049",
        "M183",
    }
