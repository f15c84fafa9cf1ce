"""From the first page of who is signed in every page is reached by links, and none of them is dead (portal SCREENS 7.5)."""

import re
from collections import Counter
from urllib.parse import urljoin, urlsplit

from reader import activated, entered

from submeter.portal import app
from submeter.portal.ask import Api

#: Pages that are no link's end: reached by forms or from outside, those of flows, and those of guests.
ELSEWHERE = {"/", "/start/{flow}", "/flow/{id}", "/confirm/{link}", "/leave", "/language", "/reading", "/units/{unit}/statement", "/documents/{id}"}
#: Ends of links in mails and statements.
MAILED = {"/announcements", "/units/{unit}/consumption", "/export/{id}"}
#: Years, months and days lead on to others for ever: one of each is enough.
ENDLESS = re.compile(r"\d{4}(-\d\d)?(-\d\d)?")


def test_links_reach_every_page_and_none_is_dead(here, monkeypatch):
    """Each own address that a page names answers with a page or a file; each page for residents is among them, and none asks the API the same twice."""
    reader = activated(here, "cz-a", "jana@example.org")
    asked = questions(monkeypatch)
    kinds = crawled(reader, "/home")
    assert [question for question, times in asked.items() if times > 1] == []
    assert missed(kinds, [path for path, _, _ in app.PAGES if not path.startswith("/operator")]) - ELSEWHERE - MAILED == set()


def test_links_reach_every_page_of_operators(here):
    """The same from the operator's first page."""
    kinds = crawled(entered(here), "/operator")
    assert missed(kinds, [path for path, _, _ in app.PAGES if path.startswith("/operator")]) == {"/operator/enter/{link}"}


def questions(monkeypatch):
    """What each page asks the API, counted: (page, path, query)."""
    asked, raw = Counter(), Api.raw

    async def counted(api, method, path, query, *rest, **more):
        asked[id(api), path, query] += 1
        apis.append(api)
        return await raw(api, method, path, query, *rest, **more)

    apis = []  # kept, so that no number of one is given to another
    monkeypatch.setattr(Api, "raw", counted)
    return asked


def crawled(reader, start):
    """Every kind of address that links lead to."""
    waiting, kinds = [start], set()
    while waiting:
        path = waiting.pop()
        kind = ENDLESS.sub(lambda found: "day" if found.group(2) else "month" if found.group(1) else "year", path)
        if kind in kinds:
            continue
        kinds.add(kind)
        answer = reader.client.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            links = [urlsplit(urljoin(str(answer.url), href)) for href in re.findall(r'<a [^>]*?href="([^"#][^"]*)"', answer.text)]
            waiting += [one.path + (f"?{one.query}" if one.query else "") for one in links if one.netloc == "inmes.localhost"]
    return kinds


def missed(kinds, paths):
    """The pages that no link leads to."""
    patterns = {path: re.compile("^" + re.sub(r"{\w+}", "[^/?]+", path) + r"(\?|$)") for path in paths}
    return {path for path, pattern in patterns.items() if not any(pattern.match(kind) for kind in kinds)}
