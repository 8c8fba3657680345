"""/api/v1: the same answers for programs."""

from __future__ import annotations

import time
from collections.abc import Mapping

from flask import Blueprint, Response, request, url_for
from pydantic import BaseModel

from recognition import Explanation, Field, InputError, Prediction, Recognizer
from recognition.preview import frame_png, png_data_url
from web.inputs import answer_request, refuse_other_answers, uploaded_pictures
from web.operations import current_recognizer
from web.problems import InvalidRequest, describe, to_body
from web.rate_limits import count_predictions
from web.schemas import Answer, BatchAnswer, Explained, Guess, Health, Index, ModelCard, Problem

api = Blueprint("api", __name__, url_prefix="/api/v1")
api.before_request(refuse_other_answers)


@api.get("/")
def index() -> Response:
    """Name, version and links."""
    names = {name: f"api.{name}" for name in ("predict", "predict_batch", "explain", "model", "live", "ready")}
    names |= {"openapi": "docs.openapi", "docs": "docs.page"}
    return _json(Index(links={name: url_for(endpoint) for name, endpoint in names.items()}))


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
    answer = _json(
        ModelCard(
            id=info.id,
            architecture=info.architecture,
            parameters=info.parameters,
            preprocessing_version=info.preprocessing,
            data=list(info.data),
            metrics=dict(info.metrics),
        )
    )
    return revalidated(answer)


@api.post("/predict")
def predict() -> Response:
    """Read one digit, given as strokes, base64 or a file."""
    with_frame = _wants_frame(request.args)
    recognizer = current_recognizer()
    started = time.perf_counter()
    prediction = answer_request(recognizer.predict_strokes, recognizer.predict_picture)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    return _json(_to_answer(prediction, recognizer, elapsed_ms, with_frame))


@api.post("/predict/batch")
def predict_batch() -> Response:
    """Read up to 64 pictures in one pass of the network; a bad one gets its problem, in its place."""
    with_frame = _wants_frame(request.args)
    recognizer = current_recognizer()
    files = [data for _, data in uploaded_pictures()]
    count_predictions(len(files) - 1)  # one was counted when the request came in
    started = time.perf_counter()
    seen = recognizer.predict_pictures(files)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    results = [_to_result(item, recognizer, elapsed_ms, with_frame) for item in seen]
    return _json(BatchAnswer(results=results, model=recognizer.info.id, elapsed_ms=round(elapsed_ms, 3)))


@api.post("/explain")
def explain() -> Response:
    """What in a drawing or picture spoke for a digit, and what against it."""
    digit = _wanted_digit(request.args)
    recognizer = current_recognizer()
    started = time.perf_counter()
    explanation = answer_request(
        lambda strokes: recognizer.explain_strokes(strokes, digit),
        lambda data: recognizer.explain_picture(data, digit),
    )
    elapsed_ms = 1000 * (time.perf_counter() - started)
    return _json(_to_explained(explanation, recognizer, elapsed_ms))


def _to_explained(explanation: Explanation, recognizer: Recognizer, elapsed_ms: float) -> Explained:
    return Explained(
        digit=explanation.digit,
        confidence=round(explanation.confidence, 6),
        # Added to zero, minus zero is plain zero.
        heat=[[round(value, 3) + 0.0 for value in row] for row in explanation.heat.values.tolist()],
        strength=round(explanation.heat.strength, 4),
        box=_to_box(explanation.field),
        frame=png_data_url(frame_png(explanation.frame)),
        model=recognizer.info.id,
        elapsed_ms=round(elapsed_ms, 3),
    )


def _wanted_digit(arguments: Mapping[str, str]) -> int | None:
    digit = arguments.get("digit")
    if digit is None:
        return None
    if digit not in set("0123456789"):
        raise InvalidRequest("The parameter digit takes a digit from 0 to 9.")
    return int(digit)


def _to_result(
    seen: Prediction | InputError, recognizer: Recognizer, elapsed_ms: float, with_frame: bool
) -> Answer | Problem:
    if isinstance(seen, InputError):
        return Problem.model_validate(to_body(describe(seen)))
    return _to_answer(seen, recognizer, elapsed_ms, with_frame)


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
        box=_to_box(prediction.field) if with_frame and prediction.field else None,
    )


def _to_box(field: Field) -> list[float]:
    return [round(value, 3) for value in (field.left, field.top, field.side, field.side)]


def _wants_frame(arguments: Mapping[str, str]) -> bool:
    included = arguments.get("include")
    if included not in {None, "frame"}:
        raise InvalidRequest("The parameter include takes the value frame.")
    return included == "frame"


def revalidated(answer: Response) -> Response:
    """`answer` for caches that ask whether it has changed; 304 where it has not."""
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _json(body: BaseModel) -> Response:
    # No answer holds a null: what does not apply is left out.
    answer = Response(body.model_dump_json(exclude_none=True), content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
