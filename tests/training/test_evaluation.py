"""Metrics of predictions on evaluation sets."""

import numpy as np
import pytest

from model_file import N_DIGITS
from recognition import BlankInput, InputError, Prediction
from recognition.errors import UndecodablePicture
from training.evaluation import MetricsRow, Predictions, collect, evaluate, list_losses, worst_mistakes
from training.evaluation_sets import NON_DIGIT, FrameInput, Item

FRAME = np.zeros((28, 28), np.float32)
REFERENCE = np.array([1.0] + [4.5] * 99)


def item(label: int) -> Item:
    return Item("", label, FrameInput(FRAME.astype(np.uint8)))


def prediction(digit: int, confidence: float = 1.0, score: float = 5.0, *, is_digit: bool = True) -> Prediction:
    rest = (1 - confidence) / (N_DIGITS - 1)
    probabilities = tuple(confidence if other == digit else rest for other in range(N_DIGITS))
    return Prediction(probabilities, score, is_digit, FRAME)


@pytest.fixture
def perfect() -> Predictions:
    """Ten correct digits, a blank and an accepted non-digit, and a file that cannot be read."""
    labels = [*range(10), NON_DIGIT, NON_DIGIT, 3]
    results: list[Prediction | InputError] = [
        *map(prediction, range(10)),
        BlankInput(),
        prediction(0, score=4.0),
        UndecodablePicture("damaged"),
    ]
    return collect([item(label) for label in labels], results)


def test_perfect_predictions(perfect: Predictions) -> None:
    row = evaluate("set", perfect, REFERENCE)
    assert (row["n"], row["errors"], row["n_non_digits"], row["unreadable"]) == (10, 0, 2, 1)
    assert (row["accuracy"], row["nll"], row["brier"], row["ece"], row["rejected"]) == (1.0, 0.0, 0.0, 0.0, 0.0)
    # The blank is below all digits of the reference, the other non-digit below 99 of 100.
    assert row["auroc"] == pytest.approx((100 + 99) / 200)
    assert (row["fpr_at_95"], row["fpr_at_99"], row["accepted"]) == (0.0, 0.0, 0.5)


def test_uniform_predictions() -> None:
    predictions = collect([item(label) for label in range(10)], [prediction(0, 0.1)] * 10)
    row = evaluate("set", predictions, None)
    assert row["nll"] == pytest.approx(np.log(10))
    assert row["brier"] == pytest.approx(0.9)
    assert (row["accuracy"], row["auroc"]) == (0.1, None)


def test_blank_digits_are_rejected_and_wrong() -> None:
    row = evaluate("set", collect([item(3)], [BlankInput()]), None)
    assert (row["accuracy"], row["rejected"]) == (0.0, 1.0)


def test_worst_mistakes_are_ranked_by_confidence() -> None:
    results = [
        prediction(1, 0.9),
        prediction(2, 0.99),
        prediction(3),
        prediction(4, score=7.0),
        prediction(5, score=9.0),
    ]
    predictions = collect([item(label) for label in (0, 0, 3, NON_DIGIT, NON_DIGIT)], results)
    assert worst_mistakes(predictions, 9) == [1, 0, 4, 3]
    assert worst_mistakes(predictions, 1) == [1]


@pytest.mark.parametrize(
    ("accuracy", "accepted", "losses"),
    [
        (0.996, 0.05, []),  # lower by 0.2 points, higher by 1 point
        (1.0, 0.0, []),
        (0.9959, 0.04, ["accuracy on set is lower by 0.21 points"]),
        (0.998, 0.0501, ["the share of accepted non-digits on set is higher by 1.01 points"]),
        (0.9, None, ["accuracy on set is lower by 9.80 points"]),
        (None, 0.02, []),
    ],
)
def test_losses_beyond_the_tolerance_are_listed(
    accuracy: float | None, accepted: float | None, losses: list[str]
) -> None:
    before: MetricsRow = {"set": "set", "accuracy": 0.998, "accepted": 0.04}
    assert list_losses(before, {"set": "set", "accuracy": accuracy, "accepted": accepted}) == losses
