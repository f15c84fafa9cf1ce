"""Errors of the stores. Any other exception that leaves `submeter.store` is a bug.

SubmeterError
└── StoreError      a file of the data folder: which one, its state, what to do
"""

from submeter.errors import SubmeterError

__all__ = ["StoreError"]


class StoreError(SubmeterError):
    """A store's file cannot be opened, is of a newer version, or refused a read or a write; the sentence names the file and the remedy."""
