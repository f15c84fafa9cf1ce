"""Errors of the stores. Any other exception that leaves `submeter.store` is a bug.

SubmeterError
└── StoreError            a file of the data folder: which one, its state, what to do
    ├── InUseError        another process holds the data folder
    ├── StoreBrokenError  the engine gave up: close, reopen, replay; health is red meanwhile
    ├── VaultError        no master key, a wrong one, or one that others may read
    ├── DirectoryError    a directory file: which file, entry and field, what to write instead
    └── KeyFileError      a file of meter keys: what is wrong with it, or with its password
"""

from submeter.errors import SubmeterError

__all__ = ["DirectoryError", "InUseError", "KeyFileError", "StoreBrokenError", "StoreError", "VaultError"]


class StoreError(SubmeterError):
    """A store's file cannot be opened, is of a newer version, or refused a read or a write; the sentence names the file and the remedy."""


class InUseError(StoreError):
    """Another process holds the data folder; the sentence names its number."""


class StoreBrokenError(StoreError):
    """The engine stopped for good (disk full in a checkpoint, failed sync): `reopen`, then replay from the watermark."""


class VaultError(StoreError):
    """The master key is missing, readable by others, or not the one that sealed a meter's key."""


class DirectoryError(StoreError):
    """The directory import is refused as a whole; one line per mistake, each with file, entry, field and what to write."""


class KeyFileError(StoreError):
    """A key file is refused as a whole; keys and passwords are not in the sentence."""
