"""Which records columns read and which they leave to the plain path, by their coding and what their VIF says; both say the same of each."""

import pytest
from both_paths import COLUMNS, PLAIN, Sent, readers

from submeter.decoders import Profile
from submeter.decoders.fast import Decoder
from submeter.reading import DeviceId
from submeter.simulate import encode

WATER, HEAT, ALLOCATOR = (DeviceId("STM", "91000001", 1, kind) for kind in (7, 4, 8))


def read(*payloads: str | bytes, device: DeviceId = WATER, decoder: Decoder | None = None) -> list[str]:
    """Who reads plain telegrams with these records, all in one batch."""
    bodies = (bytes.fromhex(one) if isinstance(one, str) else one for one in payloads)
    sent: list[Sent] = [(encode.radio(device, encode.plain(one, encode.Header())), "wmbus", "nocrc", False, Profile()) for one in bodies]
    return readers(decoder or Decoder(), sent)


#: Every coding of a number, a date, a text, bits and bytes that nobody knows.
CODINGS = """
columns: 0113 07 | 0213 0700 | 0313 070000 | 0413 07000000 | 0613 070000000000 | 0713 0700000000000000
columns: 0913 07 | 0a13 0700 | 0b13 070000 | 0c13 07000000 | 0e13 070000000000 | 0513 0000803f | 0513 0000c07f | 0013 | 0813
columns: 0d13 c2 4523 | 0d13 d2 4523 | 0d13 e2 ff00 | 0d13 e8 0100000000000000 | 0d13 c8 0100000000000000 | 0d13 00 | 0d13 c1 05 | 0d13 d1 5f
plain path: 0d13 e9 010000000000000000 | 0d13 c9 010000000000000000 | 0d13 f0 01000000000000000000000000000000 | 0d13 c0 | 0d13 d0 | 0d13 e0
columns: 0dfd0c 03 414243 | 0d78 03 414243 | 0c78 78563412 | 0278 0100
columns: 026c 3f2c | 046d 1e0d5c2b | 066d c51eed5c2b3f | 036d 051e0d | 016d 05 | 0c6c 12345678 | 086c | 006c | 056c 0000803f | 076d 0000000000000000
plain path: 0d6c c2 3f2c | 0d6d 04 1e0d5c2b
columns: 049316 01000000 | 02ec16 3f2c | 04ee16 01000000 | 0493fc11 ffffffff | 0793fc11 ffffffffffffffff | 0c93fc11 12345678 | 0193fc11 ff
plain path: 049379 05000000 | 02ec79 3f2c | 059378 0000803f | 0c937b 01000000 | 02fd97 79 0100
columns: 02fd17 0100 | 02fd17 0000 | 07fd17 0100000000000000 | 0cfd17 12000000 | 05fd17 0000803f | 42fd17 0100 | 12fd17 0100 | 00fd17 | 0dfd17 c1 05
plain path: 07fd17 00000000000000ff | 0dfd17 01 05 | 02fd9713 0100 | 02fd9713 0000 | 0dfd9713 02 0000 | 0dfd17 01 00
columns: 02fd08 ffff | 07fd08 ffffffffffffffff | 01fd08 80 | 047a 000000ff
columns: 0413 01000000 0f | 0413 01000000 0f 01 | 0413 01000000 1f | 0413 01000000 1f 01 | 1f | 0413 01000000 047f 01020304
plain path: 047f 01020304 | 0d7f 03 010203 | 04ff13 01000000 | 017f 01 | 0f 01 | 046f 01000000
columns: 0413 01000000 0413 | 0413 01000000 0413 01 | 0413 01000000 04 | 0413 01000000 84 | 04 | 2f 04 | 0413 01000000 2f 0413 01 | 3f | 0413 01000000 6f
columns: 0413 01000000 0d13 ca | 0413 01000000 0d13 | 0413 01000000 027c 05 41 | 2f2f 0413 01000000 2f2f | 2f | 027c 03 485225 7b00
"""


ROWS = [(text.strip(), who) for line in CODINGS.strip().splitlines() for who, _, texts in [line.partition(": ")] for text in texts.split("|")]


@pytest.mark.parametrize(("records", "who"), ROWS)
def test_codings(records: str, who: str) -> None:
    """One record of each kind, whole, void or cut: alone, and once more where its layout is known."""
    assert read(records, records) == [who, who]


