"""`submeter operator`, and what the core tells the API of the air, over a whole chain: frames in, page data out."""

import re

import pytest
from installation import Installation

from submeter.commands import execute
from submeter.core import now
from submeter.errors import SubmeterError


def test_operators_are_let_in_listed_and_ended(tmp_path):
    """A link to the host of the manager; without a portal there is nowhere to come in; the list has no secret; who is ended is gone."""
    here = Installation(tmp_path / "here")
    with here.core() as core, pytest.raises(SubmeterError, match=r"add a \[\[portal\]\]"):
        list(execute(core, "operator.add", {"name": "olga", "manager": here.building.manager}))
    manager = here.building.manager
    with here.file.open("a") as file:
        file.write(f'[[portal]]\nhost = "portal.example"\nmanager = "{manager}"\n')
    with here.core() as core:
        link, _ = execute(core, "operator.add", {"name": "olga", "manager": manager})
        secret = re.fullmatch(r"https://portal\.example/operator/enter/([\w-]{43})", link).group(1)
        (listed,) = execute(core, "operator.list", {})
        assert listed.split()[:3] == ["olga", manager, "operator"]
        assert secret not in listed
        with pytest.raises(SubmeterError, match="no role of an operator"):
            list(execute(core, "operator.add", {"name": "olga", "manager": manager, "role": "root"}))
        list(execute(core, "operator.end", {"name": "olga", "manager": manager}))
        assert core.registry.operators.take(secret, manager, now()) is None
        with pytest.raises(SubmeterError, match="no operator olga"):
            list(execute(core, "operator.end", {"name": "olga", "manager": manager}))
        assert [one.action for one in core.registry.audit() if one.action.startswith("operator.")] == ["operator.link", "operator.end"]


def test_the_core_tells_what_is_awaited_with_each_look(tmp_path):
    """Nothing was heard yet: all assigned meters of the manager are awaited, and told so with the hourly look."""
    here = Installation(tmp_path / "here")
    with here.core() as core:
        assert core.registry.commissioning.of(here.building.manager) is None
        core.watch(nightly=False)
        _, body = core.registry.commissioning.of(here.building.manager)
        assert {one["device"] for one in body["awaited"]} == {one.device for one in core.registry.assignments() if one.holds(now())}
        assert body["awaited"]
        assert (body["unknown"], body["gateways"]) == ([], [])
