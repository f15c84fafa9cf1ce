"""`submeter check`: the line that each section of pipeline.toml gives, and the mistakes that it names."""

import pytest
from desk import said

from submeter.errors import SubmeterError

#: A section, and the line that it gives; {} is the folder of the file.
SECTIONS = {
    "nothing": ("", "sources   none: add [[mqtt]], [[serial]], [[bus]], [[modbus]] or [[drop]], or enable [http]"),
    "key file": ('[keys]\nmaster_key_file = "master.key"', "keys      {}/master.key"),
    "key of the environment": ('[keys]\nmaster_key_env = "MASTER"', "keys      from the environment, MASTER"),
    "data": ('[data]\nfolder = "elsewhere"', "data      {}/elsewhere"),
    "broker": ("[[mqtt]]", "mqtt      mqtt: mqtt://127.0.0.1:1883 as submeter, submeter/v1/+/up"),
    "broker with a user": (
        '[[mqtt]]\nname = "west"\nhost = "broker.example"\nport = 8883\ntls = true\nusername = "collector"\ntopics = ["a/#", "b/#"]',
        "mqtt      west: mqtts://collector@broker.example:8883 as submeter, a/#, b/#",
    ),
    "http": ("[http]\nenabled = true\nport = 9999", "http      http://127.0.0.1:9999/ingest/v1/<gateway>"),
    "folder of files": (
        '[[drop]]\nname = "nightly"\nfolder = "in"\nformat = "hex"\ngateway = "gw-3"',
        "drop      nightly: {}/in, hex, gateway gw-3",
    ),
    "folder without a gateway": ('[[drop]]\nname = "nightly"\nfolder = "in"', "drop      nightly: {}/in, auto, gateway nightly"),
    "serial lines": (
        '[[serial]]\nname = "stick"\nport = "/dev/ttyUSB0"\nkind = "lines"\nformat = "hex"\nbaud = 9600',
        "serial    stick: /dev/ttyUSB0 at 9600, hex, gateway stick",
    ),
    "serial command": (
        '[[serial]]\nname = "sdr"\ncommand = "rtl_wmbus -s"\nkind = "lines"\nformat = "rtl_wmbus"',
        "serial    sdr: rtl_wmbus -s, rtl_wmbus, gateway sdr",
    ),
    "dongle": (
        '[[serial]]\nname = "roof"\nport = "/dev/ttyUSB1"\nkind = "im871a"\nmode = "T1"\ngateway = "gw-roof"',
        "serial    roof: /dev/ttyUSB1 at 57600, im871a set to T1, gateway gw-roof",
    ),
    "bus": (
        '[[bus]]\nname = "cellar"\nport = "socket://10.0.0.7:4001"\nbaud = 2400\ninterval_minutes = 15\nmeters = ["5", "6"]',
        "bus       cellar: socket://10.0.0.7:4001 at 2400, 2 meters each 15 min",
    ),
    "gateway": (
        '[[gateway]]\nname = "gw-1"\nform = "nocrc"\nstore_and_forward = true\ndecrypted = true',
        "gateway   gw-1: nocrc, store and forward, decrypted",
    ),
    "hand-over, from": ('[handover]\ngive = "out"', "handover  to {}/out"),
    "hand-over, to": ('[handover]\ntake = "in"', "handover  from {}/in"),
    "jobs": ('[rollup]\nhourly = "7 * * * *"\nnightly = "30 2 * * *"', "rollup    hourly '7 * * * *', nightly '30 2 * * *' UTC"),
    "mail waits": ("", "mail      none: what is to be sent waits in the outbox"),
    "mail by SMTP": (
        '[mail]\nsink = "smtp"\nhost = "mail.example"\nport = 587\ntls = "starttls"\nusername = "robot"\nsender = "portal@example.org"',
        "mail      smtp robot@mail.example:587 (starttls) from portal@example.org",
    ),
    "mail to files": ('[mail]\nsink = "file"\nfolder = "sent"', "mail      file {}/sent"),
    "messages wait": ("", "sms       none: what is to be sent waits in the outbox"),
    "letters wait": ("", "letters   none: what is to be sent waits in the outbox"),
    "letters to files": ('[letters]\nsink = "file"\nfolder = "print"', "letters   file {}/print"),
    "API": ("[api]\nport = 8123", "api       http://127.0.0.1:8123"),
    "API off": ("[api]\nenabled = false", "api       off"),
    "metrics": ("[metrics]\nport = 9123", "metrics   http://127.0.0.1:9123/metrics"),
    "metrics off": ("[metrics]\nenabled = false", "metrics   off"),
    "LoRaWAN": (
        '[[lorawan]]\neui = "a84041ffff000001"\nport = 2\ncarries = "frame"',
        "lorawan   a84041ffff000001, port 2: frame",
    ),
    "LoRaWAN, all": ('[[lorawan]]\ncarries = "frame"', "lorawan   all devices, all ports: frame"),
    "keys 1": ("", "keys      {}/master.key"),
    "keys, keys 2": ('[keys]\nmaster_key_file = ""', "keys      none: only meters without encryption can be read"),
    "keys, keys 3": ('[keys]\nmaster_key_file = "m.key"', "keys      {}/m.key"),
    "mqtt, mqtt 4": (
        '[[mqtt]]\nname = "a"\nhost = "b.example"\nport = 8883\ntls = true\nusername = "u"\npassword_file = "p"\ntopics = ["x/#", "y"]',
        "mqtt      a: mqtts://u@b.example:8883 as submeter, x/#, y",
    ),
    "serial, serial 5": ('[[serial]]\nname = "s"\nport = "/dev/ttyUSB0"', "serial    s: /dev/ttyUSB0 at 9600, auto, gateway s"),
    "serial, serial 6": (
        '[[serial]]\nname = "s"\nport = "/dev/ttyUSB0"\nkind = "cul"\nmode = "T1"\ngateway = "g"',
        "serial    s: /dev/ttyUSB0 at 38400, cul set to T1, gateway g",
    ),
    "serial, serial 7": ('[[serial]]\nname = "s"\nport = "auto"\nkind = "auto"', "serial    s: auto at its usual rate, auto, gateway s"),
    "serial, serial 8": ('[[serial]]\nname = "s"\nport = "auto"\nkind = "im871a"\nbaud = 19200', "serial    s: auto at 19200, im871a, gateway s"),
    "serial, serial 9": ('[[serial]]\nname = "s"\ncommand = "rtl_wmbus -s"\nformat = "rtl_wmbus"', "serial    s: rtl_wmbus -s, rtl_wmbus, gateway s"),
    "bus, bus 10": (
        '[[bus]]\nname = "b"\nport = "/dev/ttyUSB1"\nmeters = ["1", "2 every 60"]',
        "bus       b: /dev/ttyUSB1 at 2400, 2 meters each 15 min",
    ),
    "bus, bus 11": (
        '[[bus]]\nname = "b"\nport = "/dev/ttyUSB1"\nmeters = ["1"]\nbaud = 9600\ninterval_minutes = 60',
        "bus       b: /dev/ttyUSB1 at 9600, 1 meters each 60 min",
    ),
    "drop, drop 12": ('[[drop]]\nname = "d"\nfolder = "ftp"', "drop      d: {}/ftp, auto, gateway d"),
    "http, http 13": ("[http]\nenabled = true\nport = 9001", "http      http://127.0.0.1:9001/ingest/v1/<gateway>"),
    "handover, handover 14": ('[handover]\ntake = "/common"', "handover  from /common"),
    "handover, handover 15": ('[handover]\ngive = "s3://bucket/folder"', "handover  to s3://bucket/folder"),
    "gateway, gateway 16": (
        '[[gateway]]\nname = "g"\nform = "b"\nstore_and_forward = true\ndecrypted = true',
        "gateway   g: b, store and forward, decrypted",
    ),
    "gateway, gateway 17": ('[[gateway]]\nname = "g"', "gateway   g: auto"),
    "lorawan, lorawan 18": ('[[lorawan]]\neui = "94193a04"\nport = 2\ncarries = "records"', "lorawan   94193a04, port 2: records"),
    "mapping, mapping 19": (
        '[[mapping]]\ntopic = "a/+"\nmeter = "m"\nvalues = [{path = "v", register = "volume", unit = "L"}]',
        "mapping   a/+: meter m, volume",
    ),
    "mapping, mapping 20": ('[[mapping]]\ntopic = "a/+"\nraw = "hex"', "mapping   a/+: meter meter, hex"),
    "rollup, rollup 21": ('[rollup]\nhourly = "7 * * * *"', "rollup    hourly '7 * * * *', nightly '15 2 * * *' UTC"),
    "mail, mail 22": ('[mail]\nsink = "file"\nfolder = "out"', "mail      file {}/out"),
    "sms, sms 23": ('[sms]\nsink = "file"\nfolder = "out"', "sms       file {}/out"),
    "letters, letters 24": ('[letters]\nsink = "file"\nfolder = "out"', "letters   file {}/out"),
    "api, api 25": ("[api]\nport = 1", "api       http://127.0.0.1:1"),
}


