"""What can go wrong in aggregate.

SubmeterError
└── AggregateError
    ├── ParameterError      a register parameter, exchange or factor that SPEC 2.1 to 2.5 does not allow
    ├── UnknownSeriesError  readings of a series for which no parameters were given
    ├── EngineError         an engine that is to compute elsewhere is missing, did not finish, or left what cannot be read
    └── CaseError           a line of conformance input that is not a case (SPEC 10)
"""

from submeter.errors import SubmeterError


class AggregateError(SubmeterError):
    """Rollups cannot be computed from what was given."""


class ParameterError(AggregateError):
    """Names the key, the value, and what is allowed instead."""


class UnknownSeriesError(AggregateError):
    """Readings came with a series that has no parameters."""


class CaseError(AggregateError):
    """Names the case and what it lacks."""


class EngineError(AggregateError):
    """Says what is missing or went wrong, and what to do; all that was stored and published is as it was."""
