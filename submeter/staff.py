"""Operators of managers, as commands on an open core: add one and print the link, list them, end one (portal FLOWS 10: 46)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from submeter import civil
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.store.registry import new_id

__all__ = ["COMMANDS"]


def _add(core: Core, *, name: str, manager: str, role: str = "operator") -> Iterator[str]:
    host = next((one.host for one in core.config.portal if one.manager == manager), None)
    if host is None:
        raise SubmeterError(f"{manager} has no portal where an operator could come in: add a [[portal]] with its host to pipeline.toml")
    secret = core.registry.operators.invite(manager, name, role, identity=new_id("o_"), now=now())
    yield f"https://{host}/operator/enter/{secret}"
    yield "good once, for half an hour, in one browser: hand it to nobody else"


def _list(core: Core) -> Iterator[str]:
    for one in core.registry.operators.all():
        ended = f"  ended {civil.iso(one.ended)}" if one.ended is not None else ""
        link = f"  link until {civil.iso(one.link_until)}" if one.link_until is not None else ""
        yield f"{one.name}  {one.manager}  {one.role}  made {civil.iso(one.created)}{link}{ended}"


def _end(core: Core, *, name: str, manager: str) -> Iterator[str]:
    core.registry.operators.end(manager, name, now())
    yield f"{name} of {manager} is out: links and sessions are void"


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {"operator.add": _add, "operator.list": _list, "operator.end": _end}
