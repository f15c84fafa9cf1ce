"""Tells managers' systems that something is new: revisions that were published, events, monthly information. One pass over the webhooks that are due.

Strategy: no queue. Each webhook has marks; what came after them is one signed request, and the marks move when it was taken (2xx): told at least once and in
order, however long the other side was away. Rules: the body names what is new, never values; HTTPS, or HTTP to this machine; no redirects; the address that was checked is the
one that is connected to; addresses of private networks and of this machine only where [webhooks] allows them.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from submeter import civil
from submeter.config.words import EVENTS
from submeter.post.delivery import delay
from submeter.post.errors import SinkError
from submeter.store import Point, Published, Registry
from submeter.store.webhooks import Marks, Webhook

__all__ = ["notify", "signature"]

#: Entries of each list in a request, and seconds that the other side may take.
MOST: Final = 1000
TIMEOUT_S: Final = 10
#: The whole request may take so many times as long as one answer.
PATIENCE: Final = 3


def notify(registry: Registry, published: Published, now: Callable[[], int], *, private: bool) -> int:
    """Tell each webhook that is due what is new for it; returns how many requests were taken. A failure waits as a message would."""
    taken = 0
    for hook in registry.webhooks.due(now()):
        if hook.marks is None:
            registry.webhooks.told(hook.id, Marks(published.version(), 2**62, registry.events.last(), now()), now=None)
            continue
        said, marks = _news(registry, published, hook, hook.marks)
        if not any(said.values()):
            if marks != hook.marks:
                registry.webhooks.told(hook.id, marks, now=None)
            continue
        try:
            _send(hook, json.dumps({"webhook": hook.id, **said}, separators=(",", ":")).encode(), now(), private=private)
        except SinkError as error:
            registry.webhooks.failed(hook.id, str(error), retry_at=now() + delay(hook.tries + 1))
            continue
        registry.webhooks.told(hook.id, marks, now=now())
        taken += 1
    return taken


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header X-Submeter-Signature says."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _news(registry: Registry, published: Published, hook: Webhook, marks: Marks) -> tuple[dict[str, list[Any]], Marks]:
    """What came after the marks and is of a unit of the webhook's manager, and the marks after it."""
    changed = published.changed(marks.version, marks.series, MOST)
    events = list(islice(registry.events.newer(marks.event, EVENTS), MOST))
    information = registry.information.newer(marks.information)[:MOST]
    points = _points(registry, hook.manager) if changed or events or information else {}
    units = {point.unit for point in points.values()}
    about = [(event, point) for event in events if (point := _point(registry, points, event.subject, event.at))]
    said: dict[str, list[Any]] = {
        "revisions": [
            {"unit": points[one.point].unit, "meter": one.point, "quantity": one.register.name, "version": one.version}
            for one in changed
            if one.point in points
        ],
        "events": [{"unit": point.unit, "meter": point.id, "kind": event.kind, "at": civil.iso(event.at)} for event, point in about],
        "information": [{"unit": one.unit, "month": one.month, "version": one.version} for one in information if one.unit in units],
    }
    last = (changed[-1].version, changed[-1].id) if changed else (marks.version, marks.series)
    return said, Marks(*last, events[-1].id if events else marks.event, information[-1].published if information else marks.information)


def _points(registry: Registry, manager: str) -> dict[str, Point]:
    """Points of the manager's units."""
    own = [building.id for building in registry.properties() if building.manager == manager]
    return {point.id: point for building in own for point in registry.points_in(building) if point.unit is not None}


def _point(registry: Registry, points: dict[str, Point], subject: str, at: int) -> Point | None:
    kind, _, name = subject.partition(":")
    if kind == "device":
        name = next((one.point for one in registry.assignments_with(name) if one.holds(at)), "")
    return points.get(name.partition("/")[0])


def _send(hook: Webhook, body: bytes, now: int, *, private: bool) -> None:
    """Post a body; SinkError if it was not taken. The error names neither the answer nor the address that was found."""
    url, stamp = urlsplit(hook.url), str(now // civil.SECOND)
    headers = {"Content-Type": "application/json", "X-Submeter-Timestamp": stamp, "X-Submeter-Signature": signature(hook.secret, stamp, body)}
    try:
        connection = _connection(url.scheme, url.hostname or "", url.port, private=private)
        limit = threading.Timer(PATIENCE * TIMEOUT_S, _hang_up, [connection.sock])
        limit.daemon = True
        limit.start()
        try:
            connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, headers)
            status = connection.getresponse().status
        finally:
            limit.cancel()
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SinkError(f"no answer of the webhook: {type(error).__name__}") from None
    if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
        raise SinkError(f"the webhook answered {status}")


def _hang_up(made: socket.socket) -> None:
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)


def _connection(scheme: str, host: str, port: int | None, *, private: bool) -> http.client.HTTPConnection:
    """A connection to an address of the host that may be reached; SinkError if one of its addresses may not."""
    wanted = port or (443 if scheme == "https" else 80)
    addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)]
    for address in addresses:
        known = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(known, "ipv4_mapped", None) or known
        if (not mapped.is_global or mapped.is_multicast) and not private:
            raise SinkError("the webhook is in a private network: [webhooks] private = true allows that")
        if scheme != "https" and not mapped.is_loopback:
            raise SinkError("a webhook in clear may be on this machine only: write https")
    connection = http.client.HTTPConnection(host, wanted, timeout=TIMEOUT_S)
    made = socket.create_connection((addresses[0], wanted), TIMEOUT_S)
    connection.sock = ssl.create_default_context().wrap_socket(made, server_hostname=host) if scheme == "https" else made
    return connection
