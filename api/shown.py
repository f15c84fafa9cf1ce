"""The last step of a consumption answer: labels and figures as asked for, then JSON or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import Response

from submeter.api.files import CSV, JSON, file_of, name_of
from submeter.api.labels import Statistic, labelled
from submeter.config.languages import Locale

__all__ = ["Look", "response"]


@dataclass(frozen=True, slots=True)
class Look:
    """How an answer is to look: its resolution, media type, language, the figure of each series, and whether allocators are rated."""

    resolution: str
    kind: str
    locale: Locale
    statistic: Statistic | None
    rated: bool


def response(body: Mapping[str, Any], compared: Mapping[str, Mapping[str, Any]], look: Look, query: str, headers: Mapping[str, str]) -> Response:
    """The answer `body` with what it is compared with; raises Invalid for a figure that a series does not have, or more than a sheet holds."""
    series = _labelled(body, look)
    compare = {name: {**said, "series": _labelled(said, look)} for name, said in compared.items()}
    whole = {"resolution": look.resolution, **body, "series": series, "compare": compare}
    told = {**headers, "Content-Language": look.locale}
    if look.kind == JSON:
        return Response(msgspec.json.encode(whole), media_type=JSON, headers=told)
    content = file_of(look.kind, whole)
    name = name_of(look.kind, look.resolution, body["from"], body["to"])
    told["Content-Disposition"] = f'attachment; filename="{name}"'
    if body["next"]:
        told["Link"] = f'<?{_next(query, body["next"])}>; rel="next"'
    return Response(content, media_type=f"{CSV}; charset=utf-8" if look.kind == CSV else look.kind, headers=told)


def _labelled(body: Mapping[str, Any], look: Look) -> list[dict[str, Any]]:
    return [labelled(series, look.locale, look.statistic, rated=look.rated) for series in body["series"]]


def _next(query: str, left: Mapping[str, str]) -> str:
    """The query for what a file had no room for: the same, from where it ends."""
    return urlencode([(name, left.get(name, value)) for name, value in parse_qsl(query)])
