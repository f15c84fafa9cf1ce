"""The demo: an hour's look at the units of a manager that is named for it, and nothing else (FLOWS 3)."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from portals import DIRECTORY, Here

from submeter.config import ConfigError, load
from submeter.store.directory import import_directory

DEMO = '[[manager]]\nid = "show"\nname = "Show"\n[[property]]\nid = "s1"\nmanager = "show"\nname = "Show house"\nzone = "UTC"\n' + "".join(
    f'[[unit]]\nid = "show-{flat}"\nproperty = "s1"\nlabel = "Flat {flat}"\n' for flat in "ab"
)


@pytest.fixture
def here(tmp_path):
    """Five portals, of which inmes shows a demo."""
    made = Here(tmp_path)
    (tmp_path / "show.toml").write_text(DIRECTORY + DEMO)
    import_directory(made.registry, tmp_path / "show.toml")
    flows = made.app.state.flows
    flows.tenants = {host: replace(one, demo="show") if host == "inmes.localhost" else one for host, one in flows.tenants.items()}
    yield made
    made.close()


@pytest.mark.feature("I4")
def test_the_demo_shows_the_units_of_its_manager_for_an_hour(here):
    """One request opens a session: the demo's units, none of the portal's own, reads only; over after an hour."""
    one = here.browser("inmes")
    assert one.start("demo")["done"]
    assert one.units() == ["show-a", "show-b"]
    assert one.client.get("/v1/units/cz-a/meters").status_code == 404
    assert one.client.get("/v1/units/show-a/meters").status_code == 200
    for method, path in (("get", "/v1/me"), ("get", "/v1/grants"), ("get", "/v1/sessions"), ("post", "/v1/meters/m/readings")):
        assert getattr(one.client, method)(path, **({"json": {"value": 1}} if method == "post" else {})).status_code == 403
    here.now += 3601
    assert one.units() == 401


def test_a_portal_without_a_demo_offers_none(here):
    """The flow is not there, and not named among those that are."""
    one = here.browser("impreso")
    told = one.start("demo", _status=422)
    assert "demo" not in told["errors"][0]["detail"].split()
    assert one.units() == 401


def test_a_demo_session_adds_nothing_and_becomes_nothing(here):
    """No account follows from it: the flows that go on from a session refuse it."""
    one = here.browser("inmes")
    one.start("demo")
    for name in ("reauth",):
        assert one.start(name, _status=422)["type"] == "not-accepted"
    token = here.registry.create_token("show")
    assert TestClient(here.app, headers={"Authorization": f"Bearer {token}"}).get("/v1/units/show-a/meters").status_code == 200


def test_the_demo_is_never_the_portals_own_manager(tmp_path):
    """That would show its residents to everybody: the configuration is refused."""
    text = '[[portal]]\nhost = "x"\nmanager = "c_1"\ndemo_manager = "c_1"\n'
    (tmp_path / "pipeline.toml").write_text(text)
    with pytest.raises(ConfigError, match="everybody would see its residents"):
        load(tmp_path / "pipeline.toml")
