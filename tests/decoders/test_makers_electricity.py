"""Electricity meters of makers: each VIF with each tariff, subunit and place, as register, scale and word (manufacturer layouts 12)."""

from decimal import Decimal
from itertools import product

import pytest

from submeter.decoders import Profile, Record, decode
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.encode import Slot

CONTO, NEMO, ELTAKO, SCHNEIDER = (
    DeviceId(maker, "36000001", version, 2) for maker, version in (("IME", 0x66), ("IME", 0x1D), ("ELT", 0x01), ("SEC", 0x13))
)
PHASES, BETWEEN = ("phase_l1", "phase_l2", "phase_l3"), ("phase_l1_l2", "phase_l2_l3", "phase_l3_l1")


def only(meter: DeviceId, records: bytes) -> tuple[Record, list[str]]:
    """The only record of a telegram, and the registers that it became."""
    telegram = decode(encode.radio(meter, encode.plain(records, None)), lambda _: Profile())
    (record,) = telegram.records
    return record, [str(one.register) for one in telegram.readings]


def said(record: Record) -> tuple[str, tuple[str, ...], int, int, int]:
    """Quantity, words, tariff, subunit and function of a record."""
    return record.quantity, record.modifiers, record.tariff, record.subunit, record.function


#: VIF of a Conto: quantity, decimal places, unit, function.
CONTO_VIFS = {
    "ff80843b": ("energy", 2, "kWh", 0), "ff80843c": ("energy_export", 2, "kWh", 0), "ff81843b": ("energy_reactive", 2, "kvarh", 0),
    "ff81843c": ("energy_reactive_export", 2, "kvarh", 0), "ff842b": ("power", 3, "kW", 0), "ff852b": ("power_reactive", 3, "kvar", 0),
    "ff862b": ("power_apparent", 3, "kVA", 0), "ff8748": ("voltage", 1, "V", 0), "ff8848": ("voltage", 1, "V", 0), "ff8959": ("current", 3, "A", 0),
    "ff8a48": ("frequency", 1, "Hz", 0), "ff8b28": ("power_factor", 3, "1", 0), "ff8c2b": ("power_factor_sector", 0, "", 0), "ff8e2b": ("power", 3, "kW", 1),
    "ff8f21": ("operating_time", 0, "min", 0),
}  # fmt: skip
#: Tariff numbers that are none: the total, the partial counter, three phases at once, each phase alone.
CONTO_PLACES = {5: (), 6: ("partial",), 7: (), **{8 + place: (word,) for place, word in enumerate(PHASES)}}


@pytest.mark.parametrize("vif", CONTO_VIFS)
def test_a_conto_has_vifs_of_its_own(vif: str) -> None:
    """Each with each tariff number: tariffs 0 to 2, then places; what no row has keeps the mark of the manufacturer, as bytes."""
    quantity, places, unit, function = CONTO_VIFS[vif]
    lines = {8 + place: (word,) for place, word in enumerate(BETWEEN)}
    for tariff in range(13):
        record, registers = only(CONTO, encode.integer(bytes.fromhex(vif), 12345, 4, Slot(tariff=tariff)))
        words = lines.get(tariff) if vif == "ff8848" else CONTO_PLACES.get(tariff, () if tariff < 3 else None)
        if words is None:
            assert (record.quantity, record.value, registers) == ("manufacturer", (12345).to_bytes(4, "little"), []), tariff
            continue
        assert said(record) == (quantity, words, tariff if tariff < 3 else 0, 0, function), tariff
        assert (record.value, record.unit) == (Decimal(12345).scaleb(-places), unit)
        name = quantity + "_max" * function + (f"[t{tariff}]" if 0 < tariff < 3 else "")
        assert registers == ([] if words or quantity == "power_factor_sector" else [name])


