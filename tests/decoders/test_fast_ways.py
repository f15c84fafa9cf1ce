"""Who reads a telegram, by how it is protected and what its device's profile allows: columns read whatever the plain path reads and they can open."""

from itertools import product

import numpy as np
import pytest
from both_paths import COLUMNS, NOBODY, PLAIN, Sent, readers
from meter_vectors import Vector, vectors

from submeter.decoders import ELL_CTR, Profile
from submeter.decoders.fast import Decoder, Heard, envelope, keys, singly
from submeter.decoders.fast.envelope import read_frames
from submeter.decoders.fast.keys import (
    ALLOWS_PLAIN,
    ALLOWS_SEALED,
    ALLOWS_SESSION,
    HAS_KEY,
    NOTHING,
    PINNED_PLAIN,
    WHOLE,
    Keys,
    Ways,
    open_blocks,
)
from submeter.decoders.frame import Frame, parse_frame
from submeter.decoders.layers import device_of
from submeter.decoders.telegram import Plain, open_frame
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.frames import link_address

METER = DeviceId("SIM", "12345678", 0x01, 0x04)
OTHER = DeviceId("SIM", "87654321", 0x02, 0x07)
KEY, WRONG = bytes(range(16)), bytes(16)
VOLUME = encode.bcd(b"\x13", 1234, 8)
PROFILES = {
    "open": Profile(), "key": Profile(KEY), "rest": Profile(KEY, whole=False), "key, plain": Profile(KEY, 0), "plain": Profile(mode=0),
    "mode 5": Profile(KEY, 5), "mode 5, no key": Profile(mode=5), "mode 7": Profile(KEY, 7), "session": Profile(KEY, ELL_CTR),
    "wrong": Profile(WRONG), "short": Profile(KEY[:8]), "long": Profile(KEY + KEY[:8]),
}  # fmt: skip


def framed(link: str, body: bytes) -> bytes:
    """A frame of the link."""
    return encode.wired(body) if link == "mbus" else encode.radio(METER, body)


def protected(link: str, mode: int, blocks: int, content: str) -> bytes:
    """A telegram with this mode and number of blocks in its configuration word; `content`: truly sealed, in clear behind 2F2F, or records alone."""
    header = encode.Header(access=7, address=METER if link == "mbus" else None)
    sealed = encode.mode5(VOLUME + b"\x2f" * 10, header, KEY, METER)
    at = len(sealed) - 32
    inside = {"sealed": sealed[at:], "clear": (b"\x2f\x2f" + VOLUME).ljust(32, b"\x2f"), "records": VOLUME.ljust(32, b"\x2f")}[content]
    return framed(link, sealed[: at - 2] + bytes([blocks << 4, mode]) + inside)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("link", ["wmbus", "mbus"])
def test_what_the_plain_path_reads_is_read_by_columns(link: str, profile: Profile) -> None:
    """Every mode, none to more blocks than there are, sealed and in clear, from a source that decrypts and from others: nothing is left to the plain path."""
    ways = product(range(32), (0, 1, 2, 3, 15), ("sealed", "clear", "records"), (False, True))
    sent: list[Sent] = [(protected(link, mode, blocks, content), link, "auto", decrypted, profile) for mode, blocks, content, decrypted in ways]
    assert PLAIN not in readers(Decoder(), sent)


