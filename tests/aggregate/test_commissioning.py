"""What managers are told of the air: awaited meters, strangers, and what gateways hear, each manager by itself."""

from datetime import date

import pyarrow as pa
import pytest

from submeter import civil
from submeter.aggregate import commissioning
from submeter.store import READING, RECEPTION, Inbox, Message, Readings, Registry
from submeter.store.directory import import_directory

NOW = civil.instant("2025-06-15T12:00:00Z")
TODAY = date(2025, 6, 15)
OLD = date(2025, 5, 1)
DIRECTORY = "".join(
    f'[[manager]]\nid = "{manager}"\nname = "{manager}"\n[[property]]\nid = "{manager}1"\nmanager = "{manager}"\nname = "House"\nzone = "UTC"\n'
    + "".join(
        f'[[point]]\nid = "{manager}{n}"\nproperty = "{manager}1"\nquantity = "cold_water"\n[[device]]\nid = "AAA-0000{code}{n}-01-07"\n'
        f'[[assignment]]\npoint = "{manager}{n}"\ndevice = "AAA-0000{code}{n}-01-07"\nfrom = 2025-01-01\n'
        for n in (1, 2)
    )
    for manager, code in (("a", "100"), ("b", "200"))
)


@pytest.fixture
def stores(tmp_path):
    """Two managers with two meters each: `a1` and `b1` are heard, by gateways of their own and by one between them."""
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    with Readings(tmp_path / "r.duckdb") as readings, Registry(tmp_path / "registry.sqlite") as registry, Inbox(tmp_path / "inbox.sqlite") as inbox:
        import_directory(registry, tmp_path / "directory.toml")
        heard = [
            ("AAA-00001001-01-07", "cellar", TODAY, 5, -60),
            ("AAA-00001001-01-07", "cellar", date(2025, 6, 14), 7, -50),
            ("AAA-00001001-01-07", "cellar", OLD, 100, None),
            ("AAA-00001001-01-07", "between", TODAY, 2, None),
            ("AAA-00002001-01-07", "between", TODAY, 3, None),
            ("BBB-00000001-01-07", "cellar", TODAY, 4, -90),
            ("BBB-00000001-01-07", "cellar", date(2025, 6, 10), 4, -80),
            ("BBB-00000002-01-07", "between", TODAY, 9, None),
            ("BBB-00000002-01-07", "cellar", TODAY, 1, None),
            ("BBB-00000003-01-07", "cellar", OLD, 9, None),
        ]
        readings.store(
            READING.empty_table(), pa.Table.from_pylist([dict(zip(RECEPTION.names, row, strict=True)) for row in heard], schema=RECEPTION), 0
        )
        yield readings, registry, inbox


def test_what_gateways_hear_is_told_of_the_own_meters_alone(stores):
    """Receptions of two weeks; of the gateway between two managers each is told the own part."""
    told = commissioning(*stores, NOW)
    assert [(one["name"], one["meters"], one["receptions"], one["day"]) for one in told["a"]["gateways"]] == [
        ("between", 1, 2, "2025-06-15"),
        ("cellar", 1, 12, "2025-06-15"),
    ]
    assert [(one["name"], one["meters"], one["receptions"]) for one in told["b"]["gateways"]] == [("between", 1, 3)]


def test_strangers_are_told_where_nobody_elses_meters_are_heard(stores):
    """The stranger in the cellar is a's to know; of the one between two managers nobody is told, nor of one that was heard long ago."""
    told = commissioning(*stores, NOW)
    assert told["b"]["unknown"] == []
    assert told["a"]["unknown"] == [
        {"device": "BBB-00000001-01-07", "gateway": "cellar", "receptions": 8, "rssi": -80, "first": "2025-06-10", "last": "2025-06-15"}
    ]


def test_assigned_meters_that_were_never_heard_are_awaited(stores):
    """Each manager's own; until they are heard."""
    told = commissioning(*stores, NOW)
    assert {name: [(one["point"], one["device"], one["since"]) for one in body["awaited"]] for name, body in told.items()} == {
        "a": [("a2", "AAA-00001002-01-07", "2025-01-01T00:00:00Z")],
        "b": [("b2", "AAA-00002002-01-07", "2025-01-01T00:00:00Z")],
    }


def test_who_is_alone_is_told_of_all_gateways_and_strangers(stores):
    """One manager: also a gateway that hears none of its meters, with its last message."""
    readings, registry, inbox = stores
    registry._connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM managers WHERE id = 'b'")
    inbox.append([Message("mqtt", b"00", NOW - civil.HOUR, gateway="attic")])
    told = commissioning(readings, registry, inbox, NOW)
    assert [one["device"] for one in told["a"]["unknown"]] == ["BBB-00000002-01-07", "BBB-00000001-01-07"]
    assert [(one["name"], one["meters"], one["last"]) for one in told["a"]["gateways"]] == [
        ("between", 1, None),
        ("cellar", 1, None),
        ("attic", 0, "2025-06-15T11:00:00Z"),
    ]


def test_what_is_told_is_kept_for_the_api(stores):
    """A text a manager, with the instant; the next one takes its place."""
    _, registry, _ = stores
    assert registry.commissioning.of("a") is None
    registry.commissioning.keep(commissioning(*stores, NOW), NOW)
    at, body = registry.commissioning.of("a")
    assert (at, len(body["gateways"])) == (NOW, 2)
    registry.commissioning.keep({"a": {"gateways": []}}, NOW + 1)
    assert registry.commissioning.of("a") == (NOW + 1, {"gateways": []})
    assert registry.commissioning.of("b") is None
