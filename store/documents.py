"""Documents as the accounting system pushed them, and the statements made here: a mirror, as `registry.documents` (portal FEATURES b, S13).

Rules: a document is never changed, the table refuses it; its bytes are kept once under their SHA-256; one of a flat belongs to the occupancy that was named
when it came (`holder`), and to the one account that asked for it where `account` is set. Instants are µs UTC, amounts whole minor units (hundredths).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from submeter.store.audience import MEANT, Audience
from submeter.store.events import File
from submeter.store.sql import upsert

__all__ = ["Document", "Documents", "Wishes", "sha_of"]

_COLUMNS: Final = (
    "id, manager, property, entrance, unit, holder, account, kind, title, locale, since, until, amount, currency, due, visible_from, payment, media, "
    "sha, size, created"
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document; `since` and `until` are the local dates of its period (half-open), `due` is one too, `payment` JSON of what a payment string needs."""

    id: str
    manager: str
    property: str | None
    entrance: str | None
    unit: str | None
    holder: int | None
    account: str | None
    kind: str
    title: str
    locale: str
    since: str | None
    until: str | None
    amount: int | None
    currency: str | None
    due: str | None
    visible_from: int
    payment: str | None
    media: str
    sha: str
    size: int
    created: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an account chose for a flat; nothing unless it says so."""

    e_invoices: bool = False
    statement_monthly: bool = False
    announcements_by_mail: bool = False


class Documents:
    """The documents of a registry, who read them, and what accounts chose."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def add(self, document: Document, content: bytes) -> None:
        """Keep a document with its bytes."""
        values = [getattr(document, name) for name in _COLUMNS.split(", ")]
        with self._file.writing() as db:
            db.execute("INSERT INTO document_files VALUES (?, ?) ON CONFLICT DO NOTHING", (document.sha, content))
            db.execute(f"INSERT INTO documents ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 - ours

    def one(self, identity: str) -> Document | None:
        """Return one document, without its bytes."""
        return next(iter(self._find("id = ?", identity)), None)

    def content(self, document: Document) -> bytes:
        """Return the bytes of a document."""
        return bytes(self._rows("SELECT content FROM document_files WHERE sha = ?", document.sha)[0][0])

    def of(self, place: Audience) -> list[Document]:
        """Return all documents whose audience holds a flat, the newest first."""
        values = (place.manager, place.property, place.entrance, place.unit)
        return self._find(f"{MEANT} ORDER BY visible_from DESC, created DESC, id", *values)

    def same(self, document: Document) -> Document | None:
        """Return the document that says the same to the same, whenever it came; None if there is none."""
        found = self._find(
            "manager = ? AND sha = ? AND unit IS NOT DISTINCT FROM ? AND account IS NOT DISTINCT FROM ?",
            document.manager,
            document.sha,
            document.unit,
            document.account,
        )
        return next((one for one in found if _alike(one, document)), None)

    def read(self, identity: str, account: str, now: int) -> None:
        """Note that an account read a document; the first time counts."""
        with self._file.writing() as db:
            db.execute("INSERT INTO document_reads VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (identity, account, now))

    def read_by(self, account: str) -> dict[str, int]:
        """Return when an account read which documents."""
        return dict(self._rows("SELECT document, at FROM document_reads WHERE account = ?", account))

    def forget_made(self, before: int) -> int:
        """Delete the statements that accounts had made before an instant: they can be made again. Returns how many."""
        with self._file.writing() as db:
            db.execute("DELETE FROM document_reads WHERE document IN (SELECT id FROM documents WHERE account IS NOT NULL AND created < ?)", (before,))
            gone = db.execute("DELETE FROM documents WHERE account IS NOT NULL AND created < ?", (before,)).rowcount
            if gone:
                db.execute("DELETE FROM document_files WHERE sha NOT IN (SELECT sha FROM documents)")
        return gone

    # What accounts chose

    def wishes(self, account: str, unit: str) -> Wishes:
        """Return what an account chose for a flat."""
        sql = "SELECT e_invoices, statement_monthly, announcements_by_mail FROM unit_wishes WHERE account = ? AND unit = ?"
        return next((Wishes(*map(bool, row)) for row in self._rows(sql, account, unit)), Wishes())

    def wishes_of(self, account: str) -> dict[str, Wishes]:
        """Return what an account chose, by flat."""
        return {unit: self.wishes(account, unit) for (unit,) in self._rows("SELECT unit FROM unit_wishes WHERE account = ? ORDER BY unit", account)}

    def wish(self, account: str, unit: str, wishes: Wishes) -> None:
        """Keep what an account chooses for a flat."""
        values = (account, unit, wishes.e_invoices, wishes.statement_monthly, wishes.announcements_by_mail)
        with self._file.writing() as db:
            db.execute(upsert("unit_wishes", "account, unit", "e_invoices, statement_monthly, announcements_by_mail"), values)

    def monthly(self) -> list[tuple[str, str]]:
        """Return the accounts and flats of those who want a statement each month."""
        return [
            (account, unit)
            for account, unit in self._rows("SELECT account, unit FROM unit_wishes WHERE statement_monthly = 1 ORDER BY account, unit")
        ]

    def _find(self, where: str, *values: object) -> list[Document]:
        return [Document(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM documents WHERE {where}", *values)]  # noqa: S608 - ours


def _alike(one: Document, other: Document) -> bool:
    return replace(one, id="", created=0, visible_from=0) == replace(other, id="", created=0, visible_from=0)


def sha_of(content: bytes) -> str:
    """The name of a document's bytes: SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