@pytest.mark.parametrize(
    ("link", "mode", "blocks", "content", "decrypted", "readers_"),
    [
        ("wmbus", 0, 0, "records", False, "open plain key,plain"),
        ("wmbus", 5, 0, "records", False, "open plain key,plain"),
        ("wmbus", 5, 2, "sealed", False, "key rest mode5"),
        ("wmbus", 5, 2, "clear", True, "open key rest mode5 wrong short long mode5,nokey"),
        ("wmbus", 5, 2, "clear", False, ""),
        ("wmbus", 5, 3, "sealed", False, ""),
        ("wmbus", 1, 2, "records", False, ""),
        ("mbus", 0, 0, "records", False, "open plain key,plain"),
        ("mbus", 1, 2, "records", False, "open plain key,plain"),
        ("mbus", 5, 2, "sealed", False, "key rest mode5 plain key,plain"),
        ("mbus", 5, 2, "records", False, "plain key,plain"),
        ("mbus", 7, 2, "records", False, "plain key,plain"),
    ],
)  # fmt: skip
def test_who_may_speak_how(link: str, mode: int, blocks: int, content: str, decrypted: bool, readers_: str) -> None:
    """By profile: which of them lets columns read such a telegram; under all others nobody does."""
    sent: list[Sent] = [(protected(link, mode, blocks, content), link, "auto", decrypted, profile) for profile in PROFILES.values()]
    found = dict(zip(PROFILES, readers(Decoder(), sent), strict=True))
    assert {name.replace(" ", "") for name, who in found.items() if who == COLUMNS} == set(readers_.split())
    assert {who for who in found.values() if who != COLUMNS} <= {NOBODY}


#: Fourteen bytes of records or filler, which with 2F2F are a block: they end with it, before it, and in the rest.
BLOCK = {"with": "0413 07000000 063b 050000000000", "before": "0413 07000000 043b 05000000 2f2f", "behind": "0413 07000000 043b 05000000 022b"}


@pytest.mark.parametrize(
    ("ends", "rest", "whole", "pinned"),
    [
        ("with", "", COLUMNS, COLUMNS), ("with", "2f", COLUMNS, COLUMNS), ("with", "2f" * 16, COLUMNS, COLUMNS), ("with", "0413 01000000", NOBODY, COLUMNS),
        ("with", "2f 0113 01", NOBODY, COLUMNS), ("with", "04", NOBODY, COLUMNS), ("with", "0f", NOBODY, COLUMNS), ("with", "0f 01", NOBODY, COLUMNS),
        ("before", "", COLUMNS, COLUMNS), ("before", "2f2f", COLUMNS, COLUMNS), ("before", "2f 0f", NOBODY, COLUMNS), ("before", "1f", NOBODY, COLUMNS),
        ("before", "1f 01", NOBODY, COLUMNS), ("before", "2f2f 0213 0100", NOBODY, COLUMNS),
        ("behind", "0000", NOBODY, COLUMNS), ("behind", "2f2f", PLAIN, COLUMNS), ("behind", "00", NOBODY, COLUMNS), ("behind", "", COLUMNS, COLUMNS),
    ],
)  # fmt: skip
def test_what_may_stand_behind_the_sealed_blocks(ends: str, rest: str, whole: str, pinned: str) -> None:
    """Only filler, unless the device is pinned to send a rest; a bare mark of manufacturer data is none. A value that looks like filler is the plain path's to judge."""
    body = encode.mode5(bytes.fromhex(BLOCK[ends]), encode.Header(access=7), KEY, METER)
    raw = encode.radio(METER, body + bytes.fromhex(rest))
    sent: list[Sent] = [(raw, "wmbus", "auto", False, Profile(KEY, whole=one)) for one in (True, False)]
    assert readers(Decoder(), sent) == [whole, pinned]
    assert readers(Decoder(), sent[::-1]) == [pinned, whole]


def test_blocks_are_chained_each_by_its_own_key() -> None:
    """Telegrams of one to twelve blocks, keys and access numbers of their own, short and long headers in one batch."""
    sent: list[Sent] = []
    for blocks, header in product(range(1, 13), (None, OTHER)):
        key, text = bytes([blocks]) * 16, encode.text(b"\x78", "".join(map(chr, range(40, 40 + 16 * blocks - 12))))
        body = encode.mode5(text + VOLUME, encode.Header(access=blocks * 17, address=header), key, METER)
        sent.append((encode.radio(METER, body), "wmbus", "auto", False, Profile(key)))
    assert readers(Decoder(), sent) == [COLUMNS] * 24


