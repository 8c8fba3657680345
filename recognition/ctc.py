"""Decoding of what the networks for numbers say: CTC's prefix beam search, and where each digit is.

Source: Graves et al. 2006, doi:10.1145/1143844.1143891; Hannun et al. 2014, arXiv:1408.2873.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_file import N_DIGITS

Array = NDArray[np.float32]
BLANK = N_DIGITS
OTHER = N_DIGITS + 1  # ink that is not part of a digit, a class that only the stroke model has
OTHER_SYMBOL = "?"
_MIN_LOG_P = -7.0  # less likely outputs of a step are not followed
_NEVER = -np.inf


def label_of(symbol: str) -> int:
    """The output of a network that stands for a digit or other ink."""
    return OTHER if symbol == OTHER_SYMBOL else int(symbol)


def log_softmax(logits: Array, temperature: float) -> Array:
    """Calibrated log-probabilities `[T, 11 or 12]` of each step, from its logits."""
    log_p: Array = (logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    return log_p


def leave_out_other(log_p: Array) -> Array:
    """Log-probabilities `[T, 11]` of digits and blank from those `[T, 11 or 12]` of a network: other ink is no text."""
    if log_p.shape[1] <= OTHER:
        return log_p
    known = log_p[:, :OTHER].copy()
    known[:, BLANK] = np.logaddexp(log_p[:, BLANK], log_p[:, OTHER])
    return known


def best_texts(log_p: Array, n_best: int = 4, beam: int = 12) -> list[tuple[str, float]]:
    """The likeliest texts with their log-probabilities, likeliest first, from log-probabilities `[T, 11]`."""
    beams: dict[str, tuple[float, float]] = {"": (0.0, _NEVER)}  # by text: ending in a blank, and in its last digit
    for step in log_p:
        blank, last = float(step[BLANK]), step.tolist()
        digits = [digit for digit in range(N_DIGITS) if last[digit] > _MIN_LOG_P]
        if not digits:  # most steps: no text becomes longer
            beams = {
                text: (_add(*scores) + blank, scores[1] + last[int(text[-1])] if text else _NEVER)
                for text, scores in beams.items()
            }
            continue
        following: dict[str, list[float]] = defaultdict(lambda: [_NEVER, _NEVER])
        for text, (with_blank, with_digit) in beams.items():
            either = _add(with_blank, with_digit)
            same = following[text]
            same[0] = _add(same[0], either + blank)
            if text:
                same[1] = _add(same[1], with_digit + last[int(text[-1])])
            for digit in digits:
                longer = following[f"{text}{digit}"]
                # The same digit again needs a blank in between.
                longer[1] = _add(longer[1], (with_blank if text.endswith(str(digit)) else either) + last[digit])
        ranked = sorted(following.items(), key=lambda item: -_add(*item[1]))
        beams = {text: (scores[0], scores[1]) for text, scores in ranked[:beam]}
    return sorted(((text, _add(*scores)) for text, scores in beams.items()), key=lambda pair: -pair[1])[:n_best]


def log_p_of(texts: Sequence[str], log_p: Array) -> NDArray[np.float64]:
    """Log-probability `[len(texts)]` of each text: the sum over its paths in log-probabilities `[T, 11 or 12]`."""
    labels = np.full((len(texts), 2 * max(map(len, texts)) + 1), BLANK)
    for row, text in zip(labels, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [label_of(symbol) for symbol in text]
    last = np.array([2 * len(text) for text in texts])[:, None]
    can_skip = np.zeros(labels.shape, bool)
    can_skip[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    total = np.full((len(texts), labels.shape[1] + 2), _NEVER)  # padded by two states that are never reached
    total[:, 2] = 0.0
    score = total[:, 2:]
    score[:, 1:2] = 0.0
    for index, step in enumerate(log_p.astype(np.float64)):
        if index:
            either = np.logaddexp(score, total[:, 1:-1])
            score[:] = np.where(can_skip, np.logaddexp(either, total[:, :-2]), either)
        score += step[labels]
    ends: NDArray[np.float64] = np.logaddexp(
        np.take_along_axis(score, last, axis=1), np.take_along_axis(total, last + 1, axis=1)
    )[:, 0]
    return ends


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))"""
    high, low = (a, b) if a > b else (b, a)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))


def align(log_p: Array, text: str) -> list[tuple[int, int]]:
    """First and last step of each digit of `text` on its likeliest path (Viterbi), from log-probabilities `[T, 11]`."""
    states = [BLANK]
    for digit in text:
        states += [int(digit), BLANK]
    labels = np.array(states)
    can_skip = np.zeros(len(labels), bool)
    can_skip[2:] = (labels[2:] != BLANK) & (labels[2:] != labels[:-2])
    score = np.full(len(labels), _NEVER)
    score[:2] = log_p[0, labels[:2]]
    back = np.zeros((len(log_p), len(labels)), np.int64)
    for t in range(1, len(log_p)):
        previous = np.stack(
            [
                score,
                np.concatenate([[_NEVER], score[:-1]]),
                np.where(can_skip, np.concatenate([[_NEVER] * 2, score[:-2]])[: len(labels)], _NEVER),
            ]
        )
        back[t] = previous.argmax(axis=0)
        score = previous.max(axis=0) + log_p[t, labels]
    state = len(labels) - 1 if len(labels) == 1 or score[-1] >= score[-2] else len(labels) - 2
    path = [state]
    for t in range(len(log_p) - 1, 0, -1):
        state -= int(back[t, state])
        path.append(state)
    steps = np.array(path[::-1])
    places = []
    for index in range(len(text)):
        at = np.flatnonzero(steps == 2 * index + 1)
        places.append((int(at[0]), int(at[-1])) if len(at) else (0, 0))
    return places
