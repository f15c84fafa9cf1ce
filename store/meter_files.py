"""Meter files of wmbusmeters as rows of identity and key: a folder such as /etc/wmbusmeters.d, or one file of it (its README, "meter files").

Rules: a file has lines ``name=``, ``id=`` and ``key=``; comments and other keys are passed over; an id may be a list, and may name the maker (``12345678.M=KAM``);
patterns (``*``) name no meter and are told; a meter without a key (``NOKEY``) needs none here; a key is never repeated in an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from submeter.store.errors import KeyFileError
from submeter.store.key_files import KEY, KeyRow

__all__ = ["is_meter_files", "read_meter_files"]

LARGEST: Final = 64 * 1024
NONE: Final = ("", "NOKEY")
#: Endings of directory files: their lines may look alike.
OURS: Final = frozenset((".toml", ".csv"))
#: A number, and what narrows it down: maker (M), version (V) and type (T), of which the maker is used.
ID: Final = re.compile(r"(?P<number>[0-9A-Fa-f]{8})(?P<more>(\.[MVT]=[0-9A-Za-z]+)*)")


def is_meter_files(path: Path) -> bool:
    """Tell whether this is such a file, or a folder that has one."""
    return any("id" in _fields(file) and "name" in _fields(file) for file in _files(path))


def read_meter_files(path: Path) -> tuple[list[KeyRow], str]:
    """Return a row for each meter that has a key, and a sentence on the others; KeyFileError names file and mistake."""
    rows: list[KeyRow] = []
    without, patterns = 0, []
    for file in _files(path):
        fields = _fields(file)
        if "id" not in fields:
            continue
        key = fields.get("key", "")
        if key.upper() in NONE:
            without += 1
            continue
        if not KEY.fullmatch(key):
            raise KeyFileError(f"{file.name}: the key is not 32 hex digits (it is not shown)")
        for identity in filter(None, fields["id"].split(",")):
            found = ID.fullmatch(identity.strip())
            if found is None:
                patterns.append(f"{file.name} ({identity})")
                continue
            makers = tuple(part[2:].upper() for part in found["more"].split(".") if part.startswith("M="))
            rows.append(KeyRow(file.name, None, found["number"].upper(), makers, bytes.fromhex(key)))
    told = "meter files of wmbusmeters" + f", {without} without a key" * bool(without)
    return rows, told + (f"; patterns are no meters: {', '.join(patterns)}" if patterns else "")


def _files(path: Path) -> Iterator[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in files if not file.name.startswith(".") and file.suffix.lower() not in OURS]
    yield from (file for file in files if file.is_file() and 0 < file.stat().st_size <= LARGEST)


def _fields(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
