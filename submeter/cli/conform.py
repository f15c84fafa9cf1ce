"""`submeter conform`: cases on standard input, one answer a line (SPEC 10)."""

import json
import sys

from submeter.aggregate.conform import answers

__all__ = ["conform"]


def conform() -> None:
    """Compute conformance cases: one JSON case a line on standard input, one JSON answer a line; exit code 1 if a case was refused."""
    refused = False
    for answer in answers(sys.stdin):
        refused |= "error" in answer
        print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 the answer is the command's output
    if refused:
        sys.exit(1)
