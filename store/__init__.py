"""The stores: one file each in the data folder, opened, migrated and written by one class each.

What is told to be kept here is on the disk when the call returns (DECISIONS 10 names the exceptions).
May enter: standard library, duckdb, numpy, pyarrow, cryptography, and what stands below: decoders, config, civil, reading, errors.
"""

from submeter.store.archive import BUCKETS, WORDS, Archive, bucket_of, packed
from submeter.store.decisions import METHODS, Decision
from submeter.store.errors import DirectoryError, StoreBrokenError, StoreError, VaultError
from submeter.store.events import KINDS, NOTES, TASKS, Event
from submeter.store.inbox import Counts, Done, Inbox, Message, Quarantined, Stored
from submeter.store.information import Information
from submeter.store.outbox import Notice
from submeter.store.packing import pack
from submeter.store.published import NULL, POINT, Block, Correction, Cut, Parts, Points, Published, PublishedSeries
from submeter.store.readings import Accepted, Kind, Readings, SeriesKey
from submeter.store.readings_schema import (
    ACCEPTED,
    BILL,
    CAUSE,
    COMPUTED,
    DAYS,
    FLOOR,
    FORMAT,
    READING,
    RECEPTION,
    ROLLUP,
    WITHIN,
    tabled,
)
from submeter.store.registry import Registry
from submeter.store.registry_types import (
    QUANTITIES,
    SCOPES,
    Assignment,
    Occupancy,
    Point,
    Property,
    Unit,
    Visible,
)
from submeter.store.runs import Run
from submeter.store.vault import Vault

__all__ = [
    "ACCEPTED",
    "BILL",
    "BUCKETS",
    "CAUSE",
    "COMPUTED",
    "DAYS",
    "FLOOR",
    "FORMAT",
    "KINDS",
    "METHODS",
    "NOTES",
    "NULL",
    "POINT",
    "QUANTITIES",
    "READING",
    "RECEPTION",
    "ROLLUP",
    "SCOPES",
    "TASKS",
    "WITHIN",
    "WORDS",
    "Accepted",
    "Archive",
    "Assignment",
    "Block",
    "Correction",
    "Counts",
    "Cut",
    "Decision",
    "DirectoryError",
    "Done",
    "Event",
    "Inbox",
    "Information",
    "Kind",
    "Message",
    "Notice",
    "Occupancy",
    "Parts",
    "Point",
    "Points",
    "Property",
    "Published",
    "PublishedSeries",
    "Quarantined",
    "Readings",
    "Registry",
    "Run",
    "SeriesKey",
    "StoreBrokenError",
    "StoreError",
    "Stored",
    "Unit",
    "Vault",
    "VaultError",
    "Visible",
    "bucket_of",
    "pack",
    "packed",
    "tabled",
]
