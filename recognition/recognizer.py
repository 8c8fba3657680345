"""Drawings or pictures in, predictions out.

recognizer = Recognizer.load(Path("mnist_model.pth"))
prediction = recognizer.predict_strokes([[[100, 20], [101, 60], [99, 180]]])
print(prediction.digit, prediction.confidence)
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from config import EngineName, Limits
from recognition.engine import Engine, Models, digit_probabilities, digit_scores, log_odds, read_model, start_engine
from recognition.errors import InputError
from recognition.explain import Explanation, find_heat
from recognition.frame import WHOLE_FRAME, Frame, Region
from recognition.ink import Picture
from recognition.normalize import Candidate, find_candidates
from recognition.picture import decode_with_scale
from recognition.stroke_reader import PathReading, StrokeReader, start_stroke_reader
from recognition.strokes import Stroke, draw_with_region, validate_strokes


@dataclass(frozen=True, slots=True)
class Prediction:
    """The network's prediction for one digit."""

    probabilities: tuple[float, ...]  # calibrated, of the digits 0 to 9, given that the input is a digit
    digit_score: float  # higher = more like a digit; of the frame, less its candidate's penalty
    is_digit: bool  # digit_score reaches the threshold of the recognizer's mode
    frame: Frame  # [28, 28] in 0..1, the network's input that best shows `digit`
    region: Region = WHOLE_FRAME  # what the frame shows, in the units of the drawing or in pixels of the picture
    elapsed_ms: float = 0.0  # time the recognizer took, for the whole batch if there is one
    n_digits: int = 1  # of the input, if `NumberReader.predict_strokes` or `predict_picture` counted them

    @property
    def digit(self) -> int:
        """The likeliest digit, even if `is_digit` is false."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Probability of `digit`, 0 to 1."""
        return self.probabilities[self.digit]

    def top(self, k: int = 3) -> list[tuple[int, float]]:
        """The `k` likeliest digits with their probabilities, likeliest first."""
        return sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])[:k]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing and what the networks say about it as one digit."""

    strokes: list[Stroke]
    prediction: Prediction
    path: PathReading | None  # without a network for strokes


# How certain it must be that an input is a digit, and what is added to the model's threshold, which is in nats.
Mode = Literal["sure", "balanced", "guess"]
MODES: Mapping[Mode, float] = {"sure": 2.0, "balanced": 0.0, "guess": -2.0}

# Why input is not a digit: `unsure` if mode `guess` would accept it.
Reason = Literal["not_a_digit", "several_digits", "unsure"]

# Decoding a picture file, preprocessing a drawing or picture, running the network.
Phase = Literal["decode", "normalize", "network"]


# Factor of the sum of both networks' log-probabilities of a drawn digit, calibrated on the validation drawings.
_INVERSE_TEMPERATURE = 0.5
# What the stroke model adds to the digit score: its log-odds of one digit minus a shift, within bounds, times a weight.
# Chosen on the validation drawings, of which 0.6 % are rejected, and on letters, signs and touching digits of the
# development sets.
_ODDS_SHIFT, _MAX_ODDS, _ODDS_WEIGHT = 2.0, 8.0, 0.5


class Observer:
    """Hooks for metrics; these do nothing."""

    def time_phase(self, _phase: Phase) -> AbstractContextManager[object]:
        """A context manager around each run of a phase."""
        return nullcontext()

    def record(self, prediction: Prediction) -> None:
        """Called with each prediction for a drawing or picture."""

    def record_number(self, confidence: float) -> None:
        """Called with the confidence of each whole number, besides the predictions for its digits."""


class Recognizer:
    """Recognizes digits with one network, and drawings with a second. Thread-safe if its `observer` is."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits | None = None,
        mode: Mode = "balanced",
        stroke_reader: StrokeReader | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.observer = Observer()
        self.info = engine.info
        self.engine = engine.name
        self.stroke_reader = stroke_reader
        self._logits_of = engine.logits
        self._temperature = engine.info.temperature
        self._threshold = engine.info.rejection_threshold
        self._mode = mode
        # Decoding one picture takes up to 400 MB: only a few may be in memory at a time.
        self._decoding = threading.BoundedSemaphore(self.limits.max_decodes)

    @classmethod
    def load(
        cls,
        path: Path,
        limits: Limits | None = None,
        engine: EngineName = EngineName.AUTO,
        mode: Mode = "balanced",
    ) -> Recognizer:
        """Load a checkpoint file, or the ONNX file beside it. Raises `CheckpointError`."""
        return cls(start_engine(read_model(path, engine)), limits, mode)

    @classmethod
    def start(cls, models: Models, limits: Limits | None = None, mode: Mode = "balanced") -> Recognizer:
        """A recognizer with engines of its own. Raises `CheckpointError`."""
        return cls(start_engine(models.digits), limits, mode, start_stroke_reader(models.strokes))

    def why_no_digit(self, prediction: Prediction, mode: Mode | None = None) -> Reason | None:
        """Why a prediction is not a digit in `mode`, by default the recognizer's; None if it is one."""
        if prediction.n_digits > 1:
            return "several_digits"
        if self.accepts(prediction, mode or self._mode):
            return None
        return "unsure" if self.accepts(prediction, "guess") else "not_a_digit"

    def accepts(self, prediction: Prediction, mode: Mode) -> bool:
        """Whether `is_digit` of this prediction would be true in `mode`."""
        return self._is_digit(prediction.digit_score, mode)

    def _is_digit(self, digit_score: float, mode: Mode) -> bool:
        return digit_score >= self._threshold + MODES[mode]

    def decode(self, data: bytes, seconds_left: float = math.inf) -> tuple[Picture, float]:
        """The picture in a file's bytes and its scale, as `decode_with_scale`; waits while too many are decoded."""
        with self._decoding, self.observer.time_phase("decode"):
            return decode_with_scale(data, self.limits, seconds_left)

    def predict_strokes(self, strokes: object) -> Prediction:
        """Recognize a drawing `[[[x, y], ...], ...]`, y down, any unit. Raises `InvalidStrokes` or `BlankInput`."""
        started = time.perf_counter()
        prediction = self.predict_drawing(strokes).prediction
        self.observer.record(prediction)
        return replace(prediction, elapsed_ms=milliseconds_since(started))

    def predict_picture(self, data: bytes) -> Prediction:
        """Recognize the bytes of a picture file. Raises `PictureError` or `BlankInput`."""
        started = time.perf_counter()
        prediction = self.predict_candidates([self.find_candidates(*self.decode(data))])[0]
        return replace(prediction, elapsed_ms=milliseconds_since(started))

    def predict_pictures(self, files: Sequence[bytes], max_seconds: float = math.inf) -> list[Prediction | InputError]:
        """Recognize many picture files in one forward pass; the result for an unreadable one is its error.

        Pictures that are left when this call has used `max_seconds` of processor time are refused, too.
        """
        started, end = time.perf_counter(), time.thread_time() + max_seconds
        pictures = [self._find_candidates_or_error(data, end - time.thread_time()) for data in files]
        predictions = iter(self.predict_candidates([each for each in pictures if not isinstance(each, InputError)]))
        elapsed_ms = milliseconds_since(started)
        return [
            each if isinstance(each, InputError) else replace(next(predictions), elapsed_ms=elapsed_ms)
            for each in pictures
        ]

    def _find_candidates_or_error(self, data: bytes, seconds_left: float) -> list[Candidate] | InputError:
        try:
            return self.find_candidates(*self.decode(data, seconds_left))
        except InputError as error:
            return error

    def find_candidates(self, picture: Picture, scale: float) -> list[Candidate]:
        """The candidates in a decoded picture, with regions in pixels of its file. Raises `BlankInput`."""
        with self.observer.time_phase("normalize"):
            return [replace(c, region=c.region.scaled(scale)) for c in find_candidates(picture)]

    def predict_candidates(self, pictures: Sequence[Sequence[Candidate]]) -> list[Prediction]:
        """For each picture, the average of its candidates, in one forward pass."""
        averages = self._predict_candidates(pictures)
        for prediction in averages:
            self.observer.record(prediction)
        return averages

    def _predict_candidates(self, pictures: Sequence[Sequence[Candidate]]) -> list[Prediction]:
        all_predictions = iter(self.predict_frames([c.frame for candidates in pictures for c in candidates]))
        return [_average([self._penalize(next(all_predictions), c) for c in candidates]) for candidates in pictures]

    def _penalize(self, prediction: Prediction, candidate: Candidate) -> Prediction:
        """The prediction for a candidate, with the penalty subtracted from its digit score."""
        score = prediction.digit_score - candidate.penalty
        is_digit = self._is_digit(score, self._mode)
        return replace(prediction, region=candidate.region, digit_score=score, is_digit=is_digit)

    def explain_strokes(self, strokes: object, digit: int | None = None) -> Explanation:
        """The evidence for `digit`, by default the likeliest, in the frame of a drawing.

        The path of the pen has no part in it. Raises `InvalidStrokes` or `BlankInput`.
        """
        started = time.perf_counter()
        return self.explain(self.predict_drawing(strokes).prediction, digit, started)

    def explain_picture(self, data: bytes, digit: int | None = None) -> Explanation:
        """The evidence in a picture for `digit`, by default the likeliest. Raises `PictureError` or `BlankInput`."""
        started = time.perf_counter()
        candidates = self.find_candidates(*self.decode(data))
        return self.explain(self._predict_candidates([candidates])[0], digit, started)

    def explain(self, prediction: Prediction, digit: int | None, started: float) -> Explanation:
        """The evidence for `digit`, by default the likeliest, in the frame of a prediction."""
        digit = prediction.digit if digit is None else digit

        def log_odds_of(frames: NDArray[np.float32]) -> NDArray[np.float32]:
            return log_odds(self._logits(frames), self._temperature, digit)

        heat = find_heat(prediction.frame, log_odds_of)
        return Explanation(
            digit=digit,
            confidence=prediction.probabilities[digit],
            heat=heat,
            frame=prediction.frame,
            region=prediction.region,
            elapsed_ms=milliseconds_since(started),
        )

    def predict_frames(self, frames: Sequence[Frame]) -> list[Prediction]:
        """Predictions for frames `[28, 28]`, without preprocessing."""
        if not frames:
            return []
        logits = self._logits(np.stack(frames))
        probabilities = digit_probabilities(logits, self._temperature).tolist()
        scores = digit_scores(logits).tolist()
        return [
            Prediction(tuple(p), score, self._is_digit(score, self._mode), frame)
            for p, score, frame in zip(probabilities, scores, frames, strict=True)
        ]

    def predict_drawing(self, strokes: object) -> Drawn:
        """The prediction for a drawing, not recorded. Raises as `predict_strokes`."""
        with self.observer.time_phase("normalize"):
            drawn = validate_strokes(strokes, self.limits)
            frame, region = draw_with_region(drawn)
        prediction = replace(self.predict_frames([frame])[0], region=region)
        path = self.read_path(drawn)
        return Drawn(drawn, self._combine(prediction, path) if path else prediction, path)

    def read_path(self, strokes: Sequence[Stroke]) -> PathReading | None:
        """What the network for strokes reads in a line, if there is one."""
        if self.stroke_reader is None:
            return None
        with self.observer.time_phase("network"):
            return self.stroke_reader.read(strokes)

    def _combine(self, prediction: Prediction, path: PathReading) -> Prediction:
        """What both networks say about a drawing of one digit."""
        log_p, log_odds = path.of_single
        both = np.log(np.maximum(prediction.probabilities, 1e-30)) + log_p
        both = np.exp(_INVERSE_TEMPERATURE * (both - both.max()))
        bonus = _ODDS_WEIGHT * float(np.clip(log_odds - _ODDS_SHIFT, -_MAX_ODDS, _MAX_ODDS))
        score = prediction.digit_score + bonus
        is_digit = self._is_digit(score, self._mode)
        return replace(
            prediction, probabilities=tuple((both / both.sum()).tolist()), digit_score=score, is_digit=is_digit
        )

    def _logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        with self.observer.time_phase("network"):
            return self._logits_of(frames)


def _average(candidates: Sequence[Prediction]) -> Prediction:
    """The average of the candidates' probabilities, weighted by the odds that each is a digit.

    Score, frame and region are those of the candidate with the highest score among those that show the likeliest digit.
    """
    scores = np.array([candidate.digit_score for candidate in candidates])
    weights = np.exp(scores - scores.max())  # the digit score is the log-odds
    probabilities = weights / weights.sum() @ np.array([candidate.probabilities for candidate in candidates])
    digit = int(probabilities.argmax())
    agreeing = [candidate for candidate in candidates if candidate.digit == digit] or candidates
    best = max(agreeing, key=lambda candidate: candidate.digit_score)
    return replace(best, probabilities=tuple(probabilities.tolist()))


def milliseconds_since(started: float) -> float:
    """The time since `started`, a value of `time.perf_counter`."""
    return 1000 * (time.perf_counter() - started)
