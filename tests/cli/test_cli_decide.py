"""Decisions of operators as they type them: each option reaches what it is about, and shows in the rows or in the list of decisions."""

import pytest
from desk import WHY, Desk, of_house
from house import DEVICE

from submeter.config import load
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.reading import LEVELS, from_micro

OTHER = "AAA-00000002-01-07"
STEPS = 'max_rate_per_h = "60", resolution = "1"'


def at(hour):
    """A full hour of the first of January."""
    return f"2024-01-01T{hour:02}:00:00Z"


def hours(*values):
    """A reading at each full hour."""
    return [(at(hour), value) for hour, value in enumerate(values)]


def values(desk, level="hour"):
    """What the rows of the flat say, as decimal texts."""
    with Core(load(desk.file)) as core:
        numbers = sorted(core.readings.series().values())
        rows = core.readings.rollups(numbers, LEVELS.index(level), -(2**62), 2**62).to_pylist()
    return [format(from_micro(row["value"]), "f") for row in rows]


def task_of(desk, kind):
    """The number of the open task of a kind, as the list has it."""
    return next(line.split()[0] for line in desk("tasks") if f"  {kind}  " in line)


@pytest.fixture
def jumped(tmp_path):
    """A meter that jumped by 797 m³ within an hour, which is held."""
    return of_house(tmp_path / "h", *hours("100", "103", "900", "901", "902"), parameters=STEPS)


def test_the_list_of_tasks_says_what_settles_them(jumped):
    """What, where, which device, when and how much; then the two commands, with the number in them."""
    lines = jumped("tasks")
    number = lines[0].split()[0]
    assert lines == [
        f"{number}  suspect_jump  point p volume   {DEVICE}  at {at(2)}  797 not booked",
        "    bounds day of 2024-01-01, month of 2024-01-01, year of 2024-01-01",
        f"    or by submeter tasks accept {number}, or submeter tasks reject {number}",
        "1 open tasks",
    ]


def test_a_jump_is_accepted_and_taken_back(jumped):
    """`tasks accept` books it, `withdraw` takes that back; the list of decisions has both with who and why."""
    number = task_of(jumped, "suspect_jump")
    assert jumped("tasks", "accept", number, *WHY)[0] == f"decision 1: the step at {at(2)} is booked"
    assert values(jumped) == ["3", "797", "1", "1"]
    assert jumped("tasks") == ["0 open tasks"]
    assert jumped("withdraw", "1", "--by", "Jan", "--reason", "wrong flat")[0] == "decision 1 (accept) is taken back"
    assert values(jumped) == ["3", "0", "1", "1"]
    assert jumped("tasks")[-1] == "1 open tasks"
    first, second = jumped("decisions")
    assert first.endswith(f"accept  taken back  point p volume  at {at(2)}  by Eva: seen on site")
    assert second.split("  ", 2)[2].startswith("withdraw  of decision 1  point p")
    assert second.endswith("by Jan: wrong flat")


@pytest.mark.parametrize(
    ("until", "told", "month"),
    [
        ((), ": that one alone", "4"),
        (("--until", at(5)), f", until {at(5)}", "10"),
        (("--until", "2024-01-02"), ", until 2024-01-02T00:00:00Z", "10"),
    ],
)
def test_a_jump_is_rejected(tmp_path, until, told, month):
    """One reading, or all before an instant or a local date."""
    heard = [*hours("100", "103", "900", "901", "902"), ("2024-01-03T00:00:00Z", "110")]
    desk = of_house(tmp_path / "h", *heard, parameters=STEPS)
    assert values(desk, "month") == ["5"]
    assert desk("tasks", "reject", task_of(desk, "suspect_jump"), *until, *WHY)[0] == f"decision 1: readings from {at(2)} count no more{told}"
    assert values(desk, "month") == [month]


def test_a_rejection_that_ends_before_it_begins_is_refused(jumped):
    """`--until` at or before the reading names what it must be after, and nothing is kept."""
    with pytest.raises(SubmeterError, match=f"--until must be after {at(2)}"):
        jumped("tasks", "reject", task_of(jumped, "suspect_jump"), "--until", at(2), *WHY)
    assert jumped("decisions") == []


def test_an_exchange_has_device_end_and_start(tmp_path):
    """With all three of the protocol the hour is exact: what the old one counted to its end, and the new one from its start."""
    desk = of_house(tmp_path / "h", *hours("100", "103"), (at(2), "7"), (at(3), "8"), parameters=STEPS)
    desk("exchange", "p", "--at", "2024-01-01T01:30:00Z", "--end", "105", "--start", "6", *WHY)
    assert values(desk) == ["3", "3", "1"]
    assert desk("decisions")[0].endswith("exchange  point p   at 2024-01-01T01:30:00Z  by Eva: seen on site")
    with Core(load(desk.file)) as core:
        old, new = core.registry.assignments_of("p")
    assert (old.device, old.end_value, new.device, new.start_value) == (DEVICE, 105_000_000, DEVICE, 6_000_000)
    desk("withdraw", "1", *WHY)
    desk("exchange", "p", "--at", "2024-01-01", "--new", OTHER, *WHY)
    with Core(load(desk.file)) as core:
        assert [one.device for one in core.registry.assignments_of("p")] == [DEVICE, OTHER]


