"""What a client likes best of what there is: the weights of Accept and Accept-Language (RFC 9110, 12.4.2)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["likes", "preferred"]

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
