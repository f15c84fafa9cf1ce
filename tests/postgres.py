"""A PostgreSQL of the tests' own: a cluster in a temporary folder on a free port, and a database for each test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

from broker import free_port

from submeter.store.postgres import connect

#: A disk that loses nothing is not what these tests are about.
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "autovacuum=off",
    "max_connections=200",
    "dynamic_shared_memory_type=mmap",
)
#: Files in memory (Linux), and the room that is wanted there.
MEMORY, NEEDED = Path("/dev/shm"), 2 << 30


def program(name: str) -> str | None:
    """A program of the server; Debian keeps them outside of the path."""
    folders = [str(one) for one in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=":".join([*folders, os.environ.get("PATH", "")]))


@cache
def running() -> "Cluster":
    """The cluster of this run of tests, started by the first that asks."""
    return Cluster()


def in_database(opened):
    """What opens a store, `open_sql`, with the database of its folder instead of the file."""

    def instead(path, migrations, *, server="", **options):
        return opened(path, migrations, server=server or running().database_of(path.parent), **options)

    return instead


def spacious() -> str | None:
    """Where a cluster and its databases fit into memory: each database is some 300 files, which a disk takes a quarter of a second for; None: as for any other file."""
    try:
        return str(MEMORY) if shutil.disk_usage(MEMORY).free >= NEEDED else None
    except FileNotFoundError:
        return None


class Cluster:
    """A running server, which refuses to run as root: then it runs as nobody's own user."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="submeter-pg-", dir=spacious()))
        self.user = "postgres" if os.getuid() == 0 else None
        self.port = free_port()
        self.databases: dict[Path, str] = {}
        self.making = Lock()
        if self.user:
            shutil.chown(self.folder, pwd.getpwnam(self.user).pw_uid)
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "submeter", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.start()

    def start(self) -> None:
        """Start it, also again."""
        options = " ".join([f"-p {self.port} -h 127.0.0.1 -k {self.folder}", *(f"-c {one}" for one in SETTINGS)])
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it; "immediate": as a crash would."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", how, "stop")

    def close(self) -> None:
        """Stop it and delete everything."""
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def server(self, database: str = "postgres", user: str = "submeter") -> str:
        """The address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str) -> None:
        """Run statements as the owner of everything."""
        with connect(self.server()) as raw:
            for statement in statements:
                raw.execute(statement)

    def database_of(self, folder: Path) -> str:
        """The address of the database that stands for a data folder, made if it is not there."""
        name = f"t_{sha256(str(folder).encode()).hexdigest()[:16]}"
        with self.making:
            if folder not in self.databases:
                self.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
                self.databases[folder] = name
        return self.server(name)

    def drop(self, inside: Path) -> None:
        """Drop the databases of all data folders inside of another."""
        gone = [folder for folder in self.databases if folder.is_relative_to(inside)]
        self.execute(*(f"DROP DATABASE {self.databases.pop(folder)} WITH (FORCE)" for folder in gone))

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([program(name), *arguments], check=True, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL, timeout=60)
