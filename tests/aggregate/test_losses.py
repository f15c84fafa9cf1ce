"""Hours of which a gateway's messages are missing are published with `possible_loss`, and are not any more once the messages came."""

import json

import pyarrow as pa
import pytest
from house import DEVICE, House

from submeter import civil
from submeter.store import READING, RECEPTION, Message

DAY = "2026-03-02"
HOURS = [(f"{DAY}T{hour:02d}:00:00Z", str(hour)) for hour in range(12)]


@pytest.fixture
def house(tmp_path):
    """A flat whose meter was read each hour and heard by one gateway."""
    made = House(tmp_path / "here")
    heard(made, "cellar")
    made.hear(*HOURS)
    yield made
    made.core.close()


def heard(house, gateway, day=DAY):
    """Count receptions of the meter by a gateway."""
    rows = [{"device": DEVICE, "gateway": gateway, "day": civil.utc_date(civil.instant(f"{day}T00:00:00Z")), "n": 9, "rssi_best": None}]
    house.core.readings.store(READING.empty_table(), pa.Table.from_pylist(rows, schema=RECEPTION), 0)


def gap(house, since, until, gateway="cellar", now=5):
    """A gap in the messages of a gateway."""
    at = civil.instant(f"{DAY}T{since}Z")
    span = civil.instant(f"{DAY}T{until}Z") - at
    event = house.core.registry.events.raise_("sequence_gap", f"gateway:{gateway}", at, now=now, amount=span)
    house.core.rollup()
    return event


def flagged(house, resolution="PT1H"):
    """The hours of the published rows that may have lost something."""
    query = {"from": f"{DAY}T00:00:00Z", "to": f"{DAY}T11:00:00Z"} if resolution == "PT1H" else {"from": "2026-03-01", "to": "2026-04-01"}
    points = house.points(**query, resolution=resolution, by="meter")
    return [point["start"][11:13] for point in points if "possible_loss" in point["flags"]]


def test_rows_of_a_gap_are_flagged_until_its_messages_came(house):
    """Every row that it touches, of each level; values and revisions stay as they are."""
    before = house.points(**{"from": f"{DAY}T00:00:00Z", "to": f"{DAY}T11:00:00Z"}, resolution="PT1H", by="meter")
    gap(house, "03:30:00", "05:10:00")
    assert flagged(house) == ["03", "04", "05"]
    assert len(flagged(house, "P1D")) == len(flagged(house, "P1M")) == 1
    after = house.points(**{"from": f"{DAY}T00:00:00Z", "to": f"{DAY}T11:00:00Z"}, resolution="PT1H", by="meter")
    assert [one | {"flags": []} for one in after] == before
    gap(house, "08:00:00", "08:20:00", now=6)
    assert flagged(house) == ["03", "04", "05", "08"]
    house.core.registry.events.settle("sequence_gap", "gateway:cellar", [civil.instant(f"{DAY}T08:00:00Z")], now=7)
    house.core.rollup()
    assert flagged(house) == ["08"]


def test_a_gap_from_one_row_to_the_next(house):
    """Flags the row between alone: both ends are its ends."""
    gap(house, "04:00:00", "05:00:00")
    assert flagged(house) == ["04"]


def test_what_an_operator_closes_is_lost_all_the_same(house):
    """Nobody waits for the messages any more, and they are missing."""
    event = gap(house, "03:30:00", "03:40:00")
    house.core.registry.events.close(event.id, by="eva", decision="the gateway forgot them", now=9)
    house.core.rollup()
    assert flagged(house) == ["03"]


def test_a_meter_that_another_gateway_hears_has_lost_nothing(house):
    """Neither has one that the gateway of the gap does not hear."""
    heard(house, "attic")
    gap(house, "03:30:00", "05:10:00")
    gap(house, "07:30:00", "08:10:00", gateway="garage", now=6)
    assert flagged(house) == []


def test_a_row_that_is_computed_anew_keeps_its_flag(house):
    """Late readings change the value of an hour and not that something may be missing; after a restart too."""
    gap(house, "03:30:00", "05:10:00")
    house.hear((f"{DAY}T04:30:00Z", "4.9"))
    assert flagged(house) == ["03", "04", "05"]
    rollups = house.core.rollups
    fresh = type(rollups)(house.core.readings, house.core.registry, house.core.published, rollups._finality)
    house.core.rollups = fresh
    house.hear((f"{DAY}T04:40:00Z", "4.95"))
    assert flagged(house) == ["03", "04", "05"]


def test_missing_numbers_of_a_gateway_come_to_the_rows(house):
    """From the gateway's own numbers: two messages of an hour are missing for a quarter of an hour."""
    house.core.inbox.append(
        [
            Message(
                "mqtt",
                json.dumps({"v": 1, "gw": "cellar", "boot": "a", "seq": seq, "t": []}).encode(),
                civil.instant(f"{DAY}T{at}Z"),
                gateway="cellar",
            )
            for seq, at in ((1, "03:00:00"), (2, "03:20:00"), (5, "03:50:00"), (6, "04:10:00"))
        ]
    )
    house.core.drain_all()
    house.core.look()
    (event,) = house.core.registry.events.find("sequence_gap")
    assert event.amount == 30 * civil.MINUTE
    house.core.rollup()
    assert flagged(house) == ["03"]
