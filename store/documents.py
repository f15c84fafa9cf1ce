"""Documents as the accounting system pushed them, and the statements made here: a mirror, as `registry.documents` (portal FEATURES b, S13).

Rules: a document is never changed, the table refuses it; its bytes are kept once under their SHA-256; one of a flat belongs to the occupancy that was named
when it came (`holder`), and to the one account that asked for it where `account` is set. Instants are µs UTC, amounts whole minor units (hundredths).
"""

import hashlib
from dataclasses import astuple, dataclass, replace

from submeter.store.audience import MEANT, Audience
from submeter.store.part import Part, columns
from submeter.store.sql import upsert

__all__ = ["Document", "Documents", "Wishes", "sha_of"]


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


class Documents(Part):
    """The documents of a registry, who read them, and what accounts chose."""

    def add(self, document: Document, content: bytes) -> None:
        """Keep a document with its bytes."""
        with self._file.writing() as db:
            db.execute("INSERT INTO document_files VALUES (?, ?) ON CONFLICT DO NOTHING", (document.sha, content))
            self._add("documents", document)

    def one(self, identity: str) -> Document | None:
        """Return one document, without its bytes."""
        return self._one(Document, "documents", "id = ?", identity)

    def content(self, document: Document) -> bytes:
        """Return the bytes of a document."""
        return bytes(self._rows("SELECT content FROM document_files WHERE sha = ?", document.sha)[0][0])

    def of(self, place: Audience) -> list[Document]:
        """Return all documents whose audience holds a flat, the newest first."""
        values = (place.manager, place.property, place.entrance, place.unit)
        return self._find(Document, "documents", f"{MEANT} ORDER BY visible_from DESC, created DESC, id", *values)

    def same(self, document: Document) -> Document | None:
        """Return the document that says the same to the same, whenever it came; None if there is none."""
        same = "manager = ? AND sha = ? AND unit IS NOT DISTINCT FROM ? AND account IS NOT DISTINCT FROM ?"
        found = self._find(Document, "documents", same, document.manager, document.sha, document.unit, document.account)
        return next((one for one in found if _alike(one, document)), None)

    def read(self, identity: str, account: str, now: int) -> None:
        """Note that an account read a document; the first time counts."""
        self._run("INSERT INTO document_reads VALUES (?, ?, ?) ON CONFLICT DO NOTHING", identity, account, now)

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
        return self.wishes_of(account).get(unit, Wishes())

    def wishes_of(self, account: str) -> dict[str, Wishes]:
        """Return what an account chose, by flat."""
        sql = f"SELECT unit, {columns(Wishes)} FROM unit_wishes WHERE account = ? ORDER BY unit"  # noqa: S608 - ours
        return {unit: Wishes(*map(bool, wanted)) for unit, *wanted in self._rows(sql, account)}

    def wish(self, account: str, unit: str, wishes: Wishes) -> None:
        """Keep what an account chooses for a flat."""
        self._run(upsert("unit_wishes", "account, unit", columns(Wishes)), account, unit, *astuple(wishes))

    def monthly(self) -> list[tuple[str, str]]:
        """Return the accounts and flats of those who want a statement each month."""
        return self._rows("SELECT account, unit FROM unit_wishes WHERE statement_monthly = 1 ORDER BY account, unit")


def _alike(one: Document, other: Document) -> bool:
    return replace(one, id="", created=0, visible_from=0) == replace(other, id="", created=0, visible_from=0)


def sha_of(content: bytes) -> str:
    """The name of a document's bytes: SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
