"""Monthly information through real stores (SPEC 16): the behavioural cases H03, H04 and H05, what is of the same holder, versions, and who may read it."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from submeter import civil, information, jobs
from submeter.aggregate import Limits
from submeter.api import create_app
from submeter.commands import execute
from submeter.config import load
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.reading import Register, Source, to_micro
from submeter.store import READING, RECEPTION

HEAD = """
[[manager]]
id = "m"
name = "M"
[[property]]
id = "b"
manager = "m"
name = "B"
zone = "UTC"
"""
UNITS = {"heat": "kWh", "heat_allocation": "hca", "cold_water": "m3", "hot_water": "m3"}
NAMES = {"heat": "energy", "heat_allocation": "hca", "cold_water": "volume", "hot_water": "volume"}


class Building:
    """A property whose flats and points are added with their readings."""

    def __init__(self, folder):
        (folder / "pipeline.toml").write_text('[data]\nfolder = "data"\n[information]\ncontacts = "ask Eva"\n')
        self.folder, self.text, self.told, self.seq = folder, HEAD, [], 0
        self.core = Core(load(folder / "pipeline.toml"))

    def flat(self, unit, *occupancies):
        self.text += f'[[unit]]\nid = "{unit}"\nproperty = "b"\nlabel = "{unit}"\n'
        for name, since, until in occupancies:
            self.text += f'[[occupancy]]\nunit = "{unit}"\nname = "{name}"\nfrom = {since}\n' + (f"to = {until}\n" if until else "")

    def point(self, name, unit, quantity, *readings, parameters="", measures=None):
        """A point with a device of its own: (instant, index as text); `measures` is its register and unit where they are not the usual ones."""
        device = f"AAA-{len(self.told) + 1:08d}-01-07"
        registers = f'registers = ["{measures[0]}"]\n' if measures else ""
        place = f'unit = "{unit}"' if unit else 'property = "b"'
        self.text += f'[[point]]\nid = "{name}"\n{place}\nquantity = "{quantity}"\nlabel = "{name}"\n{registers}parameters = {{ max_gap = "P40D"{parameters} }}\n'
        self.text += f'[[device]]\nid = "{device}"\n[[assignment]]\npoint = "{name}"\ndevice = "{device}"\nfrom = 2020-01-01\n'
        self.told.append((device, measures or (NAMES[quantity], UNITS[quantity]), readings))

    def open(self):
        """Import and store all of it."""
        (self.folder / "directory.toml").write_text(self.text)
        self.do("import", path=str(self.folder / "directory.toml"))
        for device, register, readings in self.told:
            self.store(device, register, readings)
        self.core.rollup()
        return self

    def hear(self, device, quantity, *readings):
        """More readings of a device."""
        self.store(device, (NAMES[quantity], UNITS[quantity]), readings)
        self.core.rollup()

    def store(self, device, register, readings):
        key = (device, Register(*register))
        number = self.core.readings.register_ids([key])[key]
        rows = []
        for t, value in readings:
            self.seq += 1 << 21
            row = {"register": number, "t": civil.instant(t), "value": to_micro(Decimal(value)), "src": int(Source.LIVE), "status": 0, "due": False}
            rows.append(row | {"pinned": False, "seq": self.seq, "label": "now", "time_source": "received"})
        self.core.readings.store(pa.Table.from_pylist(rows, schema=READING), RECEPTION.empty_table(), 0)

    def do(self, command, **arguments):
        return list(execute(self.core, command, arguments))

    def said(self, unit, month):
        """What is published of a flat's holders, now that it is made anew."""
        flat, first = self.core.registry.unit(unit), date.fromisoformat(f"{month}-01")
        information.publish(self.core, flat, first)
        return [information.Monthly.model_validate_json(one.body) for one in self.core.registry.information.of(unit, month)]

    def get(self, path, scopes=("units:read", "consumption:read"), **query):
        app = create_app(self.core.registry, self.core.published, "1")
        token = self.core.registry.create_token("m", list(scopes))
        return TestClient(app, headers={"Authorization": f"Bearer {token}"}).get(f"/v1/units/{path}", params=query)


@pytest.fixture
def building(tmp_path):
    """An empty property."""
    found = Building(tmp_path)
    yield found
    found.core.close()


@pytest.fixture
def clock(monkeypatch):
    """Sets what time it is."""

    def show(t):
        for name in ("core", "information"):
            monkeypatch.setattr(f"submeter.{name}.now", lambda: civil.instant(t))

    return show


