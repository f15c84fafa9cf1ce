"""What keeps guessing and pumping slow: how long the next try waits, and how many messages go to an address (portal FLOWS 5)."""

from typing import Final

from submeter.civil import HOUR, SECOND
from submeter.store.accounts import Accounts
from submeter.store.outbox import Channel

__all__ = ["channel_of", "count_today", "delay", "let_out"]

#: SMS a day to numbers of one prefix that nobody proved yet: pumping needs many of them, residents who are known never wait for others.
PREFIX_A_DAY: Final = 20


def delay(fails: int) -> int:
    """How long the next try waits, µs: nothing for four failures, then half a minute, doubled with each, a day at most."""
    return 0 if fails < (free := 5) else min(30 * 2 ** (fails - free), 86_400) * SECOND


def channel_of(contact: str) -> Channel:
    """What writes to a contact: a phone gets SMS."""
    return "sms" if contact == "phone" else "email"


def count_today(accounts: Accounts, key: str, now: int) -> None:
    """Count one of the tries or messages that a day has under a key (`Accounts.held_up` with `daily`)."""
    accounts.count(key, now, lambda _: 0, daily=True)


def let_out(accounts: Accounts, realm: str, manager: str, channel: str, address: str, an_hour: int, now: int, *, proven: bool = False) -> bool:
    """Count a message to an address; False if `an_hour` went there this hour, or too many to unproven numbers of its prefix today: it is not to be sent, nor told."""
    place, prefix = f"send:{realm}:{address}:{now // HOUR}", f"sms:{manager}:{address[:6]}"
    limits = {place: an_hour} | ({prefix: PREFIX_A_DAY} if channel == "phone" and not proven else {})
    if any(accounts.held_up(key, now, daily=most) for key, most in limits.items()):
        return False
    for key in limits:
        count_today(accounts, key, now)
    return True
