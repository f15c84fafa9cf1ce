"""A run of the rollups whose kernel works elsewhere: readings are exported by bucket, buckets that changed are computed, `Rollups` takes what came out.

Strategy: the bucket of a series is told by its point, so that it never moves; there are as many buckets as keep a computation in memory. What is taken are the
series that a run here would compute, each whole; stored rows, history, states, findings and blocks come out as they would here, by the same code.
Rules: nothing here looks inside readings or rows; a folder has one installation's files; what no plan names any more is deleted when a run is through.
"""

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from submeter import civil
from submeter.aggregate.buckets import RELEASE, Bucket, Done, outcome
from submeter.aggregate.errors import EngineError
from submeter.aggregate.frames import framed
from submeter.aggregate.series import Series
from submeter.aggregate.stitching import Computed
from submeter.aggregate.windows import Window
from submeter.store import Readings

__all__ = ["Engine", "Used", "Whole"]

log = structlog.get_logger()

#: Series of a bucket on average, at most.
SERIES: Final = 500
#: How many buckets there are at least.
FEWEST: Final = 16
#: Names in the folder: of files and outputs, and of what is written beside them.
NAME: Final = re.compile(r"(?P<beside>\.)?(?P<bucket>\d{5})-[0-9a-f]{16}")
#: Readings that are exported together: bounds memory.
TOGETHER: Final = 5_000_000

#: Computes buckets anywhere, tells now and then how many are done, and returns what each took.
Run = Callable[[Sequence[Bucket], Callable[[int], None]], Sequence[Done]]
#: Told of a phase with how much of how much is done.
Told = Callable[[str, int, int], None]
#: A series by its number, why it is computed, and its windows.
Work = tuple[int, str, list[Window]]


class Whole(NamedTuple):
    """A series that can be computed, its fingerprint, and the window with all of it."""

    series: Series
    print: str
    window: Window


@dataclass(frozen=True, slots=True)
class Used:
    """What a run took: buckets there are, those with work, those that were computed; readings and rows of these, seconds of their computations."""

    buckets: int = 0
    wanted: int = 0
    computed: int = 0
    readings: int = 0
    rows: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Used") -> "Used":
        return Used(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.computed} of {self.buckets} buckets computed ({self.wanted - self.computed} more were there): {self.readings} readings, {self.rows} rows, "
            f"{self.seconds:.1f} s of work"
        )


