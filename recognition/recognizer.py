"""The front door of recognition: a drawing or a picture goes in, a prediction comes out.

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
import torch
from numpy.typing import NDArray
from torch import Tensor

from config import Limits
from model import Checkpoint, digit_probabilities, digit_score, load_checkpoint, parse_checkpoint
from recognition.errors import InputError
from recognition.explain import Explanation, find_heat, log_odds
from recognition.ink import draw_on_field, validate_strokes
from recognition.normalize import Candidate, Field, Frame, candidates
from recognition.picture import decode_with_scale
from recognition.preview import Preview, picture_png


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network answers to one digit."""

    probabilities: tuple[float, ...]  # of the digits 0 to 9, calibrated, given that the input is a digit
    digit_score: float  # higher = more like a digit
    is_digit: bool  # digit_score reaches the checkpoint's threshold
    frame: Frame  # [28, 28] in 0..1, what the network saw
    field: Field | None = None  # where the frame lies, in the units of the drawing or in pixels of the picture
    preview: Preview | None = None  # the picture, where it was asked for

    @property
    def digit(self) -> int:
        """The likeliest digit, also where `is_digit` is false."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Probability of `digit`, 0 to 1."""
        return self.probabilities[self.digit]

    def top(self, k: int = 3) -> list[tuple[int, float]]:
        """The `k` likeliest digits with their probabilities, likeliest first."""
        return sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])[:k]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of the network that answers."""

    id: str
    architecture: str
    parameters: int
    preprocessing: int
    data: tuple[str, ...]
    metrics: Mapping[str, float]


# Bytes to a picture, a drawing or picture to frames, frames to predictions.
Phase = Literal["decode", "normalise", "network"]


class Observer:
    """Is told what a recognizer does; whoever counts and times it overrides these."""

    def watch(self, _phase: Phase) -> AbstractContextManager[object]:
        """What a phase is run within."""
        return nullcontext()

    def note(self, prediction: Prediction) -> None:
        """Take notice of an answer."""


class Recognizer:
    """Reads digits with one network. Safe to share between threads, as its `observer` has to be."""

    def __init__(self, checkpoint: Checkpoint, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.observer = Observer()
        self.info = ModelInfo(
            id=checkpoint.id,
            architecture=checkpoint.architecture,
            parameters=checkpoint.n_parameters,
            preprocessing=checkpoint.preprocessing,
            data=tuple(checkpoint.data),
            metrics=dict(checkpoint.metrics),
        )
        # Channels last is how one frame is fastest convolved and pooled on a CPU: half the time of the other order.
        self._network = checkpoint.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._temperature = checkpoint.temperature
        self._threshold = checkpoint.rejection_threshold
        # Decoding 50 megapixels takes up to 400 MB, as WebP 750 MB: only a few pictures may be in memory at a time.
        self._decoding = threading.BoundedSemaphore(self.limits.max_decodes)

    @classmethod
    def load(cls, path: Path, limits: Limits | None = None, content: bytes | None = None) -> Recognizer:
        """A recognizer with the network of a checkpoint file. Raises `model.CheckpointError`.

        `content` is what the file held when somebody else read it; without it, the file is read now.
        """
        return cls(load_checkpoint(path) if content is None else parse_checkpoint(content, path), limits)

    def predict_strokes(self, strokes: object) -> Prediction:
        """Read a drawing `[[[x, y], ...], ...]`, y down, any unit. Raises `InvalidStrokes` or `BlankInput`."""
        with self.observer.watch("normalise"):
            frame, field = draw_on_field(validate_strokes(strokes, self.limits))
        prediction = replace(self.predict_frames([frame])[0], field=field)
        self.observer.note(prediction)
        return prediction

    def predict_picture(self, data: bytes, with_preview: bool = False) -> Prediction:
        """Read the bytes of a picture file. Raises `PictureError` or `BlankInput`."""
        found, preview = self._candidates(data, with_preview=with_preview)
        return replace(self.predict_candidates([found])[0], preview=preview)

    def predict_pictures(
        self, files: Sequence[bytes], max_seconds: float = math.inf, with_previews: bool = False
    ) -> list[Prediction | InputError]:
        """Read many picture files in one pass of the network; a bad one gets its error, in its place.

        So does a picture whose decoding would bring the processor time of this call to more than `max_seconds`.
        """
        end = time.thread_time() + max_seconds
        seen = [self._candidates_or_error(data, end - time.thread_time(), with_previews) for data in files]
        predictions = iter(self.predict_candidates([item[0] for item in seen if not isinstance(item, InputError)]))
        return [item if isinstance(item, InputError) else replace(next(predictions), preview=item[1]) for item in seen]

    def predict_candidates(self, pictures: Sequence[Sequence[Candidate]]) -> list[Prediction]:
        """For each picture, seen in one or more ways, the prediction of the one that looks most like a digit."""
        frames = [candidate.frame for picture in pictures for candidate in picture]
        predictions = iter(self.predict_frames(frames))
        chosen = [
            self._chosen(*max(((next(predictions), candidate) for candidate in picture), key=_score_less_doubt))
            for picture in pictures
        ]
        for prediction in chosen:
            self.observer.note(prediction)
        return chosen

    def _chosen(self, prediction: Prediction, candidate: Candidate) -> Prediction:
        """The prediction of a candidate, its doubt taken off the digit score: who guesses must not accept more."""
        score = prediction.digit_score - candidate.doubt
        is_digit = prediction.is_digit and score >= self._threshold
        return replace(prediction, field=candidate.field, digit_score=score, is_digit=is_digit)

    def explain_strokes(self, strokes: object, digit: int | None = None) -> Explanation:
        """What in a drawing spoke for `digit`, or for the likeliest one. Raises `InvalidStrokes` or `BlankInput`."""
        with self.observer.watch("normalise"):
            frame, field = draw_on_field(validate_strokes(strokes, self.limits))
        return self._explain(self.predict_frames([frame])[0], field, digit)

    def explain_picture(self, data: bytes, digit: int | None = None) -> Explanation:
        """What in a picture spoke for `digit`, or for the likeliest one. Raises `PictureError` or `BlankInput`."""
        ways, _ = self._candidates(data)
        predictions = self.predict_frames([way.frame for way in ways])
        prediction, way = max(zip(predictions, ways, strict=True), key=_score_less_doubt)
        return self._explain(prediction, way.field, digit)

    def _explain(self, prediction: Prediction, field: Field, digit: int | None) -> Explanation:
        digit = prediction.digit if digit is None else digit

        def log_odds_of(frames: NDArray[np.float32]) -> NDArray[np.float32]:
            odds: NDArray[np.float32] = log_odds(self._logits(frames), self._temperature, digit).numpy()
            return odds

        heat = find_heat(prediction.frame, log_odds_of)
        return Explanation(digit, prediction.probabilities[digit], heat, prediction.frame, field)

    def predict_frames(self, frames: Sequence[Frame]) -> list[Prediction]:
        """Read frames `[28, 28]` as they are."""
        if not frames:
            return []
        logits = self._logits(np.stack(frames))
        probabilities = digit_probabilities(logits, self._temperature).tolist()
        scores = digit_score(logits).tolist()
        return [
            Prediction(tuple(p), score, score >= self._threshold, frame)
            for p, score, frame in zip(probabilities, scores, frames, strict=True)
        ]

    def _logits(self, frames: NDArray[np.float32]) -> Tensor:
        """Logits `[N, 10 or 11]` of frames `[N, 28, 28]`."""
        # OpenMP keeps this number for each calling thread. A frame is too little work to share, and without it every
        # thread of a server would start a team of its own, five times as slow on a busy machine.
        torch.set_num_threads(1)
        with self.observer.watch("network"), torch.inference_mode():
            logits: Tensor = self._network(torch.from_numpy(frames))
        return logits

    def _candidates(
        self, data: bytes, seconds_left: float = math.inf, with_preview: bool = False
    ) -> tuple[list[Candidate], Preview | None]:
        with self._decoding, self.observer.watch("decode"):
            picture, scale = decode_with_scale(data, self.limits, seconds_left)
        with self.observer.watch("normalise"):
            found = [replace(item, field=item.field.scaled(scale)) for item in candidates(picture)]
        height, width = picture.shape
        size = round(width * scale), round(height * scale)
        return found, Preview(picture_png(picture), size) if with_preview else None

    def _candidates_or_error(
        self, data: bytes, seconds_left: float, with_preview: bool
    ) -> tuple[list[Candidate], Preview | None] | InputError:
        try:
            return self._candidates(data, seconds_left, with_preview)
        except InputError as error:
            return error


def _score_less_doubt(seen: tuple[Prediction, Candidate]) -> float:
    prediction, candidate = seen
    return prediction.digit_score - candidate.doubt
