"""Fixtures of the pages' tests."""

import pytest
from flat import furnished


@pytest.fixture
def here(tmp_path):
    """Five portals with their pages; a flat has three years of rows."""
    made = furnished(tmp_path)
    yield made
    made.close()
