"""The directory import: managers, properties, units, points, devices with their keys, assignments and occupancies into the registry.

Strategy: read all, check all, then one transaction that writes what differs; a second import of the same files changes nothing.
Rules: an import is taken as a whole or not at all, with every mistake told at once; what the files do not name stays as it is; a key left out stays too;
references are ids, or names where only one thing is called so; periods are half-open; keys are sealed before they are written, and never shown.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from submeter import civil
from submeter.store.directory_fields import Row, parsed, secured
from submeter.store.directory_files import FILES, Entry, read_entries
from submeter.store.errors import DirectoryError, VaultError
from submeter.store.registry import Registry, new_id
from submeter.store.registry_types import QUANTITIES
from submeter.store.sql import Connection, upsert

__all__ = ["OF_MANAGERS", "Report", "adopt", "import_directory", "import_entries", "shared_keys"]


Check = Callable[[Registry], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Where a kind of entry is kept: its table, its key and its other columns."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]


TABLES: Final[Mapping[str, Table]] = {
    "manager": Table("managers", ("id",), ("name",)),
    "property": Table("properties", ("id",), ("manager", "name", "zone", "year_start", "finest", "hours_kept", "days_kept")),
    "unit": Table("units", ("id",), ("property", "label", "entrance")),
    "point": Table("points", ("id",), ("property", "unit", "quantity", "label", "registers", "parameters")),
    "device": Table("devices", ("id",), ("key_sealed", "mode", "whole")),
    "assignment": Table("assignments", ("point", "since"), ("device", "until", "start_value", "end_value")),
    "occupancy": Table("occupancies", ("unit", "since"), ("name", "until")),
    "degree_days": Table("degree_days", ("property", "month"), ("value",)),
}
#: What a thing without an id is known by, and the prefix of the random id that it gets.
NATURAL: Final[Mapping[str, tuple[str, ...]]] = {
    "manager": ("name",),
    "property": ("manager", "name"),
    "unit": ("property", "label"),
    "point": ("property", "unit", "quantity", "label"),
}
PREFIXES: Final = {"manager": "c_", "property": "b_", "unit": "u_", "point": "m_"}
#: How a thing may be called in a reference instead of its id.
CALLED: Final = {"manager": "name", "property": "name", "unit": "label", "point": "label"}
REFERENCES: Final = ("manager", "property", "unit", "point")
OVERLAPS: Final = {
    "assignment": """
      SELECT b.point, b.since, 'point ' || b.point || ' has ' || a.device || ' until then: end that assignment first' FROM assignments a
      JOIN assignments b ON a.point = b.point AND a.since < b.since AND (a.until IS NULL OR a.until > b.since)""",
    "occupancy": """
      SELECT b.unit, b.since, 'unit ' || b.unit || ' is occupied until then: end that occupancy first' FROM occupancies a
      JOIN occupancies b ON a.unit = b.unit AND a.since < b.since AND (a.until IS NULL OR a.until > b.since)""",
}
TWO_PLACES: Final = """
SELECT b.point, b.since, b.device, a.point, q.registers, p.registers FROM assignments a
JOIN assignments b ON a.device = b.device AND (a.since, a.point) < (b.since, b.point) AND a.point <> b.point AND (a.until IS NULL OR a.until > b.since)
JOIN points p ON p.id = a.point JOIN points q ON q.id = b.point"""
UNKNOWN_DEVICE: Final = "SELECT 1 FROM devices WHERE id = ?"
#: Devices whose assignments are all of one manager; one without any is that manager's who is alone.
OWN_DEVICE: Final = """
SELECT 1 FROM devices d WHERE d.id = :device
  AND NOT EXISTS (SELECT 1 FROM assignments a JOIN points p ON p.id = a.point JOIN properties r ON r.id = p.property
                  WHERE a.device = d.id AND r.manager <> :manager)
  AND (EXISTS (SELECT 1 FROM assignments a WHERE a.device = d.id) OR NOT EXISTS (SELECT 1 FROM managers WHERE id <> :manager))
