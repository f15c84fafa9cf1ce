"""Planted secrets are in no file that a run leaves: G12. Codes and passwords of residents are looked for in tests/api/test_checks_codes.py and _passwords.py."""

import base64

from broker import wait_until
from pushing import Pushed
from test_kill import arrived


def forms(secret):
    """How a secret may stand in a file: as it is, in hex, in base64."""
    hexed = secret.hex()
    return {secret, hexed.encode(), hexed.upper().encode(), base64.b64encode(secret).rstrip(b"="), base64.urlsafe_b64encode(secret).rstrip(b"=")}


def test_no_planted_secret_is_in_a_file_of_a_run(tmp_path):
    """After a run that took, refused, decoded and published, and was killed, no meter key, master key, token or gateway secret is in data or log."""
    here = Pushed(tmp_path / "here")
    try:
        here.start()
        messages = here.next(6)
        here.push_all(messages)
        here.secrets[messages[0].gateway] = (right := here.secrets[messages[0].gateway])[:-1] + "x"
        assert not here.push(messages[0])
        here.secrets[messages[0].gateway] = right
        wait_until(lambda: arrived(here) == len(messages))
        here.command("rollup")
        assert here.get("/v1/units")[0] == 200
    finally:
        here.close()
    keys = [place.meter.key for place in here.building.places if place.meter.key]
    planted = [
        *keys,
        bytes.fromhex((here.folder / "master.key").read_text().strip()),
        here.token.encode(),
        *(one.encode() for one in here.secrets.values()),
    ]
    left = [file for file in [*(here.folder / "data").rglob("*"), here.folder / "run.log"] if file.is_file()]
    found = {(file.name, number) for file in left for number, secret in enumerate(planted) if any(one in file.read_bytes() for one in forms(secret))}
    assert {"readings.duckdb", "registry.sqlite", "inbox.sqlite", "run.log"} <= {file.name for file in left}
    assert len(keys) > 1
    assert found == set()