class Engine:
    """Computes series by bucket in `folder`, which all that `run` reaches must reach under the same path."""

    def __init__(self, readings: Readings, folder: Path, run: Run, told: Told) -> None:
        self._readings, self._folder, self._run, self._told = readings, folder, run, told
        self._count = FEWEST
        self._wholes: Mapping[int, Whole] = {}
        self._buckets: dict[int, Bucket] = {}
        self.used = Used()

    def groups(self, wholes: Mapping[int, Whole], work: Sequence[Work], *, everything: bool) -> Iterator[list[Work]]:
        """Compute the buckets of some work that are not there yet, and yield the work of each bucket, each series whole.

        What was there before goes first if `everything` is asked for. `wholes` are all series that can be computed.
        """
        self._wholes, self._count = wholes, _count(len(wholes))
        for folder in (self._folder, self._folder / "rows", self._folder / "readings"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        groups = defaultdict[int, list[Work]](list)
        for number, reason, _ in work:
            groups[self._bucket(number)].append((number, reason, [wholes[number].window]))
        self._plan(groups)
        if everything:
            for one in self._buckets.values():
                shutil.rmtree(one.output, ignore_errors=True)
        self._compute([one for one in self._buckets.values() if not one.is_done])
        yield from (groups[bucket] for bucket in sorted(groups))
        self._tidy()

    def rolled_up(self, batch: Mapping[int, Series], windows: Sequence[Window]) -> Computed:
        """What was computed of some series of one bucket."""
        return outcome(self._buckets[self._bucket(next(iter(batch)))], windows)

    def _bucket(self, number: int) -> int:
        return crc32(self._wholes[number].series.point.id.encode()) % self._count

    def _plan(self, wanted: Collection[int]) -> None:
        """Plan these buckets, with their readings in files."""
        members = defaultdict[int, dict[int, Whole]](dict)
        for number in sorted(self._wholes):
            members[self._bucket(number)][number] = self._wholes[number]
        files = self._exported({bucket: members[bucket] for bucket in sorted(wanted)})
        self._buckets = {bucket: _planned(self._folder / "rows", bucket, members[bucket], some) for bucket, some in files.items()}
        self.used = Used(len(members), len(files))

    def _compute(self, missing: Sequence[Bucket]) -> None:
        self._told("buckets computed", 0, len(missing))
        done = self._run(missing, lambda count: self._told("buckets computed", count, len(missing))) if missing else ()
        if lacking := [one.output for one in missing if not one.is_done]:
            raise EngineError(
                f"{len(lacking)} of {len(missing)} buckets are said to be computed, but are not here, as {lacking[0]}: "
                "the folder must be one that all workers reach under this path, see --shared"
            )
        self.used = replace(
            self.used,
            computed=len(done),
            readings=sum(one.readings for one in done),
            rows=sum(one.rows for one in done),
            seconds=sum(one.seconds for one in done),
        )
        log.info("buckets computed", **asdict(self.used))

    def _tidy(self) -> None:
        """Delete what these buckets had before, what there was when there were fewer or more, and what killed computations left."""
        named = {one.output for one in self._buckets.values()} | {file for one in self._buckets.values() for file in one.readings}
        for path in (*self._folder.glob("rows/*"), *self._folder.glob("readings/*/*")):
            found = NAME.match(path.name)
            if found and path not in named and (found["beside"] or int(found["bucket"]) in self._buckets or int(found["bucket"]) >= self._count):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _exported(self, members: Mapping[int, Mapping[int, Whole]]) -> dict[int, list[Path]]:
        """The files with the readings of some buckets, in order of month; those that are not there are written."""
        pairs = sorted({(bucket, span.register) for bucket, some in members.items() for one in some.values() for span in one.series.spans})
        chosen = pl.DataFrame(pairs, schema={"bucket": pl.Int32, "register": pl.Int32}, orient="row")
        files: dict[int, list[Path]] = {bucket: [] for bucket in members}
        missing = defaultdict[date, list[tuple[int, int, Path]]](list)
        for row in self._readings.bucketed.sums(chosen.to_arrow()).to_pylist():
            bucket, month, count = row["bucket"], row["month"], row["n"]
            file = self._folder / "readings" / f"{month:%Y-%m}" / f"{bucket:05d}-{_digest((RELEASE, count, row['checksum']))}.parquet"
            files[bucket].append(file)
            if not file.exists():
                missing[month].append((bucket, count, file))
        everything, done = sum(len(some) for some in missing.values()), 0
        for month, some in missing.items():
            for together in _together(some):
                self._export(month, chosen, {bucket: file for bucket, _, file in together})
                done += len(together)
                self._told("files of readings written", done, everything)
        return files

    def _export(self, month: date, chosen: pl.DataFrame, files: Mapping[int, Path]) -> None:
        wanted = chosen.filter(pl.col("bucket").is_in(list(files)))
        readings = framed(
            self._readings.bucketed.readings(wanted.to_arrow(), civil.utc_midnight(month), civil.utc_midnight(civil.month_after(month)))
        )
        for (bucket,), own in readings.group_by("bucket", maintain_order=True):
            assert isinstance(bucket, int)
            _write(files[bucket], own.drop("bucket").to_arrow())


def _planned(folder: Path, bucket: int, members: Mapping[int, Whole], files: Sequence[Path]) -> Bucket:
    told = (RELEASE, [(file.parent.name, file.name) for file in files], [(number, one.print, one.window) for number, one in members.items()])
    series = {number: one.series for number, one in members.items()}
    return Bucket(folder / f"{bucket:05d}-{_digest(told)}", tuple(files), series, tuple(one.window for one in members.values()))


def _write(file: Path, readings: pa.Table) -> None:
    file.parent.mkdir(exist_ok=True, mode=0o700)
    made = file.with_name(f".{file.name}")
    pq.write_table(readings, made, compression="lz4", use_dictionary=False, write_page_checksum=True)
    made.replace(file)


def _together(some: Sequence[tuple[int, int, Path]]) -> Iterator[list[tuple[int, int, Path]]]:
    """Files of a month that are read together, by their numbers of readings."""
    batch: list[tuple[int, int, Path]] = []
    for one in some:
        if batch and sum(count for _, count, _ in batch) + one[1] > TOGETHER:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _count(series: int) -> int:
    """How many buckets: a power of two, so that few series move when there are more."""
    count = FEWEST
    while count * SERIES < series:
        count *= 2
    return count


def _digest(told: object) -> str:
    return blake2b(repr(told).encode(), digest_size=8).hexdigest()
