"""What each field of a directory may say, as TOML and as CSV have it, and what it is stored as."""

from datetime import UTC, date, datetime

import pytest

from submeter.civil import CivilError
from submeter.decoders import DES_CBC, ELL_CTR
from submeter.store.directory_fields import FIELDS, is_des, parsed, secured
from submeter.store.directory_files import FILES, Entry

PARSE = {(kind, field.name): field.parse for kind, fields in FIELDS.items() for field in fields}
HEX = "00112233445566778899aabbccddeeff"
SPACED = "00 11 22 33 44 55 66 77"

#: Kind and field, what is written, what is stored.
TAKEN = (
    ("manager", "id", "c-1_A.b", "c-1_A.b"),
    ("manager", "id", "x" * 64, "x" * 64),
    ("manager", "name", "  Teplo s.r.o. ", "Teplo s.r.o."),
    ("property", "zone", "Asia/Kathmandu", "Asia/Kathmandu"),
    *(("property", "year_start", f"{month:02}-01", f"{month:02}-01") for month in (1, 7, 12)),
    *(("property", "finest", level, level) for level in ("hour", "day", "month")),
    ("property", "hours_kept", 0, 0),
    ("property", "days_kept", "99999", 99_999),
    ("point", "quantity", "cooling", "cooling"),
    ("point", "registers", ["energy", "power"], "energy power"),
    ("point", "registers", " volume[t1][s2][#3]  flow ", "volume[t1][s2][#3] flow"),
    ("point", "parameters", {"set_day": "12-31", "max_gap": "PT6H"}, '{"max_gap": "PT6H", "set_day": "12-31"}'),
    ("point", "parameters", '{"confirm_n": 3, "resettable": true}', '{"confirm_n": 3, "resettable": true}'),
    ("device", "id", " kam-12345678-1b-06 ", "KAM-12345678-1B-06"),
    ("device", "key", HEX, bytes.fromhex(HEX)),
    ("device", "key", HEX.upper(), bytes.fromhex(HEX)),
    ("device", "key", "00:11 22-33\t44556677", bytes.fromhex(HEX[:16])),
    *(("device", "mode", written, stored) for written, stored in (("2", DES_CBC), (2, DES_CBC), ("5", 5), (5, 5), ("7", 7), ("ell", ELL_CTR))),
    *(("device", "whole", written, stored) for written, stored in ((True, 1), (False, 0), ("true", 1), ("FALSE", 0))),
    ("assignment", "from", date(2026, 1, 31), date(2026, 1, 31)),
    ("assignment", "from", "2026-01-31", date(2026, 1, 31)),
    ("assignment", "from", "1970-01-01T01:00:00+01:00", 0),
    ("assignment", "from", datetime(1970, 1, 1, 0, 0, 1, 5, UTC), 1_000_005),
    ("assignment", "start_value", "812.345", 812_345_000),
    ("assignment", "start_value", 7, 7_000_000),
    ("assignment", "end_value", "-0.000001", -1),
    ("assignment", "end_value", "999999999999", 999_999_999_999_000_000),
    ("degree_days", "month", "2026-12", "2026-12"),
    ("degree_days", "value", "512.5", 512_500_000),
)  # fmt: skip

