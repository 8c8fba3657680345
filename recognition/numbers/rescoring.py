"""Combines the networks' readings of a line: the texts of its strip and path, rescored with the lattice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model_file import FRAME_SIZE, N_DIGITS
from recognition.ctc import align, best_texts, log_p_of, log_softmax
from recognition.numbers.lattice import Lattice, Span
from recognition.numbers.parameters import Parameters
from recognition.numbers.pieces import Box, InkLine, Pieces
from recognition.numbers.reading import MAX_TEXTS, Texts
from recognition.recognizer import Prediction
from recognition.stroke_reader import PathReading

_STEP = 2  # columns of a strip per step of the network
_N_RANKED = 8  # texts of the network that are ranked with the lattice's
# Several digits are a number if there is enough evidence: their mean digit score, plus the mean log-probability of a
# digit of the text and the mean number of digits of a line (at most six, less two), each times its weight.
_CONFIDENCE_WEIGHT, _LENGTH_WEIGHT = 8.0, 0.5
_PATH_WEIGHT = 1.5  # of a text's log-probability in the path of the pen, chosen on composed validation numbers
# And of what the path of the pen says about a digit, which is low where it says other ink.
_PATH_EVIDENCE_WEIGHT, _MIN_PATH_LOG_P = 2.0, -8.0

Array = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkReading:
    """What the network reads in a line."""

    line: InkLine
    log_p: Array  # [T, 11]
    texts: Texts  # none of them is empty
    path: PathReading | None = None  # what the network for strokes reads in a drawn line

    @property
    def text(self) -> str:
        """The likeliest text."""
        return self.texts[0][0]

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """First and last step of each digit of the text."""
        return align(self.log_p, self.text)

    def log_p_of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability `[len(texts)]` of each text, of the strip and, where there is one, of the path."""
        log_p = log_p_of(texts, self.log_p)
        return log_p + _PATH_WEIGHT * self.path.log_p_of(texts) if self.path else log_p

    @property
    def cuts(self) -> list[float]:
        """Columns of the strip between the digits of the text."""
        return _between(self.places)


@dataclass(frozen=True, slots=True)
class ReadLine:
    """What the networks and the recognizer read in a line."""

    texts: Texts
    digits: list[tuple[Prediction, Box]]  # of the likeliest text
    other: list[Box]  # of ink that is not part of a digit
    n_sources: int  # strokes or components that the digits are made of
    path_log_p: float = 0.0  # of the likeliest text in the path of the pen, if there is one


def decode(line: InkLine, logits: Array, temperature: float, path: PathReading | None = None) -> NetworkReading | None:
    """What the network reads in a line, from its logits `[T, 11]`; None if that is nothing.

    The texts of a drawn line are those that its `path` makes likely, too.
    """
    log_p = log_softmax(logits, temperature)
    # Rounding may add up to more than 1.
    texts = [(text, min(1.0, math.exp(score))) for text, score in best_texts(log_p, _N_RANKED)]
    if not texts[0][0]:
        return None
    found = NetworkReading(line, log_p, [pair for pair in texts if pair[0]], path)
    return _rank_by_path(found, path) if path else found


def _rank_by_path(found: NetworkReading, path: PathReading) -> NetworkReading:
    texts = list(dict.fromkeys([*(text for text, _ in found.texts), *path.texts]))
    log_p = found.log_p_of(texts)
    if not np.isfinite(log_p).any():  # the path is too short for all of them
        return found
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    order = np.argsort(-p)[:_N_RANKED]
    return replace(found, texts=[(texts[i], float(p[i])) for i in order])


def without_single_digits(found: NetworkReading) -> NetworkReading:
    """The same line, known not to be one digit; unchanged if no text has several."""
    several = [pair for pair in found.texts if len(pair[0]) > 1]
    return replace(found, texts=several) if several else found


def certainty(read: Sequence[NetworkReading]) -> float:
    """How certain the network is of its text: mean log-probability of a digit, minus infinity if there is none."""
    n_digits = sum(len(line.text) for line in read)
    if not n_digits:
        return -math.inf
    return sum(math.log(max(line.texts[0][1], 1e-30)) for line in read) / n_digits


