"""Fixtures of the API's tests."""

import pytest
from portals import Here


@pytest.fixture
def here(tmp_path):
    """Five portals."""
    made = Here(tmp_path)
    yield made
    made.close()
