"""Which announced entities can be used, and what their messages say (ingest/FORMATS.md 6).

Strategy: an entity names by a template where its value stands; its unit and the words of that place say which register it is. All usable entities of one topic are
one telegram of link `parsed`, with one time.
Rules: pure; no template is run: those of a few forms are read, filters of form (float, int, round) are passed over, so that the number counts as it was sent. Never
a guess: an unknown unit, a word that may mean another value than the meter's own (last month, maximum), or two entities that would be one register make an entity
unusable, with the reason.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from submeter.ingest.envelopes.core import Envelope, Heard, Payload, instant, level
from submeter.ingest.envelopes.discovery import Announced, announced
from submeter.ingest.envelopes.mapping import FACTORS, Value, numbers
from submeter.ingest.envelopes.parsed import told_bytes
from submeter.ingest.errors import BadPayload

__all__ = ["FALLBACK", "HOMEASSISTANT", "Entity", "announcement", "described", "judged"]

#: The name of the format.
HOMEASSISTANT: Final = "homeassistant"
#: A message that is refused for these reasons may be one of announced entities.
FALLBACK: Final = frozenset(("unknown_format", "no_values"))

_KEY: Final = r"[A-Za-z0-9_-]{1,64}"
_TEMPLATE: Final = re.compile(
    rf"\{{\{{\s*(?:value|value_json(?P<path>(?:\.{_KEY}|\['{_KEY}'\]|\[\"{_KEY}\"\])+))\s*(?:\|\s*(?:float|int|round\(\s*\d{{1,2}}\s*\))\s*)*\}}\}}"
)
_STEP: Final = re.compile(_KEY)
_WORD: Final = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z0-9]+")
_ID: Final = re.compile(r"[0-9]{8}")

COUNTERS: Final = frozenset(("volume", "energy", "energy_cooling", "hca"))
COUNTED: Final = frozenset(("total", "total_increasing"))
#: Words that leave a value what it is, …
PLAIN: Final = frozenset(
    ["total", "current", "consumption", "consumed", "meter", "reading", "counter", "index", "value", "state", "sensor", "now", "actual"]
)
#: … and those that a register's own place may have besides.
WORDS: Final[Mapping[str, frozenset[str]]] = {
    "volume": frozenset(["volume", "vol", "water", "cold", "hot", "warm", "gas", "m3", "l", "liter", "liters", "litre", "litres"]),
    "energy": frozenset(["energy", "heat", "heating", "thermal", "electricity", "import", "imported", "kwh", "mwh", "wh", "gj", "mj"]),
    "energy_cooling": frozenset(["energy", "cooling", "thermal", "kwh", "mwh", "wh", "gj", "mj"]),
    "power": frozenset(["power", "heat", "heating", "thermal", "electricity", "kw", "w"]),
    "flow": frozenset(["flow", "volume", "water", "rate", "m3h", "m3", "h", "l", "lh"]),
    "hca": frozenset(["hca", "heat", "cost", "allocator", "unit", "units"]),
    "temperature_flow": frozenset(["temperature", "temp", "flow", "forward", "supply", "inlet", "c"]),
    "temperature_return": frozenset(["temperature", "temp", "return", "outlet", "c"]),
}
#: Unit of the dictionary → the registers that may be meant, and words of which one must be there.
REGISTERS: Final[Mapping[str, tuple[tuple[str, frozenset[str]], ...]]] = {
    "m3": (("volume", frozenset()),),
    "kWh": (("energy", frozenset()), ("energy_cooling", frozenset(("cooling",)))),
    "kW": (("power", frozenset()),),
    "m3/h": (("flow", frozenset()),),
    "hca": (("hca", frozenset(("hca",))),),
    "°C": (("temperature_flow", frozenset(("flow", "forward", "supply", "inlet"))), ("temperature_return", frozenset(("return", "outlet")))),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """An announced entity and its value; None, and why, where it cannot be used."""

    told: Announced
    value: Value | None
    why: str = ""

    def __str__(self) -> str:
        """A line for a person: where it stands, which register of which meter it is, or why it cannot be used."""
        place = f"{self.told.name}  {self.told.state_topic}  {self.told.template or '{{ value }}'}"
        return f"{place[:200]}  {f'{self.value.register} in {self.value.unit}' if self.value else f'cannot be used: {self.why}'}"


@lru_cache(maxsize=2048)
def judged(entities: tuple[Announced, ...]) -> tuple[Entity, ...]:
    """Judge all entities whose values come under one topic."""
    alone = [_judged(one) for one in entities]
    named = defaultdict[str, set[Value]](set)
    for one in alone:
        if one.value is not None:
            named[one.value.register].add(one.value)
    meters = {one.told.meter for one in alone if one.value is not None}
    return tuple(_together(one, named, meters) for one in alone)


def announcement(source: str, topic: str | None, payload: bytes) -> Iterator[str]:
    """Lines for a person about one announcement."""
    try:
        entities = judged(announced(source, topic or "", payload))
    except BadPayload as error:
        yield f"an announcement that cannot be read, {error.reason}: {error.detail}"
        return
    yield from map(str, entities)
    if not entities:
        yield "no sensor is announced: what was, is taken back"


def _together(one: Entity, named: Mapping[str, set[Value]], meters: set[str]) -> Entity:
    if one.value is None:
        return one
    if len(meters) > 1:
        return Entity(one.told, None, f"several devices have their values under this topic: {', '.join(sorted(meters)[:3])}")
    if len(named[one.value.register]) > 1:
        return Entity(one.told, None, f"several entities of this topic may be its {one.value.register}")
    return one


def described(entities: tuple[Announced, ...], payload: Payload) -> Envelope:
    """What a message says of the entities whose values come under its topic; raises BadPayload."""
    usable = [(one.told, one.value) for one in judged(entities) if one.value is not None]
    if not usable:
        raise BadPayload(
            "no_usable_entity", f"{len(entities)} entities are announced for this topic; `submeter meters --announced` says why none can be used"
        )
    document = payload.document
    record = {"": payload.text[:100].decode(errors="replace")} if document is None else document
    values = dict(numbers(tuple(value for _, value in usable), record))
    if not values:
        raise BadPayload("no_values", f"none of {', '.join(told.template or '{{ value }}' for told, _ in usable)} has a value")
    gw_time, wall = _time(record.get("timestamp"))
    heard = Heard(told_bytes(_meter(record.get("id"), usable[0][0]), values), "parsed", HOMEASSISTANT, gw_time, wall, **level(record.get("rssi_dbm")))
    return Envelope(HOMEASSISTANT, (heard,))


def _meter(told: object, entity: Announced) -> str:
    """Eight digits in the message name the meter; other ids are the bridge's own, and the device that it announced counts."""
    identity = str(told) if isinstance(told, str | int) and not isinstance(told, bool) else ""
    return identity if _ID.fullmatch(identity) else entity.meter