"""
#: Kinds that a manager may write by itself: no points, no devices, no keys.
OF_MANAGERS: Final = ("property", "unit", "assignment", "occupancy")


@dataclass(slots=True)
class Report:
    """What an import did: counts by kind and difference, one line per difference, and warnings."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many things were added or changed."""
        return len(self.differences)

    def lines(self) -> Iterator[str]:
        """Yield the differences, the warnings and the counts, without keys."""
        yield from self.differences
        yield from (f"warning: {warning}" for warning in self.warnings)
        for kind in FILES:
            told = [f"{self.counts[kind, what]} {what}" for what in ("added", "changed", "removed", "unchanged") if self.counts[kind, what]]
            if told:
                yield f"{kind}: {', '.join(told)}"


def import_directory(registry: Registry, path: Path, check: Check = lambda _registry: ()) -> Report:
    """Bring the registry up to a TOML file or a folder of CSV files; DirectoryError has one line per mistake, and then nothing is changed.

    `check` looks at the registry as it would be and adds mistakes of its own.
    """
    return _taken(registry, read_entries(path), check, by="operator", subject=path.name)


def adopt(registry: Registry, device: str, point: str, since: str, key: str | None = None, check: Check = lambda _registry: ()) -> Report:
    """Take a device that was heard into the directory, as that of a point (its id or label) from a date or instant on; DirectoryError as above.

    `key` is in hex digits; without one the key that is there stays.
    """
    place = f"meters --adopt {device}"
    entries = [
        Entry("device", place, {"id": device, **secured(device, key)}),
        Entry("assignment", place, {"point": point, "device": device, "from": since}),
    ]
    return _taken(registry, entries, check, by="operator", subject=device)


def import_entries(registry: Registry, entries: Iterable[Entry], manager: str, *, by: str, check: Check = lambda _registry: ()) -> Report:
    """Bring the properties, units, assignments and occupancies of one manager up to these entries; DirectoryError as above.

    What is another manager's is as if it were not there: it is neither found, nor changed, nor shown.
    """
    whole = [replace(one, values={"manager": manager, **one.values}) if one.kind == "property" else one for one in entries]
    return _taken(registry, whole, check, by=by, subject=f"manager:{manager}", manager=manager)


def _taken(registry: Registry, entries: Sequence[Entry], check: Check, *, by: str, subject: str, manager: str | None = None) -> Report:
    order = list(FILES)
    entries = sorted(entries, key=lambda entry: order.index(entry.kind))
    rows = [parsed(entry) for entry in entries]
    _refuse(mistake for _, mistakes in rows for mistake in mistakes)
    with registry.writing() as db:
        report = _Import(registry, db, manager).run([(entry, row) for entry, (row, _) in zip(entries, rows, strict=True)])
        _refuse(check(registry))
        registry.record(by, "directory.import", subject, f"{report.changed} differences")
    return report


