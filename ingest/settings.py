"""What pipeline.toml says of formats and devices, as the pure parts of ingest take it."""

from collections.abc import Mapping
from importlib.util import find_spec

from submeter.config import Config, ConfigError, MappedTopic, ModbusLine
from submeter.ingest.envelopes.mapping import Rule, Value
from submeter.ingest.lorawan import Route
from submeter.ingest.modbus.maps import MapError, RegisterMap, maps_in
from submeter.ingest.modbus.stations import Station, station

__all__ = ["maps_of", "routes_of", "rules_of", "stations_of"]


def routes_of(config: Config) -> list[Route]:
    """What LoRaWAN devices send."""
    return [Route(one.eui, one.port, one.carries) for one in config.lorawan]


def rules_of(config: Config) -> list[Rule]:
    """The mappings of the configuration; ConfigError for a register or unit that is none."""
    return [_rule(one, number) for number, one in enumerate(config.mapping, 1)]


def maps_of(config: Config) -> dict[str, RegisterMap]:
    """The register maps that are shipped and those of the configuration; ConfigError for one that cannot be used."""
    try:
        return maps_in(line.maps for line in config.modbus if line.maps)
    except MapError as error:
        raise ConfigError(f"[[modbus]] maps: {error}") from None


def stations_of(line: ModbusLine, maps: Mapping[str, RegisterMap]) -> tuple[Station, ...]:
    """Whom a Modbus line is asked for; ConfigError where that cannot be, or what asks is not installed."""
    if find_spec("pymodbus") is None:
        raise ConfigError(f"[[modbus]] {line.name}: pymodbus is not installed: pip install 'submeter[modbus]', or take the section out")
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
