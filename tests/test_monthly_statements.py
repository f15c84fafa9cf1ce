"""Statements by mail each month: for those who want them, of their own time, once."""

from datetime import UTC, datetime

import pytest

from submeter import civil, statements
from submeter.config import load
from submeter.core import Core
from submeter.store.accounts import Account, Contact, Grant
from submeter.store.directory import import_directory
from submeter.store.documents import Wishes

MONTH = civil.month_before(datetime.now(UTC).date())
SINCE, EDGE = civil.utc_midnight(MONTH.replace(year=MONTH.year - 1)), civil.utc_midnight(MONTH)
DIRECTORY = """
[[manager]]
id = "m"
name = "M"
[[property]]
id = "b"
manager = "m"
name = "B"
zone = "UTC"
[[unit]]
id = "a"
property = "b"
label = "Flat a"
"""


@pytest.fixture
def core(tmp_path):
    """A core with one portal, and a flat that changed hands on the first of the month before."""
    (tmp_path / "pipeline.toml").write_text('[data]\nfolder = "data"\n[[portal]]\nhost = "portal.example"\nmanager = "m"\n')
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    made = Core(load(tmp_path / "pipeline.toml"))
    import_directory(made.registry, tmp_path / "directory.toml")
    with made.registry.writing() as db:
        db.executemany("INSERT INTO occupancies VALUES ('a', ?, ?, '')", [(SINCE, EDGE), (EDGE, None)])
    yield made
    made.close()


def somebody(core, name, occupancy, role="resident", **wishes):
    """An account that sees the flat, with a proven address and one that is not."""
    accounts = core.registry.accounts
    accounts.add(Account(name, "inmes", None, name, "de", "", 1, 0, None))
    accounts.add_contact(Contact(f"c_{name}", name, "email", f"{name}@example.org", "auth", 1), "inmes")
    accounts.add_contact(Contact(f"n_{name}", name, "email", f"{name}@example.net", "notify", None), "inmes")
    accounts.add_grant(Grant(f"g_{name}", name, "m", "a", occupancy, role, 1, None, "test", None, 1, None))
    core.registry.documents.wish(name, "a", Wishes(**wishes))


def mails(core):
    """To whom statements wait."""
    return sorted(one.address for one in core.registry.outbox.due(2**60, 100) if one.template == "statement")


@pytest.mark.feature("Y11")
def test_a_month_goes_once_to_those_who_want_it(core):
    """The present holder gets it; not who left before, not the household, not who did not ask, not an address that is not proven."""
    somebody(core, "present", EDGE, statement_monthly=True)
    somebody(core, "former", SINCE, statement_monthly=True)
    somebody(core, "household", EDGE, "household", statement_monthly=True)
    somebody(core, "silent", EDGE)
    assert list(statements.send_all(core, MONTH)) == [f"1 statements of {MONTH:%Y-%m} by mail"]
    list(statements.send_all(core, MONTH))
    assert mails(core) == ["present@example.org"]
    (notice,) = core.registry.outbox.due(2**60, 100)
    document = core.registry.documents.one(notice.values["link"].rpartition("/")[2])
    assert (document.account, document.holder, document.since, document.until) == (
        "present",
        EDGE,
        MONTH.isoformat(),
        civil.month_after(MONTH).isoformat(),
    )
    assert document.title.startswith("Verbrauchsaufstellung")
    list(statements.send_all(core, civil.month_before(MONTH)))
    assert mails(core) == ["former@example.org", "present@example.org"]


def test_without_a_wish_nothing_is_made(core):
    """No line in the report either."""
    somebody(core, "silent", EDGE)
    assert (list(statements.send_all(core, MONTH)), mails(core)) == ([], [])
