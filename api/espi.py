"""Rows of many series as an ESPI feed (NAESB REQ.21, Green Button): an Atom feed of UsagePoint, MeterReading, ReadingType and IntervalBlock, a part at a time.

A usage point is a metering point, a meter reading a series of it. Values are whole numbers of 1e-6 of the unit, or 1e-3 where ESPI has the thousandth of ours (Wh
of kWh), so that nothing is rounded. What ESPI has no code for, as allocator units, has uom 0 (not applicable) and its name in the titles. A row whose value is
unknown is left out: ESPI has no null. Instants are seconds of Unix, the length of each interval is its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape

from submeter import civil
from submeter.api.bulk_stretch import Stretch
from submeter.reading import FLAGS, QUALITIES
from submeter.store.published import NULL

__all__ = ["ESPI", "espi"]

ESPI: Final = "application/atom+xml"
ROOT: Final = "/espi/1_1/resource"
#: Rows of an interval block.
SOME: Final = 2_000
#: Service and commodity of a class of points.
CLASSES: Final[Mapping[str, tuple[int, int]]] = {
    "cold_water": (2, 9), "hot_water": (2, 9), "heat": (5, 12), "heat_allocation": (5, 12), "cooling": (6, 13), "energy": (0, 1),
}  # fmt: skip
#: Unit of measure, power of ten of a micro unit in it, and kind of measurement, by UCUM code; others have NONE.
UOMS: Final[Mapping[str, tuple[int, int, int]]] = {
    "m3": (42, -6, 0), "kW.h": (72, -3, 12), "kW": (38, -3, 37), "m3/h": (125, -6, 155), "Cel": (23, -6, 0), "kvar.h": (73, -3, 12), "kV.A.h": (71, -3, 12),
    "kvar": (63, -3, 37), "kVA": (61, -3, 37), "V": (29, -6, 54), "A": (5, -6, 4), "Hz": (33, -6, 15),
}  # fmt: skip
NONE: Final = (0, -6, 0)
#: Qualities of rows (API 12), and that of rows on a substitute.
QUALITY: Final[Mapping[str, int]] = {"measured": 17, "estimated": 9, "incomplete": 10}
SUBSTITUTE: Final = 8
SUBSTITUTED: Final = 1 << FLAGS.index("substitute")
#: Longest interval of hours and days, and their length and time attribute; longer ones are months up to 32 days, then years.
LENGTHS: Final = ((2 * civil.HOUR, 3600, 7), (26 * civil.HOUR, 86_400, 11), (32 * civil.DAY, None, 13))


def espi(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """The feed in parts; the entry of a usage point comes before those of its series."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><id>{_urn(ROOT)}</id><title>submeter</title><updated>{made}</updated>\n'
    yield head.encode()
    told: set[str] = set()
    for one in stretches:
        if one.shown.point.id not in told:
            told.add(one.shown.point.id)
            yield _usage_point(one, made).encode()
        yield (_meter_reading(one, made) + _reading_type(one, made)).encode()
        for number, first in enumerate(range(0, len(one.points), SOME), 1):
            yield _block(one, one.points[first : first + SOME].tolist(), number, made).encode()
    yield b"</feed>\n"


def _usage_point(one: Stretch, made: str) -> str:
    service, _ = CLASSES[one.shown.point.quantity]
    content = f'<UsagePoint xmlns="http://naesb.org/espi"><ServiceCategory><kind>{service}</kind></ServiceCategory></UsagePoint>'
    title = f"{one.seen.unit.id} {one.shown.point.id} {one.shown.point.label}"
    return _entry(_point(one), title, content, made, f"{_point(one)}/MeterReading")


def _meter_reading(one: Stretch, made: str) -> str:
    content = '<MeterReading xmlns="http://naesb.org/espi"/>'
    return _entry(_reading(one), " ".join(one.words), content, made, f"{_reading(one)}/IntervalBlock", _type(one))


def _reading_type(one: Stretch, made: str) -> str:
    *_, uom = one.words
    (code, power, kind), (_, commodity) = UOMS.get(uom, NONE), CLASSES[one.shown.point.quantity]
    first = one.points[0]
    length, attribute = next(((length, attribute) for most, length, attribute in LENGTHS if first["end"] - first["start"] <= most), (None, 0))
    said = {
        "accumulationBehaviour": 6 if one.is_gauge else 4,
        "commodity": commodity,
        "dataQualifier": 2 if one.is_gauge else 12,
        "flowDirection": 1,
        "intervalLength": length,
        "kind": kind,
        "powerOfTenMultiplier": power,
        "timeAttribute": attribute,
        "uom": code,
    }
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in said.items() if value is not None)
    return _entry(
        _type(one), f"{one.shown.series.register.name} in {uom}", f'<ReadingType xmlns="http://naesb.org/espi">{fields}</ReadingType>', made
    )


def _block(one: Stretch, rows: list[tuple[Any, ...]], number: int, made: str) -> str:
    start, end = rows[0][0], rows[-1][1]
    readings = "".join(_interval(row) for row in rows if row[2] != NULL)
    content = f'<IntervalBlock xmlns="http://naesb.org/espi"><interval>{_span(start, end)}</interval>{readings}</IntervalBlock>'
    return _entry(f"{_reading(one)}/IntervalBlock/{number}", "", content, made)


def _interval(row: tuple[Any, ...]) -> str:
    start, end, value, *_, flags, _coverage, _rev, quality, _state = row
    code = SUBSTITUTE if flags & SUBSTITUTED else QUALITY[QUALITIES[quality]]
    return (
        f"<IntervalReading><ReadingQuality><quality>{code}</quality></ReadingQuality>"
        f"<timePeriod>{_span(start, end)}</timePeriod><value>{value}</value></IntervalReading>"
    )


def _span(start: int, end: int) -> str:
    return f"<duration>{(end - start) // civil.SECOND}</duration><start>{start // civil.SECOND}</start>"


def _entry(path: str, title: str, content: str, made: str, *related: str) -> str:
    up = path.rpartition("/")[0]
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{up}"/>' + "".join(f'<link rel="related" href="{one}"/>' for one in related)
    dates = f"<published>{made}</published><updated>{made}</updated>"
    return f"<entry><id>{_urn(path)}</id>{links}<title>{escape(title.strip())}</title><content>{content}</content>{dates}</entry>\n"


def _urn(path: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, path)}"


def _point(one: Stretch) -> str:
    return f"{ROOT}/UsagePoint/{one.shown.point.id}"


def _reading(one: Stretch) -> str:
    return f"{_point(one)}/MeterReading/{one.shown.series.id}"


def _type(one: Stretch) -> str:
    return f"{ROOT}/ReadingType/{one.shown.series.id}"