@pytest.mark.parametrize(
    ("vif", "quantity", "words", "value"),
    [
        ("ff8d2b", "power", ("demand",), "12.345"), ("ff9029", "pulse_input", (), "123.45"), ("ff912b", "pulse_unit", (), "12345"),
        ("ff8d2c", "manufacturer", ("manufacturer",), None), ("ff922b", "manufacturer", ("manufacturer",), None),
    ],
)  # fmt: skip
def test_a_conto_tells_its_demand_and_its_pulse_inputs(vif: str, quantity: str, words: tuple[str, ...], value: str | None) -> None:
    """Shown only; the VIFs beside them mean nothing that is known."""
    record, registers = only(CONTO, encode.integer(bytes.fromhex(vif), 12345, 4))
    assert (record.quantity, record.modifiers, registers) == (quantity, words, [])
    assert record.value == (Decimal(value) if value else (12345).to_bytes(4, "little"))


#: VIF and places of a Nemo: quantity, words by place from 1 on.
NEMO_VIFS = {
    "abff": ("power", (*PHASES, *BETWEEN)), "fdbaff": ("power_factor", (*PHASES, *BETWEEN)), "fdc8ff": ("voltage", (*PHASES, *BETWEEN)),
    "fdd9ff": ("current", (*PHASES, "neutral")),
}  # fmt: skip


@pytest.mark.parametrize("vif", NEMO_VIFS)
def test_a_nemo_names_its_places(vif: str) -> None:
    """Phases from 1 on, then pairs of them, or the neutral; subunit 2 of a power is a reactive one; any other place keeps the manufacturer's mark."""
    quantity, words = NEMO_VIFS[vif]
    for place, subunit in product(range(9), range(3)):
        record, registers = only(NEMO, encode.integer(bytes.fromhex(vif) + bytes([place]), 7, 4, Slot(subunit=subunit)))
        known, power = 0 < place <= len(words), vif == "abff"
        word = words[place - 1] if known else "negative" if power and subunit else "manufacturer"
        wanted = "power_reactive" if power and subunit == 2 else "counter" if vif == "fdbaff" and not known else quantity
        assert said(record) == (wanted, (word,), 0, 0 if power and known else subunit, 0), (place, subunit)
        assert registers == []


@pytest.mark.parametrize("quantity", ["energy", "power"])
def test_tariff_and_subunit_of_a_nemo_are_total_and_kind(quantity: str) -> None:
    """Subunit 1 is active, 2 reactive; tariff 1 is the total, all others are partial, or negative, values, which are shown."""
    vif, word = {"energy": (b"\x04", "partial"), "power": (b"\x2b", "negative")}[quantity]
    for tariff, subunit in product(range(4), range(4)):
        record, registers = only(NEMO, encode.integer(vif, 7, 4, Slot(tariff=tariff, subunit=subunit)))
        name = f"{quantity}_reactive" if subunit == 2 else quantity
        if subunit not in {1, 2}:
            assert said(record) == (quantity, (), tariff, subunit, 0)
        elif tariff == 1:
            assert said(record) == (name, (), 0, 0, 0)
            assert registers == [name]
        else:
            assert said(record)[:2] == (name, (word,))
            assert registers == []


def test_a_nemo_has_a_frequency_and_a_power_factor() -> None:
    """Tenths of a hertz in whatever coding; the factor is a float under the VIF of a counter, which an integer there stays."""
    assert only(NEMO, encode.integer(b"\xff\x5a", 500, 2))[0].value == 50
    assert only(NEMO, encode.real(b"\xff\x5a", 499.5))[0].value == Decimal("49.95")
    assert only(NEMO, encode.real(b"\xfd\x3a", 0.5))[1] == ["power_factor"]
    assert only(NEMO, encode.integer(b"\xfd\x3a", 1, 2))[0].quantity == "counter"


@pytest.mark.parametrize(("vif", "quantity"), [("acff", "power"), ("fdc9ff", "voltage"), ("fddbff", "current")])
def test_an_eltako_names_its_phases(vif: str, quantity: str) -> None:
    """Place 0 is all of them, 1 to 3 one each; subunit 1 of a power is reactive."""
    for place, subunit in product(range(6), range(3)):
        record, registers = only(ELTAKO, encode.integer(bytes.fromhex(vif) + bytes([place]), 7, 4, Slot(subunit=subunit)))
        reactive = quantity == "power" and subunit == 1 and place < 4
        words = ((), *((word,) for word in PHASES), ("manufacturer",), ("manufacturer",))[place]
        assert said(record) == ("power_reactive" if reactive else quantity, words, 0, 0 if reactive else subunit, 0)
        name = said(record)[0] + f"[s{subunit}]" * bool(subunit and not reactive)
        assert registers == ([] if words else [name])


