"""Every bit of every status word of every driver, each with its word (manufacturer layouts; those that are not named there are `unnamed`)."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from submeter.decoders import Profile, decode
from submeter.decoders.diehl import keystream
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes(range(16))


def device(maker: str, version: int, kind: int) -> DeviceId:
    """A meter of this make."""
    return DeviceId(maker, "37000001", version, kind)


def records(meter: DeviceId, head: str, size: int, rest: str = "") -> Callable[[int], bytes]:
    """Telegrams whose records have a number of so many bytes between these."""
    return lambda value: encode.radio(
        meter, encode.plain(bytes.fromhex(head) + value.to_bytes(size, "little") + bytes.fromhex(rest), encode.Header())
    )


def status(meter: DeviceId) -> Callable[[int], bytes]:
    """Telegrams with a transport status."""
    return lambda value: encode.radio(meter, encode.plain(bytes.fromhex("036e 010000"), encode.Header(status=value)))


def own(meter: DeviceId, head: str, size: int, rest: str = "") -> Callable[[int], bytes]:
    """Telegrams of a maker's own CI field with such a number."""
    return lambda value: encode.radio(meter, bytes.fromhex(head) + value.to_bytes(size, "little") + bytes.fromhex(rest))


def na1(at: int) -> Callable[[int], bytes]:
    """Telegrams of an Apator NA-1 with a byte of its plain block, or (-1) the frame status in front of it."""

    def made(value: int) -> bytes:
        meter = device("APA", 0x14, 0x07)
        raw = encode.radio(meter, b"\xa0\x07\x00")
        block = bytearray(bytes.fromhex("00 60010000 0060e32d 00 00 000000 00 00"))
        if at >= 0:
            block[at] = value
        cipher = Cipher(algorithms.AES(KEY), modes.CBC(raw[2:10] + b"\x07" * 8)).encryptor()
        return encode.radio(meter, b"\xa0\x07" + bytes([value if at < 0 else 0]) + cipher.update(bytes(block)))

    return made


def izar(value: int) -> bytes:
    """A PRIOS telegram with these three header bytes, opened by the first published key."""
    head = bytes.fromhex("2423850702000033a2") + value.to_bytes(3, "little")
    plain = bytes.fromhex("4b 40e20100 10270000 3f2c")
    cipher = bytes(a ^ b for a, b in zip(plain, keystream(bytes.fromhex("39BC8A10E66D83F8"), head, len(plain)), strict=True))
    frame = b"\x44" + head + b"\x13" + cipher
    return bytes([len(frame)]) + frame


