"""Logging of a process: one line an event on standard error, for a person or as JSON. No key, no plaintext and no secret is ever logged.

Hence plain tracebacks: rich ones show local variables, and a key may be one. A log that takes nothing, its disk being full, stops nobody; and no
event fills it: of one kind there are at most MOST lines a minute, and the first line after them tells how many there were more.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final, TextIO, cast

import structlog

__all__ = ["configure"]

MOST: Final = 60
SPAN_S: Final = 60.0


class _Surviving:
    """A stream whose disk may be full: what it does not take is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Bounded:
    """Lets MOST events of one name and level through in each span."""

    def __init__(self) -> None:
        self._began: dict[tuple[str, str], float] = {}
        self._seen: dict[tuple[str, str], int] = {}

    def __call__(self, _: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        kind, moment = (level, str(event.get("event"))), monotonic()
        if moment - self._began.get(kind, -SPAN_S) >= SPAN_S:
            if (more := self._seen.get(kind, 0) - MOST) > 0:
                event["left_out_before"] = more
            self._began[kind], self._seen[kind] = moment, 0
        self._seen[kind] += 1
        if self._seen[kind] > MOST:
            raise structlog.DropEvent
        return event


def configure(level: str, form: str) -> None:
    """Send everything from `level` up to standard error; `form` is `console` or `json`. Libraries speak from warning up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        _Bounded(),
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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Surviving(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s", force=True)
