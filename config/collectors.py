"""Sections of what brings telegrams in: brokers, ports, buses, folders, machines beside, and what is told of gateways and of messages that are no format."""

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from submeter.config.values import (
    LOOPBACK,
    Count,
    File,
    Folder,
    Limit,
    Many,
    Name,
    OptionalZone,
    Place,
    Port,
    Section,
    Text,
    either,
)

__all__ = [
    "Broker",
    "Connection",
    "Drop",
    "Gateway",
    "Handover",
    "Http",
    "LoraWan",
    "MappedTopic",
    "MappedValue",
    "ModbusLine",
    "ModbusMeter",
    "SerialPort",
    "WiredBus",
]


class Connection(Section):
    """How an MQTT broker is reached, and who we are there."""

    host: Text = Field(default=LOOPBACK, description='a host name or address, e.g. host = "broker.example"')
    port: Port = Field(default=1883, description="a whole number from 1 to 65535, e.g. port = 1883, with tls 8883")
    client_id: Name = Field(default="submeter", description='a name that no other client of this broker has, e.g. client_id = "submeter"')
    username: str = Field(default="", description='the user at the broker, e.g. username = "submeter-ingest", or "" for none')
    password_file: File = Field(default=None, description='a file with the password, e.g. password_file = "mqtt.password", or "" for none')
    password_env: str = Field(default="", description='the name of an environment variable, e.g. password_env = "MQTT_PASSWORD", or "" for none')
    tls: bool = Field(default=False, description="true or false")
    ca_file: File = Field(default=None, description='a file of certificates, e.g. ca_file = "ca.crt", or "" for those of the system')
    cert_file: File = Field(default=None, description='a file with our own certificate, e.g. cert_file = "submeter.crt", or "" for none')
    key_file: File = Field(default=None, description='a file with its key, e.g. key_file = "submeter.key", or "" for none')

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.password_file and self.password_env:
            raise ValueError("password_file and password_env are both set: keep one")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file is set without tls: write tls = true, or leave ca_file out")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: write both, or neither")
        if self.cert_file and not self.tls:
            raise ValueError("cert_file is set without tls: write tls = true, or leave cert_file and key_file out")
        return self

    @property
    @abstractmethod
    def section(self) -> str:
        """How messages name this section."""

    def password(self) -> str | None:
        """Read the password now, from its file or environment variable; None if none is configured, ConfigError if it is not there."""
        return either(self.password_file, self.password_env, f"{self.section}: password") if self.password_env or self.password_file else None


class Broker(Connection):
    """An MQTT broker to listen to."""

    name: Name = Field(default="mqtt", description='a name of letters, digits, "_", "." and "-", e.g. name = "mqtt"')
    protocol: Literal["5", "3.1.1"] = Field(default="5", description='"5", or "3.1.1" for a broker that knows no better')
    topics: Annotated[Many[Text], Field(min_length=1)] = Field(
        default=("submeter/v1/+/up",),
        description='a list of topic filters, e.g. topics = ["submeter/v1/+/up"]',
    )
    session_expiry: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=1_209_600, description="seconds, e.g. session_expiry = 1209600 (14 days)"
    )

    @property
    def section(self) -> str:
        """How messages name this section."""
        return f"[[mqtt]] {self.name}"


class SerialPort(Section):
    """A dongle or bus coupler on a serial port."""

    name: Name = Field(default="dongle", description='a name of letters, digits, "_", "." and "-", e.g. name = "dongle"')
    port: Text = Field(
        default="/dev/ttyUSB0", description='a device or pyserial address, e.g. port = "/dev/ttyUSB0" or "socket://10.0.0.7:4001", or "auto"'
    )
    baud: Annotated[int, Field(ge=0, le=4_000_000)] = Field(
        default=0, description="bits per second, e.g. baud = 9600, or 0 for the usual rate of the kind"
    )
    gateway: str = Field(default="", description='the gateway that these telegrams are counted under, e.g. gateway = "cellar", or "" for the name')
    format: Literal["auto", "hex", "rtl_wmbus"] = Field(default="auto", description='one of "auto", "hex", "rtl_wmbus"')
    kind: Literal["lines", "im871a", "iu891a", "amber", "cul", "rc1180", "auto"] = Field(
        default="lines", description='one of "lines", "im871a", "iu891a", "amber", "cul", "rc1180", "auto"'
    )
    mode: str = Field(default="", description='the radio mode that the dongle is set to, e.g. mode = "T1", or "" to set nothing')
    command: str = Field(default="", description='a program to read instead of the port, e.g. command = "rtl_wmbus -s", or "" for none')
    stall_minutes: Annotated[int, Field(ge=1)] = Field(default=10, description="minutes without a byte, e.g. stall_minutes = 10")


