"""An operator's other command lines, each option of them: jobs, quarantine, meters, events, audit, tokens, monthly information, the doctor."""

import json
import re
from datetime import UTC, datetime

import pytest
from desk import Desk, of_house
from installation import Installation

from submeter import civil, jobs
from submeter.config import load
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.reading import LEVELS
from submeter.store.directory import import_directory

START = civil.instant("2026-03-01T00:00:00Z")


@pytest.fixture
def here(tmp_path):
    """An installation of one flat; the key of its first meter came not yet."""
    return Installation(tmp_path / "here", keyless=1)


@pytest.fixture
def desk(here):
    """Who types commands there."""
    return Desk(here.file)


def replayed(here, desk, places, hours=3):
    """Have the meters of places heard at full hours."""
    sent = [
        {"ts": civil.iso(t), "hex": place.meter.telegram(t).hex(), "rssi": -70}
        for place in places
        for t in (START + number * civil.HOUR for number in range(hours))
    ]
    lines = [json.dumps({"v": 1, "gw": "gw-1", "boot": "b", "seq": number, "t": [one]}) for number, one in enumerate(sent, 1)]
    file = here.folder / "heard.txt"
    file.write_text("\n".join(lines))
    return desk("replay", file)


def rows(desk, level="hour"):
    """How many rows of a level there are."""
    with Core(load(desk.file)) as core:
        return core.readings.rollups(sorted(core.readings.series().values()), LEVELS.index(level), -(2**62), 2**62).num_rows


# ------------------------------------------------------------------ rollup and jobs


def test_jobs_are_listed_paused_resumed_and_run(desk):
    """`rollup --status` has a line a job; a paused one says so until it is resumed; `--now` runs one."""
    listed = desk("rollup", "--status")
    assert [line.split()[0] for line in listed if line.split()[0] in jobs.JOBS] == list(jobs.JOBS)
    assert desk("rollup", "--pause", "nightly") == ["nightly is paused, also over restarts, until `submeter rollup --resume nightly`"]
    assert "paused" in next(line for line in desk("rollup", "--status") if line.startswith("nightly"))
    assert desk("rollup", "--resume", "nightly")[0] == "nightly runs by itself again"
    assert "paused" not in next(line for line in desk("rollup", "--status") if line.startswith("nightly"))
    assert "series computed" in desk.text("rollup", "--now", "hourly")
    with pytest.raises(SubmeterError, match="hurly"):
        desk("rollup", "--now", "hurly")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--status", "--everything"), "choose one of"),
        (("--now", "hourly", "--dry-run"), "choose one of"),
        (("--pause", "hourly", "--resume", "hourly"), "choose one of"),
        (("--status", "--from", "2026-01-01", "--to", "2026-01-02"), "choose one of"),
        (("--engine", "spark"), "--engine spark needs --master URL"),
        (("--master", "spark://127.0.0.1:1"), "--master and --shared need --engine spark"),
        (("--shared", "/tmp"), "--master and --shared need --engine spark"),
        (("--engine", "spark", "--master", "spark://127.0.0.1:1", "--dry-run"), "--dry-run computes here"),
        (("--engine", "elsewhere"), "elsewhere"),
    ],
)
def test_a_rollup_of_two_minds_is_refused(tmp_path, words, told):
    """What does not go together is said with exit status 2, before anything is opened."""
    file = tmp_path / "pipeline.toml"
    file.write_text('[data]\nfolder = "data"\n')
    assert told in " ".join(Desk(file).text("rollup", *words, code=2).replace("│", " ").split())
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2026-01-01"), "a range has two ends"),
        (("--to", "2026-01-01"), "a range has two ends"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "is empty: --from is the earlier one"),
        (("--from", "yesterday", "--to", "2026-01-01"), "'yesterday' is not an instant"),
    ],
)
def test_a_range_without_sense_is_refused(desk, words, told):
    """One end, ends the wrong way round and what is no date are named."""
    with pytest.raises(SubmeterError, match=told):
        desk("rollup", *words)


def test_a_preview_changes_nothing_and_a_range_is_computed_again(tmp_path):
    """`--dry-run` says what a run would bring; `--everything` and a range find nothing new in rows that are right."""
    desk = of_house(tmp_path / "h", ("2024-01-01T00:00:00Z", "1"), ("2024-01-03T00:00:00Z", "49"))
    assert rows(desk, "day") == 2
    for words in (
        ("--everything",),
        ("--from", "2024-01-01", "--to", "2024-01-02"),
        ("--from", "2024-01-01T00:00:00Z", "--to", "2024-01-01T01:00:00Z"),
    ):
        assert "1 series computed, 0 rows changed" in desk.text("rollup", *words)
    assert "0 series computed" in desk.text("rollup")
    house = tmp_path / "h" / "directory.toml"
    house.write_text(house.read_text().replace('zone = "UTC"', 'zone = "Europe/Prague"').replace("2020-01-01", "2020-01-01T00:00:00Z"))
    with Core(load(desk.file)) as core:
        import_directory(core.registry, house)
    before = rows(desk, "day")
    assert "the directory changed" in desk.text("rollup", "--dry-run")
    assert rows(desk, "day") == before
    desk("rollup")
    assert rows(desk, "day") != before


