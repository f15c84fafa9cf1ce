"""The shared samples of the formats that are built, in place."""

import base64
import json

import pytest

from submeter.ingest.envelopes import BadPayload, split

#: Families of samples whose format is built, or which no payload can tell.
BUILT = {
    "rtl_wmbus_line", "esphome_wmbus_raw_json", "esphome_wmbus_raw_rtlwmbus", "esphome_tcp_rtlwmbus", "hex_over_mqtt", "hex_over_mqtt_rssi",
    "native_batch", "radio_raw_json", "ha_discovery_wmbusmeters", "rtl_433_mqtt",
}  # fmt: skip
BYTES = {"text": str.encode, "hex": bytes.fromhex, "base64": base64.b64decode}


def samples(shared):
    """Complete samples that stand for a gateway's message."""
    rows = [json.loads(line) for line in (shared / "ingest" / "samples.jsonl").read_text().splitlines()]
    return [row for row in rows if row["complete"] and "framer" not in row.get("expect", {}) and "expect" in row and row["encoding"] in BYTES]


def outcome(row):
    """What became of a sample, in the words of its `expect`."""
    try:
        envelope = split(row["topic"], BYTES[row["encoding"]](row["payload"]))
    except BadPayload as error:
        return {"reject": error.reason}
    kinds = {telegram.reason or telegram.link for telegram in envelope.telegrams}
    return {"format": envelope.format, "kind": "+".join(kinds), "n": len(envelope.telegrams)}


def test_samples_of_built_formats_have_the_declared_outcome(shared):
    """Every complete sample of a built format gives its format, kind and number of telegrams, or its reason for refusal."""
    rows = [row for row in samples(shared) if row["format"] in BUILT]
    assert len(rows) >= 19
    assert {row["id"]: outcome(row) for row in rows} == {row["id"]: row["expect"] for row in rows}


def test_samples_of_other_formats_are_refused_by_name(shared):
    """A format that is not built is `unknown_format`, never taken for another one."""
    rows = [row for row in samples(shared) if row["format"] not in BUILT]
    assert {row["id"]: outcome(row) for row in rows} == {row["id"]: {"reject": "unknown_format"} for row in rows}


@pytest.mark.parametrize("pinned", ["native", "rtl_wmbus", "esphome_json", "hex", "binary"])
def test_a_pinned_format_takes_its_own_samples_only(shared, pinned):
    """Pinned to one format, the samples of all others are refused."""
    for row in samples(shared):
        try:
            envelope = split(row["topic"], BYTES[row["encoding"]](row["payload"]), pinned)
        except BadPayload:
            continue
        assert envelope.format == pinned == row["expect"]["format"]
