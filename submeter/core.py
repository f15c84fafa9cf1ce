"""The core: all stores of one data folder, open in one process, and what is done with them.

The core alone opens DuckDB and holds the master key (DECISIONS 18). A lock on the data folder makes sure that there is one. Everything here runs on one
thread; what other threads want of it goes through the queue of `submeter.service`.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

import pyarrow as pa
import structlog

from submeter import civil, sent_in
from submeter.aggregate import Engine, Finality, Report, Rollups, Used, commissioning, meter_states, watch
from submeter.aggregate.spark import Spark
from submeter.config import Config
from submeter.decoders import Profile
from submeter.ingest.bus.poller import BusCollector
from submeter.ingest.common import now_us as now
from submeter.ingest.drain import Drain, Gateway, Known, Step
from submeter.ingest.following import Clock, follow, watch_inbox
from submeter.ingest.room import Room
from submeter.ingest.settings import maps_of, routes_of, rules_of
from submeter.ingest.sightings import Clocks
from submeter.level import estranged, lacking, level
from submeter.reading import DeviceId
from submeter.store import Archive, Inbox, Published, Readings, Registry, StoreError, Vault
from submeter.store.errors import InUseError
from submeter.work import Work

__all__ = ["REBUILD", "Core", "Seen", "lock", "make_folder", "now"]

log = structlog.get_logger()

#: Quarantine reasons that a change of the directory may lift, with what lifts them.
WAITING: Final = {"unknown_meter": "adopted", "no_key": "key", "wrong_key": "key", "downgrade": "profile"}
#: Where a rebuild makes its readings; what is there at a start was interrupted.
REBUILD: Final = "rebuild"
#: Where readings and rows lie for Spark; it can be deleted at any time.
SPARK: Final = "spark"
#: Devices remembered, strangers included.
MOST_KNOWN: Final = 200_000


#: How far back gateways are looked for at the first look, and at each one after.
LATELY: Final = 14 * civil.DAY
AGAIN: Final = 15 * civil.MINUTE


class Seen(NamedTuple):
    """A gateway: its last message (µs UTC), how far its clock was ahead with it (µs; None if not known), gaps told so far, messages that are missing."""

    last: int
    skew: int | None
    gaps: int
    missing: int


class Core:
    """Open the stores of a data folder (made if missing); InUseError if another core has it, VaultError if keys are sealed and cannot be opened.

    `told` hears of each step of the drain; setting `stopping` ends a long drain early.
    """

    def __init__(self, config: Config, told: Callable[[Step], None] = lambda _step: None) -> None:
        self.config = config
        self.stopping = threading.Event()
        self.work = Work()
        self.room = Room(config.data.folder)
        self._clock = Clock()
        #: Gateways as they were seen at the last `look`; replaced as a whole, so that any thread may read it.
        self.gateways: Mapping[str, Seen] = {}
        #: What was done at the start, or after a recovery, to bring the stores to one level; and what only a rebuild brings back, None if nothing.
        self.levelled: list[str] = []
        self.lacking: str | None = None
        #: What is strange about the registry as of the last `look`; None if nothing.
        self.estranged: str | None = None
        #: Meters of the directory by state, as of then.
        self.meters: Mapping[str, int] = {}
        #: The wired buses that this process reads, for who asks for one meter now.
        self.buses: Sequence[BusCollector] = ()
        #: What runs on Spark took since the start.
        self.spark_used = Used()
        self._told = told
        self.folder = config.data.folder
        make_folder(self.folder)
        self._known: dict[DeviceId, Known | None] = {}
        with ExitStack() as stack:
            stack.callback(os.close, lock(self.folder))
            shutil.rmtree(self.folder / REBUILD, ignore_errors=True)
            self.inbox = stack.enter_context(Inbox(self.folder / "inbox.sqlite"))
            self.readings = stack.enter_context(Readings(self.folder / "readings.duckdb"))
            self._require_moved()
            self.registry = stack.enter_context(Registry.of(config.data, vault(config)))
            self.registry.claim()
            self.published = stack.enter_context(Published.of(config.data))
            self.archive = Archive(self.folder / "archive")
            self.levelled = level(self.inbox, self.readings, self.registry, self.published, self.archive)
            self.lacking = lacking(self.inbox, self.readings, self.archive)
            self.decoding = self.new_drain(self.inbox, self.readings, self.registry)
            self.rollups = Rollups(self.readings, self.registry, self.published, _finality(config))
            self._require_keys()
            for run in self.registry.runs.interrupted(now=now()):
                log.warning("a job was interrupted: the process ended in the middle of it", job=run.job, started=run.started)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all stores and let the data folder go."""
        self._stack.close()

    def drain(self) -> Step:
        """Decode the oldest waiting messages into readings."""
        step = self.decoding.step()
        self._told(step)
        return step

    def look(self) -> None:
        """Look at what the numbers of gateways tell, at the disk and at the backlog; to be called once a minute."""
        moment = now()
        numbers = follow(self.inbox, self.registry, moment)
        lately = self.inbox.gateways(since=moment - (AGAIN if self.gateways else LATELY))
        last = {name: one.last for name, one in self.gateways.items()} | {name: told[2] for name, told in lately.items()}
        skews = self.decoding.sightings.skews
        self.gateways = {
            name: Seen(at, skews.get(name), *((numbers[name].gaps, numbers[name].missing) if name in numbers else (0, 0)))
            for name, at in sorted(last.items())
        }
        watch_inbox(self.inbox, self.registry, self.room, moment)
        self._clock.look(self.registry)
        self.meters = meter_states(self.registry, moment)
        self.estranged = estranged(self.registry, self.readings)

    def drain_all(self) -> None:
        """Decode all that was received until now, or until this core is to stop; what comes meanwhile waits for the next step, so that a stream of it holds nothing up."""
        last = self.inbox.received()
        while not self.stopping.is_set() and (waiting := self.inbox.pending(1)) and waiting[0].id <= last:
            self.drain()

    def profile(self, device: DeviceId) -> Profile | None:
        """How a device of the directory is secured; None for a stranger."""
        known = self._lookup(device)
        return known.profile if known else None

    def rollup(self, *, settle: bool = True, everything: bool = False, engine: Engine | None = None) -> Report:
        """Compute and publish what changed since the last run, see `Rollups.run`; what residents sent in and a changed directory are taken up first."""
        started, at = time.monotonic(), now()
        sent_in.take(self.registry, self.readings, at)
        keyed = self._directory_changed() if self.registry.version() != self.readings.directory() else set()
        report = self.rollups.run(now=at, settle=settle, everything=everything, progress=self._stepped, keyed=keyed, engine=engine)
        if engine is not None:
            self.spark_used += engine.used
        log.info("rollup done", seconds=round(time.monotonic() - started, 2), series=report.series, rows=report.rows, blocks=report.blocks)
        return report

    def on_spark(self, master: str, shared: Path | None) -> Engine:
        """An engine for `rollup` that computes on the Spark cluster of a master, through a folder that all its workers reach; the data folder's by default."""
        folder = shared or self.folder / SPARK
        return Engine(self.readings, folder, Spark(master, folder, self.stopping.is_set), self.work.step)

    def watch(self, *, nightly: bool) -> str:
        """Look for meters and gateways that fell silent, and at night for all that rows tell (docs/events.md); returns a line on what holds.

        What is heard on the air is told to the API with it.
        """
        self.registry.commissioning.keep(commissioning(self.readings, self.registry, self.inbox, now()), now())
        holding = watch(self.readings, self.registry, now(), limits=self.config.events, inbox=self.inbox, nightly=nightly)
        return "events: " + (", ".join(f"{count} {kind}" for kind, count in sorted(holding.items()) if count) or "none of those looked for")

    def preview(self, *, settle: bool = True, everything: bool = False, span: tuple[int, int] | None = None) -> pa.Table:
        """What `rollup` would change now (see `Readings.rehearsal`), with `span` marked dirty first: computed in full, then undone."""
        with self.readings.rehearsal() as rehearsed, self.published.rehearsal(), self.registry.rehearsal():
            if span:
                self.readings.touch(*span)
            self.rollups.run(now=now(), settle=settle, everything=everything, progress=self._stepped)
            return rehearsed()

    def new_drain(self, inbox: Inbox, readings: Readings, registry: Registry) -> Drain:
        """A drain between other files, which knows the devices and announcements of this core; events go to `registry`."""
        return Drain(
            inbox,
            readings,
            registry,
            self._lookup,
            _gateways(self.config),
            clocks=_clocks(self.config),
            routes=routes_of(self.config),
            numbered=self.registry.numbered,
            rules=rules_of(self.config),
            entities=self.registry.entities,
            maps=maps_of(self.config),
        )

    def take_readings(self, file: Path) -> None:
        """Go on with another readings file of this installation, which moves to the place of the old one."""
        self.readings.become(file)
        self.inbox.marked(self.readings.mark())
        self.lacking = lacking(self.inbox, self.readings, self.archive)
        self.decoding = self.new_drain(self.inbox, self.readings, self.registry)

    def open_vault(self) -> None:
        """Look for the master key again: it may have been made since this core started."""
        self.registry.vault = vault(self.config)

    def _directory_changed(self) -> set[str]:
        """Look devices up anew, and decode again what waited for a key, a profile or adoption; returns the devices that had waited for a key."""
        keyed: set[str] = set()
        self._known.clear()
        devices = {str(device.id) for device in self.registry.devices()}
        for reason, cause in WAITING.items():
            waiting = [row for row in self.inbox.quarantined(reason=reason) if row.device in devices or row.link == "parsed"]
            self.decoding.redecode(waiting, cause=cause)
            keyed |= {row.device for row in waiting if row.device} if reason in {"no_key", "wrong_key"} else set()
        return keyed

    def _require_moved(self) -> None:
        """A database beside files that were not moved into it would be an installation without its directory."""
        if self.config.data.database and (self.folder / "registry.sqlite").exists():
            raise StoreError(f"{self.folder} has a registry.sqlite beside [data] database: `submeter migrate` moves it there")

    def _require_keys(self) -> None:
        """Without its master key a core would put good telegrams into quarantine: better not to start."""
        if self.registry.vault is None:
            self.registry.devices()

    def recover(self) -> None:
        """Open the readings' file again after DuckDB stopped; everything committed is there, the inbox has the rest."""
        self.readings.reopen()
        self.levelled = level(self.inbox, self.readings, self.registry, self.published, self.archive)
        self.decoding = self.new_drain(self.inbox, self.readings, self.registry)

    def _stepped(self, done: int, everything: int) -> None:
        self.work.step("series computed", done, everything)

    def _lookup(self, device: DeviceId) -> Known | None:
        if device not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[device] = self._read(device)
        return self._known[device]

    def _read(self, device: DeviceId) -> Known | None:
        found = self.registry.device(device)
        if found is None:
            return None
        profile = Profile(key=found.key, mode=found.mode, whole=found.whole)
        return Known(profile, self.registry.zone_of_device(device), self.registry.installed(device))