def months(year, first, values):
    """Index readings at the starts of months."""
    return [(f"{year + (first - 1 + i) // 12}-{(first - 1 + i) % 12 + 1:02d}-01T00:00:00Z", value) for i, value in enumerate(values)]


def test_h03_a_hand_over_inside_a_month_splits_it_and_hides_what_was_before(building):
    """Each tenant has the use of the own days; the second one sees no month before and no year before."""
    building.flat("u", ("A", "2023-01-01", "2024-04-11T12:00:00Z"), ("B", "2024-04-11T12:00:00Z", None))
    readings = [*months(2023, 4, ["1", "2"]), *months(2024, 3, ["8", "10"]), ("2024-04-11T12:00:00Z", "14"), ("2024-05-01T00:00:00Z", "20")]
    building.point("p", "u", "cold_water", *readings)
    first, second = building.open().said("u", "2024-04")
    assert (first.end, second.start) == ("2024-04-11T12:00:00+00:00",) * 2
    assert (first.media[0].amount, second.media[0].amount) == (4, 6)
    assert first.media[0].previous_month.amount == 2
    assert first.media[0].same_month_last_year.amount == 1
    assert second.media[0].previous_month is None
    assert second.media[0].same_month_last_year is None
    answer = building.get("u/information/2024-04")
    assert answer.json()["media"][0]["amount"] == 6
    assert building.get("u/information/2024-04", at="2024-04-02").json()["media"][0]["amount"] == 4
    assert building.get("u/information/2024-04", at="2022-01-01").status_code == 404


def test_a_correction_of_the_holder_before_is_not_told(building, clock):
    """A billed month of A that changes after the hand-over is a correction for A's next bill; B's information does not have it."""
    clock("2024-02-20T00:00:00Z")
    building.flat("u", ("A", "2023-01-01", "2024-02-11T12:00:00Z"), ("B", "2024-02-11T12:00:00Z", None))
    building.point("p", "u", "cold_water", *months(2024, 1, ["8", "10", "20", "30"]))
    building.open()
    building.do("bill", target="u", start="2024-01-01", end="2024-02-01", by="Eva", reason="bill")
    building.hear("AAA-00000001-01-07", "cold_water", ("2024-02-01T00:00:00Z", "10.25"))
    clock("2024-03-06T00:00:00Z")
    first, second = building.said("u", "2024-02")
    assert [one.diff for one in first.media[0].corrections] == [0.25]
    assert second.media[0].corrections == []


def test_h04_an_allocator_has_its_share_of_the_buildings_heat(building):
    """1,000 of 40,000 rated units are 300 of 12,000 kWh; the units on the register are told beside the rated ones."""
    building.flat("u")
    building.flat("v")
    building.point("main", "", "heat", *months(2024, 1, ["5", "12005"]))
    factor = ', factors = [["2020-01-01T00:00:00Z", "2.5"]]'
    building.point("p", "u", "heat_allocation", *months(2024, 1, ["100", "500"]), parameters=factor)
    building.point("q", "v", "heat_allocation", *months(2024, 1, ["0", "39000"]))
    ((said,),) = [building.open().said("u", "2024-01")]
    (heat,) = said.media
    assert (heat.kwh, heat.method, heat.amount, heat.raw) == (300, "share_of_building_meter", 1000, 400)
    assert said.texts == {"contacts": "ask Eva"}
    assert any("300 kWh by share_of_building_meter" in line for line in building.do("information", unit="u", month="2024-01", publish=True))


@pytest.mark.parametrize(("flats", "average"), [(3, None), (4, None), (5, 3.0)])
def test_h05_a_small_group_is_not_compared_with(building, flats, average):
    """Fewer than five flats are no group; five have their mean."""
    for number in range(flats):
        building.flat(f"u{number}")
        building.point(f"p{number}", f"u{number}", "heat", *months(2024, 1, ["0", str(number + 1)]))
    ((said,),) = [building.open().said("u0", "2024-01")]
    (heat,) = said.media
    if average is None:
        assert (heat.average_flat, heat.why_no_average) == (None, "group_too_small")
    else:
        assert (heat.average_flat.kwh, heat.average_flat.amount, heat.why_no_average) == (average, average, None)


