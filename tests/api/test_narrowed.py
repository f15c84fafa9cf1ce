"""What a grant is narrowed to (classes of meters, level, time) holds in every route that reads a unit (portal FLOWS 9)."""

import re

import pytest
from portals import Here
from test_matrix import EDGE, publish
from test_roles import granted, of_units, status

from submeter import civil
from submeter.reading import LEVELS
from submeter.store.published import Correction

MONTH = {"from": "2025-01-01", "to": "2025-02-01", "resolution": "P1M"}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals; cz-a has cold water with rows, corrections of all levels and two exchanges, and hot water."""
    made = Here(tmp_path_factory.mktemp("narrowed"))
    with made.registry.writing() as db:
        for point, unit, quantity in (("p", "cz-a", "cold_water"), ("r", "cz-a", "hot_water"), ("q", "cz-b", "cold_water")):
            db.execute("INSERT INTO points VALUES (?, 'cz1', ?, ?, ?, 'volume', '{}')", (point, unit, quantity, f"the {quantity}"))
        for number in range(3):
            device, since = f"TCH/0000000{number}/21/07", EDGE + (number - 1) * 5 * civil.DAY
            until = None if number == 2 else since + 5 * civil.DAY
            db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 0)", (device,))
            db.execute("INSERT INTO assignments VALUES ('p', ?, ?, ?, NULL, NULL)", (device, since, until))
    publish(made)
    lengths = (civil.HOUR, civil.DAY, 31 * civil.DAY, 365 * civil.DAY)
    corrections = [Correction(1, level, EDGE, EDGE + length, 1, 2, "late", "job", EDGE, 2) for level, length in enumerate(lengths)]
    made.published.replace([], [], corrections={1: corrections})
    yield made
    made.close()


def narrowed(here, name, role, **to):
    """The browser of somebody whose grant of cz-a is narrowed."""
    client = granted(here, name, a=role)
    with here.registry.writing() as db:
        for column, value in to.items():
            db.execute(f"UPDATE grants SET {column} = ? WHERE id = ?", (value, f"g_{name}_a"))
    return client


@pytest.mark.parametrize("role", ["household", "third_party", "resident"])
def test_a_class_that_was_not_chosen_is_in_no_answer(here, role):
    """Whoever sees hot water only reads nothing of cold water: no id, no label, no class, no file of it; and its meter is not there."""
    client = narrowed(here, f"hot_{role}", role, quantities="hot_water")
    for method, path, _ in of_units(here):
        if "{meter}" in path:
            assert status(client, method, path) in {403, 404}, path
        elif method == "GET":
            url = path.replace("{unit}", "cz-a").replace("{month}", "2025-05")
            told = client.get(url, params=MONTH if path.endswith(("consumption", "readings")) else {}).text
            assert not re.search(r'cold_water|"p"', told), (path, told)
    if role == "resident":
        made = client.post("/v1/units/cz-a/statements", json={"from": "2025-01-01", "to": "2025-02-01", "format": "csv"}).json()["document"]["id"]
        assert "cold_water" not in client.get(f"/v1/documents/{made}").text


@pytest.mark.parametrize(("finest", "levels"), [(None, LEVELS), ("day", LEVELS[1:]), ("month", LEVELS[2:])])
def test_corrections_are_no_finer_than_what_is_seen(here, finest, levels):
    """Who sees months is told of corrected months and years, not of an hour."""
    client = narrowed(here, f"levels_{finest}", "third_party", finest=finest)
    (series,) = client.get("/v1/units/cz-a/consumption", params=MONTH).json()["series"]
    assert [LEVELS[("PT1H", "P1D", "P1M", "P1Y").index(one["resolution"])] for one in series["corrections"]] == list(levels)


def test_exchanges_before_the_visible_time_are_not_told(here):
    """Of two exchanges the one after `data_from`."""
    late = narrowed(here, "late", "third_party", data_from=EDGE + civil.DAY)
    for client, count in ((granted(here, "early", a="resident"), 2), (late, 1)):
        (meter,) = [one for one in client.get("/v1/units/cz-a/meters").json()["meters"] if one["id"] == "p"]
        assert len(meter["exchanges"]) == count
