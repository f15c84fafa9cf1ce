"""`submeter backup` and `restore`: all stores at one point, with the service running; and a data folder made of them again.

Strategy: the backup is a command on the core's thread, so that between its first and last copy nothing is decoded, computed or archived. Readings first (a file
that was just checkpointed, under its lock), then what is published, the registry, and the inbox last: what was acknowledged before is in it, and what it has
beyond the readings is decoded after a restore. Archive files never change in place, so they are linked where the disk allows.
Rules: the manifest is written last, and without it there is no backup; secrets that open others (master key, `portal.key`) are never in it;
a restore looks at every sum and schema before it touches anything, and takes away nothing that it does not keep. Registry and published rows in a database are
its own tools' to copy, after the backup, and to bring back, before the restore; what is published is then made again.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from submeter import __version__, civil
from submeter.config import Config
from submeter.core import Core, lock, make_folder, now
from submeter.errors import SubmeterError
from submeter.level import estranged
from submeter.store import Archive, Inbox, StoreError
from submeter.store.archive import settle
from submeter.store.examine import FILES, READINGS, database, faults, schema_of
from submeter.store.mend import keep

__all__ = ["MANIFEST", "backup", "restore"]

MANIFEST: Final = "manifest.json"
ARCHIVE: Final = "archive"
#: In the order in which they are copied: nothing may be acknowledged after the inbox, and readings may not know more than it.
ORDER: Final = (READINGS, "published.sqlite", "registry.sqlite", "inbox.sqlite")
PIECE: Final = 1 << 20


def backup(core: Core, *, folder: str) -> Iterator[str]:
    """Copy all stores into a new or empty folder; SubmeterError if it is neither, or has no room: then nothing is left there."""
    target = Path(folder)
    _require_empty(core.folder, target)
    core.work.begin("backup")
    try:
        manifest = _copied(core, target)
        _write(target / MANIFEST, manifest)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, (OSError, sqlite3.Error)):
            raise StoreError(f"the backup to {target} failed: {error}; nothing is left there") from error
        raise
    finally:
        core.work.end()
    size = sum(file["bytes"] for file in manifest["files"].values())
    yield f"backup: {len(manifest['files'])} files, {size / 2**20:.1f} MiB, as of message {manifest['received']}, in {target}"
    if core.config.data.database:
        yield "not in it: registry and published rows, which are in the database: copy them now, after this, by pg_dump --format=custom --schema=registry"
    yield "not in it, on purpose: the master key and portal.key; keep a copy of both at another place"


def restore(config: Config, source: Path, *, replace: bool = False) -> Iterator[str]:
    """Make the data folder of a backup; with `replace` also where there is one: what it has is kept aside, and what only its inbox and archive have is taken over."""
    manifest = _verified(source)
    _require_database(config)
    make_folder(config.data.folder)
    descriptor = lock(config.data.folder)
    try:
        before = _aside(config.data.folder, replace=replace)
        for name in manifest["files"]:
            _place(source / name, config.data.folder / name)
        yield f"restored: {len(manifest['files'])} files of {manifest['made']}, as of message {manifest['received']}"
        if before is not None:
            yield f"what was there is kept in {before}"
            yield from _taken_over(before, config.data.folder)
    finally:
        os.close(descriptor)
    with Core(config) as core:
        yield from core.levelled
        core.drain_all()
        if config.data.database:
            _publish_anew(core)
        yield str(core.rollup())
        if core.lacking:
            yield core.lacking
        if strange := estranged(core.registry, core.readings):
            yield strange


def _copied(core: Core, target: Path) -> dict[str, Any]:
    """Copy all; returns the manifest."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.chmod(0o700)
    archived = [file.relative_to(core.folder) for file in core.archive.files()]
    names = [name for name in ORDER if (core.folder / name).exists()]  # registry and published rows may be in a database of their own
    for name in names:
        core.work.step(f"{name} copied", ORDER.index(name), len(ORDER))
        if name == READINGS:
            core.readings.copy_to(target / name)
        else:
            _copy_sqlite(core.folder / name, target / name)
        (target / name).chmod(0o600)
    for file in archived:
        _link(core.folder / file, target / file)
    with closing(sqlite3.connect(f"{(target / 'inbox.sqlite').absolute().as_uri()}?mode=ro", uri=True)) as inbox:
        ((received,),) = inbox.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'messages'").fetchall()
    return {
        "submeter": __version__,
        "made": civil.iso(now()),
        "watermark": core.readings.watermark(),
        "received": received,
        "schemas": dict(FILES),
        "files": {str(name): _told(target / name) for name in (*map(Path, names), *archived)},
    }


