"""What every page must be, whatever it shows (portal SCREENS 5), as a real browser finds it."""

import gzip
import json
import os
import re
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT

#: axe's rules for WCAG 2.2 A and AA.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
#: Colours and widths at which axe looks: each of both, or with SUBMETER_LOOKS=all each with each.
EVERY = [(scheme, width) for width in (390, 1100) for scheme in ("light", "dark")]
LOOKS = EVERY if os.environ.get("SUBMETER_LOOKS") == "all" else [EVERY[0], EVERY[3]]
#: Widths at which nothing may go beyond the window.
WIDTHS = (320, 390, 768, 1100, 1920)
HEIGHT = 844
NARROW, HEADER = 390, 64
TARGET = 24
PAGE, STATIC, REQUESTS = 12 * 1024, 2 * 1024, 3

MEASURE = """() => {
  const shown = (one) => one.checkVisibility({visibilityProperty: true}) && !one.closest(".skip,.spoken");
  const size = (one) => { const box = one.getBoundingClientRect(); return [Math.round(box.width * 10) / 10, Math.round(box.height * 10) / 10] };
  const targets = [...document.querySelectorAll("a[href],button,input:not([type=hidden]),select,textarea,summary")].filter(shown);
  return {
    beyond: document.documentElement.scrollWidth - innerWidth,
    header: document.querySelector("header").getBoundingClientRect().height,
    small: targets.filter((one) => !one.closest("svg") && Math.min(...size(one)) < TARGET).map((one) => `${size(one)} ${one.outerHTML.slice(0, 90)}`),
    title: document.title, lang: document.documentElement.lang, headings: document.querySelectorAll("h1").length,
  };
}""".replace("TARGET", str(TARGET))


#: One look, for a page that was seen in all of them in another language.
SOME = LOOKS[:1]


def faults(page, looks=LOOKS):
    """What is wrong with the page that is open, a line each: at each width, and for axe in each look."""
    return "\n".join([*_measured(page), *_judged(page, looks)])


def _measured(page):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found = page.evaluate(MEASURE)
        if found["beyond"] > 0:
            yield f"{width}: {found['beyond']} px beyond the window"
        if width == NARROW and found["header"] > HEADER:
            yield f"{width}: the header is {found['header']} px high"
        yield from (f"{width}: small: {one}" for one in found["small"])
    if not found["title"].strip(" –") or not found["lang"] or found["headings"] != 1:  # noqa: RUF001 - the dash of the titles
        yield f"title {found['title']!r}, lang {found['lang']!r}, {found['headings']} h1"


def _judged(page, looks):
    if looks:
        page.evaluate(AXE_SCRIPT)
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for one in page.evaluate(f"axe.run({json.dumps(RULES)})")["violations"]:
            yield f"{scheme} {width}: {one['id']}: " + "; ".join(f"{node['html'][:120]} {node['failureSummary'][:200]}" for node in one["nodes"][:3])


def excess(page, url):
    """Go to an address; what is wrong with its weight and its requests, a line each."""
    answers = []

    def heard(answer):
        answers.append(answer)

    page.on("response", heard)
    answer = page.goto(url)
    page.remove_listener("response", heard)
    host = urlsplit(url).netloc
    loaded = [one for one in answers if not 300 <= one.status < 400]
    if answer.status != 200:
        yield f"status {answer.status}"
    if len(loaded) > REQUESTS or {urlsplit(one.url).netloc for one in loaded} != {host}:
        yield f"it loads {[one.url for one in loaded]}"
    for one in loaded:
        weight, most = len(gzip.compress(one.body())), STATIC if re.search(r"\.(css|js)$", one.url) else PAGE
        if weight > most:
            yield f"{one.url}: {weight} bytes compressed, more than {most}"