class WiredBus(Section):
    """A wired M-Bus that submeter reads itself."""

    name: Name = Field(default="bus", description='a name of letters, digits, "_", "." and "-", e.g. name = "bus"')
    port: Text = Field(default="/dev/ttyUSB0", description='a device or pyserial address, e.g. port = "/dev/ttyUSB0" or "socket://10.0.0.7:4001"')
    baud: Annotated[int, Field(ge=300, le=38_400)] = Field(default=2400, description="bits per second, e.g. baud = 2400")
    latency_ms: Annotated[int, Field(ge=0, le=10_000)] = Field(default=30, description="milliseconds, e.g. latency_ms = 500 through TCP")
    echo: Literal["auto", "yes", "no"] = Field(default="auto", description='one of "auto", "yes", "no"')
    interval_minutes: Count = Field(default=15, description="minutes between two reads of a meter, e.g. interval_minutes = 60")
    meters: Many[str] = Field(default=(), description='addresses, e.g. meters = ["5", "20135442 523B 03 07", "NZR-20135442-03-07"], or [] for none')
    gateway: str = Field(default="", description='the gateway that these telegrams are counted under, e.g. gateway = "cellar", or "" for the name')


class ModbusMeter(Section):
    """A meter, or what a controller knows of one, behind a Modbus line."""

    unit: Annotated[int, Field(ge=0, le=255)] = Field(default=1, description="the device's number on the line, e.g. unit = 5")
    map: Text = Field(default="", description='a map of `maps`, or one that is shipped (docs/modbus.md), e.g. map = "substation"')
    offset: Annotated[int, Field(ge=-65_535, le=65_535)] = Field(default=0, description="what is added to the map's addresses, e.g. offset = 50")
    meter: str = Field(
        default="", description='the meter as the directory names it, e.g. meter = "DFS-12345678-00-04" or "12345678", or "" if the map tells it'
    )


class ModbusLine(Section):
    """A Modbus line whose devices submeter asks for registers."""

    name: Name = Field(default="modbus", description='a name of letters, digits, "_", "." and "-", e.g. name = "substations"')
    url: Annotated[str, Field(pattern=r"^(tcp://[^\s/]+|socket://[^\s/]+:\d+|[^:\s]+)$")] = Field(
        default="tcp://127.0.0.1:502", description='e.g. url = "tcp://10.0.0.9:502", "socket://10.0.0.7:4001" (RTU through TCP) or "/dev/ttyUSB0"'
    )
    baud: Annotated[int, Field(ge=300, le=460_800)] = Field(default=19_200, description="bits per second, e.g. baud = 19200")
    parity: Literal["even", "odd", "none"] = Field(default="even", description='one of "even", "odd", "none"')
    echo: Literal["auto", "yes", "no"] = Field(default="auto", description='one of "auto", "yes", "no"')
    timeout_ms: Annotated[int, Field(ge=50, le=10_000)] = Field(default=1000, description="milliseconds, e.g. timeout_ms = 1000")
    interval_minutes: Count = Field(default=15, description="minutes between two reads of a meter, e.g. interval_minutes = 60")
    maps: File = Field(default=None, description='a file of register maps (docs/modbus.md), e.g. maps = "maps.toml", or "" for the shipped ones only')
    meters: Many[ModbusMeter] = Field(
        default=(), description='e.g. meters = [{unit = 5, map = "substation", meter = "DFS-12345678-00-04"}], or [] for none'
    )
    gateway: str = Field(default="", description='the gateway that these readings are counted under, e.g. gateway = "cellar", or "" for the name')