#: A driver's word → how a telegram with such a number is made; its bits; their words from the lowest on, `-` for those without a name, `.` for quiet ones.
Table = tuple[Callable[[int], bytes], int, str]
APATOR = "low_battery magnet removed leak unchanged backflow overflow underflow"
AVENTIES = "sensor_error tamper low_battery memory_error communication_error reset - -"
ENGELMANN = "sensor_error reset memory_error removed magnet leak blocked backflow"
MINOMESS = """
- alarm battery_end permanent_error temporary_error leak_earlier tamper_earlier removed_earlier
oversized undersized blocked_earlier backflow backflow_earlier leak removed burst
"""
HEAT = """
power_failure low_battery sensor_error sensor_error sensor_error sensor_error sensor_error wrong_installation air backflow - overflow leak leak
external_alarm external_alarm communication_error device_error leak leak sensor_error sensor_error communication_error device_error air backflow
- overflow burst burst leak leak
"""
MULTICAL_602 = """
power_failure - sensor_error sensor_error communication_error sensor_error leak device_error leak burst communication_error device_error air air backflow
backflow
"""
WATER = "dry backflow leak burst " + "dry_earlier " * 3 + "backflow_earlier " * 3 + "leak_earlier " * 3 + "burst_earlier " * 3
WATER_LONG = "dry backflow leak burst tamper low_battery wrong_temperature overflow - no_consumption" + " -" * 22
QUNDIS = (
    "no_consumption sensor_error sensor_error wrong_temperature low_battery sensor_error sensor_error memory_error tamper device_error" + " -" * 6
)
TABLES: dict[str, Table] = {
    "apatorna1, frame": (na1(-1), 8, "summer_time historic overflow communication_error radio_blocked installation wrong_temperature service"),
    "apatorna1, now": (na1(14), 8, APATOR),
    "apatorna1, before": (na1(15), 8, "battery_end " + " ".join(f"{word}_earlier" for word in APATOR.split()[1:])),
    "aventieshca": (records(device("AAA", 0x55, 0x08), "036e 010000 01fd17", 1), 8, AVENTIES),
    "aventieswm": (records(device("AAA", 0x25, 0x07), "0413 01000000 01fd17", 1), 8, AVENTIES),
    "engelmann_faw": (records(device("EFE", 0x00, 0x07), "0413 01000000 01fd17", 1), 8, ENGELMANN),
    "gwf, alarms": (records(device("GWF", 0x3C, 0x07), "0413 01000000 0f 01", 1, "00"), 8, "- leak - burst - low_battery backflow -"),
    "gwf, mode": (records(device("GWF", 0x3C, 0x07), "0413 01000000 0f 01 00", 1), 8, "power_saving . . . . . . ."),
    "hydroclima": (records(device("BMP", 0x53, 0x08), "036e 010000 0f 10", 2, "00" * 21), 16, "- " * 16),
    "hydrodigit": (
        records(device("BMT", 0x13, 0x07), "0413 01000000 0f 02", 1, "000000"), 8, "- - - - - removed_earlier tamper_earlier magnet_earlier",
    ),
    "izar": (
        izar, 24,
        ". . . . . . . general_alarm . . . . . blocked leak_earlier leak tamper_earlier tamper tamper_earlier tamper submerged overflow underflow backflow",
    ),
    "kamheat": (records(device("KAM", 0x34, 0x04), "0406 01000000 04ff22", 4), 32, HEAT),
    "kamheat, short": (records(device("KAW", 0x34, 0x0C), "0406 01000000 02ff22", 2), 16, " ".join(HEAT.split()[:16])),
    "kamheat, of the 302": (records(device("KAM", 0x30, 0x04), "0406 01000000 01ff21", 1), 8, "- " * 8),
    "kamheat-both": (records(device("KAM", 0x34, 0x0D), "0406 01000000 04ff22", 4), 32, HEAT),
    "kamheat-602": (records(device("KAM", 0x1C, 0x04), "0406 01000000 02fd17", 2), 16, MULTICAL_602),
    "kamwater": (records(device("KAM", 0x1B, 0x16), "0413 01000000 02ff20", 2), 16, WATER),
    "kamwater, long": (records(device("KAW", 0x38, 0x06), "0413 01000000 04ff23", 4), 32, WATER_LONG),
    "qundis": (records(device("QDS", 0x16, 0x04), "0406 01000000 02fd17", 2), 16, QUNDIS),
    "qundis, Landis+Staefa": (records(device("LSE", 0x18, 0x07), "0413 01000000 02fd17", 2), 16, QUNDIS),
    "qundis-converter": (
        lambda value: encode.radio(device("QDS", 0x35, 0x37), encode.plain(bytes.fromhex("036e 010000 02fd17") + value.to_bytes(2, "little"), None)),
        16, QUNDIS,
    ),
    "qundis, one byte": (records(device("QDS", 0x16, 0x04), "0406 01000000 01fd17", 1), 8, "- " * 8),
    "zenner0b": (records(device("ZRI", 0x0B, 0x16), "0f", 4, "01000000 02000000"), 32, "- " * 32),
    "minomess": (records(device("ZRI", 0x01, 0x06), "0413 01000000 02fd17", 2), 16, MINOMESS),
    "caltose": (status(device("ZRI", 0xFC, 0x08)), 8, "- - low_battery permanent_error temporary_error removed not_commissioned ."),
    "the standard": (status(device("ABB", 0x20, 0x08)), 8, "busy app_error power_low permanent_error temporary_error . . ."),
}  # fmt: skip