# ------------------------------------------------------------------ telegrams and meters


def test_quarantine_and_requeue(here, desk):
    """Telegrams without a key are listed by reason and device; with the key they are counted, asked about, and decoded."""
    keyless, other = here.building.places[:2]
    replayed(here, desk, [keyless, other])
    device = str(keyless.meter.device)
    assert len(desk("quarantine")) == len(desk("quarantine", "--reason", "no_key")) == len(desk("quarantine", "--device", device)) == 3
    assert all(f"  {device}  no_key  by " in line for line in desk("quarantine", "--device", device))
    assert desk("quarantine", "--reason", "wrong_key") == desk("quarantine", "--device", str(other.meter.device)) == []
    asked = desk.text("requeue", "--meter", device, "--reason", "no_key", "--since", "2026-03-01", "--until", "2026-03-02", stdin="n\n")
    assert "3 telegrams" in asked
    assert "Decode them again?" in asked
    assert len(desk("quarantine")) == 3
    assert "0 telegrams" in desk.text("requeue", "--reason", "wrong_key", "--yes")
    desk("import", here.folder / "directory.toml")
    assert desk("quarantine") == []
    assert "3 telegrams" in desk.text("requeue", "--meter", device, "--since", "2026-03-01", "--yes")


def test_meters_that_are_known_heard_and_strange(here, desk):
    """All, those that were heard, those that nobody knows; and the drivers there are."""
    heard = here.building.places[1]
    replayed(here, desk, [heard])
    every, known = desk("meters"), str(heard.meter.device)
    assert len(every) == len(here.building.places)
    (line,) = desk("meters", "--heard")
    assert line.startswith(f"{known}  known           3 receptions  last heard 2026-03-01, first 2026-03-01  by ")
    assert sum("never heard" in line for line in every) == len(every) - 1
    assert desk("meters", "--unknown") == []
    drivers = desk("meters", "--drivers")
    assert len({line.split()[0] for line in drivers}) == len(drivers) > 50
    assert next(line.split()[1] for line in drivers if line.startswith("apatorna1 ")) == "APA"


def test_a_stranger_is_taken_in(here, desk):
    """`--adopt` wants `--point`; with it what the stranger sent is decoded at its time, from the day on which it was first heard or `--from`."""
    stranger = Installation(here.folder / "elsewhere", flats=2).building.places[-1]
    replayed(here, desk, [stranger])
    device = str(stranger.meter.device)
    (line,) = desk("meters", "--unknown")
    assert line.startswith(f"{device}  unknown")
    assert "which point does it measure" in " ".join(desk.text("meters", "--adopt", device, code=2).split())
    with Core(load(desk.file)) as core:
        taken = {one.point for one in core.registry.assignments()}
        point = next(iter(taken))
        core.registry.replace_assignments(point, [])
    told = desk("meters", "--adopt", device, "--point", point, "--from", "2026-02-01", "--key", stdin=f"{stranger.meter.key.hex()}\n")
    assert any(f"{device} is that of {point}: what it sent is decoded at its original times" in one for one in told)
    assert desk("meters", "--unknown") == desk("quarantine") == []
    with Core(load(desk.file)) as core:
        assert [(str(one.device), civil.iso(one.since)) for one in core.registry.assignments_of(point)] == [(device, "2026-01-31T23:00:00Z")]
    with pytest.raises(SubmeterError, match="was never heard"):
        desk("meters", "--adopt", "KAM-99999999-1B-16", "--point", point)


def test_a_name_is_linked(desk, here):
    """`--named` wants `--device`, which must be of the directory."""
    assert "write --device" in " ".join(desk.text("meters", "--named", "bath", code=2).split())
    device = str(here.building.places[1].meter.device)
    assert desk("meters", "--named", "bath", "--device", device)[:2] == [
        f"what gateways call bath is {device}",
        "0 telegrams that waited for it are decoded at their original times",
    ]
    assert desk("meters", "--announced") == []


# ------------------------------------------------------------------ events, audit, tokens, outbox


