"""Requests and responses of the API, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config import VERSION
from recognition.recognizer import Mode, Reason

MAX_BATCH_PICTURES = 64
FRAME_SIDE = 28

EXAMPLE_STROKES = [[[100, 20], [101, 60], [100, 120], [99, 180]]]

# `recognition` validates strokes, by limits that are settings; this only describes them.
_Strokes = Annotated[
    Any,
    Field(
        json_schema_extra={
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            },
        }
    ),
]
_Probability = Annotated[float, Field(ge=0, le=1)]
_Box = Annotated[list[float], Field(min_length=4, max_length=4)]
_HeatRow = Annotated[list[Annotated[float, Field(ge=-1, le=1)]], Field(min_length=FRAME_SIDE, max_length=FRAME_SIDE)]

_BOX = (
    "[x, y, width, height] of the area that the frame shows, in the units of the strokes or in pixels of the upright "
    "picture. It may extend beyond the picture"
)
_TIGHT_BOX = "[x, y, width, height], in the units of the strokes or in pixels of the upright picture"
_FRAME = "the 28x28 input of the network that best shows the digit, as a PNG data URL"
_MODEL = "id of the model that answered"
_ELAPSED = "time that recognition took, in milliseconds"


# ---- requests ----


class RecognitionRequest(BaseModel):
    """Strokes, or a picture as text."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["strokes"]}, {"required": ["image_base64"]}]},
    )

    strokes: _Strokes = Field(
        None,
        description=(
            "list of strokes, each a list of points [x, y], y down, in any unit: position and size make no difference"
        ),
    )
    image_base64: str = Field("", description="a picture file in base64, with or without the prefix of a data URL")

    @model_validator(mode="after")
    def _require_exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("Send exactly one of strokes and image_base64.")
        return self


class PredictQuery(BaseModel):
    """Query parameters of predictions."""

    include: Literal["frame"] | None = Field(None, description="`frame` adds frame and box to the answer")
    mode: Mode = Field(
        "balanced",
        description="the threshold for `is_digit`: `sure` accepts fewer non-digits, `guess` rejects fewer digits",
    )


class ReadQuery(BaseModel):
    """Query parameters of readings."""

    include: Literal["frame"] | None = Field(None, description="`frame` adds the frame of each digit to the answer")


class ExplainQuery(BaseModel):
    """Query parameters of explanations."""

    digit: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] | None = Field(
        None, description="the digit to explain; by default the likeliest one"
    )
    place: str | None = Field(
        None,
        pattern="^[0-9]{1,2}$",
        description="explains one of the `digits` that `read` finds, counted from 0, instead of the whole input",
    )


# ---- responses ----


class Guess(BaseModel):
    """A digit and its probability."""

    digit: int = Field(ge=0, le=9, description="the digit")
    confidence: _Probability = Field(description="calibrated probability, given that the input is a digit")


class PredictionResponse(Guess):
    """The recognized digit."""

    is_digit: bool = Field(description="whether the input looks like a digit; if not, `digit` is still the best guess")
    reason: Reason | None = Field(
        None,
        description="why `is_digit` is false: `unsure` if mode `guess` would accept the input. Only `predict` "
        "looks for several digits, `predict/batch` does not",
    )
    n_digits: int | None = Field(None, ge=2, description="with reason `several_digits`: how many there are")
    digit_score: float = Field(description="log-odds that the input is a digit")
    top: list[Guess] = Field(min_length=3, max_length=3, description="the three likeliest digits, likeliest first")
    probabilities: list[_Probability] = Field(
        min_length=10, max_length=10, description="probability of each of the digits 0 to 9"
    )
    model: str = Field(description=_MODEL)
    elapsed_ms: float = Field(ge=0, description=_ELAPSED)
    frame: str | None = Field(None, description="with `include=frame`: " + _FRAME)
    box: _Box | None = Field(None, description="with `include=frame`: " + _BOX)


class TextGuess(BaseModel):
    """A number and its probability."""

    text: str = Field(
        description="the digits; lines are separated by line feeds, and `?` stands for what does not look like a digit"
    )
    confidence: _Probability = Field(description="calibrated probability that the whole text is right")


class DigitResponse(Guess):
    """A digit of a number."""

    is_digit: bool = Field(description="whether this part of the input looks like a digit")
    top: list[Guess] = Field(min_length=3, max_length=3, description="the three likeliest digits, likeliest first")
    probabilities: list[_Probability] = Field(
        min_length=10, max_length=10, description="probability of each of the digits 0 to 9"
    )
    box: _Box = Field(description=_TIGHT_BOX)
    line: int = Field(ge=0, description="the line that it is on, from 0")
    frame: str | None = Field(None, description="with `include=frame`: " + _FRAME)


