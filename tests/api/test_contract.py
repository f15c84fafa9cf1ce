"""The whole OpenAPI document under random requests: no fault inside, no answer that the document does not name (API.md 13).

`SUBMETER_REQUESTS=20000` is for a release; the clock stands still, rates are off, sessions that a request ended are opened again.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from portals import START, Here, inmes
from schemathesis.checks import CHECKS, load_all_checks

from submeter.store.registry_types import SCOPES

REQUESTS = int(os.environ.get("SUBMETER_REQUESTS", "240"))
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "allow_header_conformance",
)
load_all_checks()


@schemathesis.serializer("application/x-ndjson")
def lines(_, value):
    """A generated body as it is sent: bytes, or text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


CHOSEN = [CHECKS.get_one(name) for name in NAMES]
WHO = ("nobody", "resident", "operator", "bulk")
#: What stands in a path now and then, so that more than 404 is asked for.
KNOWN = {
    "unit": ["cz-a", "cz-b", "si-a"],
    "month": ["2025-05", "2025-13"],
    "name": ["login", "activate", "recover", "accept", "add", "reauth"],
    "kind": ["totp", "recovery"],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A portal with a resident, whose flat has a meter."""
    made = Here(tmp_path_factory.mktemp("contract"))
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    yield made
    made.close()


@pytest.fixture(scope="module")
def heads(here):
    """What each principal sends with every request."""
    browser, _ = inmes(here, "cz-a", "own@example.org", None)
    page = {"Host": "inmes.localhost", "Origin": "https://inmes.localhost"}
    operator = here.registry.create_token("cz", sorted(SCOPES))
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    return {
        "nobody": page,
        "resident": page | {"Cookie": cookies},
        "operator": {"Authorization": f"Bearer {operator}"},
        "bulk": {"Authorization": f"Bearer {here.registry.create_token('cz', ['bulk:read'])}"},
    }


def operations(app):
    """All operations of the document."""
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app)
    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.parametrize("who", WHO)
def test_every_answer_is_one_that_the_document_names(here, heads, who):
    """Random requests, right and wrong ones, to every operation."""
    asked = operations(here.app)
    wrong, sent = [], 0
    for operation in asked:
        try:
            sent += ask(here, operation, heads[who], max(-(-REQUESTS // (len(asked) * len(WHO))), 2))
        except (Exception, ExceptionGroup) as error:  # noqa: BLE001 - all operations are asked, then all faults told
            wrong.append(f"{operation.label}: {error}")
    print(f"{sent} requests to {len(asked)} operations by {who}")  # noqa: T201 - the report
    assert not wrong, "\n".join(wrong)


def listed(case):
    """Whether a list stands in the query: in an address it is no value, one, or several, so that a wrong type cannot be told from a right one."""
    return any(isinstance(value, list) for value in (case.query or {}).values())


def ask(here, operation, head, count):
    """So many requests to one operation, or fewer where it has fewer different ones; returns how many."""
    sent = 0
    sessions = "UPDATE sessions SET ended = NULL, fresh = created, seen = created"

    @seed(5)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(operation.as_strategy(), operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)), known=st.data())
    def one(case, known):
        nonlocal sent
        assume(case.meta.generation.mode.is_positive or not listed(case))
        sent += 1
        here.now = START
        with here.registry.writing() as db:
            db.execute(sessions)
        for name in set(case.path_parameters or ()) & set(KNOWN):
            if known.draw(st.booleans()):
                case.path_parameters[name] = known.draw(st.sampled_from(KNOWN[name]))
        case.call_and_validate(headers=head, checks=CHOSEN)

    one()
    return sent