SESSIONS = {
    "records": encode.plain(VOLUME, None), "short header": encode.plain(VOLUME, encode.Header(access=3)), "compact": encode.compact(encode.integer(b"\x13", 5, 4)),
    "long header": encode.plain(VOLUME, encode.Header(access=3, address=METER)), "another meter": encode.plain(VOLUME, encode.Header(access=3, address=OTHER)),
    "nothing": b"\x78", "command": b"\x5a" + VOLUME, "own": b"\xa5" + VOLUME, "nothing at all": b"",
}  # fmt: skip
READABLE = {"records", "short header", "long header", "another meter", "nothing"}


#: As sent, the same damaged; in clear under a header that says encrypted; not encrypted; under ciphers that are not read: each from a source that does not decrypt, and one that does.
@pytest.mark.parametrize(
    ("names", "read"),
    [
        ("key|rest|session", "cc .. .c .. .. .."), ("open", ".. .. .c cc .. .."), ("key, plain|plain", ".. .. .. cc .. .."),
        ("mode 5|mode 7|mode 5, no key", ".. .. .. .. .. .."), ("wrong|short|long", ".. .. .c .. .. .."),
    ],
)  # fmt: skip
def test_sessions_are_opened_in_columns(names: str, read: str) -> None:
    """Encrypted extended link layers with records behind any header, with nothing, a command, an unknown compact or a maker's own frame: who reads them, by profile."""
    for name, (number, (content, body)) in product(names.split("|"), enumerate(SESSIONS.items())):
        raw = encode.radio(METER, encode.extended_ctr(body, KEY, METER, access=5, session=number << 8 | 0x77, control=0x20 + number))
        clear = raw[:17] + encode.crc(body).to_bytes(2, "little") + body
        variants = (raw, raw[:-1] + bytes([raw[-1] ^ 1]), clear, *(clear[:16] + bytes([kind << 5]) + clear[17:] for kind in (0, 2, 7)))
        sent: list[Sent] = [(one, "wmbus", "nocrc", decrypted, PROFILES[name]) for one in variants for decrypted in (False, True)]
        wanted = [COLUMNS if who == "c" and content in READABLE else NOBODY for who in read.replace(" ", "")]
        assert readers(Decoder(), sent) == wanted, (name, content)


def test_sessions_of_many_meters_have_their_own_streams() -> None:
    """Bodies of any length beside one another, each by its key, session, control field and address; counters are those of the sessions."""
    sent: list[Sent] = []
    for number in range(40):
        device, key = DeviceId("SIM", f"{number:08d}", 1, 4), bytes([number]) * 16
        body = encode.plain(VOLUME + encode.text(b"\x78", "x" * number), None)
        layer = encode.extended_ctr(body, key, device, access=number, session=number << 20 | 5, control=number)
        sent.append((encode.radio(device, layer), "wmbus", "auto", False, Profile(key)))
    assert readers(Decoder(), sent) == [COLUMNS] * 40


@pytest.mark.parametrize(
    ("profile", "bits"),
    [
        (Profile(), ALLOWS_PLAIN | ALLOWS_SEALED | ALLOWS_SESSION), (Profile(KEY), ALLOWS_SEALED | ALLOWS_SESSION | WHOLE | HAS_KEY),
        (Profile(KEY, whole=False), ALLOWS_SEALED | ALLOWS_SESSION | HAS_KEY), (Profile(KEY, 0), ALLOWS_PLAIN | WHOLE | PINNED_PLAIN | HAS_KEY),
        (Profile(mode=0), ALLOWS_PLAIN | PINNED_PLAIN), (Profile(mode=5), ALLOWS_SEALED), (Profile(KEY, 5), ALLOWS_SEALED | WHOLE | HAS_KEY),
        (Profile(KEY, 7), WHOLE | HAS_KEY), (Profile(KEY, ELL_CTR), ALLOWS_SESSION | WHOLE | HAS_KEY), (Profile(KEY[:8]), ALLOWS_SEALED | ALLOWS_SESSION | WHOLE),
        (Profile(KEY[:8], 2), WHOLE),
    ],
)  # fmt: skip
def test_what_a_profile_allows(profile: Profile, bits: int) -> None:
    """As bits; the key is there if it is one of AES."""
    access = Keys().access(profile)
    assert access.bits == bits
    assert access.key == (KEY if bits & HAS_KEY else None)
    assert (access.decrypt is None) == (access.key is None)


