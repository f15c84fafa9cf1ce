"""The stores of a data folder brought to one level: after a crash, a power cut or a restore each may be older than the others, and none says so by itself.

Rules, at every start and after every recovery (FAULTS 1.3, rule 5):
- messages behind the readings' watermark are decoded again, whatever the inbox says of them;
- an inbox that is older than the readings, or new, goes on with numbers that no reading has;
- a registry that is older than the one that the rows were computed from, or new, is a changed one, whatever its number will be;
- published blocks that the readings believe published and that are not there are published again;
- what only `submeter rebuild` brings back is told: telegrams decoded late whose readings are gone, messages that are in the archive alone.
"""

from typing import Final

import structlog

from submeter.store import Archive, Inbox, Published, Readings, Registry

__all__ = ["estranged", "lacking", "level"]

log = structlog.get_logger()

#: A registry of another installation, or one that is new beside readings: all telegrams would be a stranger's.
ESTRANGED: Final = "the registry is empty, and there are readings: does [data] database name another one, or is its backup not restored yet? What comes waits in quarantine"


def level(inbox: Inbox, readings: Readings, registry: Registry, published: Published, archive: Archive) -> list[str]:
    """Bring the stores to one level; returns what had to be done, a sentence each."""
    watermark, done = readings.watermark(), list[str]()
    if readings.mended:
        done.append(readings.mended)
    used = max(watermark, archive.newest_message())
    if inbox.number_from(used):
        done.append(f"inbox.sqlite is older than readings or archive, or new: its next message has the number {used + 1}")
    if again := inbox.reopen(after=watermark):
        done.append(f"readings.duckdb is an older copy, was cut short, or is new: {again} messages of the inbox are decoded again")
    if published.version() < readings.published():
        series = sorted(readings.series().values())
        readings.publish_again(series)
        published.begin_again(readings.published())
        done.append(f"what is published is older than the readings, or new: {len(series)} series are published again by the next run")
    if registry.version() < readings.directory():
        readings.computed_from(~registry.version())  # no version, and yet which decisions the rows do not have: none of before
        done.append("the registry is older than the readings, or new: what waits for a meter or its key is looked at again by the next run")
    for sentence in done:
        log.warning(sentence)
    return done


def estranged(registry: Registry, readings: Readings) -> str | None:
    """What is strange about the registry beside these readings; None if nothing."""
    return None if registry.managers() or not readings.series() else ESTRANGED


def lacking(inbox: Inbox, readings: Readings, archive: Archive) -> str | None:
    """What the readings lack that decoding the waiting messages does not bring back, in a sentence; None if nothing."""
    if inbox.mark() > readings.mark():
        return "readings.duckdb has lost telegrams that were decoded late, from quarantine: `submeter rebuild` brings them back"
    if archive.newest_message() > readings.watermark():
        return "readings.duckdb lacks messages that are in the archive alone: `submeter rebuild` brings their readings back"
    return None
