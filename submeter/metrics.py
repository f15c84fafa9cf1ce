"""Prometheus metrics of a process (names: ingest INBOX 8). Counters live here and are raised where things happen; gauges are asked for when read."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from submeter.aggregate import Used
from submeter.core import Seen
from submeter.ingest.common import Counters
from submeter.store import Counts

__all__ = ["Metrics"]

#: With more gateways than these there is no series for each (ingest/INBOX.md 8).
MOST_GATEWAYS: Final = 2000


class Metrics:
    """The metrics of one core, in a registry of their own so that several cores may live in one test process."""

    def __init__(
        self,
        counts: Callable[[], Counts],
        now: Callable[[], int],
        events: Callable[[], Mapping[str, int]],
        gateways: Callable[[], Mapping[str, Seen]] = dict,
        folder: Path | None = None,
        spark: Callable[[], Used] = Used,
    ) -> None:
        self.registry = CollectorRegistry()
        self.telegrams = Counter("submeter_ingest_telegrams", "Telegrams by outcome", ["result"], registry=self.registry)
        self.messages = Counter("submeter_ingest_messages", "Messages taken from the inbox", registry=self.registry)
        self.job_failures = Counter("submeter_job_failures", "Jobs and commands that failed", ["job"], registry=self.registry)
        self.registry.register(_Inbox(counts, now))
        self.registry.register(_Events(events))
        self.registry.register(_Gateways(gateways))
        self.registry.register(_Spark(spark))
        if folder is not None:
            self.registry.register(_Disk(folder))

    def watch(self, sources: Mapping[str, Counters]) -> None:
        """Show what these collectors count, by the names of their sources."""
        self.registry.register(_Sources(sources))


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
        connected = GaugeMetricFamily("submeter_source_connected", "1 while a broker or port is connected", labels=["source"])
        messages = CounterMetricFamily("submeter_source_messages", "Messages kept in the inbox", labels=["source"])
        failed = CounterMetricFamily(
            "submeter_source_failed_commits", "Batches that the inbox refused; they were not acknowledged", labels=["source"]
        )
        lost = CounterMetricFamily("submeter_mqtt_session_lost", "Reconnections at which the broker had forgotten the session", labels=["source"])
        again = CounterMetricFamily("submeter_mqtt_redelivered", "Messages that the broker may have sent before", labels=["source"])
        connections = CounterMetricFamily("submeter_source_connections", "Connections made; more than one: it was lost in between", labels=["source"])
        dropped = CounterMetricFamily("submeter_serial_dropped_bytes", "Bytes of a port that were given up", labels=["source"])
        http = CounterMetricFamily("submeter_http_ingest", "Answers to gateways that push over HTTP", labels=["code"])
        for source, counters in self._sources.items():
            for code, count in list(counters.answers.items()):
                http.add_metric([str(code)], count)
            connected.add_metric([source], int(counters.connected))
            messages.add_metric([source], counters.messages)
            failed.add_metric([source], counters.failed_commits)
            lost.add_metric([source], counters.sessions_lost)
            again.add_metric([source], counters.redelivered)
            connections.add_metric([source], counters.connections)
            dropped.add_metric([source], counters.dropped_bytes)
        yield from (connected, messages, failed, lost, again, connections, dropped, http)
