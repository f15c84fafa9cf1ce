"""What a series is called and which figure of it is shown: labels by language, decimals, mean and maximum of gauges, allocators without factors."""

import pytest
from asking import ask, consumption, values
from test_information import Building, months

from submeter.api.consumption import UOM
from submeter.api.labels import label_of, locale_of
from submeter.decoders import DICTIONARY

JANUARY = {"from": "2023-01-01", "to": "2023-02-01", "resolution": "P1M"}


@pytest.fixture
def building(tmp_path):
    """A flat with an allocator without factors, one with them, and a power meter heard three times in an hour."""
    found = Building(tmp_path)
    found.flat("u")
    found.flat("v")
    found.point("plain", "u", "heat_allocation", *months(2023, 1, ["0", "40"]))
    found.point("scaled", "v", "heat_allocation", *months(2023, 1, ["0", "40"]), parameters=', factors = [["2022-01-01T00:00:00Z", "1.5"]]')
    found.point("water", "v", "cold_water", *months(2023, 1, ["0", "7"]))
    power = [(f"2023-01-01T00:{minute}:00Z", value) for minute, value in (("00", "1"), ("20", "4"), ("40", "1"))] + [("2023-01-01T01:00:00Z", "1")]
    found.point("power", "u", "heat", *power, measures=("power", "kW"))
    yield found.open()
    found.core.close()


def refused(building, unit, **query):
    """Which parameter is wrong, and what is said of it."""
    answer = ask(building, f"units/{unit}/consumption", **{**JANUARY, **query})
    assert answer.status_code == 422, answer.text
    return answer.json()["errors"][0]["parameter"], answer.json()["errors"][0]["detail"]


def series(building, unit, start="2023-01-01", end="2023-02-01", resolution="P1M", **query):
    """The series of an answer by their class."""
    return {one["class"]: one for one in consumption(building, unit, start, end, resolution, **query)["series"]}


@pytest.mark.parametrize(
    ("locale", "allocator", "water"),
    [
        ("cs", "poměrové jednotky", "m³"),
        ("sl", "enote delilnika", "m³"),
        ("nb", "fordelingsenheter", "m³"),
        ("ru", "единицы распределителя", "м³"),
        ("en", "allocator units", "m³"),
        ("de", "Verbrauchseinheiten", "m³"),
    ],
)
def test_units_have_a_name_in_each_language(building, locale, allocator, water):
    """`uom` is UCUM, `uom_label` is for people; allocators have two decimals, water three."""
    answer = ask(building, "units/v/consumption", locale=locale, **JANUARY)
    shown = {one["class"]: (one["uom"], one["uom_label"], one["decimals"]) for one in answer.json()["series"]}
    assert shown == {"heat_allocation": ("{hca}", allocator, 2), "cold_water": ("m3", water, 3)}
    assert answer.headers["Content-Language"] == locale


@pytest.mark.parametrize(
    ("asked", "accepted", "locale"),
    [
        (None, "", "en"),
        (None, "cs-CZ,cs;q=0.9,en;q=0.8", "cs"),
        (None, "en;q=0.8, ru", "ru"),
        (None, "xx, de-AT;q=0.3", "de"),
        (None, "no", "nb"),
        (None, "nn-NO;q=0.5", "nb"),
        (None, "xx,*", "en"),
        (None, "cs;q=0", "en"),
        (None, "sl;q=x, =,;;", "en"),
        ("sl", "cs", "sl"),
    ],
)
def test_the_language_is_the_one_asked_for_or_liked_best(asked, accepted, locale):
    """`locale` goes before Accept-Language, English is the rest."""
    assert locale_of(asked, accepted) == locale


def test_the_header_names_the_language_too(building):
    """Accept-Language of the request reaches the label, and another language another tag."""
    czech, german = (ask(building, "units/u/consumption", language=language, **JANUARY) for language in ("cs", "de"))
    assert czech.json()["series"][-1]["uom_label"] == "poměrové jednotky"
    assert czech.headers["ETag"] != german.headers["ETag"]
    assert refused(building, "u", locale="xx")[0] == "locale"


def test_every_unit_of_the_dictionary_has_a_label():
    """What is rolled up is never labelled by its code alone."""
    units = {UOM.get(one.unit, one.unit) for one in DICTIONARY.values() if one.kind != "event"}
    assert {uom for uom in units if uom != "1" and label_of(uom, "ru") == uom and uom != "%"} == set()


def test_a_gauge_has_a_mean_and_a_maximum(building):
    """Power of an hour: the mean weighs by time, the maximum is the highest that was heard; unknown stays unknown."""
    asked = {"unit": "u", "start": "2023-01-01", "end": "2023-01-01T03:00:00Z", "resolution": "PT1H", "quantity": "power"}
    mean, most = (series(building, **asked, statistic=name)["heat"] for name in ("mean", "max"))
    assert (mean["statistic"], most["statistic"]) == ("mean", "max")
    assert values(most) == [4, 1, None]
    assert values(mean) == values(series(building, **asked)["heat"])
    assert 1 < values(mean)[0] < 4
    assert most["points"][0]["min"] == 1


def test_a_figure_that_a_series_does_not_have_is_refused(building):
    """No sum of a gauge, no maximum of a counter: the sentence names the quantity."""
    assert refused(building, "u", quantity="power", statistic="sum") == ("statistic", "power has mean and max, not sum")
    assert refused(building, "v", quantity="volume", statistic="max") == ("statistic", "volume has sum, not max")
    assert series(building, "v", quantity="volume", statistic="sum")["cold_water"]["points"][0]["value"] == 7
    assert refused(building, "v", statistic="median")[0] == "statistic"


def test_allocators_without_factors_are_raw_and_rated_at_once(building):
    """What the register showed is both; the answer says which was asked for, and of allocators alone."""
    rated, raw = (series(building, "u", rated=rated)["heat_allocation"] for rated in ("true", "false"))
    assert (values(rated), values(raw), rated["rated"], raw["rated"]) == ([40], [40], True, False)
    assert "rated" not in series(building, "v")["cold_water"]


def test_raw_units_behind_factors_are_refused_not_guessed(building):
    """The tables hold 60 rated units of 40 raw ones; asked for the raw ones, the answer is a sentence. Water of the same flat is not concerned."""
    assert values(series(building, "v")["heat_allocation"]) == [60]
    parameter, said = refused(building, "v", rated="false")
    assert (parameter, "rating factors" in said) == ("rated", True)
    assert values(series(building, "v", rated="false", quantity="volume")["cold_water"]) == [7]
