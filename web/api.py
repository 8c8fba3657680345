"""The JSON API under /api/v1."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from flask import Blueprint, Response, current_app, request, url_for
from pydantic import BaseModel
from werkzeug.datastructures import FileStorage

from recognition import (
    BlankInput,
    InputError,
    InvalidStrokes,
    NoSuchPlace,
    PictureTooLarge,
    UndecodablePicture,
    UnsupportedPicture,
)
from recognition.preview import frame_png
from web.answers import to_explanation, to_prediction, to_reading
from web.inputs import check_headers, parse_query, recognize_body, uploaded_pictures
from web.openapi import documented_rules, operation
from web.problems import NoNumberModel, NotReady, describe
from web.rate_limits import count_predictions
from web.schemas import (
    EXAMPLE_STROKES,
    MAX_BATCH_PICTURES,
    BatchResponse,
    ExplainQuery,
    ExplanationResponse,
    HealthResponse,
    IndexResponse,
    ModelCard,
    PredictionResponse,
    PredictQuery,
    ReadingBatchResponse,
    ReadingResponse,
    ReadQuery,
    RecognitionRequest,
)
from web.state import current_reader, current_recognizer, current_settings, number_model_id

api = Blueprint("api", __name__, url_prefix="/api/v1")
api.before_request(check_headers)

Result = TypeVar("Result")
_PROBLEMS = (NotReady, BlankInput, InvalidStrokes, UnsupportedPicture, UndecodablePicture, PictureTooLarge)


def _example_drawing() -> Mapping[str, Any]:
    return {"json": {"strokes": EXAMPLE_STROKES}}


def _example_files() -> Mapping[str, Any]:
    picture = frame_png(current_recognizer().predict_strokes(EXAMPLE_STROKES).frame)
    files = [FileStorage(io.BytesIO(data), name) for data, name in ((picture, "1.png"), (b"?", "notes.txt"))]
    return {"data": {"images": files}}


# How routes are documented that take one input, and those that take several pictures.
_one_input = partial(
    operation, tag="recognition", json=RecognitionRequest, files="image", problems=_PROBLEMS, example=_example_drawing
)
_pictures = partial(
    operation,
    tag="recognition",
    files="images",
    max_files=MAX_BATCH_PICTURES,
    problems=[NotReady],
    example=_example_files,
)


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
    reader = current_reader()
    card = ModelCard(
        id=info.id,
        architecture=info.architecture,
        parameters=info.parameters,
        preprocessing_version=info.preprocessing,
        data=list(info.data),
        engine=recognizer.engine,
        metrics=dict(info.metrics),
        number_model=reader.info.id if reader.info else None,
        stroke_model=stroke_reader.info.id if (stroke_reader := recognizer.stroke_reader) else None,
    )
    return with_etag(_json(card))


@api.post("/predict")
@_one_input(PredictionResponse, query=PredictQuery)
def predict() -> Response:
    """Recognize one digit.

    Send strokes or a picture as JSON, or a picture file. An input that clearly has several digits is not accepted as
    one. Pictures are {formats} (the first frame of an animation), up to {max_body} and {max_megapixels} megapixels. A
    body without a picture has up to {max_plain_body}, and a drawing up to {max_points} points.
    """
    query = parse_query(PredictQuery)
    reader = current_reader()
    prediction = recognize_body(reader.predict_strokes, reader.predict_picture)
    return _json(to_prediction(prediction, current_recognizer(), query))


@api.post("/predict/batch")
@_pictures(BatchResponse, query=PredictQuery)
def predict_batch() -> Response:
    """Recognize one digit in each of up to {max_batch} pictures.

    All pictures go through the network in one pass. Their total size is limited to {max_body}. In place of a picture
    that cannot be read there is its problem; the others get their predictions.
    """
    query = parse_query(PredictQuery)
    recognizer = current_recognizer()
    batch = _recognize_batch(recognizer.predict_pictures, lambda found: to_prediction(found, recognizer, query))
    return _json(BatchResponse(**batch, model=recognizer.info.id))


@api.post("/read")
@_one_input(ReadingResponse, query=ReadQuery, problems=(*_PROBLEMS, NoNumberModel))
def read() -> Response:
    """Read a whole number.

    Takes the same input as predict, with any number of digits, also on several lines. What holds at most one digit is
    read as predict does.
    """
    query = parse_query(ReadQuery)
    reader, model_id = current_reader(), number_model_id()
    reading = recognize_body(reader.read_strokes, reader.read_picture)
    return _json(to_reading(reading, model_id, query))


@api.post("/read/batch")
@_pictures(ReadingBatchResponse, query=ReadQuery, problems=[NotReady, NoNumberModel])
def read_batch() -> Response:
    """Read a whole number in each of up to {max_batch} pictures.

    Their total size is limited to {max_body}. In place of a picture that cannot be read there is its problem; the
    others get their readings. A picture for which no time is left gets a problem, too: send it in another request.
    """
    query = parse_query(ReadQuery)
    reader, model_id = current_reader(), number_model_id()
    batch = _recognize_batch(reader.read_pictures, lambda found: to_reading(found, model_id, query))
    return _json(ReadingBatchResponse(**batch, model=model_id))


@api.post("/explain")
@_one_input(ExplanationResponse, query=ExplainQuery, problems=(*_PROBLEMS, NoSuchPlace))
def explain() -> Response:
    """Explain a prediction, or a digit of a number.

    Takes the same input as predict. Small pieces of ink are removed one at a time: those without which the digit
    becomes less likely are evidence for it. This takes ten to thirty times as long as a prediction.
    """
    query = parse_query(ExplainQuery)
    digit, place = (None if value is None else int(value) for value in (query.digit, query.place))
    reader = current_reader()
    explanation = recognize_body(
        lambda strokes: reader.explain_strokes(strokes, digit, place),
        lambda data: reader.explain_picture(data, digit, place),
    )
    return _json(to_explanation(explanation, current_recognizer()))


def _recognize_batch(
    recognize: Callable[[Sequence[bytes], float], Sequence[Result | InputError]], render: Callable[[Result], BaseModel]
) -> dict[str, Any]:
    """Results and time of the pictures in the body, as fields of the answer."""
    files = [data for _, data in uploaded_pictures()]
    count_predictions(len(files) - 1)  # one was counted before the view
    started = time.perf_counter()
    outcomes = recognize(files, current_settings().limits.max_batch_seconds)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    results = [describe(found) if isinstance(found, InputError) else render(found) for found in outcomes]
    return {"results": results, "elapsed_ms": round(elapsed_ms, 3)}


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