def test_earlier_months_of_the_same_holder_and_the_weather(building):
    """Month before, same month last year, and last year in this month's weather, by degree days."""
    building.flat("u", ("A", "2022-01-01", None))
    building.point("p", "u", "heat", *months(2023, 1, ["0", "100", *["150"] * 10, "230", "290"]))
    building.text += (
        '[[degree_days]]\nproperty = "b"\nmonth = "2023-01"\nvalue = "500"\n[[degree_days]]\nproperty = "b"\nmonth = "2024-01"\nvalue = "400"\n'
    )
    (said,) = building.open().said("u", "2024-01")
    (heat,) = said.media
    assert (heat.kwh, heat.method, heat.previous_month.kwh, heat.same_month_last_year.kwh) == (60, "meter", 80, 100)
    assert heat.last_year_climate_corrected_kwh == 80


def test_what_is_estimated_is_explained(building):
    """Days between far readings are told as interpolated, those of a substitute with its method."""
    building.flat("u")
    building.point("p", "u", "cold_water", ("2024-01-01T00:00:00Z", "0"), ("2024-01-10T00:00:00Z", "9"), parameters=', confirm_window = "PT1H"')
    building.text = building.text.replace('max_gap = "P40D"', 'max_gap = "P1D"')
    building.open()
    substitute = {"src": "substitute", "method": "comparable_period", "by": "Eva", "reason": "no access"}
    building.do("reading", point="p", at="2024-02-01", value="31", **substitute)
    (said,) = building.said("u", "2024-01")
    (water,) = said.media
    assert (water.amount, water.quality, water.why_no_kwh, water.coverage) == (31, "estimated", "not_energy", 0)
    assert [(part.start[:10], part.end[:10]) for part in water.estimates] == [("2024-01-01", "2024-02-01")]
    assert water.estimates[0].how == "interpolated between readings"
    building.do("reading", point="p", at="2024-01-20", value="19", **substitute)
    (said,) = building.said("u", "2024-01")
    assert said.media[0].estimates[0].how == "substitute by comparable_period"


def test_a_version_is_kept_where_something_changed_and_the_notice_is_noted_once(building, clock):
    """Made again it is the same version; a late reading makes the next one; both stay readable, with what was told of them."""
    building.flat("u")
    building.point("p", "u", "cold_water", *months(2024, 1, ["0", "10"]))
    building.open()
    assert "version 1" in building.do("information", unit="u", month="2024-01", publish=True)[0]
    assert "version 1" in building.do("information", unit="u", month="2024-01", notified="letter")[0]
    with pytest.raises(SubmeterError, match="noted already"):
        building.do("information", unit="u", month="2024-01", notified="letter")
    building.hear("AAA-00000001-01-07", "cold_water", ("2024-01-31T23:00:00Z", "9.5"), ("2024-02-02T00:00:00Z", "11"), ("2024-01-20T00:00:00Z", "9"))
    building.do("bill", target="u", start="2024-01-01", end="2024-02-01", by="Eva", reason="bill")
    clock("2024-02-20T00:00:00Z")
    building.hear("AAA-00000001-01-07", "cold_water", ("2024-02-01T00:00:00Z", "10.25"))
    assert "version 2" in building.do("information", unit="u", month="2024-01", publish=True)[0]
    old, new = (building.get("u/information/2024-01", version=number).json() for number in (1, 2))
    assert (old["notified_via"], new["notified_via"], old["media"][0]["amount"], new["media"][0]["amount"]) == ("letter", None, 10, 10.25)
    assert new["version"] == building.get("u/information/2024-01").json()["version"] == 2
    clock("2024-04-06T00:00:00Z")
    building.hear("AAA-00000001-01-07", "cold_water", *months(2024, 3, ["12", "13", "14"]), ("2024-02-01T00:00:00Z", "10.5"))
    clock("2024-06-06T00:00:00Z")
    said = [building.said("u", month)[0].media[0].corrections for month in ("2024-02", "2024-03", "2024-04")]
    assert [[(one.start[:7], one.diff, one.reason) for one in some] for some in said] == [
        [("2024-01", 0.25, "late_reading")],
        [],
        [("2024-01", 0.25, "late_reading")],
    ], "a correction is told once: in the month in which it was made"


def test_the_route_refuses_what_is_not_there_or_not_allowed(building):
    """A foreign flat, a month that was not published and a missing scope have their problems; a month that is not over has its words."""
    building.flat("u")
    building.point("p", "u", "cold_water", *months(2024, 1, ["0", "10"]))
    building.open()
    assert building.get("u/information/2024-01").status_code == 404
    assert building.get("x/information/2024-01").status_code == 404
    assert building.get("u/information/2024-13").status_code == 422
    assert building.get("u/information/2024-01", scopes=["units:read"]).status_code == 403
    with pytest.raises(SubmeterError, match="is not over"):
        building.do("information", unit="u", month="2199-01", publish=True)
    with pytest.raises(SubmeterError, match="no unit"):
        building.do("information", unit="nowhere", month="2024-01")


