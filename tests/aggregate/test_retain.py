"""Retention: what is deleted costs nothing of what is left, and what is computed later equals what all readings would have given."""

import pytest
from stores import BASE, POINTS, Stores, units

from submeter import civil
from submeter.aggregate.retain import Limits
from submeter.reading import LEVELS, Source

DAYS = 130
END = BASE + DAYS * civil.DAY
ZONE = "Europe/Prague"
EVER = 2**62


@pytest.fixture
def pair(tmp_path):
    """The same readings twice, computed: one folder that keeps everything, one whose older readings and hours are deleted."""
    both = []
    for name in ("all", "kept"):
        (tmp_path / name).mkdir()
        stores = Stores(tmp_path / name)
        for point in POINTS:
            stores.store(
                point, 0, [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in range(DAYS * 24) if hour % 700 > 40]
            )
        stores.run(END)
        both.append(stores)
    yield both
    for stores in both:
        stores.close()


def rows(stores, number, level, since):
    """Rows of a series and level from an instant on."""
    return stores.readings.rollups([number], level, since, EVER).to_pylist()


def alike(pair, since):
    """Assert that both have the same rows: hours and days from `since` on, all months and years; and that they are published."""
    for number in pair[0].series():
        for level, name in enumerate(LEVELS):
            begin = since if name == "hour" else -EVER
            expected, found = (rows(stores, number, level, begin) for stores in pair)
            assert found == expected, (number, name)
            starts = pair[1].published.read(number, level, "", "~")["start"].tolist()
            assert starts == [row["start"] for row in found]


def month(instant):
    """The first instant of the local month."""
    return civil.floor(ZONE, "month", instant)


def test_later_readings_count_as_if_nothing_were_deleted(pair):
    """Late readings, an exchange, a decision and a computation of everything after the deletion give the rows that all readings give."""
    kept = pair[1].rollups.retain(Limits(readings=60, hour=60), now=END)
    floor = month(END - 60 * civil.DAY)
    assert kept.readings > 5 * 24 * 30
    assert kept.rows > 5 * 24 * 30
    alike(pair, floor)
    for late in ([(floor + 5 * civil.DAY + civil.MINUTE, units(514.9), False, 0)], [(floor + 30 * civil.MINUTE, None, False, 0)]):
        for stores in pair:
            for point in POINTS:
                stores.store(point, 0, late)
            stores.run(END)
        alike(pair, floor)
    for stores in pair:
        stores.assign("plain", 0, 0, floor + 20 * civil.DAY + 3, None, units(520))
        stores.assign("plain", 1, floor + 20 * civil.DAY + 3, None, units(0))
        details = {"t": floor + 9 * civil.DAY, "until": floor + 10 * civil.DAY}
        stores.registry.decisions.enter("reject", "rated", "volume", by="t", reason="t", now=END, details=details)
        stores.run(END)
    alike(pair, floor)
    for stores in pair:
        stores.run(END, everything=True)
    alike(pair, floor)


def test_what_comes_for_deleted_times_changes_nothing(pair):
    """A reading from before the floor is kept until the next retention; the rows stay as they were."""
    stores = pair[1]
    stores.rollups.retain(Limits(readings=60), now=END)
    before = {number: [rows(stores, number, level, -EVER) for level in range(len(LEVELS))] for number in stores.series()}
    for point in POINTS:
        stores.store(point, 0, [(BASE + 20 * civil.HOUR + 1, units(777), False, 0)], source=Source.CORRECTION)
    stores.run(END)
    stores.run(END, everything=True)
    assert {number: [rows(stores, number, level, -EVER) for level in range(len(LEVELS))] for number in stores.series()} == before


def test_a_month_that_is_not_final_keeps_everything(pair):
    """Limits of one day delete up to the first month that may still change, and the property's own limits go before."""
    stores = pair[1]
    stores.write("UPDATE properties SET hours_kept = 0")
    kept = stores.rollups.retain(Limits(readings=1, hour=1, day=1), now=END)
    assert kept.rows == sum(len(rows(pair[0], number, 1, -EVER)) - len(rows(stores, number, 1, -EVER)) for number in stores.series())
    open_month = month(END)
    for number in stores.series():
        assert rows(stores, number, 0, -EVER) == rows(pair[0], number, 0, -EVER)
        assert rows(stores, number, 1, -EVER)[0]["start"] in {open_month, month(open_month - 1)}
    stores.run(END, everything=True)
    assert kept.rows == sum(len(rows(pair[0], number, 1, -EVER)) - len(rows(stores, number, 1, -EVER)) for number in stores.series())


def test_deleting_again_deletes_nothing_and_compacting_loses_nothing(pair):
    """Retention is repeatable; the readings are the same before and after the file is compacted, in fewer bytes than before the deletion."""
    stores = pair[1]
    stores.rollups.retain(Limits(readings=60, hour=60), now=END)
    assert stores.rollups.retain(Limits(readings=60, hour=60), now=END).readings == 0
    registers = list(stores.readings.registers().values())
    before = stores.readings.readings_of(registers)
    stores.readings.retention.compact()
    assert stores.readings.readings_of(registers) == before


def test_a_zone_changed_after_the_deletion_leaves_the_rows(pair, caplog):
    """Days can no longer be cut anew: the series stays as it was, and the log says so."""
    stores = pair[1]
    stores.rollups.retain(Limits(readings=60), now=END)
    before = rows(stores, 1, 2, -EVER)
    stores.write("UPDATE properties SET zone = 'Asia/Kolkata'")
    stores.run(END)
    assert rows(stores, 1, 2, -EVER) == before
