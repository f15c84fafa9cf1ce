"""Every store at some schema, and migrations of a release to come; apart from the tests, so that the children that are killed start fast."""

from submeter.store import inbox, published, readings_schema, registry_schema
from submeter.store.duck import Duck
from submeter.store.examine import READINGS
from submeter.store.sqlite import open_sqlite

SCHEMAS = {
    "inbox.sqlite": inbox.MIGRATIONS,
    READINGS: readings_schema.MIGRATIONS,
    "registry.sqlite": registry_schema.MIGRATIONS,
    "published.sqlite": published.MIGRATIONS,
}
#: Migrations of a release to come that take a while, and end in a table that the one before does not have.
SLOW = {
    "sqlite": "CREATE TABLE slow (x INTEGER);\n"
    "INSERT INTO slow WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400000) SELECT x FROM n;\nCREATE TABLE after (x INTEGER);\n",
    "duckdb": "CREATE TABLE slow (x UBIGINT); INSERT INTO slow SELECT hash(sha256(range::VARCHAR)) FROM range(4000000); CREATE TABLE after (x INTEGER);",
}


def opened(file, migrations):
    """The file at this schema; something to close."""
    return Duck(file, migrations) if file.suffix == ".duckdb" else open_sqlite(file, migrations)


def slow(file):
    """The migrations of a release to come."""
    return (*SCHEMAS[file.name], SLOW[file.suffix[1:]])
