"""What bridges announce to Home Assistant, and which device of the directory a gateway's name for a meter means. Part of registry.sqlite, as `registry.entities`.

Strategy: each change of an announcement is a row from the message on that brought it (its id in the inbox), so that a message is read by what was announced when it
came, after a rebuild too. Rules: an announcement has at most `HISTORY` rows, the oldest go; what stands in them is the text that the ingest side made; a link is made
by the operator, is in the audit, and another one of the same name replaces it.
"""

from collections.abc import Iterable
from typing import Final

from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["HISTORY", "Entities", "Row"]

#: Changes of one announcement that are kept.
HISTORY: Final = 16
KEEP: Final = """
INSERT INTO entities VALUES (?, ?, ?, ?) ON CONFLICT (source, topic, since) DO UPDATE SET told = excluded.told
"""
TRIM: Final = """
DELETE FROM entities WHERE source = ?1 AND topic = ?2 AND since NOT IN (
  SELECT since FROM entities WHERE source = ?1 AND topic = ?2 ORDER BY since DESC LIMIT ?3)
"""

#: Source (a broker's name), topic, message from which on, text.
Row = tuple[str, str, int, str]


class Entities(Part):
    """The announcements and names of a registry."""

    def all(self) -> list[Row]:
        """Return all announcements in order of source, topic and message."""
        return self._rows("SELECT source, topic, since, told FROM entities ORDER BY source, topic, since")

    def keep(self, rows: Iterable[Row]) -> None:
        """Keep changes of announcements; keeping one again changes nothing."""
        kept = list(rows)
        with self._file.writing() as db:
            db.executemany(KEEP, kept)
            db.executemany(TRIM, [(*key, HISTORY) for key in sorted({(source, topic) for source, topic, _, _ in kept})])

    def link(self, name: str, device: str) -> None:
        """From now on, what gateways call `name` is this device; StoreError if the directory does not have it."""
        with self._file.writing() as db:
            if not db.execute("SELECT 1 FROM devices WHERE id = ?", (device,)).fetchone():
                raise StoreError(
                    f"the directory has no device {device}: import it, or take it in by `submeter meters --adopt {device} --point P --from DATE`"
                )
            db.execute("INSERT INTO meter_names VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET device = excluded.device", (name, device))
            self._file.record("operator", "meter.link", device, name)
