"""The JSON API under /api/v1."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request, url_for
from pydantic import BaseModel
from werkzeug.datastructures import FileStorage

from recognition import (
    BlankInput,
    Explanation,
    InputError,
    InvalidStrokes,
    PictureTooLarge,
    Prediction,
    Recognizer,
    Region,
    UndecodablePicture,
    UnsupportedPicture,
)
from recognition.preview import frame_png, png_data_url
from web.inputs import check_headers, parse_query, recognize_body, uploaded_pictures
from web.openapi import documented_rules, operation
from web.operations import current_recognizer, current_settings
from web.problems import NotReady, describe
from web.rate_limits import count_predictions
from web.schemas import (
    EXAMPLE_STROKES,
    MAX_BATCH_PICTURES,
    BatchResponse,
    ExplainQuery,
    ExplanationResponse,
    Guess,
    HealthResponse,
    IndexResponse,
    ModelCard,
    PredictionResponse,
    PredictQuery,
    RecognitionRequest,
)

api = Blueprint("api", __name__, url_prefix="/api/v1")
api.before_request(check_headers)

_PROBLEMS = (NotReady, BlankInput, InvalidStrokes, UnsupportedPicture, UndecodablePicture, PictureTooLarge)


def _example_drawing() -> Mapping[str, Any]:
    return {"json": {"strokes": EXAMPLE_STROKES}}


def _example_files() -> Mapping[str, Any]:
    picture = frame_png(current_recognizer().predict_strokes(EXAMPLE_STROKES).frame)
    files = [FileStorage(io.BytesIO(data), name) for data, name in ((picture, "1.png"), (b"?", "notes.txt"))]
    return {"data": {"images": files}}


@api.get("/")
@operation(IndexResponse, tag="operations")
def index() -> Response:
    """Name, version and routes of the API."""
    links = {rule.endpoint.removeprefix("api."): rule.rule for rule, _ in documented_rules(current_app)}
    links |= {"openapi": url_for("docs.openapi"), "docs": url_for("docs.page")}
    return _json(IndexResponse(links={name: path for name, path in links.items() if name != "index"}))


@api.get("/health/live")
@operation(HealthResponse, tag="operations")
def live() -> Response:
    """Whether the process is running."""
    return _json(HealthResponse(status="live"))


@api.get("/health/ready")
@operation(HealthResponse, tag="operations", problems=[NotReady])
def ready() -> Response:
    """Whether the model is loaded and warm."""
    return _json(HealthResponse(status="ready", model=current_recognizer().info.id))


@api.get("/model")
@operation(ModelCard, tag="model", problems=[NotReady], has_etag=True)
def model() -> Response:
    """The model that answers."""
    recognizer = current_recognizer()
    info = recognizer.info
    card = ModelCard(
        id=info.id,
        architecture=info.architecture,
        parameters=info.parameters,
        preprocessing_version=info.preprocessing,
        data=list(info.data),
        engine=recognizer.engine,
        metrics=dict(info.metrics),
    )
    return with_etag(_json(card))


@api.post("/predict")
@operation(
    PredictionResponse,
    tag="recognition",
    query=PredictQuery,
    json=RecognitionRequest,
    files="image",
    problems=_PROBLEMS,
    example=_example_drawing,
)
def predict() -> Response:
    """Recognise one digit.

    Send strokes or a picture as JSON, or a picture file. Pictures are {formats} (the first frame of an animation), up
    to {max_body} and {max_megapixels} megapixels. A body without a picture has up to {max_plain_body}, and a drawing
    up to {max_points} points.
    """
    query = parse_query(PredictQuery)
    recognizer = current_recognizer()
    prediction = recognize_body(recognizer.predict_strokes, recognizer.predict_picture)
    return _json(_to_prediction(prediction, recognizer, query))


@api.post("/predict/batch")
@operation(
    BatchResponse,
    tag="recognition",
    query=PredictQuery,
    files="images",
    max_files=MAX_BATCH_PICTURES,
    problems=[NotReady],
    example=_example_files,
)
def predict_batch() -> Response:
    """Recognise one digit in each of up to {max_batch} pictures.

    All pictures go through the network in one pass. They may have {max_body} together. A picture that cannot be read
    gets its problem in its place, and the others their predictions.
    """
    query = parse_query(PredictQuery)
    recognizer = current_recognizer()
    files = [data for _, data in uploaded_pictures()]
    count_predictions(len(files) - 1)  # one was counted before the view
    started = time.perf_counter()
    outcomes = recognizer.predict_pictures(files, current_settings().limits.max_batch_seconds)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    results = [
        describe(outcome) if isinstance(outcome, InputError) else _to_prediction(outcome, recognizer, query)
        for outcome in outcomes
    ]
    return _json(BatchResponse(results=results, model=recognizer.info.id, elapsed_ms=round(elapsed_ms, 3)))


@api.post("/explain")
@operation(
    ExplanationResponse,
    tag="recognition",
    query=ExplainQuery,
    json=RecognitionRequest,
    files="image",
    problems=_PROBLEMS,
    example=_example_drawing,
)
def explain() -> Response:
    """Explain a prediction.

    Takes the same input as predict. Small pieces of ink are removed one at a time: those without which the digit
    becomes less likely are evidence for it. This takes ten to thirty times as long as a prediction.
    """
    query = parse_query(ExplainQuery)
    digit = None if query.digit is None else int(query.digit)
    recognizer = current_recognizer()
    explanation = recognize_body(
        lambda strokes: recognizer.explain_strokes(strokes, digit),
        lambda data: recognizer.explain_picture(data, digit),
    )
    return _json(_to_explanation(explanation, recognizer))


def _to_prediction(prediction: Prediction, recognizer: Recognizer, query: PredictQuery) -> PredictionResponse:
    probabilities = [round(p, 6) for p in prediction.probabilities]
    with_frame = query.include == "frame"
    return PredictionResponse(
        digit=prediction.digit,
        confidence=probabilities[prediction.digit],
        is_digit=recognizer.accepts(prediction, query.mode),
        digit_score=round(prediction.digit_score, 4),
        top=[Guess(digit=digit, confidence=probabilities[digit]) for digit, _ in prediction.top()],
        probabilities=probabilities,
        model=recognizer.info.id,
        elapsed_ms=round(prediction.elapsed_ms, 3),
        frame=png_data_url(frame_png(prediction.frame)) if with_frame else None,
        box=_to_box(prediction.region) if with_frame else None,
    )


def _to_explanation(explanation: Explanation, recognizer: Recognizer) -> ExplanationResponse:
    return ExplanationResponse(
        digit=explanation.digit,
        confidence=round(explanation.confidence, 6),
        # Adding 0.0 turns -0.0 into 0.0.
        heat=[[round(value, 3) + 0.0 for value in row] for row in explanation.heat.values.tolist()],
        strength=round(explanation.heat.strength, 4),
        box=_to_box(explanation.region),
        frame=png_data_url(frame_png(explanation.frame)),
        model=recognizer.info.id,
        elapsed_ms=round(explanation.elapsed_ms, 3),
    )


def _to_box(region: Region) -> list[float]:
    return [round(value, 3) for value in (region.left, region.top, region.side, region.side)]


def with_etag(response: Response) -> Response:
    """Add an ETag to `response`; a 304 without a body if the client has the same version."""
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _json(body: BaseModel) -> Response:
    # Fields that do not apply are omitted instead of null.
    response = Response(body.model_dump_json(exclude_none=True), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
