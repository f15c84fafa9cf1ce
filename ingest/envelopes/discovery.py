"""What a bridge announces to Home Assistant: which values stand in which messages (ingest/FORMATS.md 6).

Strategy: an announcement (a retained message under ``homeassistant/…/config``) becomes the few texts that we use, so that they can be kept and judged anew by a later
release; whether an entity can be used is `entities.py`.
Rules: pure; long keys and abbreviated ones, ``~`` for the base topic; an announcement of one sensor, or of a device with several; other components are passed over;
an empty message takes the announcement back.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from submeter.ingest.envelopes.core import MAX_MESSAGE, decode_json
from submeter.ingest.errors import BadPayload

__all__ = ["PREFIX", "Announced", "announced", "is_announcement", "kept", "taken", "wants_retained"]

#: First level of the topics of announcements.
PREFIX: Final = "homeassistant"
#: Entities of one announcement, and characters of a text that is used.
MOST: Final = 200
LONGEST: Final = 1000
SHORT: Final[Mapping[str, str]] = {
    "state_topic": "stat_t", "value_template": "val_tpl", "unit_of_measurement": "unit_of_meas", "state_class": "stat_cla", "device_class": "dev_cla",
    "unique_id": "uniq_id", "last_reset_value_template": "lrst_val_tpl", "device": "dev", "components": "cmps", "platform": "p", "identifiers": "ids",
    "serial_number": "sn", "manufacturer": "mf", "model": "mdl",
}  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Announced:
    """An entity as its bridge announces it, "" where it says nothing.

    `meter` names the device: its serial number where that has eight digits, else its first identifier, else the topic of its state. These two are names among those of
    one broker, whose name stands before them.
    """

    name: str
    state_topic: str
    template: str
    unit: str
    state_class: str
    device_class: str
    resets: bool
    meter: str
    model: str


def is_announcement(topic: str | None) -> bool:
    """Whether messages of this topic announce entities."""
    return topic is not None and topic.startswith(f"{PREFIX}/") and topic.endswith("/config") and topic.count("/") in {3, 4}


def wants_retained(wanted: str) -> bool:
    """Whether a topic filter is one of announcements, of which the retained ones are wanted."""
    return wanted.startswith(f"{PREFIX}/") and wanted.rpartition("/")[2] in {"config", "#"}


def announced(source: str, topic: str, payload: bytes) -> tuple[Announced, ...]:
    """The sensors that a message of a source (a broker's name) announces, none if it takes them back; raises BadPayload."""
    if not payload.strip():
        return ()
    if len(payload) > MAX_MESSAGE:
        raise BadPayload("too_large", f"an announcement has at most {MAX_MESSAGE} bytes")
    told = decode_json(payload)
    if not isinstance(told, dict):
        raise BadPayload("bad_field", "an announcement is a JSON object")
    found = [_entity(source, topic, one) for one in _sensors(topic.split("/")[1], told)]
    if len(found) > MOST:
        raise BadPayload("too_many", f"{len(found)} entities; an announcement has at most {MOST}")
    return tuple(found)


def kept(entities: Sequence[Announced]) -> str:
    """Announced entities as a text."""
    return msgspec.json.encode(entities).decode()


def taken(text: str) -> tuple[Announced, ...]:
    """The entities of a text that `kept` made."""
    return msgspec.json.decode(text, type=tuple[Announced, ...])


def _sensors(component: str, told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if component == "sensor":
        yield told
    parts = _of(told, "components")
    if component == "device" and isinstance(parts, dict):
        common = {name: value for name, value in told.items() if name not in {"components", "cmps"}}
        yield from (common | part for part in parts.values() if isinstance(part, dict) and len(part) > 1 and _of(part, "platform") == "sensor")


def _entity(source: str, topic: str, told: Mapping[str, Any]) -> Announced:
    device = _of(told, "device")
    device = device if isinstance(device, dict) else {}
    state = _topic(_text(told, "state_topic"), _text(told, "~"))
    if not state:
        raise BadPayload("bad_field", "state_topic is missing")
    return Announced(
        name=_text(told, "unique_id") or _text(told, "name") or topic,
        state_topic=state,
        template=_text(told, "value_template"),
        unit=_text(told, "unit_of_measurement"),
        state_class=_text(told, "state_class"),
        device_class=_text(told, "device_class"),
        resets=_of(told, "last_reset_value_template") is not None,
        meter=_meter(device) or f"{source}:{_identifier(device) or state}",
        model=" ".join(filter(None, (_text(device, "manufacturer"), _text(device, "model")))),
    )


def _meter(device: Mapping[str, Any]) -> str:
    serial = _text(device, "serial_number")
    return serial if _NUMBER.fullmatch(serial) else ""


def _identifier(device: Mapping[str, Any]) -> str:
    identifiers = _of(device, "identifiers")
    first = identifiers[0] if isinstance(identifiers, list) and identifiers else identifiers
    return _printable(first)[:LONGEST]


def _topic(topic: str, base: str) -> str:
    """A topic with its base in the place of a ~ at its beginning or end."""
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def _text(told: Mapping[str, Any], name: str) -> str:
    """A text without control characters, which are shown to operators, "" for anything else; raises BadPayload for one of unlikely length."""
    value = _printable(_of(told, name))
    if len(value) > LONGEST:
        if name == "value_template":  # none that is read is so long; its beginning shows whose it is
            return value[:LONGEST]
        raise BadPayload("bad_field", f"{name} has {len(value)} characters")
    return value


def _printable(value: object) -> str:
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else ""


def _of(told: Mapping[str, Any], name: str) -> Any:
    return told.get(name, told.get(SHORT.get(name, name)))
