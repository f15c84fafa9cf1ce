"""Prometheus metrics of a process (names: ingest INBOX 8). Counters live here and are raised where things happen; gauges are asked for when read."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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
        told = (_Inbox(counts, now), _Events(events), _Gateways(gateways), _Meters(meters, redecoded), _Spark(spark))
        for one in (*told, *([_Disk(folder)] if folder else [])):
            self.registry.register(_Standing(one))

    def watch(self, sources: Mapping[str, Counters]) -> None:
        """Show what these collectors count, by the names of their sources."""
        self.registry.register(_Sources(sources))

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
    registry.register(_Sources(sources))
    return registry


class _Standing(Collector):
    """What a collector tells; nothing while its file cannot be asked, so that the others are told when they are needed most."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        with suppress(SubmeterError, OSError):
            yield from list(self._collector.collect())


class _Inbox(Collector):
    def __init__(self, counts: Callable[[], Counts], now: Callable[[], int]) -> None:
        self._counts = counts
        self._now = now

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        rows = GaugeMetricFamily("submeter_ingest_inbox_rows", "Messages that wait to be decoded", value=counts.waiting)
        waiting_s = (self._now() - counts.oldest_waiting) / 1e6 if counts.oldest_waiting is not None else 0.0
        oldest = GaugeMetricFamily("submeter_ingest_oldest_undecoded_seconds", "Age of the oldest message that waits", value=max(waiting_s, 0.0))
        quarantine = GaugeMetricFamily("submeter_quarantine_telegrams", "Telegrams in quarantine", labels=["reason"])
        for reason, count in counts.quarantined.items():
            quarantine.add_metric([reason], count)
        refused = GaugeMetricFamily("submeter_ingest_not_decoded", "Messages kept and not decoded: refused, redelivered, retained", labels=["reason"])
        for reason, count in counts.refused.items():
            refused.add_metric([reason], count)
        yield from (rows, oldest, quarantine, refused)


class _Events(Collector):
    def __init__(self, events: Callable[[], Mapping[str, int]]) -> None:
        self._events = events

    def collect(self) -> Iterator[Metric]:
        opened = GaugeMetricFamily("submeter_events_open", "Open events by kind (docs/events.md)", labels=["kind"])
        for kind, count in self._events().items():
            opened.add_metric([kind], count)
        yield opened


class _Gateways(Collector):
    def __init__(self, gateways: Callable[[], Mapping[str, Seen]]) -> None:
        self._gateways = gateways

    def collect(self) -> Iterator[Metric]:
        last = GaugeMetricFamily(
            "submeter_gateway_last_seen_timestamp_seconds", "When a gateway was last heard, seconds since 1970", labels=["gateway"]
        )
        skew = GaugeMetricFamily(
            "submeter_gateway_clock_skew_seconds", "How far a gateway's clock is ahead of ours; below 0: behind", labels=["gateway"]
        )
        gaps = CounterMetricFamily("submeter_gateway_sequence_gaps", "Gaps in the numbers of a gateway's messages", labels=["gateway"])
        missing = GaugeMetricFamily("submeter_gateway_missing_messages", "Messages of a gateway that are missing by its numbers", labels=["gateway"])
        told = self._gateways()
        for name, one in told.items() if len(told) <= MOST_GATEWAYS else ():
            last.add_metric([name], one.last / 1e6)
            gaps.add_metric([name], one.gaps)
            missing.add_metric([name], one.missing)
            if one.skew is not None:
                skew.add_metric([name], one.skew / 1e6)
        yield GaugeMetricFamily("submeter_gateways", "Gateways that were heard in the last two weeks", value=len(told))
        yield from (last, skew, gaps, missing)


class _Meters(Collector):
    def __init__(self, states: Callable[[], Mapping[str, int]], redecoded: Callable[[], Mapping[str, int]]) -> None:
        self._states = states
        self._redecoded = redecoded

    def collect(self) -> Iterator[Metric]:
        meters = GaugeMetricFamily("submeter_meters", "Assigned meters by state", labels=["state"])
        for state, count in self._states().items():
            meters.add_metric([state], count)
        again = CounterMetricFamily("submeter_redecoded", "Telegrams that gave readings when they were decoded again", labels=["cause"])
        for cause, count in list(self._redecoded().items()):
            again.add_metric([cause], count)
        yield from (meters, again)