def _time(told: object) -> tuple[int | None, datetime | None]:
    """The message's own time, as an instant or (without a zone) a wall clock; what is no time is passed over."""
    if not isinstance(told, str):
        return None, None
    try:
        moment = datetime.fromisoformat(told)
        return (instant(told), None) if moment.tzinfo else (None, moment)
    except (ValueError, BadPayload):
        return None, None


def _judged(told: Announced) -> Entity:
    form = _TEMPLATE.fullmatch((told.template or "{{ value }}").strip())
    if form is None:
        return Entity(told, None, f"its template is none of those that are read: {told.template[:80]}")
    keys = _STEP.findall(form["path"] or "")
    if objection := _objection(told):
        return Entity(told, None, objection)
    unit = unicodedata.normalize("NFKC", told.unit)
    place = keys or [told.state_topic.removesuffix("/state").rpartition("/")[2]]
    register = _register(FACTORS.get(unit or "hca", ("", 1))[0], _words(place))
    if register is None:
        return Entity(told, None, f"unit {told.unit!r} and place {'.'.join(place)!r} do not say for certain which register it is")
    if register in COUNTERS and told.state_class not in COUNTED:
        return Entity(told, None, f"a counter's state_class is total or total_increasing, not {told.state_class!r}")
    return Entity(told, Value(".".join(keys), register, unit or "hca"))


def _objection(told: Announced) -> str:
    if told.resets:
        return "it starts anew from time to time (last_reset): no index of a meter"
    return f"{told.device_class} is what a store holds, no index of a meter" if told.device_class.endswith("_storage") else ""


def _register(unit: str, words: frozenset[str]) -> str | None:
    """The one register of this unit whose place may have these words."""
    for register, one_of in REGISTERS.get(unit, ()):
        if words <= PLAIN | WORDS[register] and (not one_of or words & one_of):
            return register
    return None


def _words(place: Sequence[str]) -> frozenset[str]:
    return frozenset(word.lower() for key in place for word in _WORD.findall(key))
