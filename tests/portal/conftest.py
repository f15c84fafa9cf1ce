"""Fixtures of the pages' tests."""

import time

import pytest
from flat import furnish
from portals import Here

from submeter.portal import create_portal


@pytest.fixture
def here(tmp_path):
    """Five portals with their pages; a flat has three years of rows."""
    made = Here(tmp_path)
    made.app.mount("/", create_portal(made.app))
    made.now = time.time()
    furnish(made)
    yield made
    made.close()
