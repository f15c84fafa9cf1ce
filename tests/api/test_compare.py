"""Comparisons of a consumption answer: the same buckets of the same holder, an average flat that hides nobody's use, last year in this weather."""

import pytest
from asking import ask, consumption, reasons, values
from test_information import Building, months

from submeter import house
from submeter.api import compare


@pytest.fixture
def building(tmp_path):
    """An empty property."""
    found = Building(tmp_path)
    yield found
    found.core.close()


def water(building, *indices, unit="u", name="p", first=1, year=2023):
    """A water meter of a flat with an index at the start of each month."""
    building.point(name, unit, "cold_water", *months(year, first, [str(index) for index in indices]))


def test_previous_is_as_many_buckets_just_before(building):
    """Three months are beside the three before them; `from` and `to` tell which."""
    building.flat("u", ("A", "2022-01-01", None))
    water(building, 0, 1, 3, 6, 10, 15, 21)
    body = consumption(building.open(), "u", "2023-04-01", "2023-07-01", compare="previous")
    (series,) = body["compare"]["previous"]["series"]
    assert (values(body["series"][0]), values(series)) == ([4, 5, 6], [1, 2, 3])
    span = body["compare"]["previous"]
    assert (span["from"], span["to"]) == ("2023-01-01T00:00:00+00:00", "2023-04-01T00:00:00+00:00")
    assert [point["start"][:10] for point in series["points"]] == ["2023-01-01", "2023-02-01", "2023-03-01"]
    assert series["points"][0]["quality"] == "measured"


def test_nothing_is_compared_unless_asked(building):
    """Without `compare` the object is empty."""
    building.flat("u")
    water(building, 0, 1)
    assert consumption(building.open(), "u", "2023-01-01", "2023-02-01")["compare"] == {}


def test_year_is_the_same_months_a_year_earlier(building):
    """Each month is beside that of last year; where the tables have none it is null, and so flagged."""
    building.flat("u", ("A", "2020-01-01", None))
    water(building, *range(0, 30, 2), first=2)
    (series,) = consumption(building.open(), "u", "2024-01-01", "2024-04-01", compare="year")["compare"]["year"]["series"]
    assert values(series) == [None, 2, 2]
    assert series["points"][0]["flags"] == ["no_data"]
    assert series["points"][1]["start"] == "2023-02-01T00:00:00+00:00"


def test_the_day_before_a_leap_day_has_no_year_before(building):
    """29 February has no day a year earlier; the days around it have theirs."""
    building.flat("u", ("A", "2020-01-01", None))
    building.point("p", "u", "cold_water", *[(f"2023-{m:02d}-{d:02d}T00:00:00Z", str(m * 40 + d)) for m, d in ((2, 27), (2, 28), (3, 1), (3, 2))])
    (series,) = consumption(building.open(), "u", "2024-02-28", "2024-03-02", "P1D", compare="year")["compare"]["year"]["series"]
    assert values(series) == [121 - 108, None, 1]
    assert reasons(series) == [None, "no_such_bucket", None]


@pytest.mark.parametrize("name", ["previous", "year"])
def test_what_began_before_the_holder_came_is_null(building, name):
    """A holder sees nothing of the one before, also not the month of the hand-over; the month after it is the holder's own."""
    building.flat("u", ("A", "2020-01-01", "2023-02-10"), ("B", "2023-02-10", None))
    water(building, *range(40))
    asked = ("2023-04-01", "2023-07-01") if name == "previous" else ("2024-01-01", "2024-04-01")
    (series,) = consumption(building.open(), "u", *asked, compare=name)["compare"][name]["series"]
    assert values(series) == [None, None, 1]
    assert reasons(series) == ["other_holder", "other_holder", None]
    assert series["points"][1] | {"start": 0, "end": 0, "reason": 0} == {
        **compare.UNKNOWN, "start": 0, "end": 0, "reason": 0, "flags": [],
    }  # fmt: skip


def test_the_holder_is_the_one_at_the_end_of_the_range(building):
    """Asked for A's time, A's months before are shown; in a range without any holder at its end nothing is; a flat without occupancies has one."""
    building.flat("u", ("A", "2020-01-01", "2023-04-01"), ("B", "2023-06-01", None))
    building.flat("v")
    water(building, *range(10))
    water(building, *range(10), unit="v", name="q")
    building.open()

    def previous(unit, start, end):
        return values(consumption(building, unit, start, end, compare="previous")["compare"]["previous"]["series"][0])

    assert previous("u", "2023-03-01", "2023-04-01") == [1]
    assert previous("u", "2023-05-01", "2023-06-01") == [None]
    assert previous("v", "2023-05-01", "2023-06-01") == [1]


