"""Uplinks and values of other programs through the real drain: parts are joined across a restart, nothing is taken twice or lost."""

import base64
import json
from datetime import datetime

import pytest

from submeter import civil
from submeter.decoders import Profile
from submeter.ingest.drain import Drain, Gateway, Known
from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.lorawan import Route
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import Inbox, Message, Readings, Registry
from submeter.store.inbox import RETAIN

METER = DeviceId("STM", "82000001", 0x03, 0x07)
HEAT = DeviceId("ELV", "66031129", 0x00, 0x04)
EUI = "0011223344556677"
START = civil.instant("2026-03-02T10:00:00Z")
FRAME = encode.radio(METER, encode.plain(encode.bcd(b"\x13", 4711, 8), encode.Header(access=1, status=0)))
ROUTES = [
    Route("", 1, "frame"), Route("", 2, "records"), Route("00112233", 11, "lobaro_v1"), *(Route("", port, "lobaro_v1") for port in (13, 23, 33)),
    Route("", 101, "lobaro_v2"), Route("", 7, "imst"),
]  # fmt: skip


class House:
    """Stores and a drain that knows some devices."""

    def __init__(self, folder):
        self.folder = folder
        self.open()

    def open(self):
        """Open the stores, as after a start."""
        self.inbox, self.readings = Inbox(self.folder / "inbox.sqlite"), Readings(self.folder / "readings.duckdb")
        self.registry = Registry(self.folder / "registry.sqlite")
        known = {METER: Known(Profile(), "UTC"), HEAT: Known(Profile(), "UTC")}
        gateways = {"lns": Gateway(store_and_forward=True), "elvaco": Gateway(store_and_forward=True, zone="Europe/Prague")}
        told = {"82000001": [METER], "11111111": [METER, HEAT]}
        self.drain = Drain(
            self.inbox,
            self.readings,
            self.registry,
            known.get,
            gateways,
            lambda: START + civil.DAY,
            routes=ROUTES,
            numbered=lambda number: told.get(number, ()),
        )

    def close(self):
        """Close them."""
        for store in (self.inbox, self.readings, self.registry):
            store.close()

    def restart(self):
        """As after a kill: what is remembered is lost."""
        self.close()
        self.open()

    def take(self, payload, at=START, gateway="lns", flags=0):
        """One message."""
        self.inbox.append([Message("test", payload, at, gateway, flags=flags)])
        return dict(self.drain.step().results)

    def uplink(self, raw, port, count, at=START):
        """One uplink, as ChirpStack 4 tells it."""
        told = {"deviceInfo": {"devEui": EUI}, "fPort": port, "fCnt": count, "data": base64.b64encode(raw).decode(), "time": civil.iso(at)}
        return self.take(json.dumps(told).encode(), at)

    def kept(self):
        """Instants and values of readings."""
        return [(row["t"], row["value"]) for row in self.readings.readings_of(list(self.readings.registers().values())).to_pylist()]

    def waiting(self):
        """Reasons of the quarantine."""
        return sorted(one.reason for one in self.inbox.quarantined())


@pytest.fixture
def house(tmp_path):
    """A house."""
    made = House(tmp_path)
    yield made
    made.close()


