"""Fixtures that every part's tests share."""

import gc
import os
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import postgres
import pytest
import structlog
from broker import Broker

import submeter.store  # noqa: F401 - its modules are patched
from submeter.store.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
#: Whether all tests run on PostgreSQL.
EVERYTHING = os.environ.get("SUBMETER_DATABASE") == "postgres"


def pytest_addoption(parser):
    """An option of tests/browser/test_pictures.py."""
    parser.addoption("--pictures", action="store_true", help="write the pictures of the README to docs/pictures")


def pytest_sessionfinish():
    """End the servers of tests/api/letterbox.py, where it was used: Python waits for their threads before anything of `atexit`."""
    if letterbox := sys.modules.get("letterbox"):
        letterbox.running.close()


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that processes that share the tests end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """What thousands of tests and all modules are stays: Python's collector need not look through it again and again, a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_generate_tests(metafunc):
    """Tests of what both engines keep run on each (marker `both_engines`); with SUBMETER_DATABASE=postgres all tests run on PostgreSQL alone."""
    if metafunc.definition.get_closest_marker("both_engines") and not EVERYTHING:
        metafunc.parametrize("engine", ["sqlite", "postgres"], indirect=True)


def unavailable(reason: str) -> None:
    """Skip on a user's machine; under CI a skip of ours is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _own_log():
    """A command run in this process sends its log to a stream that ends with its test: the next one starts anew."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _own_timers():
    """What an application would write some seconds later (its access log) is not wanted once its files are gone."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if isinstance(thread, threading.Timer):
            thread.cancel()


@pytest.fixture(scope="session", autouse=True)
def cluster():
    """The PostgreSQL of this run, where it was used: `cluster()` starts it."""
    with pytest.MonkeyPatch.context() as patch:
        if EVERYTHING:
            on_postgres(patch)
        yield started
    if postgres.running.cache_info().currsize:
        postgres.running().close()


@pytest.fixture(autouse=True)
def engine(request, monkeypatch):
    """Where the registry and the published rows of this test are."""
    name = "postgres" if EVERYTHING else getattr(request, "param", "sqlite")
    if name == "sqlite":
        yield name
        return
    if reason := request.node.get_closest_marker("sqlite_alone"):
        pytest.skip(reason.args[0])
    if not EVERYTHING:
        on_postgres(monkeypatch)
    folder = request.getfixturevalue("tmp_path")
    yield name
    started().drop(folder)


@pytest.fixture
def server(engine, tmp_path):
    """The database of this test's folder, "" where its stores are files."""
    return "" if engine == "sqlite" else started().database_of(tmp_path)


@pytest.fixture
def outside(server):
    """Run statements as somebody does who can write a store, behind its back; the rows of the last one."""

    def run(path, *statements):
        with closing(sqlite3.connect(path, isolation_level=None) if not server else Postgres(server, path.stem)) as db:
            return [db.execute(statement).fetchall() if statement.startswith("SELECT") else db.execute(statement) for statement in statements][-1]

    return run


def started():
    """The PostgreSQL of this run."""
    if postgres.program("initdb") is None:
        unavailable("PostgreSQL is not installed")
    return postgres.running()


def on_postgres(patch):
    """Have registry and published rows opened there."""
    started()
    for store in ("registry", "published"):
        module = sys.modules[f"submeter.store.{store}"]
        patch.setattr(module, "open_sql", postgres.in_database(module.open_sql))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with specifications and corpus beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        unavailable("the folder ../shared (specifications, corpus) is not beside this checkout")
    return folder


@pytest.fixture
def broker(tmp_path):
    """A running mosquitto of this test alone."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        unavailable("mosquitto is not installed")
    with Broker(program, tmp_path / "broker") as running:
        yield running


def program(name: str, package: str) -> str:
    """Where a program of Debian is."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        unavailable(f"{name} is not installed (Debian: {package})")
    return found


@pytest.fixture(scope="session")
def strace() -> str:
    """Lets system calls of a process fail."""
    return program("strace", "strace")


@pytest.fixture(scope="session")
def mkfs() -> str:
    """Makes a file system."""
    return program("mkfs.ext4", "e2fsprogs")


@pytest.fixture(scope="session")
def spark():
    """Spark can be started here; its virtual machines live for seconds, so they compile quickly, not well."""
    from submeter.aggregate.spark import missing

    if lacking := missing():
        unavailable(lacking)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program of a real browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        unavailable("chromium is not installed")
    return program