def test_a_range_that_ends_in_the_future_is_of_who_lives_there_now(building):
    """A move that is known for next month hides nothing from the one who lives there today."""
    building.flat("u", ("A", "2020-01-01", "2024-08-01"), ("B", "2024-08-01", None))
    water(building, *range(30))
    body = consumption(building.open(), "u", "2024-01-01", "2025-01-01", "P1Y", compare="previous")
    assert values(body["compare"]["previous"]["series"][0]) == [12]


def test_hours_are_compared_by_the_clock(building):
    """The hour that the change of the clocks skipped, and the one that it repeated, have no fellow in another year; all others have the same time."""
    building.text = building.text.replace("UTC", "Europe/Prague")
    building.flat("u")
    water(building, 0, 1)
    building.open()
    skipped = consumption(building, "u", "2024-03-26", "2024-03-27", "PT1H", compare="year")["compare"]["year"]["series"][0]["points"]
    assert len(skipped) == 24
    assert [(place, point["reason"]) for place, point in enumerate(skipped) if point["reason"]] == [(2, "no_such_bucket")]
    assert skipped[3]["start"] == "2023-03-26T03:00:00+02:00"
    again = consumption(building, "u", "2023-10-29", "2023-10-30", "PT1H", compare="year")["compare"]["year"]["series"][0]["points"]
    assert [place for place, point in enumerate(again) if point["reason"]] == [3]
    assert (again[2]["start"], again[4]["start"]) == ("2022-10-29T02:00:00+02:00", "2022-10-29T03:00:00+02:00")


def test_the_average_is_of_five_flats_that_have_the_month(building):
    """Five flats have January, four have February: a mean and a refusal. A flat counts once, with all its meters or not at all."""
    for number in range(5):
        building.flat(f"u{number}", ("A", "2020-01-01", None))
        water(building, 0, number + 1, *([number + 2] if number else []), unit=f"u{number}", name=f"p{number}")
    water(building, 0, 10, 20, unit="u1", name="second")
    building.point("house", None, "cold_water", *months(2023, 1, ["0", "9000"]))
    body = consumption(building.open(), "u0", "2023-01-01", "2023-03-01", compare="building")
    (series,) = body["compare"]["building"]["series"]
    assert values(series) == [(1 + 2 + 10 + 3 + 4 + 5) / 5, None]
    assert reasons(series) == [None, "group_too_small"]
    assert series["points"][0]["flats"] == 5
    assert "flats" not in series["points"][1]


def test_check_38_four_flats_are_no_group(building):
    """Four flats' mean would tell a neighbour's use."""
    for number in range(4):
        building.flat(f"u{number}")
        water(building, 0, 1, unit=f"u{number}", name=f"p{number}")
    (series,) = consumption(building.open(), "u0", "2023-01-01", "2023-02-01", compare="building")["compare"]["building"]["series"]
    assert (values(series), reasons(series)) == ([None], ["group_too_small"])


def test_the_average_is_of_the_same_class_in_the_same_house(building):
    """Hot water of the same flats, and cold water of another house, are not part of it; meter by meter there is none."""
    building.text += '[[property]]\nid = "c"\nmanager = "m"\nname = "C"\nzone = "UTC"\n[[unit]]\nid = "far"\nproperty = "c"\nlabel = "far"\n'
    for number in range(5):
        building.flat(f"u{number}")
        water(building, 0, 2, unit=f"u{number}", name=f"p{number}")
        building.point(f"h{number}", f"u{number}", "hot_water", *months(2023, 1, ["0", "50"]))
    water(building, 0, 70, unit="far", name="far")
    cold, hot = consumption(building.open(), "u0", "2023-01-01", "2023-02-01", compare="building")["compare"]["building"]["series"]
    assert (cold["class"], values(cold), hot["class"], values(hot)) == ("cold_water", [2], "hot_water", [50])
    alone = consumption(building, "u0", "2023-01-01", "2023-02-01", compare="building", by="meter")["compare"]["building"]["series"]
    assert [reasons(series) for series in alone] == [["only_by_quantity"]] * 2


