"""The sections of pipeline.toml: every key with its type, its default and what to write there.

Rules: frozen, strict, unknown keys refused; a key's `description` ends the sentence "write …" when its value is refused, so it names the form and an
example; an empty text stands for "none"; relative paths count from the folder of the file; secrets are named here and read when they are needed.
"""

import ipaddress
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import quote
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo, model_validator

from submeter import civil
from submeter.config.errors import ConfigError

__all__ = [
    "Api",
    "Broker",
    "Config",
    "Data",
    "Drop",
    "Events",
    "Gateway",
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
    "Rollup",
    "Sender",
    "SerialPort",
    "Sms",
    "Webhooks",
    "WiredBus",
]

LOOPBACK: Final = "127.0.0.1"


def _from_folder_of_the_file(path: Path, info: ValidationInfo) -> Path:
    context: dict[str, Path] = info.context or {}
    return context["base"] / path


def _place(text: str, info: ValidationInfo) -> str:
    return text if not text or "://" in text else str(_from_folder_of_the_file(Path(text), info))


def _cron(expression: str) -> str:
    CronTrigger.from_crontab(expression, timezone=ZoneInfo("UTC"))
    return expression


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


def _without_password(text: str) -> str:
    if re.search(r"[?&]password=", text):
        raise ValueError("the password belongs into a file")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(str(error)) from None
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
MonthDay = Annotated[int, Field(ge=1, le=31)]
Count = Annotated[int, Field(ge=1)]
Limit = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=1, le=60)]
Status = Annotated[int, Field(ge=100, le=599)]
Address = Annotated[str, Field(pattern=r"^([^\s@<>,;:\"]+@[^\s@<>,;:\"]+)?$")]
Link = Annotated[str, Field(pattern=r"^((https://|http://localhost[:/])([^{}\s]|\{(amount|currency|unit|account)\})+|mailto:[^{}\s]+|tel:\+\d+)$")]
#: Where pages of a portal lead: to pay a balance, to pay without an account, to how the portal is used, to the manager's own pages, to who helps.
LinkName = Literal["pay", "pay_open", "manual", "video", "home", "mail", "phone"]
Url = Annotated[str, Field(pattern=r"^(https?://\S+)?$")]
#: No password stands between the user and the host.
Database = Annotated[str, Field(pattern=r"^(postgres(ql)?://([^\s:@/?]+@)?[^\s@?]*(\?[^\s]*)?)?$"), AfterValidator(_without_password)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+: ?[^\r\n]+$")]
Pattern = Annotated[str, AfterValidator(_pattern)]
Network = Annotated[str, AfterValidator(_network)]
Cron = Annotated[str, AfterValidator(_cron)]
Folder = Annotated[Path, Strict(strict=False), AfterValidator(_from_folder_of_the_file)]
Place = Annotated[str, AfterValidator(_place)]
Level = Annotated[str, Field(pattern=r"^[^/+#\s]+$")]
Levels = Annotated[str, Field(pattern=r"^[^/+#\s]+(/[^/+#\s]+)*$")]
Patterns = Annotated[tuple[Text, ...], Strict(strict=False)]
File = Annotated[Folder | None, BeforeValidator(lambda text: None if text == "" else text)]


class Section(BaseModel):
    """What all sections share: they do not change, say no to unknown keys and take no number for a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Data(Section):
    """Where everything is kept."""

    folder: Folder = Field(default=Path("data"), description='the folder of all data, e.g. folder = "/var/lib/submeter"')
    database: Database = Field(
        default="",
        description='a PostgreSQL database, without its password, e.g. database = "postgresql://submeter@db.example/submeter", or "" for files',
    )
    database_password_file: File = Field(
        default=None, description='a file with the password, e.g. database_password_file = "database.password", or "" for none'
    )

    def server(self) -> str:
        """The database with its password, which is read now, as libpq takes it; "" for files. ConfigError if the password is not there."""
        if not self.database or not self.database_password_file:
            return self.database
        password = quote(_secret(self.database_password_file, "[data] database_password_file"), safe="")
        return f"{self.database}{'&' if '?' in self.database else '?'}password={password}"


class Log(Section):
    """What is told on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description='one of "debug", "info", "warning", "error"')
    format: Literal["console", "json"] = Field(default="console", description='"console" or "json"')


