"""Ingest: what brings telegrams in and what makes readings of them.

Collectors (mqtt, serial, replay) put messages into the inbox before they acknowledge them; envelopes split messages into telegrams;
the drain decodes what waits in the inbox and stores the readings.
May enter: standard library, msgspec, paho, pyserial, structlog, and what stands below: store, decoders, config, civil, reading, errors.
"""

from submeter.ingest.errors import BadLine, BadPayload

__all__ = ["BadLine", "BadPayload"]
