"""What Prometheus is told at /metrics: requests, phases of recognition, answers, refusals, the model.

Under gunicorn every worker counts in files of its own, in the folder that PROMETHEUS_MULTIPROC_DIR names before this
module is imported, and whichever worker is asked adds them up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    values,
)

from recognition import Observer, Phase, Prediction, Recognizer

# Files shared by processes have no such series either.
disable_created_metrics()
_slot = 0
_shared = values.ValueClass is not values.MutexValue
if _shared:
    # Files are named by a worker's slot and not by its process id: a new worker counts on where the old one stopped,
    # and a server that replaces workers for years has no more files than on its first day.
    values.ValueClass = values.MultiProcessValue(lambda: _slot)

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
_LOG_ODDS = (-10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0)

_requests = Counter("digits_requests", "Requests answered, by route and status.", ["route", "status"])
_request_seconds = Histogram("digits_request_seconds", "Time to answer, by route.", ["route"], buckets=_FAST)
_problems = Counter("digits_problems", "Requests refused, by type of problem.", ["type"])
_unauthorized = Counter("digits_unauthorized", "Requests without a valid API key: missing or unknown.", ["reason"])
_phase_seconds = Histogram("digits_phase_seconds", "Time in a phase of recognition.", ["phase"], buckets=_FAST)
_decodes = Gauge("digits_decodes_in_progress", "Pictures being decoded.", multiprocess_mode="livesum")
_predictions = Counter(
    "digits_predictions",
    "Answers, by likeliest digit and by whether it was taken for one.",
    ["digit", "is_digit"],
)
_confidence = Histogram("digits_confidence", "Confidence of the answers taken for a digit.", buckets=_SHARES)
_scores = Histogram("digits_digit_score", "How much inputs were like a digit, in log-odds.", buckets=_LOG_ODDS)
_models = Gauge(
    "digits_model_info",
    "Processes that have this model.",
    ["model", "architecture"],
    multiprocess_mode="livesum",
)
_admitted = Gauge("digits_requests_admitted", "Requests being answered or waiting.", multiprocess_mode="livesum")
_rate_limit_fallback = Gauge(
    "digits_rate_limit_fallback",
    "Processes that count rates by themselves, because the storage they share does not answer.",
    multiprocess_mode="livesum",
)
_overloaded = Counter("digits_overloaded", "Requests refused because too many were waiting.")

_dropped_log_lines = Counter("digits_log_lines_dropped", "Log lines that were not written: their reader was too slow.")

_NO_ROUTE = "none"

operations = Blueprint("operations", __name__)


@operations.get("/metrics")
def metrics() -> Response:
    """All figures, in Prometheus's text format."""
    registry = REGISTRY
    if _shared:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    answer = Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def init_app(app: Flask) -> None:
    """Serve /metrics from `app`, and count its requests, which began at `g.started`."""
    app.register_blueprint(operations)
    app.after_request(_count_request)


def observe(recognizer: Recognizer) -> None:
    """Count and time what `recognizer` does from now on."""
    recognizer.observer = _Recorder()
    _models.labels(recognizer.info.id, recognizer.info.architecture).set(1)


def count_problem(problem_type: str) -> None:
    """Count a refusal by its type in the table of problems."""
    _problems.labels(problem_type).inc()


def count_unseen(problem_type: str, status: int) -> None:
    """Count a request that was turned away before the app saw it."""
    count_problem(problem_type)
    _requests.labels(_NO_ROUTE, str(status)).inc()


def count_overload() -> None:
    """Count a request that was turned away because too many were waiting."""
    _overloaded.inc()
    count_unseen("overloaded", 503)


def show_admitted(number: int) -> None:
    """Say how many requests this process has taken on and not answered yet."""
    _admitted.set(number)


def set_rate_limit_fallback(is_active: bool) -> None:
    """Record whether this process counts rates by itself, because the shared storage does not answer."""
    _rate_limit_fallback.set(is_active)


def count_unauthorized(reason: Literal["missing", "unknown"]) -> None:
    """Count a request that had no API key, or one that the settings do not list."""
    _unauthorized.labels(reason).inc()


def count_dropped_log_line() -> None:
    """Count a log line that could not be written."""
    _dropped_log_lines.inc()


def use_slot(slot: int) -> None:
    """Count, from now on, in the files of this slot: 0 is the master's, and no two live workers have the same."""
    global _slot
    _slot = slot


def free_slot(slot: int) -> None:
    """Forget what was true only while the worker of this slot lived."""
    multiprocess.mark_process_dead(slot)


class _Recorder(Observer):
    """Puts down what a recognizer does."""

    def watch(self, phase: Phase) -> AbstractContextManager[object]:
        return _decoding() if phase == "decode" else _phase_seconds.labels(phase).time()

    def note(self, prediction: Prediction) -> None:
        _predictions.labels(str(prediction.digit), str(prediction.is_digit).lower()).inc()
        _scores.observe(prediction.digit_score)
        if prediction.is_digit:
            _confidence.observe(prediction.confidence)


@contextmanager
def _decoding() -> Iterator[None]:
    with _decodes.track_inprogress(), _phase_seconds.labels("decode").time():
        yield


def _count_request(response: Response) -> Response:
    if g.get("is_template"):
        return response
    # By the rule and not by the path: a stranger must not be able to make up rows of this table.
    route = request.url_rule.rule if request.url_rule else _NO_ROUTE
    _requests.labels(route, str(response.status_code)).inc()
    _request_seconds.labels(route).observe(time.perf_counter() - g.started)
    return response
