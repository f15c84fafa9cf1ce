"""A person's copy of the own data: a zip of JSON and CSV, one of each for every section (portal API 10).

`SECTIONS` is the one list of what is in it: a section is a name and a function that yields rows of plain values. Rules: only what the person may see, of the own
time, through `Access`; nothing that opens a door (hashes, secrets); cells of CSV are defused like all others.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Final

from submeter import civil
from submeter.api.access import Access, SeenUnit
from submeter.api.access_log import told_of
from submeter.api.announcements import announced_to
from submeter.api.balance import lines_of
from submeter.api.bulk_formats import COLUMNS, rows_of
from submeter.api.bulk_stretch import Stretch, all_series
from submeter.api.documents import documents_of, told
from submeter.api.files import comma_separated
from submeter.api.meters import meters_of
from submeter.api.numbers import moment, number
from submeter.api.parts import seen_of
from submeter.reading import LEVELS
from submeter.store.accounts import Account
from submeter.store.published import Published

__all__ = ["SECTIONS", "Subject", "write"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data are copied, seen by whom: the account's own access, which reads consumption."""

    account: Account
    access: Access
    published: Published

    @property
    def units(self) -> list[SeenUnit]:
        """The units that the person may see."""
        return self.access.units()

    def allowed(self, scope: str) -> Access:
        """The person's access where this scope is allowed."""
        return replace(self.access, scopes=frozenset({scope}))


def write(subject: Subject, file: BinaryIO) -> None:
    """Write the zip; raises SubmeterError where a store cannot be read."""
    for seen in subject.units:
        subject.access.note(seen)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, rows in SECTIONS.items():
            told = list(rows(subject))
            book.writestr(f"{name}.json", json.dumps(told, ensure_ascii=False, indent=1))
            book.writestr(f"{name}.csv", _csv(told))


def _csv(rows: list[Row]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return comma_separated([columns, *([_cell(row.get(name)) for name in columns] for row in rows)]).encode("utf-8-sig")


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)


def _account(of: Subject) -> Iterator[Row]:
    one = of.account
    yield {"id": one.id, "realm": one.realm, "username": one.username, "name": one.name, "locale": one.locale, "created": civil.iso(one.created)}


