"""The recognizer, with a network whose digit score is the amount of ink."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image

from checkpoint import Checkpoint
from config import ROOT, EngineName, Limits
from model import ARCHITECTURES
from model_file import CheckpointError
from recognition import (
    BlankInput,
    InputError,
    InvalidStrokes,
    PictureTooLarge,
    Prediction,
    Recognizer,
    UnsupportedPicture,
)
from recognition.frame import Frame, Region
from recognition.normalize import Candidate
from recognition.recognizer import MODES
from testing.checkpoints import engine_of
from testing.handwriting import DIGITS, HANDWRITINGS, Drawing
from testing.pictures import encode, picture_of
from training.onnx_export import save_model

LIMITS = Limits(_env_file=None)
PICTURES = [picture_of(DIGITS[digit]) for digit in range(10)]
BLANK = encode(Image.new("L", (50, 50), 255))


def ink_counter(threshold: float = 0.0) -> Checkpoint:
    """A network that predicts 3, with a digit score that grows with the ink."""
    weights = ARCHITECTURES["linear"](background=True).state_dict()
    weights = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    weights["0.std"] = torch.tensor(1.0)
    weights["2.weight"][10] = -1
    weights["2.bias"][:10] = torch.tensor([0.0, 0, 2, 5, 1, 0, 0, 0, 0, 3])
    return Checkpoint(
        architecture="linear",
        arguments={"background": True},
        state_dict=weights,
        rejection_threshold=threshold,
        metrics={"test_accuracy": 0.1},
        data=["mnist"],
    )


Maker: TypeAlias = Callable[..., Recognizer]
ENGINES = [EngineName.ONNX, EngineName.TORCH]


@pytest.fixture(params=ENGINES)
def make_recognizer(request: pytest.FixtureRequest) -> Maker:
    """Makes a recognizer of a checkpoint, with each engine in turn."""
    return lambda checkpoint, limits=LIMITS: Recognizer(engine_of(checkpoint, request.param), limits)


@pytest.fixture
def recognizer(make_recognizer: Maker) -> Recognizer:
    return make_recognizer(ink_counter())


def frame_of(ink: float) -> Frame:
    return np.full((28, 28), ink / 784, np.float32)


def candidate(ink: float, doubt: float = 0.0) -> Candidate:
    return Candidate(frame_of(ink), doubt, Region(0, 0, 28))


def assert_whole(prediction: Prediction) -> None:
    """What holds for every prediction."""
    assert len(prediction.probabilities) == 10
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)
    assert prediction.confidence == max(prediction.probabilities) == prediction.probabilities[prediction.digit]
    assert (prediction.frame.shape, prediction.frame.dtype) == ((28, 28), np.float32)
    assert 0 <= prediction.frame.min() <= prediction.frame.max() <= 1


# ---- what comes out ----


def test_prediction_of_a_drawing_is_complete(recognizer: Recognizer) -> None:
    prediction = recognizer.predict_strokes(DIGITS[5])
    assert_whole(prediction)
    assert prediction.digit == 3
    assert prediction.top() == [(digit, prediction.probabilities[digit]) for digit in (3, 9, 2)]
    assert [digit for digit, _ in prediction.top(10)][:4] == [3, 9, 2, 4]


@pytest.mark.parametrize("data", PICTURES, ids=range(10))
def test_prediction_of_a_picture_is_complete(data: bytes, recognizer: Recognizer) -> None:
    assert_whole(recognizer.predict_picture(data))


def test_what_reaches_the_threshold_is_a_digit(make_recognizer: Maker) -> None:
    few, many = frame_of(10), frame_of(20)
    score = make_recognizer(ink_counter()).predict_frames([few, many])[1].digit_score
    on_the_edge = make_recognizer(ink_counter(threshold=score))
    assert [prediction.is_digit for prediction in on_the_edge.predict_frames([few, many])] == [False, True]


def test_mode_moves_the_threshold() -> None:
    frame = frame_of(20)
    engine = engine_of(ink_counter(), ENGINES[0])
    (balanced,) = Recognizer(engine, LIMITS).predict_frames([frame])
    engine = engine_of(ink_counter(threshold=balanced.digit_score + 1), ENGINES[0])
    accepted = {mode: Recognizer(engine, LIMITS, mode).predict_frames([frame])[0].is_digit for mode in MODES}
    assert accepted == {"sure": False, "balanced": False, "guess": True}


def test_temperature_changes_the_confidence_and_not_the_digit(make_recognizer: Maker) -> None:
    cold, warm = (
        make_recognizer(replace(ink_counter(), temperature=temperature)).predict_frames([frame_of(9)])[0]
        for temperature in (0.5, 2.0)
    )
    assert cold.digit == warm.digit
    assert cold.confidence > warm.confidence
    assert cold.digit_score == warm.digit_score


def test_no_frames_give_no_predictions(recognizer: Recognizer) -> None:
    assert recognizer.predict_frames([]) == []
    assert recognizer.predict_pictures([]) == []


def test_frame_is_that_of_the_candidate_with_the_highest_digit_score(recognizer: Recognizer) -> None:
    plain, rich = candidate(10), candidate(20)
    for readings in ([plain, rich], [rich, plain], [rich]):
        (prediction,) = recognizer.predict_candidates([readings])
        assert prediction.frame is rich.frame


@pytest.mark.parametrize(("doubt", "ink"), [(5.0, 20), (15.0, 10)])
def test_penalized_candidate_needs_a_higher_score(doubt: float, ink: float, recognizer: Recognizer) -> None:
    readings = [candidate(10), candidate(20, doubt)]
    (prediction,) = recognizer.predict_candidates([readings])
    assert prediction.frame.sum() == pytest.approx(ink, rel=1e-4)


def test_penalty_is_subtracted_from_the_digit_score(make_recognizer: Maker) -> None:
    sure, guess = (Candidate(frame_of(20), doubt, Region(0, 0, 28)) for doubt in (0.0, 5.0))
    without = make_recognizer(ink_counter()).predict_candidates([[sure]])[0].digit_score
    strict = make_recognizer(ink_counter(threshold=without - 1))
    taken, doubted = strict.predict_candidates([[sure], [guess]])
    assert (taken.is_digit, doubted.is_digit) == (True, False)
    assert doubted.digit_score == pytest.approx(without - 5, rel=1e-5)


def tells_7_by_its_corner() -> Checkpoint:
    """As `ink_counter`, but with ink in its corner, a 3 is a 7."""
    checkpoint = ink_counter()
    checkpoint.state_dict["2.weight"][[3, 7], 0] = torch.tensor([-5.0, 5])
    return checkpoint


def candidate_7(doubt: float) -> Candidate:
    """With as much ink as `candidate(20)`."""
    frame = frame_of(19)
    frame[0, 0] += 1
    return Candidate(frame, doubt, Region(0, 0, 28))


def test_candidates_count_by_the_odds_that_they_are_digits(make_recognizer: Maker) -> None:
    three, seven = candidate(20), candidate_7(2.0)
    recognizer = make_recognizer(tells_7_by_its_corner())
    alone, other, both = recognizer.predict_candidates([[three], [seven], [three, seven]])
    assert (alone.digit, other.digit, both.digit) == (3, 7, 3)
    odds = math.exp(other.digit_score - alone.digit_score)
    expected = (np.array(alone.probabilities) + odds * np.array(other.probabilities)) / (1 + odds)
    np.testing.assert_allclose(both.probabilities, expected, atol=1e-6)
    assert (both.digit_score, both.frame is three.frame) == (alone.digit_score, True)


def test_frame_shows_the_digit_with_the_highest_average(make_recognizer: Maker) -> None:
    seven, threes = candidate_7(0.0), [candidate(20, 0.1) for _ in range(3)]
    (prediction,) = make_recognizer(tells_7_by_its_corner()).predict_candidates([[seven, *threes]])
    assert prediction.digit == 3
    assert prediction.frame is threes[0].frame


def test_candidates_of_several_pictures_are_not_mixed(recognizer: Recognizer) -> None:
    pictures = [[candidate(ink) for ink in inks] for inks in ([3], [9, 2, 5], [1, 4])]
    predictions = recognizer.predict_candidates(pictures)
    assert [round(float(prediction.frame.sum())) for prediction in predictions] == [3, 9, 4]


def test_info_describes_the_network(recognizer: Recognizer) -> None:
    checkpoint, info = ink_counter(), recognizer.info
    assert (info.id, info.architecture, info.parameters) == (checkpoint.id, "linear", 11 * 785)
    assert (info.data, info.metrics) == (("mnist",), {"test_accuracy": 0.1})


# ---- what goes wrong ----


def test_bad_inputs_raise_different_errors(recognizer: Recognizer) -> None:
    for strokes, error in (([], BlankInput), ("7", InvalidStrokes), ([[[1, 2]] * 10_001], InvalidStrokes)):
        with pytest.raises(error):
            recognizer.predict_strokes(strokes)
    for data, problem in ((BLANK, BlankInput), (b"hello", UnsupportedPicture)):
        with pytest.raises(problem):
            recognizer.predict_picture(data)


def test_bad_picture_among_many_gets_its_error_in_its_place(recognizer: Recognizer) -> None:
    results = recognizer.predict_pictures([PICTURES[1], b"hello", BLANK, PICTURES[8]])
    assert isinstance(results[1], UnsupportedPicture)
    assert isinstance(results[2], BlankInput)
    for result, data in ((results[0], PICTURES[1]), (results[3], PICTURES[8])):
        assert isinstance(result, Prediction)
        alone = recognizer.predict_picture(data)
        np.testing.assert_array_equal(result.frame, alone.frame)
        assert result.digit_score == pytest.approx(alone.digit_score, rel=1e-5)


def test_all_bad_pictures_are_only_errors(recognizer: Recognizer) -> None:
    assert all(isinstance(result, InputError) for result in recognizer.predict_pictures([b"", b"x", BLANK]))


def test_pictures_beyond_the_time_of_a_request_are_refused_undecoded(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, *(0.4 * n for n in range(4))])  # each picture takes 0.4 s
    monkeypatch.setattr("recognition.recognizer.time.thread_time", lambda: next(clock))
    large = encode(Image.new("RGBA", (6000, 6000)))  # about 0.9 s
    results = recognizer.predict_pictures([PICTURES[1], PICTURES[2], large, PICTURES[3]], max_seconds=1.5)
    assert [type(result) for result in results] == [Prediction, Prediction, PictureTooLarge, Prediction]
    assert "used up the time of the request" in str(results[2])


def test_only_so_many_pictures_are_decoded_at_a_time(monkeypatch: pytest.MonkeyPatch, make_recognizer: Maker) -> None:
    recognizer = make_recognizer(ink_counter(), Limits(_env_file=None, max_decodes=2))
    together = threading.Barrier(2, timeout=60)
    decoding, most = 0, 0
    lock = threading.Lock()

    def decode(*_: object) -> None:
        nonlocal decoding, most
        with lock:
            decoding += 1
            most = max(most, decoding)
        together.wait()  # until a second one is here too
        with lock:
            decoding -= 1
        raise UnsupportedPicture("not read")

    monkeypatch.setattr("recognition.recognizer.decode_with_scale", decode)
    threads = [threading.Thread(target=recognizer.predict_pictures, args=([b""],)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    # All came through, though every picture failed: an error gives its place back.
    assert not any(thread.is_alive() for thread in threads)
    assert most == 2


def test_threads_get_their_own_answers(recognizer: Recognizer) -> None:
    expected = [recognizer.predict_strokes(DIGITS[digit]).digit_score for digit in range(10)]
    answers: dict[int, list[float]] = {}

    def read(digit: int) -> None:
        answers[digit] = [recognizer.predict_strokes(DIGITS[digit]).digit_score for _ in range(20)]

    threads = [threading.Thread(target=read, args=(digit,)) for digit in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for digit in range(10):
        assert answers[digit] == pytest.approx([expected[digit]] * 20, rel=1e-6)


# ---- loading ----


def test_recognizer_is_loaded_from_a_checkpoint_file(tmp_path: Path, recognizer: Recognizer) -> None:
    path = tmp_path / "model.pth"
    save_model(ink_counter(), path)
    loaded = Recognizer.load(path, LIMITS, EngineName(recognizer.engine))
    assert loaded.info == recognizer.info
    assert loaded.predict_strokes(DIGITS[4]).probabilities == recognizer.predict_strokes(DIGITS[4]).probabilities


def test_missing_checkpoint_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no model file"):
        Recognizer.load(tmp_path / "none.pth")


# ---- with the weights of the repository ----


@pytest.fixture(scope="module", params=ENGINES)
def shipped(request: pytest.FixtureRequest) -> Recognizer:
    return Recognizer.load(ROOT / "mnist_model.pth", LIMITS, request.param)


@pytest.mark.parametrize(
    ("digit", "drawing"),
    [(digit, drawing) for digit, drawings in HANDWRITINGS.items() for drawing in drawings],
    ids=[f"{digit}, hand {hand + 1}" for digit, drawings in HANDWRITINGS.items() for hand in range(len(drawings))],
)
def test_strokes_and_a_picture_of_them_are_read_alike(digit: int, drawing: Drawing, shipped: Recognizer) -> None:
    for prediction in (shipped.predict_strokes(drawing), shipped.predict_picture(picture_of(drawing))):
        assert_whole(prediction)
        assert prediction.digit == digit
        assert prediction.is_digit
        assert prediction.confidence > 0.5


def test_shipped_network_is_small(shipped: Recognizer) -> None:
    assert shipped.info.parameters <= 500_000
