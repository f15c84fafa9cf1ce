"""`submeter doctor`: looks at a whole installation that does not run, mends what can be mended for sure, and names the rest with what to do.

Strategy: first the surroundings and each file by itself, then the stores opened together as the core opens them, then what each says of the others.
Rules: nothing is changed before it is kept (`damaged/` in the data folder); what is made again is made from what was received, never guessed; a file that
holds what nothing else holds (registry, inbox) is not touched when it is damaged; `dry_run` changes nothing and therefore sees less.
"""

import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import duckdb
import numpy as np

import submeter
from submeter import civil
from submeter.config import Config
from submeter.core import Core, lock, now
from submeter.errors import SubmeterError
from submeter.ingest.room import Room
from submeter.level import estranged
from submeter.reading import FLAGS, LEVELS
from submeter.rebuild import rebuild
from submeter.store import Archive, StoreError, Vault, pack
from submeter.store.duck import CHECKSUM, OPTIONS, require_version
from submeter.store.examine import FILES, READINGS, Schema, database, faults
from submeter.store.mend import DAMAGED, keep, mend
from submeter.store.salvage import salvage, unreadable

__all__ = ["Finding", "examine"]

#: By how much the newest message may be ahead of the clock.
AHEAD: Final = 5 * civil.MINUTE
GIVE_UP: Final = "restore a backup (`submeter restore`), or move the file away and run `submeter rebuild`: what inbox and archive still hold comes back, older rows do not"


class Finding(NamedTuple):
    """One thing that was looked at: all well, mended just now, or left for the operator."""

    state: Literal["ok", "mended", "left"]
    text: str


def examine(config: Config, *, dry_run: bool = False) -> Iterator[Finding]:
    """Look at everything, mend what can be mended; SubmeterError if a core runs on the data folder."""
    visit = _Visit(config, dry_run=dry_run)
    if not config.data.folder.is_dir():
        yield Finding("ok", f"there is no data yet: {config.data.folder} is made by the first command")
        return
    descriptor = lock(config.data.folder)
    try:
        yield from visit.surroundings()
        yield from visit.files()
    finally:
        os.close(descriptor)
    if visit.unusable:
        yield Finding("left", "the stores were not opened together: settle what is named above, then run `submeter doctor` again")
    elif not dry_run:
        yield from visit.together()


