"""Who read my data: reads of units counted in memory, kept beside the requests, and shown to the resident (portal API 9).

Strategy: a read adds one to a sum in memory; a timer writes the sums a few seconds later on a thread and a connection of its own, so that no read ever waits for
the disk. What a crash takes with it is the last few seconds. Rules: reads by others than the resident are shown, of the own time only, with names as they are now.
"""

import threading
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.errors import SubmeterError
from submeter.store.outbox import masked
from submeter.store.reads import EVER, HOUR, Read
from submeter.store.registry import Registry

__all__ = ["ReadLog", "routes", "told_of"]

log = structlog.get_logger()

#: Sums wait so long in memory, seconds; so many of them are kept where the disk takes none.
WAIT_S: Final = 5.0
MOST: Final = 200_000
#: Lines of an answer.
LINES: Final = 1000

Key = tuple[str, int, str, str, str, int, str]


class ReadLog:
    """The sums of one application, over the registry's file."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._sums: dict[Key, list[int]] = {}
        self._timer: threading.Timer | None = None

    def note(self, seen: SeenUnit, actor: str, action: str, now: int) -> None:
        """Count a read of a unit by who sees it; `action` is the name of the route."""
        since = EVER if seen.visible.since is None else seen.visible.since
        key = (seen.unit.id, now - now % HOUR, actor, action, seen.visible.role, since, seen.property.manager)
        with self._lock:
            self._add(key, now, now, 1)
            if self._timer is None:
                self._timer = threading.Timer(WAIT_S, self._written)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is in memory; raises SubmeterError if the registry takes nothing, and keeps it for the next time."""
        with self._writing:
            with self._lock:
                sums, self._sums = self._sums, {}
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = None
            try:
                if sums:
                    with self._registry.another() as registry:
                        registry.reads.add(Read(*key, *numbers) for key, numbers in sums.items())
            except BaseException:
                with self._lock:
                    for key, (first, last, times) in sums.items():
                        self._add(key, first, last, times)
                raise

    def close(self) -> None:
        """Write what is in memory, as far as the registry takes it."""
        self._written()

    def _add(self, key: Key, first: int, last: int, times: int) -> None:
        found = self._sums.get(key)
        if found is not None:
            found[:] = min(found[0], first), max(found[1], last), found[2] + times
        elif len(self._sums) < MOST:
            self._sums[key] = [first, last, times]

    def _written(self) -> None:
        try:
            self.flush()
        except SubmeterError as error:
            log.error("the access log could not be written and is tried again with the next read", error=str(error))


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/me/access-log")
async def access_log(request: Request, access: Annotated[Access, scoped("me:self", cost="r")]) -> dict[str, Any]:
    """Who else read the data of the units that one lives in, the newest first."""
    reads: ReadLog = request.app.state.reads
    access.account()
    await run_in_threadpool(reads.flush)
    return {"reads": told_of(access.registry, access.account(), access.now)[:LINES]}


def told_of(registry: Registry, account: str, now: int) -> list[dict[str, Any]]:
    """The access log of an account as it is shown: of the units of which it is the resident, and of its time there."""
    found = [
        (one, visible.unit)
        for visible in registry.accounts.visible(account, now)
        if visible.role.startswith("resident")
        for one in registry.reads.of(
            visible.unit,
            account,
            EVER if visible.since is None else visible.since,
            visible.since or 0,
            -EVER if visible.until is None else visible.until,
        )
    ]
    labels = {unit: getattr(registry.unit(unit), "label", unit) for unit in {unit for _, unit in found}}
    who = {one.actor: _reader(registry, one) for one, _ in found}
    return [
        {
            "who": who[one.actor] | ({"kind": one.role} if one.role else {}),
            "action": one.action,
            "unit": unit,
            "label": labels[unit],
            "first": civil.iso(one.first),
            "last": civil.iso(one.last),
            "times": one.times,
        }
        for one, unit in sorted(found, key=lambda pair: -pair[0].last)
    ]


def _reader(registry: Registry, one: Read) -> dict[str, Any]:
    """Kind and name of a reader: the manager of a token, an account by its name or masked address, a guest by nothing."""
    kind, _, identity = one.actor.partition(":")
    if kind == "account":
        person, _, token = identity.partition("/")
        account = registry.accounts.account(person)
        contacts = registry.accounts.contacts(person) if account else []
        name = account.name or next((masked(contact.address) for contact in contacts), None) if account else None
        return {"kind": "account", "name": name, "token": token or None}
    if kind in {"token", "operator"}:
        name = next((manager.name for manager in registry.managers() if manager.id == one.manager), None)
        return {"kind": "manager", "name": name, "token": identity if kind == "token" else None}
    return {"kind": "guest", "name": None, "token": None}
