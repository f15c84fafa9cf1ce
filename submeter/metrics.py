"""Prometheus metrics of a process (names: ingest INBOX 8). Counters live here and are raised where things happen; gauges are asked for when read."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from submeter.aggregate import Used
from submeter.core import Seen
from submeter.errors import SubmeterError
from submeter.ingest.common import Counters
from submeter.ingest.drain import Step
from submeter.store import Counts

__all__ = ["Metrics", "of_sources"]

#: With more gateways than these there is no series for each (ingest/INBOX.md 8); in counters all further ones are one, without a name.
MOST_GATEWAYS: Final = 2000
#: Which repetition a link's duplicate is (INBOX 4), where it is not one of the radio: an uplink told twice.
LEVELS: Final = {"lorawan": "uplink"}


class Metrics:
    """The metrics of one core, in a registry of their own so that several cores may live in one test process."""

    def __init__(
        self,
        counts: Callable[[], Counts],
        now: Callable[[], int],
        events: Callable[[], Mapping[str, int]],
        gateways: Callable[[], Mapping[str, Seen]] = dict,
        folder: Path | None = None,
        meters: Callable[[], Mapping[str, int]] = dict,
        redecoded: Callable[[], Mapping[str, int]] = dict,
        spark: Callable[[], Used] = Used,
    ) -> None:
        self.registry = CollectorRegistry()
        self._named: set[str] = set()
        self._telegrams = self._counter("submeter_ingest_telegrams", "Telegrams by outcome", "gateway", "kind", "result")
        self._messages = self._counter("submeter_ingest_messages", "Messages taken from the inbox", "source", "format")
        self._rejected = self._counter("submeter_ingest_rejected", "Messages and telegrams that no format explains", "reason")
        self._duplicates = self._counter("submeter_ingest_duplicates", "Telegrams and messages that came before", "gateway", "level")
        self.job_failures = Counter("submeter_job_failures", "Jobs and commands that failed", ["job"], registry=self.registry)
        #: 1 while health is green; who makes the metrics of a core says how that is asked for.
        self.healthy = Gauge("submeter_healthy", "1 while health is green", registry=self.registry)
        self._home = self._counter("submeter_home_assistant_messages", "Messages to Home Assistant's broker, by outcome", "result")
        #: 1 while the broker of Home Assistant is connected; who shows meters there says how that is asked for.
        self.home_connected = Gauge(
            "submeter_home_assistant_connected", "1 while the broker of [home_assistant] is connected", registry=self.registry
        )
        told = [
            partial(_inbox, counts, now),
            partial(_events, events),
            partial(_gateways, gateways),
            partial(_meters, meters, redecoded),
            partial(_spark, spark),
        ]
        for one in (*told, *([partial(_disk, folder)] if folder else [])):
            self.registry.register(_Asked(one))

    def watch(self, sources: Mapping[str, Counters]) -> None:
        """Show what these collectors count, by the names of their sources."""
        self.registry.register(_Asked(partial(_sources, sources)))

    def count(self, step: Step) -> None:
        """Count what a step of the drain did."""
        for (source, form), count in step.formats.items():
            self._messages.labels(source, form).inc(count)
        for (gateway, link, result), count in step.telegrams.items():
            name = self._name(gateway)
            self._telegrams.labels(name, link, result).inc(count)
            if result == "duplicate":
                self._duplicates.labels(name, LEVELS.get(link, "radio")).inc(count)
        for gateway, count in step.redelivered.items():
            self._duplicates.labels(self._name(gateway), "redelivery").inc(count)
        for reason, count in step.refused.items():
            self._rejected.labels(reason).inc(count)

    def shown(self, outcome: str, count: int) -> None:
        """Count messages to Home Assistant's broker: taken or failed."""
        self._home.labels(outcome).inc(count)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self.registry)

    def _name(self, gateway: str) -> str:
        if gateway not in self._named and len(self._named) >= MOST_GATEWAYS:
            return ""
        self._named.add(gateway)
        return gateway


def of_sources(sources: Mapping[str, Counters]) -> CollectorRegistry:
    """The metrics of a process that only collects."""
    registry = CollectorRegistry()
    registry.register(_Asked(partial(_sources, sources)))
    return registry


class _Asked(Collector):
    """What is asked for when the metrics are read; nothing while its file cannot be asked, so that the others are told when they are needed most."""

    def __init__(self, told: Callable[[], Iterator[Metric]]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        with suppress(SubmeterError, OSError):
            yield from list(self._told())


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[tuple[object, float]]) -> Metric:
    """A family with a value for each label."""
    for label, value in values:
        family.add_metric([str(label)], value)
    return family


def _inbox(counts_of: Callable[[], Counts], now: Callable[[], int]) -> Iterator[Metric]:
    counts = counts_of()
    yield GaugeMetricFamily("submeter_ingest_inbox_rows", "Messages that wait to be decoded", value=counts.waiting)
    waiting_s = (now() - counts.oldest_waiting) / 1e6 if counts.oldest_waiting is not None else 0.0
    yield GaugeMetricFamily("submeter_ingest_oldest_undecoded_seconds", "Age of the oldest message that waits", value=max(waiting_s, 0.0))
    quarantine = GaugeMetricFamily("submeter_quarantine_telegrams", "Telegrams in quarantine", labels=["reason"])
    yield _filled(quarantine, counts.quarantined.items())
    refused = GaugeMetricFamily("submeter_ingest_not_decoded", "Messages kept and not decoded: refused, redelivered, retained", labels=["reason"])
    yield _filled(refused, counts.refused.items())


def _events(events: Callable[[], Mapping[str, int]]) -> Iterator[Metric]:
    yield _filled(GaugeMetricFamily("submeter_events_open", "Open events by kind (docs/events.md)", labels=["kind"]), events().items())


