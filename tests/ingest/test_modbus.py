"""Register maps and what registers say by them, without a device."""

import json
from decimal import Decimal

import pytest

from submeter.decoders import DICTIONARY
from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.envelopes.modbus import Block, registers_bytes
from submeter.ingest.envelopes.parsed import Values
from submeter.ingest.modbus.maps import MapError, Point, RegisterMap, maps_in
from submeter.ingest.modbus.registers import read_by, value_of
from submeter.ingest.modbus.stations import station
from submeter.reading import Register

ENERGY, POWER, FLOW = Register("energy", "kWh"), Register("power", "kW"), Register("temperature_flow", "°C")
HEAT = RegisterMap(
    3,
    10,
    (
        Point(0, "u32", "energy", "MWh", Decimal("0.001")),
        Point(2, "u16", "power", "W", Decimal(100)),
        Point(3, "i16", "temperature_flow", "°C", Decimal("0.01")),
        Point(20, "bcd32", "serial"),
    ),
)
MAP = """
[map.substation]
function = 4
[[map.substation.point]]
address = 7
type = "u32"
words = "little"
scale = 0.01
unit = "kW"
register = "power"
"""


def told(*blocks, name="heat", offset=0, meter="", function=3):
    """What the blocks (address, hex) say by HEAT."""
    read = [Block(function, at, words) for at, words in blocks]
    return read_by({"heat": HEAT}, registers_bytes(name, 5, offset, meter, read))


@pytest.mark.parametrize(
    ("kind", "words", "data", "value"),
    [
        ("u16", "big", "fffe", 65534), ("u16", "big", "8000", 32768), ("u16", "big", "ffff", None),
        ("i16", "big", "fffe", -2), ("i16", "big", "ffff", -1), ("i16", "big", "8000", None),
        ("u32", "big", "00010002", 65538), ("u32", "little", "00010002", 131073), ("u32", "little", "ffffffff", None),
        ("i32", "big", "fffffffe", -2), ("i32", "little", "fffeffff", -2), ("i32", "little", "00008000", None), ("i32", "big", "80000000", None),
        ("f32", "big", "3dcccccd", "0.1"), ("f32", "little", "cccd3dcc", "0.1"), ("f32", "big", "c2280000", -42), ("f32", "big", "7fc00000", None), ("f32", "big", "ff800000", None),
        ("bcd32", "big", "12345678", 12345678), ("bcd32", "little", "56781234", 12345678), ("bcd32", "big", "1234567a", None), ("bcd32", "big", "ffffffff", None),
    ],
)  # fmt: skip
def test_types_word_orders_and_what_is_no_value(kind, words, data, value):
    """Each type in both word orders, exactly; its own coding of no value gives none."""
    found = value_of(Point(0, kind, "temperature_flow", words=words), bytes.fromhex(data))
    assert found == (None if value is None else Decimal(value))


def test_scale_unit_and_further_words_for_no_value():
    """Scale and unit are exact; all ones are none in a counter also where they are minus one; so is what the point calls void, and what no dial shows."""
    assert value_of(Point(0, "i32", "energy", "GJ", Decimal("0.36")), b"\0\0\0\1") == 100
    assert value_of(Point(0, "i16", "energy"), b"\xff\xff") is None
    assert value_of(Point(0, "i16", "temperature_flow", void=(0x7FFF,)), b"\x7f\xff") is None
    assert value_of(Point(0, "u32", "energy", "GJ", Decimal(100)), b"\xee\0\0\0") is None
    assert value_of(Point(0, "f32", "energy"), bytes.fromhex("7f7fffff")) is None


def test_a_read_is_the_values_of_one_meter():
    """Each point from where it stands behind base and offset, in its register's unit; what has no value is left out."""
    assert told((10, "0000303900ff0a28"), meter="12345678") == Values("12345678", {ENERGY: Decimal(12345), POWER: Decimal("25.5"), FLOW: Decimal(26)})
    assert told((60, "00003039ffff8000"), (80, "12345678"), offset=50) == Values("12345678", {ENERGY: Decimal(12345)})


