"""pipeline.toml to Config: read, checked once, nothing else opened.

Strategy: tomllib reads, pydantic checks, and each mistake becomes one line `file: [section] key: …` that says what to write instead.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from submeter.config.errors import ConfigError
from submeter.config.languages import toml_of
from submeter.config.sections import Config

__all__ = ["DEFAULT_FILE", "load", "parse"]

DEFAULT_FILE: Final = Path("pipeline.toml")
#: A password in an address, where none belongs: it is not repeated.
PASSWORD: Final = re.compile(r"(?<=://)[^@/\s]*(?=@)|(?<=[?&]password=)[^&\s'\"]*")
#: Sections of which there may be several, each with what one of them is.
LISTS: Final[Mapping[str, type[BaseModel]]] = {
    name: get_args(field.annotation)[0] for name, field in Config.model_fields.items() if get_origin(field.annotation) is tuple
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
    data = toml_of(text, str(file))
    sections: dict[str, Any] = {name: {} for name in Config.model_fields if name not in LISTS}
    try:
        return Config.model_validate(sections | data, context={"base": file.absolute().parent})
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        told = [one for one in mistakes if one["type"] != "too_short" or not one["input"]]  # else its entries are wrong, which is told already
        raise ConfigError("\n".join(f"{file}: {_line(mistake)}" for mistake in told)) from None


def _line(mistake: ErrorDetails) -> str:
    section, *rest = mistake["loc"] or ("",)
    place = _place(str(section), rest)
    key = next((key for key in rest if isinstance(key, str)), None)
    if mistake["type"] == "extra_forbidden":
        return f"{place} {key}: unknown key: {_meant(key, section)}" if key else f"{section}: unknown section or key: {_meant(str(section), '')}"
    if key is None:
        if mistake["type"] != "value_error":
            return f"{place} is a section: write {place} on a line of its own"
        return f"{place} {mistake['msg'].removeprefix('Value error, ')}".lstrip()
    return f"{place} {key}: {PASSWORD.sub('…', repr(mistake['input']))} cannot be used: write {_model(section).model_fields[key].description}"


def _place(section: str, rest: list[str | int]) -> str:
    if section not in LISTS:
        return f"[{section}]" if section else ""
    return f"[[{section}]]" + "".join(f" {key + 1}" for key in rest[:1] if isinstance(key, int))


def _meant(key: str, section: str | int) -> str:
    names = list(_model(section).model_fields)
    near = difflib.get_close_matches(key, names, 1)
    return f"write {near[0]}" if near else f"write one of {', '.join(names)}"


def _model(section: str | int) -> type[BaseModel]:
    if section in LISTS:
        return LISTS[str(section)]
    field = Config.model_fields.get(str(section))
    return field.annotation if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) else Config