@pytest.fixture
def file(tmp_path):
    """A configuration to be written."""
    return tmp_path / "pipeline.toml"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_gives_its_line(file, name):
    """What is configured is said in a line, without secrets; the last one is ok. Nothing but the file is opened."""
    text, line = SECTIONS[name]
    file.write_text(text)
    lines = said("check", "-c", file)
    assert line.format(file.parent) in lines, "\n".join(lines)
    assert lines[-1] == "ok"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[dta]\n", "dta: unknown section or key: write data"),
        ("[api]\nport = 99999\n", "[api] port: 99999 cannot be used: write a whole number from 1 to 65535, e.g. port = 8080"),
        ('[api]\nport = "door"\n', "[api] port: 'door' cannot be used: write a whole number from 1 to 65535, e.g. port = 8080"),
        ("[api]\nprt = 1\n", "[api] prt: unknown key: write port"),
        ('[rollup]\nhourly = "every hour"\n', "[rollup] hourly: 'every hour' cannot be used: write five cron fields in UTC"),
        ('[[mqtt]]\nname = "a"\n[[mqtt]]\nname = "a"\n', "'a'"),
        ('[mail]\nsink = "pigeon"\n', '[mail] sink: \'pigeon\' cannot be used: write one of "none", "smtp", "file", "console"'),
        ('[[serial]]\ncommand = ["a"]\n', "[[serial]] 1 command: ['a'] cannot be used"),
        ('[[lorawan]]\neui = "A8"\n', "[[lorawan]] 1 eui: 'A8' cannot be used: write the first hex digits of the devices' EUI in small letters"),
        ("[api\n", "line 1"),
    ],
)
def test_a_mistake_is_named(file, text, told):
    """Where it stands in the file, before anything is opened."""
    file.write_text(text)
    with pytest.raises(SubmeterError) as error:
        said("check", "-c", file)
    assert told in str(error.value)
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_not_there(tmp_path):
    """A configuration that was named must be there."""
    with pytest.raises(SubmeterError, match=r"none\.toml"):
        said("check", "-c", tmp_path / "none.toml")
