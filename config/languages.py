"""The languages in which people are addressed: each is one file `texts/LOCALE.toml`, and found by itself.

Rules: nothing else lists languages; the pages' catalogue of each is `portal/locale/LOCALE.po`. A file has its messages (config/texts.py) and its words
(config/words.py), which check them.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal

from submeter.config.errors import ConfigError

__all__ = ["LOCALES", "Locale", "read", "toml_of"]

_FOLDER: Final = files("submeter.config").joinpath("texts")
LOCALES: Final = tuple(sorted(one.name.removesuffix(".toml") for one in _FOLDER.iterdir() if one.name.endswith(".toml")))
if TYPE_CHECKING:
    Locale = str
else:  # what comes in is checked against the files that are there
    Locale = Literal[LOCALES]


@cache
def read(locale: str) -> dict[str, Any]:
    """The file of a language; ConfigError if it is no TOML."""
    return toml_of(_FOLDER.joinpath(f"{locale}.toml").read_text("utf-8"), f"texts/{locale}.toml")


def toml_of(text: str, file: str) -> dict[str, Any]:
    """TOML; ConfigError names the file."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: this is not TOML: {error}") from error
