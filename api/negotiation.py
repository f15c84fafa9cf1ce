"""What a client says of what it likes best (the weights of Accept and Accept-Language), of what it has (If-None-Match; RFC 9110, 12.4.2 and 13.1.2), and where it goes on."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Final

from submeter.api.problems import Invalid

__all__ = ["cursor", "likes", "place_of_cursor", "preferred", "tags"]

WEIGHT: Final = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


def likes(header: str) -> Iterator[tuple[str, float]]:
    """Names in a header with their weights, in order; a weight that cannot be read is 0, so that nothing is sent for it."""
    for part in header.split(","):
        name, *parameters = part.split(";")
        weights = [WEIGHT.fullmatch(one) for one in parameters if one.strip().lower().startswith("q")]
        if name.strip():
            yield name.strip().lower(), min((float(found[1]) if found else 0.0 for found in weights), default=1.0)


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The media type that is liked best; the first of the offers where several are liked as much, or none is."""
    weights = dict(likes(accept))

    def liked(offer: str) -> float:
        names = offer, f"{offer.split('/', maxsplit=1)[0]}/*", "*/*"
        return next((weights[name] for name in names if name in weights), 0.0)

    return max(offers, key=liked)


def tags(header: str) -> set[str]:
    """The entity tags of an If-None-Match, weak ones too: a proxy may have made them so."""
    return {part.strip().removeprefix("W/") for part in header.split(",")}


def cursor(place: str) -> str:
    """A place in a list as clients see it: nothing to be looked into."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def place_of_cursor(text: str, form: re.Pattern[str], route: str) -> tuple[int, ...]:
    """The numbers of a place, the groups of its form; raises Invalid for what is no cursor of this route."""
    try:
        found = form.fullmatch(base64.urlsafe_b64decode(text.encode()).decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise Invalid(f"write `next` of an answer of {route}, or leave it out to begin anew", "after")
    return tuple(map(int, found.groups()))