def _contacts(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.accounts.contacts(of.account.id):
        yield {"id": one.id, "channel": one.channel, "address": one.address, "use": one.use, "verified": moment(one.verified)}


def _factors(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.accounts.factors(of.account.id):
        yield {"kind": one.kind, "created": civil.iso(one.created), "used": moment(one.used)}


def _consents(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.accounts.consents(of.account.id):
        yield {**one, "at": civil.iso(one["at"]), "withdrawn": moment(one["withdrawn"])}


def _grants(of: Subject) -> Iterator[Row]:
    accounts = of.access.registry.accounts
    for given, found in ((False, accounts.grants(of.account.id)), (True, accounts.grants_given(of.account.id))):
        for one in found:
            period = {"since": civil.iso(one.since), "until": moment(one.until)}
            yield {"id": one.id, "unit": one.unit, "role": one.role, "manager": one.manager, **period, "source": one.source, "given_to_others": given}


def _sessions(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.accounts.sessions(of.account.id, of.access.now):
        period = {"created": civil.iso(one.created), "seen": civil.iso(one.seen), "expires": civil.iso(one.expires)}
        yield {"id": one.id, "role": one.role, **period, "agent": one.agent}


def _units(of: Subject) -> Iterator[Row]:
    for seen in of.units:
        place = {"label": seen.unit.label, "entrance": seen.unit.entrance, "property": seen.property.name}
        yield {"unit": seen.unit.id, **place, "since": moment(seen.visible.since), "until": moment(seen.visible.until), "role": seen.visible.role}


def _meters(of: Subject) -> Iterator[Row]:
    for seen in of.units:
        for meter in meters_of(seen, of.access.registry, of.published, now=of.access.now)["meters"]:
            yield {"unit": seen.unit.id, **meter}


def _consumption(of: Subject) -> Iterator[Row]:
    """Every row of the person's time, of every level that the unit shows, as bulk answers have it; of a bucket over its edge the own part."""
    for seen in of.units:
        for shown in all_series(seen, of.access.registry, of.published):
            for level in LEVELS[LEVELS.index(seen.visible.finest) :]:
                rows = of.published.read(shown.series.id, LEVELS.index(level), "", "\U0010ffff")
                stretch = Stretch(seen, shown, seen_of(rows, shown.series.id, level, seen, of.published))
                yield from ({"level": level, **dict(zip(COLUMNS, row, strict=True))} for row in rows_of(stretch))


def _access_log(of: Subject) -> Iterator[Row]:
    for one in told_of(of.access.registry, of.account.id, of.access.now):
        yield {**{f"who_{name}": value for name, value in one["who"].items()}, **{name: value for name, value in one.items() if name != "who"}}


def _tokens(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.personal.of(of.account.id, of.access.now):
        period = {"created": civil.iso(one.created), "expires": civil.iso(one.expires), "used": moment(one.used)}
        yield {"id": one.id, "label": one.label, "scopes": one.scopes, "grants": one.grants, **period}


def _invitations(of: Subject) -> Iterator[Row]:
    for seen in of.units:
        for one in of.access.registry.accounts.invitations(of.account.id, seen.unit.id, of.access.now):
            yield {"id": one.id, "unit": one.unit, "role": one.role, "sent_to": one.sent_to, "created": civil.iso(one.created)}


def _notifications(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.notices.wishes(of.account.id):
        yield {"event": one.event, "channel": one.channel, "since": civil.iso(one.since)}


def _unit_wishes(of: Subject) -> Iterator[Row]:
    for unit, wishes in of.access.registry.documents.wishes_of(of.account.id).items():
        yield {"unit": unit, **asdict(wishes)}


def _limits(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.notices.rules_of(of.account.id):
        amount = {"amount": number(one.amount), "channels": one.channels, "since": civil.iso(one.since), "told": moment(one.told)}
        yield {"unit": one.unit, "class": one.quantity, "kind": one.kind, **amount}


def _documents(of: Subject) -> Iterator[Row]:
    access = of.allowed("documents:read")
    read = access.registry.documents.read_by(of.account.id)
    for seen in access.units():
        for one in documents_of(access, seen):
            yield {"unit": seen.unit.id, **told(one, seen.property.zone, read.get(one.id))}


def _announcements(of: Subject) -> Iterator[Row]:
    access = of.allowed("announcements:read")
    read = access.registry.announcements.read_by(of.account.id)
    for one, units in announced_to(access):
        yield {
            "id": one.id,
            "units": units,
            "from": civil.iso(one.since),
            "to": moment(one.until),
            "read": moment(read.get(one.id)),
            "texts": one.texts,
        }


def _balance(of: Subject) -> Iterator[Row]:
    access = of.allowed("balance:read")
    for seen in access.units():
        for one in lines_of(access, seen):
            yield {"unit": seen.unit.id, **one}


def _messages(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.messages.written_by(of.account.id):
        said = {"written": civil.iso(one.created), "status": one.status, "status_at": moment(one.changed)}
        yield {"ticket": one.id, "unit": one.unit, "text": one.text, **said}


def _self_readings(of: Subject) -> Iterator[Row]:
    for one in of.access.registry.self_readings.sent_by(f"account:{of.account.id}"):
        index = {"at": civil.iso(one.t), "value": number(one.value), "photo_sha256": one.photo}
        yield {"meter": one.point, "register": one.register, **index, "sent": civil.iso(one.received), "confirmation": one.confirmation}


#: What an export holds: the names of its files, and where their rows come from.
SECTIONS: Final[dict[str, Callable[[Subject], Iterable[Row]]]] = {
    "account": _account,
    "contacts": _contacts,
    "factors": _factors,
    "consents": _consents,
    "grants": _grants,
    "sessions": _sessions,
    "units": _units,
    "meters": _meters,
    "consumption": _consumption,
    "access_log": _access_log,
    "tokens": _tokens,
    "invitations": _invitations,
    "notifications": _notifications,
    "unit_wishes": _unit_wishes,
    "limits": _limits,
    "documents": _documents,
    "announcements": _announcements,
    "balance": _balance,
    "messages": _messages,
    "self_readings": _self_readings,
}
