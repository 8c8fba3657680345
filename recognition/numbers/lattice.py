"""The lattice of a line: all ways to join neighbouring pieces of its ink to digits, each seen by the digit network.

    spans = find_spans(pieces)
    lattice = build_lattice(pieces, spans, recognizer.predict_frames([frame for _, frame, _ in spans]))
    lattice.scores(["42", "12"])        # log-probabilities of texts, up to a constant
    lattice.best_path("42")             # the pieces of each digit

Pieces that are not part of a digit, such as a comma, may be left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model_file import N_DIGITS
from recognition.errors import BlankInput
from recognition.frame import Frame, Region
from recognition.numbers.pieces import Pieces
from recognition.recognizer import Prediction

Array = NDArray[np.float64]
Span = tuple[int, int]  # the first piece of a digit, and the piece after its last

MAX_PIECES_OF_LINE = 60  # more are texture
_LONGEST = 4  # pieces of a digit
_MAX_WIDTH = 1.3  # of a digit of several pieces, in heights of the line
_MIN_LOG_P = -10.0
# Minus the log-probability that a piece is not part of a digit, by its height relative to the digits'.
_NO_PART, _NO_PART_HIGH = 0.6, 4.0
# A whole stroke or component that is this low, in heights of a digit, may be a point, comma or dash. Leaving it out is
# free, and joining it to pieces that it is beside, rather than above or below, has a cost.
_MAX_SIGN_HEIGHT, _SIGN_COST = 0.35, 1.0
_NEVER = -np.inf


@dataclass(frozen=True, slots=True)
class Lattice:
    """Log-probabilities of the digits of one line of `N` pieces."""

    log_p: Array  # [longest, N + 1, 10], by number of pieces less one, the piece after the last, and digit
    no_part: Array  # [N], log-probability that a piece is not part of a digit
    predictions: Mapping[Span, Prediction]

    def scores(self, texts: Sequence[str]) -> Array:
        """Log-probability `[len(texts)]` of each text's best path; minus infinity where it has none."""
        scores = np.full(len(texts), _NEVER)
        for length in {len(text) for text in texts}:
            same = [i for i, text in enumerate(texts) if len(text) == length]
            best = np.tile(self._skipped, (len(same), 1))  # [texts, N + 1]
            for digits in zip(*(map(int, texts[i]) for i in same), strict=True):
                best = self._append(best, list(digits))
            scores[same] = best[:, -1]
        return scores

    @property
    def _skipped(self) -> Array:
        """Score `[N + 1]` of leaving out all pieces before each."""
        return np.concatenate([[0.0], self.no_part.cumsum()])

    def _append(self, best: Array, digits: Sequence[int]) -> Array:
        """Scores `[texts, N + 1]` of the best paths before each piece, with each text's next digit appended."""
        longer = np.full_like(best, _NEVER)
        for pieces in range(1, min(len(self.log_p), best.shape[1] - 1) + 1):
            ending = best[:, :-pieces] + self.log_p[pieces - 1, pieces:, digits]
            np.maximum(longer[:, pieces:], ending, out=longer[:, pieces:])
        # Pieces after the digit may be left out.
        skipped = self._skipped
        appended: Array = np.maximum.accumulate(longer - skipped, axis=1) + skipped
        return appended

    def best_path(self, text: str) -> list[Span] | None:
        """The pieces of each digit of `text` on its best path; None if there is none."""
        n = len(self.no_part)
        skipped = self._skipped
        steps = [skipped]
        for digit in map(int, text):
            steps.append(self._append(steps[-1][None], [digit])[0])
        if not np.isfinite(steps[-1][n]):
            return None
        spans: list[Span] = []
        end = n
        for index in range(len(text) - 1, -1, -1):
            options = [
                (steps[index][last - k] + self.log_p[k - 1, last, int(text[index])] - skipped[last], last - k, last)
                for last in range(1, end + 1)
                for k in range(1, min(len(self.log_p), last) + 1)
            ]
            _, end, last = max(options)
            spans.append((end, last))
        return spans[::-1]

    def best_texts(self, n_best: int, beam: int = 12, n_digits: int = 3) -> list[str]:
        """The likeliest texts, likeliest first, by a beam search that follows the likeliest `n_digits` of each span."""
        beams: list[dict[str, float]] = [{"": 0.0}]
        for end in range(1, len(self.no_part) + 1):
            following = {text: score + self.no_part[end - 1] for text, score in beams[end - 1].items()}
            for pieces in range(1, min(len(self.log_p), end) + 1):
                log_p = self.log_p[pieces - 1, end]
                likeliest = [d for d in np.argsort(-log_p)[:n_digits].tolist() if log_p[d] > _NEVER]
                for text, score in beams[end - pieces].items():
                    for digit in likeliest:
                        longer = f"{text}{digit}"
                        following[longer] = max(following.get(longer, _NEVER), score + log_p[digit])
            beams.append(dict(sorted(following.items(), key=lambda item: -item[1])[:beam]))
        return [text for text in beams[-1] if text][:n_best]