class _Visit:
    def __init__(self, config: Config, *, dry_run: bool) -> None:
        self.config, self.folder, self.dry_run = config, config.data.folder, dry_run
        self.unusable = False
        self.salvaged = False

    def surroundings(self) -> Iterator[Finding]:
        """Versions, disk, clock, rights, master key."""
        yield self._tried(lambda: require_version(duckdb.__version__), f"duckdb {duckdb.__version__}")
        room = Room(self.folder)
        free = f"{(room.free() or 0) / 2**30:.1f} GiB free in {self.folder}"
        yield Finding("left", f"{free}: too little, nothing more is taken; free disk space") if room.short else Finding("ok", free)
        if now() < (built := int(Path(submeter.__file__).stat().st_mtime * 1e6)):
            yield Finding("left", f"the clock says {_day(now())}, and this release was installed on {_day(built)}: set the clock")
        yield from self._rights()
        yield from self._master_key()

    def files(self) -> Iterator[Finding]:
        """Each database by itself."""
        for name in FILES:
            if (self.folder / name).exists():
                yield from self._readings(self.folder / name) if name == READINGS else self._sqlite(self.folder / name)
        if self.config.data.database:
            yield from self._database()

    def together(self) -> Iterator[Finding]:
        """The stores as the core opens them, and what they say of each other; a page that only writing comes upon is left behind then."""
        try:
            yield from self._together()
        except SubmeterError as error:
            if self.salvaged or CHECKSUM not in str(error):
                yield Finding("left", str(error))
                return
            yield self._mended(f"{READINGS} had a page that does not read ({error})", lambda: self._salvage(self.folder / READINGS))
            if self.salvaged:
                yield from self.together()

    def _together(self) -> Iterator[Finding]:
        with Core(self.config) as core:
            yield from (Finding("mended", line) for line in core.levelled)
            if strange := estranged(core.registry, core.readings):
                yield Finding("left", strange)
            yield from self._clock(core)
            core.drain_all()
            yield from self._rebuilt(core)
            yield Finding("ok", str(core.rollup()))
            yield from self._blocks(core)
            yield from _archive(core.archive)
            if (chain := core.registry.trail.verify()).broken is not None:
                yield Finding("left", f"the audit is broken at row {chain.broken}: somebody changed it, or took rows out (`submeter audit --verify`)")

    def _rights(self) -> Iterator[Finding]:
        """Everything belongs to this user, and nobody else can read it."""
        paths = [self.folder, *sorted(self.folder.rglob("*"))]
        strange = [path for path in paths if path.lstat().st_uid != os.geteuid()]
        if strange:
            yield Finding(
                "left", f"{len(strange)} files belong to another user, e.g. {strange[0]}: run as that user, or chown -R {os.geteuid()} {self.folder}"
            )
        loose = [path for path in paths if path not in strange and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not path.is_symlink()]
        if loose:
            yield self._mended(
                f"{len(loose)} files could be read by others, e.g. {loose[0]}: they are their owner's alone now", lambda: _close(loose)
            )
        if not strange and not loose:
            yield Finding("ok", f"{len(paths)} files and folders are their owner's alone")

    def _master_key(self) -> Iterator[Finding]:
        file = self.config.keys.master_key_file
        if self.config.keys.master_key_env:
            yield self._tried(lambda: Vault.from_environment(self.config.keys.master_key_env), f"master key in {self.config.keys.master_key_env}")
        elif not file or not file.exists():
            yield Finding("ok", "no master key: only meters without encryption can be read")
        else:
            if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                yield self._mended(
                    f"{file} could be read by others: mode 0600 now; who may have read it can open all meters' keys", lambda: _close([file])
                )
            if not self.dry_run or not file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                yield self._tried(lambda: Vault.from_file(file), f"master key {file}")

    def _sqlite(self, path: Path) -> Iterator[Finding]:
        found = faults(path)
        if not found:
            yield Finding("ok", f"{path.name} is whole")
        elif path.name == "published.sqlite" and "has schema" not in found[0]:
            yield self._mended(f"{found[0]}: it is kept in {DAMAGED}/ and made again from the readings", lambda: _set_aside(path))
        else:
            self.unusable = True
            remedy = "" if "has schema" in found[0] else ": restore a backup (`submeter restore`); nothing else holds what is in it"
            yield from (Finding("left", f"{line}{remedy}") for line in found)

    def _database(self) -> Iterator[Finding]:
        """Whether the database answers, and is of this installation and this release."""
        try:
            found = [self._schema(one) for one in database(self.config.data.server())]
        except StoreError as error:
            found = [Finding("left", str(error))]
        self.unusable = self.unusable or any(one.state == "left" for one in found)
        yield from found

    def _schema(self, one: Schema) -> Finding:
        if one.too_new:
            return Finding("left", one.too_new)
        if one.version == 0 and one.name == "registry" and (self.folder / READINGS).exists():
            return Finding(
                "left", f"{one.place} is empty, and there are readings: is another database meant, or is its dump not restored yet (pg_restore)?"
            )
        if one.version < one.newest:
            return Finding("ok", f"{one.place} has schema {one.version} of {one.newest}: it is brought up when it is opened")
        return Finding("ok", f"{one.place} answers")

    def _readings(self, path: Path) -> Iterator[Finding]:
        """The readings' file: its log is mended, and what does not read of it is left behind; rebuild brings that back."""
        try:
            tables = unreadable(path)
        except StoreError as error:
            told = None if self.dry_run else mend(path, OPTIONS)
            self.unusable = told is None
            yield Finding("mended", told) if told else Finding("left", f"{error}; without --dry-run its log is mended if that is all; else {GIVE_UP}")
            if told:
                yield from self._readings(path)
            return
        if not tables:
            yield Finding("ok", f"{path.name} is whole")
            return
        yield self._mended(f"{path.name} had pages that do not read, of {', '.join(tables)}", lambda: self._salvage(path))

    def _salvage(self, path: Path) -> str:
        made = path.with_name("salvaged.duckdb")
        made.unlink(missing_ok=True)
        try:
            lost = salvage(path, made)
        except StoreError as error:
            made.unlink(missing_ok=True)
            self.unusable = True
            raise StoreError(f"{error}; {GIVE_UP}") from error
        kept = keep(self.folder)
        for file in (path, path.with_name(f"{path.name}.wal")):
            if file.exists():
                file.rename(kept / file.name)
        made.replace(path)
        self.salvaged = True
        rows = ", ".join(f"{rows} rows of {table}" for table, rows in lost.items()) or "no row"
        return f"; {rows} lost, a rebuild brings back what inbox and archive hold; the file is kept in {kept}"

    def _rebuilt(self, core: Core) -> Iterator[Finding]:
        if self.salvaged or core.lacking:
            why = core.lacking or "parts of readings.duckdb were lost"
            yield Finding("mended", f"{why}: done, {'; '.join(rebuild(core))}")

    def _clock(self, core: Core) -> Iterator[Finding]:
        newest = max((message.received_at for message, _ in core.inbox.last(1)[0]), default=0)
        if newest > now() + AHEAD:
            yield Finding("left", f"the clock says {_day(now())}, and the newest message came on {_day(newest)}: set the clock")
        else:
            yield Finding("ok", f"the clock says {_day(now())}")

    def _blocks(self, core: Core) -> Iterator[Finding]:
        """What is published equals the rows; what does not is published again."""
        stale = [one.id for one in core.published.series() if any(_differs(core, one.id, level) for level in range(len(LEVELS)))]
        if stale:
            core.readings.publish_again(stale)
            yield Finding("mended", f"{len(stale)} series had stale blocks: published again, {core.rollup()}")
        else:
            yield Finding("ok", "what is published equals the rows")

    def _mended(self, text: str, act: Callable[[], str | None]) -> Finding:
        if self.dry_run:
            return Finding("left", f"{text} (once it runs without --dry-run)")
        try:
            return Finding("mended", text + (act() or ""))
        except (OSError, StoreError) as error:
            return Finding("left", str(error))

    @staticmethod
    def _tried(act: Callable[[], object], text: str) -> Finding:
        try:
            act()
        except SubmeterError as error:
            return Finding("left", str(error))
        return Finding("ok", text)


