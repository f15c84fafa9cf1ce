"""Readings that residents send in: who may, what is refused, and that they feed the tables where no live reading covers the time (FEATURES b, K8, Y1, Y2)."""

import pytest
from fastapi.testclient import TestClient
from installation import Installation
from portals import PASSWORD, Here, inmes

from submeter import civil
from submeter.api import SignIn, create_app
from submeter.api.flows import Tenant
from submeter.api.secrets import Secrets
from submeter.config.portals import load_portal
from submeter.reading import LEVELS, MICRO, Register
from submeter.store import Message, PublishedSeries
from submeter.store.inbox import REPLAY

DEVICE = "INK-12345678-01-07"


@pytest.fixture
def here(tmp_path):
    """Five portals; flats of two managers have a water meter each."""
    made = Here(tmp_path)
    for number, unit in enumerate(("ru-a", "ru-b", "cz-a")):
        device = DEVICE.replace("12345678", f"1234567{number}")
        with made.registry.writing() as db:
            db.execute(
                "INSERT INTO points VALUES (?, ?, ?, 'cold_water', '', 'volume', '{\"modulus\": \"1000\"}')", (f"p-{unit}", f"{unit[:2]}1", unit)
            )
            db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 0)", (device,))
            db.execute("INSERT INTO assignments VALUES (?, ?, 1, NULL, NULL, NULL)", (f"p-{unit}", device))
    yield made
    made.close()


def stands(here, point, value, at):
    """The meter is published with a last index."""
    here.published.replace([PublishedSeries(1, point, Register("volume", "m3"), "total", "UTC", int(at * 1e6), value * MICRO, int(at * 1e6))], [])


def submitter(here, unit="ru-a", meter="12345670"):
    """A browser that typed the two printed numbers."""
    printed = here.claim("meter_number", unit, account_no="77", meter_no=meter)
    one = here.browser("inkomus")
    one.start("self_reading")
    assert one.go(**printed)["done"]
    return one


def send(one, point, value, **rest):
    """Post an index."""
    return one.client.post(f"/v1/meters/{point}/readings", json={"value": value, **rest})


@pytest.mark.feature("K8")
def test_without_an_account_one_meter_one_reading_and_nothing_back(here):
    """Account number and meter number open the form of that meter for ten minutes: nothing can be read, another meter is not there, one reading ends it."""
    one = submitter(here)
    session = here.registry.accounts.session(one.client.cookies["__Host-session"], int(here.now * 1e6))
    assert (session.role, session.account, session.expires - session.created) == ("submitter", None, 600_000_000)
    for path in ("/v1/units", "/v1/units/ru-a/meters", "/v1/meters/p-ru-a", "/v1/meters/p-ru-a/readings?from=2025-01-01&to=2025-02-01"):
        assert one.client.get(path).status_code == 403
    foreign, nowhere = send(one, "p-ru-b", 5), send(one, "p-nowhere", 5)
    assert (foreign.status_code, foreign.content) == (404, nowhere.content)
    sent = send(one, "p-ru-a", "12.5")
    assert (sent.status_code, set(sent.json()), len(sent.json()["confirmation"])) == (201, {"confirmation"}, 10)
    assert send(one, "p-ru-a", 13).status_code == 401


def test_the_session_of_a_submitter_ends_after_ten_minutes(here):
    """The form closes by itself."""
    one = submitter(here)
    here.now += 601
    assert send(one, "p-ru-a", 5).status_code == 401


def test_a_wrong_pair_of_numbers_opens_nothing(here):
    """Three tries a day and account; a claim names a meter that is in the flat."""
    here.claim("meter_number", "ru-a", account_no="77", meter_no="12345670")
    one = here.browser("inkomus")
    one.start("self_reading")
    assert one.go(account_no="77", meter_no="99999999", _status=422)["type"] == "not-accepted"
    wrong = {"claims": [{"unit": "ru-a", "kind": "meter_number", "fields": {"account_no": "77", "meter_no": "12345671"}}]}
    answer = here.service("ru", "claims:write").post("/v1/claims", json=wrong)
    assert answer.status_code == 422


def test_who_sends_in_without_an_account_cannot_ask_for_the_index(here):
    """Every refusal is the same answer, and after five of them even a right reading is refused."""
    stands(here, "p-ru-a", 500, here.now - 3600)
    one = submitter(here)
    told = {send(one, "p-ru-a", value).content for value in (1, 400, 499, 999)}
    assert len(told) == 1
    assert b"not-accepted" in told.pop()
    send(one, "p-ru-a", 2000)
    assert send(one, "p-ru-a", 501).status_code == 422


@pytest.mark.parametrize(
    ("value", "hours", "status"),
    [(499, 10, 409), (500, 10, 201), (501.5, 10, 201), (900, 10, 409), (1000, 10, 422), (-1, 10, 422), ("1.1234567", 10, 422), ("x", 10, 422)],
)
def test_an_index_that_cannot_be_is_refused(here, value, hours, status):
    """Below the last one, too fast, more digits than the meter has, more than six decimals, no number."""
    one, _ = inmes(here)
    stands(here, "p-cz-a", 500, here.now - hours * 3600)
    assert send(one, "p-cz-a", value).status_code == status