class Keys(Section):
    """Where the master key is that opens the meters' keys."""

    master_key_file: File = Field(default=Path("master.key"), description='a file of mode 0600, e.g. master_key_file = "master.key", or "" for none')
    master_key_env: str = Field(
        default="", description='the name of an environment variable, e.g. master_key_env = "SUBMETER_MASTER_KEY"; it goes before the file'
    )


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
    def section(self) -> str:
        """How messages name this section."""
        raise NotImplementedError

    def password(self) -> str | None:
        """Read the password now, from its file or environment variable; None if none is configured, ConfigError if it is not there."""
        if self.password_env:
            return _environment(self.password_env, f"{self.section}: password_env")
        return _secret(self.password_file, f"{self.section}: password_file") if self.password_file else None


class Broker(Connection):
    """An MQTT broker to listen to."""

    name: Name = Field(default="mqtt", description='a name of letters, digits, "_", "." and "-", e.g. name = "mqtt"')
    protocol: Literal["5", "3.1.1"] = Field(default="5", description='"5", or "3.1.1" for a broker that knows no better')
    topics: Annotated[tuple[Text, ...], Strict(strict=False), Field(min_length=1)] = Field(
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


class HomeAssistant(Connection):
    """Meters that Home Assistant shows, and the broker where it finds them; without a pattern none, and nothing is connected."""

    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        default="submeter-home", description='letters, digits, "_" and "-", that no other client of this broker has, e.g. client_id = "submeter-home"'
    )
    prefix: Level = Field(default="homeassistant", description='the first level of announcements, e.g. prefix = "homeassistant"')
    topic: Levels = Field(default="submeter/home", description='where values are published, e.g. topic = "submeter/home"')
    properties: Patterns = Field(default=(), description='ids of the directory, * for any, e.g. properties = ["lipova-12"], or [] for none')
    units: Patterns = Field(default=(), description='ids of the directory, * for any, e.g. units = ["lipova-12-3"], or [] for none')
    points: Patterns = Field(default=(), description='ids of the directory, * for any, e.g. points = ["lipova-12-*-kitchen"], or [] for none')

    @property
    def section(self) -> str:
        """How messages name this section."""
        return "[home_assistant]"

    @property
    def wanted(self) -> bool:
        """Whether anything is to be shown."""
        return bool(self.properties or self.units or self.points)


def _zone(name: str) -> str:
    if name:
        try:
            civil.zone_info(name)
        except civil.CivilError as error:
            raise ValueError(str(error)) from None
    return name


