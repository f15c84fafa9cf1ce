"""The collectors that pipeline.toml asks for, and their voice in the log."""

from collections.abc import Callable
from typing import Final

import structlog

from submeter.config import Broker, Config, SerialPort
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.ingest.session import MqttSettings

__all__ = ["Collector", "collectors"]

log = structlog.get_logger()

Collector = MqttCollector | SerialCollector
WELL: Final = "_connected"


def collectors(config: Config) -> list[Collector]:
    """One collector for each [[mqtt]] and [[serial]]; secrets are read now. Raises ConfigError for one that is not there."""
    inbox = config.data.folder / "inbox.sqlite"
    brokers = [MqttCollector(_mqtt(broker), inbox, _voice(broker.name)) for broker in config.mqtt]
    return [*brokers, *(SerialCollector(_serial(port), inbox, _voice(port.name)) for port in config.serial)]


def _mqtt(broker: Broker) -> MqttSettings:
    return MqttSettings(
        name=broker.name,
        host=broker.host,
        port=broker.port,
        client_id=broker.client_id,
        protocol=broker.protocol,
        topics=broker.topics,
        username=broker.username or None,
        password=broker.password(),
        tls=broker.tls,
        ca_file=broker.ca_file,
        cert_file=broker.cert_file,
        key_file=broker.key_file,
        session_expiry_s=broker.session_expiry,
    )


def _serial(port: SerialPort) -> SerialSettings:
    return SerialSettings(port.name, port.port, port.baud, port.gateway or port.name, None if port.format == "auto" else port.format)


def _voice(source: str) -> Callable[[str, str], None]:
    """Events of a collector as log lines: a recovery informs, anything else warns."""

    def tell(event: str, detail: str) -> None:
        (log.info if event.endswith(WELL) else log.warning)(event, source=source, detail=detail)

    return tell