def test_readings_by_hand(tmp_path):
    """`reading` enters a value, `--correction` one that beats what was sent; a date is its first instant."""
    desk = of_house(tmp_path / "h", *hours("100", "103", "106"))
    assert desk("reading", "p", "--at", at(1), "--value", "104", "--correction", *WHY)[0] == f"decision 1: correction reading of 104 at {at(1)}"
    assert values(desk) == ["4", "2"]
    assert desk("reading", "p", "--at", "2024-01-02", "--value", "110.5", "--register", "volume", *WHY)[0] == (
        "decision 2: manual reading of 110.5 at 2024-01-02T00:00:00Z"
    )
    assert values(desk, "day") == ["10.5"]
    with pytest.raises(SubmeterError, match="point p has no register energy: write one of volume"):
        desk("reading", "p", "--at", at(1), "--value", "1", "--register", "energy", *WHY)


def test_a_due_value_by_hand_settles_a_reset(tmp_path):
    """`--due` says that a value is the last before the set day's restart: what was used until then is known."""
    parameters = 'kind = "period", set_day = "12-31"'
    heard = [("2023-12-31T12:00:00Z", "90"), ("2024-01-01T12:00:00Z", "1"), ("2024-01-02T12:00:00Z", "2")]
    desk = of_house(tmp_path / "h", *heard, parameters=parameters)
    assert values(desk, "month") == ["0", "2"]
    assert "    settle by submeter reading p --at 2024-01-01T00:00:00Z --value VALUE --due --by WHO --reason TEXT" in desk("tasks")
    desk("reading", "p", "--at", "2024-01-01", "--value", "95", "--due", *WHY)
    assert values(desk, "month") == ["5", "2"]
    assert desk("tasks") == ["0 open tasks"]


def test_substitutes(tmp_path):
    """A substitute gives way to what is read later, one that is pinned does not."""
    desk = of_house(tmp_path / "h", *hours("100", "103"), (at(3), "113"))
    words = ("p", "--at", at(2), "--value", "105", "--method", "comparable_period", *WHY)
    assert desk("substitute", *words)[0] == f"decision 1: substitute reading of 105 at {at(2)}"
    assert values(desk) == ["3", "5", "5"]
    desk("substitute", *words, "--pinned", "--register", "volume")
    assert values(desk) == ["3", "2", "8"]
    with pytest.raises(SubmeterError, match="'guess' is no method: write one of comparable_period"):
        desk("substitute", "p", "--at", at(2), "--value", "105", "--method", "guess", *WHY)


def test_a_bill_and_what_changes_after_it(tmp_path):
    """`bill` freezes a range of local dates; a later correction is listed with old, new and difference, for all points or one."""
    desk = of_house(tmp_path / "h")
    desk("reading", "p", "--at", "2024-01-01", "--value", "1", *WHY)
    desk("reading", "p", "--at", "2024-02-01", "--value", "3", *WHY)
    assert "decision 3: point p billed by the month: volume 2" in desk("bill", "u", "--from", "2024-01-01", "--to", "2024-02-01", *WHY)
    assert desk("corrections") == []
    desk("reading", "p", "--at", "2024-02-01", "--value", "3.5", "--correction", *WHY)
    (month,) = [line for line in desk("corrections", "--point", "p") if "month of" in line]
    assert month.startswith("point p volume  month of 2024-01-01  2 → 2.5: 0.5 m3  correction by Eva, revision ")
    assert desk("corrections", "--point", "q") == []
    assert desk("decisions", "--point", "q") == []
    assert len(desk("decisions", "--point", "p")) == 4
    for period, words in (
        (("2024-01-01", "2024-02-01"), "is billed in this time by decision 3"),
        (("2024-03-01", "2024-03-01"), "is no period of whole days"),
    ):
        with pytest.raises(SubmeterError, match=words):
            desk("bill", "p", "--from", period[0], "--to", period[1], *WHY)


@pytest.mark.parametrize(
    "words",
    [
        ("tasks", "accept", "1", "--by", "Eva"),
        ("tasks", "reject", "1", "--reason", "wrong"),
        ("exchange", "p", *WHY),
        ("reading", "p", "--at", "2024-01-01", *WHY),
        ("reading", "p", "--value", "1", *WHY),
        ("substitute", "p", "--at", "2024-01-01", "--value", "1", *WHY),
        ("bill", "p", "--from", "2024-01-01", *WHY),
        ("bill", "p", "--to", "2024-01-01", *WHY),
        ("withdraw", "1", "--by", "Eva"),
        ("withdraw", *WHY),
    ],
)
def test_nothing_is_decided_by_half_a_command(tmp_path, words):
    """Who and why, when and how much are asked for before anything is opened: exit status 2, and no data folder."""
    file = tmp_path / "pipeline.toml"
    file.write_text('[data]\nfolder = "data"\n')
    assert "Missing" in Desk(file).text(*words, code=2)
    assert not (tmp_path / "data").exists()
