"""Whose telegrams those of a batch are, and which are receptions of one: told at once for the common ones, and never otherwise than `receive` says."""

import pytest

from submeter.decoders import BadFrame, Profile, Rejected, receive
from submeter.decoders.fast import Decoder, Heard
from submeter.decoders.fast.receiving import received
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.frames import link_address

METER, INNER = DeviceId("STM", "93000001", 0x05, 0x07), DeviceId("SEN", "93000002", 0x06, 0x04)
KEY = bytes(range(16))
VOLUME = encode.bcd(b"\x13", 1234, 8)
SHORT, LONG = encode.plain(VOLUME, encode.Header(access=1)), encode.plain(VOLUME, encode.Header(access=1, address=INNER))
NONE = encode.plain(VOLUME, None)


def layered(body: bytes) -> list[bytes]:
    """A body behind each further layer."""
    session, check = bytes([0x45, 0x23, 0x01, 0x00]), encode.crc(body).to_bytes(2, "little")
    return [
        b"\x8d\x20\x01" + session + check + body, b"\x8e\x20\x01" + link_address(INNER) + body, b"\x8f\x20\x01" + link_address(INNER) + session + check + body,
        b"\x90\x02\x00\x00" + body, b"\x8c\x20\x01\x90\x02\x00\x00" + body, encode.extended_ctr(body, KEY, METER, access=1, session=77),
    ]  # fmt: skip


#: Bodies, and whether their device and key are told at once.
AT_ONCE = [SHORT, LONG, NONE, encode.extended(SHORT, access=1), encode.extended(LONG, access=2), encode.extended(NONE, access=3, control=0x30),
           encode.mode5(VOLUME, encode.Header(access=7), KEY, METER), encode.mode5(VOLUME, encode.Header(access=7, address=INNER), KEY, METER),
           b"\x78", b"\x7a\x01\x00\x00\x00"]  # fmt: skip
ASKED = [one for body in (SHORT, LONG, NONE) for one in layered(body)] + [
    encode.compact(encode.integer(b"\x13", 5, 4)),
    b"\xa5" + VOLUME,
    b"\x5a" + VOLUME,
    b"\x76" + LONG[1:],
]


def told(raws: list[bytes], link: str = "wmbus", form: str = "auto") -> list[tuple[str, bytes] | None]:
    """What is told of telegrams at once; the meter's key is known."""
    decoder = Decoder()
    return received(decoder, decoder.of_devices(Heard.of(raws, link=link, form=form), lambda _: Profile(KEY, whole=False)))


def single(raw: bytes, link: str = "wmbus", form: str = "auto") -> tuple[str, bytes] | None:
    """What `receive` says of one."""
    try:
        device, key = receive(raw, link=link, form=form)
    except (BadFrame, Rejected):
        return None
    return str(device), key


@pytest.mark.parametrize("number", range(len(AT_ONCE)))
def test_the_common_ones_are_told_at_once(number: int) -> None:
    """Records behind any header, sealed or not, bare or behind an extended link layer I."""
    raw = encode.radio(METER, AT_ONCE[number])
    assert told([raw]) == [single(raw)]
    assert single(raw)


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_others_are_asked_of_each(number: int) -> None:
    """Further layers, compact frames, makers' own and commands: nothing is told at once."""
    assert told([encode.radio(METER, ASKED[number])]) == [None]


def test_what_is_told_is_what_each_says() -> None:
    """Of all of them in one batch, of the Diehl group's, of frames with check sums or bytes behind them, and of wired ones."""
    bodies = [*AT_ONCE, *ASKED]
    for meter in (METER, DeviceId("HYD", "93000003", 1, 7), DeviceId("SAP", "93000003", 1, 7)):
        raws = [encode.radio(meter, body) for body in bodies]
        for form, sent in (
            ("auto", raws),
            ("nocrc", raws),
            ("a", list(map(encode.format_a, raws))),
            ("b", list(map(encode.format_b, raws))),
            ("trailing", [raw + b"\x55" for raw in raws]),
        ):
            for raw, one in zip(sent, told(sent, form=form), strict=True):
                assert one in {None, single(raw, form=form)}
                if form not in {"auto", "nocrc"}:
                    assert one is None
    wired = [encode.wired(LONG), encode.wired(NONE)]
    assert told(wired, "mbus") == [None, None]
    assert told([encode.radio(DeviceId("HYD", "93000003", 1, 7), SHORT)]) == [None]


def test_receptions_of_one_telegram_share_what_is_told() -> None:
    """Whatever repeaters changed in the extended link layer, and without it; another body or address is another telegram."""
    repeated = [encode.radio(METER, encode.extended(SHORT, access=access, control=control)) for access in (1, 2) for control in (0x20, 0x30)]
    others = [encode.radio(METER, encode.extended(LONG, access=1)), encode.radio(INNER, encode.extended(SHORT, access=1))]
    found = told([*repeated, encode.radio(METER, SHORT), *others])
    assert len(set(found[:5])) == 1
    assert len(set(found)) == 3
