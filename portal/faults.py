"""What the API says of a field, in the language of the page: its English sentence, with {n} for each number, is the key of the catalogues."""

import re
from typing import Final

from submeter.portal.words import Words

__all__ = ["SENTENCES", "said"]

#: Sentences of sign-in that have a text in each language; of another one it is said that it was not accepted.
SENTENCES: Final = frozenset(
    {
        "a text of {n} to {n} characters is needed",
        "{n} to {n} letters a-z, digits, _ or -",
        "write a mail address",
        "write a phone number with its country, e.g. +{n}",
        "fields are missing",
        "true, if these are your rooms; else write to the operator and leave",
        "true, to go on",
        "the two are not the same",
        "too short: {n} characters or more",
        "too long: {n} characters at most",
        "too common: it is among the first that are tried",
        "too uniform: {n} different characters or more",
        "too easily guessed: it is made of words about you, your house or its meters",
    }
)


def said(words: Words, detail: str) -> str:
    """A sentence of the API in the language of a page."""
    key, numbers = re.sub(r"\d+", "{n}", detail), re.findall(r"\d+", detail)
    return words.text(key, n=next(iter(numbers), "")) if key in SENTENCES else words.text("That was not accepted")
