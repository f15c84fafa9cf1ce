"""What is forgotten of people, and when: the nightly part of data protection (portal API 10, FLOWS 10: 47; docs/portals.md lists the times).

Rules: each part is deleted by the store that has it; a run that is stopped is done by the next one.
"""

from typing import Final

from submeter import civil
from submeter.store import Registry

__all__ = ["forget"]

#: The access log is kept so long, and claims after they are used, withdrawn or over.
READS: Final = 400 * civil.DAY
CLAIMS: Final = 400 * civil.DAY
#: A browser is known by the accounts that it signed in to for so long after the last time.
BROWSERS: Final = 400 * civil.DAY
#: What an account and its manager told each other, and what was shown for a time, is kept so long after the last word of it, or its end.
SAID: Final = 400 * civil.DAY


def forget(registry: Registry, now: int, outbox_days: int) -> str:
    """Erase accounts whose week is over, and delete what is older than its limit; returns what was, in one line. `outbox_days` 0: messages stay."""
    ripe = registry.erasures.ripe(now)
    for one in ripe:
        registry.exports.forget(now, one.account)
        registry.erasures.erase(one.account, now)
    exports = registry.exports.forget(now)
    over = registry.accounts.expire(now) + registry.personal.expire(now)
    registry.new_contacts.expire(now)
    old = registry.accounts.forget(browsers=now - BROWSERS, claims=now - CLAIMS)
    reads = registry.reads.forget(now - READS)
    messages = registry.outbox.forget(before=now - outbox_days * civil.DAY) if outbox_days else 0
    said = registry.announcements.forget(now - SAID) + registry.documents.forget_made(now - SAID) + registry.messages.forget(now - SAID)
    said += registry.notices.forget(now - SAID) + registry.letters.forget(now - civil.DAY) + registry.funnel.forget(now - SAID)
    return (
        f"forgotten: {len(ripe)} accounts, {exports} exports, {over} flows, sessions and tokens, {old} browsers and claims, "
        f"{reads} lines of the access log, {messages} messages, {said} announcements, statements, tickets, posts, letters and counts"
    )
