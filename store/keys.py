"""The import of meter keys: whose each key of a file is, then sealed into the registry.

Strategy: a file that gives only numbers is matched with the devices of the directory and those heard so far, which have the full identity.
Rules: an import is taken as a whole or not at all; a number that several devices have is a mistake, one that nobody has is left out and told; a key stays
sealed as it is when it is the same; the audit has one line, without keys. A key of eight bytes pins security mode 2, but
for the Diehl group, whose own cipher has such keys.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from submeter.decoders import DES_CBC
from submeter.reading import DeviceId
from submeter.store.directory import Report, shared_keys
from submeter.store.directory_fields import is_des
from submeter.store.errors import KeyFileError, VaultError
from submeter.store.key_files import KeyRow
from submeter.store.registry import Registry

__all__ = ["import_keys"]

UPSERT: Final = """
INSERT INTO devices (id, key_sealed, mode, whole) VALUES (?, ?, ?, 1)
ON CONFLICT (id) DO UPDATE SET key_sealed = excluded.key_sealed, mode = CASE WHEN 2 IN (devices.mode, excluded.mode) THEN excluded.mode ELSE devices.mode END
"""


def import_keys(registry: Registry, path: Path, rows: Iterable[KeyRow], heard: Iterable[DeviceId]) -> Report:
    """Seal the keys of `rows` for devices of the directory or of `heard`; KeyFileError has one line per mistake, VaultError if there is no master key."""
    if registry.vault is None:
        raise VaultError("there is no master key to seal meter keys with: make one with `submeter import FILE --new-master-key`")
    report = Report()
    with registry.writing() as db:
        before = {str(device.id): device.key for device in registry.devices()}
        for device, key in _resolved(rows, [*map(DeviceId.parse, before), *heard], report).items():
            what = "unchanged" if before.get(device) == key else "changed" if before.get(device) else "added"
            report.counts["device", what] += 1
            if what != "unchanged":
                db.execute(UPSERT, (device, registry.vault.seal(key, device), DES_CBC if is_des(device, len(key)) else None))
                report.differences.append(f"key of {device} {what}")
        report.warnings += shared_keys(registry)
        registry.record("operator", "keys.import", path.name, f"{report.changed} differences")
    return report


def _resolved(rows: Iterable[KeyRow], devices: Iterable[DeviceId], report: Report) -> dict[str, bytes]:
    """Keys by device id."""
    known = sorted({str(device) for device in devices})
    keys: dict[str, bytes] = {}
    mistakes = []
    for row in rows:
        found = [row.device] if row.device else list(filter(row.fits, known))
        if not found:
            report.warnings.append(f"{row.place}: {row.number} is not in the directory and was not heard yet: left out, import the file again later")
        elif len(found) > 1:
            mistakes.append(f"{row.place}: {row.number} may be {' or '.join(found)}: write the whole id")
        elif keys.setdefault(found[0], row.key) != row.key:
            mistakes.append(f"{row.place}: {found[0]} is there twice with different keys")
    if mistakes:
        raise KeyFileError("\n".join(mistakes))
    return keys
