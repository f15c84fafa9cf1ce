"""What the rollup finds and what nobody says become events: on real stores, with a clock that the test sets."""

import pyarrow as pa
import pytest

from submeter import civil
from submeter.aggregate import Finality, Rollups, watch
from submeter.config import Events as Limits
from submeter.reading import LEVELS, Register, Source
from submeter.store import READING, RECEPTION, Inbox, Message, Published, Readings, Registry
from submeter.store.directory import import_directory

HOUR, DAY = civil.HOUR, civil.DAY
START = civil.instant("2026-03-02T00:00:00Z")
VOLUME = Register("volume", "m3")
DIRECTORY = """
[[manager]]
id = "m"
name = "M"
[[property]]
id = "p"
manager = "m"
name = "P"
zone = "UTC"
[[unit]]
id = "u"
property = "p"
label = "Flat"
entrance = "A"
[[point]]
id = "main"
property = "p"
quantity = "cold_water"
label = "Cellar"
[[point]]
id = "kitchen"
unit = "u"
quantity = "cold_water"
label = "Kitchen"
parameters = { max_rate_per_h = "5" }
[[device]]
id = "SIM-00000001-01-07"
[[device]]
id = "SIM-00000002-01-07"
[[assignment]]
point = "main"
device = "SIM-00000001-01-07"
from = 2026-01-01
[[assignment]]
point = "kitchen"
device = "SIM-00000002-01-07"
from = 2026-01-01
"""
MAIN, KITCHEN = "SIM-00000001-01-07", "SIM-00000002-01-07"
SUBJECT = "point:kitchen/volume"


class House:
    """A cellar's and a kitchen's meter."""

    def __init__(self, folder):
        self.folder, self.seq, self.now = folder, 0, START
        (folder / "directory.toml").write_text(DIRECTORY)
        self.inbox, self.readings = Inbox(folder / "inbox.sqlite"), Readings(folder / "readings.duckdb")
        self.registry, self.published = Registry(folder / "registry.sqlite"), Published(folder / "published.sqlite")
        import_directory(self.registry, folder / "directory.toml")
        self.rollups = Rollups(self.readings, self.registry, self.published, Finality())

    def close(self):
        """Close the stores."""
        for store in (self.inbox, self.readings, self.registry, self.published):
            store.close()

    def hear(self, device, values, start=START, step=HOUR, register=VOLUME):
        """Live readings in thousandths, and their receptions; rolled up at once."""
        number = self.readings.register_ids([(device, register)])[device, register]
        rows = []
        for place, value in enumerate(values):
            self.seq += 1
            rows.append((number, start + place * step, value * 1000, Source.LIVE, 0, False, False, self.seq, "", "received"))
        self.now = max(self.now, rows[-1][1])
        day = civil.local_date("UTC", rows[-1][1])
        tables = [pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in given], schema=schema) for schema, given in (
            (READING, rows), (RECEPTION, [(device, "cellar", day, len(rows), None)]))]  # fmt: skip
        self.readings.store(*tables, self.seq)
        self.roll()

    def roll(self, now=None):
        """Roll up as of an instant."""
        return self.rollups.run(now=self.now if now is None else now)

    def watch(self, now, *, nightly=True, **limits):
        """Look for what holds."""
        return watch(self.readings, self.registry, now, limits=Limits(**limits), inbox=self.inbox, nightly=nightly)

    def events(self, kind, state=None):
        """Subject, instant, state and amount of the events of a kind."""
        return [(one.subject, one.at, one.state, one.amount) for one in self.registry.events.find(kind, state=state)]


@pytest.fixture
def house(tmp_path):
    """Both meters, nothing heard."""
    made = House(tmp_path)
    yield made
    made.close()


def test_a_jump_that_is_not_booked_is_a_task_until_the_readings_explain_it(house):
    """A step beyond the largest credible use raises suspect_jump with its amount; when the latest received values make it small, the event is gone."""
    house.hear(KITCHEN, [100, 200, 90_200, 90_300, 90_400])
    assert house.events("suspect_jump") == [(SUBJECT, START + 2 * HOUR, "open", 90_000_000)]
    house.hear(KITCHEN, [300, 400, 500], start=START + 2 * HOUR)
    assert house.events("suspect_jump") == [(SUBJECT, START + 2 * HOUR, "closed", 90_000_000)]
    assert house.registry.events.find("suspect_jump")[0].decision == "gone"


def test_a_fall_is_a_task_and_a_spike_only_tells(house):
    """An index that fell and stays is suspect_exchange, with what to do; one that rose for a moment is counted by the day, closed from the start."""
    house.hear(KITCHEN, [100_000, 100_100, 900_000, 100_200, 3, 5, 7])
    assert house.events("suspect_exchange") == [(SUBJECT, START + 4 * HOUR, "open", -100_197_000)]
    assert house.events("spike") == [(SUBJECT, START, "closed", None)]
    assert KITCHEN in house.registry.events.find("suspect_exchange")[0].detail


def test_what_a_person_closed_stays_closed(house):
    """Computed anew, a decided event does not come back."""
    house.hear(KITCHEN, [100, 200, 90_200, 90_300, 90_400])
    (event,) = house.registry.events.find("suspect_jump")
    house.registry.events.close(event.id, by="eva", decision="filled the pool", now=house.now)
    house.hear(KITCHEN, [90_500], start=START + 5 * HOUR)
    assert house.events("suspect_jump") == [(SUBJECT, START + 2 * HOUR, "closed", 90_000_000)]


