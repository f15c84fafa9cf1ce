"""Lines of text that carry whole frames: rtl_433's CSV, the telegram log of wmbusmeters, CSV of Elvaco's collectors (ingest/FORMATS.md 1, 2).

Rules: a message may hold several lines, each stands for itself; a header line is passed over. A time without a zone is the gateway's own wall clock: it
is `Heard.wall`, and counts only where the configuration says in which zone the gateway stands.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, framed, refused, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["ELVACO", "RTL_433", "WMBUSMETERS_LOG"]

_HEX_FIELD: Final = re.compile(r"[0-9A-Fa-f]{23,}")
_ELVACO: Final = re.compile(rb"serial-number;|\d{4,};[0-9A-Za-z]{8,16};\d{4}-\d\d-\d\d")
_LOG: Final = "telegram=|"


def _each(name: str, heard: Callable[[str], Heard]) -> Callable[[Payload], Envelope]:
    """A parser of messages whose lines are telegrams."""

    def parse(payload: Payload) -> Envelope:
        lines = [line for line in payload.text.splitlines() if line.strip() and not line.startswith(b"serial-number;")]
        return Envelope(name, tuple(_one(line, heard) for line in lines))

    return parse


def _one(line: bytes, heard: Callable[[str], Heard]) -> Heard:
    try:
        return heard(line.decode("ascii"))
    except UnicodeDecodeError as error:
        return refused(line, BadPayload("bad_line", str(error)))
    except BadPayload as error:
        return refused(line, error)


def _wall(text: str) -> datetime | None:
    """A wall clock without a zone, None for what is none: the line's frame counts all the same."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _rtl_433(line: str) -> Heard:
    columns = line.split(",")
    found = [column for column in columns if _HEX_FIELD.fullmatch(column)]
    if len(found) != 1:
        raise BadPayload("bad_line", f"{len(found)} columns look like a frame; one is needed")
    return Heard(framed(unhex(found[0])), wall=_wall(columns[0]))


def _log(line: str) -> Heard:
    if not line.startswith(_LOG):
        raise BadPayload("bad_line", f"does not start with {_LOG}")
    return Heard(framed(unhex(line.removeprefix(_LOG).partition("|")[0].replace("_", ""))))


def _elvaco(line: str) -> Heard:
    columns = line.split(";")
    if len(columns) < 5:
        raise BadPayload("bad_line", "write serial;meter;time;number;hex")
    raw = unhex("".join(columns[4].split()))
    return Heard(framed(raw), link="mbus", form="userdata", wall=_wall(columns[2]))


RTL_433: Final = Format("rtl_433", lambda payload: b",Wireless-MBus," in payload.raw, _each("rtl_433", _rtl_433))
WMBUSMETERS_LOG: Final = Format("wmbusmeters_log", lambda payload: payload.text.startswith(_LOG.encode()), _each("wmbusmeters_log", _log))
ELVACO: Final = Format("elvaco_csv", lambda payload: _ELVACO.match(payload.text) is not None, _each("elvaco_csv", _elvaco))
