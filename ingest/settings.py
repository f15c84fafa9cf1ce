"""What pipeline.toml says of formats, as the pure parts of ingest take it."""

from submeter.config import Config, ConfigError, MappedTopic
from submeter.ingest.envelopes.mapping import Rule, Value
from submeter.ingest.lorawan import Route

__all__ = ["routes_of", "rules_of"]


def routes_of(config: Config) -> list[Route]:
    """What LoRaWAN devices send."""
    return [Route(one.eui, one.port, one.carries) for one in config.lorawan]


def rules_of(config: Config) -> list[Rule]:
    """The mappings of the configuration; ConfigError for a register or unit that is none."""
    return [_rule(one, number) for number, one in enumerate(config.mapping, 1)]


def _rule(one: MappedTopic, number: int) -> Rule:
    try:
        values = [Value(value.path, value.of, value.unit) for value in one.values]
    except ValueError as error:
        raise ConfigError(f"[[mapping]] {number} values: {error}") from None
    if bool(values) == bool(one.raw):
        raise ConfigError(f"[[mapping]] {number}: write either raw or values")
    return Rule(one.topic, one.meter, values, one.records, one.time, one.time_format, one.raw, one.rssi)
