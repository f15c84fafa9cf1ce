"""The words that `Telegram.status` may hold: what a meter says about itself. `X_earlier` means: it was so, and is over.

Sources: bits 0-4 of the transport status byte; bit fields that a driver names; a set bit that nobody names is `unnamed`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from submeter.decoders.driver import Bits
from submeter.decoders.records import Record

__all__ = ["FLAGS", "words_of"]

#: Word → meaning. Drivers use no other words (a test compares).
FLAGS: Final[Mapping[str, str]] = {
    # transport status byte
    "busy": "the meter's application is busy",
    "app_error": "an error of the application",
    "alarm": "abnormal condition or alarm",
    "power_low": "power low",
    "permanent_error": "permanent error: values are not to be trusted",
    "temporary_error": "temporary error",
    # water and flow
    "leak": "water runs without a pause",
    "burst": "far too much flow",
    "backflow": "flow in the wrong direction",
    "dry": "no water in the meter",
    "no_consumption": "nothing used for long",
    "underflow": "flow below the measuring range",
    "overflow": "flow above the measuring range",
    "undersized": "flow often above the permanent one: the meter is too small",
    "oversized": "flow often below the minimum: the meter is too large",
    "unchanged": "the measured value has not changed",
    "air": "air or a weak signal in the measuring tube",
    # manipulation and place
    "tamper": "manipulation",
    "magnet": "magnetic field",
    "removed": "taken off its place, module taken off, or case opened",
    "seal_broken": "the electronic seal is broken",
    "blocked": "the register stands still",
    "submerged": "under water",
    # device
    "low_battery": "battery near its end",
    "battery_end": "the battery's life is over",
    "reset": "the device has restarted",
    "memory_error": "memory or checksum error",
    "sensor_error": "sensor open, shorted or out of range",
    "communication_error": "radio or bus error, or communication between parts",
    "device_error": "another error of the device",
    "not_commissioned": "not in service yet",
    "wrong_temperature": "temperature outside the permitted range",
    "wrong_installation": "sensors exchanged, wrong polarity or wrong direction",
    "external_alarm": "alarm of an input",
    "power_failure": "the supply voltage was interrupted",
    "service": "an event for the service",
    "smoke": "smoke",
    # states that are no trouble
    "summer_time": "the meter's clock is on summer time",
    "power_saving": "power saving mode",
    "installation": "sent for the installation",
    "historic": "the frame repeats an older value",
    "radio_blocked": "two-way communication is blocked",
    "unnamed": "a flag that no table names",
    "general_alarm": "the meter's summary of its alarms",
}

_APPLICATION: Final = ((), ("busy",), ("app_error",), ("alarm",))
_STATUS: Final = ((0x04, "power_low"), (0x08, "permanent_error"), (0x10, "temporary_error"))


def words_of(byte: int, own: Bits | None, records: Iterable[Record]) -> tuple[str, ...]:
    """Words of the transport status byte (bits 0 to 4 of EN 13757-7, the others by `own`) and of the records, each once."""
    transport = own.words(byte) if own else _APPLICATION[byte & 3] + tuple(word for bit, word in _STATUS if byte & bit)
    return tuple(dict.fromkeys((*transport, *(word for record in records for word in record.flags))))
