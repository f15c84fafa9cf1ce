"""Readings become hourly, daily, monthly and yearly rows.

Here live the meaning of rows (the pure half: parameters, events, classifier, rows, gauges, and `kernel`, their fast form over Arrow columns),
the conformance command's work, and the jobs that keep stored and published rows up to date. What enters is pure unless it is a job;
nothing here decodes, listens or serves.
"""

from submeter.aggregate.commissioning import commissioning, meter_states
from submeter.aggregate.engine import Engine, Used
from submeter.aggregate.errors import AggregateError, CaseError, EngineError, ParameterError, UnknownSeriesError
from submeter.aggregate.kernel import READINGS, Rollup, rollup
from submeter.aggregate.parameters import Exchange, Parameters, SeriesSpec
from submeter.aggregate.retain import Kept, Limits
from submeter.aggregate.rollups import Progress, Report, Rollups
from submeter.aggregate.rows import Row
from submeter.aggregate.series import Series, faults, register_named
from submeter.aggregate.states import Finality
from submeter.aggregate.watch import watch

__all__ = [
    "READINGS",
    "AggregateError",
    "CaseError",
    "Engine",
    "EngineError",
    "Exchange",
    "Finality",
    "Kept",
    "Limits",
    "ParameterError",
    "Parameters",
    "Progress",
    "Report",
    "Rollup",
    "Rollups",
    "Row",
    "Series",
    "SeriesSpec",
    "UnknownSeriesError",
    "Used",
    "commissioning",
    "faults",
    "meter_states",
    "register_named",
    "rollup",
    "watch",
]
