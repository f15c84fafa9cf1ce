"""Framers: what dongles put around telegrams on a serial line (ingest/SERIAL.md 1). Pure: `feed(bytes)` → telegrams; no port, clock or log.

A framer keeps its rest, never raises, and counts: `bad` frames or lines that it gave up, `dropped` bytes that belonged to no telegram. `settle` is
called when a port has been silent for two seconds. A new dongle is one framer here and its row in ingest/serial.py.
May enter: standard library, decoders (frame forms).
"""

from submeter.ingest.framers.amber import AmberFramer
from submeter.ingest.framers.bare import BareFramer
from submeter.ingest.framers.core import Framer, Radio
from submeter.ingest.framers.cul import CulFramer
from submeter.ingest.framers.im871a import Im871aFramer
from submeter.ingest.framers.iu891a import Iu891aFramer
from submeter.ingest.framers.lines import MAX_LINE, LineFramer

__all__ = ["MAX_LINE", "AmberFramer", "BareFramer", "CulFramer", "Framer", "Im871aFramer", "Iu891aFramer", "LineFramer", "Radio"]
