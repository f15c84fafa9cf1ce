"""Codes by letter to the address of a unit: to recover an account without another factor, and to confirm a grant that knowledge alone gave (FLOWS 4 and 6).

Rules: 60 bits, `letter_days` of the portal, once; the letter goes where the account's unit is, never to an address that somebody typed; no second letter within
a week unless the operator orders it.
"""

import hmac
from typing import Final

from submeter import civil
from submeter.api.labels import written_date
from submeter.api.secrets import Secrets, normalised, word
from submeter.config.portals import Policy
from submeter.store.accounts import Account, Grant
from submeter.store.letters import Letter, LetterKind
from submeter.store.registry import Registry, new_id

__all__ = ["PostCodes", "postal"]

#: Letters of a code, 5 bits each.
LENGTH: Final = 12
WEEK: Final = 7 * civil.DAY
TEMPLATES: Final[dict[LetterKind, str]] = {"recovery": "recovery_letter", "confirmation": "confirmation_letter"}
#: Who gets the letter, of the grants of an account; nobody's household.
HOLDERS: Final = ("resident", "resident:limited", "owner")


class PostCodes:
    """The codes by letter of an installation."""

    def __init__(self, registry: Registry, secrets: Secrets) -> None:
        self._registry = registry
        self._secrets = secrets

    def recovery(self, account: Account, policy: Policy, portal: str, now: int, *, again: bool = False) -> bool:
        """Send a code to the unit of an account, unless one is under way (`again`: even then); False where there is no unit to send it to."""
        grants = [one for one in self._registry.accounts.grants(account.id) if one.role in HOLDERS and self._lives(one, now)]
        return bool(grants) and self._send("recovery", account.id, account, grants[0], policy, portal, now, again=again)

    def confirmation(self, account: Account, grant: Grant, policy: Policy, portal: str, now: int) -> bool:
        """Send a code that makes a limited grant a whole one."""
        return self._send("confirmation", grant.id, account, grant, policy, portal, now, again=False)

    def proves(self, kind: LetterKind, subject: str, code: str, now: int) -> Letter | None:
        """The open letter that has this code."""
        given = self._hash(kind, subject, code)
        return next((one for one in self._registry.letters.open(kind, subject, now) if hmac.compare_digest(one.proof, given)), None)

    def _send(self, kind: LetterKind, subject: str, account: Account, grant: Grant, policy: Policy, portal: str, now: int, *, again: bool) -> bool:
        if not again and any(one.created > now - WEEK for one in self._registry.letters.open(kind, subject, now)):
            return True
        code, expires = word(LENGTH), now + policy.letter_days * civil.DAY
        to, zone = postal(self._registry, grant.unit, account.name)
        values = {
            "portal": portal,
            "unit": postal(self._registry, grant.unit)[0],
            "secret": code,
            "until": written_date(account.locale, zone, expires),
        }
        with self._registry.writing():
            self._registry.letters.add(Letter(new_id("p_"), kind, subject, self._hash(kind, subject, code), now, expires, None))
            self._registry.outbox.put(grant.manager, "letter", to, TEMPLATES[kind], account.locale, values, now=now, expires=expires)
            self._registry.record(f"account:{account.id}", f"letter.{kind}", grant.unit)
        return True

    def _lives(self, grant: Grant, now: int) -> bool:
        """Whether the holder of a grant is at its unit now: a letter to a former flat would be the next holder's."""
        return grant.occupancy is None or any(one.since == grant.occupancy and one.holds(now) for one in self._registry.occupancies_of(grant.unit))

    def _hash(self, kind: LetterKind, subject: str, code: str) -> bytes:
        return self._secrets.keyed("letter", kind, subject, normalised(code))


def postal(registry: Registry, unit: str, name: str = "") -> tuple[str, str]:
    """Where a letter to a unit goes, in one line: name, property, entrance and unit, as far as the directory has them; and its zone."""
    found = registry.unit(unit)
    building = registry.property(found.property) if found else None
    parts = [name, building.name if building else "", found.entrance if found else "", found.label if found else unit]
    return ", ".join(" ".join(part.split()) for part in parts if part.strip())[:254], building.zone if building else "UTC"
