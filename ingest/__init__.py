"""Ingest: what brings telegrams in and what makes readings of them.

Collectors (mqtt, serial, http, replay) put messages into the inbox before they acknowledge them; envelopes split messages into telegrams;
the drain decodes what waits in the inbox and stores the readings.
May enter: standard library, msgspec, paho, pyserial, structlog, uvicorn, and what stands below: store, decoders, config, civil, rates, reading, errors.
"""

from submeter.ingest.common import Counters
from submeter.ingest.errors import BadFile, BadLine, BadPayload
from submeter.ingest.http import HttpCollector, HttpSettings
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.replay import Replayed, replay
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.ingest.session import MqttSettings

__all__ = [
    "BadFile",
    "BadLine",
    "BadPayload",
    "Counters",
    "HttpCollector",
    "HttpSettings",
    "MqttCollector",
    "MqttSettings",
    "Replayed",
    "SerialCollector",
    "SerialSettings",
    "replay",
]
