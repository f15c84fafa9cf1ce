"""The job `notices`: puts into the outbox what people wished to be told, each message once (portal API 3 and 5, FEATURES Y12).

Strategy: a source (monthly information, events, posts of accounting, limits) is read from where it was last told; its messages and its new mark are one transaction, so
that neither a crash nor an outbox that forgets tells anything twice. Rules: only who wished it before it happened is told, at a proven address, and only of a
unit where a grant is in force whose role may read it; of events and posts only who lives there now, of a month whoever had the flat in it and still may read it.
That a leak or a silence has ended is not told: the portal shows it. Each message names the portal of its unit's manager.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from submeter import civil, limits
from submeter import core as cores
from submeter.config import words
from submeter.config.languages import LOCALES
from submeter.core import Core
from submeter.reading import from_micro
from submeter.store import Event, Information, Point, Property, Unit, Visible
from submeter.store.accounts import ROLES, Account, notice_address
from submeter.store.notices import Posted, Rule
from submeter.store.outbox import Channel

__all__ = ["tell"]

T = TypeVar("T")
EVER: Final = 2**62
#: What is told in one transaction.
TOGETHER: Final = 100
#: Kinds of events that are told, the wish that they answer, which is the template too.
TOLD: Final = {"leak": "leak", "burst": "leak", "silent": "silence"}
#: The wish, and template, of what accounting posts.
POSTS: Final = {"balance.due": "balance_due", "payment.received": "payment_received"}
WAYS: Final[Mapping[str, Channel]] = {"email": "email", "sms": "sms"}


@dataclass(frozen=True, slots=True)
class _Place:
    """A unit with its property."""

    unit: Unit
    building: Property


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who may be told: the account, its addresses by way, and what it sees now."""

    account: Account
    addresses: Mapping[str, str]
    visible: Sequence[Visible]

    @property
    def locale(self) -> str:
        return self.account.locale if self.account.locale in LOCALES else "en"

    def sees(self, unit: str, scope: str) -> Iterator[Visible]:
        """What of a unit it may read with this scope."""
        return (one for one in self.visible if one.unit == unit and scope in ROLES.get(one.role, ()))

    def lives(self, unit: str, scope: str, at: int, now: int, quantity: str | None = None) -> bool:
        """Whether it may read of a unit (of a class of its points) what happened at an instant, and its time there runs."""
        seen = [one for one in self.sees(unit, scope) if quantity is None or one.shows(quantity)]
        return any((one.since is None or one.since <= at) and (one.until is None or one.until > now) for one in seen)


def tell(core: Core) -> Iterator[str]:
    """Put what is new into the outbox; yields a line for each source."""
    one = _Round(core, cores.now())
    yield f"{one.informations()} messages of monthly information"
    yield f"{one.events()} of events, {one.posts()} of balance and payments, {one.limits()} of limits"