def test_a_frame_in_one_uplink_counts_once_though_told_twice(house):
    """LORIOT sends `rx` and `gw` of one uplink; another server tells it again: one reading."""
    rx = {"cmd": "rx", "EUI": EUI, "fcnt": 5, "port": 1, "ts": START // 1000, "rssi": -80, "data": FRAME.hex()}
    assert house.take(json.dumps(rx).encode()) == {"decoded": 1}
    assert house.take(json.dumps({**rx, "cmd": "gw", "gws": [{"rssi": -90}]}).encode())["duplicate"] == 1
    assert house.kept() == [(START, 4_711_000)]


def test_parts_are_joined_across_a_restart(house):
    """Lobaro v1, three ports: the parts wait on disk, the telegram has the time of its first part, the quarantine is empty after."""
    size = len(FRAME) // 3 + 1
    parts = [FRAME[at : at + size] for at in range(0, len(FRAME), size)]
    assert house.uplink(parts[0], 13, 40) == {"partial": 1}
    assert house.uplink(parts[2], 33, 42, START + 2_000_000) == {"partial": 1}
    house.restart()
    assert house.waiting() == ["partial", "partial"]
    assert house.uplink(parts[1], 23, 41, START + 3_000_000)["decoded"] == 1
    assert (house.kept(), house.waiting()) == ([(START, 4_711_000)], [])


def test_the_time_of_lobaro_v2_is_in_its_bytes(house, shared):
    """Five bytes of Unix time, then the frame, over three uplinks; the shared sample is put together the same way."""
    whole = (START // 1_000_000 - 60).to_bytes(5, "big") + FRAME
    for count, (head, piece) in enumerate([(1, whole[:9]), (0, whole[9:20]), (2, whole[20:])]):
        result = house.uplink(bytes([head]) + piece, 101, count, START + count * 1_000_000)
    assert result["decoded"] == 1
    assert house.kept() == [(START - 60_000_000, 4_711_000)]
    rows = map(json.loads, (shared / "ingest/samples.jsonl").read_text().splitlines())
    sample = next(row for row in rows if "reassembler" in (row.get("expect") or {}))
    for part in sample["parts"]:
        house.uplink(bytes.fromhex(part["hex"]), part["fport"], part["fcnt"])
    (joined,) = house.inbox.quarantined(reason="bad_frame")
    assert (joined.raw.hex(), joined.gw_time) == (sample["expect"]["hex"], None)


def test_imst_packs_several_telegrams(house):
    """Segments with a sequence, then time, length and frame again and again; the byte order of the time is the one that is near."""
    second = encode.radio(METER, encode.plain(encode.bcd(b"\x13", 4712, 8), encode.Header(access=2, status=0)))
    whole = b"".join((START // 1_000_000 - back).to_bytes(4, "little") + frame for back, frame in ((600, FRAME), (60, second)))
    house.uplink(b"\x00" + whole[:30], 7, 1)
    assert house.uplink(b"\x81" + whole[30:], 7, 2)["decoded"] == 2
    assert house.kept() == [(START - 600_000_000, 4_711_000), (START - 60_000_000, 4_712_000)]


def test_a_segment_of_imst_sent_again_counts_once(house):
    """The same sequence under another count, also across a restart: the telegram is whole, nothing is left behind."""
    whole = (START // 1_000_000 - 60).to_bytes(4, "little") + FRAME
    house.uplink(b"\x00" + whole[:8], 7, 1)
    house.uplink(b"\x01" + whole[8:16], 7, 2)
    house.restart()
    house.uplink(b"\x01" + whole[8:16], 7, 3)
    assert house.uplink(b"\x82" + whole[16:], 7, 4)["decoded"] == 1
    assert (house.kept(), house.waiting()) == ([(START - 60_000_000, 4_711_000)], [])


def test_a_set_that_stays_incomplete_is_kept_with_its_reason(house):
    """A new first part, or ten minutes, close a set; its bytes stay, and the set after it is whole."""
    half = len(FRAME) // 2
    whole = (START // 1_000_000).to_bytes(5, "big") + FRAME
    house.uplink(b"\x01" + whole[:half], 101, 1)
    house.uplink(b"\x01" + whole[:half], 101, 5)
    assert house.waiting() == ["incomplete_fragments", "partial"]
    assert house.uplink(b"\x02" + whole[half:], 101, 6)["decoded"] == 1
    house.uplink(b"\x01" + whole[:half], 101, 9)
    house.uplink(FRAME, 1, 10, START + 601_000_000)
    assert house.waiting() == ["incomplete_fragments", "incomplete_fragments"]


def test_records_become_the_meters_own(house, shared):
    """Elvaco CMi4110: plain records; whose they are says the fabrication number among them."""
    rows = map(json.loads, (shared / "ingest/samples.jsonl").read_text().splitlines())
    sample = next(row for row in rows if row["format"] == "lorawan_elvaco_cmi4110")
    assert house.uplink(bytes.fromhex(sample["payload"]), 2, 1)["decoded"] == 1
    assert {str(register) for _, register in house.readings.registers()} >= {"energy", "volume", "power", "flow"}
    assert house.uplink(b"\x01\x00", 2, 2)["bad_frame"] == 1


def test_what_no_section_fits_waits_and_is_decoded_when_one_does(house):
    """Uplinks of an unknown port are kept; after the configuration says what they are they are taken at their own time."""
    assert house.uplink(FRAME, 99, 1)["no_route"] == 1
    rows = house.inbox.quarantined(reason="no_route")
    ROUTES.append(Route(EUI[:4], 99, "frame"))
    house.restart()
    ROUTES.pop()
    assert house.drain.redecode(rows).results["decoded"] == 1
    assert (house.kept(), house.waiting()) == ([(START, 4_711_000)], [])


def test_values_of_other_programs(house):
    """Wmbusmeters JSON: exact values of the one device with that number; unknown or ambiguous numbers give no reading."""
    told = {
        "_": "telegram",
        "media": "water",
        "meter": "iperl",
        "name": "x",
        "id": "82000001",
        "total_m3": 123.529,
        "timestamp": civil.iso(START - 60_000_000),
    }
    assert house.take(json.dumps(told).encode(), gateway="other") == {"decoded": 1}
    assert house.take(json.dumps({**told, "id": "11111111"}).encode()) == {"unknown_meter": 1}
    assert house.take(json.dumps({**told, "id": "99999999"}).encode()) == {"unknown_meter": 1}
    assert house.kept() == [(START, 123_529_000)]
    assert "none" in house.inbox.quarantined(reason="unknown_meter")[1].detail


@pytest.mark.parametrize("value", [1e300, 1e13, 10_000_000_001, -1e11])
def test_a_value_that_no_dial_shows_stops_nothing(house, value):
    """A program that tells an absurd number: kept with the reason, and what follows is decoded."""
    told = {"_": "telegram", "media": "water", "meter": "iperl", "id": "82000001", "total_m3": value}
    assert house.take(json.dumps(told).encode()) == {"bad_field": 1}
    assert "than any dial shows" in house.inbox.quarantined()[0].detail
    assert house.take(json.dumps({**told, "total_m3": 1e10}).encode()) == {"decoded": 1}


def retained(house, at, litres, received=START, **more):
    """A retained message of wmbusmeters that was decoded at an instant, which the broker sends now."""
    told = {"media": "water", "meter": "x", "name": "", "id": "82000001", "total_m3": litres / 1000, **more}
    return house.take(json.dumps(told | ({"timestamp": civil.iso(at)} if at else {})).encode(), received, gateway="other", flags=RETAIN)


def test_a_retained_value_counts_if_it_is_newer_than_the_last_one(house):
    """At its own time, once however often it comes; never one without a time, an older one, or one of a meter that nobody knows."""
    assert retained(house, START - civil.HOUR, 4000) == {"decoded": 1}
    assert house.kept() == [(START - civil.HOUR, 4_000_000)]
    house.restart()
    for _ in range(2):
        assert retained(house, START - civil.HOUR, 4000, START + civil.MINUTE) == {}
    assert retained(house, START - 2 * civil.HOUR, 3990) == {}
    assert retained(house, None, 4100) == {}
    assert retained(house, START + civil.DAY, 4100) == {}
    assert retained(house, START, 4100, id="99999999") == {}
    assert house.take(FRAME.hex().encode(), START, flags=RETAIN) == {}
    assert (house.kept(), house.waiting()) == ([(START - civil.HOUR, 4_000_000)], [])
    assert house.inbox.counts().refused == {"retained": 7}
    assert retained(house, START - civil.MINUTE, 4100) == {"decoded": 1}
    assert house.kept()[-1] == (START - civil.MINUTE, 4_100_000)


def test_a_retained_value_is_judged_by_its_register(house):
    """A flow that is new beside a total that is not: the flow counts alone; after a crash the message is what it was."""
    house.take(json.dumps({"media": "water", "meter": "x", "name": "", "id": "82000001", "total_m3": 4}).encode(), START - civil.MINUTE)
    assert retained(house, START - civil.HOUR, 4000, volume_flow_m3h=0.5) == {"decoded": 1}
    assert house.kept() == [(START - civil.MINUTE, 4_000_000), (START - civil.HOUR, 500_000)]
    assert retained(house, START - civil.HOUR, 4000, volume_flow_m3h=0.5) == {}
    with house.inbox._db as db:
        db.execute("UPDATE messages SET state = 'new'")
    assert house.take(b"") == {"rejected": 1}
    assert (len(house.kept()), house.inbox.counts().refused) == (2, {"retained": 1, "empty": 1})


@pytest.mark.parametrize(("wall", "at"), [("2026-03-02 10:30:00", "2026-03-02T09:30:00Z"), ("2025-10-26 02:30:00", "2025-10-26T01:30:00Z")])
def test_a_wall_clock_counts_in_the_gateways_zone(house, wall, at):
    """Elvaco's CSV has local times: in the repeated hour the later instant that is not after the reception."""
    body = FRAME[1:]
    user = b"\x08\x01\x72" + bytes.fromhex("01000082") + body[1:3] + b"\x03\x07" + bytes(4) + encode.bcd(b"\x13", 4711, 8)
    received = max(civil.instant(at) + civil.MINUTE, START - 45 * civil.DAY) if at.startswith("2026") else civil.instant("2025-10-26T02:00:00Z")
    results = house.take(f"00000161;82000001;{wall};00;{user.hex(' ')}".encode(), received, gateway="elvaco")
    assert results == {"decoded": 1}
    assert house.kept() == [(civil.instant(at), 4_711_000)]
    assert datetime.fromisoformat(wall).tzinfo is None


def envelope(told):
    """The one telegram of a message."""
    (heard,) = split(None, json.dumps(told).encode()).telegrams
    return heard


def test_an_eui_is_hex_or_base64_and_fields_that_are_zero_may_lack():
    """ChirpStack 3 writes base64, its other marshaler hex; The Things Stack leaves zeros out."""
    uplink = {"applicationID": "1", "fCnt": 3, "fPort": 2, "data": "AA==", "rxInfo": [{"rssi": -90}, {"rssi": -57}]}
    assert envelope({**uplink, "devEUI": "AgICAgICAgI="}).form == envelope({**uplink, "devEUI": "0202020202020202"}).form == "0202020202020202/2/3"
    assert envelope({**uplink, "devEUI": "0202020202020202"}).rssi_dbm == -57
    bare = envelope({"end_device_ids": {"dev_eui": EUI.upper()}, "uplink_message": {"frm_payload": "AA=="}})
    assert (bare.form, bare.rssi_dbm, bare.level) == (f"{EUI}/0/0", None, None)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"deviceInfo": {"devEui": "AgIC"}, "data": "AA=="}, "bad_field"),
        ({"deviceInfo": {"devEui": EUI}, "data": "A"}, "bad_base64"),
        ({"deviceInfo": {"devEui": EUI}, "data": ""}, "empty_uplink"),
        ({"deviceInfo": {"devEui": EUI}, "data": "AA==", "fPort": 300}, "bad_field"),
        ({"deviceInfo": [], "data": "AA=="}, "bad_field"),
        ({"DevEUI_uplink": {"DevEUI": EUI, "payload_hex": "0"}}, "bad_hex"),
        ({"cmd": "rx", "EUI": EUI, "data": "00", "ts": 5}, "bad_time"),
        ({"method": "wmbus", "params": {"telegrams": []}}, "bad_field"),
        ({"meter": "x", "media": "water", "id": "1"}, "bad_field"),
        ({"meter": "x", "media": "water", "id": "12345678"}, "no_values"),
    ],
)
def test_broken_messages_have_a_reason(told, reason):
    """What is wrong is one word."""
    with pytest.raises(BadPayload) as refusal:
        envelope(told)
    assert refusal.value.reason == reason


def test_a_level_of_another_scale_is_no_dbm():
    """rtl_wmbus tells an unsigned level, wmbusmeters dBm: the two never mix."""
    line = split(None, f"T1;1;1;2026-03-02 10:00:00.000;97;148;82000001;0x{FRAME.hex()}".encode()).telegrams[0]
    told = envelope({"meter": "x", "media": "water", "id": "12345678", "total_m3": 1, "rssi_dbm": -90})
    assert [(one.level, one.rssi_dbm) for one in (line, told)] == [(97, None), (None, -90)]


def test_the_key_of_a_decode_request_is_not_kept():
    """A key comes from the directory alone."""
    heard = envelope({"_": "decode", "telegram": FRAME.hex(), "key": "00" * 16})
    assert heard.raw == FRAME
    assert "00" * 16 not in repr(heard)


def again(house, device, messages=None):
    """Decode what a device sent in all kept messages again: outcomes."""
    return dict(
        house.drain.decode_again(house.inbox.done(after=0, since=0, until=2**62, limit=1000) if messages is None else messages, str(device)).results
    )


def forget(house):
    """Lose all readings, as if they had been decoded with a wrong driver and deleted."""
    with house.readings._duck.transaction() as db:
        db.execute("DELETE FROM readings")


def test_what_a_meter_sent_in_uplinks_is_decoded_again(house):
    """Whole frames, frames in parts and records, each once, at its time; not what another meter sent, and nothing is doubled or counted as heard again."""
    size = len(FRAME) // 3 + 1
    other = encode.radio(HEAT, encode.plain(encode.bcd(b"\x13", 5, 8), encode.Header(access=1, status=0)))
    for _ in range(2):
        house.uplink(encode.radio(METER, encode.plain(encode.bcd(b"\x13", 4000, 8), encode.Header(access=7))), 1, 3, START - civil.HOUR)
    house.uplink(other, 1, 4, START - civil.HOUR)
    for number, at in enumerate(range(0, len(FRAME), size)):
        house.uplink(FRAME[at : at + size], 13 + 10 * number, 40 + number, START + number * 1_000_000)
    whole, heard = house.kept(), house.readings.receptions().to_pylist()
    assert len(whole) == 3
    assert again(house, METER) == {"decoded": 2}
    assert (house.kept(), house.readings.receptions().to_pylist(), house.waiting()) == (whole, heard, [])
    forget(house)
    assert again(house, METER) == {"decoded": 2}
    assert sorted(house.kept()) == [(START - civil.HOUR, 4_000_000), (START, 4_711_000)]
    assert again(house, DeviceId("STM", "82000002", 0x03, 0x07)) == {}


def test_what_gave_nothing_gives_nothing_again(house):
    """A message that nobody understands, a repetition under the gateway's own number, a retained one, a damaged frame: none of them when a meter's are decoded again."""
    batch = {"v": 1, "gw": "lns", "boot": "a", "seq": 7, "t": [{"hex": FRAME.hex()}, {"hex": "ff" * 12}, {"hex": "zz"}]}
    house.take(b"hello")
    for at in (START, START + civil.HOUR):
        house.take(json.dumps(batch).encode(), at)
    house.take(json.dumps({**batch, "seq": 8}).encode(), START + 2 * civil.HOUR, flags=RETAIN)
    whole, heard = house.kept(), house.readings.receptions().to_pylist()
    assert whole == [(START, 4_711_000)]
    forget(house)
    assert again(house, METER) == {"decoded": 1}
    assert (house.kept(), house.readings.receptions().to_pylist()) == (whole, heard)


def test_values_of_other_programs_are_taken_again(house):
    """Those of the meter, once; a number that two devices have is nobody's."""
    told = {"media": "water", "meter": "x", "name": "", "id": "82000001", "total_m3": 4.711, "timestamp": civil.iso(START)}
    house.take(json.dumps(told).encode())
    house.take(json.dumps(told | {"id": "11111111"}).encode())
    whole, heard = house.kept(), house.readings.receptions().to_pylist()
    forget(house)
    assert again(house, METER) == {"decoded": 1}
    assert (house.kept(), house.readings.receptions().to_pylist(), house.waiting()) == (whole, heard, ["unknown_meter"])
    assert again(house, METER) == {"decoded": 1}
    assert house.kept() == whole
