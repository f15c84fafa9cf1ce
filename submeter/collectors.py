"""The collectors that pipeline.toml asks for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from submeter.config import Broker, Config, Drop, Http
from submeter.ingest.bus.poller import BusCollector
from submeter.ingest.common import OnEvent
from submeter.ingest.drop import DropCollector, DropSettings
from submeter.ingest.envelopes.discovery import wants_retained
from submeter.ingest.handover import Giver, HandoverSettings, Taker
from submeter.ingest.http import HttpCollector, HttpSettings
from submeter.ingest.modbus.poller import ModbusCollector
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.serial import SerialCollector
from submeter.ingest.session import MqttSettings
from submeter.ingest.settings import buses_of, maps_of, modbus_of, serial_of

__all__ = ["Collector", "collectors", "mqtt_settings"]

#: By the name of a source.
Voice = Callable[[str], OnEvent]
Collector = MqttCollector | SerialCollector | BusCollector | ModbusCollector | DropCollector | HttpCollector | Giver | Taker
#: What is pushed over HTTP is counted under this source.
HTTP: Final = "http"
#: The name of both sides of the folder that collectors and core share.
HANDOVER: Final = "handover"


def collectors(config: Config, voice: Voice) -> list[Collector]:
    """One collector for each [[mqtt]], [[serial]], [[bus]], [[modbus]] and [[drop]], and for [http] and [handover]; secrets are read now.

    `voice` gives what each tells its events to, by its name. Raises ConfigError for what is not there.
    """
    inbox = config.data.folder / "inbox.sqlite"
    brokers = [MqttCollector(mqtt_settings(broker), inbox, voice(broker.name)) for broker in config.mqtt]
    http = [HttpCollector(_http(config.http), config.data, voice(HTTP))] if config.http.enabled else []
    return [
        *brokers,
        *(SerialCollector(serial_of(port), inbox, voice(port.name)) for port in config.serial),
        *(BusCollector(one, inbox, voice(one.name)) for one in buses_of(config)),
        *_modbus(config, inbox, voice),
        *_drops(config.drop, inbox, voice),
        *http,
        *_handover(config, inbox, voice),
    ]


def _modbus(config: Config, inbox: Path, voice: Voice) -> Iterator[ModbusCollector]:
    maps = maps_of(config)
    for one in config.modbus:
        yield ModbusCollector(modbus_of(one, maps), inbox, voice(one.name))


def _drops(drops: Sequence[Drop], inbox: Path, voice: Voice) -> Iterator[DropCollector]:
    for one in drops:
        settings = DropSettings(one.name, one.folder, one.gateway or one.name, None if one.format == "auto" else one.format)
        yield DropCollector(settings, inbox, voice(one.name))


def _handover(config: Config, inbox: Path, voice: Voice) -> Iterator[Giver | Taker]:
    if config.handover.give:
        yield Giver(HandoverSettings(config.handover.give, config.retention.inbox_days), inbox, voice(HANDOVER))
    if config.handover.take:
        yield Taker(HandoverSettings(config.handover.take), inbox, voice(HANDOVER))


def mqtt_settings(broker: Broker) -> MqttSettings:
    """A broker as its session wants it; its password is read now. Raises ConfigError."""
    return MqttSettings(
        name=broker.name,
        host=broker.host,
        port=broker.port,
        client_id=broker.client_id,
        protocol=broker.protocol,
        topics=broker.topics,
        retained=frozenset(filter(wants_retained, broker.topics)),
        username=broker.username or None,
        password=broker.password(),
        tls=broker.tls,
        ca_file=broker.ca_file,
        cert_file=broker.cert_file,
        key_file=broker.key_file,
        session_expiry_s=broker.session_expiry,
    )


def _http(section: Http) -> HttpSettings:
    return HttpSettings(HTTP, section.host, section.port, section.per_minute)