def test_a_meter_that_rolls_over_may_stand_below(here):
    """999 m³ and then 1: the counter has three digits."""
    one, _ = inmes(here)
    stands(here, "p-cz-a", 999, here.now - 3600)
    assert send(one, "p-cz-a", 1).status_code == 201


def test_times_that_cannot_be_are_refused(here):
    """Ahead, long ago, unreadable, or before the occupancy."""
    one, _ = inmes(here)
    for time in ("2030-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "yesterday"):
        assert send(one, "p-cz-a", 1, time=time).status_code == 422
    with here.registry.writing() as db:
        db.execute("UPDATE assignments SET since = ? WHERE point = 'p-cz-a'", (int((here.now - 3600) * 1e6),))
    assert send(one, "p-cz-a", 1, time=civil.iso(int((here.now - 7200) * 1e6))).status_code == 422
    assert send(one, "p-cz-a", 1, time=civil.iso(int((here.now - 1800) * 1e6))).status_code == 201


def test_the_form_is_open_on_the_days_of_the_tenant(here):
    """From the 20th to the 25th, or over the end of the month."""
    one, _ = inmes(here)
    day = civil.to_local("UTC", int(here.now * 1e6)).day
    for days, status in (((day + 1, day + 2), 422), ((day, day), 201), ((day + 1, day), 201), ((day + 2, day - 1), 422)):
        here.app.state.readings_open["cz"] = days
        assert send(one, "p-cz-a", 1).status_code == status


def test_the_history_has_what_was_sent_in_with_its_number(here):
    """The resident reads the own readings back, with confirmation number and state; a neighbour and a portal of another manager do not."""
    one, _ = inmes(here)
    number = send(one, "p-cz-a", 7.25, photo_sha256="a" * 64).json()["confirmation"]
    answer = one.client.get("/v1/meters/p-cz-a/readings", params={"from": "2025-06-01", "to": "2025-07-01"})
    told = {"at": "2025-06-15T15:06:40+00:00", "value": 7.25, "source": "self", "confirmation": number, "state": "received"}
    assert answer.json() == {"meter": "p-cz-a", "register": "volume", "uom": None, "readings": [told], "next": None}
    assert one.client.get("/v1/meters/p-cz-a").json()["id"] == "p-cz-a"
    other, _ = inmes(here, "cz-b", "other@example.org", None)
    for path in ("/v1/meters/{}", "/v1/meters/{}/readings?from=2025-06-01&to=2025-07-01"):
        foreign, nowhere = other.client.get(path.format("p-cz-a")), other.client.get(path.format("p-nowhere"))
        assert (foreign.status_code, foreign.content) == (404, nowhere.content)


def test_the_next_holder_does_not_read_what_the_former_sent_in(here):
    """Readings of another one's time are not answered, and none can be sent in for it."""
    one, _ = inmes(here)
    assert send(one, "p-cz-a", 7).status_code == 201
    here.now += 86_400
    with here.registry.writing() as db:
        moved = int((here.now - 3600) * 1e6)
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (moved,))
        db.execute("INSERT INTO occupancies VALUES ('cz-a', ?, NULL, 'Next')", (moved,))
    query = {"from": "2025-06-01", "to": "2025-07-01"}
    following, _ = inmes(here, "cz-a", "next@example.org", None)
    assert following.client.get("/v1/meters/p-cz-a/readings", params=query).json()["readings"] == []
    assert one.client.post("/v1/flows/login", json={}).status_code == 200
    assert send(following, "p-cz-a", 8, time=civil.iso(int((here.now - 7200) * 1e6))).status_code == 422


def test_a_claim_ends_with_the_occupancy_it_was_made_for(here):
    """Printed for who lived there: the next holder's letter is another one (FLOWS 5)."""
    printed = here.claim("one_time_credentials", "cz-b")
    with here.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-b'", (int((here.now + 60) * 1e6),))
    one = here.browser("inmes")
    one.start("activate")
    one.go(**printed)
    late = here.browser("inmes")
    here.now += 61
    late.start("activate")
    assert late.go(**printed, _status=422)["type"] == "not-accepted"
    one.go(agree=True, accept=True)
    one.go(email="late@example.org")
    one.go(code=one.code())
    one.go()
    refused = one.go(new_password=PASSWORD, new_password_again=PASSWORD, _status=422)
    assert refused["type"] == "not-accepted"


# Through the real stores

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(48)]


@pytest.fixture
def place(tmp_path):
    """An installation of one flat, its core, and a browser of its resident."""
    installed = Installation(tmp_path / "here")
    with installed.core() as core:
        yield core, installed.building.places[0], installed.building.manager


