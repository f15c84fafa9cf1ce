"""The stores: one file each in the data folder, opened, migrated and written by one class each.

What is told to be kept here is on the disk when the call returns (DECISIONS 10 names the exceptions).
May enter: standard library, duckdb, numpy, pyarrow, cryptography, and what stands below: decoders, config, civil, reading, errors.
"""

from submeter.store.errors import StoreError
from submeter.store.inbox import Counts, Done, Inbox, Message, Quarantined, Stored

__all__ = ["Counts", "Done", "Inbox", "Message", "Quarantined", "StoreError", "Stored"]
