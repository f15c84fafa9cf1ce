"""pipeline.toml to Config: read, checked once, nothing else opened.

Strategy: tomllib reads, pydantic checks, and each mistake becomes one line `file: [section] key: …` that says what to write instead.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from submeter.config.collectors import Broker, Drop, Gateway, LoraWan, MappedTopic, ModbusLine, SerialPort, WiredBus
from submeter.config.errors import ConfigError
from submeter.config.people import PortalHost, Sender
from submeter.config.sections import Config

__all__ = ["DEFAULT_FILE", "load", "parse"]

DEFAULT_FILE: Final = Path("pipeline.toml")
#: A password in an address, where none belongs: it is not repeated.
PASSWORD: Final = re.compile(r"(?<=://)[^@/\s]*(?=@)|(?<=[?&]password=)[^&\s'\"]*")
LISTS: Final[Mapping[str, type[BaseModel]]] = {
    "mqtt": Broker,
    "serial": SerialPort,
    "bus": WiredBus,
    "modbus": ModbusLine,
    "drop": Drop,
    "gateway": Gateway,
    "lorawan": LoraWan,
    "mapping": MappedTopic,
    "sender": Sender,
    "portal": PortalHost,
}


def load(path: Path | None = None) -> Config:
    """Read `path`; without one `pipeline.toml` of the present folder, or the defaults if there is none. ConfigError has one line per mistake."""
    if path is None and not DEFAULT_FILE.exists():
        return parse("", DEFAULT_FILE)
    file = path or DEFAULT_FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file: copy pipeline.toml from the repository, or leave the option out") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    return parse(text, file)


def parse(text: str, file: Path) -> Config:
    """Check the text of a configuration that is, or would be, in `file`; paths in it count from that file's folder."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: this is not TOML: {error}") from error
    sections: dict[str, Any] = {name: {} for name in Config.model_fields if name not in LISTS}
    try:
        return Config.model_validate(sections | data, context={"base": file.absolute().parent})
    except ValidationError as error:
        raise ConfigError("\n".join(f"{file}: {_line(mistake)}" for mistake in error.errors(include_url=False))) from None


def _line(mistake: ErrorDetails) -> str:
    section, *rest = mistake["loc"] or ("",)
    place = _place(str(section), rest)
    key = next((key for key in rest if isinstance(key, str)), None)
    if mistake["type"] == "extra_forbidden":
        return f"{place} {key}: unknown key: {_meant(key, section)}" if key else f"{section}: unknown section or key: {_meant(str(section), '')}"
    if key is None:
        return (
            f"{place} {_said(mistake)}".lstrip() if mistake["type"] == "value_error" else f"{place} is a section: write {place} on a line of its own"
        )
    return f"{place} {key}: {PASSWORD.sub('…', repr(mistake['input']))} cannot be used: write {_model(section).model_fields[key].description}"


def _place(section: str, rest: list[str | int]) -> str:
    if section not in LISTS:
        return f"[{section}]" if section else ""
    return f"[[{section}]]" + "".join(f" {key + 1}" for key in rest[:1] if isinstance(key, int))


def _meant(key: str, section: str | int) -> str:
    names = list(_model(section).model_fields)
    near = difflib.get_close_matches(key, names, 1)
    return f"write {near[0]}" if near else f"write one of {', '.join(names)}"


def _said(mistake: ErrorDetails) -> str:
    return mistake["msg"].removeprefix("Value error, ")


def _model(section: str | int) -> type[BaseModel]:
    if section in LISTS:
        return LISTS[str(section)]
    field = Config.model_fields.get(str(section))
    return field.annotation if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) else Config
