"""A running submeter whose PostgreSQL goes away and comes back."""

import pytest
from broker import wait_until
from installation import Installation


@pytest.fixture
def here(tmp_path, cluster):
    """An installation on a database."""
    made = Installation(tmp_path, database=cluster().database_of(tmp_path / "data"))
    yield made
    made.close()
    cluster().drop(tmp_path)


def test_a_database_that_goes_away_is_told_and_used_again(here, cluster):
    """Meanwhile health names it and reads are answered 503; afterwards everything goes on in the same process."""
    here.start()
    assert here.get("/v1/units")[0] == 200
    assert here.get("/v1/health", here.metrics)[1]["ok"]
    cluster().stop("immediate")
    try:
        status, body = here.get("/v1/units")
        assert (status, body["type"]) == (503, "unavailable")
        status, body = here.get("/v1/health", here.metrics)
        assert status == 503
        assert "registry in PostgreSQL database" in body["trouble"]
        assert here.process.poll() is None
    finally:
        cluster().start()
    wait_until(lambda: here.get("/v1/units")[0] == 200 and here.get("/v1/health", here.metrics)[1]["ok"], 30)
    assert here.command("token", "list")
    here.stop()
