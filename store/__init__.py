"""The stores: one file each in the data folder, opened, migrated and written by one class each.

What is told to be kept here is on the disk when the call returns (DECISIONS 10 names the exceptions).
May enter: standard library, duckdb, numpy, pyarrow, cryptography, and what stands below: decoders, config, civil, reading, errors.
"""

from submeter.store.archive import BUCKETS, MESSAGES, WORDS, Archive, bucket_of
from submeter.store.decisions import METHODS, Decision, Decisions
from submeter.store.errors import DirectoryError, StoreBrokenError, StoreError, VaultError
from submeter.store.events import KINDS, NOTES, TASKS, Event, Events
from submeter.store.inbox import Counts, Done, Inbox, Message, Quarantined, Stored
from submeter.store.information import Information
from submeter.store.outbox import CHANNELS, Notice, Outbox
from submeter.store.packing import pack
from submeter.store.published import NULL, POINT, Block, Correction, Cut, Parts, Points, Published, PublishedSeries
from submeter.store.readings import Accepted, Kind, Readings, SeriesKey
from submeter.store.readings_schema import (
    ACCEPTED,
    BILL,
    CAUSE,
    CHANGED,
    COMPUTED,
    DAYS,
    DIRTY,
    FLOOR,
    FORMAT,
    READING,
    RECEPTION,
    ROLLUP,
    UNPUBLISHED,
    WITHIN,
)
from submeter.store.registry import Registry
from submeter.store.registry_types import (
    FINEST,
    QUANTITIES,
    SCOPES,
    Assignment,
    AuditEntry,
    Device,
    Manager,
    Occupancy,
    Point,
    Principal,
    Property,
    Token,
    Unit,
    Visible,
)
from submeter.store.runs import Run, Runs
from submeter.store.vault import Vault

__all__ = [
    "ACCEPTED",
    "BILL",
    "BUCKETS",
    "CAUSE",
    "CHANGED",
    "CHANNELS",
    "COMPUTED",
    "DAYS",
    "DIRTY",
    "FINEST",
    "FLOOR",
    "FORMAT",
    "KINDS",
    "MESSAGES",
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
    "UNPUBLISHED",
    "WITHIN",
    "WORDS",
    "Accepted",
    "Archive",
    "Assignment",
    "AuditEntry",
    "Block",
    "Correction",
    "Counts",
    "Cut",
    "Decision",
    "Decisions",
    "Device",
    "DirectoryError",
    "Done",
    "Event",
    "Events",
    "Inbox",
    "Information",
    "Kind",
    "Manager",
    "Message",
    "Notice",
    "Occupancy",
    "Outbox",
    "Parts",
    "Point",
    "Points",
    "Principal",
    "Property",
    "Published",
    "PublishedSeries",
    "Quarantined",
    "Readings",
    "Registry",
    "Run",
    "Runs",
    "SeriesKey",
    "StoreBrokenError",
    "StoreError",
    "Stored",
    "Token",
    "Unit",
    "Vault",
    "VaultError",
    "Visible",
    "bucket_of",
    "pack",
]