OptionalZone = Annotated[str, AfterValidator(_zone)]


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
    meters: Annotated[tuple[str, ...], Strict(strict=False)] = Field(
        default=(), description='addresses, e.g. meters = ["5", "20135442 523B 03 07", "NZR-20135442-03-07"], or [] for none'
    )
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
    meters: Annotated[tuple[ModbusMeter, ...], Strict(strict=False)] = Field(
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
    values: Annotated[tuple[MappedValue, ...], Strict(strict=False)] = Field(
        default=(), description='e.g. values = [{path = "vol", register = "volume", unit = "m3"}], or [] with raw'
    )


class Rollup(Section):
    """When rows are computed, and when they become final."""

    hourly: Cron = Field(default="5 * * * *", description='five cron fields in UTC, e.g. hourly = "5 * * * *"')
    monthly: Cron = Field(default="0 5 6 * *", description='five cron fields in UTC, e.g. monthly = "0 5 6 * *"')
    nightly: Cron = Field(default="15 2 * * *", description='five cron fields in UTC, e.g. nightly = "15 2 * * *"')
    notices: Cron = Field(default="20 6-19 * * *", description='five cron fields in UTC, e.g. notices = "20 6-19 * * *"')
    final_after_hours: Annotated[int, Field(ge=0)] = Field(default=48, description="whole hours, e.g. final_after_hours = 48")
    month_final_day: Annotated[int, Field(ge=1, le=28)] = Field(
        default=5, description="a day of the next month from 1 to 28, e.g. month_final_day = 5"
    )


class Retention(Section):
    """For how many days things are kept, and when older ones are archived and deleted; 0 for ever."""

    inbox_days: Limit = Field(default=90, description="whole days, e.g. inbox_days = 90, or 0 for ever")
    archive_days: Limit = Field(default=400, description="whole days, e.g. archive_days = 400, or 0 for no archive")
    unknown_days: Limit = Field(default=14, description="whole days, e.g. unknown_days = 14")
    readings_days: Limit = Field(default=400, description="whole days, e.g. readings_days = 400, or 0 for ever")
    hours_days: Limit = Field(default=400, description="whole days, e.g. hours_days = 400, or 0 for ever")
    days_days: Limit = Field(default=3660, description="whole days, e.g. days_days = 3660, or 0 for ever")
    outbox_days: Limit = Field(default=90, description="whole days, e.g. outbox_days = 90, or 0 for ever")
    archive: Cron = Field(default="30 3 * * *", description='five cron fields in UTC, e.g. archive = "30 3 * * *"')
    retention: Cron = Field(default="30 4 6 * *", description='five cron fields in UTC, e.g. retention = "30 4 6 * *"')


class Information(Section):
    """Texts of the monthly information (SPEC 16) that no meter tells; "" leaves one out."""

    prices: str = Field(default="", description='prices, e.g. prices = "heat 0.12 EUR/kWh"')
    energy_mix: str = Field(default="", description='what the heat is made of, e.g. energy_mix = "70 % gas, 30 % heat pump"')
    emissions: str = Field(default="", description='emissions, e.g. emissions = "180 g CO2/kWh"')
    contacts: str = Field(default="", description='where to get advice, e.g. contacts = "https://example.org"')
    disputes: str = Field(default="", description='where to complain, e.g. disputes = "Jana Nová, +420 123 456 789"')


class Events(Section):
    """What is taken for an event (docs/events.md); 0 switches a limit off where it says so."""

    silent_intervals: Count = Field(default=3, description="a whole number above 0, e.g. silent_intervals = 3")
    silent_min_minutes: Count = Field(default=60, description="whole minutes above 0, e.g. silent_min_minutes = 60")
    unknown_interval_hours: Count = Field(default=24, description="whole hours above 0, e.g. unknown_interval_hours = 24")
    never_heard_hours: Limit = Field(default=24, description="whole hours, e.g. never_heard_hours = 24, or 0 for never")
    gateway_silent_minutes: Limit = Field(default=10, description="whole minutes, e.g. gateway_silent_minutes = 10, or 0 for never")
    ahead_minutes: Count = Field(default=10, description="whole minutes above 0, e.g. ahead_minutes = 10")
    meter_clock_minutes: Limit = Field(default=30, description="whole minutes, e.g. meter_clock_minutes = 30, or 0 for never")
    stuck_days: Limit = Field(default=30, description="whole days, e.g. stuck_days = 30, or 0 for never")
    leak_litres_per_hour: Limit = Field(default=5, description="whole litres an hour, e.g. leak_litres_per_hour = 5, or 0 for never")
    leak_nights: Count = Field(default=3, description="nights in a row, e.g. leak_nights = 3")
    sum_tolerance_percent: Limit = Field(default=20, description="whole percent, e.g. sum_tolerance_percent = 20, or 0 for never")


class Mail(Section):
    """How mail leaves the outbox."""

    sink: Literal["none", "smtp", "file", "console"] = Field(default="none", description='one of "none", "smtp", "file", "console"')
    host: Text = Field(default=LOOPBACK, description='a host name or address, e.g. host = "smtp.example"')
    port: Port = Field(default=587, description="a whole number from 1 to 65535, e.g. port = 587, with tls 465")
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description='one of "starttls", "tls", "none"')
    ca_file: File = Field(default=None, description='a file of certificates, e.g. ca_file = "ca.crt", or "" for those of the system')
    username: str = Field(default="", description='the user at the server, e.g. username = "submeter", or "" for none')
    password_file: File = Field(default=None, description='a file with the password, e.g. password_file = "mail.password", or "" for none')
    password_env: str = Field(default="", description='the name of an environment variable, e.g. password_env = "MAIL_PASSWORD", or "" for none')
    sender: Address = Field(default="", description='the address of the sender, e.g. sender = "portal@example.org"')
    timeout_s: Seconds = Field(default=10, description="seconds from 1 to 60, e.g. timeout_s = 10")
    folder: Folder = Field(default=Path("outbox"), description='the folder of the sink "file", e.g. folder = "outbox"')

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.password_file and self.password_env:
            raise ValueError("password_file and password_env are both set: keep one")
        if self.username and self.tls == "none" and self.host not in {LOOPBACK, "localhost", "::1"}:
            raise ValueError('the password would go in clear to another host: write tls = "starttls" or "tls"')
        if self.sink == "smtp" and not self.sender:
            raise ValueError('there is no sender: write e.g. sender = "portal@example.org"')
        return self

    def password(self) -> str:
        """Read the password now; "" if none is configured, ConfigError if it is not there."""
        return _either(self.password_file, self.password_env, "[mail] password")


