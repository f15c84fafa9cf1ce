"""A page that shows something and changes it: what the API tells, and forms whose button names what they do.

Strategy: a form posts to its own page, and its `do` names the act. An act that answers nothing leads back to the page, so that a reload repeats nothing; what it
answers is shown once, in the same response. A refusal shows the page again with a sentence and what was typed; one for want of a fresh proof leads there and back (app.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page, Place, Work

__all__ = ["HIDDEN", "Fields", "Screen", "ended", "paged"]

#: Refusals of what was typed: the same page again.
AGAIN: Final = frozenset({"not-accepted", "invalid", "conflict"})
#: What is never shown again.
HIDDEN: Final = frozenset({"password", "new_password", "new_password_again", "code"})

Fields = Mapping[str, str]
Act = Callable[[Page, Fields], Awaitable[Mapping[str, Any] | Response | None]]


class _Once(dict[str, Any]):
    """What an act answered; None for what it did not."""

    def __missing__(self, _name: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Screen:
    """A page: its template, what it is told, its acts by name, and of an act the field and the sentence that say what was wrong."""

    template: str
    told: Callable[[Page], Awaitable[Mapping[str, Any]]]
    acts: Mapping[str, Act] = field(default_factory=dict)
    wrong: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    async def __call__(self, page: Page) -> Response:
        """Show the page, or do what a form of it asks."""
        if page.request.method == "GET":
            return await self._shown(page)
        fields = await page.form()
        do = fields.pop("do", "")
        if do not in self.acts:
            return page.show("missing.html", status=404)
        try:
            once = await self.acts[do](page, fields)
        except Refused as refused:
            if refused.type not in AGAIN:
                raise
            name, sentence = self.wrong.get(do, ("", "That was not accepted"))
            typed = {name: value for name, value in fields.items() if name not in HIDDEN}
            return await self._shown(page, 422, errors={name: sentence}, typed=typed)
        if isinstance(once, Response):
            return once
        return page.go(page.here) if once is None else await self._shown(page, once=once)

    async def _shown(self, page: Page, status: int = 200, **values: Any) -> Response:
        blank: dict[str, Any] = {"errors": {}, "typed": {}, "once": {}} | values
        return await page.within(self.template, status, **await self.told(page), **blank | {"once": _Once(blank["once"])})


def ended(path: str) -> Act:
    """An act that ends one thing: what the form's `id` names under a path of the API."""

    async def act(page: Page, fields: Fields) -> None:
        await page.api.send("DELETE", f"{path}/{quote(fields.get('id', ''), safe='')}")

    return act


def paged(screens: Mapping[str, Screen], guard: Callable[[Work], Work] = lambda work: work) -> tuple[Place, ...]:
    """Screens by their paths as pages, each behind a guard."""
    return tuple((path, ["GET", "POST"], guard(screen)) for path, screen in screens.items())
