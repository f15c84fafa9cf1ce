"""What stored values of each maker are, by their storage number: labels, instants reckoned back, registers (manufacturer layouts; registers 4)."""

from calendar import monthrange
from datetime import date, datetime

import pytest

from submeter.decoders import Profile, Telegram, decode
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.encode import Slot

CLOCK = datetime(2026, 3, 15, 12, 30)
#: The month ends before that clock, the newest first.
ENDS = [date(year, month, monthrange(year, month)[1]) for year in range(2026, 2021, -1) for month in range(12, 0, -1)][10:]


def device(maker: str, version: int, kind: int) -> DeviceId:
    """A meter of this make."""
    return DeviceId(maker, "38000001", version, kind)


def heard(meter: DeviceId, records: bytes) -> Telegram:
    """Decode a plain telegram."""
    return decode(encode.radio(meter, encode.plain(records, encode.Header())), lambda _: Profile())


def stamps(meter: DeviceId, vib: bytes, records: bytes) -> dict[int, date]:
    """Storage number → instant of those of forty storages that get one, beside these records."""
    found = {}
    for storage in range(1, 41):
        telegram = heard(meter, records + encode.integer(vib, storage, 2, Slot(storage=storage)))
        for one in telegram.readings:
            if one.value == storage * 1_000_000:
                assert (one.label, one.stamp is None) == ("month_end", False)
                found[storage] = one.stamp
    return found


@pytest.mark.parametrize(
    ("meter", "vib", "first", "count"),
    [
        (device("AAA", 0x55, 0x08), b"\x6e", 1, 17), (device("AAA", 0x25, 0x06), b"\x16", 1, 14), (device("AAA", 0x25, 0x07), b"\x16", 1, 14),
        (device("EFE", 0x00, 0x07), b"\x16", 2, 15),
    ],
)  # fmt: skip
def test_month_ends_before_the_clock(meter: DeviceId, vib: bytes, first: int, count: int) -> None:
    """So many storages are the month ends before the meter's own time, the newest first; the others have no instant, and none has without a time."""
    assert stamps(meter, vib, encode.minute(CLOCK)) == dict(enumerate(ENDS[:count], first))
    assert stamps(meter, vib, b"") == {}
    assert stamps(meter, vib, encode.minute(datetime(2026, 2, 28, 23, 59)))[first] == date(2026, 1, 31)
    assert stamps(meter, vib, encode.minute(datetime(2026, 3, 1)))[first] == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("meter", "vib", "base", "count"),
    [
        (device("LUG", 0x07, 0x04), b"\x06", 2, 13), (device("LUG", 0x0A, 0x04), b"\x06", 2, 13), (device("MAD", 0x50, 0x07), b"\x16", 8, 12),
        (device("MAD", 0x00, 0x04), b"\x06", 1, 31),
    ],
)  # fmt: skip
def test_months_back_from_a_dated_storage(meter: DeviceId, vib: bytes, base: int, count: int) -> None:
    """The storages behind the one that has a date are a month earlier each; without it they have no instant, and the meter's own time does not help."""
    found = stamps(meter, vib, encode.day(date(2026, 2, 28), Slot(storage=base)) + encode.minute(CLOCK))
    assert found == dict(enumerate(ENDS[:count], base))
    assert stamps(meter, vib, encode.minute(CLOCK)) == {}
    assert stamps(meter, vib, encode.day(date(2025, 8, 15), Slot(storage=base)))[base + 3] == date(2025, 5, 15)


#: Labels that are none of the usual: storage 1 the set day, others the end of a period.
LABELS: dict[str, tuple[DeviceId, bytes, dict[int, str]]] = {
    "the standard": (device("ABB", 0x01, 0x07), b"\x13", {}),
    "diehl": (device("HYD", 0x01, 0x07), b"\x13", {3: "month_end"}),
    "evo868": (device("MAD", 0x50, 0x07), b"\x13", {2: "set_day", 8: "month_end"}),
    "istaheat": (device("IST", 0xA9, 0x04), b"\x06", {2: "month_end"}),
    "istawater": (device("IST", 0x31, 0x06), b"\x13", {2: "month_end"}),
    "iuws": (device("ZRI", 0x99, 0x07), b"\x13", {30: "month_end"}),
    "minomess": (device("ZRI", 0x00, 0x16), b"\x13", {8: "month_end"}),
    "caltose": (device("ZRI", 0xFD, 0x08), b"\x6e", {8: "month_end"}),
    "kamwater": (device("KAM", 0x1B, 0x06), b"\x13", {1: "month_end"}),
    "kamheat": (device("KAM", 0x1B, 0x04), b"\x06", {}),
    "qundis": (device("QDS", 0x16, 0x07), b"\x13", {17: "month_end"}),
    "qundis-converter": (device("LSE", 0x35, 0x37), b"\x6e", {17: "month_end"}),
    "aventieswm": (device("AAA", 0x25, 0x07), b"\x13", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_dated_storages(name: str) -> None:
    """Each of forty storages with a date of its own."""
    meter, vib, labels = LABELS[name]
    for storage in range(1, 41):
        (one,) = heard(meter, encode.integer(vib, 5, 4, Slot(storage=storage)) + encode.day(date(2026, 1, 31), Slot(storage=storage))).readings
        wanted = labels.get(storage, "set_day" if storage == 1 else "period_end")
        assert (one.label, one.stamp) == (wanted, date(2026, 1, 31)), storage
        assert one.due == (wanted == "set_day" and vib == b"\x6e")


@pytest.mark.parametrize(
    ("meter", "storage", "sent", "values"),
    [
        (device("ZRI", 0x01, 0x07), 8, "00000080", 0), (device("ZRI", 0x01, 0x07), 1, "00000080", 0), (device("ZRI", 0x01, 0x07), 8, "00000070", 1),
        (device("ZRI", 0x99, 0x07), 30, "00000080", 0), (device("ZRI", 0x99, 0x07), 1, "00000080", 0), (device("ZRI", 0x99, 0x07), 0, "00000080", 0),
        (device("ZRI", 0x99, 0x07), 30, "01000080", 1), (device("ABB", 0x99, 0x07), 30, "00000080", 1),
    ],
)  # fmt: skip
def test_a_month_of_zenner_that_was_never_taken(meter: DeviceId, storage: int, sent: str, values: int) -> None:
    """80000000 as a decimal is no value of these meters; of others it is one."""
    slot = Slot(storage=storage)
    records = encode.bcd(b"\x13", 0, 8, slot)[:-4] + bytes.fromhex(sent) + (encode.day(date(2026, 1, 31), slot) if storage else b"")
    assert len(heard(meter, records).readings) == values


@pytest.mark.parametrize(("kind", "vif", "values"), [(0x06, "5b", 0), (0x07, "67", 0), (0x16, "5b", 0), (0x04, "5b", 1), (0x06, "5f", 1)])
def test_no_temperature_of_a_kamstrup_water_meter(kind: int, vif: str, values: int) -> None:
    """127 °C of the water and the surroundings, in a byte; others have it."""
    for text, found in (("7f", values), ("7e", 1), ("80", 0)):
        assert len(heard(device("KAM", 0x1B, kind), bytes.fromhex(f"01{vif}{text}")).readings) == found