class _Spark(Collector):
    def __init__(self, used: Callable[[], Used]) -> None:
        self._used = used

    def collect(self) -> Iterator[Metric]:
        used = self._used()
        buckets = CounterMetricFamily("submeter_spark_buckets", "Buckets of runs on Spark: computed, or there from before", labels=["how"])
        buckets.add_metric(["computed"], used.computed)
        buckets.add_metric(["there"], used.wanted - used.computed)
        yield buckets
        yield CounterMetricFamily("submeter_spark_readings", "Readings of the buckets that were computed", value=used.readings)
        yield CounterMetricFamily("submeter_spark_rows", "Rows of the buckets that were computed", value=used.rows)
        yield CounterMetricFamily("submeter_spark_task_seconds", "Seconds of work of the tasks that computed them", value=used.seconds)


class _Disk(Collector):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        log = self._folder / "inbox.sqlite-wal"
        yield GaugeMetricFamily("submeter_ingest_wal_bytes", "Size of the inbox's write-ahead log", value=log.stat().st_size if log.exists() else 0)
        yield GaugeMetricFamily("submeter_ingest_free_bytes", "Free bytes of the data folder's disk", value=shutil.disk_usage(self._folder).free)


class _Sources(Collector):
    def __init__(self, sources: Mapping[str, Counters]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for name, words, value in _GAUGES:
            yield self._filled(GaugeMetricFamily(name, words, labels=["source"]), value)
        for name, words, value in _COUNTERS:
            yield self._filled(CounterMetricFamily(name, words, labels=["source"]), value)
        yield from self._answers()
        commits = HistogramMetricFamily("submeter_ingest_commit_seconds", "How long commits to the inbox take", labels=["source"])
        batches = HistogramMetricFamily("submeter_ingest_batch_size", "Messages of a commit", labels=["source"])
        reads = HistogramMetricFamily("submeter_bus_poll_seconds", "How long reads of a meter of a wired bus or a Modbus line take", labels=["bus"])
        for source, counters in self._sources.items():
            commits.add_metric([source], list(counters.commit_s.upto()), counters.commit_s.total)
            batches.add_metric([source], list(counters.batch.upto()), counters.batch.total)
            if counters.polls:
                reads.add_metric([source], list(counters.poll_s.upto()), counters.poll_s.total)
        yield from (commits, batches, reads)

    def _filled(self, family: GaugeMetricFamily | CounterMetricFamily, value: Callable[[Counters], int]) -> Metric:
        for source, counters in self._sources.items():
            family.add_metric([source], value(counters))
        return family

    def _answers(self) -> Iterator[Metric]:
        http = CounterMetricFamily("submeter_http_ingest", "Answers to gateways that push over HTTP", labels=["code"])
        polls = CounterMetricFamily("submeter_bus_poll", "Reads of meters of a wired bus or a Modbus line, by outcome", labels=["bus", "result"])
        for source, counters in self._sources.items():
            for code, count in list(counters.answers.items()):
                http.add_metric([str(code)], count)
            for result, count in list(counters.polls.items()):
                polls.add_metric([source, result], count)
        yield from (http, polls)


#: What is told of each source: name, words, where it stands.
_GAUGES: Final[tuple[tuple[str, str, Callable[[Counters], int]], ...]] = (
    ("submeter_source_connected", "1 while a broker or port is connected", lambda counters: int(counters.connected)),
)
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Counters], int]], ...]] = (
    ("submeter_source_messages", "Messages kept in the inbox", attrgetter("messages")),
    ("submeter_source_bytes", "Bytes received", attrgetter("bytes")),
    ("submeter_source_failed_commits", "Batches that the inbox refused; they were not acknowledged", attrgetter("failed_commits")),
    ("submeter_source_connections", "Connections made; more than one: it was lost in between", attrgetter("connections")),
    ("submeter_mqtt_session_lost", "Reconnections at which the broker had forgotten the session", attrgetter("sessions_lost")),
    ("submeter_mqtt_redelivered", "Messages that the broker may have sent before", attrgetter("redelivered")),
    ("submeter_serial_dropped_bytes", "Bytes of a port that were given up", attrgetter("dropped_bytes")),
    ("submeter_serial_resync", "Times that bytes of a port were given up", attrgetter("resyncs")),
)
