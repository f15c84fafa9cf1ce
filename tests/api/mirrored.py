"""A flat that changed hands, for tests of what the accounting system pushes: who lived there, who does, a neighbour and somebody of the household."""

from dataclasses import dataclass
from typing import Any

from portals import inmes

from submeter.store.accounts import Grant


@dataclass
class People:
    """Browsers of those who saw cz-a before and after 2025-01-01, and of others."""

    former: Any
    present: Any
    neighbour: Any
    household: Any


def people(here):
    """Hand cz-a over, with an account for each side."""
    former, _ = inmes(here, "cz-a", "former@example.org", None)
    here.hand_over("cz-a")
    present, _ = inmes(here, "cz-a", "present@example.org", None)
    neighbour, _ = inmes(here, "cz-b", "neighbour@example.org", None)
    household, _ = inmes(here, "cz-c", "household@example.org", None)
    accounts = here.registry.accounts
    own = accounts.reached("inmes", "email", "household@example.org").id
    for grant in accounts.grants(own):
        accounts.end_grant(grant.id, 1)
    holder = next(one.since for one in here.registry.occupancies_of("cz-a") if one.until is None)
    accounts.add_grant(Grant("g_household", own, "cz", "cz-a", holder, "household", holder, None, "test", None, holder, None))
    return People(former.client, present.client, neighbour.client, household.client)


def account_of(here, mail):
    """The account of a mail address at the Czech portal."""
    return here.registry.accounts.reached("inmes", "email", mail).id