class Http(Section):
    """A listener for gateways that push over HTTP, each with its own token (`submeter gateway create`)."""

    enabled: bool = Field(default=False, description="true or false")
    host: Text = Field(default=LOOPBACK, description='the address to listen on, e.g. host = "127.0.0.1"')
    port: Port = Field(default=8081, description="a whole number from 1 to 65535, e.g. port = 8081")
    per_minute: Limit = Field(default=600, description="requests a minute of one gateway, e.g. per_minute = 600, or 0 for no limit")


class Drop(Section):
    """A folder that files are dropped into."""

    name: Name = Field(default="drop", description='a name of letters, digits, "_", "." and "-", e.g. name = "drop"')
    folder: Folder = Field(default=Path("drop"), description='a folder, e.g. folder = "drop"')
    gateway: str = Field(default="", description='the gateway that these telegrams are counted under, e.g. gateway = "cellar", or "" for the name')
    format: str = Field(default="auto", description='"auto", or a format of docs/gateways.md by its name there, e.g. format = "elvaco_csv"')


class Handover(Section):
    """A folder over which collectors on several machines hand their messages to one core."""

    give: Place = Field(default="", description='a path or URL, e.g. give = "/mnt/common" or "s3://meters/inbox", on a machine that only collects')
    take: Place = Field(default="", description='the same path or URL, e.g. take = "/mnt/common", on the machine that decodes')

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.give and self.take:
            raise ValueError("a machine either gives or takes: leave one out")
        return self


class Gateway(Section):
    """What is known about a gateway beforehand; those not listed have the defaults."""

    name: Name = Field(default="gateway", description='the gateway as it names itself, e.g. name = "cellar"')
    store_and_forward: bool = Field(default=False, description="true or false")
    decrypted: bool = Field(default=False, description="true or false")
    form: Literal["auto", "nocrc", "a", "b", "wired"] = Field(default="auto", description='one of "auto", "nocrc", "a", "b", "wired"')
    zone: OptionalZone = Field(
        default="", description='where its wall clock is meant, e.g. zone = "Europe/Prague", or "" if it names the zone itself'
    )


class LoraWan(Section):
    """What LoRaWAN devices send; those that no section fits wait in the quarantine."""

    eui: Annotated[str, Field(pattern=r"^[0-9a-f]{0,16}$")] = Field(
        default="", description='the first hex digits of the devices\' EUI in small letters, e.g. eui = "94193a04", or "" for all'
    )
    port: Annotated[int, Field(ge=0, le=255)] = Field(default=0, description="the port of the uplinks, e.g. port = 2, or 0 for all")
    carries: Literal["frame", "records", "lobaro_v1", "lobaro_v2", "imst"] = Field(
        default="frame", description='one of "frame", "records", "lobaro_v1", "lobaro_v2", "imst"'
    )


class MappedValue(Section):
    """A value of a mapping."""

    path: Text = Field(default="value", description='keys and list indexes with dots between, e.g. path = "vol"')
    of: Text = Field(default="volume", alias="register", description='a register of docs/registers.md, e.g. register = "volume"')
    unit: str = Field(default="m3", description='its unit there, e.g. unit = "m3" or "L"')


class MappedTopic(Section):
    """A shape of messages that no format knows."""

    topic: Text = Field(default="site/+/data", description='a topic filter, e.g. topic = "site/+/data"')
    records: str = Field(default="", description='where the list of records stands, e.g. records = "data", or "" for none')
    meter: Text = Field(default="meter", description='where the meter stands, e.g. meter = "serial", or "topic:1" for a level of the topic')
    time: str = Field(default="", description='where the time stands, e.g. time = "ts", or "" for none')
    time_format: Literal["rfc3339", "unix_s", "unix_ms", "local"] = Field(
        default="rfc3339", description='one of "rfc3339", "unix_s", "unix_ms", "local" (in the zone of the gateway)'
    )
    raw: str = Field(default="", description='where a whole frame stands as hex, e.g. raw = "hex", or "" for values')
    rssi: str = Field(default="", description='where the level stands, e.g. rssi = "rssi", or "" for none')
    values: Many[MappedValue] = Field(default=(), description='e.g. values = [{path = "vol", register = "volume", unit = "m3"}], or [] with raw')
