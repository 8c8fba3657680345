"""What the app holds: its settings and the loaded models."""

from __future__ import annotations

import logging

from flask import Flask, current_app

from config import Settings
from recognition import Recognizer
from recognition.engine import read_models
from recognition.memory import return_large_blocks
from recognition.numbers.reader import NumberReader
from web import metrics
from web.problems import NoNumberModel, NotReady

_log = logging.getLogger("digits.model")
# Any drawing: the first forward pass is many times slower than the following ones.
_WARM_UP_STROKES = [[[0, 0], [10, 0], [4, 20]]]


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
    _log.info("model %s is ready, run by engine %s", recognizer.info.id, recognizer.engine)
    reader.read_strokes(_WARM_UP_STROKES)
    if reader.info:
        _log.info("number model %s is ready", reader.info.id)
    else:
        _log.warning("numbers are not read: there is no model file %s", settings.number_model_path)
    if recognizer.stroke_reader:
        _log.info("stroke model %s is ready", recognizer.stroke_reader.info.id)
    else:
        _log.warning("drawings are read as pictures only: there is no model file %s", settings.stroke_model_path)
    metrics.observe(recognizer, reader)
    app.extensions["reader"] = reader


def current_settings() -> Settings:
    """The settings of the current app."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def current_reader() -> NumberReader:
    """The reader of numbers, or of single digits without a number model. Raises `NotReady` until it is loaded."""
    reader = _loaded_reader()
    if reader is None:
        raise NotReady
    return reader


def _loaded_reader() -> NumberReader | None:
    reader: NumberReader | None = current_app.extensions.get("reader")
    return reader


def current_recognizer() -> Recognizer:
    """The recognizer of single digits. Raises `NotReady` until it is loaded."""
    return current_reader().recognizer


def number_model_id() -> str:
    """Id of the loaded number model. Raises `NotReady`, or `NoNumberModel` where there is none."""
    info = current_reader().info
    if info is None:
        raise NoNumberModel
    return info.id


def reads_numbers() -> bool:
    """Whether a number model is loaded."""
    reader = _loaded_reader()
    return reader is not None and reader.info is not None


def current_model_id() -> str | None:
    """Id of the loaded model; None until it is loaded."""
    reader = _loaded_reader()
    return reader.recognizer.info.id if reader else None
