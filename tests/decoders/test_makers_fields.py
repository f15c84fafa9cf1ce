"""Blocks of makers, byte by byte: what each of them belongs to, how long a block has to be, which values are believed (manufacturer layouts 1 to 9)."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from submeter.decoders import DecodeError, Profile, Record, Telegram, decode
from submeter.decoders.diehl import keystream
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes(range(16))
SHORT = "7a 01 00 0000 "


def device(maker: str, version: int, kind: int) -> DeviceId:
    """A meter of this make."""
    return DeviceId(maker, "39000001", version, kind)


def plainly(meter: DeviceId, head: str = "") -> Callable[[bytes], bytes]:
    """Telegrams of a block behind these bytes of the body."""
    return lambda block: encode.radio(meter, bytes.fromhex(head) + block)


def na1(block: bytes) -> bytes:
    """A telegram of an Apator NA-1 with this plain block."""
    raw = encode.radio(device("APA", 0x14, 0x07), b"\xa0\x07\x00")
    cipher = Cipher(algorithms.AES(KEY), modes.CBC(raw[2:10] + b"\x07" * 8)).encryptor()
    return encode.radio(device("APA", 0x14, 0x07), b"\xa0\x07\x00" + cipher.update(block))


def izar(block: bytes) -> bytes:
    """A PRIOS telegram: its three header bytes, then plain text, opened by the first published key."""
    head = bytes.fromhex("2423850702000033a2") + block[:3]
    cipher = bytes(a ^ b for a, b in zip(block[3:], keystream(bytes.fromhex("39BC8A10E66D83F8"), head, len(block) - 3), strict=True))
    frame = b"\x44" + head + b"\x13" + cipher
    return bytes([len(frame)]) + frame


def heard(raw: bytes) -> Telegram:
    """Decode; the one meter with a key is the NA-1."""
    return decode(raw, lambda found: Profile(KEY if found.version == 0x14 else None))


def named(record: Record) -> str:
    """Quantity, words, storage and function of a record."""
    parts = (record.quantity, *record.modifiers, f"@{record.storage}" * bool(record.storage), f"f{record.function}" * bool(record.function))
    return "/".join(part for part in parts if part)


def what_it_says(raw: bytes) -> dict[str, object] | None:
    """Values and flags of the records by name, those of the maker's block as a whole left out; None for a telegram that is refused."""
    try:
        found = heard(raw).records
    except DecodeError:
        return None
    return {named(one): (one.value, one.flags) for one in found if one.quantity != "manufacturer"}


