"""The world of the demo: what there is, what happens in it, and how its history is told."""

import json
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from submeter import civil
from submeter.decoders import Profile, decode
from submeter.simulate.consumption import DAY, HOUR
from submeter.simulate.gateway import transmissions
from submeter.simulate.history import Stretch, clock_change, messages, planned, times
from submeter.simulate.meters import midnight
from submeter.simulate.truth import anchors, counters, index_at, total
from submeter.simulate.world import COMPANIES, World
from submeter.store.directory import import_directory
from submeter.store.registry import Registry
from submeter.store.vault import Vault

END = int(datetime(2026, 11, 26, 9, tzinfo=UTC).timestamp()) * 1_000_000
WORLD = World.make(seed=1, end=END)
PARTS = planned(END, 3, WORLD.buildings["fjernvarme"])


def place_of(name):
    """The place of a story, with it."""
    story = WORLD.story(name)
    return story, next(place for place in WORLD.places if place.id == story.point)


def test_there_are_three_houses_with_24_flats_three_substations_and_120_meters():
    """Five companies, of which two share a house; meters are unlike in number and key; most are encrypted."""
    flats = {one.id: len(WORLD.buildings[one.id].flats) for one in COMPANIES}
    assert sum(count for manager, count in flats.items() if manager != "fjernvarme") == 24
    assert (flats["fjernvarme"], WORLD.devices) == (3, 120)
    kinds = {place.meter.kind for place in WORLD.places}
    assert kinds >= {"cold_water", "hot_water", "allocator", "heat", "building_heat"}
    assert len({place.meter.device for place in WORLD.places}) == len(list(WORLD.places))
    keys = [place.meter.key for place in WORLD.places if place.meter.key]
    assert len(keys) == len(set(keys)) > 100


@pytest.mark.parametrize("place", {place.meter.kind: place for place in WORLD.places}.values(), ids=lambda place: place.meter.kind)
def test_telegrams_of_each_kind_say_what_the_meter_shows(place):
    """The makers' letters bring no deviation from the standard's records into what is read."""
    told = decode(place.meter.telegram(END), lambda _: Profile(place.meter.key), link="wmbus" if place.meter.key else "mbus")
    assert {one.register: one.value for one in told.readings if one.stamp is None} == place.meter.truth(END)
    assert place.meter.device.manufacturer != "SIM"


def test_a_seed_is_one_world():
    """The same seed gives the same telegrams, another one other meters; seeds end where ids of meters have no more room."""
    place, other = (next(World.make(seed=seed, end=END).places) for seed in (1, 2))
    assert place.meter.telegram(END) == next(WORLD.places).meter.telegram(END)
    assert place.meter.device != other.meter.device
    with pytest.raises(ValueError, match="seed 20: write one of 1 to 19"):
        World.make(seed=20, end=END)


def test_a_registry_takes_the_directory(tmp_path):
    """All companies in one file, without a warning; the second import changes nothing."""
    (tmp_path / "directory.toml").write_text(WORLD.directory(), "utf-8")
    with Registry(tmp_path / "registry.sqlite", Vault(bytes(32))) as registry:
        report = import_directory(registry, tmp_path / "directory.toml")
        assert report.warnings == []
        assert {one.id for one in registry.managers()} == {one.id for one in COMPANIES}
        assert import_directory(registry, tmp_path / "directory.toml").changed == 0


def test_history_is_told_newest_first_without_a_gap():
    """Three years in parts that join; midnights are local ones, a day of 25 hours too."""
    whole = sorted((one for part in PARTS for one in part if not one.only), key=lambda one: one.t_from)
    assert (whole[0].t_from, whole[-1].t_to) == (END - 1096 * DAY, END)
    assert all(one.t_to == following.t_from for one, following in pairwise(whole))
    assert [part[0].t_to for part in PARTS] == sorted((part[0].t_to for part in PARTS), reverse=True)
    place = WORLD.buildings["fjernvarme"].places[0]
    change = clock_change(place.meter.zone, END)
    assert civil.local_date(place.meter.zone, change) == date(2026, 10, 25)
    around = times(place, Stretch(change - DAY, change + 2 * DAY, 0))
    assert around == [midnight(date(2026, 10, day), place.meter.zone) for day in (24, 25, 26, 27)][: len(around)]
    assert 25 * HOUR in [after - before for before, after in pairwise(around)]


