"""What operators decide changes the rows it is about, says so, and can be taken back."""

import pytest
from house import DEVICE, WHO, House

from submeter.errors import SubmeterError

OTHER = "AAA-00000002-01-07"
STEPS = 'max_rate_per_h = "60", resolution = "1"'


def at(hour):
    """A full hour of the first of January."""
    return f"2024-01-01T{hour:02}:00:00Z"


def hourly(*values):
    """Readings hour by hour, then one far later that decides."""
    return [*((at(hour), value) for hour, value in enumerate(values))]


@pytest.fixture
def house(tmp_path):
    """A flat whose meter is checked for steps."""
    made = House(tmp_path / "h", STEPS)
    yield made
    made.core.close()


def test_an_accepted_jump_is_booked(house):
    """The held amount becomes use of its hour; taking the decision back restores every row and opens the task again."""
    house.hear(*hourly("100", "103", "900", "901", "902"))
    assert house.values() == ["3", "0", "1", "1"]
    before, task = house.told(), house.task("suspect_jump", at(2))
    lines = house.do("tasks")
    assert any("point p volume" in line and DEVICE in line for line in lines)
    assert any("day of 2024-01-01" in line for line in lines)
    house.do("tasks.accept", task=task, **WHO)
    assert house.values() == ["3", "797", "1", "1"]
    assert house.do("tasks") == ["0 open tasks"]
    replaced = [row for row in house.history() if row["reason"] == "correction"]
    assert {row["caused_by"] for row in replaced} == {"decision 1"}
    house.do("withdraw", decision=1, **WHO)
    assert house.told() == before
    assert house.core.registry.events.one(task).state == "open"


def test_a_rejected_reading_counts_no_more(house):
    """A rejected reading is dropped for its status and stays stored; rejected until an instant, all before it are."""
    house.hear(*hourly("100", "103", "900", "901", "902"), ("2024-01-03T00:00:00Z", "110"))
    before = house.told()
    assert house.values("month") == ["5"]
    task = house.task("suspect_jump", at(2))
    house.do("tasks.reject", task=task, until=at(5), **WHO)
    assert house.values("month") == ["10"]
    assert house.core.readings.counts()["readings"] == 6
    house.do("withdraw", decision=1, **WHO)
    assert house.told() == before
    house.do("tasks.reject", task=task, **WHO)
    assert house.values("month") == ["4"]


def test_a_pending_jump_can_be_decided_at_once(house):
    """What waits for confirmation is booked on an operator's word; a fall cannot be booked."""
    house.hear(*hourly("100", "103", "900"))
    assert house.values() == ["3"]
    house.do("tasks.accept", task=house.task("pending", at(1)), **WHO)
    assert house.values() == ["3", "797"]


def test_a_fall_is_not_booked(house):
    """Accepting a pending fall is refused with what to do instead."""
    house.hear(*hourly("100", "103", "5"))
    with pytest.raises(SubmeterError, match="enter the exchange, or reject"):
        house.do("tasks.accept", task=house.task("pending", at(1)), **WHO)


def test_an_exchange_with_its_protocol(house):
    """A fall that was an exchange: with the protocol's values the hours are exact; taken back, they are as before."""
    house.hear(*hourly("100", "103"), (at(2), "7"), (at(3), "8"), (at(4), "9"))
    before = house.told()
    assert house.values() == ["3", "0", "1", "1"]
    house.do("exchange", point="p", at="2024-01-01T01:30:00Z", end="105", start="6", **WHO)
    assert house.values() == ["3", "3", "1", "1"]
    assert {row["reason"] for row in house.history() if row["level"] == 0} == {"exchange"}
    house.do("exchange", point="p", at="2024-01-01T01:30:00Z", end="106", **WHO)
    assert house.values() == ["3", "4", "1", "1"]
    with pytest.raises(SubmeterError, match="assignments of point p changed"):
        house.do("withdraw", decision=1, **WHO)
    for decision in (2, 1):
        house.do("withdraw", decision=decision, **WHO)
    assert house.told() == before


def test_an_exchange_for_another_device(house):
    """From the exchange on the new device's readings are the point's."""
    house.hear(*hourly("100", "103"))
    house.hear((at(2), "7"), (at(3), "8"), device=OTHER)
    house.do("exchange", point="p", at="2024-01-01T01:30:00Z", new=OTHER, end="104", start="5", **WHO)
    assert house.values() == ["3", "3", "1"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"at": "2019-01-01"}, "no device to exchange"),
        ({"at": at(1), "new": "BBB-00000009-01-07"}, "there is no device BBB-00000009-01-07"),
        ({"at": at(1), "new": "nonsense"}, "is not a device"),
        ({"at": at(1), "end": "12,5"}, "is no index"),
        ({"at": at(3)}, "a due value was read"),
        ({"at": "yesterday"}, "is not an instant"),
    ],
)
def test_an_exchange_that_cannot_be_is_refused(house, asked, said):
    """SPEC 2.5 is checked when an exchange is entered; a refused one leaves nothing behind."""
    house.hear(*hourly("100", "103", "104"))
    house.hear((at(3), "105"), due=True)
    before = house.core.registry.assignments()
    with pytest.raises(SubmeterError, match=said):
        house.do("exchange", point="p", **asked, **WHO)
    assert house.core.registry.assignments() == before
    assert house.core.registry.decisions.all() == []


def test_an_exchange_without_start_needs_a_reading_before_the_next(house):
    """Two exchanges with nothing read between them: the first needs its start value (SPEC 2.5)."""
    house.hear(*hourly("100", "103"), (at(9), "5"))
    house.do("exchange", point="p", at=at(8), end="104", start="4", **WHO)
    with pytest.raises(SubmeterError, match="write --start"):
        house.do("exchange", point="p", at=at(7), end="104", **WHO)


