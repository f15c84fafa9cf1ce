"""Errors of the collectors. Any other exception that leaves `submeter.ingest` is a bug.

SubmeterError
├── BadPayload      a message that cannot be split into telegrams, or values that cannot be read: its reason and what is wrong
├── BadLine         a line of a replayed file that cannot be split: file, line, reason
├── BadFile         a file to replay that cannot be read
├── PollError       a meter that was asked and not read: the reason and what was heard instead
└── DongleError     a dongle that does not answer, or refuses: the event's name and a sentence
"""

from pathlib import Path

from submeter.errors import SubmeterError

__all__ = ["BadFile", "BadLine", "BadPayload", "DongleError", "PollError"]


class BadPayload(SubmeterError):  # noqa: N818  named like the decoders' errors, by what is wrong
    """A message is kept with this `reason` (one word, counted) and gives no telegram; the sentence says what is wrong with it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class BadLine(SubmeterError):  # noqa: N818  as above
    """A line of a replayed file gave no telegram; it is kept in the inbox with this `reason` like any broken message."""

    def __init__(self, path: Path, line: int, error: BadPayload) -> None:
        super().__init__(f"{path}, line {line}: {error}")
        self.path = path
        self.line = line
        self.reason = error.reason


class BadFile(SubmeterError):  # noqa: N818  as above
    """A file to replay is not there or cannot be read; the sentence names it."""


class DongleError(SubmeterError):
    """A dongle is not as asked for: `event` is dongle_silent or dongle_refused, the sentence says what was asked."""

    def __init__(self, event: str, detail: str) -> None:
        super().__init__(detail)
        self.event = event


class PollError(SubmeterError):
    """A meter was not read: `reason` is counted, the sentence says what was heard instead."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
