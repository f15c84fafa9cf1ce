"""What Home Assistant is told of a meter, made of directory and published rows alone: sensors, names, values, which points, and what waits (docs/home-assistant.md)."""

import json

import pytest
from tables import script

from submeter.config import parse
from submeter.post.home_assistant import Showing
from submeter.post.message import ascii_address
from submeter.post.shown import Shown, shown, standing
from submeter.reading import Register
from submeter.store import Published, PublishedSeries, Registry

NOW = 1_750_000_000_000_000
HOUR = 3_600_000_000
HOUSE = """
INSERT INTO managers (id, name) VALUES ('m', 'Manager');
INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'm', 'Lipova 12', 'UTC', '01-01', 'hour'), ('c', 'm', 'Other', 'UTC', '01-01', 'hour');
INSERT INTO units (id, property, label, entrance) VALUES ('u', 'b', 'Flat 7', ''), ('v', 'b', 'Flat 8', '');
"""


class House:
    """A house whose meters are put in by tests."""

    def __init__(self, folder):
        self.registry, self.published = Registry(folder / "registry.sqlite"), Published(folder / "published.sqlite")
        script(self.registry, HOUSE)
        self.series = []

    def meter(
        self,
        point,
        *registers,
        unit="u",
        house="b",
        quantity="cold_water",
        label="Kitchen",
        device="DME-10203040-07-06",
        since=1,
        kinds=(),
        last=NOW,
        value=1_234_567,
    ):
        """A point with a meter and a last value of each register."""
        with self.registry.writing() as db:
            db.execute("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, '{}')", (point, house, unit, quantity, label, " ".join(map(str, registers))))
            db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 0) ON CONFLICT DO NOTHING", (device,))
            db.execute("INSERT INTO assignments VALUES (?, ?, ?, NULL, NULL, NULL)", (point, device, since))
        for register in registers:
            self.series.append(PublishedSeries(len(self.series) + 1, point, register, "total", "UTC", last, value, last))
        self.published.replace(self.series, [])

    def told(self, **wanted):
        """All messages by topic, read."""
        text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in ({"units": ["*"]} | wanted).items())
        settings = parse(f'[home_assistant]\nhost = "127.0.0.1"\n{text}\n', self.registry.path.parent / "pipeline.toml").home_assistant
        self.what = shown(self.registry, self.published, settings, now=NOW)
        return {topic: json.loads(payload) for topic, payload in self.what.messages.items()}

    def sensor(self, key="volume", **wanted):
        """The sensor of a register of the only meter."""
        return next(one for topic, one in self.told(**wanted).items() if topic.endswith("/config"))["components"][key]


@pytest.fixture
def house(tmp_path):
    """A house without meters."""
    made = House(tmp_path)
    yield made
    made.registry.close()
    made.published.close()


VOLUME = Register("volume", "m3")


@pytest.mark.parametrize(
    ("quantity", "register", "key", "name", "device_class", "state_class", "unit", "precision"),
    [
        ("cold_water", VOLUME, "volume", "Volume", "water", "total_increasing", "m³", 3),
        ("hot_water", VOLUME, "volume", "Volume", "water", "total_increasing", "m³", 3),
        ("heat", VOLUME, "volume", "Volume", "volume", "total_increasing", "m³", 3),
        ("heat", Register("energy", "kWh"), "energy", "Energy", "energy", "total_increasing", "kWh", 3),
        ("heat", Register("power", "kW"), "power", "Power", "power", "measurement", "kW", 3),
        ("heat", Register("flow", "m3/h"), "flow", "Flow", "volume_flow_rate", "measurement", "m³/h", 3),
        ("heat", Register("temperature_flow", "°C"), "temperature_flow", "Temperature flow", "temperature", "measurement", "°C", 2),
        ("heat_allocation", Register("hca", "hca"), "hca", "Hca", None, "total_increasing", "hca", 0),
        ("energy", Register("voltage", "V"), "voltage", "Voltage", "voltage", "measurement", "V", 1),
        ("energy", Register("current", "A"), "current", "Current", "current", "measurement", "A", 3),
        ("energy", Register("frequency", "Hz"), "frequency", "Frequency", "frequency", "measurement", "Hz", 2),
        ("cold_water", Register("battery_days", "d"), "battery_days", "Battery days", "duration", "measurement", "d", 0),
        ("cold_water", Register("pulse_a", "1"), "pulse_a", "Pulse a", None, "total_increasing", None, 0),
        ("energy", Register("energy", "kWh", 2), "energy_t2", "Energy t2", "energy", "total_increasing", "kWh", 3),
    ],
)
def test_a_register_is_a_sensor(house, quantity, register, key, name, device_class, state_class, unit, precision):
    """Device and state class, unit and decimals as Home Assistant knows them; what it has no class or unit for has none."""
    house.meter("p", register, quantity=quantity)
    sensor = house.sensor(key)
    assert (sensor["name"], sensor.get("device_class"), sensor["state_class"], sensor.get("unit_of_measurement")) == (
        name,
        device_class,
        state_class,
        unit,
    )
    assert (sensor["suggested_display_precision"], sensor["value_template"], sensor["platform"]) == (
        precision,
        f"{{{{ value_json.{key} }}}}",
        "sensor",
    )
    assert sensor["state_topic"] == f"submeter/home/p/{key}"
    assert sensor["unique_id"].endswith(f"_p_{key}")


