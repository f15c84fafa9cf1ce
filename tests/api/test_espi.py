"""The ESPI feed, read by the standard library's XML parser: the same rows and totals as the lines, with codes for units and quality."""

from collections import defaultdict
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from asking import ask
from test_bulk import QUERY, SCOPES, read
from test_information import Building, months

from submeter import civil
from submeter.api import espi
from submeter.reading import FLAGS, QUALITIES
from submeter.store import QUANTITIES

NAMES = {"a": "http://www.w3.org/2005/Atom", "e": "http://naesb.org/espi"}
#: What is one of our unit in that of the code: uom, how many.
OURS = {"m3": ("42", 1), "kW.h": ("72", 1000), "kW": ("38", 1000), "{hca}": ("0", 1)}


@pytest.fixture
def building(tmp_path):
    """Two flats: water in <A & B>, power and an allocator, heat; the last day of March has no reading."""
    found = Building(tmp_path)
    found.flat("u")
    found.flat("v")
    found.point("water", "u", "cold_water", *months(2023, 1, ["0", "1.5", "1.500001", "4"]))
    found.point("power", "u", "heat", ("2023-01-01T00:00:00Z", "1"), ("2023-01-01T01:00:00Z", "3"), measures=("power", "kW"))
    found.point("hca", "u", "heat_allocation", *months(2023, 1, ["0", "7", "9"]))
    found.point("heat", "v", "heat", *months(2023, 2, ["0", "1200.000001"]))
    found.text = found.text.replace('label = "water"', 'label = "<A & B>"')
    yield found.open()
    found.core.close()


class Feed:
    """A parsed feed: entries by path, and what they link to."""

    def __init__(self, content):
        self.entries = ET.fromstring(content).findall("a:entry", NAMES)
        self.by_path = {self.links(one, "self")[0]: one for one in self.entries}

    def links(self, entry, rel):
        return [link.get("href") for link in entry.findall("a:link", NAMES) if link.get("rel") == rel]

    def of(self, kind):
        """Paths and contents of a kind."""
        return {path: found for path, one in self.by_path.items() if (found := one.find(f"a:content/e:{kind}", NAMES)) is not None}

    def series(self):
        """Each meter reading: its usage point, its type as a mapping, its readings as (quality, start, duration, value)."""
        for path in self.of("MeterReading"):
            related = self.links(self.by_path[path], "related")
            kind = {one.tag.partition("}")[2]: one.text for one in self.of("ReadingType")[related[1]]}
            blocks = [block for where, block in self.of("IntervalBlock").items() if self.links(self.by_path[where], "up") == [related[0]]]
            yield path.split("/")[-3], kind, [_reading(one) for block in blocks for one in block.findall("e:IntervalReading", NAMES)]


def _reading(one):
    names = ("e:ReadingQuality/e:quality", "e:timePeriod/e:start", "e:timePeriod/e:duration", "e:value")
    return tuple(int(one.find(name, NAMES).text) for name in names)


def feed(building, **query):
    """The answer, parsed."""
    answer = ask(building, "bulk/consumption", scopes=SCOPES, accept=espi.ESPI, **{**QUERY, **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/atom+xml"
    return Feed(answer.content)


@pytest.mark.parametrize("resolution", ["PT1H", "P1D", "P1M", "P1Y"])
def test_the_feed_has_the_rows_and_totals_of_the_lines(building, resolution):
    """Every known value of the lines is there to the last micro-unit, with its instant, its length and its quality; nothing else is."""
    lines = defaultdict(dict)
    for line in read(building, resolution=resolution):
        lines[line["meter"]][civil.instant(line["start"]) // civil.SECOND] = line
    found = {meter: (kind, readings) for meter, kind, readings in feed(building, resolution=resolution).series()}
    assert set(found) == set(lines) == {"water", "power", "hca", "heat"}
    for meter, (kind, readings) in found.items():
        known = {start: line for start, line in lines[meter].items() if line["value"] is not None}
        code, many = OURS[next(iter(known.values()))["uom"]]
        scale = Decimal(10) ** int(kind["powerOfTenMultiplier"]) / many
        assert kind["uom"] == code
        assert {start: value * scale for _, start, _, value in readings} == {start: Decimal(str(line["value"])) for start, line in known.items()}
        ends = {start: start + duration for _, start, duration, _ in readings}
        assert ends == {start: civil.instant(line["end"]) // civil.SECOND for start, line in known.items()}
        assert [quality for quality, *_ in readings] == [espi.QUALITY[line["quality"]] for line in known.values()]
    assert sum(value for *_, value in found["water"][1]) == 4_000_000


def test_entries_are_linked_and_named(building):
    """One usage point a metering point with its service, ids that are stable and told once, titles with what XML must escape."""
    one, again = feed(building), feed(building)
    ids = [entry.find("a:id", NAMES).text for entry in one.entries]
    assert len(set(ids)) == len(ids)
    assert ids == [entry.find("a:id", NAMES).text for entry in again.entries]
    services = {path.rpartition("/")[2]: point.find("e:ServiceCategory/e:kind", NAMES).text for path, point in one.of("UsagePoint").items()}
    assert services == {"water": "2", "power": "5", "hca": "5", "heat": "5"}
    titles = [one.by_path[path].find("a:title", NAMES).text for path in one.of("UsagePoint")]
    assert "u water <A & B>" in titles
    assert [one.links(one.by_path[path], "related") for path in one.of("UsagePoint")] == [[f"{path}/MeterReading"] for path in one.of("UsagePoint")]
    for meter, kind, _ in one.series():
        assert (kind["accumulationBehaviour"], kind["dataQualifier"]) == (("6", "2") if meter == "power" else ("4", "12"))


def test_blocks_are_written_in_parts(building, monkeypatch):
    """However few rows a block holds, the readings are the same."""
    whole = {meter: readings for meter, _, readings in feed(building, resolution="PT1H").series()}
    monkeypatch.setattr(espi, "SOME", 7)
    assert {meter: readings for meter, _, readings in feed(building, resolution="PT1H").series()} == whole
    assert len(whole["water"]) > 2000


def test_qualities_follow_the_api():
    """Measured 17, estimated 9, incomplete 10; on a substitute 8, whatever else it is (API 12)."""
    assert [espi.QUALITY[name] for name in QUALITIES] == [17, 9, 10]
    row = (0, 3_600_000_000, 5, 5, 5, 0, 0, 1, 1 << FLAGS.index("substitute"), 0, 1, 1, 1)
    assert "<quality>8</quality>" in espi._interval(row)
    assert "<quality>9</quality>" in espi._interval((*row[:8], 0, *row[9:]))
    assert set(espi.CLASSES) == set(QUANTITIES)


def test_a_range_without_rows_is_an_empty_feed(building):
    """Well formed, without entries."""
    assert feed(building, **{"from": "2020-01-01", "to": "2020-02-01"}).entries == []
