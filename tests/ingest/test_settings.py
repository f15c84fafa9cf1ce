"""What pipeline.toml says of ports and buses: what cannot work is a sentence before anything is opened."""

import pytest

from submeter.cli.check import described
from submeter.config import ConfigError, parse
from submeter.ingest.bus.frames import Secondary
from submeter.ingest.schedule import Meter
from submeter.ingest.settings import buses_of, serial_of


def port(tmp_path, text):
    """The first [[serial]] of a configuration."""
    return parse("[[serial]]\n" + text, tmp_path / "pipeline.toml").serial[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('mode = "T1"', "lines has no mode T1: it is received only"),
        ('kind = "iu891a"\nmode = "T1"', "iu891a has no mode T1: it is received only"),
        ('kind = "cul"\nmode = "C+T"', "cul has no mode C[+]T: write one of S1, T1, C1"),
        ('port = "auto"', "lines cannot be asked who it is"),
        ('kind = "iu891a"\nport = "auto"', "iu891a cannot be asked who it is"),
        ('kind = "auto"\nport = "tcp://0.0.0.0:4001"', "nobody is there to be asked"),
        ('kind = "cul"\nmode = "T1"\ncommand = "cat"', "nobody is there to be asked"),
    ],
)
def test_what_no_dongle_can_do_is_refused(tmp_path, text, words):
    """A mode that the kind lacks, a search for a kind without a question, a question to nobody."""
    with pytest.raises(ConfigError, match=words):
        serial_of(port(tmp_path, text))


@pytest.mark.parametrize(
    ("meter", "words"),
    [
        ("7 @ 299", "write ADDRESS"),
        ("7 @", "write ADDRESS"),
        ("7 every day", "write ADDRESS"),
        ("7 every 0", "write ADDRESS"),
        ("251 @ 300", "is no address"),
    ],
)
def test_a_wrong_meter_says_what_to_write(tmp_path, meter, words):
    """Rates are those of the standard, intervals are minutes."""
    with pytest.raises(ConfigError, match=words):
        buses_of(parse(f'[[bus]]\nmeters = ["{meter}"]', tmp_path / "pipeline.toml"))


def test_meters_of_a_bus(tmp_path):
    """An entry is an address, with a rate and an interval of its own where they are not those of the bus."""
    text = '[[bus]]\nmeters = ["5", "20135442 523B 03 07 @ 300", "NZR-20135442-03-07 every 1440", "8 @ 9600 every 60"]'
    (bus,) = buses_of(parse(text, tmp_path / "pipeline.toml"))
    address = Secondary("20135442", "523B", "03", "07")
    assert bus.meters == (Meter(5), Meter(address, 300), Meter(address, None, 86_400.0), Meter(8, 9600, 3600.0))


def test_a_tcp_gateway_has_one_rate(tmp_path):
    """Meters of another rate than the bus cannot be behind socket://, which is told; those of the same rate may say so."""
    text = '[[bus]]\nport = "socket://10.0.0.7:4001"\nmeters = ["7 @ {}"]'
    assert buses_of(parse(text.format(2400), tmp_path / "pipeline.toml"))
    with pytest.raises(ConfigError, match="set in the gateway"):
        buses_of(parse(text.format(300), tmp_path / "pipeline.toml"))


def test_check_says_what_is_done_to_a_dongle(tmp_path):
    """`submeter check` names the rate that will be used, and the mode that will be set."""
    text = '[[serial]]\nname = "a"\nkind = "im871a"\nmode = "T1"\n[[serial]]\nname = "b"\nport = "auto"\nkind = "auto"\n[[serial]]\nname = "c"'
    lines = [line for line in described(parse(text, tmp_path / "pipeline.toml")) if line.startswith("serial")]
    assert lines == [
        "serial    a: /dev/ttyUSB0 at 57600, im871a set to T1, gateway a",
        "serial    b: auto at its usual rate, auto, gateway b",
        "serial    c: /dev/ttyUSB0 at 9600, auto, gateway c",
    ]
