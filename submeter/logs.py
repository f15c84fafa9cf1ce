"""Logging of a process: one line an event on standard error, for a person or as JSON. No key, no plaintext and no secret is ever logged.

Hence plain tracebacks: rich ones show local variables, and a key may be one.
"""

import logging
import sys
from typing import Any

import structlog

__all__ = ["configure"]


def configure(level: str, form: str) -> None:
    """Send everything from `level` up to standard error; `form` is `console` or `json`. Libraries speak from warning up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s", force=True)
