"""Networks for numbers and for pen strokes that return chosen texts, in place of trained ones."""

from typing import Literal

import numpy as np
from flask import Flask
from numpy.typing import NDArray

from model_file import N_DIGITS, NUMBER_READER, PREPROCESSING_VERSION, STROKE_READER, ModelInfo
from recognition.ctc import BLANK, OTHER, label_of
from recognition.numbers.reader import NumberReader


def _describe(architecture: str, temperature: float) -> ModelInfo:
    return ModelInfo(
        id="0123456789ab",
        architecture=architecture,
        parameters=1,
        preprocessing=PREPROCESSING_VERSION,
        temperature=temperature,
        rejection_threshold=0.0,
        data=(),
        metrics={},
    )


class ScriptedEngine:
    """Reads one text after the other, the last one again and again, its digits evenly spread over the strip.

    Instead of a digit, the next one up is likeliest, the less so the later it comes.
    """

    name: Literal["onnx"] = "onnx"
    info = _describe(NUMBER_READER, temperature=1.0)

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `recognition.engine.Engine`."""
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        steps = max(frames.shape[2] // 2, 2 * len(text) + 1)
        logits = np.zeros((1, steps, N_DIGITS + 1), np.float32)
        logits[0, :, BLANK] = 12
        for index, digit in enumerate(map(int, text)):
            step = int((index + 0.5) * steps / len(text))
            logits[0, step, BLANK] = 0
            logits[0, step, digit] = 12
            logits[0, step, (digit + 1) % N_DIGITS] = max(0, 8 - index)
        return logits


class SpellingEngine:
    """Reads the same symbols in every path."""

    name: Literal["onnx"] = "onnx"
    info = _describe(STROKE_READER, temperature=2.0)

    def __init__(self, symbols: str, certainty: float = 20.0) -> None:
        self._logits = np.zeros((1, 2 * len(symbols) + 1, OTHER + 1), np.float32)
        self._logits[0, ::2, BLANK] = 20
        for index, symbol in enumerate(symbols):
            self._logits[0, 2 * index + 1, label_of(symbol)] = certainty

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `recognition.engine.Engine`."""
        assert frames.ndim == 3
        return self._logits


def let_app_read(app: Flask, text: str) -> None:
    """Replace the number model of `app` by one that reads `text` in every line."""
    app.extensions["reader"] = NumberReader(app.extensions["reader"].recognizer, ScriptedEngine(text))
