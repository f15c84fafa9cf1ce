"""Use between any two instants (SPEC 12.4): of an occupancy that begins or ends inside a month, from the same segments and by the same rules as a bucket's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from submeter.aggregate.classifier import Segment, classify
from submeter.aggregate.events import UNUSABLE, Sample
from submeter.aggregate.parameters import SeriesSpec
from submeter.aggregate.rows import Row, counter_rows

__all__ = ["samples_of", "use_between", "uses"]


def use_between(samples: Iterable[Sample], spec: SeriesSpec, start: int, end: int, *, rated: bool = True) -> Row | None:
    """The row of a counter for [start, end), µs UTC, as if that were a bucket; None where the data do not reach.

    Not `rated`: in the units that the register shows, without rating factors (SPEC 6).
    """
    own = spec if rated else replace(spec, parameters=replace(spec.parameters, factors=()))
    return next(uses(classify(samples, own).segments, (start, end), own.parameters.max_gap), None)


def uses(segments: Sequence[Segment], edges: Sequence[int], max_gap: int) -> Iterator[Row]:
    """The rows of a counter between neighbouring `edges`, each as if it were a bucket; none of those that the segments do not reach."""
    if segments:
        yield from (row for row in counter_rows(segments, edges, max_gap) if row.end > segments[0].t1 and row.start < segments[-1].t2)


def samples_of(readings: pl.DataFrame) -> Iterator[Sample]:
    """Readings of a series in the kernel's form as the classifier takes them."""
    columns = readings.select("t", "value", "src", "due", "seq", "dev", "pinned", "status").iter_rows()
    return (Sample(t, v, rank, due, seq, dev, pinned, not status & UNUSABLE) for t, v, rank, due, seq, dev, pinned, status in columns)
