"""The same recognizer and reader of numbers in a minimal Flask app, for comparison.

gunicorn 'benchmarks.load.bare_view:create_app()'
"""

from __future__ import annotations

from flask import Flask, request

from config import Settings
from recognition import Prediction
from recognition.engine import read_models
from recognition.numbers.reader import NumberReader


def create_app() -> Flask:
    """Bare views for drawings and files, without checks, headers or limits."""
    settings = Settings.load()
    reader = NumberReader.start(read_models(settings), settings.limits)
    reader.predict_strokes([[[0, 0], [10, 0], [4, 20]]])
    app = Flask(__name__)

    def predict() -> dict[str, object]:
        return to_answer(reader.predict_strokes(request.json["strokes"]))

    def predict_file() -> dict[str, object]:
        return to_answer(reader.predict_picture(request.files["image"].read()))

    app.add_url_rule("/predict", view_func=predict, methods=["POST"])
    app.add_url_rule("/predict/file", view_func=predict_file, methods=["POST"])
    return app


def to_answer(prediction: Prediction) -> dict[str, object]:
    """The main fields of the API's answer."""
    return {
        "digit": prediction.digit,
        "confidence": prediction.confidence,
        "is_digit": prediction.is_digit,
        "digit_score": prediction.digit_score,
        "probabilities": prediction.probabilities,
    }
