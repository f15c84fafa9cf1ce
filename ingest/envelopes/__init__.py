"""Envelopes: what gateways put around telegrams. Pure functions (topic, bytes) → Envelope; the only error is BadPayload.

A new gateway format is one file here with a `Format`, its place in the table of split.py, and samples in the tests.
May enter: standard library, msgspec, decoders (frame forms), submeter.ingest.errors. No socket, file, clock or log.
"""

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload
from submeter.ingest.envelopes.native import gateway_of
from submeter.ingest.envelopes.split import FORMATS, split
from submeter.ingest.errors import BadPayload

__all__ = ["FORMATS", "BadPayload", "Envelope", "Format", "Heard", "Payload", "gateway_of", "split"]
