"""/api/v1: the same answers for programs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from flask import Blueprint, Response, request, url_for
from pydantic import BaseModel, Field

from recognition import Prediction, Recognizer
from recognition.preview import frame_png, png_data_url
from web.inputs import predict_request
from web.operations import current_recognizer
from web.problems import InvalidRequest

VERSION = "1.0.0"

api = Blueprint("api", __name__, url_prefix="/api/v1")


class Guess(BaseModel):
    """A digit and how likely it is."""

    digit: int = Field(ge=0, le=9)
    confidence: float = Field(ge=0, le=1, description="calibrated probability, given that the input is a digit")


class Answer(Guess):
    """What the network reads in one digit."""

    is_digit: bool = Field(description="false where the input is no digit; `digit` then still holds the best guess")
    digit_score: float = Field(description="higher = more like a digit")
    top: list[Guess] = Field(description="the three likeliest digits, likeliest first")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    model: str = Field(description="id of the model that answered")
    elapsed_ms: float = Field(description="time that recognition took, in milliseconds")
    frame: str | None = Field(None, description="the 28x28 values that the network saw, as a PNG data URL")


class ModelCard(BaseModel):
    """What is known of the model that answers."""

    id: str
    architecture: str
    parameters: int = Field(description="number of trained values")
    preprocessing_version: int
    data: list[str] = Field(description="data sets it was trained on")
    metrics: dict[str, float] = Field(description="what the trainer measured")


class Index(BaseModel):
    """Where to find what."""

    name: Literal["handwritten-digits"] = "handwritten-digits"
    version: str = VERSION
    status: Literal["ok"] = "ok"
    links: dict[str, str]


class Health(BaseModel):
    """The process runs (`live`), or answers (`ready`)."""

    status: Literal["live", "ready"]
    model: str | None = Field(None, description="id of the model that answers")


@api.get("/")
def index() -> Response:
    """Name, version and links."""
    names = ("predict", "model", "live", "ready")
    return _json(Index(links={name: url_for(f"api.{name}") for name in names}))


@api.get("/health/live")
def live() -> Response:
    """200 as long as the process answers at all."""
    return _json(Health(status="live"))


@api.get("/health/ready")
def ready() -> Response:
    """200 once the model has answered a warm-up, 503 before."""
    return _json(Health(status="ready", model=current_recognizer().info.id))


@api.get("/model")
def model() -> Response:
    """The model that answers."""
    info = current_recognizer().info
    return _json(
        ModelCard(
            id=info.id,
            architecture=info.architecture,
            parameters=info.parameters,
            preprocessing_version=info.preprocessing,
            data=list(info.data),
            metrics=dict(info.metrics),
        )
    )


@api.post("/predict")
def predict() -> Response:
    """Read one digit, given as strokes, base64 or a file."""
    with_frame = _wants_frame(request.args)
    recognizer = current_recognizer()
    started = time.perf_counter()
    prediction = predict_request(recognizer)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    return _json(_to_answer(prediction, recognizer, elapsed_ms, with_frame))


def _to_answer(prediction: Prediction, recognizer: Recognizer, elapsed_ms: float, with_frame: bool) -> Answer:
    probabilities = [round(p, 6) for p in prediction.probabilities]
    return Answer(
        digit=prediction.digit,
        confidence=probabilities[prediction.digit],
        is_digit=prediction.is_digit,
        digit_score=round(prediction.digit_score, 4),
        top=[Guess(digit=digit, confidence=probabilities[digit]) for digit, _ in prediction.top()],
        probabilities=probabilities,
        model=recognizer.info.id,
        elapsed_ms=round(elapsed_ms, 3),
        frame=png_data_url(frame_png(prediction.frame)) if with_frame else None,
    )


def _wants_frame(arguments: Mapping[str, str]) -> bool:
    included = arguments.get("include")
    if included not in {None, "frame"}:
        raise InvalidRequest("The parameter include takes the value frame.")
    return included == "frame"


def _json(body: BaseModel) -> Response:
    # No answer holds a null: what does not apply is left out.
    answer = Response(body.model_dump_json(exclude_none=True), content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
