"""Simulated fleets in every gateway format: each message is understood, the troubles are those that were asked for."""

import json

import pytest
from typer.testing import CliRunner

from submeter.cli import app
from submeter.decoders import Profile, decode
from submeter.ingest.envelopes import BadPayload, Payload, split
from submeter.ingest.envelopes.discovery import announced, is_announcement
from submeter.ingest.envelopes.entities import described
from submeter.ingest.envelopes.parsed import values_of
from submeter.reading import to_micro
from submeter.simulate.fleet import Fleet, Troubles
from submeter.simulate.formats import FORMATS

HOUR = 3_600_000_000
START = 1_798_700_000_000_000
FLEET = Fleet.make(30, seed=3)
KEYS = {place.meter.device: Profile(place.meter.key) for place in FLEET.places}


def messages(count=60, form="native", **options):
    """Messages of the fleet."""
    return list(FLEET.messages(count, START, HOUR, form=FORMATS[form], **options))


@pytest.mark.parametrize("form", [form for form in FORMATS if FORMATS[form].announce is None])
def test_every_format_is_read_back(form):
    """A message of each format is sniffed as that format and gives the telegrams that were sent, which the meters' keys open."""
    for message in messages(form=form, batch=7):
        envelope = split(message.topic, message.payload)
        assert envelope.format == form.removesuffix("_zlib")
        assert [heard.raw for heard in envelope.telegrams] == [one.raw for one in message.sent]
        assert {heard.gw_time for heard in envelope.telegrams} <= {None, *(one.t for one in message.sent)}
        assert all(decode(heard.raw, KEYS.get).readings for heard in envelope.telegrams)


@pytest.mark.parametrize("form", [form for form in FORMATS if FORMATS[form].announce is not None])
def test_every_format_that_announces_itself_is_read_back(form):
    """No message is of another format, and each gives, by what is announced, the number of its meter and all that it shows, exactly."""
    entities = [
        one for topic, payload in FORMATS[form].announced(FLEET.places) if is_announcement(topic) for one in announced("home", topic, payload)
    ]
    assert len(messages(form=form)) == 60
    for message in messages(form=form):
        with pytest.raises(BadPayload, match="unknown_format"):
            split(message.topic, message.payload)
        envelope = described(tuple(one for one in entities if one.state_topic == message.topic), Payload(message.topic, message.payload))
        ((heard,), (sent,)) = envelope.telegrams, message.sent
        told = values_of(heard.raw)
        assert told.id == sent.place.meter.device.id
        assert {register: to_micro(value) for register, value in told.values.items()} == sent.place.meter.truth(sent.t)
        assert heard.gw_time in {None, sent.t}


def test_a_fleet_follows_from_its_seed():
    """The same seed gives the same messages, another one other meters; each meter sends once an interval."""
    assert messages() == list(Fleet.make(30, seed=3).messages(60, START, HOUR, form=FORMATS["native"]))
    assert not {place.meter.device for place in Fleet.make(30, seed=4).places} & KEYS.keys()
    assert len({place.meter.device for place in Fleet.make(10_010, seed=1).places}) == 10_010
    sent = list(FLEET.sent(60, START, HOUR))
    assert [one.place for one in sent[:30]] == [one.place for one in sent[30:]]
    assert [two.t - one.t for one, two in zip(sent[:30], sent[30:], strict=True)] == [HOUR] * 30


def test_troubles_are_as_asked():
    """Lost telegrams are missing, messages are repeated with their numbers, stamps are shifted."""
    lossy = messages(3000, troubles=Troubles(loss=0.1))
    assert 2600 < sum(len(message.sent) for message in lossy) < 2800
    doubled = messages(3000, batch=1, troubles=Troubles(duplicates=0.1))
    numbers = [json.loads(message.payload)["seq"] for message in doubled]
    assert 200 < len(numbers) - len(set(numbers)) < 400
    assert [one.t for one in messages(troubles=Troubles(skew_s=-90))[0].sent] == [one.t - 90_000_000 for one in messages()[0].sent]


def test_the_command_writes_lines_and_a_directory(tmp_path, broker):
    """`submeter simulate` writes a replayable file and the meters' directory, publishes to a broker, and refuses what it cannot make."""
    run = CliRunner()
    told = run.invoke(app, ["simulate", "gateway", "--format", "hex", "--meters", "3", "--telegrams", "6", "--out", str(tmp_path / "lines"),
                            "--directory", str(tmp_path / "directory.toml")], catch_exceptions=False)  # fmt: skip
    assert "6 messages with 6 telegrams of 3 meters" in told.stderr
    assert [split(None, line).format for line in (tmp_path / "lines").read_bytes().splitlines()] == ["hex"] * 6
    assert (tmp_path / "directory.toml").read_text().count("\nkey = ") == 3
    sent = run.invoke(app, ["simulate", "fleet", "--meters", "5", "--broker", f"127.0.0.1:{broker.port}"], catch_exceptions=False)
    assert "1 messages with 5 telegrams" in sent.stderr
    assert run.invoke(app, ["simulate", "gateway", "--format", "morse"]).exit_code == 2
    assert run.invoke(app, ["simulate", "gateway", "--format", "homeassistant"]).exit_code == 2
    assert run.invoke(app, ["simulate", "fleet", "--meters", "200000", "--seed", "90"]).exit_code == 2
