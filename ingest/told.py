"""Values that another program decoded, or that registers hold, as telegrams of the devices they are told of.

Rules: a number of eight digits means the one device of the directory that has it; none and several are refused, never guessed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from submeter.decoders import Telegram
from submeter.ingest.envelopes import BadPayload
from submeter.ingest.envelopes.modbus import MODBUS
from submeter.ingest.envelopes.parsed import Values, values_of
from submeter.ingest.modbus.maps import RegisterMap
from submeter.ingest.modbus.registers import read_by
from submeter.ingest.rows import Reception
from submeter.reading import DeviceId, Reading, Register, to_micro

__all__ = ["Told"]


class Told:
    """`numbered` finds the devices with eight digits, `knows` tells whether the directory has a device; `maps` are those of Modbus devices."""

    def __init__(self, maps: Mapping[str, RegisterMap], numbered: Callable[[str], Sequence[DeviceId]], knows: Callable[[DeviceId], bool]) -> None:
        self._maps = maps
        self._numbered = numbered
        self._knows = knows

    def telegram(self, heard: Reception) -> Telegram:
        """The values of the one device that they are told of; raises BadPayload."""
        told = self._values(heard)
        devices = self._meant(told.id)
        if len(devices) != 1:
            found = ", ".join(map(str, devices)) or "none"
            raise BadPayload("unknown_meter", f"a gateway told values of meter {told.id}; devices of the directory with this number: {found}")
        return _telegram(devices[0], told.values)

    def newer(self, heard: Reception, last: Callable[[str, Register], int | None]) -> Telegram | None:
        """Those of the values that are newer than the `last` ones of their registers, if there are any."""
        try:
            told = self.telegram(heard)
        except BadPayload:
            return None
        newer = tuple(one for one in told.readings if (last(str(told.device), one.register) or 0) < heard.at)
        return replace(told, readings=newer) if newer else None

    def _values(self, heard: Reception) -> Values:
        raw = heard.telegram.raw
        return read_by(self._maps, raw) if heard.telegram.form == MODBUS.name else values_of(raw)

    def _meant(self, meter: str) -> Sequence[DeviceId]:
        """The devices that somebody names by eight digits, or in full."""
        with suppress(ValueError):
            device = DeviceId.parse(meter)
            return [device] if self._knows(device) else []
        return self._numbered(meter)


def _telegram(device: DeviceId, values: Mapping[Register, Decimal]) -> Telegram:
    """Values as if they had been decoded here."""
    readings = tuple(Reading(register, to_micro(value)) for register, value in values.items())
    return Telegram(device, readings, (), None, (), 0, None, None, b"", more=False, suspect=False, notes=())
