"""Statements of the month before by mail, for those who want them each month (portal FEATURES b, Y11).

Rules: each account and flat is looked at as the API would: what its grant shows, of its own time; who was not there in the month gets none; a mail goes once, however
often the job runs, to every proven mail address, and holds a link.
"""

from collections.abc import Iterator
from datetime import date

from submeter import civil
from submeter import core as cores
from submeter.api.access import SeenUnit
from submeter.api.documents import keep
from submeter.api.statements import Statement, document_of, language_of, put_mail
from submeter.core import Core
from submeter.store.accounts import ROLES, Account
from submeter.store.registry_types import Visible

__all__ = ["send_all"]


def send_all(core: Core, month: date) -> Iterator[str]:
    """Make and send the statements of a month, given by its first day."""
    now, hosts = cores.now(), {one.manager: one.host for one in reversed(core.config.portal)}
    sent = 0
    for identity, unit in core.registry.documents.monthly():
        account = core.registry.accounts.account(identity)
        for visible in core.registry.accounts.visible(identity, now):
            seen = _seen(core, visible)
            allowed = visible.unit == unit and "statements:self" in ROLES[visible.role]
            if account and seen and allowed and _lived(seen, month) and (host := hosts.get(seen.property.manager)):
                sent += _send(core, account, seen, month, host)
    if sent:
        yield f"{sent} statements of {month:%Y-%m} by mail"


def _send(core: Core, account: Account, seen: SeenUnit, month: date, host: str) -> int:
    """Make one statement and its mails; returns how many mails."""
    asked, now = Statement(month, civil.month_after(month), "pdf", language_of(account.locale), host), cores.now()
    document, content = document_of(core.registry, core.published, seen, asked, account.id, now)
    proven = [one.address for one in core.registry.accounts.contacts(account.id) if one.channel == "email" and one.verified is not None]
    with core.registry.writing():
        kept = keep(core.registry, document, content, "job:monthly")
        for address in proven:
            once = f"statement/{account.id}/{seen.unit.id}/{seen.visible.since}/{month:%Y-%m}/{address}"
            put_mail(core.registry, seen, asked, kept, address, now=now, unique=once)
    return len(proven)


def _lived(seen: SeenUnit, month: date) -> bool:
    """Whether some of a month is visible."""
    zone, since, until = seen.property.zone, seen.visible.since, seen.visible.until
    start, end = civil.midnight(zone, month), civil.midnight(zone, civil.month_after(month))
    return (since is None or since < end) and (until is None or until > start)


def _seen(core: Core, visible: Visible) -> SeenUnit | None:
    unit = core.registry.unit(visible.unit)
    building = core.registry.property(unit.property) if unit else None
    return SeenUnit(unit, building, visible) if unit and building else None
