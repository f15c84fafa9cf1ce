"""Known answers of every gateway format of docs/gateways.md: which telegrams a message has, from which gateway, of when, how loud (ingest/FORMATS.md 1 to 5)."""

import base64
import json
import re
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from payloads import RAW, TELEGRAM

from submeter.ingest.envelopes import BadPayload, Envelope, Heard, split
from submeter.ingest.envelopes.core import Payload
from submeter.ingest.envelopes.discovery import announced
from submeter.ingest.envelopes.entities import described
from submeter.ingest.envelopes.lns import Uplink

PAGE = Path(__file__).parents[2] / "docs" / "gateways.md"
EIGHT = 1_795_248_000_000_000  # 2026-11-21 08:00:00 UTC
QUARTER = 250_000
WALL = datetime(2026, 11, 21, 8)
EUI, UPLINK = "0011223344556677", bytes.fromhex("000c0612345678")
BASE64, IN_HEX = base64.b64encode(UPLINK).decode(), UPLINK.hex()
USER = "0801" + "7233221100" + "430401070000000004" + "1339300000"  # from the C field: no 68 LL LL 68, no check sum
RFC = "2026-11-21T08:00:00.250Z"


def heard(**known):
    """The telegram as most formats tell it."""
    return Heard(RAW, **known)


def uplink(count=84, port=2, **known):
    """The uplink that all network servers below tell of."""
    return Heard(UPLINK, "lorawan", f"{EUI}/{port}/{count}", **known)


def values(told, **known):
    """Values that another program decoded, of meter 33225544."""
    raw = json.dumps({"id": "33225544", "values": told}, separators=(",", ":")).encode()
    return Heard(raw, "parsed", "wmbusmeters", **known)


def native(*telegrams, **fields):
    """A batch of gw-001."""
    return {"v": 1, "gw": "gw-001", "boot": "5f1c", "seq": 123, "t": list(telegrams), **fields}


def batch(*telegrams, sent_at=None):
    """What it says."""
    return Envelope("native", telegrams, "gw-001", "5f1c", 123, sent_at)


CHIRPSTACK = {"fCnt": 84, "fPort": 2, "data": BASE64}
REGISTERS = '{"modbus":1,"map":"substation","unit":5,"meter":"12345678","read":[{"fc":3,"at":1000,"hex":"0000303900ff"}]}'
LINE = f";1;1;2026-11-21 08:00:00.000;97;148;00112233;0x{TELEGRAM}"
CSV = f"2026-11-21 08:00:00,,,Wireless-MBus,,00112233,,,,CRC,,{TELEGRAM},,,22,,C,27,Water,"

