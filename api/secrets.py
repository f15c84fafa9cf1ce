"""What is secret in sign-in: passwords by argon2id, codes and claims as keyed hashes, words and codes made here (portal FLOWS 5 and 7).

Rules: one key of the installation (`portal.key`, 0600) keys every hash, so that a copy of the registry alone tells nothing; comparisons take constant time; a
password is taken exactly as given, in NFC, counted in code points.
"""

import hmac
import os
import re
import secrets
import sys
import threading
import unicodedata
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from submeter.config.portals import Policy

__all__ = ["Secrets", "code", "fault_of", "normalised", "password_text", "word"]

#: 32 letters and digits that nobody takes for one another; 8 of them are 40 bits.
ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#: What passwords begin with that are tried first, and what people add to it.
ROOTS: Final = [
    "password",
    "passwort",
    "heslo",
    "geslo",
    "passord",
    "parol",
    "admin",
    "welcome",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfgh",
    "zxcvbn",
    "iloveyou",
    "monkey",
    "dragon",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "letmein",
    "master",
    "shadow",
    "michael",
    "jordan",
    "superman",
    "batman",
    "trustno",
    "charlie",
    "donald",
    "freedom",
    "whatever",
    "starwars",
    "computer",
    "internet",
    "secret",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "february",
    "march",
    "april",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "friday",
    "sunday",
    "london",
    "paris",
    "berlin",
    "praha",
    "prague",
    "oslo",
    "moscow",
    "maribor",
    "ljubljana",
    "bergen",
    "hello",
    "love",
    "money",
    "flower",
    "cookie",
    "pepper",
    "ginger",
    "tigger",
    "hunter",
    "killer",
    "soccer",
    "hockey",
    "ranger",
    "harley",
    "matrix",
    "maggie",
    "buster",
    "thomas",
    "robert",
    "daniel",
    "andrew",
    "joshua",
    "jessica",
    "jennifer",
    "nicole",
    "amanda",
    "ashley",
    "samsung",
    "apple",
    "google",
    "android",
    "mobile",
    "phone",
    "house",
    "home",
    "apartment",
    "heating",
    "water",
    "meter",
    "radiator",
    "submeter",
    "energy",
    "portal",
    "resident",
    "tenant",
    "owner",
    "guest",
    "default",
    "changeme",
    "access",
    "login",
    "user",
    "test",
    "temp",
    "abcdefgh",
    "abcd1234",
    "aaaaaaaa",
    "12345678",
    "123456789",
    "1234567890",
    "87654321",
    "11111111",
    "00000000",
    "12341234",
    "11223344",
    "qwertyuiop",
    "1q2w3e4r",
    "1qaz2wsx",
    "zaq12wsx",
]
TAILS: Final = (
    "",
    *[
        "!",
        "1",
        "12",
        "123",
        "1234",
        "12345",
        "123!",
        "1!",
        "01",
        "007",
        "99",
        "2020",
        "2021",
        "2022",
        "2023",
        "2024",
        "2025",
        "2026",
        "2027",
        "#",
        "*",
    ],
)
#: How much the thread that hashes gives way where the system can tell threads apart (nice).
GIVES_WAY: Final = 10


def _give_way() -> None:
    """Let all others go first: on Linux priorities are of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVES_WAY)


#: Passwords are hashed one at a time, by a thread that holds nothing that others wait for.
_hashing: Final = ThreadPoolExecutor(1, "hashing", initializer=_give_way)
#: OWASP's least: 19 MiB, two passes, one lane (portal STACK 4).
HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Secrets:
    """Keyed hashes and passwords of an installation; `key` has 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nobody = HASHER.hash(secrets.token_urlsafe(16))

    @classmethod
    def of(cls, file: Path) -> "Secrets":
        """With the key of a file, which is made if it is not there."""
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(secrets.token_bytes(32))
        return cls(file.read_bytes())

    def keyed(self, *parts: str) -> bytes:
        """The keyed hash of some texts in order."""
        return hmac.digest(self._key, "\0".join(parts).encode(), "sha256")

    def word_of(self, *parts: str) -> str:
        """A word of 8 letters that follows from some texts and the key."""
        return "".join(ALPHABET[byte % len(ALPHABET)] for byte in self.keyed("word", *parts)[:8])

    def hash(self, password: str) -> str:
        """Hash a password; takes about 20 ms of one processor."""
        return _hashing.submit(HASHER.hash, password_text(password)).result()

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether a password is right; as long as that for an account that is not there."""
        try:
            return _hashing.submit(HASHER.verify, kept or self._nobody, password_text(password)).result() and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, kept: str) -> bool:
        """Whether a hash was made with weaker parameters than today's."""
        return HASHER.check_needs_rehash(kept)


def word(length: int) -> str:
    """A random word of letters that are easily read out; 5 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def code(digits: int = 6) -> str:
    """A random code of digits."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def normalised(text: str) -> str:
    """An identifier as it is compared: without case, spaces, hyphens and forms of digits (FLOWS 5)."""
    return re.sub(r"[\s\-\u2010-\u2015]", "", unicodedata.normalize("NFKC", text)).upper()


def password_text(password: str) -> str:
    """A password in the one form that is hashed."""
    return unicodedata.normalize("NFC", password)


def fault_of(password: str, policy: Policy, context: Collection[str]) -> str | None:
    """Why a password is refused; None if it is not. `context` are words that anybody would try first: the manager, the street, device numbers."""
    text = password_text(password)
    if len(text) < policy.password_min:
        return f"too short: {policy.password_min} characters or more"
    if len(text) > policy.password_max:
        return f"too long: {policy.password_max} characters at most"
    plain = text.casefold()
    if plain in listed() or len(set(plain)) < (few := 4):
        return "too common: it is among the first that are tried" if plain in listed() else f"too uniform: {few} different characters or more"
    left = reduce(
        lambda rest, one: rest.replace(one, ""), sorted({one.casefold() for one in context if len(one) >= few}, key=len, reverse=True), plain
    )
    return "too easily guessed: it is made of words about you, your house or its meters" if len(left) < few <= len(plain) else None


@cache
def listed() -> frozenset[str]:
    """Passwords that are tried first: common words with the tails that people add, also in capitals and with digits for letters."""
    spoken = {root + tail for root in ROOTS for tail in TAILS} | {tail + root for root in ROOTS for tail in TAILS if tail.isdigit()}
    return frozenset(spoken | {one.translate(str.maketrans("aeio", "4310")) for one in spoken})
