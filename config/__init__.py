"""pipeline.toml as frozen, checked values: every key has a default, a mistake is one line that names file and key.

`load` opens nothing but the file itself; secrets are named in the file and read when asked for.
May enter: pydantic, the cron grammar of apscheduler, and what stands below: civil, reading, errors.
"""

from submeter.config.collectors import Broker, Drop, Gateway, Handover, Http, LoraWan, MappedTopic, ModbusLine, SerialPort, WiredBus
from submeter.config.errors import ConfigError
from submeter.config.load import load, parse
from submeter.config.people import Api, HomeAssistant, Letters, Mail, PortalHost, Sender, Sms, Webhooks
from submeter.config.sections import Config, Data, Events, Keys, Log, Metrics, Rollup

__all__ = [
    "Api",
    "Broker",
    "Config",
    "ConfigError",
    "Data",
    "Drop",
    "Events",
    "Gateway",
    "Handover",
    "HomeAssistant",
    "Http",
    "Keys",
    "Letters",
    "Log",
    "LoraWan",
    "Mail",
    "MappedTopic",
    "Metrics",
    "ModbusLine",
    "PortalHost",
    "Rollup",
    "Sender",
    "SerialPort",
    "Sms",
    "Webhooks",
    "WiredBus",
    "load",
    "parse",
]
