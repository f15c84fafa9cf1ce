"""What a Modbus device answered, as registers: the message of `[[modbus]]`, which others may send too (ingest/SERIAL.md 4).

Strategy: one read of one meter is one telegram of link `parsed` and form `modbus`, whose bytes are the registers as they came, with the name of their map. So they
can be read again once a map was corrected; what they say is found by ingest/modbus/registers.py.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload
from submeter.ingest.errors import BadPayload

__all__ = ["MODBUS", "Block", "Function", "Registers", "registers_bytes", "registers_of"]


#: What registers are read by: 3 holding, 4 input registers.
Function = Literal[3, 4]


class Block(msgspec.Struct, frozen=True):
    """Registers that stand together: the function that read them, the address of the first on the wire, and their bytes."""

    fc: Function
    at: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    hex: Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{4}){1,125}$")]


class Registers(msgspec.Struct, frozen=True):
    """One read: by which map, of which unit, `offset` as it is added to the map's addresses, `meter` as the directory names it ("": as the registers say)."""

    modbus: Literal[1]
    map: str
    read: Annotated[tuple[Block, ...], msgspec.Meta(min_length=1, max_length=100)]
    unit: int = 0
    offset: int = 0
    meter: str = ""


def registers_bytes(map_name: str, unit: int, offset: int, meter: str, read: Sequence[Block]) -> bytes:
    """The message of one read."""
    return msgspec.json.encode(Registers(1, map_name, tuple(read), unit, offset, meter))


def registers_of(raw: bytes) -> Registers:
    """What such bytes say; raises BadPayload."""
    try:
        return msgspec.json.decode(raw, type=Registers)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadPayload("bad_field", str(error)) from error


def _parse(payload: Payload) -> Envelope:
    registers_of(payload.text)
    return Envelope("modbus", (Heard(payload.text, "parsed", "modbus"),))


MODBUS: Final = Format("modbus", lambda payload: payload.fields.get("modbus") == 1 and "read" in payload.fields, _parse)
