"""Use between any two instants (SPEC 12.4): of an occupancy that begins or ends inside a month, from the same segments and by the same rules as a bucket's."""

from collections.abc import Iterable
from dataclasses import replace

from submeter.aggregate.classifier import classify
from submeter.aggregate.events import Sample
from submeter.aggregate.parameters import SeriesSpec
from submeter.aggregate.rows import Row, counter_rows

__all__ = ["use_between"]


def use_between(samples: Iterable[Sample], spec: SeriesSpec, start: int, end: int, *, rated: bool = True) -> Row | None:
    """The row of a counter for [start, end), µs UTC, as if that were a bucket; None where the data do not reach.

    Not `rated`: in the units that the register shows, without rating factors (SPEC 6).
    """
    own = spec if rated else replace(spec, parameters=replace(spec.parameters, factors=()))
    segments = classify(samples, own).segments
    if not segments or end <= segments[0].t1 or start >= segments[-1].t2:
        return None
    (row,) = counter_rows(segments, (start, end), own.parameters.max_gap)
    return row