#: Kind and field, what is written, and what is said of it.
REFUSED = (
    *(("manager", "id", wrong, "at most 64 letters, digits") for wrong in ("", "x" * 65, "a/b", "ä", "a b", "a\n", 7)),
    *(("manager", "name", wrong, "write a text in one line") for wrong in ("", "  ", "a\nb", "a\x00", 7, None, ["a"])),
    *(("property", "zone", wrong, "is not a time zone") for wrong in ("Mars/Base", "europe", "../etc/passwd")),
    *(("property", "year_start", wrong, "the first of a month") for wrong in ("00-01", "13-01", "01-02", "1-1", "")),
    *(("property", "finest", wrong, "write one of hour, day, month") for wrong in ("year", "Hour", "")),
    *(("property", "hours_kept", wrong, "whole number of days") for wrong in (True, -1, "1.5", "100000", "ever", "٣")),
    ("point", "quantity", "gas", "write one of cold_water, hot_water"),
    *(("point", "registers", wrong, "write register names") for wrong in ([], "", [7], ["Energy"], "energy[x1]", {"a": 1}, ["energy power"], "volume[#٣]")),
    ("point", "parameters", {"gap": "1"}, "gap is no parameter: write some of kind, resolution"),
    ("point", "parameters", {"max_rate_per_h": 2.5}, "write decimals as text"),
    ("point", "parameters", "[1]", "\\? is no parameter"),
    ("point", "parameters", "{", "Expecting property name"),
    *(("device", "id", wrong, "is not a device") for wrong in ("KAM-1234567-1B-06", "KAM-12345678-1B", "K1M-12345678-1B-06", "KAM-1234567G-1B-06")),
    *(("device", "key", wrong, r"32 hex digits, or 16 of mode 2 \(this value is not shown\)") for wrong in (HEX[:-1], HEX + "00", "g" * 32, "", 7, None, HEX[:17])),
    *(("device", "mode", wrong, "write 2, 5, 7, ell") for wrong in (0, "13", "ELL", "", True)),
    *(("device", "whole", wrong, "write true or false") for wrong in (1, "yes", "")),
    ("assignment", "from", "2026-13-01", "month must be in 1..12"),
    ("assignment", "from", "2026-02-30", "day"),
    *(("assignment", "from", wrong, "is not an instant") for wrong in ("yesterday", "2026-01-31T00:00:00", "2026-01-31 00:00")),
    ("assignment", "from", 7, "write a text in one line"),
    *(("assignment", "start_value", wrong, "write the index as text") for wrong in (1.5, True, "1,5", "1e3", "1234567890123", "", "٣")),
    *(("degree_days", "month", wrong, 'write the month as "2026-01"') for wrong in ("2026-13", "2026-00", "26-01", "2026-1", "2026-01-01", 202601, "٢٠٢٦-01")),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "written", "stored"), TAKEN)
def test_a_field_is_taken(kind, field, written, stored):
    """In either form, as one stored value of one type."""
    found = PARSE[kind, field](written)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(("kind", "field", "written", "said"), REFUSED)
def test_a_field_is_refused(kind, field, written, said):
    """With what to write instead."""
    with pytest.raises((ValueError, CivilError), match=said):
        PARSE[kind, field](written)


def test_there_are_fields_of_each_kind():
    """And no kind is left without a file."""
    assert set(FIELDS) == set(FILES)


def test_what_is_left_out_has_its_default():
    """Needed fields have none: each is a line."""
    row, mistakes = parsed(Entry("unit", "x: 1", {"property": "b", "label": "1"}))
    assert (row, mistakes) == ({"id": None, "property": "b", "label": "1", "entrance": ""}, [])
    row, mistakes = parsed(Entry("property", "x: 2", {"name": "House", "zone": "UTC", "colour": "red", "area": 5}))
    assert (row["year_start"], row["finest"], row["hours_kept"], "manager" in row) == ("01-01", "hour", None, False)
    known = "write some of id, manager, name, zone, year_start, finest, hours_kept, days_kept"
    assert mistakes == [f"x: 2: area: unknown field: {known}", f"x: 2: colour: unknown field: {known}", "x: 2: manager: is missing"]


#: Maker, digits of the key, mode as written, and whether they fit.
PINNED = (
    ("KAM", 32, None, True), ("KAM", 32, 5, True), ("KAM", 32, 2, False), ("KAM", 16, 2, True), ("KAM", 16, None, False), ("KAM", 16, 5, False),
    ("HYD", 16, None, True), ("HYD", 32, None, True), ("KAM", 0, 2, True),
)  # fmt: skip


@pytest.mark.parametrize(("maker", "digits", "mode", "fits"), PINNED)
def test_a_key_of_eight_bytes_and_mode_2_belong_together(maker, digits, mode, fits):
    """But in the Diehl group, whose own cipher has such keys too."""
    values = {"id": f"{maker}-12345678-1B-06", "key": HEX[:digits] or None, "mode": mode}
    _, mistakes = parsed(Entry("device", "x", {name: value for name, value in values.items() if value is not None}))
    assert (mistakes == []) is fits
    assert fits or "a key of 16 hex digits is of mode 2, and mode 2 has no other" in mistakes[0]


@pytest.mark.parametrize(
    ("device", "key", "fields"),
    [
        ("KAM-12345678-1B-06", None, {}),
        ("KAM-12345678-1B-06", HEX, {"key": HEX}),
        ("KAM-12345678-1B-06", HEX[:16], {"key": HEX[:16], "mode": "2"}),
        ("KAM-12345678-1B-06", SPACED, {"key": SPACED, "mode": "2"}),
        ("HYD-12345678-1B-06", HEX[:16], {"key": HEX[:16]}),
    ],
)
def test_the_fields_of_a_key(device, key, fields):
    """One of DES pins its mode, also written with something between its digits."""
    assert secured(device, key) == fields
    assert is_des(device, len(bytes.fromhex(key or ""))) is ("mode" in fields)
