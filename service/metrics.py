"""The server's metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from service.store.database import Database
from service.store.tables import LeaseRow, StudyRow, TrialRow


class Metrics:
    """The metrics of one server process. Gauges are read from the database when they are scraped."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lehr_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "lehr_http_request_seconds",
            "Time to answer, long polls included",
            ["method", "route"],
            registry=self.registry,
        )
        self.lost_leases = Counter("lehr_lost_leases", "Leases whose worker was lost", registry=self.registry)
        self.registry.register(LedgerCollector(database))

    def render(self) -> bytes:
        return generate_latest(self.registry)


class LedgerCollector(Collector):
    """Gauges of studies, trials and leases, read from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        # Declared here, so that registration does not query a database that may not exist yet.
        return [GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _GAUGES]

    def collect(self) -> Iterator[Metric]:
        studies, trials, leases = (GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _GAUGES)
        with self._database.read() as transaction:
            by_state = select(StudyRow.state, func.count()).group_by(StudyRow.state)
            for state, count in transaction.session.execute(by_state):
                studies.add_metric([state], count)
            by_trial = select(TrialRow.purpose, TrialRow.state, func.count()).group_by(TrialRow.purpose, TrialRow.state)
            for purpose, trial_state, count in transaction.session.execute(by_trial):
                trials.add_metric([purpose, trial_state], count)
            held = select(func.count()).select_from(LeaseRow).where(LeaseRow.is_open)
            leases.add_metric([], transaction.session.execute(held).scalar_one())
        yield from (studies, trials, leases)


_GAUGES: tuple[tuple[str, str, list[str]], ...] = (
    ("lehr_studies", "Studies by state", ["state"]),
    ("lehr_trials", "Trials by purpose and state", ["purpose", "state"]),
    ("lehr_open_leases", "Leases that hold a trial", []),
)
