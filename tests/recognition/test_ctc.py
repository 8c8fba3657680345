"""Decoding of connectionist temporal classification, against the sum over all paths."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from recognition.ctc import BLANK, OTHER, align, best_texts, label_of, leave_out_other, log_p_of


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def collapse(path: tuple[int, ...]) -> str:
    return "".join(str(label) for label, _ in itertools.groupby(path) if label != BLANK)


def sum_over_paths(log_p: NDArray[np.float32]) -> dict[str, float]:
    """Probability of each text, by adding that of every path; only the labels 1, 2 and blank are likely."""
    sums: dict[str, float] = defaultdict(float)
    for path in itertools.product((1, 2, BLANK), repeat=len(log_p)):
        sums[collapse(path)] += float(np.exp(sum(log_p[t, label] for t, label in enumerate(path))))
    return sums


@pytest.mark.parametrize("seed", range(5))
def test_probability_of_a_text_is_the_sum_over_its_paths(seed: int) -> None:
    logits = np.full((6, 11), -30.0)
    logits[:, [1, 2, BLANK]] = np.random.default_rng(seed).normal(0, 2, (6, 3))
    log_p = log_softmax(logits)
    sums = sum_over_paths(log_p)
    assert log_p_of(list(sums), log_p) == pytest.approx(np.log(list(sums.values())), abs=1e-4)
    # Four 1s and the blanks between them need seven steps.
    assert log_p_of(["1111"], log_p)[0] < -50


@pytest.mark.parametrize("seed", range(5))
def test_beam_search_finds_the_texts_and_probabilities_of_all_paths(seed: int) -> None:
    logits = np.full((6, 11), -30.0)
    logits[:, [1, 2, BLANK]] = np.random.default_rng(seed).normal(0, 1, (6, 3))
    log_p = log_softmax(logits)
    expected = sorted(sum_over_paths(log_p).items(), key=lambda item: -item[1])[:3]
    found = best_texts(log_p, 3, beam=200)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [np.exp(score) for _, score in found] == pytest.approx([p for _, p in expected], rel=1e-4)


def steps(labels: list[int]) -> NDArray[np.float32]:
    """Outputs that are nearly certain of these labels."""
    logits = np.zeros((len(labels), 11))
    logits[np.arange(len(labels)), labels] = 12
    return log_softmax(logits)


def test_repeated_digit_needs_a_blank_between() -> None:
    assert best_texts(steps([1, 1, BLANK, 1, 1]))[0][0] == "11"
    assert best_texts(steps([1, 1, 1, 1, 1]))[0][0] == "1"


def test_nothing_but_blanks_is_an_empty_text() -> None:
    assert best_texts(steps([BLANK] * 5))[0][0] == ""
    assert align(steps([BLANK] * 5), "") == []


def test_alignment_tells_where_each_digit_is() -> None:
    log_p = steps([BLANK, 4, 4, BLANK, 1, BLANK, 1, 1])
    assert align(log_p, "411") == [(1, 2), (4, 4), (6, 7)]


def test_other_ink_counts_as_blank_in_texts() -> None:
    log_p = log_softmax(np.random.default_rng(0).normal(0, 2, (5, OTHER + 1)))
    known = leave_out_other(log_p)
    assert known.shape == (5, OTHER)
    assert np.exp(known).sum(axis=1) == pytest.approx(1)
    assert leave_out_other(known) is known
    # "7" with other ink anywhere, or none.
    with_other = np.logaddexp.reduce(log_p_of(["7", "?7", "7?", "?7?", "??7", "7??", "???7"], log_p))
    assert log_p_of(["7"], known)[0] == pytest.approx(with_other, abs=0.1)


def test_labels_of_symbols() -> None:
    assert [label_of(symbol) for symbol in "07?"] == [0, 7, OTHER]
