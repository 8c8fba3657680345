"""The same recognizer in minimal apps of other frameworks, for comparison.

uvicorn --factory benchmarks.load.rivals:fastapi_app
flask --app benchmarks.load.rivals:flask_app run
"""

from __future__ import annotations

from fastapi import FastAPI, UploadFile
from flask import Flask, request
from pydantic import BaseModel

from config import Settings
from recognition import Prediction, Recognizer


class Drawing(BaseModel):
    """The body of a request."""

    strokes: list[list[list[float]]]


def load() -> Recognizer:
    """The shipped network, warmed up."""
    settings = Settings.load()
    recognizer = Recognizer.load(settings.model_path, settings.limits)
    recognizer.predict_strokes([[[0, 0], [10, 0], [4, 20]]])
    return recognizer


def to_answer(prediction: Prediction) -> dict[str, object]:
    """The main fields of the API's answer."""
    return {
        "digit": prediction.digit,
        "confidence": prediction.confidence,
        "is_digit": prediction.is_digit,
        "digit_score": prediction.digit_score,
        "probabilities": prediction.probabilities,
    }


def fastapi_app() -> FastAPI:
    """One route for drawings and one for files, both in FastAPI's thread pool."""
    recognizer = load()
    app = FastAPI()

    def predict(drawing: Drawing) -> dict[str, object]:
        return to_answer(recognizer.predict_strokes(drawing.strokes))

    def predict_file(image: UploadFile) -> dict[str, object]:
        return to_answer(recognizer.predict_picture(image.file.read()))

    app.add_api_route("/predict", predict, methods=["POST"])
    app.add_api_route("/predict/file", predict_file, methods=["POST"])
    return app


def flask_app() -> Flask:
    """Bare views without checks, headers or limits."""
    recognizer = load()
    app = Flask(__name__)

    def predict() -> dict[str, object]:
        return to_answer(recognizer.predict_strokes(request.json["strokes"]))

    def predict_file() -> dict[str, object]:
        return to_answer(recognizer.predict_picture(request.files["image"].read()))

    app.add_url_rule("/predict", view_func=predict, methods=["POST"])
    app.add_url_rule("/predict/file", view_func=predict_file, methods=["POST"])
    return app
