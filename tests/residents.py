"""Residents of a built-up property for tests: accounts with proven addresses, grants and wishes, at a portal of its manager."""

from submeter import civil
from submeter.config import load
from submeter.store.accounts import Account, Contact, Grant

LONG_AGO = civil.instant("2023-01-01T00:00:00Z")


def portal(building, more=""):
    """Give the property's manager a portal, and sinks."""
    file = building.folder / "pipeline.toml"
    file.write_text(file.read_text() + f'[[portal]]\nname = "inmes"\nhost = "inmes.example"\nmanager = "m"\n{more}')
    building.core.config = load(file)
    return building


def resident(building, name, unit, *, role="resident", locale="en", since=None, phone=None, proven=True, until=None):
    """An account with a mail address and a grant for the occupancy that began `since`; returns its id."""
    accounts, identity = building.core.registry.accounts, f"a_{name}"
    accounts.add(Account(identity, "inmes", name, name, locale, "", LONG_AGO, 0, None))
    accounts.add_contact(Contact(f"c_{name}", identity, "email", f"{name}@example.org", "auth", LONG_AGO if proven else None), "inmes")
    if phone:
        accounts.add_contact(Contact(f"t_{name}", identity, "phone", phone, "notify", LONG_AGO), "inmes")
    grant = Grant(f"g_{name}", identity, "m", unit, since and civil.instant(since), role, LONG_AGO, until, "test", None, LONG_AGO, None)
    accounts.add_grant(grant)
    return identity


def wishes(building, account, *wanted, at="2023-06-01T00:00:00Z"):
    """Let an account wish: "leak/email"."""
    pairs = [tuple(one.split("/")) for one in wanted]
    building.core.registry.notices.wish(account, pairs, now=civil.instant(at))


def waiting(building):
    """What waits in the outbox, as (template, address)."""
    return sorted((one.template, one.address) for one in building.core.registry.outbox.find(("waiting",)))