def test_a_final_row_that_changes_is_told(house):
    """A reading that is late by more than the finality delay raises changed_after_final; one in time does not."""
    house.hear(KITCHEN, [100, 300], step=2 * HOUR)
    house.hear(KITCHEN, [250], start=START + HOUR)
    assert house.events("changed_after_final") == []
    house.roll(START + 10 * DAY)
    house.hear(KITCHEN, [150], start=START + HOUR // 2)
    assert [one[:3] for one in house.events("changed_after_final")] == [(SUBJECT, START, "closed")]


def test_H07_silence(house):  # noqa: N802 - the number of the case
    """A meter expected every 60 min of which nothing came for 5 h is silent; no rows are made, the open hour stays incomplete; it ends with the next reading."""
    house.hear(KITCHEN, [100, 110, 120, 130, 140])
    before = house.readings.counts()["rollups"]
    house.watch(house.now + 2 * HOUR, nightly=False)
    assert house.events("silent") == []
    later = house.now + 5 * HOUR
    house.watch(later, nightly=False)
    assert house.events("silent") == [(SUBJECT, START + 4 * HOUR, "open", None)]
    house.roll(later)
    assert house.readings.counts()["rollups"] == before
    (series,) = house.readings.series().values()
    assert house.readings.rollups([series], LEVELS.index("day"), START, START + DAY)["quality"].to_pylist() == [2]
    house.hear(KITCHEN, [190], start=later)
    house.watch(later + HOUR // 2, nightly=False)
    assert house.events("silent", "open") == []


def test_a_meter_that_was_never_heard_is_told(house):
    """An assigned device without any reception for a day; it ends when it is heard."""
    house.hear(MAIN, [1])
    house.watch(START, nightly=False)
    assert [one[0] for one in house.events("meter_never_heard", "open")] == [f"device:{KITCHEN}"]
    house.hear(KITCHEN, [1])
    house.watch(START + HOUR, nightly=False)
    assert house.events("meter_never_heard", "open") == []


def test_water_that_runs_all_night_is_a_leak(house):
    """More than 5 l in every hour from two to five for three nights is a leak since the first of them; a night without flow ends it."""
    house.hear(KITCHEN, [hour * 10 for hour in range(3 * 24 + 1)])
    house.watch(house.now)
    assert house.events("leak") == [(SUBJECT, START + 2 * HOUR, "open", 10_000)]
    house.hear(KITCHEN, [730] * 24, start=START + 73 * HOUR)
    house.watch(house.now)
    assert house.events("leak", "open") == []


def test_a_house_that_sleeps_has_no_leak(house):
    """Use by day only, and use below the limit by night, are none."""
    house.hear(KITCHEN, [hour * 4 for hour in range(3 * 24 + 1)])
    house.watch(house.now)
    assert house.events("leak") == []


def test_an_index_that_stands_still_while_others_move_is_stuck(house):
    """It moved on most days before and not for a month; the cellar's meter goes on."""
    days = range(70)
    house.hear(MAIN, [day * 900 for day in days], step=DAY)
    house.hear(KITCHEN, [min(day, 30) * 100 for day in days], step=DAY)
    house.watch(house.now + HOUR)
    assert [one[:3] for one in house.events("stuck")] == [(SUBJECT, START + 30 * DAY, "open")]
    house.hear(KITCHEN, [3200], start=START + 70 * DAY)
    house.hear(MAIN, [64_000], start=START + 70 * DAY)
    house.watch(house.now + HOUR)
    assert house.events("stuck", "open") == []


def test_submeters_that_do_not_add_up_are_told(house):
    """A month in which the kitchen counts half of what the cellar does, beyond the tolerance; with a wider one it is nothing."""
    house.hear(MAIN, [day * 200 for day in range(70)], step=DAY, start=START - 2 * DAY)
    house.hear(KITCHEN, [day * 100 for day in range(70)], step=DAY, start=START - 2 * DAY)
    house.watch(house.now, sum_tolerance_percent=60)
    assert house.events("sum_mismatch") == []
    house.watch(house.now)
    march = civil.instant("2026-03-01T00:00:00Z")
    assert house.events("sum_mismatch", "open")[0] == ("point:main/volume", march, "open", 31 * 100_000)


def test_a_gateway_that_fell_silent_is_told(house):
    """It delivered every minute and does not for ten; it ends when it delivers."""
    for minute in range(5):
        house.inbox.append([Message("test", b"00", START + minute * civil.MINUTE, gateway="cellar")])
    house.watch(START + 30 * civil.MINUTE, nightly=False)
    assert [one[:3] for one in house.events("gateway_silent")] == [("gateway:cellar", START + 4 * civil.MINUTE, "open")]
    house.inbox.append([Message("test", b"00", START + 31 * civil.MINUTE, gateway="cellar")])
    house.watch(START + 32 * civil.MINUTE, nightly=False)
    assert house.events("gateway_silent", "open") == []


@pytest.mark.parametrize(
    ("kind", "device", "subject"),
    [("id_clash", "XYZ-00000002-01-07", f"device:{KITCHEN}"), ("wrong_medium", "SIM-00000002-01-04", f"device:{KITCHEN}")],
)
def test_strangers_under_a_known_number_are_told(house, kind, device, subject):
    """Another maker's device with the number of a known one is a clash; the same maker's of another type says that the directory is wrong."""
    house.hear(device, [1])
    house.watch(house.now)
    assert [one[0] for one in house.events(kind, "open")] == [subject]


def test_one_register_in_two_units_is_told(house):
    """m3 at first and kWh now."""
    house.hear(KITCHEN, [1])
    house.hear(KITCHEN, [1], register=Register("volume", "kWh"), start=START + HOUR)
    house.watch(house.now)
    assert [one[0] for one in house.events("unit_change")] == [f"device:{KITCHEN}"]
