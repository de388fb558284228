"""The counters of /metrics, one registry per service."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What a service counts while it runs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.mentions = Counter(
            "listener_mentions", "Mentions stored, by outcome", ["source", "outcome"], registry=self.registry
        )
        self.rejects = Counter(
            "listener_dead_letters", "Records that could not be parsed", ["source"], registry=self.registry
        )
        self.alerts = Counter("listener_alerts", "Alerts written", registry=self.registry)
        self.failures = Counter(
            "listener_source_failures", "Failed looks at a source, by kind", ["source", "kind"], registry=self.registry
        )
        self.unanalysed = Counter(
            "listener_analysis_failures", "Mentions whose analysis failed", ["source"], registry=self.registry
        )
        self.page_seconds = Histogram(
            "listener_page_seconds", "From a page read to a page stored", registry=self.registry,
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60),
        )  # fmt: skip
        self.waiting = Gauge("listener_waiting_texts", "Texts waiting for the classifier", registry=self.registry)
        self.inbox = Counter("listener_pushes", "Pushes by answer", ["source", "status"], registry=self.registry)

    def text(self) -> bytes:
        """All of it in the exposition format."""
        return generate_latest(self.registry)
