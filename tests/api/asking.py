"""Questions to the API over the stores of a built-up property."""

from fastapi.testclient import TestClient

from submeter import civil
from submeter.api import create_app

NOW = "2024-07-01T12:00:00Z"


def ask(building, path, *, scopes=("consumption:read",), accept=None, language=None, now=NOW, **query):
    """The response to a token with these scopes."""
    token = building.core.registry.create_token("m", list(scopes))
    headers = {"Authorization": f"Bearer {token}", "Accept": accept, "Accept-Language": language}
    app = create_app(building.core.registry, building.core.published, "1", clock=lambda: civil.instant(now) / civil.SECOND)
    return TestClient(app, headers={name: text for name, text in headers.items() if text}).get(f"/v1/{path}", params=query or None)


def consumption(building, unit, start, end, resolution="P1M", **query):
    """The body of a consumption answer."""
    answer = ask(building, f"units/{unit}/consumption", **{"from": start, "to": end, "resolution": resolution, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def values(series):
    """The values of a series in order."""
    return [point["value"] for point in series["points"]]


def reasons(series):
    """Why values are missing, in order."""
    return [point.get("reason") for point in series["points"]]