class Sms(Section):
    """How SMS leave the outbox: a request to an HTTP gateway."""

    sink: Literal["none", "http", "file", "console"] = Field(default="none", description='one of "none", "http", "file", "console"')
    url: Url = Field(default="", description='the address of the gateway, e.g. url = "https://sms.example/send"')
    method: Literal["POST", "GET", "PUT"] = Field(default="POST", description='one of "POST", "GET", "PUT"')
    format: Literal["json", "form", "xml", "plain"] = Field(default="json", description='one of "json", "form", "xml", "plain"')
    headers: Annotated[tuple[Header, ...], Strict(strict=False)] = Field(
        default=(), description='a list of header lines, e.g. headers = ["Authorization: Bearer {secret}"]'
    )
    body: str = Field(
        default='{"to": "{to}", "from": "{sender}", "text": "{text}"}', description="""the request, e.g. body = '{"to": "{to}", "text": "{text}"}'"""
    )
    secret_file: File = Field(default=None, description='a file with the secret, e.g. secret_file = "sms.secret", or "" for none')
    secret_env: str = Field(default="", description='the name of an environment variable, e.g. secret_env = "SMS_SECRET", or "" for none')
    success: Annotated[tuple[Status, ...], Strict(strict=False), Field(min_length=1)] = Field(
        default=(200, 201, 202), description="a list of status codes, e.g. success = [200, 201, 202]"
    )
    success_pattern: Pattern = Field(
        default="", description="""a regular expression that the answer holds, e.g. success_pattern = '"ok"', or "" for any"""
    )
    sender: str = Field(default="", description='the sender, e.g. sender = "SUBMETER"')
    timeout_s: Seconds = Field(default=10, description="seconds from 1 to 60, e.g. timeout_s = 10")
    folder: Folder = Field(default=Path("outbox"), description='the folder of the sink "file", e.g. folder = "outbox"')

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.secret_file and self.secret_env:
            raise ValueError("secret_file and secret_env are both set: keep one")
        if self.sink == "http" and not self.url:
            raise ValueError('there is no gateway: write e.g. url = "https://sms.example/send"')
        return self

    def secret(self) -> str:
        """Read the secret now; "" if none is configured, ConfigError if it is not there."""
        return _either(self.secret_file, self.secret_env, "[sms] secret")


class Letters(Section):
    """How letters leave the outbox: they are left for somebody to print."""

    sink: Literal["none", "file", "console"] = Field(default="none", description='one of "none", "file", "console"')
    folder: Folder = Field(default=Path("outbox"), description='the folder of the sink "file", e.g. folder = "outbox"')


class Webhooks(Section):
    """Where managers' systems may be told that something is new (docs/outbox.md)."""

    private: bool = Field(default=False, description="true or false")


class Sender(Section):
    """As whom a manager writes; managers that are not listed write as [mail] and [sms] say, under their name in the directory."""

    manager: Text = Field(default="c_1", description='the id of a manager in the directory, e.g. manager = "c_1"')
    name: str = Field(default="", description='a name that readers know, e.g. name = "INMES", or "" for the name in the directory')
    mail: Address = Field(default="", description='the address of the sender, e.g. mail = "portal@example.org", or "" for that of [mail]')
    sms: str = Field(default="", description='the sender of SMS, e.g. sms = "INMES", or "" for that of [sms]')


