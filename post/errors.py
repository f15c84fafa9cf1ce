"""Errors of the sinks. Any other exception that leaves a sink is a bug.

SubmeterError
└── SinkError   a message was not taken: why, and whether that lasts
"""

from submeter.errors import SubmeterError

__all__ = ["SinkError"]


class SinkError(SubmeterError):
    """A message was not taken. `lasting`: it never will be; `whole`: the sink takes none at present. The sentence holds no part of the message."""

    def __init__(self, sentence: str, *, lasting: bool = False, whole: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting
        self.whole = whole
