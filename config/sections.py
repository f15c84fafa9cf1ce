"""The whole of pipeline.toml, and the sections of the service itself; `collectors` has those of what brings telegrams in, `people` those of what leads to people.

Rules: every key has its type, its default and what to write there; frozen, strict, unknown keys refused; a key's `description` ends the sentence "write …" when its value is refused, so it names the form and an
example; an empty text stands for "none"; relative paths count from the folder of the file; secrets are named here and read when they are needed.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from submeter.config.collectors import Broker, Drop, Gateway, Handover, Http, LoraWan, MappedTopic, ModbusLine, SerialPort, WiredBus
from submeter.config.people import Api, HomeAssistant, Letters, Mail, PortalHost, Sender, Sms, Webhooks
from submeter.config.values import LOOPBACK, Count, Cron, Database, File, Folder, Limit, Many, Port, Section, Text, secret_of

__all__ = ["Config", "Data", "Events", "Information", "Keys", "Log", "Metrics", "Retention", "Rollup"]


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
        password = quote(secret_of(self.database_password_file, "[data] database_password_file"), safe="")
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
    mqtt: Many[Broker] = ()
    serial: Many[SerialPort] = ()
    http: Http
    bus: Many[WiredBus] = ()
    modbus: Many[ModbusLine] = ()
    drop: Many[Drop] = ()
    handover: Handover
    gateway: Many[Gateway] = ()
    lorawan: Many[LoraWan] = ()
    mapping: Many[MappedTopic] = ()
    rollup: Rollup
    retention: Retention
    information: Information
    events: Events
    mail: Mail
    sms: Sms
    letters: Letters
    webhooks: Webhooks
    home_assistant: HomeAssistant
    sender: Many[Sender] = ()
    portal: Many[PortalHost] = ()
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
