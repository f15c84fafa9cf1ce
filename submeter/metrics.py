"""Prometheus metrics of a process (names: ingest INBOX 8). Counters live here and are raised where things happen; gauges are asked for when read."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from submeter.ingest.common import Counters
from submeter.store import Counts

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one core, in a registry of their own so that several cores may live in one test process."""

    def __init__(self, counts: Callable[[], Counts], now: Callable[[], int], events: Callable[[], Mapping[str, int]]) -> None:
        self.registry = CollectorRegistry()
        self.telegrams = Counter("submeter_ingest_telegrams", "Telegrams by outcome", ["result"], registry=self.registry)
        self.messages = Counter("submeter_ingest_messages", "Messages taken from the inbox", registry=self.registry)
        self.job_failures = Counter("submeter_job_failures", "Jobs and commands that failed", ["job"], registry=self.registry)
        self.registry.register(_Inbox(counts, now))
        self.registry.register(_Events(events))

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
        http = CounterMetricFamily("submeter_http_ingest", "Answers to gateways that push over HTTP", labels=["code"])
        for source, counters in self._sources.items():
            for code, count in list(counters.answers.items()):
                http.add_metric([str(code)], count)
            connected.add_metric([source], int(counters.connected))
            messages.add_metric([source], counters.messages)
            failed.add_metric([source], counters.failed_commits)
            lost.add_metric([source], counters.sessions_lost)
        yield from (connected, messages, failed, lost, http)
