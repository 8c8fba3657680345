"""The result of reading a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from recognition.numbers.pieces import Box
from recognition.preview import Preview
from recognition.recognizer import Prediction

UNREADABLE = "?"
MAX_TEXTS = 4  # the likeliest text and its alternatives

Texts = list[tuple[str, float]]  # with probabilities, likeliest first


@dataclass(frozen=True, slots=True)
class ReadDigit:
    """A digit of a number."""

    prediction: Prediction
    box: Box
    line: int  # from 0


@dataclass(frozen=True, slots=True)
class OtherInk:
    """Ink in a line that is not part of a digit: a point, comma, dash or currency sign."""

    box: Box
    line: int  # from 0


@dataclass(frozen=True, slots=True)
class Reading:
    """The number in a drawing or picture."""

    text: str  # lines are separated by "\n"; "?" stands for a digit that cannot be read
    confidence: float  # calibrated probability that the whole text is right
    alternatives: tuple[tuple[str, float], ...]  # other texts with their confidences
    digits: tuple[ReadDigit, ...]
    other: tuple[OtherInk, ...] = ()  # from left to right in each line
    is_truncated: bool = False  # there are more digits than `MAX_DIGITS`
    preview: Preview | None = None  # the picture, if requested
    elapsed_ms: float = 0.0


def truncate(texts: Texts, length: int) -> Texts:
    """Texts of at most so many digits; of those that become equal, the likeliest."""
    shorter: dict[str, float] = {}
    for text, p in texts:
        shorter.setdefault(text[:length], p)
    return list(shorter.items())


def of_single(prediction: Prediction, elapsed_ms: float) -> Reading:
    """The reading of input that holds at most one digit."""
    text = str(prediction.digit) if prediction.is_digit else UNREADABLE
    others = tuple((str(digit), p) for digit, p in prediction.top(4)[1:] if prediction.is_digit)
    region = prediction.region
    digit = ReadDigit(prediction, (region.left, region.top, region.side, region.side), 0)
    return Reading(text, prediction.confidence, others, (digit,), elapsed_ms=elapsed_ms)


def of_lines(
    lines: Sequence[Texts],
    digits: Sequence[ReadDigit],
    other: Sequence[OtherInk],
    elapsed_ms: float,
    is_truncated: bool = False,
) -> Reading:
    """The reading of several lines, from the likely texts of each."""
    combined = sorted(
        (("\n".join(text for text, _ in choice), math.prod(p for _, p in choice)) for choice in product(*lines[:3])),
        key=lambda pair: -pair[1],
    )
    rest = [texts[0] for texts in lines[3:]]
    texts = [
        ("\n".join([text, *(t for t, _ in rest)]), p * math.prod((q for _, q in rest), start=1.0))
        for text, p in combined[:MAX_TEXTS]
    ]
    best, confidence = texts[0]
    return Reading(best, confidence, tuple(texts[1:]), tuple(digits), tuple(other), is_truncated, elapsed_ms=elapsed_ms)