def test_an_exchange_on_the_set_day_is_refused(tmp_path):
    """An exchange at the instant of the set day has no side: it is refused."""
    house = House(tmp_path / "h", 'kind = "period", set_day = "12-31"')
    with pytest.raises(SubmeterError, match="falls on the set day"):
        house.do("exchange", point="p", at="2024-01-01T00:00:00Z", **WHO)
    assert len(house.core.registry.assignments()) == 1
    house.core.close()


def test_a_substitute_fills_until_real_readings_come(house):
    """A substitute is estimated use; real readings after it supersede it, unless it is pinned."""
    house.hear(*hourly("100", "103"))
    house.do("reading", point="p", at=at(2), value="105", src="substitute", method="comparable_period", **WHO)
    assert [(row["value"], row["quality"]) for row in house.rows()] == [(3_000_000, 0), (2_000_000, 1)]
    house.hear((at(3), "113"))
    assert house.values() == ["3", "5", "5"]
    house.do("reading", point="p", at=at(2), value="105", src="substitute", method="comparable_period", pinned=True, **WHO)
    assert house.values() == ["3", "2", "8"]
    assert {row["reason"] for row in house.history() if row["caused_by"] == "decision 2"} == {"substitute"}
    for decision in (2, 1):
        house.do("withdraw", decision=decision, **WHO)
    assert house.values() == ["3", "5", "5"]


def test_a_correction_beats_what_the_meter_sent(house):
    """A correction at the instant of a live reading takes its place; a manual value stands between others."""
    house.hear(*hourly("100", "103", "106"))
    house.do("reading", point="p", at=at(1), value="104", src="correction", **WHO)
    assert house.values() == ["4", "2"]
    house.do("reading", point="p", at="2024-01-01T01:30:00Z", value="106", **WHO)
    assert house.values() == ["4", "2"]
    assert [row["lo"] for row in house.rows()] == [4_000_000, 2_000_000]


def test_a_point_without_telegrams_is_read_by_hand(house):
    """Two manual readings of a meter that was never heard give rows."""
    house.do("reading", point="p", at=at(0), value="1", **WHO)
    house.do("reading", point="p", at=at(2), value="3", **WHO)
    assert house.values("day") == ["2"]


def test_decisions_survive_the_loss_of_the_readings(house, tmp_path):
    """Entered readings and bills stand in the registry: a new readings file is brought up to them."""
    house.do("reading", point="p", at=at(0), value="1", **WHO)
    house.do("reading", point="p", at="2024-02-01T00:00:00Z", value="3", **WHO)
    house.do("bill", target="b", start="2024-01-01", end="2024-02-01", **WHO)
    before = house.rows("month")
    house.core.close()
    (tmp_path / "h" / "data" / "readings.duckdb").unlink()
    again = House(tmp_path / "h", STEPS)
    again.core.rollup()
    assert again.rows("month") == before
    assert before[0]["state"] == 3
    again.core.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"value": "x"}, "is no index"),
        ({"value": "nan"}, "is no index"),
        ({"at": "2019-01-01"}, "no device was at point p"),
        ({"at": "2999-01-01"}, "lies ahead"),
        ({"point": "q"}, "there is no point q"),
        ({"register": "energy"}, "has no register energy"),
        ({"src": "substitute", "method": "guess"}, "is no method"),
        ({"by": " "}, "needs its author and its reason"),
        ({"reason": ""}, "needs its author and its reason"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(house, asked, said):
    """A value, instant, place or method that cannot be used is named, and nothing is kept."""
    with pytest.raises(SubmeterError, match=said):
        house.do("reading", **{"point": "p", "at": at(0), "value": "1", **WHO, **asked})
    assert house.core.registry.decisions.all() == []


def test_decisions_are_told_and_never_edited(house):
    """The list shows what was decided and what was taken back; a decision is taken back once, and its row cannot be changed."""
    house.do("reading", point="p", at=at(0), value="1", **WHO)
    house.do("withdraw", decision=1, by="Jan", reason="wrong flat")
    lines = house.do("decisions", point="p")
    assert ["taken back" in lines[0], "of decision 1" in lines[1]] == [True, True]
    assert "by Jan: wrong flat" in lines[1]
    for decision in (1, 2, 3):
        with pytest.raises(SubmeterError, match=r"not in force|there is no decision"):
            house.do("withdraw", decision=decision, **WHO)
    for change in ("UPDATE decisions SET reason = 'other'", "DELETE FROM decisions"):
        with pytest.raises(SubmeterError, match="never"), house.core.registry.writing() as db:
            db.execute(change)


def test_a_task_is_decided_once(house):
    """A closed task, an event that is none and one that is not there are refused."""
    house.hear(*hourly("100", "103", "900", "901", "902"))
    task = house.task("suspect_jump", at(2))
    house.do("tasks.accept", task=task, **WHO)
    other = house.core.registry.events.raise_("silent", "point:p/volume", 1, now=1).id
    for number in (task, other):
        with pytest.raises(SubmeterError, match="no open task"):
            house.do("tasks.reject", task=number, **WHO)
    with pytest.raises(SubmeterError, match="no event 99"):
        house.do("tasks.reject", task=99, **WHO)


def test_the_place_in_the_telegram_is_the_message_above_it():
    """The message number that history tells is that of the inbox."""
    from submeter.aggregate.causes import MESSAGE_BITS
    from submeter.reading import POSITION_BITS, READING_BITS

    assert MESSAGE_BITS == POSITION_BITS + READING_BITS
