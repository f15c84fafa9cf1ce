"""`submeter broker-config`, each option: where it stands in the files."""

import pytest
from desk import said

PLACES = {
    "--etc": ("/srv/etc", ["password_file /srv/etc/submeter.passwd", "acl_file /srv/etc/submeter.acl", "cafile /srv/etc/certs/ca.crt"]),
    "--data": ("/srv/data", ["persistence_location /srv/data/"]),
    "--certs": ("/srv/tls", ["cafile /srv/tls/ca.crt", "certfile /srv/tls/server.crt", "keyfile /srv/tls/server.key"]),
    "--port": ("1111", ["listener 1111", "listener 8884"]),
    "--password-port": ("2222", ["listener 8883", "listener 2222"]),
    "--address": ("10.0.0.5", ["listener 8883 10.0.0.5", "listener 8884 10.0.0.5"]),
}


@pytest.fixture
def file(tmp_path):
    """A configuration with a broker."""
    made = tmp_path / "pipeline.toml"
    made.write_text('[[mqtt]]\ntopics = ["submeter/v1/+/up", "rtl_433/#"]\n')
    return made


@pytest.mark.parametrize("option", PLACES)
def test_a_place_stands_in_the_file(file, option):
    """What is told of folders, ports and the interface is in the lines that need it."""
    value, expected = PLACES[option]
    lines = said("broker-config", "--part", "conf", option, value, "-c", file)
    assert [line for line in expected if line not in lines] == []


def test_a_newer_mosquitto_has_plugins(file):
    """For 2.1 the files are loaded by plugins of the folder that --plugins names, and nothing is kept by autosave."""
    lines = said("broker-config", "--for", "2.1", "--part", "conf", "--plugins", "/opt/m", "--data", "/srv/data", "-c", file)
    assert "global_plugin /opt/m/mosquitto_persist_sqlite.so" in lines
    assert "plugin_opt_db_file /srv/data/mosquitto.sqlite3" in lines
    assert not [line for line in lines if line.startswith(("autosave", "acl_file", "password_file"))]


def test_the_list_of_rights_opens_what_is_named(file):
    """A foreign topic is opened to the collector to read, and to each sender that is named to write; --part says which file is printed."""
    rights = said("broker-config", "--part", "acl", "--sender", "esp=wmbus/#", "--sender", "sdr=rtl_433/roof", "-c", file)
    assert [line for line in rights if line.startswith(("user", "topic"))] == [
        "user submeter-ingest", "topic read submeter/v1/#", "topic write submeter/v1/+/cmd/#", "topic readwrite submeter/check/#", "topic read rtl_433/#",
        "user esp", "topic write wmbus/#",
        "user sdr", "topic write rtl_433/roof",
    ]  # fmt: skip
    both = said("broker-config", "-c", file)
    assert (
        "# /etc/mosquitto/submeter.acl (`--part acl` prints it alone); /etc/mosquitto/submeter.passwd is what `submeter gateway passwords` prints"
        in both
    )
    assert "pattern write submeter/v1/%u/#" in both


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--for", "1.6"), "1.6"),
        (("--part", "half"), "half"),
        (("--port", "door"), "--port"),
        (("--sender", "esp"), "esp"),
        (("--sender", "=wmbus/#"), "wmbus/#"),
    ],
)
def test_what_is_no_file_is_refused(file, words, told):
    """A version, part, port or sender that is none is named, exit status 2."""
    assert told in " ".join(said("broker-config", *words, "-c", file, code=2))
