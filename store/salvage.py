"""readings.duckdb with a page that does not read: which tables it is in, and a new file with all that still reads (FAULTS 3, row 13).

Strategy: DuckDB checks a sum for each block that it reads, so reading all columns of all rows finds a flipped bit; a table is then copied a row group at a time,
and groups that do not read are left out. Rules: the damaged file is only read; tables whose numbers others refer to must be whole, else the file is given up:
a row under the wrong number is worse than none.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from submeter.store.duck import CHECKSUM, OPTIONS, Duck
from submeter.store.errors import StoreError
from submeter.store.readings_schema import MIGRATIONS

__all__ = ["salvage", "unreadable"]

#: Rows that DuckDB stores together.
GROUP: Final = 122_880
#: What other tables refer to by number, and how far everything is.
WHOLE: Final = frozenset(("registers", "series", "progress", "schema_version"))


def unreadable(path: Path) -> list[str]:
    """The tables of a DuckDB file with rows that do not read, by name; StoreError if it does not open at all. Nothing is changed."""
    with closing(_opened(path)) as connection:
        return [table for table in _tables(connection) if not _reads(connection, table)]


def salvage(path: Path, made: Path) -> dict[str, int]:
    """Copy all that reads of a readings' file into a new one; returns how many rows of which tables are lost. StoreError if it must be given up."""
    lost = dict[str, int]()
    with closing(_opened(path)) as connection:
        tables = _tables(connection)
        if broken := [table for table in sorted(WHOLE & set(tables)) if not _reads(connection, table)]:
            raise StoreError(f"{path} cannot be saved in parts: {', '.join(broken)} does not read")
        duck = Duck(made, MIGRATIONS)
        try:
            for table in tables:
                if table != "schema_version":
                    kept = _copy(connection, duck, table)
                    lost |= {table: _count(connection, table) - kept}
            duck.checkpoint()
        finally:
            duck.close()
    return {table: rows for table, rows in lost.items() if rows}


def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(path, read_only=True, config=dict(OPTIONS))
    except duckdb.Error as error:
        raise StoreError(f"{path} does not open: {_short(error)}") from error


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()]


def _reads(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    try:
        connection.execute(f'SELECT bit_xor(hash(whole)) FROM "{table}" AS whole').fetchall()  # noqa: S608 - a table of ours
    except duckdb.Error as error:
        if CHECKSUM not in str(error):
            raise StoreError(f"{table} cannot be read: {_short(error)}") from error
        return False
    return True


def _copy(connection: duckdb.DuckDBPyConnection, duck: Duck, table: str) -> int:
    """Copy a table group by group in place of what the new file has in it; returns how many rows."""
    kept = 0
    with duck.transaction() as fresh:
        fresh.execute(f'DELETE FROM "{table}"')  # noqa: S608 - a table of ours
        for rows in _groups(connection, table):
            fresh.register("rows", rows)
            fresh.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM rows')  # noqa: S608 - a table of ours
            fresh.unregister("rows")
            kept += rows.num_rows
    return kept


def _groups(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[pa.Table]:
    """The groups of rows that read; deleted rows count in the numbers of rows, so there may be more numbers than rows."""
    ((beyond,),) = connection.execute(f'SELECT coalesce(max(rowid), -1) + 1 FROM "{table}"').fetchall()  # noqa: S608 - a table of ours
    for first in range(0, beyond, GROUP):
        try:
            yield connection.sql(f'SELECT * FROM "{table}" WHERE rowid >= {first} AND rowid < {first + GROUP}').to_arrow_table()  # noqa: S608 - a table of ours
        except duckdb.Error as error:
            if CHECKSUM not in str(error):
                raise StoreError(f"{table} cannot be copied: {_short(error)}") from error


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()  # noqa: S608 - a table of ours
    return int(count)


def _short(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:200]
