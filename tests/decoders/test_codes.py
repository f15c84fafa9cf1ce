"""The tables of VIF and VIFE codes against the standard's own notation: bits, and what its letters count (EN 13757-3, tables 10 to 15)."""

import re
from itertools import product

import pytest

from submeter.decoders.vife import interpret

#: A row: bits of the code, letters being free ones · quantity · unit · power of ten at 0, which the number in `n` is added to. `t` and `p` count units of time.
PRIMARY = """
E0000nnn energy Wh -3
E0001nnn energy J 0
E0010nnn volume m3 -6
E0011nnn mass kg -3
E01000tt on_time
E01001tt operating_time
E0101nnn power W -3
E0110nnn power J/h 0
E0111nnn flow m3/h -6
E1000nnn flow m3/min -7
E1001nnn flow m3/s -9
E1010nnn mass_flow kg/h -3
E10110nn temperature_flow °C -3
E10111nn temperature_return °C -3
E11000nn temperature_difference K -3
E11001nn temperature_ambient °C -3
E11010nn pressure bar -3
E1101100 date
E1101101 date_time
E1101110 hca hca 0
E11100tt averaging_duration
E11101tt actuality_duration
E1111000 serial
E1111001 identification
E1111010 bus_address
E1111110 any
E1111111 manufacturer
"""
FB = """
E000000n energy Wh 5
E000001n energy_reactive varh 3
E000010n energy_apparent VAh 3
E000100n energy J 8
E00011nn energy cal 5
E001000n volume m3 2
E00101nn power_reactive var 0
E001100n mass kg 5
E001101n humidity % -1
E0100000 volume ft3 0
E0100001 volume ft3 -1
E010100n power W 5
E0101010 phase_voltage_voltage ° -1
E0101011 phase_voltage_current ° -1
E01011nn frequency Hz -3
E011000n power J/h 8
E01101nn power_apparent VA 0
E10110nn temperature_flow °F -3
E10111nn temperature_return °F -3
E11000nn temperature_difference °F -3
E11001nn temperature_ambient °F -3
E11101nn temperature_limit °C -3
E1111nnn power_cumulated_maximum W -3
"""
FD = """
E00000nn credit currency -3
E00001nn debit currency -3
E0001000 access_number
E0001001 medium
E0001010 manufacturer_name
E0001011 parameter_set
E0001100 model
E0001101 hardware
E0001110 firmware
E0001111 software
E0010000 customer_location
E0010001 customer
E0010010 access_code_user
E0010011 access_code_operator
E0010100 access_code_system
E0010101 access_code_developer
E0010110 password
E0010111 status_flags bits 0
E0011000 status_mask bits 0
E0011010 digital_output bits 0
E0011011 digital_input bits 0
E0011100 baud_rate Bd 0
E0011101 response_delay bit_times 0
E0011110 retry
E0011111 remote_control bits 0
E0100000 storage_first
E0100001 storage_last
E0100010 storage_block
E01001tt storage_interval
E0101000 storage_interval month 0
E0101001 storage_interval y 0
E0101010 operator_data
E0101011 time_point_second s 0
E01011tt since_readout
E0110000 tariff_start
E0110001 tariff_duration min 0
E0110010 tariff_duration h 0
E0110011 tariff_duration d 0
E01101tt tariff_period
E0111000 tariff_period month 0
E0111001 tariff_period y 0
E0111010 counter 1 0
E0111011 container
E01111tt transmission_period
E100nnnn voltage V -9
E101nnnn current A -12
E1100000 reset_count 1 0
E1100001 cumulation_count 1 0
E1100010 control_signal bits 0
E1100011 weekday
E1100100 week
E1100101 day_change
E1100110 parameter_activation bits 0
E1100111 supplier_information
E11010pp since_cumulation
E11011pp battery_operating_time
E1110000 battery_change
E1110001 rf_level dBm 0
E1110010 daylight_saving
E1110011 listening_window
E1110100 battery_days d 0
E1110101 stop_count 1 0
E1110110 manufacturer_container
"""
FD_FD = """
E0000010 battery_days month 0
E0000011 battery_days y 0
E0111101 concentration ppm 0
E0111110 humidity % 0
"""
TIMES = {"t": ("s", "min", "h", "d"), "p": ("h", "d", "month", "y")}


def codes(table: str) -> dict[int, tuple[str, str, int]]:
    """Every code of a table in the standard's notation: quantity, unit, power of ten."""
    found = {}
    for line in table.split("\n")[1:-1]:
        bits, quantity, unit, exponent = (*line.split(), "", "0")[:4]
        letters = re.findall("[ntp]", bits)
        for number, chosen in enumerate(product("01", repeat=len(letters))):
            code = int(re.sub("[ntp]", "{}", bits.replace("E", "0")).format(*chosen), 2)
            assert code not in found
            named = TIMES[letters[0]][number] if letters and letters[0] in TIMES else unit
            found[code] = (quantity, named, int(exponent) + (number if "n" in letters else 0))
    return found