#: What the page calls a format → topic, message, and what it says; a bare telegram stands for an envelope of that format.
KNOWN = [
    ("native", "submeter/v1/gw-001/up", native({"ts": RFC, "hex": TELEGRAM, "rssi": -77, "mode": "T1"}), batch(heard(gw_time=EIGHT + QUARTER, rssi_dbm=-77, mode="T1"))),
    ("native", "submeter/v1/gw-001/up", native({"ts": EIGHT // 1000, "hex": TELEGRAM.upper()}), batch(heard(gw_time=EIGHT))),
    ("native", "site/x", native({"ts": "2026-11-21T09:00:00+01:00", "hex": TELEGRAM}), batch(heard(gw_time=EIGHT))),
    ("native", None, native({"hex": TELEGRAM}, ts="2026-11-21T08:00:05Z"), batch(heard(), sent_at=EIGHT + 5_000_000)),
    ("native", None, native(*({"hex": TELEGRAM, "form": form} for form in ("a", "b", "nocrc"))), batch(*(heard(form=form) for form in ("a", "b", "nocrc")))),
    ("native", None, native({"hex": TELEGRAM, "kind": "mbus"}, {"hex": TELEGRAM, "kind": "wmbus"}), batch(heard(link="mbus"), heard())),
    ("native", None, native({"hex": TELEGRAM, "mode": "of nine c"}, {"hex": TELEGRAM, "mode": "eight ch"}), batch(heard(), heard(mode="eight ch"))),
    ("hex", "wmbus/dev/telegram", TELEGRAM.upper(), heard()),
    ("hex", "rtl_433/host/devices/6/Wireless-MBus/00112233/data", TELEGRAM, heard()),
    ("hex", None, f"0X{TELEGRAM}\n", heard()),
    ("binary", None, RAW, heard()),
    ("rtl_wmbus", None, f"T1{LINE}", heard(form="nocrc", gw_time=EIGHT, level=97, mode="T1")),
    ("rtl_wmbus", None, f"rla;C1{LINE}", heard(form="nocrc", gw_time=EIGHT, level=97, mode="C1")),
    ("rtl_wmbus", None, f"T1;1;1;2026-11-21 08:00:00.00Z;-44;;;0x{TELEGRAM}", heard(form="nocrc", gw_time=EIGHT, rssi_dbm=-44, mode="T1")),
    ("rtl_wmbus", None, f"T1;1;1;;-63;;;0x{TELEGRAM}", heard(form="nocrc", rssi_dbm=-63, mode="T1")),
    ("rtl_wmbus", None, f"T1;1;1;;loud;;;0x{TELEGRAM}", heard(form="nocrc", mode="T1")),
    ("rtl_wmbus", None, f"T1;1;1;;0;;;0x{TELEGRAM}", heard(form="nocrc", level=0, mode="T1")),
    ("esphome_json", "home/wmbus/raw/00112233", {"address": "00112233", "mode": "T", "rssi": -44, "frame": TELEGRAM}, heard(rssi_dbm=-44, mode="T")),
    ("esphome_json", None, {"frame": TELEGRAM.upper(), "rssi": 120, "mode": 1}, heard(level=120)),
    ("rtl_433", None, CSV, heard(wall=WALL)),
    ("rtl_433", None, CSV.replace("2026-11-21 08:00:00", "@0.1s"), heard()),
    ("wmbusmeters_log", None, f"telegram=|{TELEGRAM[:20].upper()}_{TELEGRAM[20:].upper()}|+12", heard()),
    ("decode_request", None, {"_": "decode", "telegram": f"{TELEGRAM[:22]}_{TELEGRAM[22:]}", "key": "00" * 16, "driver": "auto", "format": "wmbus"}, heard()),
    ("decode_request", None, {"telegram": f"|{TELEGRAM}|"}, heard()),
    ("wmbusmeters", "wmbusmeters/33225544", {"_": "telegram", "media": "water", "meter": "iperl", "name": "Tap", "id": "33225544", "total_m3": 123.529, "timestamp": "2026-11-21T08:00:00Z", "rssi_dbm": -90}, values({"volume m3": "123.529"}, gw_time=EIGHT, rssi_dbm=-90)),
    ("wmbusmeters", None, {"media": "heat", "meter": "kamheat", "id": "33225544", "total_energy_consumption_kwh": 3781, "total_volume_m3": 344.27, "volume_flow_m3h": 1.005, "power_kw": 0, "target_energy_kwh": 2933}, values({"volume m3": "344.27", "energy kWh": "3781", "power kW": "0", "flow m3/h": "1.005"})),
    ("wmbusmeters", None, {"media": "heat cost allocation", "meter": "fhkvdataiii", "id": "33225544", "current_consumption_hca": 131, "total_m3": None, "total_energy_consumption_kwh": True}, values({"hca hca": "131"})),
    ("gwmqtt", "gwmqtt/gw1/out", {"method": "wmbus", "params": {"telegrams": [{"data": TELEGRAM}, {"data": TELEGRAM.upper()}]}}, Envelope("gwmqtt", (heard(), heard()))),
    ("gwmqtt", "gwmqtt/gw1/out/zlib", zlib.compress(json.dumps({"method": "wmbus", "params": {"telegrams": [{"data": TELEGRAM}]}}).encode()), heard()),
    ("elvaco_csv", "A/ecmXv1.0/CMe3100/4001/0016123456/00112233", f"00000161;00112233;2026-11-21 08:00:00;00;{USER}", Heard(bytes.fromhex(USER), "mbus", "userdata", wall=WALL)),
    ("elvaco_csv", None, f"serial-number;device-identification;created;value-data-count;data\n00000161;00112233;2026-11-21 08:00:00;00;{USER[:4]} {USER[4:]}\n", Heard(bytes.fromhex(USER), "mbus", "userdata", wall=WALL)),
    ("chirpstack4", "application/1/device/x/event/up", {**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "time": "2026-11-21T08:00:00.250999999+00:00", "rxInfo": [{"gatewayId": "a", "rssi": -110, "snr": 4.5}, {"rssi": -57}]}, uplink(gw_time=EIGHT + 250_999, rssi_dbm=-57)),
    ("chirpstack4", None, {"deviceInfo": {"devEui": EUI.upper()}, "data": BASE64}, uplink(0, 0)),
    ("chirpstack3", None, {**CHIRPSTACK, "applicationID": "1", "devEUI": EUI, "rxInfo": [{"rssi": -57, "time": RFC, "loRaSNR": 10}]}, uplink(gw_time=EIGHT + QUARTER, rssi_dbm=-57)),
    ("chirpstack3", None, {**CHIRPSTACK, "applicationID": "1", "devEUI": base64.b64encode(bytes.fromhex(EUI)).decode(), "rxInfo": [{"rssi": -57}]}, uplink(rssi_dbm=-57)),
    ("tts", "v3/app@tenant/devices/x/up", {"end_device_ids": {"dev_eui": EUI}, "uplink_message": {"f_port": 2, "f_cnt": 84, "frm_payload": BASE64, "rx_metadata": [{"rssi": -35}, {"rssi": -34.6}], "received_at": "2026-11-21T08:00:00.250000123Z"}}, uplink(gw_time=EIGHT + QUARTER, rssi_dbm=-35)),
    ("tts", None, {"end_device_ids": {"dev_eui": EUI}, "uplink_message": {"frm_payload": BASE64}}, uplink(0, 0)),
    ("loriot", None, {"cmd": "rx", "EUI": EUI.upper(), "fcnt": 84, "port": 2, "ts": EIGHT // 1000, "rssi": -57, "data": IN_HEX}, uplink(gw_time=EIGHT, rssi_dbm=-57)),
    ("loriot", None, {"cmd": "gw", "EUI": EUI, "fcnt": 84, "port": 2, "data": IN_HEX, "gws": [{"rssi": -110}, {"rssi": -57}, {"rssi": "near"}]}, uplink(rssi_dbm=-57)),
    ("thingpark", None, {"DevEUI_uplink": {"DevEUI": EUI, "FPort": 2, "FCntUp": 84, "payload_hex": IN_HEX, "Time": "2026-11-21T09:00:00.250+01:00", "LrrRSSI": -110, "Lrrs": {"Lrr": [{"LrrRSSI": -57.0}, {}]}}}, uplink(gw_time=EIGHT + QUARTER, rssi_dbm=-57)),
    ("thingpark", None, {"DevEUI_uplink": {"DevEUI": EUI, "FPort": 2, "FCntUp": 84, "payload_hex": IN_HEX, "LrrRSSI": True}}, uplink()),
    ("milesight_ug", None, {**CHIRPSTACK, "applicationID": 1, "devEUI": EUI, "gatewaySN": "6438", "time": RFC, "rxInfo": [{"rssi": -57, "time": "2026-11-21T08:00:09Z"}]}, uplink(gw_time=EIGHT + QUARTER, rssi_dbm=-57)),
    ("modbus", None, REGISTERS, Heard(REGISTERS.encode(), "parsed", "modbus")),
]  # fmt: skip


def sent(told):
    """A message as it goes over the line."""
    return told if isinstance(told, bytes) else told.encode() if isinstance(told, str) else json.dumps(told).encode()


@pytest.mark.parametrize(("name", "topic", "told", "says"), KNOWN, ids=[f"{row[0]} {number}" for number, row in enumerate(KNOWN)])
def test_a_message_of_each_format_says_what_it_says(name, topic, told, says):
    """Telegrams, gateway, numbers, times, levels: all of it, and nothing else; pinned to the format as well as found out."""
    wanted = says if isinstance(says, Envelope) else Envelope(name, (says,))
    assert split(topic, sent(told)) == split(topic, sent(told), name) == wanted


def test_no_format_of_the_page_is_without_a_known_answer():
    """A name that the page adds needs a row above, and a row above needs its name on the page; announced values are asked for below."""
    cells = [line.split(" | ")[1] for line in PAGE.read_text().splitlines() if line.count(" | ") >= 2]
    named = {name for cell in cells if re.fullmatch(r"(`\w+`(, )?)+", cell) for name in re.findall(r"\w+", cell)}
    assert named == {row[0] for row in KNOWN} | {"homeassistant"}


ANNOUNCED = {
    "stat_t": "cellar/state",
    "val_tpl": "{{ value_json.volume }}",
    "unit_of_meas": "L",
    "stat_cla": "total_increasing",
    "dev": {"sn": "33225544"},
}


def test_announced_values_are_those_of_the_page():
    """Home Assistant discovery: the value where the announcement says that it stands, in the register's unit, with the message's own time."""
    entities = announced("home", "homeassistant/sensor/cellar/volume/config", json.dumps(ANNOUNCED).encode())
    found = described(entities, Payload("cellar/state", b'{"volume":"12.5","id":"33225544","timestamp":"2026-11-21T08:00:00Z"}'))
    raw = b'{"id":"33225544","values":{"volume m3":"0.0125"}}'
    assert found == Envelope("homeassistant", (Heard(raw, "parsed", "homeassistant", gw_time=EIGHT),))


#: Two formats whose keys are in one message: the first that the table of FORMATS.md 2 names takes it.
BOTH = [
    ("milesight_ug", {**CHIRPSTACK, "applicationID": "1", "devEUI": EUI, "gatewaySN": "1"}),
    ("chirpstack4", {**CHIRPSTACK, "applicationID": "1", "devEUI": EUI, "deviceInfo": {"devEui": EUI}}),
    ("decode_request", {"_": "decode", "telegram": TELEGRAM, "meter": "x", "media": "water", "id": "33225544"}),
    ("wmbusmeters", {"_": "telegram", "telegram": TELEGRAM, "meter": "x", "media": "water", "id": "33225544", "total_m3": 1}),
    ("esphome_json", {"frame": TELEGRAM, "telegram": TELEGRAM}),
    ("native", {"v": 1, "gw": "g", "t": [], "frame": TELEGRAM, "cmd": "rx", "EUI": EUI}),
    ("loriot", {"cmd": "rx", "EUI": EUI, "data": IN_HEX, "frame": TELEGRAM}),
]


@pytest.mark.parametrize(("name", "told"), BOTH, ids=[name for name, _ in BOTH])
def test_the_order_of_sniffing_decides(name, told):
    """FORMATS.md 2: order matters where keys of two senders are in one message."""
    assert split(None, sent(told)).format == name


#: Nearly a format: why it is none, or what is wrong with it.
NEARLY = [
    ({"cmd": "cq", "EUI": EUI, "data": IN_HEX}, "unknown_format"),
    ({"cmd": "rx", "data": IN_HEX}, "unknown_format"),
    ({"devEUI": EUI, "data": BASE64}, "unknown_format"),
    ({"modbus": 2, "read": []}, "unknown_format"),
    ({"method": "mbus", "params": {"telegrams": [{"data": TELEGRAM}]}}, "unknown_format"),
    ({"meter": "x", "media": "water"}, "unknown_format"),
    ({"event": "radio_raw", "frame": TELEGRAM}, "unsupported_radio_raw"),
    ({"end_device_ids": {}, "uplink_message": {"frm_payload": BASE64}}, "bad_field"),
    ({"uplink_message": "AA=="}, "bad_field"),
    ({"DevEUI_uplink": []}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI[:-2]}}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI + "00"}}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": ""}}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "fPort": 256}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "fPort": -1}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "fCnt": -1}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "fCnt": "84"}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "rxInfo": {"rssi": -57}}, "bad_field"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "time": "yesterday"}, "bad_time"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "time": "2026-11-21T08:00:00"}, "bad_time"),
    ({**CHIRPSTACK, "deviceInfo": {"devEui": EUI}, "data": "AA="}, "bad_base64"),
    ({"DevEUI_uplink": {"DevEUI": EUI, "payload_hex": ""}}, "empty_uplink"),
    ({"cmd": "rx", "EUI": EUI, "data": "0g"}, "bad_hex"),
    ({"method": "wmbus", "params": {"telegrams": [{}]}}, "bad_field"),
    ({"telegram": 1}, "bad_field"),
    ({"telegram": TELEGRAM[:-2]}, "bad_length"),
    ({"modbus": 1, "map": "x", "read": []}, "bad_field"),
    ({"modbus": 1, "map": "x", "read": [{"fc": 6, "at": 0, "hex": "0000"}]}, "bad_field"),
    ({"modbus": 1, "map": "x", "read": [{"fc": 4, "at": 65_536, "hex": "0000"}]}, "bad_field"),
    ({"modbus": 1, "map": "x", "read": [{"fc": 4, "at": 0, "hex": "00"}]}, "bad_field"),
    ({"modbus": 1, "map": "x", "read": [{"fc": 4, "at": 0, "hex": "0000" * 126}]}, "bad_field"),
    ({"meter": "x", "media": "water", "id": "3322554", "total_m3": 1}, "bad_field"),
    ({"meter": "x", "media": "water", "id": 33225544, "total_m3": 1}, "bad_field"),
    ({"meter": "x", "media": "water", "id": "33225544", "total_m3": "1"}, "no_values"),
    ({"meter": "x", "media": "water", "id": "33225544", "total_m3": 1, "timestamp": "2026-11-21 08:00"}, "bad_time"),
    ({"v": 1, "gw": "g", "t": "x"}, "unknown_format"),
    (f"telegram=|{TELEGRAM[:-2]}|+1", "bad_length"),
    ("telegram=||+1", "bad_hex"),
    (CSV.replace(TELEGRAM, ""), "bad_line"),
    (f"{CSV},{TELEGRAM}", "bad_line"),
    (f"00000161;00112233;2026-11-21 08:00:00;{USER}", "bad_line"),
    ("00000161;00112233;2026-11-21 08:00:00;00;ffff", "bad_length"),
    ("161;00112233;2026-11-21 08:00:00;00;" + USER, "unknown_format"),
]


@pytest.mark.parametrize(("told", "reason"), NEARLY, ids=[f"{number} {reason}" for number, (_, reason) in enumerate(NEARLY)])
def test_what_is_nearly_of_a_format_has_its_reason(told, reason):
    """One word says what is wrong, of the whole message or of its only line, and something is always said about it."""
    try:
        (found,) = split(None, sent(told)).telegrams
    except BadPayload as error:
        found = error
    assert found.reason == reason
    assert found.detail


#: Levels as they come, and what they are: dBm, the receiver's own scale, or nothing.
LEVELS = [
    (-77, -77, None), (-76.6, -77, None), (-200, -200, None), (-0.4, 0, None), (0, None, 0), (97, None, 97), (65_535, None, 65_535),
    (-201, None, None), (65_536, None, None), (True, None, None), ("-77", None, None), (None, None, None), ([], None, None),
]  # fmt: skip


@pytest.mark.parametrize(("told", "dbm", "level"), LEVELS)
def test_a_level_is_dbm_below_zero_and_the_receivers_own_scale_else(told, dbm, level):
    """FORMATS.md 1: the two never mix, and what is no level is left out; nothing is refused for it."""
    (found,) = split(None, sent({"frame": TELEGRAM, "rssi": told})).telegrams
    assert (found.raw, found.rssi_dbm, found.level) == (RAW, dbm, level)


#: Times as gateways write them, as seconds from eight o'clock UTC; None for what is none.
TIMES = [
    ("2026-11-21T08:00:00Z", 0), ("2026-11-21 08:00:00+00:00", 0), ("2026-11-21T13:30:00+05:30", 0), ("2026-11-21T08:00:00.5Z", 0.5), ("20261121T080001Z", 1),
    (EIGHT // 1000 + 1, 0.001), (946_684_800_000, (946_684_800_000_000 - EIGHT) / 1e6), (946_684_799_999, None), (4_102_444_800_000, None),
    ("1999-12-31T23:59:59Z", None), ("2100-01-01T00:00:00Z", None), ("2026-11-21T08:00:00", None), ("2026-02-29T08:00:00Z", None), ("", None), ("08:00Z", None),
]  # fmt: skip


@pytest.mark.parametrize(("told", "seconds"), TIMES)
def test_a_time_is_an_instant_of_this_century_or_refused(told, seconds):
    """Unix milliseconds, or ISO 8601 with a zone; before 2000 or from 2100 on a gateway has no clock."""
    (found,) = split(None, sent(native({"hex": TELEGRAM, "ts": told}))).telegrams
    if seconds is None:
        assert (found.reason, found.raw) == ("bad_time", TELEGRAM.encode())
    else:
        assert found == heard(gw_time=EIGHT + round(seconds * 1_000_000))


@pytest.mark.parametrize("form", ["0011223344556677/0/0", "00112233aabbccdd/255/4294967295"])
def test_the_form_of_an_uplink_names_it_whole(form):
    """Device, port and count come back as they were put in: parts wait for each other under this name, over a restart too."""
    found = Uplink.of(form)
    assert found.form == form
    assert (found.eui, found.port, found.count) == (form[:16], *map(int, form.split("/")[1:]))


def test_the_wall_clock_of_a_line_is_not_an_instant():
    """Where a line names no zone, its time stays a wall clock: only the configuration of the gateway can make an instant of it."""
    (found,) = split(None, CSV.encode()).telegrams
    assert (found.gw_time, found.wall) == (None, WALL)
    assert found.wall.replace(tzinfo=UTC).timestamp() * 1_000_000 == EIGHT
