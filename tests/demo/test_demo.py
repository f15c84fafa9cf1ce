"""The demo: its stores are right, its stories are told, each portal is walked from what is printed to a chart, and it shows its outbox to this machine alone."""

import re
import sys
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from portals import PASSWORD
from rich.console import Console

from submeter import civil
from submeter.api import create_app
from submeter.commands import execute
from submeter.config import load
from submeter.core import Core, now
from submeter.demo import build, url_of
from submeter.demo.building import catch_up
from submeter.demo.check import figures_differ, readings_differ, stories_differ
from submeter.demo.command import demo as command
from submeter.demo.folder import made, resumed
from submeter.demo.live import Gateways, running
from submeter.demo.loopback import require_loopback
from submeter.demo.outbox import PATH, page, sent
from submeter.errors import SubmeterError
from submeter.portal import create_portal
from submeter.post import deliver, outlets
from submeter.service import sign_in
from submeter.simulate.truth import anchors, counters, index_at
from submeter.simulate.world import COMPANIES
from submeter.store import Published, Registry

sys.path.append(str(Path(__file__).parent.parent / "portal"))
from reader import Reader

pytestmark = pytest.mark.slow
YEARS = 0.3


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A demo with four months of history, filled once."""
    return build(tmp_path_factory.mktemp("demo") / "here", years=YEARS)


class Here:
    """The portals of a demo in this process; what they send goes where the running demo puts it."""

    def __init__(self, demo):
        self.demo = demo
        self.registry = Registry(demo.config.data.folder / "registry.sqlite")
        self.published = Published(demo.config.data.folder / "published.sqlite")
        self.app = create_app(self.registry, self.published, "1", portals=sign_in(demo.config))
        self.app.mount(PATH, page(demo))
        self.app.mount("/", create_portal(self.app))

    def reader(self, portal):
        host = next(one.host for one in COMPANIES if one.portal == portal)
        return Reader(TestClient(self.app, base_url=f"https://{host}", headers={"Origin": f"https://{host}"}))

    def letter(self, kind):
        return next(one for one in self.demo.letters if one.kind == kind)

    def newest(self):
        """What was sent last, None if nothing ever was."""
        deliver(self.registry, outlets(self.demo.config), now)
        return next(iter(sent(self.demo)), None)

    def code(self):
        return re.search(r"\b[0-9]{6}\b|: ([A-Z2-9]{8})\b", self.newest().text).group().removeprefix(": ")

    def follow(self, reader):
        link = re.search(r"http://[^/]+(/confirm/\S+)", self.newest().text).group(1)
        reader.open(link)
        reader._seen(reader.client.post(link, content=b""))


@pytest.fixture
def here(world):
    """Its portals."""
    made = Here(world)
    yield made
    made.app.state.reads.close()
    made.registry.close()
    made.published.close()


def inmes(here, reader, fields):
    """Six pages: credentials, unit and consent, mail, phone, password."""
    reader.open("/start/activate")
    reader.fill(**fields)
    reader.fill(agree="on", accept="on")
    reader.fill(email="jana@example.org")
    reader.fill(code=here.code())
    reader.fill(phone="601123456")
    reader.fill(code=here.code())
    reader.fill(new_password=PASSWORD, new_password_again=PASSWORD)


def iiportal(here, reader, fields):
    """One form, and the link of a mail."""
    reader.open("/start/activate")
    own = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org", "new_password": PASSWORD, "new_password_again": PASSWORD}
    reader.fill(**own, **fields)
    here.follow(reader)


def impreso(here, reader, fields):
    """The guest's form, and a code by SMS."""
    reader.open("/")
    reader.fill(**fields, phone="41234567", accept="on")
    reader.fill(code=here.code())