def test_the_monthly_job_makes_all_of_the_month_before(building, clock):
    """Every flat has its information of the month that ended, and the report says how many."""
    for number in range(3):
        building.flat(f"u{number}")
        building.point(f"p{number}", f"u{number}", "heat", *months(2024, 1, ["0", "1", "2"]))
    building.open()
    clock("2024-02-06T05:00:00Z")
    assert list(jobs.perform(building.core, "monthly", by="operator"))[1:] == [
        "B: 3 new versions for 2024-01",
        "B: 3 new versions for 2023-12",
        "B: 3 new versions for 2023-11",
    ]
    assert [line.split(":")[1][:3] for line in list(jobs.perform(building.core, "monthly", by="operator"))[1:]] == [" 0 "] * 3


def test_units_on_the_register_where_the_factor_changes_inside_the_month(building):
    """Ten units before the change count single, ten after it double: 30 rated ones are 20 on the register."""
    building.flat("u")
    factors = ', factors = [["2020-01-01T00:00:00Z", "1"], ["2024-01-16T00:00:00Z", "2"]]'
    readings = [("2024-01-01T00:00:00Z", "0"), ("2024-01-16T00:00:00Z", "10"), ("2024-02-01T00:00:00Z", "20")]
    building.point("p", "u", "heat_allocation", *readings, parameters=factors)
    (said,) = building.open().said("u", "2024-01")
    assert (said.media[0].amount, said.media[0].raw, said.media[0].why_no_kwh) == (30, 20, "no_building_meter")


def test_hot_water_has_its_share_of_the_heat_that_warmed_it(building):
    """1 of 4 m³ is a quarter of the 200 kWh of the building's hot water meter; the meter of the heating is another one."""
    for unit, used in (("u", "1"), ("v", "3")):
        building.flat(unit)
        building.point(f"p{unit}", unit, "hot_water", *months(2024, 1, ["0", used]))
    building.point("heating", "", "heat", *months(2024, 1, ["0", "999"]))
    building.point("boiler", "", "hot_water", *months(2024, 1, ["0", "200"]), measures=("energy", "kWh"))
    building.open()
    (said,) = building.said("u", "2024-01")
    assert (said.media[0].amount, said.media[0].kwh, said.media[0].method) == (1, 50, "share_of_building_meter")


LACKING = {
    "the flat itself": {"u": [], "v": ["0", "3"], "": ["0", "200"]},
    "another flat": {"u": ["0", "1"], "v": [], "": ["0", "200"]},
    "the building's meter": {"u": ["0", "1"], "v": ["0", "3"], "": []},
    "any use": {"u": ["0", "0"], "v": ["0", "0"], "": ["0", "200"]},
}


@pytest.mark.parametrize("lacking", LACKING)
def test_nothing_is_shared_out_of_what_is_not_whole(building, lacking):
    """Without the month of one flat or of the building's meter, or without any use to share by, there are no kWh, and it is said why."""
    for unit, values in LACKING[lacking].items():
        if unit:
            building.flat(unit)
        readings = months(2024, 1, values or ["0"])
        building.point(f"p{unit}", unit, "hot_water", *readings, measures=None if unit else ("energy", "kWh"))
    building.open()
    (said,) = building.said("u", "2024-01")
    assert (said.media[0].kwh, said.media[0].method, said.media[0].why_no_kwh) == (None, None, "building_incomplete")


def test_estimates_are_stretches_of_the_holders_own_time(building):
    """Two gaps are two stretches, what was measured between them is none; one over the hand-over ends and begins at it."""
    building.flat("u", ("A", "2023-01-01", "2024-01-20T12:00:00Z"), ("B", "2024-01-20T12:00:00Z", None))
    readings = [*[(f"2024-01-{day:02d}T00:00:00Z", str(day)) for day in (1, 2, 5, 6, 7, 18, 24, 25)], ("2024-02-01T00:00:00Z", "32")]
    building.point("p", "u", "cold_water", *readings)
    building.text = building.text.replace('max_gap = "P40D"', 'max_gap = "P1D"')
    first, second = building.open().said("u", "2024-01")
    stretches = [[(one.start[8:13], one.end[8:13]) for one in said.media[0].estimates] for said in (first, second)]
    assert stretches == [[("02T00", "05T00"), ("07T00", "20T12")], [("20T12", "24T00"), ("25T00", "01T00")]]