def words(raw: bytes) -> set[str]:
    """What a telegram says of its meter."""
    return set(decode(raw, lambda found: Profile(KEY if found.version == 0x14 else None)).status)


@pytest.mark.parametrize("name", TABLES)
def test_every_bit_has_its_word(name: str) -> None:
    """Alone, and none of them without any; all at once give all words."""
    made, bits, table = TABLES[name]
    wanted = [{"-": {"unnamed"}, ".": set()}.get(word, {word}) for word in table.split()]
    assert len(wanted) == bits
    quiet = words(made(0))
    assert quiet == set()
    assert [words(made(1 << bit)) for bit in range(bits)] == wanted
    if name != "the standard":
        assert words(made((1 << bits) - 1)) == set().union(*wanted)


@pytest.mark.parametrize(("value", "said"), [(0, set()), (1, {"smoke"}), (2, {"unnamed"}), (255, {"unnamed"})])
def test_a_smoke_detector_says_it_by_a_number(value: int, said: set[str]) -> None:
    """One is smoke, nought nothing; what else it may say is not known."""
    assert words(own(device("TCH", 0x76, 0xF0), "a0", 1, "9f25 0000")(value)) == said


@pytest.mark.parametrize("value", [0, 1, 0x80, 0x100, 0x322D, 0xFFFF])
def test_any_word_of_a_seal_says_that_it_is_broken(value: int) -> None:
    """Also one that is no date."""
    raw = own(device("APT", 0x04, 0x08), "a0 a1 0000 4101", 2, "2d00 322d")(value)
    assert words(raw) == ({"seal_broken"} if value else set())


@pytest.mark.parametrize(
    ("sent", "day"),
    [
        ("240115", "2024-01-15"), ("00a101", "2000-01-01"), ("000101", "2000-01-01"), ("99f131", "2099-01-31"), ("245229", "2024-02-29"), ("230229", None),
        ("000000", None), ("240100", None), ("240015", None), ("241015", None), ("2a0115", None), ("24011a", None), ("240132", None),
    ],
)  # fmt: skip
def test_a_leak_date_of_a_hydrodigit_says_that_there_was_one(sent: str, day: str | None) -> None:
    """Year, the low digit of the month, day, in decimal digits; a date that exists is a flag, anything else says nothing."""
    raw = records(device("BMT", 0x13, 0x07), "0413 01000000 0f 80", 3)(int.from_bytes(bytes.fromhex(sent), "little"))
    (date,) = (one.value for one in decode(raw, lambda _: Profile()).records if one.quantity == "leak_date")
    assert (str(date) if date else None) == day
    assert words(raw) == ({"leak_earlier"} if day else set())


@pytest.mark.parametrize(("value", "said"), [(3, {"alarm"}), (1, {"busy"}), (2, {"app_error"}), (7, {"alarm", "power_low"}), (0xE0, set())])
def test_the_application_speaks_by_a_number(value: int, said: set[str]) -> None:
    """The two lowest bits of the transport status together; the three highest are the maker's."""
    assert words(status(device("ABB", 0x20, 0x08))(value)) == said


def test_every_status_of_a_transport_header_has_its_words() -> None:
    """By the standard: those of its bits, no others."""
    for value in range(256):
        wanted = {0: set(), 1: {"busy"}, 2: {"app_error"}, 3: {"alarm"}}[value & 3]
        wanted |= {word for bit, word in ((4, "power_low"), (8, "permanent_error"), (16, "temporary_error")) if value & bit}
        assert words(status(device("ABB", 0x20, 0x08))(value)) == wanted
