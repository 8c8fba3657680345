"""Metrics for Prometheus at /metrics: requests, phases of recognition, predictions, refusals, the model.

Under gunicorn each worker writes its own files in PROMETHEUS_MULTIPROC_DIR, which must be set before this module is
imported; the worker that serves /metrics adds them up.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
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
from prometheus_client.mmap_dict import MmapedDict

from recognition import Observer, Phase, Prediction, Recognizer
from recognition.numbers.reader import NumberReader

_log = logging.getLogger(__name__)
FILE_BYTES = 2**20  # per file, of which a slot has three; all routes and statuses take about a tenth of it


class _AllocatedFile(MmapedDict):
    """A preallocated file of values: writing to a sparse page on a full file system would raise SIGBUS.

    If the file system is full, the values are kept in this process's memory and not exported.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            if not Path(filename).exists():
                Path(filename).write_bytes(bytes(FILE_BYTES))
        except OSError as error:
            _log.error("metrics of this process are not exported: %s", error)
            with suppress(OSError):
                Path(filename).unlink()
            filename = f"/proc/self/fd/{os.memfd_create('metrics')}"
            os.truncate(filename, FILE_BYTES)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]


# These series do not exist in multiprocess mode, so they are disabled in both modes.
disable_created_metrics()
_slot = 0
_shared = values.ValueClass is not values.MutexValue
if _shared:
    values.MmapedDict = _AllocatedFile  # type: ignore[attr-defined]
    # Files are named after a worker's slot instead of its process id: a new worker continues the counts of its
    # predecessor, and the number of files does not grow.
    values.ValueClass = values.MultiProcessValue(lambda: _slot)

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
_LOG_ODDS = (-10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0)

_requests = Counter("digits_requests", "Requests answered, by route and status.", ["route", "status"])
_request_seconds = Histogram("digits_request_seconds", "Time to answer, by route.", ["route"], buckets=_FAST)
_problems = Counter("digits_problems", "Requests refused, by type of problem.", ["type"])
_unauthorized = Counter("digits_unauthorized", "Requests without a valid API key: missing or unknown.", ["reason"])
for _reason in ("missing", "unknown"):
    _unauthorized.labels(_reason)
_phase_seconds = Histogram("digits_phase_seconds", "Time in a phase of recognition.", ["phase"], buckets=_FAST)
_decodes = Gauge("digits_decodes_in_progress", "Pictures being decoded.", multiprocess_mode="livesum")
_number_confidence = Histogram("digits_number_confidence", "Confidence, for whole numbers.", buckets=_SHARES)
_predictions = Counter(
    "digits_predictions",
    "Predictions, by likeliest digit and by whether the input looks like a digit.",
    ["digit", "is_digit"],
)
_confidence = Histogram("digits_confidence", "Confidence, for inputs that look like a digit.", buckets=_SHARES)
_scores = Histogram("digits_digit_score", "Log-odds that an input is a digit.", buckets=_LOG_ODDS)
_models = Gauge(
    "digits_model_info",
    "Processes that have loaded this model.",
    ["model", "architecture", "engine"],
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

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def export() -> Response:
    """All metrics in Prometheus's text format."""
    registry = REGISTRY
    if _shared:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    answer = Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def init_app(app: Flask) -> None:
    """Serve /metrics from `app`, and count its requests; `g.started` is the start time of a request."""
    app.register_blueprint(metrics)
    app.after_request(_count_request)


def observe(recognizer: Recognizer, reader: NumberReader) -> None:
    """Count and time the work of `recognizer`, and of the `reader` that uses it, from now on."""
    recognizer.observer = _Recorder()
    for model in (recognizer, reader, recognizer.stroke_reader):
        if model and model.info:
            _models.labels(model.info.id, model.info.architecture, model.engine).set(1)


def count_problem(problem_type: str) -> None:
    """Count a refused request by its problem type."""
    _problems.labels(problem_type).inc()


def count_early_refusal(problem_type: str, status: int) -> None:
    """Count a request that was refused without calling the app."""
    count_problem(problem_type)
    _requests.labels(_NO_ROUTE, str(status)).inc()


def count_overload() -> None:
    """Count a request that was refused because too many were waiting."""
    _overloaded.inc()
    count_early_refusal("overloaded", 503)


def set_admitted(number: int) -> None:
    """Set the number of requests that this process is answering or has queued."""
    _admitted.set(number)


def set_rate_limit_fallback(is_active: bool) -> None:
    """Set whether this process counts rates by itself, because the shared storage does not answer."""
    _rate_limit_fallback.set(is_active)


def count_unauthorized(reason: Literal["missing", "unknown"]) -> None:
    """Count a request that had no API key, or one that the settings do not list."""
    _unauthorized.labels(reason).inc()


def count_dropped_log_line() -> None:
    """Count a log line that could not be written."""
    _dropped_log_lines.inc()


def use_slot(slot: int) -> None:
    """Use the files of this slot from now on; 0 is the master's, and each live worker has its own."""
    global _slot
    _slot = slot


def free_slot(slot: int) -> None:
    """Remove the gauges of the exited worker that had this slot."""
    multiprocess.mark_process_dead(slot)


class _Recorder(Observer):
    """Records predictions and phase times."""

    def time_phase(self, phase: Phase) -> AbstractContextManager[object]:
        return _decoding() if phase == "decode" else _phase_seconds.labels(phase).time()

    def record(self, prediction: Prediction) -> None:
        _predictions.labels(str(prediction.digit), str(prediction.is_digit).lower()).inc()
        _scores.observe(prediction.digit_score)
        if prediction.is_digit:
            _confidence.observe(prediction.confidence)

    def record_number(self, confidence: float) -> None:
        _number_confidence.observe(confidence)


@contextmanager
def _decoding() -> Iterator[None]:
    with _decodes.track_inprogress(), _phase_seconds.labels("decode").time():
        yield


def _count_request(response: Response) -> Response:
    if g.get("is_prebuilt"):
        return response
    # By rule, not path: clients must not be able to create label values.
    route = request.url_rule.rule if request.url_rule else _NO_ROUTE
    _requests.labels(route, str(response.status_code)).inc()
    _request_seconds.labels(route).observe(time.perf_counter() - g.started)
    return response
