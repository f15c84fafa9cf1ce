"""The shared samples of gateways' messages, in place."""

import base64
import json
from contextlib import suppress

import pytest

from submeter.decoders import DecodeError, receive
from submeter.ingest.envelopes import FORMATS, BadPayload, split

BYTES = {"text": str.encode, "hex": bytes.fromhex, "base64": base64.b64decode}


def samples(shared):
    """Complete samples that stand for a gateway's message; what a dongle or a device without a server sends is tested elsewhere."""
    rows = [json.loads(line) for line in (shared / "ingest" / "samples.jsonl").read_text().splitlines()]
    return [row for row in rows if row["complete"] and "framer" not in (row.get("expect") or {"framer": ""}) and row["encoding"] in BYTES]


def outcome(row):
    """What became of a sample, in the words of its `expect`."""
    try:
        envelope = split(row["topic"], BYTES[row["encoding"]](row["payload"]))
    except BadPayload as error:
        return {"reject": error.reason}
    kinds = {telegram.reason or telegram.link + "_user" * (telegram.form == "userdata") for telegram in envelope.telegrams}
    return {"format": envelope.format, "kind": "+".join(kinds), "n": len(envelope.telegrams)}


def test_every_complete_sample_has_the_declared_outcome(shared):
    """Each gives its format, kind and number of telegrams, or its reason for refusal: none is left out."""
    rows = samples(shared)
    assert len(rows) >= 47
    assert {row["id"]: outcome(row) for row in rows} == {row["id"]: row["expect"] for row in rows}


def received(telegram):
    """Whether the drain would take it for a telegram."""
    try:
        return receive(telegram.raw, link=telegram.link, form=telegram.form)
    except DecodeError:
        return None


@pytest.mark.parametrize("cut", [1, 2, 3, 0.5, 0.9])
def test_a_cut_sample_is_refused_with_a_word_or_gives_a_whole_telegram(shared, cut):
    """Cut by bytes or shares: a reason, or telegrams that the whole message has too. User data (no length, no checksum) are left to the decoder."""
    for row in samples(shared):
        payload = BYTES[row["encoding"]](row["payload"])
        short = payload[: -cut if cut >= 1 else int(len(payload) * cut)]
        with suppress(BadPayload):
            whole = {telegram.raw for telegram in split(row["topic"], payload).telegrams}
            found = [one for one in split(row["topic"], short).telegrams if not one.reason and one.form != "userdata"]
            assert {one.raw for one in found if one.link != "wmbus" or received(one)} <= whole


@pytest.mark.parametrize("pinned", [known.name for known in FORMATS])
def test_a_pinned_format_takes_its_own_samples_only(shared, pinned):
    """Pinned to one format, the samples of all others are refused."""
    for row in samples(shared):
        try:
            envelope = split(row["topic"], BYTES[row["encoding"]](row["payload"]), pinned)
        except BadPayload:
            continue
        assert envelope.format == pinned
        assert pinned == row["expect"]["format"] or {pinned, row["expect"]["format"]} == {"milesight_ug", "chirpstack3"}
