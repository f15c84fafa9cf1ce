"""Lines of rtl_wmbus and of the firmwares that imitate it: ``[algorithm;]MODE;CRC;3OF6;TIME;LEVEL;…;ID;0xFRAME`` (ingest/FORMATS.md 1, 2 rule 5).

Rules: both check columns must be 1, else the bytes are kept as `bad_crc` and never decoded; the time is UTC, with or without a `Z`, or empty;
the level is dBm below zero and the receiver's own scale otherwise; the frame is the first column from the seventh on that starts with 0x,
and the receiver has taken its CRCs away. A message may hold several lines; each stands for itself.
"""

import re
from datetime import UTC
from typing import Any, Final

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, instant, level, refused, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["RTL_WMBUS"]

_HEAD: Final = re.compile(rb"(?:\w+;)?(?=[TCSR]\d;[01];[01];)")
_NUMBER: Final = re.compile(r"-?\d{1,5}(\.\d+)?")


def _sniff(payload: Payload) -> bool:
    return _HEAD.match(payload.text) is not None


def _parse(payload: Payload) -> Envelope:
    return Envelope("rtl_wmbus", tuple(_heard(line) for line in payload.text.splitlines() if line.strip()))


def _heard(line: bytes) -> Heard:
    known: dict[str, Any] = {}
    try:
        columns = _columns(line)
        known = _remarks(columns)
        raw = _frame(columns)
    except BadPayload as error:
        return refused(line, error, **known)
    return Heard(raw, form="nocrc", **known)


def _columns(line: bytes) -> list[str]:
    head = _HEAD.match(line)
    if head is None:
        raise BadPayload("bad_line", "does not start with MODE;CRC;3OF6;")
    return line[head.end() :].decode("ascii", "replace").split(";")


def _remarks(columns: list[str]) -> dict[str, Any]:
    time, strength = (*columns, "", "")[3:5]
    known: dict[str, Any] = {"mode": columns[0], **level(float(strength) if _NUMBER.fullmatch(strength) else None)}
    return {**known, "gw_time": instant(time, zone=UTC)} if time else known


def _frame(columns: list[str]) -> bytes:
    if columns[1:3] != ["1", "1"]:
        raise BadPayload("bad_crc", "the receiver says that the CRC or the 3-of-6 code is wrong")
    for column in columns[6:]:
        if column[:2] in {"0x", "0X"}:
            return unhex(column[2:].strip())
    raise BadPayload("bad_line", "no column starts with 0x")


RTL_WMBUS: Final = Format("rtl_wmbus", _sniff, _parse)
