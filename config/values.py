"""What keys of pipeline.toml may say: names, ports, folders, addresses, patterns; what all sections share; and secrets, read when they are asked for."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo

from submeter import civil
from submeter.config.errors import ConfigError

__all__ = [
    "LOOPBACK",
    "Address",
    "Count",
    "Cron",
    "Database",
    "File",
    "Folder",
    "Header",
    "Level",
    "Levels",
    "Limit",
    "Link",
    "LinkName",
    "Many",
    "MonthDay",
    "Name",
    "Network",
    "OptionalZone",
    "Pattern",
    "Patterns",
    "Place",
    "Port",
    "Seconds",
    "Section",
    "Status",
    "Text",
    "Url",
    "either",
    "environment",
    "secret_of",
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


T = TypeVar("T")
#: A list in the file.
Many = Annotated[tuple[T, ...], Strict(strict=False)]
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
Patterns = Many[Text]
File = Annotated[Folder | None, BeforeValidator(lambda text: None if text == "" else text)]


def _zone(name: str) -> str:
    if name:
        try:
            civil.zone_info(name)
        except civil.CivilError as error:
            raise ValueError(str(error)) from None
    return name


OptionalZone = Annotated[str, AfterValidator(_zone)]


class Section(BaseModel):
    """What all sections share: they do not change, say no to unknown keys and take no number for a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


def either(file: Path | None, variable: str, where: str) -> str:
    """A secret from where it is kept; "" if nowhere."""
    if variable:
        return environment(variable, f"{where}_env")
    return secret_of(file, f"{where}_file") if file else ""


def environment(name: str, where: str) -> str:
    """A secret from an environment variable; ConfigError if it is empty."""
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{where}: the environment variable {name} is empty: set it, or name another")
    return value


def secret_of(path: Path, where: str) -> str:
    """A secret from a file, without its line end; ConfigError if it cannot be read."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error}") from error