def _gateways(gateways: Callable[[], Mapping[str, Seen]]) -> Iterator[Metric]:
    told, labels = gateways(), ["gateway"]
    yield GaugeMetricFamily("submeter_gateways", "Gateways that were heard in the last two weeks", value=len(told))
    shown = told if len(told) <= MOST_GATEWAYS else {}
    last = GaugeMetricFamily("submeter_gateway_last_seen_timestamp_seconds", "When a gateway was last heard, seconds since 1970", labels=labels)
    yield _filled(last, ((name, one.last / 1e6) for name, one in shown.items()))
    skew = GaugeMetricFamily("submeter_gateway_clock_skew_seconds", "How far a gateway's clock is ahead of ours; below 0: behind", labels=labels)
    yield _filled(skew, ((name, one.skew / 1e6) for name, one in shown.items() if one.skew is not None))
    gaps = CounterMetricFamily("submeter_gateway_sequence_gaps", "Gaps in the numbers of a gateway's messages", labels=labels)
    yield _filled(gaps, ((name, one.gaps) for name, one in shown.items()))
    missing = GaugeMetricFamily("submeter_gateway_missing_messages", "Messages of a gateway that are missing by its numbers", labels=labels)
    yield _filled(missing, ((name, one.missing) for name, one in shown.items()))


def _meters(states: Callable[[], Mapping[str, int]], redecoded: Callable[[], Mapping[str, int]]) -> Iterator[Metric]:
    yield _filled(GaugeMetricFamily("submeter_meters", "Assigned meters by state", labels=["state"]), states().items())
    again = CounterMetricFamily("submeter_redecoded", "Telegrams that gave readings when they were decoded again", labels=["cause"])
    yield _filled(again, list(redecoded().items()))


def _spark(used_of: Callable[[], Used]) -> Iterator[Metric]:
    used = used_of()
    buckets = CounterMetricFamily("submeter_spark_buckets", "Buckets of runs on Spark: computed, or there from before", labels=["how"])
    yield _filled(buckets, [("computed", used.computed), ("there", used.wanted - used.computed)])
    yield CounterMetricFamily("submeter_spark_readings", "Readings of the buckets that were computed", value=used.readings)
    yield CounterMetricFamily("submeter_spark_rows", "Rows of the buckets that were computed", value=used.rows)
    yield CounterMetricFamily("submeter_spark_task_seconds", "Seconds of work of the tasks that computed them", value=used.seconds)


def _disk(folder: Path) -> Iterator[Metric]:
    log = folder / "inbox.sqlite-wal"
    yield GaugeMetricFamily("submeter_ingest_wal_bytes", "Size of the inbox's write-ahead log", value=log.stat().st_size if log.exists() else 0)
    yield GaugeMetricFamily("submeter_ingest_free_bytes", "Free bytes of the data folder's disk", value=shutil.disk_usage(folder).free)


def _sources(sources: Mapping[str, Counters]) -> Iterator[Metric]:
    for kind, name, words, value in _OF_SOURCES:
        yield _filled(kind(name, words, labels=["source"]), ((source, value(counters)) for source, counters in sources.items()))
    http = CounterMetricFamily("submeter_http_ingest", "Answers to gateways that push over HTTP", labels=["code"])
    polls = CounterMetricFamily("submeter_bus_poll", "Reads of meters of a wired bus or a Modbus line, by outcome", labels=["bus", "result"])
    commits = HistogramMetricFamily("submeter_ingest_commit_seconds", "How long commits to the inbox take", labels=["source"])
    batches = HistogramMetricFamily("submeter_ingest_batch_size", "Messages of a commit", labels=["source"])
    reads = HistogramMetricFamily("submeter_bus_poll_seconds", "How long reads of a meter of a wired bus or a Modbus line take", labels=["bus"])
    for source, counters in sources.items():
        _filled(http, list(counters.answers.items()))
        for result, count in list(counters.polls.items()):
            polls.add_metric([source, result], count)
        commits.add_metric([source], list(counters.commit_s.upto()), counters.commit_s.total)
        batches.add_metric([source], list(counters.batch.upto()), counters.batch.total)
        if counters.polls:
            reads.add_metric([source], list(counters.poll_s.upto()), counters.poll_s.total)
    yield from (http, polls, commits, batches, reads)


#: What is told of each source: its kind, name, words, where it stands.
_OF_SOURCES: Final[tuple[tuple[type[GaugeMetricFamily | CounterMetricFamily], str, str, Callable[[Counters], int]], ...]] = (
    (GaugeMetricFamily, "submeter_source_connected", "1 while a broker or port is connected", lambda counters: int(counters.connected)),
    (CounterMetricFamily, "submeter_source_messages", "Messages kept in the inbox", attrgetter("messages")),
    (CounterMetricFamily, "submeter_source_bytes", "Bytes received", attrgetter("bytes")),
    (
        CounterMetricFamily,
        "submeter_source_failed_commits",
        "Batches that the inbox refused; they were not acknowledged",
        attrgetter("failed_commits"),
    ),
    (CounterMetricFamily, "submeter_source_connections", "Connections made; more than one: it was lost in between", attrgetter("connections")),
    (CounterMetricFamily, "submeter_mqtt_session_lost", "Reconnections at which the broker had forgotten the session", attrgetter("sessions_lost")),
    (CounterMetricFamily, "submeter_mqtt_redelivered", "Messages that the broker may have sent before", attrgetter("redelivered")),
    (CounterMetricFamily, "submeter_serial_dropped_bytes", "Bytes of a port that were given up", attrgetter("dropped_bytes")),
    (CounterMetricFamily, "submeter_serial_resync", "Times that bytes of a port were given up", attrgetter("resyncs")),
)
