"""The bus collector: reads the meters of one wired M-Bus, each at its own speed (ingest/SERIAL.md 2).

Rules: all pages of a read are one message with one instant, or nothing; a gateway from which three reads brought no byte is connected anew, since a connection
that is half open looks like silent meters.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from submeter.ingest.bus.frames import Address
from submeter.ingest.bus.master import Master, Timing
from submeter.ingest.common import Counters, OnEvent, now_us
from submeter.ingest.keeper import pages_message
from submeter.ingest.polling import OpenLine, Polling
from submeter.ingest.ports import opened
from submeter.ingest.schedule import Meter
from submeter.store.inbox import Message

__all__ = ["BusCollector", "BusSettings"]

#: Reads in a row without a single byte after which a gateway is connected anew.
MUTE: Final = 3


@dataclass(frozen=True, slots=True)
class BusSettings:
    """A bus: `url` as of a serial port, `meters` whom to read every `interval_s`; `echo` None: find out."""

    name: str
    url: str
    meters: tuple[Meter[Address], ...]
    gateway: str
    timing: Timing = field(default_factory=Timing)
    echo: bool | None = None
    interval_s: float = 900.0


class BusCollector(Polling[Address]):
    """Reads one bus into the inbox file."""

    def __init__(self, settings: BusSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        super().__init__(settings.url, settings.meters, settings.interval_s, inbox_path, on_event, "check supply, wiring and baud")

    def _open(self) -> OpenLine[Address]:
        return _Bus(self.settings, self.counters)


class _Bus(OpenLine[Address]):
    """The bus of these settings."""

    def __init__(self, settings: BusSettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._port = opened(settings.url, settings.timing.baud, even=True)
        self._master = Master(self._port, settings.timing, settings.echo)
        self._empty = 0

    def read(self, meter: Meter[Address]) -> Message:
        """Read all pages of a meter, at its speed."""
        settings, before = self._settings, self._master.received
        self._master.speed(meter.baud or settings.timing.baud)
        try:
            pages = self._master.read(meter.address)
        finally:
            self._empty = self._empty + 1 if self._master.received == before else 0
            self.mute = self._empty >= MUTE and "://" in settings.url
        self._counters.bytes += sum(map(len, pages))
        return pages_message(settings.name, settings.gateway, pages, now_us())

    def close(self) -> None:
        """Close the port."""
        self._port.close()