def test_bits_of_access_are_distinct() -> None:
    """One bit each."""
    every = (ALLOWS_PLAIN, ALLOWS_SEALED, WHOLE, PINNED_PLAIN, HAS_KEY, ALLOWS_SESSION)
    assert len({*every}) == sum(bit.bit_count() for bit in every) == 6
    assert (NOTHING.bits, NOTHING.key, NOTHING.decrypt) == (0, None, None)


def test_contexts_live_for_one_generation_or_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that was used lately is there still; one that two generations did not use is made anew."""
    monkeypatch.setattr(keys, "KEYS", 2)
    held = Keys()
    first, *others = (Profile(bytes([number]) * 16) for number in range(6))
    made = held.access(first)
    assert held.access(first) is made
    held.access(others[0])
    held.access(others[1])
    assert held.access(first) is made
    for other in others[1:]:
        held.access(other)
    assert held.access(first) is not made


def test_nothing_is_opened_where_nothing_is_sealed() -> None:
    """An empty choice leaves the frames alone."""
    frames = read_frames(Heard.of([encode.radio(METER, encode.plain(VOLUME, None))]))
    before = frames.buffer.copy()
    none = np.zeros(0, np.int64)
    open_blocks(frames, none, none, [])
    assert (frames.buffer == before).all()
    assert Ways([NOTHING], np.zeros(1, np.int64)).bits.tolist() == [0]


def test_an_address_is_that_of_the_link() -> None:
    """What the initial vector is made of, and what names the device: the bytes as sent."""
    frame = parse_frame(encode.radio(METER, encode.plain(VOLUME, None)))
    assert frame.address == link_address(METER)
    assert device_of(frame.address) == METER


#: Vectors of drivers that the plain path alone reads: a function that judges, leak dates that are flags, a set day's value without its day, what nothing reads.
ONE_BY_ONE = {
    "apatoreitn", "apatoreitn behind a marker, seal broken", "hydrodigit, all blocks, in May", "hydrodigit, nothing happened", "hydrodigit, impossible leak date",
    "izar, stored value without a date", "qundis, walk-by class and VIF at odds", "qundis, encrypted data set", "mkradio3a, second half of a month",
    "mkradio3a, first half of a month",
}  # fmt: skip


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_vectors_are_read_by_columns(vector: Vector) -> None:
    """Every driver's telegrams, whatever their cipher, but for those that are named."""
    profile = Profile(bytes.fromhex(vector["key"]) if vector["key"] else None, vector.get("mode"))
    sent: Sent = (bytes.fromhex(vector["hex"]), vector["link"], vector["form"], False, profile)
    assert readers(Decoder(), [sent]) == [PLAIN if vector["name"] in ONE_BY_ONE else COLUMNS]


@pytest.mark.parametrize(
    ("link", "form", "alone"),
    [
        ("wmbus", "auto", False), ("wmbus", "nocrc", False), ("wmbus", "a", True), ("wmbus", "b", True), ("wmbus", "trailing", True),
        ("mbus", "auto", False), ("mbus", "wired", False), ("wmbus", "wired", False), ("mbus", "nocrc", False), ("mbus", "userdata", True),
    ],
)  # fmt: skip
def test_frames_are_read_where_they_lie(monkeypatch: pytest.MonkeyPatch, link: str, form: str, alone: bool) -> None:
    """Bare radio frames and whole ones of the wire, declared or found, by any link; frames of other forms are taken off theirs one by one."""
    bare = encode.radio(METER, encode.plain(VOLUME, encode.Header(access=9)))
    wired = encode.wired(encode.plain(VOLUME, encode.Header(access=9, address=METER)))
    raws = {
        "a": encode.format_a(bare),
        "b": encode.format_b(bare),
        "trailing": bare + b"\x55",
        "wired": wired,
        "userdata": wired[4:-2],
        "nocrc": bare,
    }
    raw = raws.get(form, wired if link == "mbus" else bare)
    asked: list[bytes] = []

    def parsed(raw: bytes, link: str, form: str) -> Frame:
        asked.append(raw)
        return parse_frame(raw, link, form)

    monkeypatch.setattr(envelope, "parse_frame", parsed)
    assert read_frames(Heard.of([raw] * 3, link=link, form=form)).fast.tolist() == [True] * 3
    assert asked == [raw] * 3 * alone
    like_b = encode.radio(METER, encode.plain(VOLUME, None) + b"\x01\x13")
    like_b = like_b[:-2] + encode.crc(like_b[:-2]).to_bytes(2, "big")
    asked.clear()
    assert read_frames(Heard.of([like_b, bare], form="nocrc")).fast.tolist() == [True] * 2
    assert asked == []


