"""The bus collector: reads the meters of one wired M-Bus (ingest/SERIAL.md 2). All pages of a read are one message with one instant, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from submeter.ingest.bus.frames import Address
from submeter.ingest.bus.master import Master, Timing
from submeter.ingest.common import OnEvent, now_us
from submeter.ingest.keeper import pages_message
from submeter.ingest.polling import Polling
from submeter.ingest.ports import opened
from submeter.store.inbox import Message

__all__ = ["BusCollector", "BusSettings"]


@dataclass(frozen=True, slots=True)
class BusSettings:
    """A bus: `url` as of a serial port, `meters` whom to read every `interval_s`; `echo` None: find out."""

    name: str
    url: str
    meters: tuple[Address, ...]
    gateway: str
    timing: Timing = field(default_factory=Timing)
    echo: bool | None = None
    interval_s: float = 900.0


class BusCollector(Polling[Address]):
    """Reads one bus into the inbox file."""

    def __init__(self, settings: BusSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        super().__init__(settings.name, settings.url, settings.meters, settings.interval_s, inbox_path, on_event, "check supply, wiring and baud")

    @contextmanager
    def _line(self) -> Iterator[Callable[[Address], Message]]:
        settings = self.settings
        with closing(opened(settings.url, settings.timing.baud, even=True)) as port:
            master = Master(port, settings.timing, settings.echo)

            def read(address: Address) -> Message:
                pages = master.read(address)
                self.counters.bytes += sum(map(len, pages))
                return pages_message(settings.name, settings.gateway, pages, now_us())

            yield read
