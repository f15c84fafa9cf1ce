"""Random names and words: ids of rows, secrets of personal tokens."""

import secrets
from typing import Final

__all__ = ["lower_word", "new_id"]

#: Digits and small letters without those that are taken for others: 5 bits each.
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Return a random id such as u_7k2m9q4t1c8x5b3z: 80 random bits, no counter in any path."""
    return prefix + lower_word(16)


def lower_word(length: int) -> str:
    """A random word of so many signs."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