class OtherInkResponse(BaseModel):
    """Ink in a line that is not part of a digit, such as a point, comma, dash or currency sign."""

    box: _Box = Field(description=_TIGHT_BOX)
    line: int = Field(ge=0, description="the line that it is on, from 0")


class ReadingResponse(TextGuess):
    """The number in the input."""

    alternatives: list[TextGuess] = Field(max_length=3, description="the next likely texts, likeliest first")
    digits: list[DigitResponse] = Field(description="each digit of the text, line by line")
    other: list[OtherInkResponse] = Field(description="ink in these lines that is not part of a digit, line by line")
    truncated: bool = Field(description="whether there are more digits than the 100 that were read")
    model: str = Field(description=_MODEL)
    elapsed_ms: float = Field(ge=0, description=_ELAPSED)


class ExplanationResponse(Guess):
    """Which ink made the digit more likely, and which less."""

    heat: list[_HeatRow] = Field(
        min_length=FRAME_SIDE,
        max_length=FRAME_SIDE,
        description=(
            "28 rows of 28 values, one per pixel of the frame: 1 is evidence for the digit, -1 against it, 0 is paper "
            "or ink that makes no difference"
        ),
    )
    strength: float = Field(
        ge=0, description="change of the digit's log-odds that a heat of 1 stands for; 0 if no ink made a difference"
    )
    box: _Box = Field(description=_BOX)
    frame: str = Field(description=_FRAME)
    model: str = Field(description=_MODEL)
    elapsed_ms: float = Field(ge=0, description=_ELAPSED)


class FieldError(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body; long names are shortened")
    detail: str = Field(description="what is wrong with it")


class Problem(BaseModel):
    """Why a request, or a picture of a batch, was refused (RFC 9457)."""

    type: str = Field(description="kind of problem; stable between versions")
    title: str = Field(description="the kind of problem in words")
    status: int = Field(ge=400, le=599, description="HTTP status")
    detail: str = Field(description="what is wrong with this request, and what to do about it")
    request_id: str | None = Field(None, description="X-Request-ID of the response, for support requests")
    errors: list[FieldError] | None = Field(None, description="which fields are wrong, if known")


class BatchResponse(BaseModel):
    """A prediction or problem for each picture, in order."""

    results: list[PredictionResponse | Problem] = Field(
        max_length=MAX_BATCH_PICTURES, description="a prediction for each picture, or its problem, in order"
    )
    model: str = Field(description=_MODEL)
    elapsed_ms: float = Field(ge=0, description=_ELAPSED)


class ReadingBatchResponse(BaseModel):
    """A reading or problem for each picture, in order."""

    results: list[ReadingResponse | Problem] = Field(
        max_length=MAX_BATCH_PICTURES, description="a reading for each picture, or its problem, in order"
    )
    model: str = Field(description=_MODEL)
    elapsed_ms: float = Field(ge=0, description=_ELAPSED)


class ModelCard(BaseModel):
    """The model that answers."""

    id: str = Field(description="first 12 hex digits of the SHA-256 of all that affects a prediction")
    architecture: str = Field(description="name of the network")
    parameters: int = Field(ge=1, description="number of trainable parameters")
    preprocessing_version: int = Field(ge=1, description="version of the preprocessing that the model was trained with")
    data: list[str] = Field(description="data sets that it was trained on")
    engine: Literal["onnx", "torch"] = Field(description="what runs it: ONNX Runtime or PyTorch")
    metrics: dict[str, float] = Field(description="metrics after training; accuracies are from 0 to 1")
    number_model: str | None = Field(None, description="id of the model that reads whole numbers, if there is one")
    stroke_model: str | None = Field(None, description="id of the model that reads pen strokes, if there is one")


class IndexResponse(BaseModel):
    """Name, version and routes of the API."""

    name: Literal["handwritten-digits"] = Field("handwritten-digits", description="name of this API")
    version: str = Field(VERSION, description="version of the server")
    status: Literal["ok"] = Field("ok", description="this server answers")
    links: dict[str, str] = Field(description="path of each route by its name")


class HealthResponse(BaseModel):
    """The process is running (`live`), or can answer (`ready`)."""

    status: Literal["live", "ready"] = Field(description="which of the two was asked for")
    model: str | None = Field(None, description=_MODEL)