#: How a telegram with a block is made, and a block.
BLOCKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "apatorna1": (na1, "00 00001000 0060e32d 0500 010000 00 00"),
    "apatoreitn": (plainly(device("APT", 0x04, 0x08), "a0"), "a1 0000 5900 1c27 0100 322d e413 b415"),
    "apatoreitn, marked": (plainly(device("APA", 0x04, 0x08), "b6 03 aaa0bb a0"), "a1 0000 5900 1c27 0100 322d e413 b415"),
    "apator08": (plainly(device("APT", 0x0F, 0x0F), "a0"), "f2421400 0000"),
    "apator172": (plainly(device("APT", 0x04, 0x11), "a0"), "1d540000 0000"),
    "apator162": (plainly(device("APA", 0x05, 0x07), SHORT), "0f 334da39a000000 7101 1abf0d00 039a0d00 10 cecc0d00 ff 8943"),
    "mkradio3": (plainly(device("TCH", 0x74, 0x62), "a2"), "06 9f25 5900 b029 3100 00"),
    "fhkvdataiii": (plainly(device("TCH", 0x61, 0x80), "a0"), "11 9f29 2d00 5024 0400 11 bd08 3809"),
    "fhkvdataiii-69": (plainly(device("TCH", 0x69, 0x80), "a0"), "11 9f29 2d00 5024 0400 bd08 3809 00"),
    "fhkvdataiii-94": (plainly(device("TCH", 0x94, 0x80), "a0"), "0f 9f29 2d00 5024 0400 11 bd08 3809"),
    "compact5": (plainly(device("TCH", 0x39, 0x43), "a2"), "10 9f2f 13c500 60 8f1d00 00"),
    "compact5-45": (plainly(device("TCH", 0x45, 0xC3), "a1"), "10 9f2f 13c500 60 8f1d00 00"),
    "compact5-57": (plainly(device("TCH", 0x57, 0x44), "a1"), "10 9f2f 13c500 60 8f1d00 00"),
    "vario451": (plainly(device("TCH", 0x27, 0x04), "a2"), "12 9f25 3833 00a8 6226 00"),
    "tsd2": (plainly(device("TCH", 0x76, 0xF0), "a0"), "00 9f25 00000000 9f25"),
    "izar": (izar, "01403d 4b a00d0000 9e0d0000 7e29 00"),
    "bfw240radio": (plainly(device("BFW", 0x02, 0x08), SHORT), "2f2f 001f 03c1 0388 152a" + "c1321d" * 9 + "280221"),
    "zenner0b": (plainly(device("ZRI", 0x0B, 0x16), SHORT + "0f"), "00000000 80bf1b00 00a64200 00"),
    "gwf": (plainly(device("GWF", 0x3C, 0x07), SHORT + "0413 01000000 0f"), "01 00 80 00"),
    "hydroclima, 10": (plainly(device("BMP", 0x53, 0x08), SHORT + "036e 010000 0f"), "10 0000 0000 7f2c 3408 b80b 7e2c 0900 3508 b90b 0700 010203 00"),
    "hydroclima, 11": (
        plainly(device("BMP", 0x53, 0x08), SHORT + "036e 010000 0f"),
        "11 0000 0000 7f2c 7e2c 3408 b80b 3508 7d2c b90b 3608 0100 0200 0300 0400 0a08 0b08 0c08 010203040506070809 010203 00",
    ),
    "hydrodigit": (
        plainly(device("BMT", 0x13, 0x07), SHORT + "046d 1e0d5c2b 0f"),
        "97 0a 80 240115 240116 0f000000" + "".join((256 * month + 7).to_bytes(3, "little").hex() for month in range(12)),
    ),
    "qundis": (
        plainly(device("QDS", 0x16, 0x07), SHORT + "0dff5f35"),
        "00 82 07 0000000007 c1 13 9f2c 97000000 9f2c 70020000 be26 97000000" + "0100" * 12 + "2f",
    ),
    "rfmtx1": (plainly(device("BMT", 0x05, 0x07), "7a"), "a5 00 0610 0000 f78184ab 00000000000000 300510310320 00"),
}  # fmt: skip
#: What each byte of them belongs to, from the first on: how many bytes, what changes with them; `!` where it may be refused, `-` for bytes that mean nothing.
MEANS = {
    "apatorna1": "1 - · 2 volume volume/@1 · 2 ! volume volume/@1 · 3 date_time date_time/@1 · 1 ! date_time date_time/@1 · 1 date_time/@1 historic_age"
                 " · 1 date_time/@1 historic_age volume/@1 · 1 volume/@1 · 1 ! volume/@1 · 1 ! · 1 status_flags · 1 status_historic",
    "apatoreitn": "1 date/@1 · 2 - · 2 hca/@1 · 2 seal_date seal_word · 2 hca · 2 date · 2 temperature_ambient/average/@1 · 2 temperature_ambient/average",
    "apator08": "4 volume · 2 -",
    "apator172": "2 volume · 1 ! volume · 1 ! · 2 -",
    "apator162": "8 - · 1 volume volume/@1 volume/@2 · 1 - · 4 volume/@1 · 4 volume/@2 · 5 volume · 3 -",
    "mkradio3": "1 - · 1 date/@1 · 1 ! date date/@1 · 2 volume/@1 volume/since_two_set_days · 2 date · 2 volume volume/since_two_set_days · 1 -",
    "fhkvdataiii": "1 - · 1 date/@1 · 1 ! date date/@1 · 2 hca/@1 hca/since_two_set_days · 2 date · 2 hca hca/since_two_set_days · 5 -",
    "fhkvdataiii-69": "1 - · 1 date/@1 · 1 ! date date/@1 · 2 hca/@1 hca/since_two_set_days · 2 date · 2 hca hca/since_two_set_days"
                      " · 2 temperature_ambient · 2 temperature_radiator · 1 -",
    "fhkvdataiii-94": "1 - · 1 date/@1 · 1 ! date date/@1 · 2 hca/@1 hca/since_two_set_days · 2 date · 2 hca hca/since_two_set_days"
                      " · 1 - · 2 temperature_ambient · 2 temperature_radiator",
    "compact5": "1 - · 1 date/@1 · 1 ! date/@1 · 3 energy/@1 energy/since_two_set_days · 1 - · 3 energy energy/since_two_set_days · 1 -",
    "vario451": "1 - · 1 date/@1 · 1 ! date/@1 · 2 energy/@1 energy/since_two_set_days · 2 - · 2 energy energy/since_two_set_days · 1 -",
    "tsd2": "1 smoke_status · 1 date/@1 · 1 ! date/@1 · 6 -",
    "izar": "1 status_flags transmission_period · 1 battery_days status_flags · 1 status_flags · 1 ! · 2 ! volume · 1 volume · 1 ! volume"
            " · 1 volume/@1 · 1 ! volume/@1 · 2 ! · 1 ! date/@1 · 1 ! date/@1 · 1 -",
    "bfw240radio": "2 ! · 2 - · 2 date/@1 hca/@1 · 2 hca · 2 - "
                   + "".join(f"· 1 hca/@{month} · 1 hca/@{month - 1} hca/@{month} · 1 hca/@{month - 1} " for month in range(19, 3, -2))
                   + "· 1 date/@1 hca/@3 · 1 date/@1 hca/@2 hca/@3 · 1 hca/@2 · 1 ! date · 1 ! date date/@1 · 1 ! date date/@1",
    "zenner0b": "4 status_flags · 4 volume/@1 · 4 volume · 1 -",
    "gwf": "1 battery_days power_mode status_flags · 1 status_flags · 1 battery_days power_mode · 1 -",
    "hydroclima, 10": "1 * · 2 status_flags · 2 - · 2 date · 2 temperature_ambient/average · 2 temperature_ambient/f1 · 2 date/f1 · 2 measurement_count"
                      " · 2 temperature_ambient/average/last_month · 2 temperature_radiator/average/last_month · 2 hca/indication · 3 hca_total · 1 -",
    "hydroclima, 11": "1 * · 2 status_flags · 2 - · 2 date · 2 case_opened · 2 temperature_radiator/average · 2 temperature_ambient/average"
                      " · 2 temperature_ambient/last_period/f1 · 2 date/f1 · 2 temperature_radiator/average/last_period · 2 temperature_ambient/average/last_period"
                      " · 2 hca/period/@1 · 2 hca/period/@2 · 2 hca/period/@3 · 2 hca/period/@4 · 2 temperature_ambient/period/@1 · 2 temperature_ambient/period/@2"
                      " · 2 temperature_ambient/period/@3 · 9 temperature_classes · 3 hca_total · 1 -",
    "hydrodigit": "1 * · 1 battery_voltage · 1 fraud_type · 3 fraud_date · 3 leak_date · 4 volume_backflow "
                  + " ".join(f"· 3 volume/@{storage}" for storage in range(2, 14)),
    "qundis": "2 * · 1 - · 4 - · 3 * · 2 date/f3 · 4 volume · 2 date/@1 · 4 volume/@1 · 2 date/@17 · 4 volume/@17 "
              + " ".join(f"· 2 volume/difference/@{storage}" for storage in range(28, 16, -1)) + " · 1 -",
    "rfmtx1": "1 * · 1 - · 1 ! · 1 * · 2 - · 2 ! volume · 2 volume · 7 - · 4 ! date_time · 1 ! · 1 ! date_time · 1 -",
}  # fmt: skip
MEANS |= {"apatoreitn, marked": MEANS["apatoreitn"], "compact5-45": MEANS["compact5"], "compact5-57": MEANS["compact5"]}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_byte_of_a_block_belongs_to_its_values(name: str) -> None:
    """Bits of a byte turned, one at a time: the values of the table change, and no others (`*`: most of them, since the byte says what all of it is)."""
    make, text = BLOCKS[name]
    block = bytes.fromhex(text)
    whole = what_it_says(make(block))
    assert whole is not None
    wanted = [set(what.split()) - {"-"} for part in MEANS[name].split("·") for number, what in [part.split(maxsplit=1)] for _ in range(int(number))]
    assert len(wanted) == len(block)
    for at, names in enumerate(wanted):
        seen: set[str] = set()
        for bit in (0, 3, 4, 7):
            changed = what_it_says(make(block[:at] + bytes([block[at] ^ 1 << bit]) + block[at + 1 :]))
            seen |= {"!"} if changed is None else {one for one in {*whole, *changed} if whole.get(one) != changed.get(one)}
        assert seen == names or ("*" in names and len(seen) > 0), (at, seen)