@pytest.mark.parametrize("exponent", range(-6, 2))
def test_the_end_of_the_dial(exponent: int) -> None:
    """Ten to the tenth cubic metres, on both sides of nought, whatever the power of ten: up to there in columns; beyond it is no reading, which the plain path says."""
    vif, end = bytes([0x16 + exponent]), 10 ** (10 - exponent)
    numbers, wanted = (end - 1, end, end + 1, 1 - end, -end, -end - 1, 0), [COLUMNS, COLUMNS, PLAIN] * 2 + [COLUMNS]
    assert read(*(encode.integer(vif, number, 8) for number in numbers)) == wanted
    shorter = [(number, who) for number, who in zip(numbers, wanted, strict=True) if -(10**11) < number < 10**12]
    assert read(*(encode.bcd(vif, number, 12) for number, _ in shorter)) == [who for _, who in shorter]


@pytest.mark.parametrize(("vif", "end"), [("08", 10**16), ("0f", 10**9), ("03", 10**13), ("fb0f", 85_984_522), ("31", 10**15), ("fb09", 10**7)])
def test_the_end_of_the_dial_in_other_units(vif: str, end: int) -> None:
    """As far as both the number in its own unit and that of the register may go."""
    chain = bytes.fromhex(vif)
    found = [read(encode.integer(chain, number, 8), device=HEAT)[0] for number in (end, end + 1)]
    assert found == [COLUMNS, PLAIN]


@pytest.mark.parametrize(
    ("payloads", "who"),
    [
        (["0413 01000000 0413 02000000"], "c"), (["0413 00000080 0413 02000000"], "p"), (["0413 01000000 0413 00000080"], "c"),
        (["0413 01000000 0413 02000000", "0413 00000080 0413 02000000", "0413 00000080 0413 00000080"], "cpp"),
        (["0413 01000000 0406 02000000", "0413 00000080 0406 02000000"], "cc"), (["0413 ffffffff 0413 02000000"], "p"),
        (["0413 01000000 8410 13 02000000", "0413 00000080 8410 13 02000000"], "cc"), (["0413 00000080 1413 02000000"], "c"),
        (["0413 01000000 0413 02000000 0413 03000000", "0413 00000080 0413 02000000 0413 03000000"], "cp"),
        (["0493fc11 ffffffff 04ff13 01000000"], "p"), (["4413 01000000 426c 3f2c 4413 02000000", "4413 00000080 426c 3f2c 4413 02000000"], "cp"),
        (["4413 01000000 840413 02000000", "4413 00000080 840413 00000080"], "cc"),
    ],
)  # fmt: skip
def test_a_void_number_gives_way_to_the_next_of_its_register(payloads: list[str], who: str) -> None:
    """Of two equal headers the first counts, and the second where that is void: a void one that has a follower is the plain path's."""
    assert read(*payloads) == [COLUMNS if one == "c" else PLAIN for one in who]


@pytest.mark.parametrize(
    ("payloads", "who"),
    [
        (["4413 01000000 426c 3f2c", "4413 01000000 426c 0000", "4413 01000000 426c ffff"], "ccc"),
        (["4413 01000000 426c 3f2c 426c 1f2c", "4413 01000000 426c 0000 426c 1f2c", "4413 01000000 426c 3f2c 426c 0000"], "cpc"),
        (["046d 1e0d5c2b 0413 01000000", "046d 9e0d5c2b 0413 01000000", "046d 1e0d7f2d 0413 01000000"], "ccc"),
        (["046d 1e0d5c2b 046d 1e0d5d2b", "046d 9e0d5c2b 046d 1e0d5d2b", "046d 1e0d5c2b 046d 9e0d5d2b"], "cpc"),
        (["026c 3f2c 026c 1f2c 0413 01000000", "026c 0000 026c 1f2c 0413 01000000"], "cc"),
        (["4413 01000000 526c 3f2c", "4413 01000000 42ec7e 3f2c"], "cc"),
        (["4413 01000000 426c 3f2c 82016c 1f2c 840113 02000000", "4413 01000000 426c 0000 82016c 1f2c 840113 02000000"], "cc"),
        (["4413 01000000 446d 1e0d5c2b", "4413 01000000 446d 9e0d5c2b", "4413 01000000 466d c51eed5c2b3f", "4413 01000000 436d 051e0d"], "cccc"),
        (["4413 01000000 426c 3f2c 446d 1e0d5c2b", "4413 01000000 426c 0000 446d 1e0d5c2b", "4413 01000000 426c 0000 446d 9e0d5c2b"], "cpp"),
    ],
)  # fmt: skip
def test_a_void_date_gives_way_to_the_next_of_its_storage(payloads: list[str], who: str) -> None:
    """Of two dates of a storage, and of two clocks, the first counts, and the second where that is void; any other void date leaves its values undated."""
    assert read(*payloads) == [COLUMNS if one == "c" else PLAIN for one in who]


