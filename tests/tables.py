"""What tests look at and change behind the back of a registry, on either engine."""

from contextlib import contextmanager

NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    "postgres": "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
}
COLUMNS = {
    "sqlite": "SELECT name FROM pragma_table_info(?)",
    "postgres": "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ?",
}
#: References between tables, and what refuses changes, off and on.
UNBOUND = {
    "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"),
    "postgres": ("SET session_replication_role = replica", "RESET session_replication_role"),
}


def names(registry) -> list[str]:
    """Every table, in order."""
    return [name for (name,) in registry._rows(NAMES[registry._connection.engine])]


def columns(registry) -> dict[str, set[str]]:
    """Every table with its columns."""
    sql = COLUMNS[registry._connection.engine]
    return {table: {name for (name,) in registry._rows(sql, table)} for table in names(registry)}


def dumped(registry) -> str:
    """All rows as text, bytes in hexadecimal."""
    rows = [row for table in names(registry) for row in registry._rows(f"SELECT * FROM {table}")]
    return "\n".join(value.hex() if isinstance(value, bytes) else str(value) for row in rows for value in row)


def script(registry, text) -> None:
    """Run statements, each ended by a semicolon at the end of its line."""
    with registry.writing() as db:
        for statement in filter(str.strip, text.split(";\n")):
            db.execute(statement)


@contextmanager
def unbound(registry):
    """The registry's connection; inside, no reference between tables is looked at."""
    db = registry._connection
    off, on = UNBOUND[db.engine]
    db.execute(off)
    try:
        with registry.writing():
            yield db
    finally:
        db.execute(on)


def copied(registry):
    """Return what puts every row back as it is now."""
    kept = {table: registry._rows(f"SELECT * FROM {table}") for table in names(registry)}
    given = " OVERRIDING SYSTEM VALUE" if registry._connection.engine == "postgres" else ""

    def back():
        with unbound(registry) as db:
            for table, rows in kept.items():
                if table.startswith(("audit", "decisions")):
                    continue
                db.execute(f"DELETE FROM {table}")
                if rows:
                    db.executemany(f"INSERT INTO {table}{given} VALUES ({', '.join('?' * len(rows[0]))})", rows)

    return back
