"""The Modbus collector: reads meters, or what controllers know of them, by their registers (ingest/SERIAL.md 4). All blocks of a read are one message with one instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from submeter.ingest.common import Counters, OnEvent, now_us
from submeter.ingest.envelopes.modbus import MODBUS, registers_bytes
from submeter.ingest.modbus.stations import Station
from submeter.ingest.polling import OpenLine, Polling
from submeter.ingest.schedule import Meter
from submeter.store.inbox import Message

if TYPE_CHECKING:
    from submeter.ingest.modbus.line import Line, Parity

__all__ = ["ModbusCollector", "ModbusSettings"]


@dataclass(frozen=True, slots=True)
class ModbusSettings:
    """A line: its `url`, `stations` whom to read every `interval_s`; `echo` None: find out."""

    name: str
    url: str
    stations: tuple[Station, ...]
    gateway: str
    baud: int = 19_200
    parity: "Parity" = "even"
    timeout_s: float = 1.0
    echo: bool | None = None
    interval_s: float = 900.0

    def opened(self) -> "Line":
        """Open the line; raises OSError, or ValueError for an address that is none."""
        from submeter.ingest.modbus.line import Line  # noqa: PLC0415 - pymodbus is an extra

        return Line(self.url, self.baud, self.parity, self.timeout_s, echo=self.echo)


class ModbusCollector(Polling[Station]):
    """Reads one Modbus line into the inbox file."""

    def __init__(self, settings: ModbusSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        meters, advice = tuple(map(Meter, settings.stations)), "check supply, wiring, baud, parity and unit numbers"
        super().__init__(settings.url, meters, settings.interval_s, inbox_path, on_event, advice)

    def _open(self) -> OpenLine[Station]:
        return _Stations(self.settings, self.counters)


class _Stations(OpenLine[Station]):
    """The stations behind the line of these settings."""

    def __init__(self, settings: ModbusSettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._line = settings.opened()

    def read(self, meter: Meter[Station]) -> Message:
        """Read all blocks of a station."""
        one = meter.address
        blocks = one.read(self._line.read)
        self._counters.bytes += sum(len(block.hex) // 2 for block in blocks)
        payload = registers_bytes(one.map, one.unit, one.offset, one.meter, blocks)
        return Message(self._settings.name, payload, now_us(), self._settings.gateway, format=MODBUS.name)

    def close(self) -> None:
        """Hang up."""
        self._line.close()
