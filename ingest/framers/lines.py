"""Text lines: rtl_wmbus, hex. What a line is, its envelope says; here it only has an end and a bound."""

from typing import Final

from submeter.ingest.framers.core import DelimitedFramer

__all__ = ["MAX_LINE", "LineFramer"]

#: The longest telegram is 290 bytes, 580 digits, and a dozen short columns.
MAX_LINE: Final = 2048


class LineFramer(DelimitedFramer[bytes]):
    """Bytes in, whole lines out, without line ends and without empty ones."""

    end = b"\n"
    longest = MAX_LINE

    def _of(self, whole: bytes) -> bytes:
        return whole.strip()