@pytest.mark.parametrize(
    ("blocks", "more", "reason"),
    [
        ([(10, "00003039")], {"name": "other", "meter": "12345678"}, "unknown_map"),
        ([(10, "ffffffffffff8000")], {"meter": "12345678"}, "no_values"),
        ([(11, "0000303900ff0a28")], {"meter": "12345678", "function": 4}, "no_values"),
        ([(10, "0000")], {"meter": "12345678"}, "no_values"),
        ([(10, "00003039")], {}, "no_meter"),
        ([(10, "00003039"), (30, "87654321")], {"meter": "DFS-12345678-00-04"}, "meter_mismatch"),
    ],
)
def test_registers_that_say_nothing_have_a_reason(blocks, more, reason):
    """Another map, other registers, none that counts, no meter, and a meter that was exchanged unnoticed: never a value."""
    with pytest.raises(BadPayload) as caught:
        told(*blocks, **more)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"modbus": 2}, {"read": []}, {"read": [{"fc": 6, "at": 1, "hex": "0000"}]}, {"read": [{"fc": 3, "at": 65_536, "hex": "0000"}]}, {"read": [{"fc": 3, "at": 1, "hex": "00"}]},
        {"read": [{"fc": 3, "at": 1, "hex": "00" * 252}]}, {"read": [{"fc": 3, "at": 1}]}, {"read": 5}, {"map": 5}, {"unit": "x"}, {"meter": None},
    ],
)  # fmt: skip
def test_a_message_that_is_no_read_is_refused(wrong):
    """Anything but what the collector writes is refused with a word, before a map is asked."""
    good = {"modbus": 1, "map": "heat", "unit": 5, "read": [{"fc": 3, "at": 10, "hex": "00003039"}]}
    (heard,) = split(None, json.dumps(good).encode()).telegrams
    assert (heard.link, heard.form, heard.gw_time) == ("parsed", "modbus", None)
    with pytest.raises(BadPayload) as caught:
        split(None, json.dumps(good | wrong).encode())
    assert caught.value.reason in {"bad_field", "unknown_format"}


def test_what_stands_together_is_asked_for_together():
    """Neighbours are one request, over a gap there are two; all registers that there are fit into one."""
    assert HEAT.requests(50) == [(60, 4), (80, 2)]
    names = ["power", "flow", "pressure"]
    far = RegisterMap(3, 0, tuple(Point(at, "u32", name) for at, name in zip((2, 0, 5), names, strict=True)))
    assert far.requests(0) == [(0, 4), (5, 2)]
    wide = RegisterMap(3, 0, tuple(Point(2 * number, "u32", name) for number, name in enumerate(DICTIONARY)))
    assert wide.requests(0) == [(0, 2 * len(DICTIONARY))]
    assert 2 * len(DICTIONARY) <= 123  # with a serial 125, as many as a request may ask for
    with pytest.raises(ValueError, match="address 65550"):
        HEAT.requests(65_540)


def test_maps_of_an_operator_go_before_ours(tmp_path):
    """A map is read from a file as it is written, and may have the name of a shipped one; two files with one name are a mistake."""
    own, again = tmp_path / "own.toml", tmp_path / "again.toml"
    own.write_text(MAP + MAP.replace("substation", "danfoss-ecl"))
    again.write_text(MAP)
    maps = maps_in([own, own])
    assert maps["substation"] == maps["danfoss-ecl"] == RegisterMap(4, 0, (Point(7, "u32", "power", "kW", Decimal("0.01"), "little"),))
    with pytest.raises(MapError, match=r"again\.toml: map substation: another file"):
        maps_in([own, again])


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("function = 4", "function = 6", "map substation: .*, function"),
        ("function = 4", "", "map substation: .*`function`"),
        ("address = 7", 'address = "7"', "map substation: .*, point 1, address"),
        ("address = 7", "address = 65535", "address 65535"),
        ('type = "u32"', 'type = "u64"', "'u64', point 1, type"),
        ("scale = 0.01", "scale = 0", "scale 0 gives no value, point 1"),
        ("scale = 0.01", "scael = 0.01", "`scael`, point 1"),
        ('unit = "kW"', 'unit = "m3"', "power is in kW: a value in 'm3' cannot be changed to that, point 1"),
        ('register = "power"', 'register = "powr"', "'powr' is none of docs"),
        ('register = "power"', 'register = "serial"', "serial is of type"),
        ("[map.substation]", "[mop.substation]", r"write maps only, each as \[map\.NAME\]"),
        ("[map.substation]", "[map.substation", "this is not TOML"),
    ],
)
def test_a_mistake_in_a_map_names_its_place(tmp_path, old, new, why):
    """File, map, point and key, before anything is asked."""
    file = tmp_path / "own.toml"
    file.write_text(MAP.replace(old, new))
    with pytest.raises(MapError, match=why) as caught:
        maps_in([file])
    assert str(caught.value).startswith(f"{file}: ")
    with pytest.raises(MapError, match="cannot be read"):
        maps_in([tmp_path / "none.toml"])


def test_the_shipped_maps_say_where_they_are_from():
    """Each file names its source; what is not documented is not there, and such a map cannot be read by."""
    maps = maps_in()
    assert maps == {"danfoss-ecl": RegisterMap(3, 6000)}
    with pytest.raises(ValueError, match="no points"):
        station(maps, 5, "danfoss-ecl", 0, "12345678")
    with pytest.raises(ValueError, match="in no file of `maps`"):
        station(maps, 5, "other", 0, "12345678")
    with pytest.raises(ValueError, match="is not a device"):
        station({"heat": HEAT}, 5, "heat", 0, "1234")
    assert str(station({"heat": HEAT}, 5, "heat", 50, "")) == "unit 5, heat at +50"