def test_one_layout_is_for_all_values_and_no_other_header() -> None:
    """Every bit of the bytes that say what stands where is compared, none of those that are data."""
    records = "0c13 11223344 426c 3f2c 4413 01000000 2f 02fd17 0100 0dfd0c 02 4142"
    whole, decoder = bytes.fromhex(records), Decoder()
    assert read(whole, decoder=decoder) == [COLUMNS]
    data = {*range(2, 6), *range(8, 10), *range(12, 16), *range(20, 22), *range(26, 28)}
    for at in range(len(whole)):
        for bit in (0, 3, 4, 7):
            held = decoder.layouts
            changed = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            assert read(changed, decoder=decoder)[0] in {COLUMNS, PLAIN}
            assert (decoder.layouts == held) == (at in data), (at, bit)
            if at not in data:
                decoder = Decoder()
                read(whole, decoder=decoder)


#: Base, its date, a profile: of what kind, direction and spacing; who reads them.
PROFILES = """
4413 88130000 426c be2b 4d9313 0a 74fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a b4fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 34fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a f4fe 0a000000 14000080 c
4413 88130000 426c be2b 4d931f 0a 74fe 0a000000 14000000 c
4413 88130000 426c be2b 4d931e 0a 74fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 74fe ffffffff 14000000 c
4413 88130000 426c be2b 4d9313 0a 74fe 0a000000 ffffffff c
4413 88130000 426c be2b 4d9313 0a 34fe ffffffff 14000000 c
4413 00000080 426c be2b 4d9313 0a 74fe 0a000000 14000000 p
4413 88130000 426c 0000 4d9313 0a 74fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 7401 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 74fd 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 7400 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 64fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 0a 44fe 0a000000 14000000 c
4413 88130000 426c be2b 4d9313 08 71fe 01 02 03 04 05 06 c
4413 88130000 426c be2b 4d9313 08 79fe 01 02 03 04 05 06 c
4413 88130000 426c be2b 4d9313 08 79fe 01 0a 03 04 05 06 c
4413 88130000 426c be2b 4d9313 08 7afe 0100 0200 0300 c
4413 88130000 426c be2b 4d9313 08 73fe 010000 020000 c
4413 88130000 426c be2b 4d9313 0a 77fe 0a00000000000000 p
4413 88130000 426c be2b 4d9313 0a 37fe 0a00000000000000 c
4413 88130000 426c be2b 4d9313 08 76fe 0a0000000000 c
4413 88130000 426c be2b 4d9313 06 70fe 0a000000 c
4413 88130000 426c be2b 4d9313 06 7ffe 0a000000 c
4413 88130000 426c be2b 4d9313 02 74fe c
4413 88130000 426c be2b 4d9313 01 74 c
4413 88130000 426c be2b 4d9313 00 c
4413 88130000 426c be2b 4d9313 0b 74fe 0a000000 14000000 ff c
4d9313 0a 74fe 0a000000 14000000 c
4d9313 0a 34fe 0a000000 14000000 c
426c be2b 4d9313 0a 34fe 0a000000 14000000 c
4409 88130000 426c be2b 4d8913 0a 74fe 0a000000 14000000 p
446e 88130000 426c be2b 4dee13 0a 74fe 0a000000 14000000 c
4513 0000803f 426c be2b 4d9313 0a 74fe 0a000000 14000000 p
4d13 c2 1000 426c be2b 4d9313 0a 74fe 0a000000 14000000 p
4493fc11 88130000 426c be2b 4d93fc9113 0a 74fe 0a000000 14000000 c
449379 88130000 426c be2b 4d931379 0a 74fe 0a000000 14000000 p
449316 88130000 426c be2b 4d931613 0a 74fe 0a000000 14000000 c
"""


@pytest.mark.parametrize(("records", "who"), [tuple(line.rsplit(" ", 1)) for line in PROFILES.strip().splitlines()])
@pytest.mark.parametrize("device", [WATER, ALLOCATOR], ids=["water", "allocator"])
def test_profiles(records: str, who: str, device: DeviceId) -> None:
    """Increments, decrements, differences and values, of each coding, forward and back, with holes and without a base or a date."""
    assert read(records, device=device) == [COLUMNS if who == "c" else PLAIN]
