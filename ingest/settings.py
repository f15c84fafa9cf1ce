"""What pipeline.toml says of formats, ports and lines, as the parts of ingest take it; opens nothing. ConfigError for what only they can tell is wrong."""

from collections.abc import Mapping
from importlib.util import find_spec

from submeter.config import Config, ConfigError, MappedTopic, ModbusLine, SerialPort, WiredBus
from submeter.ingest.bus.frames import BAUDS, Address, parse_address
from submeter.ingest.bus.master import ECHO, Timing
from submeter.ingest.bus.poller import BusSettings
from submeter.ingest.dongles import ASKABLE, AUTO, KINDS, modes_of
from submeter.ingest.envelopes.mapping import Rule, Value
from submeter.ingest.lorawan import Route
from submeter.ingest.modbus.maps import MapError, RegisterMap, maps_in
from submeter.ingest.modbus.poller import ModbusSettings
from submeter.ingest.modbus.stations import Station, station
from submeter.ingest.schedule import Meter
from submeter.ingest.serial import SerialSettings

__all__ = ["buses_of", "maps_of", "modbus_of", "routes_of", "rules_of", "serial_of"]


def routes_of(config: Config) -> list[Route]:
    """What LoRaWAN devices send."""
    return [Route(one.eui, one.port, one.carries) for one in config.lorawan]


def rules_of(config: Config) -> list[Rule]:
    """The mappings of the configuration; ConfigError for a register or unit that is none."""
    return [_rule(one, number) for number, one in enumerate(config.mapping, 1)]


def serial_of(port: SerialPort) -> SerialSettings:
    """A port as its collector takes it."""
    asked, place = port.mode or AUTO in {port.port, port.kind}, f"[[serial]] {port.name}"
    if asked and (port.command or port.port.startswith(("udp://", "tcp://"))):
        raise ConfigError(f'{place}: nobody is there to be asked: leave mode and "auto" out, or write the port of a dongle')
    if AUTO in {port.port, port.kind} and port.kind not in {AUTO, *ASKABLE}:
        raise ConfigError(f'{place} port: {port.kind} cannot be asked who it is: write its port, or kind = "auto" or one of {", ".join(ASKABLE)}')
    if port.mode and port.kind != AUTO and port.mode not in KINDS[port.kind].modes:
        raise ConfigError(f"{place} mode: {port.kind} has no mode {port.mode}: {modes_of(port.kind)}")
    return SerialSettings(
        name=port.name,
        url=port.port,
        baud=port.baud,
        gateway=port.gateway or port.name,
        format=None if port.format == "auto" else port.format,
        stall_s=port.stall_minutes * 60.0,
        kind=port.kind,
        command=port.command,
        mode=port.mode,
    )


def buses_of(config: Config) -> list[BusSettings]:
    """The wired buses."""
    return [_bus(one) for one in config.bus]


def _bus(one: WiredBus) -> BusSettings:
    try:
        meters = tuple(map(_meter, one.meters))
    except ValueError as error:
        raise ConfigError(f"[[bus]] {one.name} meters: {error}") from None
    other = next((meter for meter in meters if meter.baud not in {None, one.baud}), None)
    if other and one.port.startswith("socket://"):
        raise ConfigError(f"[[bus]] {one.name} meters: {other}: the speed of the line is set in the gateway: use its rfc2217:// port, if it has one")
    timing = Timing(one.baud, one.latency_ms / 1000)
    return BusSettings(one.name, one.port, meters, one.gateway or one.name, timing, ECHO[one.echo], one.interval_minutes * 60.0)


def _meter(text: str) -> Meter[Address]:
    """Read `ADDRESS [@ BAUD] [every MINUTES]`; raises ValueError."""
    address, _, minutes = text.partition(" every ")
    address, at, baud = address.partition("@")
    if (at and baud.strip() not in map(str, BAUDS)) or (minutes and not (minutes.strip().isdecimal() and int(minutes))):
        rates = ", ".join(map(str, BAUDS))
        raise ValueError(f'{text!r}: write ADDRESS, "ADDRESS @ 300" with a baud rate of {rates}, or "ADDRESS every 1440" with minutes')
    return Meter(parse_address(address), int(baud) if at else None, int(minutes) * 60.0 if minutes else None)


def maps_of(config: Config) -> dict[str, RegisterMap]:
    """The register maps that are shipped and those of the configuration; ConfigError for one that cannot be used."""
    try:
        return maps_in(line.maps for line in config.modbus if line.maps)
    except MapError as error:
        raise ConfigError(f"[[modbus]] maps: {error}") from None


def modbus_of(line: ModbusLine, maps: Mapping[str, RegisterMap]) -> ModbusSettings:
    """A Modbus line; ConfigError where a meter of it cannot be read, or what asks is not installed."""
    if find_spec("pymodbus") is None:
        raise ConfigError(f"[[modbus]] {line.name}: pymodbus is not installed: pip install 'submeter[modbus]', or take the section out")
    return ModbusSettings(
        name=line.name,
        url=line.url,
        stations=_stations(line, maps),
        gateway=line.gateway or line.name,
        baud=line.baud,
        parity=line.parity,
        timeout_s=line.timeout_ms / 1000,
        echo=ECHO[line.echo],
        interval_s=line.interval_minutes * 60.0,
    )


def _stations(line: ModbusLine, maps: Mapping[str, RegisterMap]) -> tuple[Station, ...]:
    """Whom it is asked for."""
    try:
        found = tuple(station(maps, one.unit, one.map, one.offset, one.meter) for one in line.meters)
    except ValueError as error:
        raise ConfigError(f"[[modbus]] {line.name} meters: {error}") from None
    if twice := next((one for one in found if found.count(one) > 1), None):
        raise ConfigError(f"[[modbus]] {line.name} meters: {twice} is there twice")
    return found


def _rule(one: MappedTopic, number: int) -> Rule:
    try:
        values = [Value(value.path, value.of, value.unit) for value in one.values]
    except ValueError as error:
        raise ConfigError(f"[[mapping]] {number} values: {error}") from None
    if bool(values) == bool(one.raw):
        raise ConfigError(f"[[mapping]] {number}: write either raw or values")
    return Rule(one.topic, one.meter, values, one.records, one.time, one.time_format, one.raw, one.rssi)
