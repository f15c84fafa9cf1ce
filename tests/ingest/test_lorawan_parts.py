"""Telegrams that come in parts, by themselves: which are joined, in which order, with which time, and what is kept of those that are not (ingest/FORMATS.md 5)."""

import pytest

from submeter import civil
from submeter.ingest.envelopes import Heard
from submeter.ingest.envelopes.lns import Uplink
from submeter.ingest.lorawan import Assembler, Route
from submeter.ingest.rows import Reception
from submeter.store import Quarantined

START = civil.instant("2026-03-02T10:00:00Z")
SECOND = civil.SECOND
#: By port: a route of another device, whose EUI is a prefix of ours, is behind the longer one.
ROUTES = [
    Route("", 1, "frame"),
    Route("", 2, "records"),
    *(Route("", port, "lobaro_v1") for port in (11, 12, 22, 13, 23, 33, 31, 10)),
    Route("", 101, "lobaro_v2"),
    Route("", 7, "imst"),
    Route("0011", 50, "frame"),
    Route("00112233", 50, "records"),
    Route("ff", 0, "frame"),
    Route("ff", 3, "records"),
]
OURS, OTHER, FOREIGN = "0011223344556677", "0011aa3344556677", "ff00000000000001"
AT = (START // SECOND - 60).to_bytes(4, "big").hex()
BACKWARDS = (START // SECOND - 60).to_bytes(4, "little").hex()
FAR = (START // SECOND - 8 * 86_400).to_bytes(4, "big").hex()


class Taking:
    """An assembler that is shown uplinks one after another; what became of each in words."""

    def __init__(self):
        self.assembler = Assembler(ROUTES)
        self.message = 0

    def __call__(self, port, count, payload, second=0, eui=OURS, gw_time=None):
        """One uplink; returns what it led to."""
        self.message += 1
        at = START + second * SECOND
        heard = Heard(bytes.fromhex(payload), "lorawan", Uplink(eui, port, count).form, gw_time)
        return told(self.assembler.take(Reception(self.message, 0, at, "lns", trusted=True, decrypted=False, telegram=heard)))


def told(taken):
    """What an uplink led to: telegrams as hex with seconds before START, reasons with bytes, messages that were joined."""
    found = [
        one.telegram.raw.hex() + ("" if one.telegram.gw_time is None else f" at {(one.telegram.gw_time - START) // SECOND}")
        for one in taken.telegrams
    ]
    found += [f"{reason} {one.telegram.raw.hex()}" for one, reason, _ in taken.kept]
    found += [f"joined {message}" for message, _ in taken.joined]
    return found + ["again"] * taken.again


#: What happens → uplinks as arguments of `Taking`, each with what it leads to.
STORIES = {
    "a whole frame": [((1, 5, "2e44"), ["2e44"])],
    "an uplink told twice counts once": [((1, 5, "2e44"), ["2e44"]), ((1, 5, "2e44"), ["again"])],
    "the same bytes under another count are another uplink": [((1, 5, "2e44"), ["2e44"]), ((1, 6, "2e44"), ["2e44"])],
    "the same count with other bytes is of another session": [((1, 5, "2e44"), ["2e44"]), ((1, 5, "2e45"), ["2e45"])],
    "the same uplink of two devices is two": [((1, 5, "2e44"), ["2e44"]), ((1, 5, "2e44", 0, OTHER), ["2e44"])],
    "a port of no section": [((99, 5, "2e44"), ["no_route 2e44"])],
    "a longer prefix goes before a shorter one": [((50, 1, "2e44"), ["bad_frame 2e44"]), ((50, 1, "2e44", 0, OTHER), ["2e44"])],
    "a section with a port goes before one for all": [((3, 1, "2e44", 0, FOREIGN), ["bad_frame 2e44"]), ((4, 1, "2e44", 0, FOREIGN), ["2e44"])],
    "a section with a longer prefix for all ports goes before one with a port": [((1, 1, "2e44", 0, FOREIGN), ["2e44"])],
    "records with a number": [((2, 1, "000c78785634120c0627000000"), ["08007278563412961500040000" + "0000" + "0c78785634120c0627000000"])],
    "records of another format byte": [((2, 1, "010c78785634120c0627000000"), ["bad_frame 010c78785634120c0627000000"])],
    "records whose number is cut": [((2, 1, "000c78785634"), ["bad_frame 000c78785634"])],
    "records that end with their number": [((2, 1, "000c7878563412"), ["080072785634129615000400000000" + "0c7878563412"])],
    "records without a number": [((2, 1, "000c0627000000"), ["bad_frame 000c0627000000"])],
    # Lobaro v1: the port is 10 * part + parts
    "v1: one part": [((11, 5, "2e44"), ["2e44"])],
    "v1: three parts": [((13, 5, "01"), ["partial 01"]), ((23, 6, "02"), ["partial 02"]), ((33, 7, "03"), ["010203", "joined 1", "joined 2"])],
    "v1: parts in another order": [((33, 7, "03"), ["partial 03"]), ((13, 5, "01"), ["partial 01"]), ((23, 6, "02"), ["010203", "joined 2", "joined 1"])],
    "v1: the time of the first part": [
        ((12, 5, "01", 0, OURS, START - 60 * SECOND), ["partial 01"]),
        ((22, 6, "02", 3, OURS, START), ["0102 at -60", "joined 1"]),
    ],
    "v1: a part beyond their number": [((31, 5, "03"), ["bad_frame 03"])],
    "v1: part number none": [((10, 5, "03"), ["bad_frame 03"])],
    "v1: parts of two and of three are two sets": [((12, 5, "01"), ["partial 01"]), ((23, 6, "02"), ["partial 02"]), ((22, 6, "0b"), ["010b", "joined 1"])],
    "v1: a part that lacks": [((13, 5, "01"), ["partial 01"]), ((33, 7, "03"), ["partial 03"])],
    "v1: a count that was passed over is another telegram's": [((12, 5, "01"), ["partial 01"]), ((22, 7, "02"), ["partial 02"])],
    # Lobaro v2: byte 0 says first (1) and last (2), then five bytes of time
    "v2: alone": [((101, 5, "0300" + AT + "2e44"), ["2e44 at -60"])],
    "v2: as in the published sample": [
        ((101, 519, "01005e53f31a0102"), ["partial 01005e53f31a0102"]),
        ((101, 520, "0003040506070809"), ["partial 0003040506070809"]),
        ((101, 521, "020a0b0c0d0e0f"), [f"0102030405060708090a0b0c0d0e0f at {0x5E53F31A - START // SECOND}", "joined 1", "joined 2"]),
    ],
    "v2: no byte behind the time": [((101, 5, "0300" + AT), ["bad_length 00" + AT])],
    "v2: another bit of the head": [((101, 5, "0400" + AT + "2e44"), ["bad_frame 0400" + AT + "2e44"])],
    "v2: a head alone": [((101, 5, "03"), ["bad_frame 03"])],
    "v2: a second beginning closes the first": [
        ((101, 5, "0101"), ["partial 0101"]),
        ((101, 9, "0102"), ["incomplete_fragments 0101", "partial 0102"]),
        ((101, 10, "0203"), ["bad_length 0203", "joined 2"]),
    ],
    "v2: a beginning that was overtaken by its end closes nothing": [((101, 6, "02" + "2e44"), ["partial 022e44"]), ((101, 5, "0100" + AT), ["2e44 at -60", "joined 1"])],
    "v2: a count that lies 17 below is of another session": [((101, 40, "0101"), ["partial 0101"]), ((101, 23, "0002"), ["incomplete_fragments 0101", "partial 0002"])],
    "v2: a count that lies 16 below is late": [((101, 40, "0101"), ["partial 0101"]), ((101, 24, "0002"), ["partial 0002"])],
    "v2: ten minutes are patience": [((101, 5, "0101"), ["partial 0101"]), ((1, 6, "2e44", 600), ["2e44"])],
    "v2: a second more closes the set": [((101, 5, "0101"), ["partial 0101"]), ((1, 6, "2e44", 601, OTHER), ["2e44", "incomplete_fragments 0101"])],
    "v2: each part renews the patience": [((101, 5, "0101"), ["partial 0101"]), ((101, 6, "0002", 500), ["partial 0002"]), ((1, 1, "2e44", 1000), ["2e44"])],
    # IMST: bit 7 of the head says last, the others count
    "imst: alone": [((7, 5, "80" + AT + "01ff"), ["01ff at -60"])],
    "imst: time in the other order": [((7, 5, "80" + BACKWARDS + "01ff"), ["01ff at -60"])],
    "imst: two telegrams": [((7, 5, "80" + AT + "01ff" + BACKWARDS + "02eeee"), ["01ff at -60", "02eeee at -60"])],
    "imst: a time that is not near": [((7, 5, "80" + FAR + "01ff"), ["bad_length " + FAR + "01ff"])],
    "imst: a frame that is cut": [((7, 5, "80" + AT + "02ff"), ["bad_length " + AT + "02ff"])],
    "imst: rest behind the last frame": [((7, 5, "80" + AT + "01ff" + "00"), ["bad_length " + AT + "01ff00"])],
    "imst: two segments": [((7, 5, "00" + AT), ["partial 00" + AT]), ((7, 6, "8101ff"), ["01ff at -60", "joined 1"])],
    "imst: a segment that came again": [((7, 5, "00" + AT), ["partial 00" + AT]), ((7, 6, "0102ff"), ["partial 0102ff"]), ((7, 7, "0102ff"), ["partial 0102ff"]), ((7, 8, "82ee"), ["02ffee at -60", "joined 1", "joined 2", "joined 3"])],
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_what_becomes_of_uplinks(name):
    """Each uplink in turn: telegrams with their time, parts that wait or are joined, what is kept with its reason."""
    take = Taking()
    assert [take(*sent) for sent, _ in STORIES[name]] == [leads_to for _, leads_to in STORIES[name]]


def test_what_waits_in_quarantine_is_gone_on_with():
    """After a restart the parts are those of the quarantine, with their time; parts of a port that no section has any more are left there."""
    take = Taking()
    rows = [
        Quarantined(7, 2, START, START - 60 * SECOND, "lns", None, "partial", "", "lorawan", Uplink(OURS, 12, 5).form, b"\1"),
        Quarantined(8, 0, START, None, "lns", None, "partial", "", "lorawan", Uplink(OURS, 99, 6).form, b"\1"),
    ]
    take.assembler.remember(rows)
    heard = Heard(b"\2", "lorawan", Uplink(OURS, 22, 6).form, START)
    taken = take.assembler.take(Reception(9, 0, START, "lns", trusted=True, decrypted=False, telegram=heard))
    assert (told(taken), taken.joined) == (["0102 at -60", "joined 7"], [(7, 2)])


def test_the_last_sixty_four_uplinks_of_a_device_are_known_again():
    """Memory is bounded: one that is older than these is taken for a new one; those of other devices do not count."""
    take = Taking()
    for count in range(65):
        take(1, count, "2e44")
        take(1, count, "2e44", eui=OTHER)
    assert take(1, 1, "2e44") == ["again"]
    assert take(1, 0, "2e44") == ["2e44"]


def test_telegrams_of_one_uplink_lie_apart_in_their_message():
    """So that their readings have numbers of their own, also behind other telegrams of the message."""
    take = Taking()
    heard = Heard(bytes.fromhex("80" + (AT + "01ff") * 3), "lorawan", Uplink(OURS, 7, 5).form)
    taken = take.assembler.take(Reception(1, 3, START, "lns", trusted=True, decrypted=False, telegram=heard))
    assert [one.position for one in taken.telegrams] == [3, 515, 1027]
    assert {(one.telegram.link, one.telegram.form) for one in taken.telegrams} == {("wmbus", "auto")}
