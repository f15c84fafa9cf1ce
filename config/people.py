"""Sections of what leads to people: the API, portals, mail, SMS, letters, webhooks, Home Assistant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from submeter.config.collectors import Connection
from submeter.config.values import (
    LOOPBACK,
    Address,
    File,
    Folder,
    Header,
    Level,
    Levels,
    Limit,
    Link,
    LinkName,
    Many,
    MonthDay,
    Name,
    Network,
    Pattern,
    Patterns,
    Port,
    Seconds,
    Section,
    Status,
    Text,
    Url,
    either,
)

__all__ = ["Api", "HomeAssistant", "Letters", "Mail", "PortalHost", "Sender", "Sms", "Webhooks"]


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
        return either(self.password_file, self.password_env, "[mail] password")


class Sms(Section):
    """How SMS leave the outbox: a request to an HTTP gateway."""

    sink: Literal["none", "http", "file", "console"] = Field(default="none", description='one of "none", "http", "file", "console"')
    url: Url = Field(default="", description='the address of the gateway, e.g. url = "https://sms.example/send"')
    method: Literal["POST", "GET", "PUT"] = Field(default="POST", description='one of "POST", "GET", "PUT"')
    format: Literal["json", "form", "xml", "plain"] = Field(default="json", description='one of "json", "form", "xml", "plain"')
    headers: Many[Header] = Field(default=(), description='a list of header lines, e.g. headers = ["Authorization: Bearer {secret}"]')
    body: str = Field(
        default='{"to": "{to}", "from": "{sender}", "text": "{text}"}', description="""the request, e.g. body = '{"to": "{to}", "text": "{text}"}'"""
    )
    secret_file: File = Field(default=None, description='a file with the secret, e.g. secret_file = "sms.secret", or "" for none')
    secret_env: str = Field(default="", description='the name of an environment variable, e.g. secret_env = "SMS_SECRET", or "" for none')
    success: Annotated[Many[Status], Field(min_length=1)] = Field(
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
        return either(self.secret_file, self.secret_env, "[sms] secret")


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
    readings_open: Annotated[Many[MonthDay], Field(max_length=2)] = Field(
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
    proxies: Many[Network] = Field(
        default=(LOOPBACK,), description='a list of addresses or networks, e.g. proxies = ["127.0.0.1", "10.0.0.0/24"], or [] for none'
    )
    cheap_per_minute: Limit = Field(default=600, description="requests a minute, e.g. cheap_per_minute = 600, or 0 for no limit")
    reads_per_minute: Limit = Field(default=120, description="requests a minute, e.g. reads_per_minute = 120, or 0 for no limit")
    writes_per_minute: Limit = Field(default=30, description="requests a minute, e.g. writes_per_minute = 30, or 0 for no limit")
    exports_per_minute: Limit = Field(default=6, description="requests a minute, e.g. exports_per_minute = 6, or 0 for no limit")


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