def _copy_sqlite(file: Path, target: Path) -> None:
    """A copy at one point, in one file without a log, while others go on writing."""
    with closing(sqlite3.connect(file, timeout=10)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copy2(file, target)


def _require_empty(data: Path, target: Path) -> None:
    if target.resolve().is_relative_to(data.resolve()):
        raise SubmeterError(f"{target} is in the data folder: choose another place, on another disk")
    with suppress(FileNotFoundError, NotADirectoryError):
        if not any(target.iterdir()):
            return
        raise SubmeterError(f"{target} is not empty: choose a new folder for each backup")
    if target.exists():
        raise SubmeterError(f"{target} is no folder: choose another name")


def _verified(source: Path) -> Mapping[str, Any]:
    """The manifest of a backup all of whose files are as they were written, and of schemas that this release knows."""
    try:
        manifest: Mapping[str, Any] = json.loads((source / MANIFEST).read_text())
        schemas, files = dict(manifest["schemas"]), dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SubmeterError(f"{source} is no whole backup: {MANIFEST} cannot be read ({error}); take another one") from error
    for name, version in schemas.items():
        if version > FILES.get(name, 0):
            raise SubmeterError(
                f"{source}: {name} has schema {version}, this submeter knows {FILES.get(name, 0)}: restore with release {manifest.get('submeter')} or a newer one"
            )
    for name, told in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or not (name in FILES or path.parts[0] == ARCHIVE):
            raise SubmeterError(f"{source}: {name} is no file of a backup; take another one")
        if not (source / path).is_file() or _told(source / path) != told:
            raise SubmeterError(f"{source}: {name} is not as it was written: take another backup")
    for name in FILES:
        if name in files and name != READINGS and schema_of(source / name) != schemas[name]:
            raise SubmeterError(f"{source}: {name} is not of the schema that the manifest tells: take another backup")
    return manifest


def _publish_anew(core: Core) -> None:
    """What the database shows is of another time than the readings: all of it is made again by the next run."""
    core.readings.publish_again(sorted(core.readings.series().values()))
    core.published.drop([one.id for one in core.published.series()])
    core.published.begin_again(core.readings.published())


def _require_database(config: Config) -> None:
    """The database, if there is one, answers and has a registry that this release knows."""
    for one in database(config.data.server()) if config.data.database else ():
        if one.too_new:
            raise SubmeterError(one.too_new)
        if one.name == "registry" and not one.version:
            raise SubmeterError(f"{one.place} is empty: bring its dump back first (pg_restore), then restore the backup")


def _aside(data: Path, *, replace: bool) -> Path | None:
    """Take what is in the data folder out of the way, kept; SubmeterError if there is something and that was not asked for."""
    found = [data / ARCHIVE, *(path for name in FILES for path in data.glob(f"{name}*"))]
    found = [path for path in found if path.exists()]
    if not found:
        return None
    if not replace:
        raise SubmeterError(
            f"{data} has data already, e.g. {found[0].name}: write --replace to keep it aside and restore, or choose another data folder"
        )
    kept = keep(data)
    for path in found:
        path.rename(kept / path.name)
    return kept


def _place(file: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}.new")
    try:
        shutil.copyfile(file, made)
        made.chmod(0o600)
        settle(made, target)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise StoreError(f"{target} cannot be written: {error.strerror}; free disk space, then restore again with --replace") from error


def _taken_over(before: Path, data: Path) -> Iterator[str]:
    """What was received after the backup, from the inbox and the archive that were there, if they are whole and of this installation."""
    newer = list(_newer(Archive(before / ARCHIVE), data / ARCHIVE))
    for file in newer:
        _place(file, data / ARCHIVE / file.relative_to(before / ARCHIVE))
    if newer:
        yield f"{len(newer)} files of the archive are newer than the backup: taken over"
    old = before / "inbox.sqlite"
    if not old.exists() or faults(old):
        yield "the inbox that was there cannot be read: what came after the backup is not in it"
        return
    with Inbox(old) as received, Inbox(data / "inbox.sqlite") as inbox:
        if received.identity != inbox.identity:
            yield "the inbox that was there is of another installation: nothing of it is taken over"
            return
        count = 0
        while messages := received.after(inbox.received(), PIECE // 1024):
            inbox.restore(messages)
            count += len(messages)
    yield f"{count} messages came after the backup: taken over, and decoded again"


def _newer(archive: Archive, restored: Path) -> Iterator[Path]:
    """Whole files that were added, or added to, after the backup."""
    for file in archive.files():
        with suppress(StoreError):
            archive.check(file)
            other = restored / file.relative_to(archive.folder)
            if not other.exists() or other.stat().st_size != file.stat().st_size:
                yield file


def _told(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
        size = stream.tell()
    return {"bytes": size, "sha256": digest.hexdigest()}


def _write(file: Path, manifest: Mapping[str, Any]) -> None:
    """The manifest, after everything else is on disk."""
    for path in file.parent.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    made = file.with_suffix(".new")
    made.write_text(json.dumps(manifest, indent=1) + "\n")
    made.chmod(0o600)
    settle(made, file)
