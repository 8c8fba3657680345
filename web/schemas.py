"""What the API takes and gives, in pydantic: the views answer with these, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION = "1.0.0"
MAX_BATCH_PICTURES = 64
FRAME_SIDE = 28

_EXAMPLE_MODEL = "812139f68386"
EXAMPLE_STROKES = [[[100, 20], [101, 60], [100, 120], [99, 180]]]
_EXAMPLE_ANSWER = {
    "digit": 1,
    "confidence": 0.9996,
    "is_digit": True,
    "digit_score": 5.2,
    "top": [
        {"digit": 1, "confidence": 0.9996},
        {"digit": 7, "confidence": 0.0003},
        {"digit": 4, "confidence": 0.0001},
    ],
    "probabilities": [0.0, 0.9996, 0.0, 0.0, 0.0001, 0.0, 0.0, 0.0003, 0.0, 0.0],
    "model": _EXAMPLE_MODEL,
    "elapsed_ms": 1.9,
}
_EXAMPLE_PROBLEM = {
    "type": "blank",
    "title": "Nothing to read",
    "status": 422,
    "detail": "There is nothing to read: no ink was found.",
    "request_id": "3f2a90c1",
}

# Strokes are checked in detail by recognition, which knows the limits; this is what the document says of them.
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


_HeatRow = Annotated[list[Annotated[float, Field(ge=-1, le=1)]], Field(min_length=FRAME_SIDE, max_length=FRAME_SIDE)]


_BOX = (
    "[x, y, width, height] of what the frame shows: in the units of the strokes, or in pixels of the picture as it is "
    "shown upright. It may reach beyond the picture"
)


class Drawing(BaseModel):
    """The JSON body of a prediction: a drawing, or a picture as text."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["strokes"]}, {"required": ["image_base64"]}]},
    )

    strokes: _Strokes = Field(
        None,
        description=(
            "list of strokes, each a list of points [x, y], y down, in any unit: where and how large they are makes "
            "no difference. At most 500 strokes, 10,000 points, coordinates within +-100,000"
        ),
        examples=[EXAMPLE_STROKES],
    )
    image_base64: str = Field(
        "",
        description="a picture file in base64, bare or as a data URL",
        examples=["data:image/png;base64,iVBORw0KGgo..."],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Drawing:
        if len(self.model_fields_set) != 1:
            raise ValueError("Send exactly one of strokes and image_base64.")
        return self


class Guess(BaseModel):
    """A digit and how likely it is."""

    digit: int = Field(ge=0, le=9, description="the digit", examples=[1])
    confidence: float = Field(
        ge=0, le=1, description="calibrated probability, 0 to 1, given that the input is a digit", examples=[0.9996]
    )


class Answer(Guess):
    """What the network reads in one digit."""

    is_digit: bool = Field(
        description="false where the input is no digit; `digit` then still holds the best guess", examples=[True]
    )
    digit_score: float = Field(description="log-odds, higher = more like a digit, any digit", examples=[5.2])
    top: list[Guess] = Field(
        min_length=3,
        max_length=3,
        description="the three likeliest digits, likeliest first",
        examples=[
            [{"digit": 1, "confidence": 0.9996}, {"digit": 7, "confidence": 0.0003}, {"digit": 4, "confidence": 0.0001}]
        ],
    )
    probabilities: list[float] = Field(
        min_length=10,
        max_length=10,
        description="probability of each of the digits 0 to 9, 0 to 1",
        examples=[[0.0, 0.9996, 0.0, 0.0, 0.0001, 0.0, 0.0, 0.0003, 0.0, 0.0]],
    )
    model: str = Field(description="id of the model that answered", examples=[_EXAMPLE_MODEL])
    elapsed_ms: float = Field(ge=0, description="time that recognition took, in milliseconds", examples=[1.9])
    frame: str | None = Field(
        None,
        description="with `include=frame`: the 28x28 values that the network saw, as a PNG data URL",
        examples=["data:image/png;base64,iVBORw0KGgo..."],
    )
    box: list[float] | None = Field(
        None,
        min_length=4,
        max_length=4,
        description="with `include=frame`: " + _BOX,
        examples=[[-27.6, -20.4, 248.9, 248.9]],
    )


class Explained(Guess):
    """What in the input spoke for a digit, and what against it."""

    heat: list[_HeatRow] = Field(
        min_length=FRAME_SIDE,
        max_length=FRAME_SIDE,
        description=(
            "28 rows of 28 values, one for each pixel of the frame: 1 spoke for the digit, -1 against it, 0 is paper, "
            "or ink that does not matter"
        ),
        examples=[[[0.0] * FRAME_SIDE] * FRAME_SIDE],
    )
    strength: float = Field(
        ge=0,
        description="the change of the digit's log-odds that a heat of 1 stands for; 0 where no ink mattered",
        examples=[4.5],
    )
    box: list[float] = Field(
        min_length=4,
        max_length=4,
        description=_BOX,
        examples=[[-27.6, -20.4, 248.9, 248.9]],
    )
    frame: str = Field(
        description="the 28x28 values that the network saw, as a PNG data URL",
        examples=["data:image/png;base64,iVBORw0KGgo..."],
    )
    model: str = Field(description="id of the model that answered", examples=[_EXAMPLE_MODEL])
    elapsed_ms: float = Field(ge=0, description="time that it took, in milliseconds", examples=[31.4])


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body", examples=["/strokes/0/2"])
    detail: str = Field(description="what is wrong there", examples=["A point is [x, y], two numbers."])


class Problem(BaseModel):
    """Why a request, or a picture of a batch, was refused (RFC 9457)."""

    type: str = Field(description="what sort of problem it is; stable between versions", examples=["blank"])
    title: str = Field(description="the same in words", examples=["Nothing to read"])
    status: int = Field(ge=400, le=599, description="HTTP status", examples=[422])
    detail: str = Field(
        description="what is wrong this time, and what to do",
        examples=["There is nothing to read: no ink was found."],
    )
    request_id: str | None = Field(
        None, description="X-Request-ID of the answer, to be named when asking for help", examples=["3f2a90c1"]
    )
    errors: list[FieldProblem] | None = Field(None, description="which fields are wrong, where that is known")


class BatchAnswer(BaseModel):
    """One answer or problem for each picture of a batch, in its order."""

    results: list[Answer | Problem] = Field(
        max_length=MAX_BATCH_PICTURES,
        description="an answer for each picture, or the problem with it, in order",
        examples=[[_EXAMPLE_ANSWER, _EXAMPLE_PROBLEM]],
    )
    model: str = Field(description="id of the model that answered", examples=[_EXAMPLE_MODEL])
    elapsed_ms: float = Field(
        ge=0, description="time that recognition of all pictures took, in milliseconds", examples=[48.2]
    )


class ModelCard(BaseModel):
    """What is known of the model that answers."""

    id: str = Field(description="first 12 hex digits of the checkpoint's SHA-256", examples=[_EXAMPLE_MODEL])
    architecture: str = Field(description="name of the network", examples=["cnn"])
    parameters: int = Field(ge=1, description="number of trained values", examples=[291008])
    preprocessing_version: int = Field(ge=1, description="version of how frames are made", examples=[1])
    data: list[str] = Field(description="data sets it was trained on", examples=[["mnist"]])
    metrics: dict[str, float] = Field(
        description="what the trainer measured; accuracies are shares, 0 to 1", examples=[{"test_accuracy": 0.9954}]
    )


class Index(BaseModel):
    """Where to find what."""

    name: Literal["handwritten-digits"] = Field("handwritten-digits", description="name of this API")
    version: str = Field(VERSION, description="version of this API", examples=[VERSION])
    status: Literal["ok"] = Field("ok", description="this server answers")
    links: dict[str, str] = Field(
        description="path of each route by its name", examples=[{"predict": "/api/v1/predict", "docs": "/docs"}]
    )


class Health(BaseModel):
    """The process runs (`live`), or answers (`ready`)."""

    status: Literal["live", "ready"] = Field(description="what was asked for", examples=["ready"])
    model: str | None = Field(None, description="id of the model that answers", examples=[_EXAMPLE_MODEL])