def _differs(core: Core, series: int, level: int) -> bool:
    """Whether what is published of a series is other than its rows, the flag aside that only publishing sets."""
    computed, shown = pack(core.readings.rollups([series], level, -(2**62), 2**62)), core.published.read(series, level, "", "~").copy()
    for points in (computed, shown):
        points["flags"] &= ~np.uint32(1 << FLAGS.index("possible_loss"))
    return shown.tobytes() != computed.tobytes()


def _archive(archive: Archive) -> Iterator[Finding]:
    """Every file of the archive reads, and none is half written."""
    broken = list[str]()
    for file in sorted(archive.folder.rglob("*.new")):
        file.unlink()
        yield Finding("mended", f"{file} was half written: taken away, what it was made of is still where it was")
    for file in archive.files():
        try:
            archive.check(file)
        except StoreError as error:
            broken.append(str(error))
    yield from (Finding("left", text) for text in broken)
    if not broken:
        yield Finding("ok", f"{len(archive.files())} files of the archive are whole")


def _set_aside(path: Path) -> None:
    files = [file for file in (path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))) if file.exists()]
    keep(path.parent, *files)
    for file in files:
        file.unlink()


def _close(paths: list[Path]) -> None:
    for path in paths:
        path.chmod(path.stat().st_mode & ~(stat.S_IRWXG | stat.S_IRWXO))


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