@pytest.mark.parametrize(
    ("quantity", "label", "unit", "name", "model", "area"),
    [
        ("cold_water", "Kitchen", "u", "Flat 7 Kitchen", "Cold water", "Flat 7"),
        ("cold_water", "", "u", "Flat 7 cold water", "Cold water", "Flat 7"),
        ("heat_allocation", "", "u", "Flat 7 Heat cost allocator", "Heat cost allocator", "Flat 7"),
        ("heat", "Cellar", None, "Lipova 12 Cellar", "Heat", "Lipova 12"),
    ],
)
def test_a_point_is_a_device(house, quantity, label, unit, name, model, area):
    """Named by where it is and what it is; with the maker and number of its meter, and the time of its last reading."""
    house.meter("p", VOLUME, quantity=quantity, label=label, unit=unit)
    told = next(one for topic, one in house.told(properties=["b"]).items() if topic.endswith("/config"))
    device = told["device"]
    assert (device["name"], device["model"], device["suggested_area"]) == (name, model, area)
    assert (device["manufacturer"], device["serial_number"]) == ("DME", "10203040")
    last = told["components"]["last_reading"]
    assert (last["device_class"], last["state_topic"], last["value_template"]) == (
        "timestamp",
        "submeter/home/p/volume",
        "{{ value_json.timestamp }}",
    )
    assert told["availability_topic"] == "submeter/home/status"


def test_a_value_has_its_meter_and_its_own_instant(house):
    """The last index in canonical units."""
    house.meter("p", VOLUME)
    assert house.told()["submeter/home/p/volume"] == {"id": "10203040", "timestamp": "2025-06-15T15:06:40Z", "volume": 1.234567}


def test_the_main_register_stands_first_and_tells_the_time(house):
    """Whatever the order in which they were published."""
    house.meter("p", Register("power", "kW"), Register("energy", "kWh"), quantity="heat")
    with house.registry.writing() as db:
        db.execute("UPDATE points SET registers = 'energy power'")
    told = next(one for topic, one in house.told().items() if topic.endswith("/config"))
    assert list(told["components"]) == ["energy", "power", "last_reading"]
    assert told["components"]["last_reading"]["state_topic"] == "submeter/home/p/energy"


@pytest.mark.parametrize(
    ("wanted", "points"),
    [
        ({"units": ["u"]}, ["p1"]),
        ({"units": ["*"]}, ["p1", "p2"]),
        ({"units": [], "properties": ["b"]}, ["p1", "p2", "p3"]),
        ({"units": [], "points": ["p[24]"]}, ["p2", "p4"]),
        ({"units": ["U"], "points": ["p3"]}, ["p3"]),
        ({"units": ["u"], "properties": ["c"]}, ["p1", "p4"]),
    ],
)
def test_only_points_that_a_pattern_names_are_shown(house, wanted, points):
    """By unit, property or point, to the letter; a point of the house has no unit to be named by."""
    for point, unit, property_ in (("p1", "u", "b"), ("p2", "v", "b"), ("p3", None, "b"), ("p4", None, "c")):
        house.meter(point, VOLUME, unit=unit, house=property_, device=f"DME-1020304{point[1]}-07-06")
    assert sorted({topic.split("/")[2] for topic in house.told(**wanted) if topic.startswith("submeter/home/")}) == points
    assert (house.what.points, house.what.left_out) == (len(points), 0)


@pytest.mark.parametrize(
    ("changed", "there"),
    [
        ({}, True),
        ({"value": None}, False),
        ({"last": NOW - 2 * HOUR, "since": NOW - HOUR}, False),
        ({"last": NOW - HOUR, "since": NOW - HOUR}, True),
        ({"since": NOW + HOUR}, False),
        ({"value": 0}, True),
    ],
)
def test_a_meter_is_shown_from_its_own_first_reading(house, changed, there):
    """Not before it is there, nor with the last value of the one before it; 0 is a value."""
    house.meter("p", VOLUME, **changed)
    assert bool(house.told()) == there


def test_all_that_is_shown_is_under_the_filters_that_are_listened_to(house):
    """What stands at the broker is found again by them, and taken back when it should not stand."""
    house.meter("a/b", VOLUME)
    topics = list(house.told())
    filters = [
        one.split("/")
        for one in standing(parse('[home_assistant]\nhost = "127.0.0.1"\nunits = ["*"]\n', house.registry.path.parent / "x").home_assistant)
    ]
    for topic in topics:
        parts = topic.split("/")
        assert any(len(parts) == len(one) and all(sign in {"+", part} for sign, part in zip(one, parts, strict=True)) for one in filters), topic
    assert len(topics) == 2


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("jana@example.org", "jana@example.org"),
        ("jana@příklad.cz", "jana@xn--pklad-zsa96e.cz"),
        ("jana", "jana"),
        ("", ""),
        (f"jana@{'x' * 64}.cz", f"jana@{'x' * 64}.cz"),
        ("jana@a..b", "jana@a..b"),
    ],
)
def test_domains_as_the_name_system_knows_them(address, written):
    """The name before the @ stays; a domain that has no such form stays too, and its server refuses it."""
    assert ascii_address(address) == written


def test_without_a_broker_nothing_is_published_and_nobody_waits(tmp_path):
    """A pass before the first connection ends at once, counts nothing and asks for no other."""
    wanted = parse('[home_assistant]\nhost = "127.0.0.1"\nunits = ["*"]\n', tmp_path / "pipeline.toml").home_assistant
    counted, told = [], []
    showing = Showing(wanted, None, told=told.append, count=lambda outcome, number: counted.append((outcome, number)))
    assert showing.bring(Shown({"submeter/home/p/volume": b"{}"}, 1, 0)) is False
    showing.close()
    assert (counted, told, showing.connected.is_set()) == ([], [], False)