@pytest.mark.parametrize(("head", "table"), [("", PRIMARY), ("fb", FB), ("fd", FD), ("fdfd", FD_FD)], ids=["primary", "FB", "FD", "FD FD"])
def test_every_code_is_that_of_the_standard(head: str, table: str) -> None:
    """All 128 codes of each table, those without a meaning included; the extension bit changes nothing."""
    wanted = codes(table)
    for code in range(128):
        if not head and code in {0x7B, 0x7C, 0x7D}:
            continue  # extensions and text, not codes
        for chain in (bytes([code]), bytes([code | 0x80, 0])):
            about = interpret(bytes.fromhex(head) + chain)
            assert (about.quantity, about.unit, about.exponent) == wanted.get(code, ("unknown", "", 0)), (head, hex(code))


#: Codes behind a VIF, those that leave a word: table 15 and, behind FC, table 16.
WORDS = """
12 average · 13 profile_backward · 14 relative_deviation · 1d standard_conform · 1e profile_registers · 1f profile_forward
20 per_s · 21 per_min · 22 per_h · 23 per_d · 24 per_week · 25 per_month · 26 per_y · 27 per_revolution
28 per_pulse_in_0 · 29 per_pulse_in_1 · 2a per_pulse_out_0 · 2b per_pulse_out_1
2c per_l · 2d per_m3 · 2e per_kg · 2f per_K · 30 per_kWh · 31 per_GJ · 32 per_kW · 33 per_K·l · 34 per_V · 35 per_A · 36 per_·s · 37 per_·s/V · 38 per_·s/A
39 date_39 · 3a uncorrected · 3b forward · 3c backward · 3e base_conditions · 3f obis
40 lower_limit · 41 lower_limit_count · 42 date_42 · 43 date_43 · 46 date_46 · 47 date_47 · 48 upper_limit · 49 upper_limit_count
4a date_4a · 4b date_4b · 4e date_4e · 4f date_4f · 68 during_lower_limit · 69 leakage · 6a date_6a · 6b date_6b
6c during_upper_limit · 6d overflow_value · 6e date_6e · 6f date_6f · 78 offset · 79 offset · 7a offset · 7b offset · 7e future
fc01 phase_l1 · fc02 phase_l2 · fc03 phase_l3 · fc04 neutral · fc05 phase_l1_l2 · fc06 phase_l2_l3 · fc07 phase_l3_l1
fc08 quadrant_1 · fc09 quadrant_2 · fc0a quadrant_3 · fc0b quadrant_4 · fc0c import_minus_export · fc10 absolute · fc11 unsigned · fc12 type_d
"""
ERRORS = """
01 too_many_difes · 02 storage_not_implemented · 03 unit_not_implemented · 04 tariff_not_implemented · 05 function_not_implemented
06 data_class_not_implemented · 07 data_size_not_implemented · 0b too_many_vifes · 0c illegal_vif_group · 0d illegal_vif_exponent
0e vif_dif_mismatch · 0f unimplemented_action · 15 no_data · 16 overflow · 17 underflow · 18 data_error · 19 data_error · 1a data_error
1b data_error · 1c premature_end
"""


def words(table: str) -> dict[str, str]:
    """Code in hex → word."""
    return {code: word for one in re.split(" · (?=[0-9a-f]{2})|\n", table.strip()) for code, word in [one.split(" ", 1)]}


@pytest.mark.parametrize(
    ("head", "unknown", "silent"), [("", "vife_", {0x00, 0x7C, 0x7D, 0x7F, *range(0x50, 0x68), *range(0x70, 0x78)}), ("fc", "vife_7c_", set())]
)
def test_every_further_code_leaves_its_word_or_its_error(head: str, unknown: str, silent: set[int]) -> None:
    """Behind a VIF, but for what only scales: the word of the table, the error, or the number of a code that no table knows."""
    wanted, errors = words(WORDS), words(ERRORS) if not head else {}
    for number in set(range(128)) - silent:
        about = interpret(bytes.fromhex(f"93{head}{number:02x}"))
        word = wanted.get(f"{head}{number:02x}", f"{unknown}{number:02x}")
        error = errors.get(f"{number:02x}")
        assert (about.error, about.modifiers) == (error, () if error else (word,)), hex(number)


def test_further_codes_scale_divide_count_and_time() -> None:
    """Times 10^(n-6) and 10^3, an offset of 10^(n-3), units of time, values by something, counts: of a VIF of litres."""
    for number in range(8):
        assert interpret(bytes((0x93, 0x70 + number))).exponent == -3 + number - 6
    assert interpret(bytes((0x93, 0x7D))).exponent == 0
    for number in range(4):
        assert interpret(bytes((0x93, 0x78 + number))).offset == -3 + number - 3
    for number in range(0x50, 0x68):
        about = interpret(bytes((0x93, number)))
        assert (about.modifiers, about.unit, about.exponent) == ((f"duration_{number:02x}",), ("s", "min", "h", "d")[number % 4], 0)
    for code, word in words(WORDS).items():
        about = interpret(bytes.fromhex("93" + code))
        divided = word.startswith("per_") and not word.startswith(("per_pulse", "per_revolution"))
        counted, dated = word.endswith("_count"), word.startswith("date_") or word == "start_of"
        assert about.unit == (f"m3/{word[4:]}" if divided else "1" if counted else "" if dated else "m3"), code
        assert about.exponent == (0 if counted or dated else -3), code