#: Bytes that a block needs at least, behind what stands in front of it.
SIZES = {
    "apatorna1": 16, "apatoreitn": 11, "apatoreitn, marked": 11, "apator08": 4, "apator172": 4, "mkradio3": 9, "fhkvdataiii": 9,
    "fhkvdataiii-69": 9, "fhkvdataiii-94": 9, "compact5": 10, "compact5-45": 10, "compact5-57": 10, "vario451": 9, "tsd2": 3, "izar": 8, "bfw240radio": 40,
    "zenner0b": 12, "gwf": 3, "hydroclima, 10": 24, "hydroclima, 11": 47, "rfmtx1": 23,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_a_block_needs_its_bytes(name: str) -> None:
    """With so many it is read, with one less it is none: refused, or left as it came."""
    make, text = BLOCKS[name]
    block, size = bytes.fromhex(text), SIZES[name]
    if name == "apatorna1":
        with pytest.raises(DecodeError):
            heard(encode.radio(device("APA", 0x14, 0x07), b"\xa0\x07\x00" + bytes(15)))
        return
    whole, cut = what_it_says(make(block[:size])), what_it_says(make(block[: size - 1]))
    assert whole is not None
    assert len(whole) > len(cut or {})
    assert not cut or not {*cut} - {"hca", "volume"}


@pytest.mark.parametrize(
    ("name", "at", "text", "read"),
    [
        ("apator08", 0, f"{3_000_000_000:08x}", True), ("apator08", 0, f"{3_000_000_001:08x}", False), ("apator172", 0, f"{3_000_000:08x}", True),
        ("apator172", 0, f"{3_000_001:08x}", False), ("izar", 4, f"{100_000_000:08x}", True), ("izar", 4, f"{100_000_001:08x}", False),
        ("izar", 8, f"{0xDA0:08x}", True), ("izar", 8, f"{0xDA1:08x}", False), ("apatoreitn", 9, "0000", True), ("apatoreitn", 0, "00", True), ("apatoreitn", 0, "0000000000000000000000", False),
        ("apatorna1", 5, f"{(date(2010, 1, 1) - date(2000, 1, 1)).days * 86400:08x}", True), ("apatorna1", 5, "00000000", False),
        ("apatorna1", 5, f"{(date(2010, 1, 1) - date(2000, 1, 1)).days * 86400 - 1:08x}", False),
        ("mkradio3", 1, f"{80 << 9 | 1 << 5 | 1:04x}", True), ("mkradio3", 1, f"{81 << 9 | 1 << 5 | 1:04x}", False), ("mkradio3", 1, "0000", True),
        ("mkradio3", 1, "ffff", True), ("mkradio3", 1, "ffe0", False),
    ],
)  # fmt: skip
def test_what_is_believed_of_a_block_without_a_check(name: str, at: int, text: str, read: bool) -> None:
    """The largest value, a stored one above the present one, the years of a date: at their ends, and one beyond."""
    make, sent = BLOCKS[name]
    block, data = bytearray(bytes.fromhex(sent)), bytes.fromhex(text)[::-1]
    block[at : at + len(data)] = data
    if name == "apatorna1":
        block[9] = 0
    assert (what_it_says(make(bytes(block))) is not None) == read


def total(block: str) -> tuple[Decimal, Decimal, Decimal]:
    """Present and older total, and the age of the older one, of an NA-1 with this block."""
    said = what_it_says(na1(bytes.fromhex(block)))
    assert said is not None
    return tuple(said[name][0] for name in ("volume", "volume/@1", "historic_age"))  # type: ignore[index,return-value]


@pytest.mark.parametrize("bit", [0, 1, 2, 3, *range(8, 26)])
def test_the_packed_total_of_an_na1(bit: int) -> None:
    """Bits 0 to 3 and 8 to 31 are the number, 4 and 5 the power of ten of its litres."""
    for exponent in range(4):
        litres = (1 << (bit if bit < 4 else bit - 4)) * 10**exponent
        if litres <= 100_000_000:
            packed = (1 << bit | exponent << 4).to_bytes(4, "little").hex()
            assert total(f"00 {packed} 0060e32d 0000 000000 00 00")[:2] == (Decimal(litres) / 1000,) * 2


@pytest.mark.parametrize("bit", range(14))
def test_the_age_of_the_older_total_of_an_na1(bit: int) -> None:
    """Fourteen bits of hours, the two lowest bits of the second byte being the difference's."""
    low, high = (1 << bit) & 0xFF, (1 << bit) >> 8 << 2
    assert total(f"00 00001000 0060e32d {low:02x}{high:02x} 000000 00 00")[2] == 1 << bit


@pytest.mark.parametrize("bit", range(16))
def test_the_difference_of_the_totals_of_an_na1(bit: int) -> None:
    """Two bits beside the age, then three bytes, in the unit of the total."""
    low, rest = (1 << bit) & 3, (1 << bit) >> 2
    now, then, _ = total(f"00 21001000 0060e32d 00{low:02x} {rest.to_bytes(3, 'little').hex()} 00 00")
    assert now - then == Decimal(1 << bit) / 10


@pytest.mark.parametrize("nibble", range(16))
def test_an_izar_tells_its_period_and_its_battery(nibble: int) -> None:
    """Four seconds times two to the low nibble; half years in five bits."""
    for high in (0, 0x70, 0x80):
        said = what_it_says(izar(bytes([high | nibble, 0xE0 | nibble, 0]) + bytes.fromhex("4b a00d0000 9e0d0000 7e29")))
        assert said is not None
        assert said["transmission_period"][0] == 4 << nibble  # type: ignore[index]
        assert said["battery_days"][0] == Decimal(nibble) / 2  # type: ignore[index]


@pytest.mark.parametrize("row", range(16))
def test_masks_of_an_rfmtx1(row: int) -> None:
    """The published table: a byte of the total is masked with the access number and with its own of the row that the low digit names."""
    masks = "7A101A0A 70132213 B90B8E99 79074A16 079ACB69 32A1390E 9C7E6099 B4C480A3 0ACE1903 F005A586 1698115E 0CC97DA2 4A48E41F 772E8AE8 BD78578C 396F2805"
    for access in (row, 0xA0 | row):
        sent = bytes(one ^ access ^ mask for one, mask in zip(bytes.fromhex("60851800"), bytes.fromhex(masks.split()[row]), strict=True))
        block = bytes([access]) + bytes.fromhex("00 0610 0000") + sent + bytes.fromhex("00000000000000 300510310320")
        said = what_it_says(BLOCKS["rfmtx1"][0](block))
        assert said is not None
        assert said["volume"][0] == Decimal("188.560")  # type: ignore[index]


@pytest.mark.parametrize("blocks", range(32))
def test_a_hydrodigit_has_its_blocks_in_one_order(blocks: int) -> None:
    """Battery, fraud, leak, backflow, months: whichever are there, one behind the other; what is cut is told, and what stands before it is read."""
    parts = {0x01: "0a", 0x02: "80240115", 0x80: "240116", 0x04: "0f000000", 0x10: "640000" * 12}
    names = {0x01: "battery_voltage", 0x02: "fraud_date", 0x80: "leak_date", 0x04: "volume_backflow", 0x10: "volume/@2"}
    bits = [bit for number, bit in enumerate(parts) if blocks >> number & 1]
    data = bytes([sum(bits) | 0x68]) + bytes.fromhex("".join(parts[bit] for bit in bits))
    telegram = heard(BLOCKS["hydrodigit"][0](data))
    assert {named(one) for one in telegram.records} & {*names.values()} == {names[bit] for bit in bits}
    assert telegram.notes == ()
    if bits:
        cut = heard(BLOCKS["hydrodigit"][0](data[:-1]))
        assert {named(one) for one in cut.records} & {*names.values()} == {names[bit] for bit in bits[:-1]}
        assert cut.notes == (f"byte {len(data) - len(bytes.fromhex(parts[bits[-1]]))}: block {bits[-1]:02X}h runs over the end",)


@pytest.mark.parametrize("month", range(1, 13))
def test_months_of_a_hydrodigit_are_those_before_its_clock(month: int) -> None:
    """January to December: those before the clock's month are of its year, its own and the later ones of the year before; ten million and more are none."""
    clock = encode.minute(datetime(2024, month, 15, 12, 0))
    raw = encode.radio(
        device("BMT", 0x13, 0x07), encode.plain(clock + b"\x0f\x10" + b"\x64\0\0" * 11 + (10_000_000).to_bytes(3, "little"), encode.Header())
    )
    stamps = [one.stamp for one in heard(raw).readings]
    first_of_next = [date(2024 - (number >= month) + number // 12, number % 12 + 1, 1) for number in range(1, 12)]
    assert stamps == [one - timedelta(days=1) for one in first_of_next]
    last = raw[:-3] + (9_999_999).to_bytes(3, "little")
    assert heard(last).readings[-1].value == 99_999_990_000


@pytest.mark.parametrize(("set_day", "word", "day"), [
    ((2023, 12, 31), (1, 1), "2024-01-01"), ((2023, 12, 31), (31, 12), "2024-12-31"), ((2023, 4, 30), (1, 5), "2023-05-01"), ((2023, 4, 30), (30, 4), "2024-04-30"),
    ((2023, 4, 30), (29, 4), "2024-04-29"), ((2023, 4, 29), (30, 4), "2023-04-30"), ((2023, 4, 30), (31, 3), "2024-03-31"), ((2023, 4, 30), (0, 5), "2023-05-01"),
    ((2023, 4, 30), (5, 0), "2023-12-05"), ((2023, 4, 30), (29, 2), "2024-02-29"), ((2022, 4, 30), (29, 2), None), ((2023, 4, 30), (31, 6), None),
    ((2023, 4, 30), (1, 13), None),
])  # fmt: skip
def test_a_techem_day_without_a_year(set_day: tuple[int, int, int], word: tuple[int, int], day: str | None) -> None:
    """The first such day behind the set day; day 0 is the first, month 0 December; one that no month has is none."""
    sent = (set_day[0] - 2000) << 9 | set_day[1] << 5 | set_day[2]
    said = what_it_says(
        BLOCKS["mkradio3"][0](b"\x06" + sent.to_bytes(2, "little") + b"\x59\0" + (word[0] << 4 | word[1] << 9).to_bytes(2, "little") + b"\x31\0")
    )
    assert said is not None
    found = said["date"][0]  # type: ignore[index]
    assert (str(found) if found else None) == day


@pytest.mark.parametrize("day", range(1, 32))
def test_half_months_of_an_mkradio3a(day: int) -> None:
    """Twelve months in halves, the newest first; to the 15th the newest half is the month's only one."""
    halves = range(1, 25)
    word = 24 << 9 | 10 << 5 | day
    raw = encode.radio(device("TCH", 0x50, 0x72), b"\xa2\x0c\0" + word.to_bytes(2, "little") + (9000).to_bytes(3, "little") + b"".join(
        bytes([0xEE, halves[2 * month], halves[2 * month + 1]]) for month in range(12)
    ))  # fmt: skip
    first = 1 if day <= 15 else 2
    wanted, left, end = [], 9000 - sum(halves[:first]), date(2024, 9, 30)
    for at in range(first, 25 - first, 2):
        wanted.append((end, left * 100_000))
        left, end = left - sum(halves[at : at + 2]), end.replace(day=1) - timedelta(days=1)
    found = [(one.stamp, one.value) for one in heard(raw).readings if one.stamp]
    assert found[: len(wanted)] == wanted
    assert len(found) == 12


@pytest.mark.parametrize("back", range(13))
def test_a_bfw_restarted_where_its_units_fell(back: int) -> None:
    """The newest month end with the previous period's value behind which less was shown, within a year; it and the one twelve months before are due."""
    months = [10 * (back - number) if number < back else 500 - 10 * (number - back) for number in range(18)]
    groups = b"".join(bytes([old & 0xFF, old >> 8 << 4 | new >> 8, new & 0xFF]) for new, old in zip(months[::2], months[1::2], strict=True))
    triples = b"".join(groups[at : at + 3] for at in range(24, -1, -3))
    block = b"\x2f\x2f\0\x1f" + (500).to_bytes(2, "big") + (10 * back + 5).to_bytes(2, "big") + b"\x15\x2a" + triples + bytes.fromhex("150324")
    readings = heard(BLOCKS["bfw240radio"][0](block)).readings
    ends = [date(year, month, monthrange(year, month)[1]) for year in (2024, 2023) for month in range(12, 0, -1)][10:]
    due = [one.stamp for one in readings if one.due]
    if back < 12:
        assert ends[back] in due
        assert [one.value for one in readings if one.stamp and not one.due][:back] == [1_000_000 * value for value in months[:back]]
    else:
        assert due == []


@pytest.mark.parametrize(
    ("end", "used", "values"),
    [
        (10, [4, 3, 3, 1], [6, 3, 0]), (10, [10], [0] * 12), (10, [11], []), (10, [4, -5, 2], [6, 11, *[9] * 10]), (10, [4, None, 2], [6]), (0, [0, 0], [0] * 12), (10, [], [10] * 12),
    ],
)  # fmt: skip
def test_month_ends_of_a_qundis_allocator_lead_back_to_nought(end: int, used: list[int | None], values: list[int]) -> None:
    """The month end's value less one difference after the other, the newest first, as long as it is none below nought and no difference is void."""
    months = [*used, *([0] * 12)][:12]
    sent = b"".join(b"\x00\x80" if one is None else one.to_bytes(2, "little", signed=True) for one in months[::-1])
    head = bytes.fromhex(f"00 82 07 0000000007 b0 6e ffff {end:02d}000000 7f2c 00000000 be26 {end:02d}000000")
    raw = encode.radio(device("QDS", 0x16, 0x08), bytes.fromhex(SHORT + "0dff5f35") + head + sent + b"\x2f")
    found = {one.stamp: one.value for one in heard(raw).readings if one.label == "month_end"}
    ends = [date(year, month, monthrange(year, month)[1]) for year in (2021, 2020) for month in range(12, 0, -1)][6:]
    assert found == {day: 1_000_000 * value for day, value in zip(ends, [end, *values], strict=False)}