def infoyugra(here, reader, fields):
    """Mail and password first, then the account, and the link of a mail."""
    reader.open("/start/activate")
    reader.fill(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    reader.fill(relation="owner")
    reader.fill(**fields)
    here.follow(reader)


def inkomus(here, reader, fields):
    """An account without a flat, a login, and then the flat."""
    reader.open("/start/activate")
    reader.fill(name="ivan", phone="89123456789", new_password=PASSWORD, new_password_again=PASSWORD, accept="on")
    reader.fill(code=here.code())
    reader.open("/")
    reader.fill(name="ivan", password=PASSWORD)
    reader.fill(code=here.code())
    reader.open("/start/add")
    reader.fill(**fields)


WALKS = {
    "one_time_credentials": inmes, "bill": iiportal, "metering_point": impreso, "registration_code": infoyugra, "office_password": inkomus,
}  # fmt: skip


@pytest.mark.parametrize("kind", WALKS)
def test_each_portal_is_walked_from_its_letter_to_a_chart(here, kind):
    """I2 S1 N2 Y4 K7: what is printed of the first unit opens its portal: messages come to the outbox, and a chart shows bars of the unit."""
    letter = here.letter(kind)
    reader = here.reader(letter.portal)
    WALKS[kind](here, reader, letter.fields)
    reader.open("/home")
    assert letter.label in reader.page.text
    reader.open(f"/units/{letter.unit}")
    assert reader.status == 200
    assert "<figure" in reader.body
    bars = [label for href, label in reader.page.links if f"/units/{letter.unit}/history/" in href]
    assert any(re.search(r"[1-9]", label.partition(":")[2]) for label in bars)
    if kind == "bill":
        _only_the_own_time(here, reader)


def _only_the_own_time(here, reader):
    """Who moved in on the 11th sees nothing of before, and of that month the own part, from the hand-over on."""
    demo, story = here.demo, here.demo.world.story("move")
    place = next(place for place in demo.world.places if place.id == story.point)
    known = anchors(place, counters(place)[0], demo.heard(place))
    query = {"from": civil.iso(story.since - 60 * civil.DAY), "to": civil.iso(demo.until), "resolution": "P1M", "by": "meter"}
    told = reader.client.get(f"/v1/units/{story.unit}/consumption", params=query).json()["series"]
    points = [point for one in told if one["meter"] == story.point for point in one["points"]]
    first = next(point for point in points if point["value"] is not None)
    start, end = civil.instant(first["start"]), civil.instant(first["end"])
    assert (start, "cut" in first["flags"]) == (story.since, True)
    assert round(first["value"] * 1e6) == index_at(known, end) - index_at(known, start)


def test_a_reading_is_sent_in_without_an_account(here):
    """K8: the meter's and the account's number open the form of that meter."""
    letter = here.letter("meter_number")
    reader = here.reader(letter.portal)
    reader.open("/start/self_reading")
    reader.fill(**letter.fields)
    assert reader.url.endswith("/reading")


@pytest.mark.parametrize("company", COMPANIES, ids=lambda one: one.id)
def test_managers_have_pushed_their_papers(here, company):
    """A unit has last year's settlement as PDF, half a year of charges with all but the newest month paid, and an announcement."""
    client = TestClient(here.app, headers={"Authorization": f"Bearer {here.demo.tokens[company.id]}"})
    unit = next(one.unit for one in here.demo.letters if one.manager == company.id)
    (document,) = client.get(f"/v1/units/{unit}/documents").json()["documents"]
    assert client.get(f"/v1/documents/{document['id']}").content[:5] == b"%PDF-"
    lines = client.get(f"/v1/units/{unit}/balance").json()["lines"]
    charged, paid = ({one["period"] for one in lines if one["kind"] == kind} for kind in ("charge", "payment"))
    assert (len(charged), charged - paid) == (6, {max(charged)})
    assert len(client.get("/v1/announcements").json()["announcements"]) == 1


def test_what_the_api_says_is_what_the_simulator_knows(world):
    """What was missed while nothing ran comes in bulk; then the running service answers months, days and hours as they are true, tells each story, and goes on while gateways send; then the readings are looked at."""
    said, until = [], world.until
    with Core(world.config) as core:
        catch_up(world, partial(execute, core), said.append, at=until + 45 * civil.HOUR)
    assert (world.until - until, len(said)) == (21 * civil.HOUR, 1)
    with running(world, said.append) as core:
        before = world.until
        Gateways(world, core, speed=600, say=said.append).run(3)
        assert world.until - before > 15 * civil.MINUTE
        list(core.submit("job", {"name": "nightly"}))
        assert list(figures_differ(world)) == []
        assert list(stories_differ(world)) == []
        outbox = urllib.request.urlopen(f"{url_of(world, '127.0.0.1')}/demo/outbox").read().decode()
        assert "<h1>Outbox</h1>" in outbox
        _a_wrong_world_is_told(world)
    assert list(readings_differ(world)) == []


def _a_wrong_world_is_told(world):
    """Had the simulator sent something else, figures and stories would say so."""
    story = world.world.story("exchange")
    building = world.world.buildings[story.manager]
    places = tuple(replace(place, exchanged=story.since - civil.DAY) if place.id == story.point else place for place in building.places)
    other = replace(world.world, buildings={**world.world.buildings, story.manager: replace(building, places=places)})
    assert any(line.startswith(story.point) for line in figures_differ(replace(world, world=other)))
    assert [line.partition(":")[0] for line in stories_differ(replace(world, late=False))] == ["late"]


def test_the_outbox_shows_what_was_sent_newest_first(here):
    """Codes stand on the page with the address and a link to the demo's own port; markup that somebody typed stays text."""
    here.newest()
    reader = here.reader("iiportal")
    reader.open("/start/activate")
    own = {"first_name": "<b>", "last_name": "x", "email": "second@example.org", "new_password": PASSWORD, "new_password_again": PASSWORD}
    letter = next(one for one in here.demo.letters if one.kind == "bill" and one.unit != here.letter("bill").unit)
    reader.fill(**own, **letter.fields)
    here.newest()
    near = TestClient(here.app, base_url="http://localhost", client=("127.0.0.1", 5))
    shown = near.get("/demo/outbox")
    assert shown.status_code == 200
    assert "default-src 'self'" in shown.headers["content-security-policy"]
    messages = re.findall(r"<h2>(.*?)</h2>", shown.text)
    assert messages[0].startswith("email to second@example.org")
    assert len(messages) == len(sent(here.demo))
    assert f'href="{url_of(here.demo, "sz-maribor.localhost")}/confirm/' in shown.text
    assert '<p lang="sl">' in shown.text
    assert "<script" not in shown.text


def test_letters_are_there_to_be_printed(here):
    """A letter is a file of the outbox; what is no letter of it is not there."""
    folder = here.demo.config.mail.folder
    folder.mkdir(exist_ok=True)
    (folder / "letter-000900-0badcafe.pdf").write_bytes(b"%PDF-1.7")
    near = TestClient(here.app, base_url="http://localhost", client=("127.0.0.1", 5))
    assert "/demo/letters/letter-000900-0badcafe.pdf" in near.get("/demo/outbox").text
    assert near.get("/demo/letters/letter-000900-0badcafe.pdf").content == b"%PDF-1.7"
    for name in ("letter-000901-0badcafe.pdf", "..%2fdemo.json", "%2e%2e/demo.json"):
        assert near.get(f"/demo/letters/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/demo/outbox", "/demo/letters/letter-000001-00000000.pdf"])
