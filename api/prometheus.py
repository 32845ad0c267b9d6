"""``GET /metrics`` for Prometheus: the service as SQL has it, and the API's own latency."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import FINISHED
from alphagrad.tuner.service_stats import FinishedTrials, ServiceStats, service_stats

logger = logging.getLogger(__name__)
router = APIRouter(tags=["monitoring"])

CACHE_SECONDS = 2.0
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TRIAL_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


class Monitor:
    """What one application tells Prometheus, in a registry of its own.

    Args:
        database: what is looked at when Prometheus asks, at most every two seconds.
    """

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "alphagrad_api_request_seconds",
            "Time to the end of an answer, by the route's template.",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=REQUEST_BUCKETS,
        )
        self.registry.register(_Service(database))


class _Service(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._finished = FinishedTrials(database)
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = 0.0
        # From zero on: a rate does not see the first failures of a series that begins with them.
        self._counts = {state: [0] * (len(TRIAL_BUCKETS) + 1) for state in FINISHED}
        self._sums = dict.fromkeys(FINISHED, 0.0)

    def describe(self) -> Iterable[Metric]:
        """Nothing is said at registration: the database need not answer then."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The service as it is, or was a moment ago."""
        with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = self._look()
                self._kept_until = time.monotonic() + CACHE_SECONDS
            yield from self._kept

    def _look(self) -> list[Metric]:
        try:
            stats = service_stats(self._database)
            self._count_finished()
        except DBAPIError as error:
            logger.error("the database does not answer: %s", error.orig)
            return [_gauge("alphagrad_database_up", "Whether the database answers.", 0)]
        return [
            _gauge("alphagrad_database_up", "Whether the database answers.", 1),
            *_families(stats),
            self._trial_seconds(),
        ]

    def _count_finished(self) -> None:
        for state, seconds in self._finished.new():
            place = sum(seconds > edge for edge in TRIAL_BUCKETS)
            self._counts[state][place] += 1
            self._sums[state] += seconds

    def _trial_seconds(self) -> Metric:
        family = HistogramMetricFamily(
            "alphagrad_trial_seconds",
            "From a trial's first start to its end, of those that ended since this server started.",
            labels=["state"],
        )
        for state, counts in self._counts.items():
            edges = [*map(str, TRIAL_BUCKETS), "+Inf"]
            sums = [sum(counts[: place + 1]) for place in range(len(counts))]
            buckets = list(zip(edges, map(float, sums), strict=True))
            family.add_metric([state], buckets, self._sums[state])
        return family


def _families(stats: ServiceStats) -> Iterator[Metric]:
    yield _by_label("alphagrad_studies", "Studies by state.", "state", stats.studies)
    yield _by_label("alphagrad_trials", "Trials by state.", "state", stats.trials)
    yield _gauge(
        "alphagrad_queue_age_seconds",
        "How long the oldest trial that a worker could claim has waited; 0 if none has.",
        stats.queue_seconds,
    )
    yield _by_label("alphagrad_workers", "Workers by engine.", "engine", stats.workers)
    for what, found in (("slots", stats.slots), ("gpus", stats.gpus)):
        for word, place in (("total", 0), ("used", 1)):
            text = {"total": "that workers have", "used": "of workers in use"}[word]
            name = f"alphagrad_worker_{what}" + ("_used" if word == "used" else "")
            values = {engine: pair[place] for engine, pair in found.items()}
            yield _by_label(name, f"{what.capitalize()} {text}.", "engine", values)
    alpha = GaugeMetricFamily(
        "alphagrad_trial_alpha",
        "Mean α over a running trial's layers, of the 50 that started last.",
        labels=["study", "trial"],
    )
    saturation = GaugeMetricFamily(
        "alphagrad_trial_saturation",
        "Mean saturation over a running trial's layers, of the 50 that started last.",
        labels=["study", "trial"],
    )
    for one in stats.training:
        alpha.add_metric([one.study, str(one.number)], one.alpha)
        saturation.add_metric([one.study, str(one.number)], one.saturation)
    yield alpha
    yield saturation


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _by_label(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The metrics",
        "content": {
            kind: {"schema": {"type": "string"}}
            for kind in ("text/plain", "application/openmetrics-text")
        },
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT)
def read_service_metrics(request: Request) -> Response:
    """The service's state and the API's latency, in Prometheus' text format or OpenMetrics."""
    monitor: Monitor = request.app.state.monitor
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(monitor.registry), headers={"Content-Type": content_type})