def test_what_is_opened_in_columns_is_not_opened_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, and sessions with records or a compact frame, sealed or decrypted by their source; further layers and meters named inside are."""
    asked: list[bytes] = []

    def opened(frame: Frame, *rest: object, **more: bool) -> Plain:
        asked.append(frame.body)
        return open_frame(frame, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(singly, "open_frame", opened)
    profile, session = Profile(KEY), {"access": 5, "session": 0x77}
    compact = encode.compact(
        encode.integer(bytes.fromhex("ff20"), 0, 2) + encode.integer(b"\x13", 1234, 4) + encode.integer(b"\x13", 999, 4, encode.Slot(storage=1))
    )
    in_columns = [
        encode.mode5(VOLUME, encode.Header(), KEY, METER),
        *(encode.extended_ctr(one, KEY, METER, **session) for one in (SESSIONS["records"], compact)),
    ]
    body = SESSIONS["records"]
    clear = in_columns[1][:7] + encode.crc(body).to_bytes(2, "little") + body
    one_by_one = [encode.extended_ctr(SESSIONS[name], KEY, METER, **session) for name in ("short header", "another meter")]
    one_by_one.append(encode.mode7(VOLUME, encode.Header(), KEY, METER, counter=4))
    bodies = [*((one, False) for one in in_columns), (clear, True), *((one, False) for one in one_by_one)]
    sent: list[Sent] = [(encode.radio(METER, one), "wmbus", "auto", decrypted, profile) for one, decrypted in bodies]
    assert readers(Decoder(), sent) == [COLUMNS] * len(sent)
    assert asked == one_by_one
    hydrus, own = DeviceId("HYD", "12345678", 0x70, 0x07), encode.mode5(VOLUME, encode.Header(), KEY, DeviceId("HYD", "12345678", 0x70, 0x07))
    assert readers(Decoder(), [(encode.radio(hydrus, own), "wmbus", "auto", False, profile)]) == [COLUMNS]
    assert readers(Decoder(), [(encode.radio(METER, in_columns[0]), "wmbus", "auto", False, Profile())]) == [NOBODY]
    assert asked == one_by_one
    assert readers(Decoder(), [(encode.radio(hydrus, own), "wmbus", "auto", False, Profile())]) == [NOBODY]
    assert asked == [*one_by_one, own]


def test_a_bare_frame_that_ends_like_its_own_crc() -> None:
    """Where its form must be found it is taken for format B first, as on the plain path; declared bare it is none."""
    unfinished = encode.radio(METER, encode.plain(VOLUME + encode.integer(b"\x2b", 0, 2), encode.Header(access=9)))
    raw = unfinished[:-2] + encode.crc(unfinished[:-2]).to_bytes(2, "big")
    for form in ("auto", "nocrc", "b", "trailing"):
        assert readers(Decoder(), [(raw, "wmbus", form, False, Profile())] * 2) == [{"auto": PLAIN, "b": COLUMNS}.get(form, COLUMNS)] * 2, form


def test_a_form_that_nobody_knows_is_told() -> None:
    """As on the plain path."""
    assert readers(Decoder(), [(encode.radio(METER, encode.plain(VOLUME, None)), "wmbus", "crc", False, Profile())]) == [NOBODY]