def test_the_weather_is_of_heating_only_and_a_missing_meter_leaves_the_flat_incomplete(building):
    """Hot water is never corrected for the weather, though it is in kWh; a flat with a meter that says nothing in the month is incomplete, open, and has no sum."""
    building.flat("u", ("A", "2022-01-01", None))
    values = ["0", "100", *["150"] * 10, "230", "290"]
    for name, count in (("p", 14), ("q", 13)):
        building.point(name, "u", "hot_water", *months(2023, 1, values[:count]), measures=("energy", "kWh"))
    building.text += "".join(f'[[degree_days]]\nproperty = "b"\nmonth = "{year}-01"\nvalue = "500"\n' for year in (2023, 2024))
    (said,) = building.open().said("u", "2024-01")
    (water,) = said.media
    assert (water.same_month_last_year.kwh, water.last_year_climate_corrected_kwh) == (200, None)
    assert (water.amount, water.quality, water.state, "no_data" in water.flags) == (None, "incomplete", "open", True)


def test_the_state_of_the_month_is_told(building, clock):
    """What may still change says so; another version says that it is final."""
    building.flat("u")
    building.point("p", "u", "cold_water", *months(2024, 1, ["0", "10", "20"]))
    clock("2024-02-02T00:00:00Z")
    building.open()
    (said,) = building.said("u", "2024-01")
    assert said.media[0].state == "provisional"
    clock("2024-06-02T00:00:00Z")
    building.core.rollup()
    (said,) = building.said("u", "2024-01")
    assert said.media[0].state == "final"
    assert building.get("u/information/2024-01").json()["version"] == 2


def test_showing_publishes_nothing(building):
    """Without --publish the command shows what is published, or says that nothing is."""
    building.flat("u")
    building.point("p", "u", "cold_water", *months(2024, 1, ["0", "10"]))
    building.open()
    with pytest.raises(SubmeterError, match="nothing is published for u in 2024-01"):
        building.do("information", unit="u", month="2024-01")
    assert building.get("u/information/2024-01").status_code == 404
    building.do("information", unit="u", month="2024-01", publish=True)
    building.hear("AAA-00000001-01-07", "cold_water", ("2024-02-01T00:00:00Z", "11"))
    assert any("cold_water: 10 m3" in line for line in building.do("information", unit="u", month="2024-01"))


def test_what_was_published_stands_when_its_readings_are_deleted(building, clock):
    """After retention the parts of a hand-over month cannot be computed again: no version takes the place of the published one."""
    building.flat("u", ("A", "2023-01-01", "2024-02-11T12:00:00Z"), ("B", "2024-02-11T12:00:00Z", None))
    readings = [(f"2024-{month:02d}-{day:02d}T00:00:00Z", str(month * 30 + day)) for month in range(1, 13) for day in (1, 11, 21)]
    building.point("p", "u", "cold_water", *readings)
    building.open()
    before = building.said("u", "2024-02")
    building.core.rollups.retain(Limits(readings=30, hour=30, day=30), now=now())
    with pytest.raises(SubmeterError, match="are deleted, so what was published stands"):
        building.said("u", "2024-02")
    clock("2024-03-06T00:00:00Z")
    assert list(jobs.perform(building.core, "monthly", by="operator"))[1] == (
        "B: 0 new versions for 2024-02; 2 left as they were: what they were made from is deleted"
    )
    assert [information.Monthly.model_validate_json(one.body) for one in building.core.registry.information.of("u", "2024-02")] == before


def test_a_holder_whom_no_reading_reaches_has_no_use(building):
    """Before the first and after the last reading nothing is known of a part of a month, not even that it is nothing."""
    building.flat("u", ("A", "2023-01-01", "2024-01-10"), ("B", "2024-01-10", "2024-02-20"), ("C", "2024-02-20", None))
    building.point("p", "u", "cold_water", ("2024-01-10T00:00:00Z", "0"), ("2024-02-20T00:00:00Z", "41"))
    first, second = building.open().said("u", "2024-01")
    third, fourth = building.said("u", "2024-02")
    assert [(said.media[0].amount, said.media[0].flags) for said in (first, second, third, fourth)] == [
        (None, ["no_data"]),
        (22, []),
        (19, []),
        (None, ["no_data"]),
    ]
