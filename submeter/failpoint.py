"""Named places at which a test lets the process end as if its power were cut (reliability/FAULTS.md 3; tests/faults).

Strategy: `SUBMETER_FAILPOINT=NAME` together with `SUBMETER_TEST=1` ends the process by `os._exit` when it comes to that place: nothing is flushed, closed or
undone. Rules: the environment is read once, at the start; without both variables a failpoint is one comparison; every place is in NAMES.
"""

import os
from typing import Final

__all__ = ["ENDED", "NAMES", "failpoint"]

#: What happened before each place, in the order in which a telegram comes by.
NAMES: Final = {
    "received": "a message is here, the inbox has not got it",
    "kept": "the inbox has committed it, its sender does not know",
    "decoded": "its telegrams are decoded and the refused ones kept, their readings are not stored",
    "stored": "readings, dirty ranges and watermark are committed, the inbox calls it undone",
    "computed": "rows are replaced, not published",
    "published": "blocks are published, the notes of what was to be published and the marks still stand",
}
#: Exit status of a process that ended at a failpoint.
ENDED: Final = 77
_CHOSEN: Final = os.environ.get("SUBMETER_FAILPOINT") if os.environ.get("SUBMETER_TEST") == "1" else None


def failpoint(name: str) -> None:
    """End the process here if a test chose this place."""
    if name == _CHOSEN:
        os._exit(ENDED)
