"""Reads the path of the pen, which shows what a picture of the ink does not: the direction and order of the strokes.

reader = StrokeReader(start_engine(read_model(Path("stroke_model.pth"), purpose=Purpose.STROKES)))
path = reader.read(strokes)
path.texts                      # ["42", "92"], likeliest first
path.log_p_of(["42", "12"])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model_file import N_DIGITS
from recognition.ctc import best_texts, leave_out_other, log_p_of, log_softmax
from recognition.engine import Engine, VerifiedModel, start_engine
from recognition.strokes import Stroke
from recognition.trajectory import to_trajectory

_N_RANKED = 8  # texts
MAX_DIGITS = 100  # of a reading
_ALMOST_CERTAIN = -1e-9  # log-probability: the log-odds of certainty would be infinite


@dataclass(frozen=True)
class PathReading:
    """What the network reads in the path of a pen."""

    log_p: NDArray[np.float32]  # [T, 12]: digits, blank and other ink

    @cached_property
    def texts(self) -> list[str]:
        """The likeliest texts of at most `MAX_DIGITS`, likeliest first, other ink left out."""
        texts = (text for text, _ in best_texts(leave_out_other(self.log_p), _N_RANKED))
        return [text for text in texts if 0 < len(text) <= MAX_DIGITS]

    def log_p_of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability `[len(texts)]` of each text, whatever other ink there is."""
        return log_p_of(texts, leave_out_other(self.log_p))

    @cached_property
    def of_single(self) -> tuple[NDArray[np.float64], float]:
        """Read as one digit: log-probabilities `[10]` of the digits, and the log-odds that there is one and no more."""
        log_p = log_p_of([*map(str, range(N_DIGITS))], self.log_p)
        total = min(float(np.logaddexp.reduce(log_p)), _ALMOST_CERTAIN)
        return log_p - total, total - math.log(-math.expm1(total))


def start_stroke_reader(model: VerifiedModel | None) -> StrokeReader | None:
    """A reader with an engine of its own; None without a model. Raises `CheckpointError`."""
    return StrokeReader(start_engine(model)) if model else None


class StrokeReader:
    """Reads the path of a pen with one network. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self.info = engine.info
        self.engine = engine.name
        self._engine = engine

    def read(self, strokes: Sequence[Stroke]) -> PathReading:
        """Read a line of strokes, in the order in which they were written."""
        logits = self._engine.logits(to_trajectory(strokes)[None])[0].astype(np.float32)
        return PathReading(log_softmax(logits, self.info.temperature))
