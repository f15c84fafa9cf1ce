"""What the parts of a registry share: values in and out of their tables.

Rules: the fields of a value are the columns of its table, in order; what is called inside `Registry.writing` is part of that transaction.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from submeter.store.sql import Connection

__all__ = ["File", "Part", "columns"]

T = TypeVar("T")


class File(Protocol):
    """What a part needs of the registry that it is of."""

    path: Path

    def writing(self, *, synced: bool = True) -> AbstractContextManager[Connection]:
        """One transaction; inside another one, a part of it. Not `synced`: it need not outlast a power cut."""

    def record(self, actor: str, action: str, subject: str, detail: str = "", *, manager: str = "") -> None:
        """A line of the audit."""


class Part:
    """Some tables of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def _find(self, kind: Callable[..., T], table: str, where: str, *values: object) -> list[T]:
        """The rows of a table that fit, as values of a kind."""
        return [kind(*row) for row in self._rows(f"SELECT {columns(kind)} FROM {table} WHERE {where}", *values)]  # noqa: S608 - our own words

    def _one(self, kind: Callable[..., T], table: str, where: str, *values: object) -> T | None:
        """The first of them."""
        return next(iter(self._find(kind, table, where, *values)), None)

    def _add(self, table: str, value: Any, **more: object) -> None:
        """Add a value to a table, with columns that are none of its fields."""
        names = columns(value.__class__).split(", ")
        row = {name: getattr(value, name) for name in names} | more
        self._run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())  # noqa: S608 - our own words

    def _run(self, sql: str, *values: object, synced: bool = True) -> int:
        """Run a statement; returns how many rows it wrote."""
        with self._file.writing(synced=synced) as db:
            return db.execute(sql, values).rowcount


@cache
def columns(kind: Any) -> str:
    """The columns of a value of this kind, as in SQL."""
    return ", ".join(one.name for one in fields(kind))