class _Import:
    """One import inside its transaction; of one `manager`, if there is one, who sees and changes nothing of others."""

    def __init__(self, registry: Registry, db: Connection, manager: str | None) -> None:
        self._registry = registry
        self._db = db
        self._manager = manager
        self._foreign: set[tuple[str, str]] = set()
        self._report = Report()
        self._mistakes: list[str] = []
        self._places: dict[tuple[str, tuple[Any, ...]], str] = {}
        self._ids: dict[tuple[str, tuple[Any, ...]], str] = {}
        self._called: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._things: dict[tuple[str, str], Row] = {}
        for kind in NATURAL:
            columns = ("id", *TABLES[kind].columns)
            for values in db.execute(f"SELECT {', '.join(columns)} FROM {TABLES[kind].name}"):  # noqa: S608 - names of the table above
                row = dict(zip(columns, values, strict=True))
                if self._own(kind, row):
                    self._know(kind, row)
                else:
                    self._foreign.add((kind, row["id"]))

    def run(self, entries: Iterable[tuple[Entry, Row]]) -> Report:
        for entry, row in entries:
            try:
                self._take(entry, row)
            except (LookupError, ValueError, OverflowError, civil.CivilError) as error:
                self._mistakes.append(f"{entry.place}: {error.args[0]}")
        for kind, query in OVERLAPS.items():
            self._mistakes += [f"{self._place(kind, (of, since))}: from: {said}" for of, since, said in self._db.execute(query)]
        self._mistakes += self._measured_twice()
        _refuse(self._mistakes)
        self._report.warnings += shared_keys(self._registry)
        return self._report

    def _measured_twice(self) -> Iterator[str]:
        """One register of a device cannot belong to two points at a time."""
        for point, since, device, other, own, others in self._db.execute(TWO_PLACES):
            for register in sorted(set(own.split()) & set(others.split())):
                yield (
                    f"{self._place('assignment', (point, since))}: device: {device} measures {register} at {other} in this time: "
                    "end that assignment, or name other registers"
                )

    def _take(self, entry: Entry, row: Row) -> None:
        resolved = self._sealed(row) if entry.kind == "device" else self._resolved(entry.kind, row)
        if entry.kind in NATURAL:
            natural = tuple(resolved[name] for name in NATURAL[entry.kind])
            resolved["id"] = resolved["id"] or self._ids.get((entry.kind, natural)) or new_id(PREFIXES[entry.kind])
            if (entry.kind, resolved["id"]) in self._foreign:
                raise LookupError(f"id: {resolved['id']} cannot be used here: choose another, or leave it out to get a random one")
            self._know(entry.kind, resolved)
        key = tuple(resolved[name] for name in TABLES[entry.kind].key)
        if (entry.kind, key) in self._places:
            raise LookupError(f"is there twice, also at {self._places[entry.kind, key]}: give each an id or a label of its own")
        self._places[entry.kind, key] = entry.place
        if resolved.get("remove"):
            self._remove(entry.kind, key)
        else:
            self._write(entry.kind, key, tuple(resolved[name] for name in TABLES[entry.kind].columns))

    def _resolved(self, kind: str, row: Row) -> Row:
        """Ids for references, instants for dates, and what follows from other fields."""
        resolved = row | {name: self._reference(name, row[name]) for name in REFERENCES if row.get(name) is not None}
        if kind == "point":
            return resolved | self._place_of_point(resolved)
        if kind == "assignment":
            self._check_device(row["device"])
        if "from" in row:
            zone = self._zone(resolved)
            resolved |= {"since": _instant(zone, row["from"]), "until": _instant(zone, row["to"])}
            if resolved["until"] is not None and resolved["until"] <= resolved["since"]:
                raise LookupError("to: is not after from; the end itself does not belong to the period")
        return resolved

    def _check_device(self, device: str) -> None:
        if self._manager is None and not self._db.execute(UNKNOWN_DEVICE, (device,)).fetchone():
            raise LookupError(f"device: there is no device {device}: add it to the devices")
        if self._manager is not None and not self._db.execute(OWN_DEVICE, {"device": device, "manager": self._manager}).fetchone():
            raise LookupError(f"device: there is no device {device} of yours: the operator imports it and assigns it first")

    def _own(self, kind: str, row: Row) -> bool:
        """Whether a thing of the registry may be seen and changed by this import."""
        if self._manager is None:
            return True
        if kind in {"manager", "property"}:
            return bool(row["id" if kind == "manager" else "manager"] == self._manager)
        return ("property", row["property"]) in self._things

    def _place_of_point(self, row: Row) -> Row:
        building = self._things["unit", row["unit"]]["property"] if row["unit"] else row["property"]
        if building is None:
            raise LookupError("unit: is missing: write the unit, or the property for a point of the building")
        if row["property"] not in {None, building}:
            raise LookupError(f"property: the unit {row['unit']} is in {building}: leave the property out")
        return {"property": building, "registers": row["registers"] or QUANTITIES[row["quantity"]]}

    def _zone(self, row: Row) -> str:
        place = self._things["unit", row["unit"]] if "unit" in row else self._things["point", row["point"]]
        return str(self._things["property", place["property"]]["zone"])

    def _reference(self, kind: str, written: str) -> str:
        if (kind, written) in self._things:
            return written
        found = self._called[kind, written]
        if len(found) != 1:
            raise LookupError(f"{kind}: {f'several are called {written!r}: write the id' if found else f'there is no {kind} {written!r}'}")
        return next(iter(found))

    def _sealed(self, row: Row) -> Row:
        """A key stays as it is sealed if it is left out or the same; else it is sealed anew."""
        stored = self._db.execute("SELECT key_sealed FROM devices WHERE id = ?", (row["id"],)).fetchone()
        sealed, vault, key = stored[0] if stored else None, self._registry.vault, row["key"]
        if key is None:
            return row | {"key_sealed": sealed}
        if vault is None:
            raise VaultError(
                "the directory holds meter keys and there is no master key to seal them: make one with `submeter import FILE --new-master-key`"
            )
        try:
            same = sealed is not None and vault.open(sealed, row["id"]) == key
        except VaultError:
            same = False
        return row | {"key_sealed": sealed if same else vault.seal(key, row["id"])}

    def _know(self, kind: str, row: Row) -> None:
        self._things[kind, row["id"]] = row
        self._ids[kind, tuple(row[name] for name in NATURAL[kind])] = row["id"]
        self._called[kind, row[CALLED[kind]]].add(row["id"])

    def _remove(self, kind: str, key: tuple[Any, ...]) -> None:
        table = TABLES[kind]
        where = " AND ".join(f"{name} = ?" for name in table.key)
        if not self._db.execute(f"DELETE FROM {table.name} WHERE {where}", key).rowcount:  # noqa: S608 - our own names
            raise LookupError(f"remove: there is no {kind} {_shown(key)}: `from` must be the one that was imported")
        self._report.counts[kind, "removed"] += 1
        self._report.differences.append(f"{kind} {_shown(key)} removed")

    def _write(self, kind: str, key: tuple[Any, ...], values: tuple[Any, ...]) -> None:
        table = TABLES[kind]
        where = " AND ".join(f"{name} = ?" for name in table.key)
        before = self._db.execute(f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}", key).fetchone()  # noqa: S608 - our own names
        if before == values:
            self._report.counts[kind, "unchanged"] += 1
            return
        self._db.execute(upsert(table.name, ", ".join(table.key), ", ".join(table.columns)), key + values)
        what = "changed" if before else "added"
        self._report.counts[kind, what] += 1
        shown = [name for name, old, new in zip(table.columns, before, values, strict=True) if old != new] if before else []
        self._report.differences.append(" ".join([kind, _shown(key), what, *shown]))

    def _place(self, kind: str, key: tuple[Any, ...]) -> str:
        return self._places.get((kind, key), f"{kind} {_shown(key)} of an earlier import")


def _refuse(mistakes: Iterable[str]) -> None:
    lines = list(mistakes)
    if lines:
        raise DirectoryError("\n".join(lines))


def _instant(zone: str, written: int | date | None) -> int | None:
    return civil.midnight(zone, written) if isinstance(written, date) else written


def _shown(key: tuple[Any, ...]) -> str:
    return " ".join(civil.iso(part) if isinstance(part, int) else str(part) for part in key)


def shared_keys(registry: Registry) -> Iterator[str]:
    """Yield a warning for each key that serves several devices."""
    devices = defaultdict[bytes, list[str]](list)
    for device in registry.devices() if registry.vault else ():
        if device.key is not None:
            devices[device.key].append(str(device.id))
    for shared in devices.values():
        if len(shared) > 1:
            yield f"one key serves {len(shared)} devices: {', '.join(shared)}; whoever has one of them reads all"
