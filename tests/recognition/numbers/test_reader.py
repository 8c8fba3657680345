"""The reader of numbers, with an engine that returns chosen logits."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from config import Limits, Settings
from model_file import NUMBER_READER, PREPROCESSING_VERSION, ModelInfo
from recognition import BlankInput, Recognizer
from recognition.numbers.ctc import BLANK
from recognition.numbers.reader import MAX_DIGITS, NumberReader, draw_strip
from testing.handwriting import DIGITS, Drawing


class ScriptedEngine:
    """Reads the text that it was given, its digits evenly spread over the strip."""

    name: Literal["onnx"] = "onnx"
    info = ModelInfo(
        id="scripted",
        architecture=NUMBER_READER,
        parameters=0,
        preprocessing=PREPROCESSING_VERSION,
        temperature=1.0,
        rejection_threshold=0.0,
        data=(),
        metrics={},
    )

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def logits(self, strips: NDArray[np.float32]) -> NDArray[np.float32]:
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        steps = max(strips.shape[2] // 2, 2 * len(text) + 1)
        logits = np.zeros((1, steps, 11), np.float32)
        labels = np.full(steps, BLANK)
        for index, digit in enumerate(text):
            labels[int((index + 0.5) * steps / len(text))] = int(digit)
        logits[0, np.arange(steps), labels] = 12
        return logits


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(Settings().model_path)


def row(digits: Sequence[int], y: float = 0) -> list[list[list[float]]]:
    """Strokes of digits side by side."""
    return [[[p[0] + 280 * i, p[1] + y] for p in stroke] for i, digit in enumerate(digits) for stroke in DIGITS[digit]]


def reader(recognizer: Recognizer, *texts: str) -> NumberReader:
    return NumberReader(recognizer, ScriptedEngine(*texts))


def test_each_digit_of_a_drawing_has_its_box_and_prediction(recognizer: Recognizer) -> None:
    reading = reader(recognizer, "420").read_strokes(row([4, 2, 0]))
    assert reading.text == "420"
    assert [each.prediction.digit for each in reading.digits] == [4, 2, 0]
    assert all(each.prediction.is_digit for each in reading.digits)
    lefts = [each.box[0] for each in reading.digits]
    assert lefts == sorted(lefts)
    assert 280 < lefts[1] < 420 < 560 < lefts[2]
    assert 0.9 < reading.confidence <= 1


def test_one_digit_is_the_recognizers(recognizer: Recognizer) -> None:
    drawing = row([7])
    reading = reader(recognizer, "1").read_strokes(drawing)
    assert reading.text == "7"
    assert reading.digits[0].prediction.probabilities == recognizer.predict_strokes(drawing).probabilities


def test_no_digit_is_a_question_mark(recognizer: Recognizer) -> None:
    zigzag: Drawing = [[[10 * i, 100 * (i % 2)] for i in range(30)]]
    assert reader(recognizer, "").read_strokes([list(map(list, stroke)) for stroke in zigzag]).text == "?"


def test_lines_are_joined_by_line_breaks(recognizer: Recognizer) -> None:
    reading = reader(recognizer, "31", "42").read_strokes([*row([3, 1]), *row([4, 2], y=500)])
    assert reading.text == "31\n42"
    assert [each.line for each in reading.digits] == [0, 0, 1, 1]


def test_stroke_across_two_digits_is_cut(recognizer: Recognizer) -> None:
    joined = [[float(x), 100 + 80 * np.sin(x / 40)] for x in range(0, 560, 8)]
    reading = reader(recognizer, "33").read_strokes([joined])
    assert [each.box[0] + each.box[2] <= 300 for each in reading.digits] == [True, False]
    assert len(reading.digits) == 2


def test_more_than_a_hundred_digits_are_cut_off(recognizer: Recognizer) -> None:
    reading = reader(recognizer, "12" * 60).read_strokes(row([1, 2] * 3))
    assert len(reading.text) == len(reading.digits) == MAX_DIGITS


def test_empty_drawing_is_blank(recognizer: Recognizer) -> None:
    with pytest.raises(BlankInput):
        reader(recognizer, "12").read_strokes([])


@pytest.mark.parametrize("size", [1e-3, 1, 1e4])
def test_strip_of_a_drawing_does_not_depend_on_its_size(size: float) -> None:
    strokes = [np.array(stroke) for stroke in row([3, 1])]
    strip, unit, left = draw_strip(strokes)
    scaled, scaled_unit, scaled_left = draw_strip([stroke * size for stroke in strokes])
    assert scaled == pytest.approx(strip, abs=0.02)
    assert scaled_unit == pytest.approx(unit * size)
    assert scaled_left == pytest.approx(left * size, rel=1e-3)


def test_flat_and_endless_lines_have_bounded_strips() -> None:
    assert draw_strip([np.array([[0.0, 0.0], [1e5, 0.0]])])[0].shape[1] < 1_100
    assert draw_strip([np.array([[0.0, 0.0]])])[0].shape[1] >= 16


def test_limits_of_drawings_hold(recognizer: Recognizer) -> None:
    from recognition import InvalidStrokes

    with pytest.raises(InvalidStrokes):
        reader(recognizer, "12").read_strokes([[[0, 0]]] * (Limits().max_strokes + 1))
