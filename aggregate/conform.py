"""The conformance command's work (SPEC 10): one case in, rows of all four levels out.

The readings of all batches go through `kernel.rollup`, as in service. Values with more than six places or more than 64 bits cannot be stored;
such a case takes the kernel's exact parts (`classify`, `counter_levels`, `gauge_levels`) directly.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from submeter import civil
from submeter.aggregate.classifier import classify
from submeter.aggregate.errors import CaseError
from submeter.aggregate.events import UNUSABLE, Sample, select
from submeter.aggregate.gauges import gauge_levels
from submeter.aggregate.kernel import READINGS, rollup
from submeter.aggregate.parameters import Exchange, Parameters, SeriesSpec, micro
from submeter.aggregate.rows import WHOLE, Row, counter_levels
from submeter.errors import SubmeterError
from submeter.reading import FLAGS, INT64_MAX, LEVELS, MICRO, QUALITIES, STATUS, Source, from_micro
from submeter.store import tabled

_COUNTER: Final = ("value", "lo", "hi")
_GAUGE: Final = ("mean", "min", "max")


class Result(NamedTuple):
    """What a case comes to: rows with the number of their level, the reasons of dropped readings, and whether a tail is undecided."""

    rows: list[tuple[int, Row]]
    dropped: list[str]
    pending: bool


def answers(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The answer to each line that holds a case; a case that cannot be computed is answered with its ``error``."""
    return (_answer(number, line) for number, line in enumerate(lines, 1) if line.strip())


def run_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one case after its last batch. Raises CaseError, ParameterError and CivilError."""
    try:
        spec = SeriesSpec(Parameters.parse(case["register"]), case["tz"], tuple(map(Exchange.parse, case.get("exchanges") or ())))
        samples = [_sample(reading, spec.zone) for batch in case["batches"] for reading in batch["readings"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaseError(f"not a case of SPEC 10: {error!r}") from error
    rows, dropped, pending = (_through_kernel if all(map(_storable, samples)) else _exactly)(samples, spec)
    text = _gauge_text if spec.parameters.kind == "gauge" else _counter_text
    levels = {name: [text(row) for number, row in sorted(rows) if number == level] for level, name in enumerate(LEVELS)}
    return {"id": case.get("id"), "rows": levels, "dropped": dropped, "pending": pending}


def _answer(number: int, line: str) -> dict[str, Any]:
    case: Any = None
    try:
        case = json.loads(line)
        return run_case(case)
    except (SubmeterError, json.JSONDecodeError) as error:
        return {"id": case.get("id") if isinstance(case, dict) else None, "error": f"line {number}: {error}"}


def _sample(reading: Mapping[str, Any], zone: str) -> Sample:
    """A reading of SPEC 2.2."""
    stored = reading.get("stored_date")
    t = civil.instant(reading["t"]) if stored is None or reading.get("t") is not None else civil.stored_date(zone, date.fromisoformat(stored))
    source = reading.get("src") or ("live" if stored is None else "historic")
    status = reading.get("status")
    return Sample(
        t=t,
        v=None if reading.get("v") is None else micro(reading["v"]),
        rank=Source[source.upper()],
        due=bool(reading.get("due")),
        seq=int(reading.get("seq") or 0),
        dev=reading.get("dev"),
        pinned=bool(reading.get("pinned")),
        usable=status not in STATUS or not 1 << STATUS.index(status) & UNUSABLE,
    )


def _storable(sample: Sample) -> bool:
    return sample.v is None or (isinstance(sample.v, int) and abs(sample.v) <= INT64_MAX)


def _through_kernel(samples: list[Sample], spec: SeriesSpec) -> Result:
    devices = {device: number for number, device in enumerate(dict.fromkeys(sample.dev for sample in samples))}
    columns = [(0, s.t, s.v, s.rank, 0 if s.usable else UNUSABLE, s.due, s.pinned, devices[s.dev], s.seq) for s in samples]
    found = rollup(tabled(columns, READINGS), {0: spec})
    rows = [(row.pop("level"), Row(**row)) for row in found.rows.drop_columns("series").to_pylist()]
    return Result(rows, found.dropped["reason"].to_pylist(), found.pending.num_rows > 0)


def _exactly(samples: list[Sample], spec: SeriesSpec) -> Result:
    if spec.parameters.kind == "gauge":
        kept, dropped = select(samples)
        return Result(list(gauge_levels(kept, spec)), [drop.reason for drop in dropped], pending=False)
    outcome = classify(samples, spec)
    return Result(list(counter_levels(outcome.segments, spec)), [drop.reason for drop in outcome.dropped], outcome.pending is not None)


def _counter_text(row: Row) -> dict[str, Any]:
    flags = sorted(name for bit, name in enumerate(FLAGS) if row.flags >> bit & 1)
    return _times(row) | _numbers(row, _COUNTER) | {"quality": QUALITIES[row.quality]} | ({"flags": flags} if flags else {})


def _gauge_text(row: Row) -> dict[str, Any]:
    return _times(row) | _numbers(row, _GAUGE) | {"n": row.n}


def _times(row: Row) -> dict[str, Any]:
    return {"start": civil.iso(row.start), "end": civil.iso(row.end)}


def _numbers(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    """Three numbers and the coverage as decimal strings (SPEC 8)."""
    values = [
        *(None if v is None else format(from_micro(v), "f") for v in (row.value, row.lo, row.hi)),
        format(from_micro(row.coverage * MICRO // WHOLE), "f"),
    ]
    return dict(zip((*names, "coverage"), values, strict=True))