def find_spans(pieces: Pieces, max_pieces: int = MAX_PIECES_OF_LINE) -> list[tuple[Span, Frame, Region]]:
    """The groups of pieces that may be a digit, with their frames and regions; none if there are too many pieces."""
    boxes = pieces.boxes
    n = len(boxes)
    if not 0 < n <= min(max_pieces, MAX_PIECES_OF_LINE):
        return []
    max_width = _MAX_WIDTH * float(boxes[:, 3].max() - boxes[:, 1].min())
    found = []
    for first in range(n):
        for end in range(first + 1, min(n, first + _LONGEST) + 1):
            width = boxes[first:end, 2].max() - boxes[first:end, 0].min()
            if end > first + 1 and width > max_width:
                continue
            with contextlib.suppress(BlankInput):
                found.append(((first, end), *pieces.frame(first, end)))
    return found


def build_lattice(
    pieces: Pieces, spans: Sequence[tuple[Span, Frame, Region]], predictions: Sequence[Prediction]
) -> Lattice:
    """The lattice of a line, from its spans and the prediction for the frame of each."""
    boxes = pieces.boxes
    log_p = np.full((_LONGEST, len(boxes) + 1, N_DIGITS), _NEVER)
    known = {}
    for ((first, end), _, region), prediction in zip(spans, predictions, strict=True):
        known[first, end] = replace(prediction, region=region)
        log_p[end - first - 1, end] = pieces.weigh(np.maximum(_log_p(prediction), _MIN_LOG_P), first, end)
    heights = boxes[:, 3] - boxes[:, 1]
    typical = max(1e-9, float(np.percentile(heights, 75)))
    no_part = -_NO_PART - _NO_PART_HIGH * np.minimum(1.35, heights / typical)
    _, source, n_parts = np.unique(pieces.sources, return_inverse=True, return_counts=True)
    signs = np.flatnonzero((n_parts[source] == 1) & (heights < _MAX_SIGN_HEIGHT * typical)).tolist()
    no_part[signs] = 0.0
    for first, end in known:
        if any(_is_beside(boxes[i], np.delete(boxes[first:end], i - first, axis=0)) for i in signs if first <= i < end):
            log_p[end - first - 1, end] -= _SIGN_COST
    return Lattice(log_p, no_part, known)


def _is_beside(box: Array, others: Array) -> bool:
    """Whether more than half of a box is left or right of all other boxes `[N, 4]`; not if there are none."""
    if not len(others):
        return False
    overlap = min(box[2], others[:, 2].max()) - max(box[0], others[:, 0].min())
    return bool(overlap < 0.5 * (box[2] - box[0]))


def _log_p(prediction: Prediction) -> Array:
    """Log-probability `[10]` of each digit, and that the frame is one."""
    is_digit = -np.logaddexp(0, -prediction.digit_score)
    log_p: Array = np.log(np.maximum(prediction.probabilities, 1e-30)) + is_digit
    return log_p