def test_messages_carry_every_telegram_once():
    """What was sent is in the gateways' messages: each telegram once, in order of time, numbered without a gap."""
    building = WORLD.buildings["inkomus"]
    sent = [(t, place) for place in building.places for t in times(place, Stretch(END - 5 * DAY, END, HOUR))]
    told = [json.loads(message) for message in messages(sent, "b")]
    for gateway in building.gateways:
        assert [one["seq"] for one in told if one["gw"] == gateway] == list(range(sum(one["gw"] == gateway for one in told)))
    heard = [(telegram["ts"] * 1000, telegram["hex"]) for one in told for telegram in one["t"]]
    assert sorted(heard) == sorted((t, place.meter.telegram(t).hex()) for t, place in sent)


def test_a_leak_runs_in_every_hour():
    """Since it began at least its own flow is counted in each hour, also at night, and its telegrams say so."""
    story, place = place_of("leak")
    (register,) = counters(place)
    hours = [place.meter.total(register, t + HOUR) - place.meter.total(register, t) for t in range(story.since, END, HOUR)]
    assert min(hours) >= 13_000
    before = [place.meter.total(register, t + HOUR) - place.meter.total(register, t) for t in range(story.since - DAY, story.since, HOUR)]
    assert min(before) < 5_000
    shown = decode(place.meter.telegram(END), lambda _: Profile(place.meter.key)).readings
    assert next(one.value for one in shown if one.stamp is None and one.register == register) == place.meter.truth(END)[register]


@pytest.mark.parametrize("name", ["silent", "gone", "late"])
def test_who_is_silent_is_not_heard(name):
    """Nothing of a silent meter is transmitted in its time, everything outside it."""
    story, place = place_of(name)
    whole = replace(place, quiet=())
    stretches = [one for part in PARTS for one in part]
    until = min(story.until, END)
    lost = [t for t in WORLD.sent(whole, stretches, late=False) if story.since <= t < until]
    assert len(lost) >= 2
    assert set(WORLD.sent(whole, stretches, late=False)) - set(WORLD.sent(place, stretches, late=False)) == set(lost)
    assert bool(set(lost) & set(WORLD.sent(place, stretches))) == (name == "late")
    building = WORLD.buildings[story.manager]
    sent = [one for one in transmissions(building, until - DAY, until, HOUR) if one.place.id == place.id]
    assert sent == []


def test_an_exchange_goes_on_with_the_new_meters_steps():
    """The total over both meters never falls nor jumps; the new meter stores nothing of before, and the directory has both hand-over values."""
    story, place = place_of("exchange")
    register = counters(place)[0]
    around = [total(place, register, t) for t in range(story.since - DAY, story.since + DAY, HOUR)]
    assert around == sorted(around)
    assert around[-1] - around[0] < 2_000_000
    assert place.meter_at(story.since - 1) is place.meter
    assert place.meter_at(story.since) is place.following
    told = decode(place.following.telegram(story.since + HOUR), lambda _: Profile(place.following.key))
    assert all(one.stamp is None for one in told.readings)
    known = anchors(place, register, [story.since - HOUR, story.since + HOUR])
    assert index_at(known, story.since) == place.meter.total(register, story.since)
    old, new = [one for one in tomllib.loads(WORLD.directory())["assignment"] if one["point"] == place.id]
    assert (old["to"], float(old["end_value"]) * 1e6) == (new["from"], place.meter.truth(story.since)[register])
    assert float(new["start_value"]) * 1e6 == place.following.truth(story.since)[register]


def test_somebody_moves_in_at_noon_in_the_middle_of_a_month():
    """Two stays that join at that instant."""
    story = WORLD.story("move")
    first, second = [one for one in tomllib.loads(WORLD.directory())["occupancy"] if one["unit"] == story.unit]
    assert first["to"] == second["from"] == datetime.fromtimestamp(story.since // 1_000_000, UTC).isoformat()
    assert civil.to_local("Europe/Ljubljana", story.since).strftime("%d %H:%M") == "11 12:00"