def test_events_are_found_and_closed(desk):
    """By kind, by subject, open or all; one is closed with who and why, which the list of all shows."""
    with Core(load(desk.file)) as core:
        for number, (kind, subject) in enumerate((("silent", "device:A"), ("silent", "device:B"), ("suspect_jump", "point:p/volume"))):
            core.registry.events.raise_(kind, subject, START + number * civil.HOUR, now=START)
    numbers = [line.split()[0] for line in desk("events")]
    assert len(numbers) == 3
    assert [line.split()[0] for line in desk("events", "--kind", "silent")] == [line.split()[0] for line in desk("events") if "  silent  " in line]
    (found,) = desk("events", "--kind", "silent", "--subject", "device:B")
    assert found.split()[1:4] == ["2026-03-01T01:00:00Z", "silent", "device:B:"]
    for words in (("--by", "Eva"), ("--why", "battery"), ()):
        with pytest.raises(SubmeterError, match="who closes it, and why"):
            desk("events", "--close", found.split()[0], *words)
    assert desk("events", "--close", found.split()[0], "--by", "Eva", "--why", "battery changed") == ["silent of device:B is closed"]
    assert len(desk("events")) == 2
    closed = [line for line in desk("events", "--all") if line.split()[0] == found.split()[0]]
    assert "battery changed by Eva" in closed[0]
    with pytest.raises(SubmeterError, match="there is no kind of event 'noise': write one of"):
        desk("events", "--kind", "noise")


def test_the_audit_is_searched_and_verified(desk):
    """By actor, action, object, time; the last so many; and its chain of hashes."""
    with Core(load(desk.file)) as core:
        manager = core.registry.managers()[0].id
    (secret,) = desk("token", "create", manager)
    (one,) = [line for line in desk("token", "list") if line.split()[0].startswith("k_")][-1:]
    identity = one.split()[0]
    desk("token", "revoke", identity)
    made = desk("audit", "--actor", "operator", "--unit", identity)
    assert [line.split()[3] for line in made] == ["token.create", "token.revoke"]
    assert desk("audit", "--action", "token.revoke", "--unit", identity) == made[1:]
    assert desk("audit", "--unit", identity, "--limit", "1") == made[1:]
    assert desk("audit", "--actor", "nobody") == []
    today = datetime.now(UTC).date().isoformat()
    assert desk("audit", "--unit", identity, "--from", today) == made
    assert desk("audit", "--unit", identity, "--to", today) == []
    assert secret not in desk.text("audit")
    (whole,) = desk("audit", "--verify")
    assert re.fullmatch(r"the audit holds: \d+ rows are linked; the last hash is [0-9a-f]{64}", whole)


def test_tokens_are_made_with_scopes_and_revoked(desk):
    """The secret is shown once; the list has its scopes, and when it ended."""
    with Core(load(desk.file)) as core:
        manager = core.registry.managers()[0].id
    (secret,) = desk("token", "create", manager, "--scope", "units:read", "--scope", "consumption:read")
    assert re.fullmatch(r"smt_\S{40,}", secret)
    listed = [line for line in desk("token", "list") if "units:read consumption:read  made" in line or "consumption:read units:read  made" in line]
    identity = listed[0].split()[0]
    assert secret not in desk.text("token", "list")
    assert desk("token", "revoke", identity) == [f"{identity} is revoked"]
    assert "  revoked " in next(line for line in desk("token", "list") if line.startswith(identity))
    for words, told in (((manager, "--scope", "all"), "all"), (("nobody",), "nobody")):
        with pytest.raises(SubmeterError, match=told):
            desk("token", "create", *words)


def test_an_empty_outbox_and_a_message_that_is_not_there(desk):
    """Nothing waits; a message to be tried again must be there."""
    assert desk("outbox") == []
    with pytest.raises(SubmeterError, match="99"):
        desk("outbox", "--retry", "99")


def test_monthly_information_of_what_is_not_there(desk):
    """A flat or month that is none, and a month that was not published, each with what to write instead."""
    with Core(load(desk.file)) as core:
        unit = core.registry.units()[0]
    for words, told in (
        ((unit.id, "--month", "2026-13"), "'2026-13' is no month: write e.g. 2026-01"),
        ((unit.id, "--month", "2026-01"), f"nothing is published for {unit.id} in 2026-01"),
        (("nowhere", "--month", "2026-01"), "there is no unit nowhere"),
    ):
        with pytest.raises(SubmeterError, match=told):
            desk("information", *words)


def test_the_doctor_only_looks(here, desk):
    """With --dry-run nothing is changed: a file that everybody may read is found and stays so, exit status 1; without it is mended."""
    replayed(here, desk, here.building.places[1:2])
    key = here.folder / "data" / "inbox.sqlite"
    key.chmod(0o644)
    assert [line for line in desk("doctor", "--dry-run", code=1) if line.startswith("left") and "inbox.sqlite" in line]
    assert key.stat().st_mode & 0o777 == 0o644
    desk("doctor")
    assert key.stat().st_mode & 0o777 == 0o600
