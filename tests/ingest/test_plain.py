"""Ordinary telegrams in columns and all telegrams one by one: whatever comes, the stores hold the same."""

import json
import random

import pytest

from submeter.decoders import Profile
from submeter.ingest import plain
from submeter.ingest.drain import Drain, Gateway, Known
from submeter.ingest.judge import Judge
from submeter.simulate import encode
from submeter.simulate.building import Building
from submeter.simulate.fleet import Fleet
from submeter.store import Inbox, Message, Readings, Registry

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_785_000_000 * SECOND
FLEET = Fleet.make(40, seed=5)
HOUSE = Building.make(flats=2)
PLACES = FLEET.places + HOUSE.places


def known(device):
    """Every seventh meter is a stranger, every eleventh has no key, some were installed lately, some live elsewhere."""
    number = next(number for number, place in enumerate(PLACES) if place.meter.device == device)
    if number % 7 == 6:
        return None
    zone = "America/New_York" if number % 13 == 12 else "Europe/Prague"
    return Known(Profile(None if number % 11 == 10 else PLACES[number].meter.key), zone, START - HOUR if number % 5 == 4 else None)


def telegram(place, t, chance):
    """What a meter sends: mostly its telegram, sometimes an alarm, a fall, a wrong clock, or something in clear."""
    meter, kind = place.meter, chance.random()
    if kind < 0.8 or meter.key is None:
        return meter.telegram(t if kind > 0.05 else t - 30 * 24 * HOUR)
    value = encode.bcd(b"\x13", chance.randrange(10**6), 8)
    data = value if kind < 0.9 else value + meter.telegram(t)[:0] + encode.minute(meter._clock(t + chance.choice([-9, 9]) * HOUR))
    header = encode.Header(access=chance.randrange(256), status=0x04 if kind > 0.95 else 0)
    return encode.radio(meter.device, encode.mode5(data, header, meter.key, meter.device))


def messages(seed):
    """Native batches of three gateways, of which one forwards late; some telegrams are heard twice, damaged, or sent again."""
    chance, sent = random.Random(seed), []
    for number in range(40):
        gateway, telegrams = chance.choice(["late", "gw-1", "gw-2"]), []
        for _ in range(30):
            place = chance.choice(PLACES)
            t = START + number * 600 * SECOND + chance.randrange(600) * SECOND
            raw = telegram(place, t, chance) if not sent or chance.random() < 0.85 else chance.choice(sent)
            sent.append(raw)
            cut = raw[:-1] if chance.random() < 0.02 else raw
            telegrams.append({"ts": t // 1000, "hex": cut.hex(), "kind": "mbus" if raw[0] == 0x68 else "wmbus", "rssi": -chance.randrange(40, 90)})
        line = {"v": 1, "gw": gateway, "boot": "b", "seq": number, "t": telegrams}
        yield Message("test", json.dumps(line).encode(), START + (number + 1) * 600 * SECOND, gateway=gateway)


def stored(folder, seed):
    """Everything that the stores hold after all messages, and how many readings went as columns."""
    folder.mkdir()
    with Inbox(folder / "inbox.sqlite") as inbox, Readings(folder / "readings.duckdb") as readings, Registry(folder / "registry.sqlite") as registry:
        inbox.append(list(messages(seed)))
        drain = Drain(inbox, readings, registry, known, {"late": Gateway(store_and_forward=True)}, clock=lambda: START + 24 * HOUR)
        results = {}
        while (step := drain.step(7)).messages:
            results = {name: results.get(name, 0) + step.results.get(name, 0) for name in {*results, *step.results}}
        names = {number: (device, str(register)) for (device, register), number in readings.registers().items()}
        rows = readings._duck.read("SELECT * FROM readings ORDER BY seq").to_pylist()
        return {
            "results": results,
            "readings": [{**row, "register": names[row["register"]]} for row in rows],
            "receptions": sorted(map(str, readings._duck.read("SELECT * FROM receptions").to_pylist())),
            "accepted": readings.accepted(),
            "dirty": sorted((names[row["register"]], row["t_from"], row["t_to"]) for row in readings.dirty().to_pylist()),
            "quarantine": inbox.quarantined(),
            "events": [(event.kind, event.subject, event.at, event.seen, event.detail) for event in registry.events.find()],
        }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_columns_and_one_by_one_store_the_same(tmp_path, monkeypatch, seed):
    """Readings with all their columns, receptions, newest values, dirty ranges, quarantine and events are equal; many telegrams are ordinary."""
    taken = []
    take = plain.Ordinary.take
    monkeypatch.setattr(plain.Ordinary, "take", lambda self, number: (taken.append(number), take(self, number)))
    together = stored(tmp_path / "together", seed)
    assert len(taken) > together["results"]["decoded"] // 8
    assert {"decoded", "duplicate", "unknown_meter", "no_key", "bad_frame", "replay"} <= together["results"].keys()
    assert together["events"]
    monkeypatch.setattr(Judge, "ordinary", lambda *_: False)
    assert stored(tmp_path / "singly", seed) == together