class PortalHost(Section):
    """A host whose residents have accounts, and the manager that it stands for; hosts of one portal share their accounts."""

    name: Name = Field(default="inmes", description='a shipped portal (docs/portals.md) or a name for that of `file`, e.g. name = "inmes"')
    file: File = Field(default=None, description='a file with a portal of your own, e.g. file = "portal.toml", or "" for the shipped one')
    host: Text = Field(default="localhost", description='the host name that browsers ask for, e.g. host = "portal.example.org"')
    manager: Text = Field(default="c_1", description='the id of a manager in the directory, e.g. manager = "c_1"')
    operator_email: Address = Field(
        default="", description='where messages of residents go, e.g. operator_email = "office@example.org", or "" for nowhere'
    )
    links: Mapping[LinkName, Link] = Field(
        default={},
        description='addresses of https (http at localhost only), mailto: and tel:, e.g. links = {pay = "https://pay.example.org/?account={account}&sum={amount}"}, or {} for none',
    )
    demo_manager: str = Field(
        default="", description='the id of a manager whose units anybody may look at, e.g. demo_manager = "demo", or "" for no demo'
    )
    readings_open: Annotated[tuple[MonthDay, ...], Strict(strict=False), Field(max_length=2)] = Field(
        default=(), description="first and last day of the month on which readings are taken, e.g. readings_open = [20, 25], or [] for always"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if len(self.readings_open) == 1:
            raise ValueError("readings_open: write two days, e.g. [20, 25], or [] for always")
        if filled := [name for name, link in self.links.items() if name != "pay" and "{" in link]:
            raise ValueError(f"links: {filled[0]} is shown as it is, only pay is filled in: write it without braces")
        if self.demo_manager and self.demo_manager == self.manager:
            raise ValueError("demo_manager is the portal's own manager: everybody would see its residents")
        return self


class Api(Section):
    """The HTTP interface for portals."""

    enabled: bool = Field(default=True, description="true or false")
    host: Text = Field(default=LOOPBACK, description='the address to listen on, e.g. host = "127.0.0.1"')
    port: Port = Field(default=8080, description="a whole number from 1 to 65535, e.g. port = 8080")
    proxies: Annotated[tuple[Network, ...], Strict(strict=False)] = Field(
        default=(LOOPBACK,), description='a list of addresses or networks, e.g. proxies = ["127.0.0.1", "10.0.0.0/24"], or [] for none'
    )
    cheap_per_minute: Limit = Field(default=600, description="requests a minute, e.g. cheap_per_minute = 600, or 0 for no limit")
    reads_per_minute: Limit = Field(default=120, description="requests a minute, e.g. reads_per_minute = 120, or 0 for no limit")
    writes_per_minute: Limit = Field(default=30, description="requests a minute, e.g. writes_per_minute = 30, or 0 for no limit")
    exports_per_minute: Limit = Field(default=6, description="requests a minute, e.g. exports_per_minute = 6, or 0 for no limit")


class Metrics(Section):
    """Health and Prometheus metrics, on a port of their own."""

    enabled: bool = Field(default=True, description="true or false")
    host: Text = Field(default=LOOPBACK, description='the address to listen on, e.g. host = "127.0.0.1"')
    port: Port = Field(default=9108, description="a whole number from 1 to 65535, e.g. port = 9108")
    collect_port: int = Field(default=0, ge=0, le=65535, description="a whole number from 1 to 65535, or collect_port = 0 for none")


class Config(Section):
    """All of pipeline.toml."""

    data: Data
    log: Log
    keys: Keys
    mqtt: Annotated[tuple[Broker, ...], Strict(strict=False)] = ()
    serial: Annotated[tuple[SerialPort, ...], Strict(strict=False)] = ()
    http: Http
    bus: Annotated[tuple[WiredBus, ...], Strict(strict=False)] = ()
    modbus: Annotated[tuple[ModbusLine, ...], Strict(strict=False)] = ()
    drop: Annotated[tuple[Drop, ...], Strict(strict=False)] = ()
    handover: Handover
    gateway: Annotated[tuple[Gateway, ...], Strict(strict=False)] = ()
    lorawan: Annotated[tuple[LoraWan, ...], Strict(strict=False)] = ()
    mapping: Annotated[tuple[MappedTopic, ...], Strict(strict=False)] = ()
    rollup: Rollup
    retention: Retention
    information: Information
    events: Events
    mail: Mail
    sms: Sms
    letters: Letters
    webhooks: Webhooks
    home_assistant: HomeAssistant
    sender: Annotated[tuple[Sender, ...], Strict(strict=False)] = ()
    portal: Annotated[tuple[PortalHost, ...], Strict(strict=False)] = ()
    api: Api
    metrics: Metrics

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        sources = [
            *(broker.name for broker in self.mqtt),
            *(port.name for port in self.serial),
            *(drop.name for drop in self.drop),
            *(bus.name for bus in self.bus),
            *(line.name for line in self.modbus),
            *["http"] * self.http.enabled,
        ]
        gateways, managers = [gateway.name for gateway in self.gateway], [sender.manager for sender in self.sender]
        hosts = [portal.host for portal in self.portal]
        for key, names in (
            ("[[mqtt]] [[serial]] [[bus]] [[modbus]] [[drop]] name", sources),
            ("[[gateway]] name", gateways),
            ("[[sender]] manager", managers),
            ("[[portal]] host", hosts),
        ):
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise ValueError(f"{key}: {twice[0]!r} is there twice: give each its own")
        return self


def _either(file: Path | None, variable: str, where: str) -> str:
    """A secret from where it is kept; "" if nowhere."""
    if variable:
        return _environment(variable, f"{where}_env")
    return _secret(file, f"{where}_file") if file else ""


def _environment(name: str, where: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{where}: the environment variable {name} is empty: set it, or name another")
    return value


def _secret(path: Path, where: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error}") from error
