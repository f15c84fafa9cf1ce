"""How often a principal may ask: buckets of each class of cost, 429 with Retry-After (API.md 7)."""

import pytest
from fastapi.testclient import TestClient

from submeter.api import create_app
from submeter.rates import RATES, Rates
from submeter.store import Published, Registry


def test_a_bucket_holds_two_minutes_and_fills_again():
    """Twelve exports at once, then one each ten seconds; another class and another principal have their own."""
    rates = Rates()
    assert [rates.wait("a", "e", 0.0) for _ in range(12)] == [0.0] * 12
    assert rates.wait("a", "e", 0.0) == pytest.approx(10)
    assert (rates.wait("b", "e", 0.0), rates.wait("a", "c", 0.0)) == (0.0, 0.0)
    assert rates.wait("a", "e", 9.0) == pytest.approx(1)
    assert (rates.wait("a", "e", 10.0), rates.wait("a", "e", 10.0) > 0) == (0.0, True)
    assert [rates.wait("a", "e", 1000.0) for _ in range(12)] == [0.0] * 12
    assert dict(RATES) == {"c": 600, "r": 120, "w": 30, "e": 6}


def test_no_limit_is_none():
    """0 in the configuration."""
    rates = Rates({"c": 0, "r": 0, "w": 0, "e": 0})
    assert {rates.wait("a", "e", 0.0) for _ in range(100)} == {0.0}


def test_too_many_requests_are_told_when_to_come_again(tmp_path):
    """429 as a problem, for one token alone; without a token it is 401 as ever."""
    with Registry(tmp_path / "registry.sqlite") as registry, Published(tmp_path / "published.sqlite") as published:
        with registry.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c_1', 'House')")
        client = TestClient(create_app(registry, published, "1", rates=Rates({"c": 1, "r": 1, "w": 1, "e": 1})))
        heads = [{"Authorization": f"Bearer {registry.create_token('c_1')}"} for _ in range(2)]
        assert [client.get("/v1/units", headers=heads[0]).status_code for _ in range(3)] == [200, 200, 429]
        answer = client.get("/v1/units", headers=heads[0])
        assert (answer.json()["type"], answer.headers["content-type"]) == ("too-many-requests", "application/problem+json")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.get("/v1/units", headers=heads[1]).status_code == 200
        assert client.get("/v1/units").status_code == 401
