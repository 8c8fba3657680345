"""A line of a drawing and its pieces."""

from dataclasses import astuple

import numpy as np
import pytest

from recognition.numbers.drawn_line import DrawnLine, StrokePieces
from recognition.strokes import draw_with_region
from testing.handwriting import write_row


def test_strokes_are_pieces_from_left_to_right() -> None:
    strokes = [np.array(stroke, float) for stroke in reversed(write_row("317"))]
    boxes = DrawnLine(strokes).pieces([]).boxes
    assert len(boxes) == len(strokes)
    middles = (boxes[:, 0] + boxes[:, 2]).tolist()
    assert middles == sorted(middles)


def test_only_a_stroke_across_a_cut_is_cut() -> None:
    line = DrawnLine([np.array([[float(x), 0] for x in range(0, 101, 5)]), np.array([[200.0, 0], [210, 100]])])
    cut = (50 - line.left) / line.unit
    assert line.pieces([cut]).boxes[:, [0, 2]] == pytest.approx(np.array([[0, 50], [50, 100], [200, 210]]))
    assert len(line.pieces([(90 - line.left) / line.unit]).boxes) == 2


@pytest.mark.parametrize("turn", [1, -1])
def test_all_ink_of_a_cut_stroke_is_kept(turn: int) -> None:
    line = DrawnLine([np.array([[0.0, 0], [300, 90]])[::turn], np.array([[0.0, 0], [0, 100]])])
    cuts = [(x - line.left) / line.unit for x in (120, 200)]
    boxes = line.pieces(cuts).boxes[1:]
    assert boxes == pytest.approx(np.array([[0, 0, 120, 36], [120, 36, 200, 60], [200, 60, 300, 90]]))


def test_scribble_is_drawn_coarsely() -> None:
    # At the distance of the points of a digit, this line would have nine million of them.
    rng = np.random.default_rng(0)
    scribble = np.stack([rng.choice([-1e5, 1e5], 10_000), rng.uniform(-6e3, 6e3, 10_000)], axis=1)
    line = DrawnLine([scribble]).pieces([])
    assert isinstance(line, StrokePieces)
    assert sum(map(len, line.strokes)) < 50_000


def test_frame_of_strokes_is_the_recognizers() -> None:
    strokes = [np.array(stroke, float) for stroke in write_row("4")]
    frame, region = DrawnLine(strokes).pieces([]).frame(0, len(strokes))
    expected, expected_region = draw_with_region(sorted(strokes, key=lambda s: float(s[:, 0].min() + s[:, 0].max())))
    # A line is smoothed for its strip, not for each frame.
    assert np.abs(frame - expected).mean() < 0.005
    assert astuple(region) == pytest.approx(astuple(expected_region), abs=1)


def test_more_strokes_than_a_digit_has_are_less_likely() -> None:
    pieces = DrawnLine([np.array(stroke, float) for stroke in write_row("44")]).pieces([])
    nine, four = pieces.weigh(np.zeros(10), 0, 3)[[9, 4]]
    assert nine < four < pieces.weigh(np.zeros(10), 0, 2)[4]
