"""A client of the read API in one file, standard library only: python3 client.py http://127.0.0.1:8080 2026-01-01 2026-04-01 prints the months of every unit.

The token stands in the environment, SUBMETER_TOKEN. What docs/api-guide.md says about refusals is done here: 401 and 404 end with the API's own sentence,
429 and 503 wait as long as Retry-After says, an unchanged answer comes from memory (304), `next` is followed.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRIES = 5


class Problem(Exception):
    """A refusal: `status`, and `told`, what the API says about it; its `type` never changes."""

    def __init__(self, status, told):
        super().__init__(f"{status} {told.get('type')}: {told.get('detail') or told.get('title')}")
        self.status, self.told = status, told


class Client:
    """The API at an address such as https://meters.example.org, for one token."""

    def __init__(self, address, token):
        self.address, self.token = address.rstrip("/"), token
        self._kept = {}

    def units(self):
        """The units that the token may see."""
        return self.get("/v1/units")["units"]

    def rows(self, unit, start, end, resolution="P1M", **query):
        """Every point of a unit with its series, page by page; `start` and `end` are local dates or instants with offset."""
        asked = {"from": start, "to": end}
        while asked:
            told = self.get(f"/v1/units/{unit}/consumption", **asked, resolution=resolution, **query)
            for series in told["series"]:
                yield from ((series, point) for point in series["points"])
            asked = told["next"]

    def get(self, path, **query):
        """The JSON of an answer; raises Problem for a refusal."""
        return json.loads(self.read(path, "application/json", **query))

    def read(self, path, accept, **query):
        """The bytes of an answer in the form that `accept` asks for."""
        url = f"{self.address}{path}?{urllib.parse.urlencode(query, doseq=True)}"
        tag, body = self._kept.get((url, accept), ("", b""))
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, **({"If-None-Match": tag} if tag else {})}
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
                    body = answer.read()
                    if tag := answer.headers["ETag"]:
                        self._kept[url, accept] = tag, body
                    return body
            except urllib.error.HTTPError as error:
                if error.code == 304:
                    return body
                wait = error.headers["Retry-After"]
                if error.code not in {429, 503} or not wait or not left:
                    raise Problem(error.code, json.load(error)) from None
                time.sleep(int(wait))
        raise AssertionError("the last try returns or raises")


def signed_by(secret, headers, body, *, oldest_s=300):
    """Whether a request to a webhook came from submeter: its signature is of this body, and not old."""
    sent = headers["X-Submeter-Timestamp"]
    expected = "sha256=" + hmac.new(secret.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Submeter-Signature"]) and abs(time.time() - int(sent)) <= oldest_s


def main(address, start, end):
    """Print a line for each unit, series and month."""
    client = Client(address, os.environ["SUBMETER_TOKEN"])
    for unit in client.units():
        for series, point in client.rows(unit["id"], start, end):
            value = "unknown" if point["value"] is None else f"{point['value']:.3f} {series['uom_label']}"
            print(unit["label"], series["class"], point["start"][:7], value, point["quality"], *point["flags"], sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
