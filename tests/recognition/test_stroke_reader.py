"""The reader of the path of the pen, and what it adds to the recognizer."""

from pathlib import Path

import numpy as np
import pytest

from config import Settings
from model_file import Purpose
from recognition import Recognizer
from recognition.engine import read_model, read_models, start_engine
from recognition.stroke_reader import PathReading, StrokeReader
from testing.handwriting import DIGITS, write_row
from testing.numbers import SpellingEngine


def read(symbols: str, certainty: float = 20.0) -> PathReading:
    return StrokeReader(SpellingEngine(symbols, certainty)).read([np.array([[0.0, 0.0], [0.0, 1.0]])])


def test_other_ink_is_left_out_of_the_text() -> None:
    path = read("4?2?")
    assert path.texts[0] == "42"
    assert path.log_p_of(["42"]) == pytest.approx(0, abs=0.1)
    assert path.log_p_of(["41"])[0] < -5


def test_path_of_one_digit() -> None:
    log_p, log_odds = read("7").of_single
    assert log_p.argmax() == 7
    assert np.exp(log_p).sum() == pytest.approx(1)
    assert log_odds > 5


@pytest.mark.parametrize("symbols", ["?", "77", "7?"])
def test_path_of_something_else_is_no_digit(symbols: str) -> None:
    assert read(symbols).of_single[1] < -5


def test_temperature_of_the_model_makes_it_less_certain() -> None:
    assert np.exp(read("7", certainty=4.0).of_single[0]).max() < 0.6


@pytest.fixture(scope="module")
def shipped() -> Recognizer:
    return Recognizer.load(Settings().model_path)


def with_path(symbols: str, certainty: float = 20.0) -> Recognizer:
    engine = start_engine(read_model(Settings().model_path))
    return Recognizer(engine, stroke_reader=StrokeReader(SpellingEngine(symbols, certainty)))


def test_both_networks_decide_on_a_digit(shipped: Recognizer) -> None:
    drawing = DIGITS[3]
    alone = shipped.predict_strokes(drawing)
    agreed = with_path("3").predict_strokes(drawing)
    differing = with_path("8", certainty=6.0).predict_strokes(drawing)
    assert agreed.digit == differing.digit == 3
    assert agreed.digit_score > alone.digit_score
    assert differing.probabilities[8] > 10 * agreed.probabilities[8]


def test_other_ink_in_the_path_makes_a_digit_less_likely(shipped: Recognizer) -> None:
    drawing = DIGITS[3]
    assert with_path("?").predict_strokes(drawing).digit_score < shipped.predict_strokes(drawing).digit_score


@pytest.mark.parametrize("text", ["7", "42", "1100", "3859"])
def test_pretrained_reader_reads_paths(text: str) -> None:
    model = read_model(Settings().stroke_model_path, purpose=Purpose.STROKES)
    strokes = [np.array(stroke, float) for stroke in write_row(text)]
    assert StrokeReader(start_engine(model)).read(strokes).texts[0] == text


def test_model_is_optional(settings: Settings, tmp_path: Path) -> None:
    without = settings.model_copy(update={"stroke_model_path": tmp_path / "none.pth"})
    assert read_models(without).strokes is None
    assert Recognizer.start(read_models(without)).stroke_reader is None
    assert Recognizer.start(read_models(settings)).stroke_reader is not None
