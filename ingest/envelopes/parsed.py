"""Values that a gateway decoded itself: JSON of wmbusmeters and of ESPHome's `as_json` (ingest/FORMATS.md 1).

Strategy: a message becomes one telegram of link `parsed`, whose bytes are the few fields that we use, so that it can wait in quarantine and be taken later.
Rules: only registers whose name is the same with every driver are taken; values of a set day have no reliable date here and are left out. The time is that
of decoding, not of reception. Numbers stay as they were written.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, instant, level
from submeter.ingest.errors import BadPayload
from submeter.reading import Register

__all__ = ["FIELDS", "WMBUSMETERS", "Values", "told_bytes", "values_of"]

#: Field → register of the dictionary.
FIELDS: Final[Mapping[str, Register]] = {
    "total_m3": Register("volume", "m3"),
    "total_volume_m3": Register("volume", "m3"),
    "total_energy_consumption_kwh": Register("energy", "kWh"),
    "current_consumption_hca": Register("hca", "hca"),
    "power_kw": Register("power", "kW"),
    "volume_flow_m3h": Register("flow", "m3/h"),
}
#: No dial shows more canonical units.
LARGEST: Final = 10**10
_ID: Final = re.compile(r"[0-9]{8}")


class Values(NamedTuple):
    """What a telegram of link `parsed` says: a meter (its eight digits, or as the directory names it), and values by register."""

    id: str
    values: Mapping[Register, Decimal]


def _parse(payload: Payload) -> Envelope:
    document = payload.fields
    identity = document["id"]
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise BadPayload("bad_field", "id: eight digits are needed")
    told = {register: Decimal(str(document[name])) for name, register in FIELDS.items() if _is_number(document.get(name))}
    if not told:
        raise BadPayload("no_values", f"none of the fields that are used: {', '.join(FIELDS)}")
    time = document.get("timestamp")
    heard = Heard(
        told_bytes(identity, told), "parsed", "wmbusmeters", instant(time) if isinstance(time, str) else None, **level(document.get("rssi_dbm"))
    )
    return Envelope("wmbusmeters", (heard,))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def told_bytes(meter: str, values: Mapping[Register, Decimal]) -> bytes:
    """The bytes of a `parsed` telegram."""
    return msgspec.json.encode({"id": meter, "values": {f"{register.name} {register.unit}": str(value) for register, value in values.items()}})


def values_of(raw: bytes) -> Values:
    """What the bytes of a `parsed` telegram say; raises BadPayload."""
    try:
        told = msgspec.json.decode(raw)
        values = {Register(*name.split(" ")): Decimal(value) for name, value in told["values"].items()}
        beyond = next((f"{value} is more {register.unit} than any dial shows" for register, value in values.items() if abs(value) > LARGEST), None)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise BadPayload("bad_field", f"no values as a gateway told them: {error}") from error
    if beyond:
        raise BadPayload("bad_field", beyond)
    return Values(told["id"], values)


WMBUSMETERS: Final = Format("wmbusmeters", lambda payload: {"meter", "media", "id"} <= payload.fields.keys(), _parse)
