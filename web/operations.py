"""Loading the model, request ids and the request log."""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Flask, Response, current_app, g, request

from config import Settings
from recognition import Recognizer
from recognition.engine import read_models
from recognition.memory import return_large_blocks
from recognition.numbers.reader import NumberReader
from web import metrics
from web.logs import FIELDS, shorten
from web.problems import FORCED_ERROR, NoNumberModel, NotReady

_log = logging.getLogger("digits.requests")
_model_log = logging.getLogger("digits.model")
# Probes, scrapes and static files are logged at debug level only.
_ROUTINE = frozenset({"api.live", "api.ready", "docs.asset", "metrics.export", "static"})
_PATH_LENGTH = 200  # characters of a path in the log
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Any drawing: the first forward pass is many times slower than the following ones.
_WARM_UP_STROKES = [[[0, 0], [10, 0], [4, 20]]]


def init_app(app: Flask) -> None:
    """Give every request an id, from `X-Request-ID` if the client sends a valid one, and log it."""
    app.before_request(_set_request_id)
    app.after_request(_log_request)
    app.after_request(_send_request_id)


def load_model(app: Flask) -> None:
    """Load and warm up the models of `app`. Raises `CheckpointError`.

    Under gunicorn each worker calls this. The master has read and verified the files, so that all workers have the same
    models even if the files change.
    """
    settings: Settings = app.extensions["settings"]
    return_large_blocks()
    reader = NumberReader.start(app.extensions.get("models") or read_models(settings), settings.limits)
    recognizer = reader.recognizer
    recognizer.predict_strokes(_WARM_UP_STROKES)
    _model_log.info("model %s is ready, run by engine %s", recognizer.info.id, recognizer.engine)
    reader.read_strokes(_WARM_UP_STROKES)
    if reader.info:
        _model_log.info("number model %s is ready", reader.info.id)
    else:
        _model_log.warning("numbers are not read: there is no model file %s", settings.number_model_path)
    if recognizer.stroke_reader:
        _model_log.info("stroke model %s is ready", recognizer.stroke_reader.info.id)
    else:
        _model_log.warning("drawings are read as pictures only: there is no model file %s", settings.stroke_model_path)
    metrics.observe(recognizer, reader)
    app.extensions["number_reader"] = reader
    app.extensions["recognizer"] = recognizer


def current_settings() -> Settings:
    """The settings of the current app."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def current_recognizer() -> Recognizer:
    """The loaded model. Raises `NotReady` until `load_model` has returned."""
    recognizer: Recognizer | None = current_app.extensions.get("recognizer")
    if recognizer is None:
        raise NotReady
    return recognizer


def current_reader() -> NumberReader:
    """The reader of numbers, or of single digits without a number model. Raises `NotReady`."""
    current_recognizer()
    reader: NumberReader = current_app.extensions["number_reader"]
    return reader


def number_model_id() -> str:
    """Id of the loaded number model. Raises `NotReady`, or `NoNumberModel` where there is none."""
    info = current_reader().info
    if info is None:
        raise NoNumberModel
    return info.id


def reads_numbers() -> bool:
    """Whether a number model is loaded."""
    reader: NumberReader | None = current_app.extensions.get("number_reader")
    return reader is not None and reader.info is not None


def current_model_id() -> str | None:
    """Id of the loaded model; None until it is loaded."""
    recognizer: Recognizer | None = current_app.extensions.get("recognizer")
    return recognizer.info.id if recognizer else None


def _set_request_id() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _send_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    return response


def _log_request(response: Response) -> Response:
    is_routine = request.endpoint in _ROUTINE or FORCED_ERROR in request.environ
    level = logging.DEBUG if is_routine else logging.INFO
    if _log.isEnabledFor(level):
        fields = _describe(response)
        _log.log(level, "%(method)s %(path)s %(status)d", fields, extra={FIELDS: fields})
    return response


def _describe(response: Response) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": shorten(request.method, 20),
        "path": shorten(request.path, _PATH_LENGTH),
        "status": response.status_code,
        "ms": round(1000 * (time.perf_counter() - g.started), 1),
        "bytes": response.content_length,
    }
    return fields | {"address": request.remote_addr} if current_settings().log_addresses else fields
