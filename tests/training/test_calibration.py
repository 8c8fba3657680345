"""Temperature, rejection threshold and calibration error."""

import pytest
import torch

from training.calibration import expected_calibration_error, fit_temperature, rejection_threshold
from training.metrics import compute_metrics


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = torch.tensor([0.99] * 50 + [0.55] * 50)
    correct = torch.tensor([True] * 50 + [True] * 20 + [False] * 30)
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.5 * 0.01 + 0.5 * 0.15, abs=1e-6)


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 10, generator=generator) * 2
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("certainty", [0.1, 1, 5, 30])
def test_temperature_of_correct_predictions_is_above_zero(certainty: float) -> None:
    assert 0.05 <= fit_temperature(torch.eye(10) * certainty, torch.arange(10)) <= 1


def digits_of_3(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.zeros(n, 11)
    logits[:, 3] = torch.linspace(0.01, 10, n)
    return logits, torch.full((n,), 3)


def test_threshold_rejects_at_most_three_in_two_hundred_digits_of_any_source() -> None:
    logits, labels = digits_of_3(1000)
    easier = logits.clone()
    easier[:, 3] += 5
    threshold = rejection_threshold([(easier, labels), (logits, labels)])
    rejected = [(torch.logsumexp(z[:, :10], 1) - z[:, 10]) < threshold for z in (easier, logits)]
    assert [int(each.sum()) for each in rejected] == [0, 15]


def test_misread_digits_do_not_lower_the_threshold() -> None:
    logits, labels = digits_of_3(1000)
    with_misread = torch.cat([logits, torch.eye(11)[7].expand(100, 11) - 5 * torch.eye(11)[3]])
    more_labels = torch.cat([labels, labels[:100]])
    assert rejection_threshold([(with_misread, more_labels)]) == rejection_threshold([(logits, labels)])


def test_threshold_is_not_set_by_a_handful_of_digits() -> None:
    many, (logits, labels) = digits_of_3(1000), digits_of_3(20)
    few = logits + 3 * torch.eye(11)[10], labels
    assert rejection_threshold([many, few]) == rejection_threshold([many])
    assert rejection_threshold([few]) < rejection_threshold([many])


def test_calibrated_loss_does_not_depend_on_the_scale_of_logits() -> None:
    torch.manual_seed(0)
    labels = torch.arange(200) % 10
    logits = torch.randn(200, 10) + 2 * torch.nn.functional.one_hot(labels, 10)
    losses = [compute_metrics(z, labels, fit_temperature(z, labels)).loss for z in (logits, 0.3 * logits)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_temperature_of_perfect_logits_is_bounded() -> None:
    labels = torch.arange(20) % 10
    assert fit_temperature(20.0 * torch.nn.functional.one_hot(labels, 10), labels) >= 0.05