def test_last_year_in_this_weather(building):
    """100 kWh at 500 K·d are 120 kWh at 600: what was used for it is told. Water does not depend on the weather; days have no degree days."""
    building.flat("u", ("A", "2020-01-01", None))
    building.point("heat", "u", "heat", *months(2023, 1, ["0", "100", "160", *["160"] * 10, "230"]))
    water(building, 0, 1)
    building.text += "".join(
        f'[[degree_days]]\nproperty = "b"\nmonth = "{month}"\nvalue = "{value}"\n'
        for month, value in (("2023-01", "500"), ("2024-01", "600"), ("2024-02", "400"))
    )
    body = consumption(building.open(), "u", "2024-01-01", "2024-03-01", compare="climate")
    cold, heat = body["compare"]["climate"]["series"]
    assert (values(heat), reasons(heat)) == ([120, None], [None, "no_degree_days"])
    assert (heat["points"][0]["degree_days"], heat["points"][0]["degree_days_then"]) == (600, 500)
    assert heat["points"][0]["start"] == "2023-01-01T00:00:00+00:00"
    assert (body["compare"]["climate"]["method"], "B" in body["compare"]["climate"]["source"]) == ("degree_days", True)
    assert reasons(cold) == ["not_heating"] * 2
    daily = consumption(building, "u", "2024-01-01", "2024-01-02", "P1D", compare="climate")["compare"]["climate"]["series"]
    assert [reasons(series) for series in daily] == [["only_by_month"]] * 2


def test_last_year_of_another_holder_is_not_shown_in_this_weather_either(building):
    """Scaled by degree days it would still be somebody else's."""
    building.flat("u", ("A", "2020-01-01", "2023-06-01"), ("B", "2023-06-01", None))
    building.point("heat", "u", "heat", *months(2023, 1, ["0", "100"]))
    building.text += "".join(f'[[degree_days]]\nproperty = "b"\nmonth = "{month}"\nvalue = "500"\n' for month in ("2023-01", "2024-01"))
    (heat,) = consumption(building.open(), "u", "2024-01-01", "2024-02-01", compare="climate")["compare"]["climate"]["series"]
    assert (values(heat), reasons(heat)) == ([None], ["other_holder"])


def test_several_comparisons_at_once(building):
    """Each is an entry by its name, with the series of the answer in its order."""
    building.flat("u", ("A", "2020-01-01", None))
    water(building, *range(20))
    building.point("heat", "u", "heat", *months(2023, 1, ["0", "100"]))
    body = consumption(building.open(), "u", "2024-01-01", "2024-02-01", compare=["previous", "year", "building", "climate"])
    assert list(body["compare"]) == ["previous", "year", "building", "climate"]
    kinds = [series["class"] for series in body["series"]]
    assert all([series["class"] for series in said["series"]] == kinds for said in body["compare"].values())
    assert all(len(series["points"]) == 1 for said in body["compare"].values() for series in said["series"])


def test_a_range_that_has_not_begun_compares_nothing(building):
    """No buckets, no points, no error."""
    building.flat("u")
    water(building, 0, 1)
    body = consumption(building.open(), "u", "2030-01-01", "2030-02-01", compare=["previous", "year", "building", "climate"])
    assert all(series["points"] == [] for said in body["compare"].values() for series in said["series"])


def test_a_comparison_that_does_not_exist_is_refused(building):
    """The parameter is named."""
    building.flat("u")
    answer = ask(building.open(), "units/u/consumption", **{"from": "2024-01-01", "to": "2024-02-01", "compare": "neighbour"})
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
    water(building, 0, 1)
    building.open()
    early = ask(building, "units/u/consumption", **{"from": "1971-02-01", "to": "1971-03-01", "resolution": "P1Y", "compare": "previous"})
    assert (early.status_code, early.json()["errors"][0]["parameter"]) == (422, "compare")


def test_another_neighbour_s_reading_changes_the_tag_of_an_average(building):
    """A 304 must not hide that the average moved."""
    for number in range(5):
        building.flat(f"u{number}")
        water(building, 0, 2, unit=f"u{number}", name=f"p{number}")
    query = {"from": "2023-01-01", "to": "2023-02-01", "resolution": "P1M", "compare": "building"}
    first = ask(building.open(), "units/u0/consumption", **query).headers["ETag"]
    assert ask(building, "units/u0/consumption", **query).headers["ETag"] == first
    building.hear(building.told[4][0], "cold_water", ("2023-02-02T00:00:00Z", "3"))
    assert ask(building, "units/u0/consumption", **query).headers["ETag"] != first


def test_groups_and_weather_are_those_of_the_monthly_information():
    """The API may not import the information's house: both must say the same."""
    assert (compare.LEAST, compare.HEATING) == (house.LEAST, house.HEATING)