def resident(core, place, manager, now):
    """A client with a session of the flat's resident at an instant (µs)."""
    tenant = Tenant(load_portal("inmes"), manager, "inmes.localhost")
    app = create_app(core.registry, core.published, "1", clock=lambda: now / 1e6, portals=SignIn(Secrets(bytes(32)), [tenant]))
    token = core.registry.create_token(manager, ["claims:write"])
    made = TestClient(app, headers={"Authorization": f"Bearer {token}"}).post(
        "/v1/claims", json={"claims": [{"unit": place.flat, "kind": "one_time_credentials"}]}
    )
    client = TestClient(app, base_url="https://inmes.localhost", headers={"Origin": "https://inmes.localhost"})
    flow = client.post("/v1/flows/activate", json={}).json()["id"]
    pages = [made.json()["claims"][0]["fields"], {"agree": True, "accept": True}, {"email": "a@example.org"}, None, {}]
    for fields in [*pages, {"new_password": PASSWORD, "new_password_again": PASSWORD}]:
        code = {} if fields is not None else {"code": core.registry.outbox.due(now, 9)[0].values["secret"]}
        answer = client.post(f"/v1/flows/{flow}", json=code if fields is None else fields)
        assert answer.status_code == 200, answer.text
    return client


def hear(core, place, hours):
    """The meter is heard at these instants."""
    core.inbox.append([Message("test", place.meter.telegram(t).hex().encode(), t, gateway=place.gateways[0], flags=REPLAY) for t in hours])
    core.drain_all()


def rows(core, place, level="hour"):
    """Published rows of the place's main register by their start."""
    (main,) = [one for one in core.published.series_of([place.id]) if str(one.register) == core.registry.point(place.id).registers[0]]
    return {int(row["start"]): row for row in core.published.read(main.id, LEVELS.index(level), "", "~")}


def truth(place, t):
    """What the meter shows at an instant, micro units."""
    return next(iter(place.meter.truth(t).values()))


def test_a_reading_sent_in_changes_a_row_that_no_live_reading_covers(place):
    """Heard until noon and again a day later: what is sent in between moves the rows of that gap, and no others; it comes in once."""
    core, meter, manager = place
    hear(core, meter, [*HOURS[:13], *HOURS[40:]])
    core.rollup()
    before = rows(core, meter)
    low = truth(meter, HOURS[12])
    half = (low + truth(meter, HOURS[40])) // 2
    client = resident(core, meter, manager, HOURS[47])
    sent = client.post(f"/v1/meters/{meter.id}/readings", json={"value": (low + (half - low) // 4) / 1e6, "time": civil.iso(HOURS[26])})
    assert sent.status_code == 201, sent.text
    core.rollup()
    after = rows(core, meter)
    changed = {start for start in after if after[start]["value"] != before[start]["value"]}
    assert changed
    assert all(HOURS[12] <= start < HOURS[40] for start in changed)
    assert int(after[HOURS[25]]["index_end"]) == low + (half - low) // 4
    again = core.rollup()
    assert again.rows == 0
    query = {"from": "2026-03-01", "to": "2026-03-04", "source": "self"}
    history = client.get(f"/v1/meters/{meter.id}/readings", params=query).json()["readings"]
    assert [(one["state"], one["confirmation"]) for one in history] == [("taken", sent.json()["confirmation"])]
    assert client.get(f"/v1/meters/{meter.id}/readings", params=query | {"source": "meter"}).json()["readings"]


def test_a_reading_sent_in_where_the_meter_is_heard_changes_nothing(place):
    """Between two live readings of neighbouring hours no row differs, also when the second one comes later."""
    core, meter, manager = place
    hear(core, meter, HOURS[:30])
    core.rollup()
    client = resident(core, meter, manager, HOURS[30])
    value = truth(meter, HOURS[29]) / 1e6 + 0.5
    assert client.post(f"/v1/meters/{meter.id}/readings", json={"value": value, "time": civil.iso(HOURS[29] + civil.HOUR // 2)}).status_code == 201
    core.rollup()
    hear(core, meter, HOURS[30:])
    core.rollup()
    with_it = rows(core, meter)
    assert all(int(with_it[start]["index_end"]) == truth(meter, start + civil.HOUR) for start in HOURS[25:35])


def test_readings_sent_in_come_back_after_the_readings_file_was_lost(tmp_path):
    """The registry has them: a new readings file takes them in again, under the same order."""
    installed = Installation(tmp_path / "here")
    meter = installed.building.places[0]
    with installed.core() as core:
        hear(core, meter, HOURS[:3])
        core.registry.self_readings.keep(
            meter.id, core.registry.point(meter.id).registers[0], t=HOURS[20], value=10**12, now=HOURS[20], sender="t", confirmation="X"
        )
        core.rollup()
        first = core.readings.sent_in()
    for file in (installed.folder / "data").glob("readings.duckdb*"):
        file.unlink()
    with installed.core() as core:
        assert core.readings.sent_in() == 0
        core.drain_all()
        core.rollup()
        assert core.readings.sent_in() == first == 1
        ids = list(core.readings.registers().values())
        assert [row["t"] for row in core.readings.readings_of(ids).to_pylist() if row["src"] == 4] == [HOURS[20]]
