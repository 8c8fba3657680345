"""The lattice of a line, against all ways to part its pieces."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from model_file import N_DIGITS
from recognition.errors import BlankInput
from recognition.frame import WHOLE_FRAME, Frame, Region
from recognition.numbers.lattice import MAX_PIECES_OF_LINE, Lattice, Span, build_lattice, find_spans
from recognition.recognizer import Prediction

Array = NDArray[np.float64]


class Squares:
    """`n` pieces side by side, each as high and as wide as the others; the frame of the first `blank` is blank."""

    def __init__(self, n: int, blank: int = 0) -> None:
        self.n, self.blank = n, blank

    @property
    def boxes(self) -> Array:
        """See `Pieces`."""
        return np.array([[i, 0, i + 1, 1] for i in range(self.n)], float).reshape(-1, 4)

    @property
    def sources(self) -> NDArray[np.int64]:
        """See `Pieces`."""
        return np.arange(self.n)

    def frame(self, first: int, end: int) -> tuple[Frame, Region]:
        """See `Pieces`."""
        if end <= self.blank:
            raise BlankInput
        return np.full((28, 28), first + end / 100, np.float32), WHOLE_FRAME

    def weigh(self, log_p: Array, _first: int, _end: int) -> Array:
        """See `Pieces`."""
        return log_p


def predict(frames: Sequence[Frame]) -> list[Prediction]:
    """A random prediction for each frame, the same for the same one."""
    predictions = []
    for frame in frames:
        rng = np.random.default_rng(round(100 * float(frame[0, 0])))
        p = rng.dirichlet(np.ones(N_DIGITS))
        predictions.append(Prediction(tuple(p.tolist()), float(rng.normal(2, 3)), True, frame))
    return predictions


def lattice_of(n: int, blank: int = 0) -> Lattice:
    pieces = Squares(n, blank)
    spans = find_spans(pieces)
    return build_lattice(pieces, spans, predict([frame for _, frame, _ in spans]))


def all_paths(n: int, length: int) -> Iterator[list[Span]]:
    """All choices of `length` digits of one to four of `n` pieces, each further right than the one before."""
    spans = [(first, end) for first in range(n) for end in range(first + 1, min(n, first + 4) + 1)]
    for path in itertools.combinations(spans, length):
        if all(before[1] <= after[0] for before, after in itertools.pairwise(path)):
            yield list(path)


def score(lattice: Lattice, path: Sequence[Span], text: str) -> float:
    used = {piece for first, end in path for piece in range(first, end)}
    unused = sum(p for piece, p in enumerate(lattice.no_part.tolist()) if piece not in used)
    digits = zip(path, map(int, text), strict=True)
    return unused + sum(float(lattice.log_p[end - first - 1, end, digit]) for (first, end), digit in digits)


@pytest.mark.parametrize("text", ["7", "42", "1000"])
@pytest.mark.parametrize("n", [1, 4, 6])
def test_best_path_and_its_score_are_those_among_all_paths(n: int, text: str) -> None:
    lattice = lattice_of(n)
    paths = list(all_paths(n, len(text)))
    if not paths:
        assert lattice.best_path(text) is None
        assert lattice.scores([text]) == [-np.inf]
        return
    best = max(paths, key=lambda path: score(lattice, path, text))
    assert lattice.scores(["1", text, "999"])[1] == pytest.approx(score(lattice, best, text))
    assert lattice.best_path(text) == best


def test_best_texts_are_the_likeliest_of_all() -> None:
    lattice = lattice_of(3)
    every = ["".join(text) for length in (1, 2, 3) for text in itertools.product("0123456789", repeat=length)]
    order = np.argsort(-lattice.scores(every))
    found = lattice.best_texts(5)
    assert found[:3] == [every[i] for i in order[:3]]
    assert lattice.scores(found).tolist() == sorted(lattice.scores(found), reverse=True)


def test_pieces_without_ink_are_no_digit() -> None:
    lattice = lattice_of(3, blank=1)
    assert (0, 1) not in lattice.predictions
    assert np.isneginf(lattice.log_p[0, 1]).all()
    assert lattice.best_path("42") is not None


@pytest.mark.parametrize("n", [0, MAX_PIECES_OF_LINE + 1])
def test_no_pieces_and_texture_have_no_spans(n: int) -> None:
    assert find_spans(Squares(n)) == []


def test_more_pieces_than_allowed_have_no_spans() -> None:
    assert find_spans(Squares(5), max_pieces=5)
    assert find_spans(Squares(6), max_pieces=5) == []


def test_spans_are_no_wider_than_a_digit() -> None:
    assert {span for span, _, _ in find_spans(Squares(3))} == {(0, 1), (1, 2), (2, 3)}
