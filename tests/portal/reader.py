"""A person with a browser without script: follows links, fills forms in as the page has them."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

from portals import PASSWORD

VOID = {"input", "meta", "link", "br", "rect", "line", "path"}


class Form:
    """A form with its fields as they stand."""

    def __init__(self, attributes):
        self.action, self.method = attributes.get("action"), attributes.get("method", "get")
        self.fields, self.buttons = {}, []


class Look(HTMLParser):
    """What is on a page: text, forms, links, headings."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links, self.words, self.stack, self.ids, self.lang = [], [], [], [], [], None
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in VOID:
            self.stack.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.lang = found.get("lang") if tag == "html" else self.lang
        if tag == "form":
            self.forms.append(Form(found))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[found["name"]] = found
        elif tag in {"select", "textarea"} and self.forms:
            self.select = self.forms[-1].fields[found["name"]] = found | {"value": ""}
        elif tag == "option" and (not self.select["value"] or "selected" in found):
            self.select["value"] = found.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append(found)
        elif tag == "a" and "href" in found:
            self.links.append((found["href"], found.get("aria-label", "")))

    def handle_endtag(self, tag):
        if tag in self.stack:
            del self.stack[len(self.stack) - 1 - self.stack[::-1].index(tag) :]

    def handle_data(self, data):
        if not {"script", "style", "head"} & set(self.stack):
            self.words.append(data)


class Reader:
    """A browser at a portal; `client` is a test client with the portal's host and origin."""

    def __init__(self, client):
        self.client, self.url, self.page, self.status = client, "/", None, 0

    def open(self, url):
        return self._seen(self.client.get(url))

    def _seen(self, answer):
        self.url, self.status, self.body = str(answer.url), answer.status_code, answer.text
        self.page = Look(answer.text)
        return self.page

    def form(self, *names):
        """The form that has all these fields."""
        return next(form for form in self.page.forms if set(names) <= set(form.fields))

    def fill(self, press=None, **typed):
        """Fill the form in that has these fields, and press its button."""
        pressed = [form for form in self.page.forms if press is None or press in {button.get("value") for button in form.buttons}]
        form = next(form for form in pressed if set(typed) <= set(form.fields))
        sent = {
            name: one.get("value", "on" if one.get("type") == "checkbox" else "")
            for name, one in form.fields.items()
            if one.get("type") != "checkbox" or "checked" in one
        } | typed
        button = next((one for one in form.buttons if press is None or one.get("value") == press), {})
        sent |= {button["name"]: button.get("value", "")} if "name" in button else {}
        target = urljoin(self.url, form.action or "")
        if form.method == "get":
            return self.open(f"{target.split('?')[0]}?{urlencode(sent)}")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._seen(self.client.post(target, content=urlencode(sent), headers=headers))


def reader_of(here, portal):
    """Somebody with a new browser."""
    return Reader(here.browser(portal).client)


def activated(here, unit, mail):
    """Who came in by the letter of a flat."""
    printed = here.claim("one_time_credentials", unit)
    reader = reader_of(here, "inmes")
    reader.open("/start/activate")
    reader.fill(**printed)
    assert "1 z 6" in reader.page.text
    reader.fill(agree="on", accept="on")
    reader.fill(email=mail)
    reader.fill(code=here.code())
    reader.fill("skip")
    reader.fill(new_password=PASSWORD, new_password_again=PASSWORD)
    return reader


def entered(here, portal="inmes", manager="cz", role="operator"):
    """Somebody who followed the link of the command line."""
    secret = here.registry.operators.invite(manager, f"olga {role}", role, identity=f"o_{manager}_{role}", now=int(here.now * 1e6))
    reader = reader_of(here, portal)
    reader.open(f"/operator/enter/{secret}")
    assert reader.status == 200
    reader.fill("enter")
    assert reader.url.endswith("/operator"), reader.body
    return reader