class _Round:
    """One run of the job: who wishes what, and where everything is."""

    def __init__(self, core: Core, now: int) -> None:
        self._core, self._registry, self._now = core, core.registry, now
        self._hosts = {(one.manager, one.name): one.host for one in core.config.portal}
        buildings = {one.id: one for one in self._registry.properties()}
        self._places = {one.id: _Place(one, buildings[one.property]) for one in self._registry.units()}
        self._points = {one.id: one for one in self._registry.points()}
        self._readers: dict[str, _Reader | None] = {}
        self._wishes = defaultdict[tuple[str, str], list[tuple[_Reader, str, int]]](list)
        for wish in self._registry.notices.wishes():
            if reader := self._reader(wish.account):
                for unit in {one.unit for one in reader.visible}:
                    self._wishes[wish.event, unit].append((reader, wish.channel, wish.since))

    def informations(self) -> int:
        """Tell of the newest versions of monthly information; when a message leaves, its version is proven to be told (store/information.py)."""
        new = self._registry.information.newer(self._registry.notices.mark("information"))
        return self._source("information", new, lambda one: one.published, self._information)

    def events(self) -> int:
        """Tell of events that began and still last."""
        new = self._registry.events.newer(self._registry.notices.mark("events"), tuple(TOLD))
        return self._source("events", new, lambda one: one.id, self._event)

    def posts(self) -> int:
        """Tell what accounting posted."""
        new = self._registry.notices.posted(self._registry.notices.mark("posted"))
        return self._source("posted", new, lambda one: one.id, self._post)

    def limits(self) -> int:
        """Tell of limits that were exceeded, each period of a rule once."""
        told = 0
        for rule in self._registry.notices.rules():
            reader, place = self._reader(rule.account), self._places.get(rule.unit)
            if reader is None or place is None:
                continue
            for visible in reader.sees(rule.unit, "events:read"):
                if visible.until is None or visible.until > self._now:
                    told += self._over(rule, reader, place, visible)
        return told

    def _source(self, name: str, new: Sequence[T], mark: Callable[[T], int], messages: Callable[[T], int]) -> int:
        told = 0
        for some in (new[first : first + TOGETHER] for first in range(0, len(new), TOGETHER)):
            with self._registry.writing():
                told += sum(messages(one) for one in some)
                self._registry.notices.set_mark(name, mark(some[-1]))
        return told

    def _information(self, one: Information) -> int:
        first = date.fromisoformat(f"{one.month}-01")
        return sum(
            self._put(reader, channel, "monthly_information", one.unit, {"month": words.month(reader.locale, first)}, one.notice)
            for reader, channel, since in self._wishes["monthly_information", one.unit]
            if since <= one.published and one.since in {_begin(seen) for seen in reader.sees(one.unit, "consumption:read") if seen.quantities is None}
        )

    def _event(self, event: Event) -> int:
        point = self._point(event)
        if point is None or point.unit is None or event.state != "open":
            return 0
        template, local = TOLD[event.kind], civil.to_local(self._places[point.unit].building.zone, event.at)
        return sum(
            self._put(
                reader, channel, template, point.unit, _of_point(reader.locale, point, words.instant(reader.locale, local)), f"event/{event.id}"
            )
            for reader, channel, since in self._wishes[template, point.unit]
            if since <= event.raised and reader.lives(point.unit, "events:read", event.at, self._now, point.quantity)
        )

    def _post(self, one: Posted) -> int:
        template, number, on = POSTS[one.kind], from_micro(one.amount), date.fromisoformat(one.day)
        return sum(
            self._put(
                reader,
                channel,
                template,
                one.unit,
                {"amount": words.amount(reader.locale, number, one.currency, 2), "date": words.day(reader.locale, on)},
                f"posted/{one.id}",
            )
            for reader, channel, since in self._wishes[template, one.unit]
            if since <= one.at and reader.lives(one.unit, "balance:read", one.at, self._now)
        )

    def _over(self, rule: Rule, reader: _Reader, place: _Place, visible: Visible) -> int:
        told = 0
        for one in limits.exceeded(rule, place.building, visible, self._registry.points_of(rule.unit), self._core.published, self._now):
            with self._registry.writing():
                if self._registry.notices.told(rule.id, one.start):
                    for channel in rule.channels.split():
                        told += self._put(reader, channel, "limit_exceeded", rule.unit, one.values(reader.locale), f"limit/{rule.id}/{one.start}")
        return told

    def _put(self, reader: _Reader, channel: str, template: str, unit: str, values: Mapping[str, str], name: str) -> int:
        """Put one message; 0 where there is no portal to point to, no such unit or no proven address."""
        place = self._places.get(unit)
        host = self._hosts.get((place.building.manager, reader.account.realm)) if place else None
        if place is None or host is None or channel not in reader.addresses:
            return 0
        said = {"link": f"https://{host}", "unit": place.unit.label, **values}
        unique = f"{name}/{reader.account.id}/{channel}"
        self._registry.outbox.put(
            place.building.manager, WAYS[channel], reader.addresses[channel], template, reader.locale, said, now=self._now, unique=unique
        )
        return 1

    def _reader(self, identity: str) -> _Reader | None:
        if identity not in self._readers:
            accounts = self._registry.accounts
            account, contacts = accounts.account(identity), accounts.contacts(identity)
            addresses = {way: address for way in WAYS if (address := notice_address(contacts, way))}
            self._readers[identity] = _Reader(account, addresses, accounts.visible(identity, self._now)) if account else None
        return self._readers[identity]

    def _point(self, event: Event) -> Point | None:
        """The point that an event is about: its own, or that of its device at the time."""
        kind, _, name = event.subject.partition(":")
        if kind == "device":
            name = next((one.point for one in self._registry.assignments_with(name) if one.holds(event.at)), "")
        return self._points.get(name.partition("/")[0])


def _begin(visible: Visible) -> int:
    """When the holder of the visible time came, as the monthly information knows it."""
    return -EVER if visible.since is None else visible.since


def _of_point(locale: str, point: Point, since: str) -> dict[str, str]:
    return {"point": point.label or words.words_of(locale).classes[point.quantity], "since": since}