def make_folder(folder: Path) -> None:
    """Make the data folder if it is missing; StoreError says why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the data folder {folder} cannot be made: {error.strerror}; choose another in pipeline.toml, [data]") from error


def vault(config: Config) -> Vault | None:
    """The vault that the configuration names; None where there is no master key yet: then no sealed key can be opened or made."""
    if config.keys.master_key_env:
        return Vault.from_environment(config.keys.master_key_env)
    file = config.keys.master_key_file
    return Vault.from_file(file) if file and file.exists() else None


def _gateways(config: Config) -> Mapping[str, Gateway]:
    return {one.name: Gateway(one.store_and_forward, one.decrypted, one.form, one.zone) for one in config.gateway}


def _clocks(config: Config) -> Clocks:
    return Clocks(ahead=config.events.ahead_minutes * civil.MINUTE, meter=config.events.meter_clock_minutes * civil.MINUTE)


def _finality(config: Config) -> Finality:
    return Finality(hours=config.rollup.final_after_hours, month_day=config.rollup.month_final_day)


def lock(folder: Path) -> int:
    """Take a data folder for this process alone, until the descriptor is closed; InUseError if another one has it."""
    path = folder / "core.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; free disk space, or give this user the right to write there") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise InUseError(f"{path.parent} is in use by another submeter (process {holder or 'unknown'}): stop it, or let it run the command") from None
    with suppress(OSError):  # a full disk: who has the folder is not told, and has it
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
