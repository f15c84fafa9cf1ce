"""The pictures of the README, made by a real browser: `./run test tests/browser/test_pictures.py --pictures` writes them to docs/pictures."""

import base64
import time
from pathlib import Path

import pytest
from flat import homely
from reader import activated
from served import Site

FOLDER = Path(__file__).resolve().parents[2] / "docs/pictures"
#: Name, colours, size of the window, address.
PICTURES = (
    ("dashboard", "light", (1000, 800), "/home"),
    ("months", "light", (1000, 1240), "/units/cz-a"),
    ("phone-dark", "dark", (390, 844), "/home"),
)
MOST = 150 * 1024


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A flat as people live in one, and who lives there."""
    made = Site(tmp_path_factory.mktemp("pictures"))
    made.here.now = time.time()
    homely(made.here)
    yield made, activated(made.here, "cz-a", "jana@example.org").client
    made.close()


def test_pictures_of_the_readme(home, browser, tmp_path, pytestconfig):
    """Each is drawn, and together they are small; those in docs/pictures are all that there are."""
    site, client = home
    folder = FOLDER if pytestconfig.getoption("--pictures") else tmp_path
    folder.mkdir(exist_ok=True)
    for name, scheme, (width, height), path in PICTURES:
        context = browser.new_context(locale="en", color_scheme=scheme, viewport={"width": width, "height": height})
        context.add_cookies(site.cookies(client, "inmes"))
        page = context.new_page()
        page.goto(site.address("inmes", path))
        taken = context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 80})
        (folder / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
        context.close()
    assert sum(one.stat().st_size for one in folder.glob("*.webp")) <= MOST
    assert {one.stem for one in FOLDER.iterdir()} == {name for name, *_ in PICTURES}
