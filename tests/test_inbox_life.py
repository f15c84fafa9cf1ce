"""What operators do with what was received: sniff, explain, decode again, adopt a stranger, see how gateways do."""

import json

import pytest
from installation import Installation
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.commands import execute
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.keep import archive
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import Message
from submeter.store.inbox import REPLAY

START = civil.instant("2026-03-01T00:00:00Z")
HOURS = [START + hour * civil.HOUR for hour in range(6)]
STRANGER = DeviceId("STM", "82000009", 0x03, 0x07)


def hexed(place, t, gateway="g1"):
    """A hex message as a replay brings it."""
    return Message("test", place.meter.telegram(t).hex().encode(), t, gateway=gateway, topic=f"submeter/v1/{gateway}/up", flags=REPLAY)


def numbered(seq, at, boot="a", gateway="cellar"):
    """A native batch of one plain telegram of a stranger, stamped three minutes before its reception."""
    raw = encode.radio(STRANGER, encode.plain(encode.bcd(b"\x13", 1000 + seq, 8), encode.Header(access=seq)))
    line = {"v": 1, "gw": gateway, "boot": boot, "seq": seq, "t": [{"hex": raw.hex(), "rssi": -70 - seq, "ts": (at - 3 * civil.MINUTE) // 1000}]}
    return Message("test", json.dumps(line).encode(), at, gateway=gateway)


def run(core, command, **arguments):
    """The lines of a command."""
    return list(execute(core, command, arguments))


@pytest.fixture
def here(tmp_path):
    """An installation of one flat, with an archive of what is older than a day."""
    made = Installation(tmp_path / "here")
    made.file.write_text(made.file.read_text() + "[retention]\ninbox_days = 1\narchive_days = 4000\n")
    return made


def readings(core):
    """How many readings there are."""
    return core.readings.counts()["readings"]


def test_all_that_a_meter_sent_is_decoded_again_from_archive_and_inbox(here):
    """Readings that were lost come back from both, none is doubled, no other meter's is touched, and two gateways' receptions count once."""
    place, other = here.building.places[:2]
    with here.core() as core:
        core.inbox.append([hexed(one, t, gateway) for t in HOURS for one in (place, other) for gateway in ("g1", "g2")])
        core.drain_all()
        list(archive(core))
        core.inbox.append([hexed(place, now() // 1_000_000 * 1_000_000)])
        core.drain_all()
        whole = readings(core)
        assert core.archive.days()
        run(core, "requeue", device=str(place.meter.device), since="2026-02-01")
        assert readings(core) == whole
        with core.readings._duck.transaction() as db:
            db.execute("DELETE FROM readings")
        counted, offered = run(core, "requeue.count", device=str(place.meter.device), since="2026-02-01")
        assert counted == "0 telegrams of the quarantine"
        assert "1 days of the archive" in offered
        first, *_ = run(core, "requeue", device=str(place.meter.device), since="2026-02-01")
        assert first == "7 telegrams taken up again: 7 decoded"
        back = readings(core)
        assert 0 < back < whole
        run(core, "requeue", device=str(place.meter.device), since="2026-02-01")
        assert readings(core) == back


def test_a_time_chooses_from_the_quarantine(here):
    """`--since` and `--until` narrow what is taken up; an empty time is refused."""
    with here.core() as core:
        core.inbox.append([numbered(seq, at) for seq, at in enumerate(HOURS)])
        core.drain_all()
        chosen = {"reason": "unknown_meter", "since": civil.iso(HOURS[1]), "until": civil.iso(HOURS[3])}
        assert run(core, "requeue.count", **chosen) == ["2 telegrams of the quarantine: 2 unknown_meter"]
        assert run(core, "requeue", **chosen)[0] == "2 telegrams taken up again: 2 unknown_meter"
        with pytest.raises(SubmeterError, match="is empty"):
            run(core, "requeue.count", since="2026-03-02", until="2026-03-01")


def test_a_stranger_is_adopted(here):
    """A heard device is listed with who hears it and how well; adopted, what it sent is decoded at its original times."""
    point = next(one for one in here.building.places if one.flat)
    with here.core() as core:
        core.inbox.append([numbered(seq, at) for seq, at in enumerate(HOURS)])
        core.drain_all()
        (line,) = run(core, "meters", unknown=True)
        assert line.split()[:4] == [str(STRANGER), "unknown", "6", "receptions"]
        assert "by cellar (6)" in line
        assert "at best -70 dBm" in line
        assert run(core, "meters", heard=True) == [line]
        with pytest.raises(SubmeterError, match="end that assignment first"):
            run(core, "meters.adopt", device=str(STRANGER), point=point.id)
        with core.registry.writing() as db:
            db.execute("UPDATE assignments SET until = ? WHERE point = ?", (START - civil.DAY, point.id))
        run(core, "meters.adopt", device=str(STRANGER), point=point.id)
        assert run(core, "meters", unknown=True) == []
        numbers = core.readings.registers()
        register = next(number for (device, _), number in numbers.items() if device == str(STRANGER))
        assert [row["t"] for row in core.readings.readings_of([register]).to_pylist()] == HOURS
        with pytest.raises(SubmeterError, match="never heard"):
            run(core, "meters.adopt", device="STM-82000010-03-07", point=point.id)


def adopted(here, *words, typed=None):
    """A meter that encrypts is heard and taken in by the command line: what that says, and the meter's live readings."""
    device, key = DeviceId("STM", "85000001", 0x01, 0x07), bytes.fromhex("ab47d2690f3ec51882745bd90c16fea3")
    point = next(one for one in here.building.places if one.flat)
    raw = encode.radio(device, encode.mode5(encode.bcd(b"\x13", 4711, 8), encode.Header(access=1), key, device))
    with here.core() as core:
        core.inbox.append([Message("test", raw.hex().encode(), START, gateway="gw")])
        core.drain_all()
        with core.registry.writing() as db:
            db.execute("UPDATE assignments SET until = ? WHERE point = ?", (START - civil.DAY, point.id))
    call = ["meters", "--adopt", str(device), "--point", point.id, *words, "--config", str(here.file)]
    done = CliRunner().invoke(app, call, input=typed)
    assert key.hex() not in done.output
    with here.core() as core:
        numbers = [number for (one, _), number in core.readings.registers().items() if one == str(device)]
        return done, [(row["t"], row["value"]) for row in core.readings.readings_of(numbers).to_pylist()]


@pytest.mark.parametrize("typed", [None, "ab47d2690f3ec51882745bd90c16fea3\n"])
def test_a_meter_is_adopted_with_its_key(here, tmp_path, typed):
    """From a file of keys, or asked for and not shown: what waited is decoded at once, at its time."""
    (tmp_path / "keys.csv").write_text("Number;Key\n85000001;ab47d2690f3ec51882745bd90c16fea3\n85000002;00000000000000000000000000000001\n")
    done, kept = adopted(here, *(["--key"] if typed else ["--key-file", str(tmp_path / "keys.csv")]), typed=typed)
    assert done.exit_code == 0, done.exception
    assert kept == [(START, 4_711_000)]


@pytest.mark.parametrize("typed", [None, "ab47d2690f3e\n"])
def test_a_key_that_is_none_adopts_nothing(here, tmp_path, typed):
    """A file without the meter, and digits that are no key, say so without repeating them; the meter stays a stranger."""
    (tmp_path / "keys.csv").write_text("Number;Key\n85000002;00000000000000000000000000000001\n")
    done, kept = adopted(here, *(["--key"] if typed else ["--key-file", str(tmp_path / "keys.csv")]), typed=typed)
    assert ("32 hex digits" if typed else "keys.csv: it has no key of STM-85000001-01-07") in str(done.exception)
    assert "ab47d2690f3e" not in str(done.exception)
    assert kept == []
    with here.core() as core:
        assert "STM-85000001-01-07" not in core.registry.device_names()


def test_a_kept_message_is_explained(here):
    """Who sent it, whether a key is known, which clock counts and why, what became of it, and every byte; from inbox and archive; never the key."""
    place = next(one for one in here.building.places if one.meter.key)
    with here.core() as core:
        core.inbox.append([hexed(place, START), numbered(1, START + civil.HOUR), Message("test", b"???", START + 2 * civil.HOUR)])
        core.drain_all()
        for _ in range(2):
            said = "\n".join(run(core, "explain", message=1))
            assert f"{place.meter.device}, with a key" in said
            assert "by the clock: received" in said
            assert "AES-128-CBC" in said or "security" in said
            assert place.meter.key.hex() not in said
            held = "\n".join(run(core, "explain", message=2, position=0))
            assert "in quarantine, unknown_meter" in held
            assert "the gateway says 2026-03-01T00:57:00" in held
            assert "which does not count" in held
            assert run(core, "explain", message=3)[1].startswith("refused, unknown_format")
            list(archive(core))
            assert core.inbox.messages([1]) == []
        with pytest.raises(SubmeterError, match="neither in the inbox nor in the archive"):
            run(core, "explain", message=99)
        with pytest.raises(SubmeterError, match="counted from 0"):
            run(core, "explain", message=2, position=1)


def test_how_gateways_do(here):
    """Messages and telegrams of today, the clock's offset, what is missing, and restarts; one that was let in and never came is listed too."""
    moment = now()
    with here.core() as core:
        run(core, "gateway.create", name="attic")
        core.inbox.append([numbered(seq, moment - (9 - seq), boot) for boot, seq in (("a", 0), ("a", 1), ("a", 4), ("b", 0))])
        core.drain_all()
        attic, cellar = run(core, "gateways")
        assert attic.startswith("attic  never heard of late")
        assert "1 meters, 1 heard by it alone" in cellar
        assert "clock -180 s" in cellar
        assert cellar.endswith("2 messages missing, 0 gaps, 1 restarts")


def test_a_file_is_sniffed(tmp_path):
    """A message in a file, or each line of it, is told with its format and devices, or why it cannot be read; no installation is needed."""
    file = tmp_path / "message"
    file.write_bytes(numbered(1, START).payload)
    said = CliRunner().invoke(app, ["sniff", str(file)]).output
    assert "native, gateway cellar, number 1 of boot a, 1 telegrams" in said
    assert f"{STRANGER}  -71 dBm  2026-02-28T23:57:00" in said
    file.write_bytes(b"nonsense\n" + numbered(2, START).payload + b"\n")
    said = CliRunner().invoke(app, ["sniff", str(file)]).output
    assert "cannot be read, unknown_format" in said
    assert "-72 dBm" in said
    other = CliRunner().invoke(app, ["sniff", str(file), "--topic", "submeter/v1/attic/up"]).output
    assert "gateway_mismatch" in other


def test_the_last_messages_are_sniffed(here):
    """The last messages of the inbox, of a topic or gateway if asked, with what became of their telegrams."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([hexed(place, START), numbered(1, HOURS[1]), Message("test", b"???", HOURS[2])])
        core.drain_all()

    def sniffed(*words):
        done = CliRunner().invoke(app, ["sniff", "-c", str(here.file), *words])
        assert done.exit_code == 0, done.output
        return done.output

    whole = sniffed()
    assert [line.split()[0] for line in whole.splitlines() if not line.startswith(" ")] == ["1", "2", "3"]
    assert "unknown_meter" in whole
    assert "cannot be read, unknown_format" in whole
    assert str(place.meter.device) in sniffed("--topic", "submeter/v1/+/up")
    assert sniffed("--topic", "submeter/v2/#") == sniffed("--topic", "submeter/v+/#") == ""
    assert len(sniffed("--gateway", "cellar").splitlines()) == 3
    assert sniffed("--last", "1").startswith("3 ")


def test_requeue_asks_first(here):
    """The command tells how many there are and does nothing without a yes."""
    with here.core() as core:
        core.inbox.append([numbered(1, START)])
        core.drain_all()
    words = ["requeue", "-c", str(here.file), "--state", "unknown_meter"]
    asked = CliRunner().invoke(app, words, input="n\n")
    assert "1 telegrams of the quarantine: 1 unknown_meter" in asked.output
    assert "taken up again" not in asked.output
    assert "1 telegrams taken up again" in CliRunner().invoke(app, [*words, "--yes"]).output
