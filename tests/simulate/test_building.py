"""The simulated building and its directory."""

import tomllib
from datetime import date

from submeter.reading import DeviceId
from submeter.simulate.building import Building
from submeter.simulate.directory import directory
from submeter.store.directory import import_directory
from submeter.store.registry import Registry
from submeter.store.vault import Vault

BUILDING = Building.make(flats=12, seed=4)
SINCE = date(2026, 1, 1)
TABLES = tomllib.loads(directory(BUILDING, SINCE))


def test_every_flat_has_its_points():
    """Each flat has cold and hot water and two allocators, two flats a heat meter too; the building has three meters of its own."""
    kinds = {flat.id: sorted(place.meter.kind for place in BUILDING.places if place.flat == flat.id) for flat in BUILDING.flats}
    assert [kinds[flat.id].count("heat") for flat in BUILDING.flats] == [1, 1] + [0] * 10
    assert all({"cold_water", "hot_water"} <= set(found) and found.count("allocator") == 2 for found in kinds.values())
    assert [place.meter.kind for place in BUILDING.places if place.flat is None] == ["building_heat", "cooling", "electricity"]


def test_ids_are_unique():
    """No two points, meters, keys or gateways are alike, in one building or in two."""
    other = Building.make(flats=12, seed=5)
    places = [*BUILDING.places, *other.places]
    assert len({place.meter.device for place in places}) == len(places)
    keys = [place.meter.key for place in places if place.meter.key]
    assert len(set(keys)) == len(keys)
    assert len({place.id for place in places}) == len(places)
    assert set(BUILDING.gateways).isdisjoint(other.gateways)


def test_directory_names_everything_once():
    """The import file has each flat, point, meter, assignment and resident, with references that exist and the meters' keys."""
    points = {point["id"]: point for point in TABLES["point"]}
    devices = {device["id"]: device for device in TABLES["device"]}
    assert {unit["id"] for unit in TABLES["unit"]} == {flat.id for flat in BUILDING.flats} == {entry["unit"] for entry in TABLES["occupancy"]}
    assert {(entry["point"], entry["device"]) for entry in TABLES["assignment"]} == {(place.id, str(place.meter.device)) for place in BUILDING.places}
    for place in map(BUILDING.place, points):
        assert DeviceId.parse(str(place.meter.device)) == place.meter.device
        assert devices[str(place.meter.device)].get("key") == (place.meter.key.hex() if place.meter.key else None)
        assert points[place.id].get("unit") == place.flat
        assert points[place.id]["registers"] == [str(register) for register in place.meter.truth(0)]
        assert (points[place.id].get("parameters", {}).get("set_day") == "12-31") == (place.meter.kind == "allocator")
    assert all(entry["from"] == SINCE for entry in TABLES["assignment"] + TABLES["occupancy"])


def test_directory_can_be_imported(tmp_path):
    """A real registry takes the file without a warning and gives back the meters' keys; a second import changes nothing."""
    file = tmp_path / "directory.toml"
    file.write_text(directory(BUILDING, SINCE))
    with Registry(tmp_path / "registry.sqlite", Vault(bytes(32))) as registry:
        report = import_directory(registry, file)
        assert report.warnings == []
        assert len(registry.assignments()) == len(BUILDING.places)
        for place in BUILDING.places:
            device = registry.device(place.meter.device)
            assert (device.key, device.mode) == (place.meter.key, 5 if place.meter.key else None)
        assert import_directory(registry, file).changed == 0
