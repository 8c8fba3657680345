"""The answers of the JSON API, from what was recognized."""

from __future__ import annotations

from collections.abc import Sequence

from recognition import Explanation, Prediction, Recognizer, Region
from recognition.numbers.reading import Reading
from recognition.preview import frame_png, png_data_url
from web.schemas import (
    DigitResponse,
    ExplanationResponse,
    Guess,
    OtherInkResponse,
    PredictionResponse,
    PredictQuery,
    ReadingResponse,
    ReadQuery,
    TextGuess,
)


def to_prediction(prediction: Prediction, recognizer: Recognizer, query: PredictQuery) -> PredictionResponse:
    """The answer of predict."""
    probabilities = [round(p, 6) for p in prediction.probabilities]
    with_frame = query.include == "frame"
    reason = recognizer.why_no_digit(prediction, query.mode)
    return PredictionResponse(
        digit=prediction.digit,
        confidence=probabilities[prediction.digit],
        is_digit=reason is None,
        reason=reason,
        n_digits=prediction.n_digits if reason == "several_digits" else None,
        digit_score=round(prediction.digit_score, 4),
        top=_to_guesses(prediction),
        probabilities=probabilities,
        model=recognizer.info.id,
        elapsed_ms=round(prediction.elapsed_ms, 3),
        frame=png_data_url(frame_png(prediction.frame)) if with_frame else None,
        box=_to_box(prediction.region) if with_frame else None,
    )


def _to_guesses(prediction: Prediction) -> list[Guess]:
    return [Guess(digit=digit, confidence=round(confidence, 6)) for digit, confidence in prediction.top()]


def to_reading(reading: Reading, model_id: str, query: ReadQuery) -> ReadingResponse:
    """The answer of read; `model_id` is that of the number model."""
    digits = [
        DigitResponse(
            digit=prediction.digit,
            confidence=round(prediction.confidence, 6),
            is_digit=prediction.is_digit,
            top=_to_guesses(prediction),
            probabilities=[round(p, 6) for p in prediction.probabilities],
            box=_round_box(found.box),
            line=found.line,
            frame=png_data_url(frame_png(prediction.frame)) if query.include == "frame" else None,
        )
        for found in reading.digits
        for prediction in [found.prediction]
    ]
    return ReadingResponse(
        text=reading.text,
        confidence=round(reading.confidence, 6),
        alternatives=[TextGuess(text=text, confidence=round(share, 6)) for text, share in reading.alternatives],
        digits=digits,
        other=[OtherInkResponse(box=_round_box(ink.box), line=ink.line) for ink in reading.other],
        truncated=reading.is_truncated,
        model=model_id,
        elapsed_ms=round(reading.elapsed_ms, 3),
    )


def to_explanation(explanation: Explanation, recognizer: Recognizer) -> ExplanationResponse:
    """The answer of explain."""
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
    return _round_box((region.left, region.top, region.side, region.side))


def _round_box(box: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in box]
