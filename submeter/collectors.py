"""The collectors that pipeline.toml asks for, and their voice in the log."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from submeter.config import Broker, Config, ConfigError, Drop, Http, SerialPort, WiredBus
from submeter.ingest.bus.frames import parse_address
from submeter.ingest.bus.master import ECHO, Timing
from submeter.ingest.bus.poller import BusCollector, BusSettings
from submeter.ingest.drop import DropCollector, DropSettings
from submeter.ingest.http import HttpCollector, HttpSettings
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.ingest.session import MqttSettings

__all__ = ["Collector", "collectors", "mqtt_settings"]

log = structlog.get_logger()

Collector = MqttCollector | SerialCollector | BusCollector | DropCollector | HttpCollector
WELL: Final = "_connected"
#: What is pushed over HTTP is counted under this source.
HTTP: Final = "http"


def collectors(config: Config) -> list[Collector]:
    """One collector for each [[mqtt]], [[serial]], [[bus]] and [[drop]], and for [http]; secrets are read now. Raises ConfigError for one that is not there."""
    inbox = config.data.folder / "inbox.sqlite"
    brokers = [MqttCollector(mqtt_settings(broker), inbox, _voice(broker.name)) for broker in config.mqtt]
    http = [HttpCollector(_http(config.http), config.data, _voice(HTTP))] if config.http.enabled else []
    return [
        *brokers,
        *(SerialCollector(_serial(port), inbox, _voice(port.name)) for port in config.serial),
        *_buses(config.bus, inbox),
        *_drops(config.drop, inbox),
        *http,
    ]


def _buses(buses: Sequence[WiredBus], inbox: Path) -> Iterator[BusCollector]:
    for one in buses:
        timing, echo = Timing(one.baud, one.latency_ms / 1000), ECHO[one.echo]
        try:
            meters = tuple(map(parse_address, one.meters))
        except ValueError as error:
            raise ConfigError(f"[[bus]] {one.name} meters: {error}") from None
        settings = BusSettings(one.name, one.port, meters, one.gateway or one.name, timing, echo, one.interval_minutes * 60.0)
        yield BusCollector(settings, inbox, _voice(one.name))


def _drops(drops: Sequence[Drop], inbox: Path) -> Iterator[DropCollector]:
    for one in drops:
        settings = DropSettings(one.name, one.folder, one.gateway or one.name, None if one.format == "auto" else one.format)
        yield DropCollector(settings, inbox, _voice(one.name))


def mqtt_settings(broker: Broker) -> MqttSettings:
    """A broker as its session wants it; its password is read now. Raises ConfigError."""
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
    pinned = None if port.format == "auto" else port.format
    return SerialSettings(port.name, port.port, port.baud, port.gateway or port.name, pinned, port.stall_minutes * 60.0, port.kind, port.command)


def _http(section: Http) -> HttpSettings:
    return HttpSettings(HTTP, section.host, section.port, section.per_minute)


def _voice(source: str) -> Callable[[str, str], None]:
    """Events of a collector as log lines: a recovery informs, anything else warns."""

    def tell(event: str, detail: str) -> None:
        (log.info if event.endswith(WELL) else log.warning)(event, source=source, detail=detail)

    return tell