def test_nobody_but_this_machine_sees_the_outbox(here, path):
    """Asked from another address, or by a name that was made to point here, there is nothing."""
    assert TestClient(here.app, base_url="http://localhost", client=("192.0.2.1", 5)).get(path).status_code == 404
    assert TestClient(here.app, base_url="http://rebound.example", client=("127.0.0.1", 5)).get(path).status_code == 404


def test_a_demo_refuses_to_start_outside_loopback(world):
    """A configuration that listens elsewhere is no demo's."""
    for section in ("api", "metrics"):
        text = (
            (world.folder / "pipeline.toml")
            .read_text()
            .replace(f"[{section}]\n", f'[{section}]\nhost = "0.0.0.0"\n')
            .replace('host = "127.0.0.1"\n', "")
        )
        other = world.folder / "elsewhere.toml"
        other.write_text(text)
        with pytest.raises(SubmeterError, match=rf"\[{section}\] host is 0.0.0.0"):
            require_loopback(load(other))


def test_a_folder_goes_on_with_its_own_demo(world):
    """The same seed and years go on with letters and accounts; another seed is told; what holds something else is left alone."""
    again = resumed(world.folder, seed=1, years=YEARS, port=0)
    assert (again.letters, again.tokens, again.world.end) == (world.letters, world.tokens, world.world.end)
    with pytest.raises(SubmeterError, match=r"holds the demo of seed 1 and 0.3 years"):
        resumed(world.folder, seed=2, years=YEARS, port=0)
    with pytest.raises(SubmeterError, match="holds something else than a demo"):
        made(world.folder / "data", seed=1, years=YEARS, port=0)
    assert (world.folder / "demo.json").stat().st_mode & 0o077 == 0


def test_the_command_goes_on_prints_and_agrees(world, capsys):
    """Run for a second where a demo was: it prints portals, letters, token and outbox, and exits as right."""
    console = Console(width=200)
    assert command(world.folder, seconds=1, port=0, speed=60, years=YEARS, seed=1, fresh=False, console=console)
    told = capsys.readouterr().out
    for one in COMPANIES:
        assert f"http://{one.host}:" in told
    letter = world.letters[0]
    assert f"login {letter.fields['login']}   password {letter.fields['password']}" in told
    assert "/demo/outbox" in told
    assert re.search(r"http://inmes\.localhost:\d+/operator/enter/\S{40}", told)
    assert "agree with what was sent" in told
