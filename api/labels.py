"""How an answer is shown: the language that is wanted, the label of each unit of measure, how many decimals, and which figure of a gauge.

Rules: `locale` of the query goes before Accept-Language, English is the rest; labels are text for people, `uom` (UCUM) is what programs read. Without
rating factors the tables hold what the register showed; with them they hold rated units alone, and raw ones are refused rather than guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from submeter import civil
from submeter.api.consumption import Shown
from submeter.api.negotiation import likes
from submeter.api.problems import Invalid
from submeter.config.languages import LOCALES, Locale
from submeter.config.words import day, words_of

__all__ = ["Statistic", "check_rated", "decimals_of", "label_of", "labelled", "locale_of", "written_date"]

Statistic = Literal["sum", "mean", "max"]
#: Languages that are read as another one: Norwegian under its other codes.
ALSO: Final = {"no": "nb", "nn": "nb"}
#: Labels of units as a language writes them that has no other word or sign, by the unit as the answer writes it (UCUM).
SYMBOLS: Final = {
    "m3": "m³", "kW.h": "kWh", "kW": "kW", "m3/h": "m³/h", "Cel": "°C", "K": "K", "%": "%", "kvar.h": "kvarh", "kV.A.h": "kVAh", "m3.Cel": "m³·°C",
    "kvar": "kvar", "kVA": "kVA", "bar": "bar", "V": "V", "A": "A", "Hz": "Hz", "h": "h", "kg": "kg", "1": "",
}  # fmt: skip
#: Decimals that a person is shown; those of other units are three.
DECIMALS: Final = {"{hca}": 2, "Cel": 2, "K": 2, "%": 1, "V": 1, "Hz": 2, "h": 0, "d": 0, "1": 0}
USUAL: Final = 3


def locale_of(asked: Locale | None, accepted: str) -> Locale:
    """The language of the labels: the one asked for, else the one of Accept-Language that is liked best, else English."""
    if asked:
        return asked
    liked: dict[str, float] = {}
    for name, weight in likes(accepted):
        language = name.split("-")[0]
        liked.setdefault(ALSO.get(language, language), weight)
    known = [name for name in ("en", *LOCALES) if liked.get(name)]
    return max(known, key=liked.__getitem__, default="en")


def label_of(uom: str, locale: Locale) -> str:
    """A unit of measure for a person; the UCUM code itself where there is no better one."""
    return words_of(locale).units.get(uom, SYMBOLS.get(uom, uom))


def decimals_of(uom: str) -> int:
    """How many decimals a person is shown."""
    return DECIMALS.get(uom, USUAL)


def check_rated(shown: Iterable[Shown], *, rated: bool) -> None:
    """Raises Invalid where raw units are asked for of a point with rating factors: the tables hold its rated units alone."""
    scaled = [one.point for one in shown if not rated and one.point.parameters.get("factors") and str(one.series.register) == one.point.registers[0]]
    if scaled:
        raise Invalid(
            "the published tables hold rated units alone where a point has rating factors: leave `rated` out, or ask for other quantities", "rated"
        )


def labelled(series: Mapping[str, Any], locale: Locale, statistic: Statistic | None, *, rated: bool) -> dict[str, Any]:
    """A series of the answer as it is shown: with labels, and with the figure that was asked for; raises Invalid where its kind has no such figure."""
    gauge = series["statistic"] == "mean"
    if statistic and (statistic == "sum") == gauge:
        have = "mean and max" if gauge else "sum"
        raise Invalid(f"{series['quantity']} has {have}, not {statistic}", "statistic")
    shown = {"uom_label": label_of(series["uom"], locale), "decimals": decimals_of(series["uom"])}
    allocator = {"rated": rated} if series["class"] == "heat_allocation" else {}
    points = _maxima(series["points"]) if statistic == "max" else series["points"]
    return {**series, **shown, **allocator, "statistic": statistic or series["statistic"], "points": points}


def _maxima(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of a gauge with their maximum as the value; one that is unknown stays so."""
    return [{**point, "value": point.get("max")} for point in points]


def written_date(locale: str, zone: str, at: int) -> str:
    """The local date of an instant (µs UTC) as it is written in a language."""
    return day(locale, civil.to_local(zone, at).date())
