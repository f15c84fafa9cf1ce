"""Fixtures that every part's tests share."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import structlog
from broker import Broker

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    """An option of tests/browser/test_pictures.py."""
    parser.addoption("--pictures", action="store_true", help="write the pictures of the README to docs/pictures")


def pytest_sessionfinish():
    """End the servers of tests/api/letterbox.py, where it was used: Python waits for their threads before anything of `atexit`."""
    if letterbox := sys.modules.get("letterbox"):
        letterbox.running.close()


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


@pytest.fixture(scope="session")
def spark() -> None:
    """Spark can be started here."""
    from submeter.aggregate.spark import missing

    if lacking := missing():
        unavailable(lacking)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program of a real browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        unavailable("chromium is not installed")
    return program
