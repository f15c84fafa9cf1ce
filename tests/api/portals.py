"""Portals over a real registry for tests: five hosts, flats with holders, and browsers that keep cookies."""

from datetime import date

from fastapi.testclient import TestClient
from letterbox import Letterbox

from submeter import civil
from submeter.api import SignIn, create_app
from submeter.api.flows import Tenant
from submeter.api.secrets import Secrets
from submeter.config.languages import LOCALES
from submeter.config.portals import load_portal
from submeter.store import Published, Registry
from submeter.store.directory import import_directory

HOSTS = {"inmes": "cz", "iiportal": "si", "impreso": "no", "infoyugra": "ug", "inkomus": "ru"}
PAY = "https://pay.example/?sum={amount}&for={account}"
START = 1_750_000_000.0
PASSWORD = "correct horse battery"
DIRECTORY = "".join(
    f'[[manager]]\nid = "{manager}"\nname = "{name}"\n[[property]]\nid = "{manager}1"\nmanager = "{manager}"\nname = "Main street 5"\nzone = "UTC"\n'
    + "".join(
        f'[[unit]]\nid = "{manager}-{flat}"\nproperty = "{manager}1"\nlabel = "Flat {flat}"\n'
        f'[[occupancy]]\nunit = "{manager}-{flat}"\nname = "Holder"\nfrom = 2024-01-01\n'
        for flat in "abc"
    )
    for name, manager in [*HOSTS.items(), ("iiportal", "si2")]
)


class Here:
    """An installation with five portals and a clock that tests move."""

    def __init__(self, folder):
        (folder / "directory.toml").write_text(DIRECTORY)
        self.now = START
        self.registry, self.published = Registry(folder / "registry.sqlite"), Published(folder / "published.sqlite")
        import_directory(self.registry, folder / "directory.toml")
        self._letterbox = Letterbox(self.registry)
        tenants = [Tenant(load_portal(name), manager, f"{name}.localhost", "office@example.org", {"pay": PAY}) for name, manager in HOSTS.items()]
        tenants.append(Tenant(tenants[1].portal, "si2", "second.localhost"))
        every = tenants[0].portal.model_copy(update={"locales": tuple(dict.fromkeys(("cs", *LOCALES)))})
        tenants.append(Tenant(every, "cz", "every.localhost"))
        portals = SignIn(Secrets(bytes(32)), tenants)
        self.app = create_app(self.registry, self.published, "1", clock=lambda: self.now, portals=portals)

    def browser(self, portal):
        """A browser that opened a portal."""
        return Browser(self, f"{portal}.localhost")

    def claim(self, kind, unit, **fields):
        """What is printed for a unit: the operator makes a claim."""
        manager = unit.split("-")[0]
        body = {"claims": [{"unit": unit, "kind": kind, "fields": fields}]}
        made = self.service(manager, "claims:write").post("/v1/claims", json=body)
        assert made.status_code == 201, made.text
        return made.json()["claims"][0]["fields"]

    def service(self, manager, *scopes):
        """A client with a service token of a manager."""
        return TestClient(self.app, headers={"Authorization": f"Bearer {self.registry.create_token(manager, scopes)}"})

    def hand_over(self, unit, day="2025-01-01"):
        """The holder of a flat leaves on a day, and somebody else comes."""
        at = civil.midnight("UTC", date.fromisoformat(day))
        with self.registry.writing() as db:
            db.execute("UPDATE occupancies SET until = ? WHERE unit = ? AND until IS NULL", (at, unit))
            db.execute("INSERT INTO occupancies VALUES (?, ?, NULL, 'Next')", (unit, at))

    def arrived(self, template=None):
        """The messages (of a template) that arrived, after all that is due has left: of mails and SMS what was received."""
        return [one for one in self._letterbox.fetch(int(self.now * 1e6)) if template in {None, one.template}]

    def mail(self, template=None):
        """The newest message (of a template)."""
        return self.arrived(template)[-1]

    def sent(self, template):
        """To how many addresses a template went."""
        return len(self.arrived(template))

    def code(self):
        """The code or word of the newest message that has one."""
        return next(told for one in reversed(self.arrived()) if (told := one.values.get("code") or one.values.get("secret")))

    def link(self):
        """The link of the newest message to confirm an address, without its host."""
        return self.mail("confirm_link").values["link"].partition("localhost")[2]

    def close(self):
        self.registry.close()
        self.published.close()


class Browser:
    """A browser with cookies; a flow goes on page by page."""

    def __init__(self, here, host):
        self.here, self.flow = here, None
        self.client = TestClient(here.app, base_url=f"https://{host}", headers={"Origin": f"https://{host}"}, raise_server_exceptions=False)

    def start(self, name, **fields):
        self.flow = None
        return self.go(_name=name, **fields)

    def go(self, _name=None, _status=200, **fields):
        """Submit a page; returns the next one, or the problem."""
        answer = self.client.post(f"/v1/flows/{_name or self.flow['id']}", json=fields)
        assert answer.status_code == _status, answer.text
        if _status == 200:
            self.flow = answer.json()
        return answer.json()

    def other(self, channel, _status=200):
        """Choose another way for the code; what its page says."""
        answer = self.client.post(f"/v1/flows/{self.flow['id']}/resend", json={"channel": channel})
        assert answer.status_code == _status, answer.text
        self.flow = answer.json() if _status == 200 else self.flow
        return self.flow["step"]

    def code(self):
        """The code that was sent last."""
        return self.here.code()

    def follow(self, browser=None):
        """Open the link of the last mail, here or in another browser."""
        return (browser or self).client.post(f"/v1{self.here.link().replace('confirm', 'confirmations')}").json()

    def units(self):
        answer = self.client.get("/v1/units")
        return sorted(one["id"] for one in answer.json()["units"]) if answer.status_code == 200 else answer.status_code


def inmes(here, unit="cz-a", mail="jana@example.org", phone="777123456"):
    """An activation to its end."""
    one = here.browser("inmes")
    printed = here.claim("one_time_credentials", unit)
    one.start("activate")
    page = one.go(**printed)
    assert page["step"]["show"] == {"property": "Main street 5", "entrance": "", "unit": f"Flat {unit[-1]}"}
    one.go(agree=True, accept=True)
    one.go(email=mail)
    one.go(code=one.code())
    page = one.go(**({"phone": phone} if phone else {}))
    if phone:
        page = one.go(code=one.code())
    assert page["step"]["fields"] == ["new_password", "new_password_again"]
    done = one.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert done["done"]
    return one, printed


def logged_in(here, portal, name, password=PASSWORD):
    """A login in a new browser."""
    one = here.browser(portal)
    one.start("login")
    one.go(name=name, password=password)
    one.go(code=one.code())
    return one
