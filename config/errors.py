"""Errors of the configuration.

SubmeterError
└── ConfigError     one line per mistake: file, section, key, what to write instead; exit code 2
"""

from submeter.errors import SubmeterError

__all__ = ["ConfigError"]


class ConfigError(SubmeterError):
    """The configuration cannot be used; the text has one line per mistake."""