@pytest.mark.parametrize(("vif", "quantity"), [("ff13", "tariff_active"), ("ff68", "current_transformer_ratio"), ("ff14", "manufacturer")])
def test_an_eltako_tells_its_settings(vif: str, quantity: str) -> None:
    """As whole numbers, which are shown."""
    record, registers = only(ELTAKO, encode.integer(bytes.fromhex(vif), 5, 2))
    assert (record.quantity, registers) == (quantity, [])
    assert record.value == (5 if quantity != "manufacturer" else b"\x05\0")


#: Energies of a Schneider meter: VIF, active and reactive quantity, word.
ENERGIES = {
    "03": ("energy", "energy_reactive", ()), "83ff09": ("energy_export", "energy_reactive_export", ()), "83ff0d": ("energy", "energy_reactive", ("partial",)),
    **{f"83ff0{phase}": ("energy", "energy_reactive", (word,)) for phase, word in enumerate(PHASES, 1)},
}  # fmt: skip


@pytest.mark.parametrize("vif", ENERGIES)
def test_a_schneider_meter_has_whole_and_floating_energies(vif: str) -> None:
    """Active ones and, in subunit 1, reactive ones; floats are shown, whole ones are readings where they are of all phases and not partial."""
    active, reactive, words = ENERGIES[vif]
    chain = bytes.fromhex(vif)
    for subunit, name in enumerate((active, reactive)):
        slot = Slot(subunit=subunit)
        record, registers = only(SCHNEIDER, encode.integer(chain, 5000, 8, slot))
        assert said(record)[:2] == (name, words)
        assert (record.subunit, registers) == (0, [name] if not words else [])
        record, registers = only(SCHNEIDER, encode.real(chain, 5.0, slot))
        assert said(record)[:2] == (name, (*words, "float"))
        assert registers == []
    for tariff in range(1, 6):
        record, registers = only(SCHNEIDER, encode.integer(chain, 5000, 8, Slot(tariff=tariff)))
        assert registers == ([f"energy[t{tariff}]"] if vif == "03" else [])


@pytest.mark.parametrize("tariff", range(6))
def test_tariffs_of_a_schneider_meter_as_floats_are_shown(tariff: int) -> None:
    """Of the four tariffs, and the total."""
    _, registers = only(SCHNEIDER, encode.real(b"\x03", 5.0, Slot(tariff=tariff)))
    assert registers == ([f"energy[t{tariff}]"] if tariff == 5 else [])


@pytest.mark.parametrize(("subunit", "name"), [(0, "power"), (1, "power_reactive"), (2, "power_apparent"), (3, "power[s3]")])
def test_powers_of_a_schneider_meter_are_told_by_their_subunit(subunit: int, name: str) -> None:
    """Active, reactive, apparent."""
    record, registers = only(SCHNEIDER, encode.integer(b"\x2e", 5, 4, Slot(subunit=subunit)))
    assert record.value == 5000
    assert registers == [name]


@pytest.mark.parametrize(
    ("vif", "quantity", "unit", "registers"),
    [
        ("ff0a", "power_factor", "1", ["power_factor"]), ("ff0b", "frequency", "Hz", ["frequency"]), ("ff20", "operating_time", "s", ["operating_time"]),
        ("ff24", "frequency", "Hz", []),
    ],
)  # fmt: skip
def test_what_else_a_schneider_meter_measures(vif: str, quantity: str, unit: str, registers: list[str]) -> None:
    """Under VIFs of its own, as they are; its nominal frequency is shown."""
    record, found = only(SCHNEIDER, encode.real(bytes.fromhex(vif), 50.0))
    assert (record.quantity, record.value, record.unit, found) == (quantity, 50, unit, registers)