def rescore(found: NetworkReading, pieces: Pieces, lattice: Lattice | None, parameters: Parameters) -> ReadLine:
    """What the networks and the recognizer read in a line. Without a lattice, the recognizer has no say."""
    texts = _rank(found, lattice, parameters) if lattice else found.texts[:MAX_TEXTS]
    text = texts[0][0]
    path_log_p = float(found.path.log_p_of([text])[0]) if found.path else 0.0
    places = found.places if text == found.text else align(found.log_p, text)
    path = lattice.best_path(text) if lattice else None
    if not lattice or not path:
        return ReadLine(texts, _look_at_places(found, places), [], len(places), path_log_p)
    by_network = [_probabilities(found.log_p, place) for place in places]
    digits = [
        (_agree(lattice.predictions[span], p, int(digit)), _box_of(pieces, range(*span)))
        for digit, p, span in zip(text, by_network, path, strict=True)
    ]
    n_sources = len(np.unique(pieces.sources[[i for span in path for i in range(*span)]]))
    return ReadLine(texts, digits, _find_other(pieces, path), n_sources, path_log_p)


def evidence(lines: Sequence[ReadLine]) -> float:
    """How certain the networks together are that what they read is digits."""
    digits = [prediction for line in lines for prediction, _ in line.digits]
    score = sum(prediction.digit_score for prediction in digits) / len(digits)
    log_p = sum(math.log(max(line.texts[0][1], 1e-30)) for line in lines) / len(digits)
    path_log_p = max(_MIN_PATH_LOG_P, sum(line.path_log_p for line in lines) / len(digits))
    score += _PATH_EVIDENCE_WEIGHT * path_log_p
    return score + _CONFIDENCE_WEIGHT * log_p + _LENGTH_WEIGHT * (min(6, len(digits) / len(lines)) - 2)


def _between(places: Sequence[tuple[int, int]]) -> list[float]:
    """Columns of the strip between the digits at `places`, in steps of the network."""
    return [(before[1] + after[0] + 1) / 2 * _STEP for before, after in pairwise(places)]


def _rank(found: NetworkReading, lattice: Lattice, parameters: Parameters) -> Texts:
    """The likeliest texts, by the networks and the lattice."""
    known = [text for text, _ in found.texts]
    texts = [*known, *(text for text in lattice.best_texts(MAX_TEXTS) if text not in known)]
    if not parameters.counts_pieces:
        texts = [text for text in texts if len(text) == len(found.text)]
    scores = parameters.inverse_temperature * (found.log_p_of(texts) + lattice.scores(texts))
    if not np.isfinite(scores).any():
        return found.texts[:MAX_TEXTS]
    p = np.exp(scores - scores.max())
    p /= p.sum()
    order = np.argsort(-p)[:MAX_TEXTS]
    return [(texts[i], float(p[i])) for i in order]


def _look_at_places(found: NetworkReading, places: Sequence[tuple[int, int]]) -> list[tuple[Prediction, Box]]:
    """The prediction and the box of each digit of a line whose pieces are not known."""
    columns = pairwise([-math.inf, *_between(places), math.inf])
    no_frame = np.zeros((FRAME_SIZE, FRAME_SIZE), np.float32)
    return [
        (Prediction(tuple(_probabilities(found.log_p, place).tolist()), 0.0, True, no_frame), found.line.box(*ends))
        for place, ends in zip(places, columns, strict=True)
    ]


def _find_other(pieces: Pieces, path: Sequence[Span]) -> list[Box]:
    """The boxes of the strokes or components of which no part is in a digit."""
    used = [i for span in path for i in range(*span)]
    left = {int(source) for source in pieces.sources} - {int(source) for source in pieces.sources[used]}
    return [_box_of(pieces, np.flatnonzero(pieces.sources == source)) for source in sorted(left)]


def _box_of(pieces: Pieces, chosen: Sequence[int] | NDArray[np.int64]) -> Box:
    corners = pieces.boxes[chosen]
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    left, top = low.tolist()
    width, height = (high - low).tolist()
    return left, top, width, height


def _probabilities(log_p: Array, place: tuple[int, int]) -> NDArray[np.float64]:
    """Probabilities `[10]` of the digits in the steps of one."""
    p: NDArray[np.float64] = np.exp(log_p[place[0] : place[1] + 1, :N_DIGITS].astype(np.float64)).max(axis=0)
    p /= p.sum()
    return p


def _agree(prediction: Prediction, by_network: NDArray[np.float64], digit: int) -> Prediction:
    """What the strip and the recognizer say about a digit of the text: the mean of their probabilities."""
    both = (by_network + np.array(prediction.probabilities)) / 2
    agrees = prediction.digit == digit
    # The digit of the text stays the likeliest; where the networks differ, its probability shows it.
    if both.argmax() != digit:
        both[digit] = max(both[digit], float(both.max()) * 1.001)
        both /= both.sum()
    return replace(prediction, probabilities=tuple(both.tolist()), is_digit=prediction.is_digit or agrees)
