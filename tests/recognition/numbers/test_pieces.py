"""The pieces of drawn and photographed lines, and their boxes."""

from dataclasses import astuple

import numpy as np
import pytest

from recognition.ink import draw_with_region
from recognition.numbers.lines import Line
from recognition.numbers.pieces import DrawnLine, InkLine, PictureLine, StrokePieces
from recognition.paper import Picture
from testing.handwriting import write_row
from testing.pictures import draw_picture


def drawn_line(text: str) -> DrawnLine:
    return DrawnLine([np.array(stroke, float) for stroke in write_row(text)])


def picture_of_row(text: str) -> Picture:
    """Dark ink, 0 to 1, of digits 280 pixels wide."""
    picture = draw_picture(write_row(text), (280 * len(text), 280))
    return 1 - np.asarray(picture.convert("L"), np.float32) / np.float32(255)


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


def test_boxes_of_a_low_wide_line_are_in_pixels_of_the_picture() -> None:
    picture = np.zeros((15, 900), np.float32)
    picture[3:12, 300:303] = picture[3:12, 600:603] = 1
    line = PictureLine(picture, Line(0, 900, 0.3, 14.75))
    assert line.pieces([]).boxes[:, 0] == pytest.approx(np.array([299, 599]), abs=2)
    left, _, width, _ = line.box(line.strip.shape[1] / 2, np.inf)
    assert (left, left + width) == pytest.approx((450, 900), abs=5)


def test_frame_of_strokes_is_the_recognizers() -> None:
    strokes = [np.array(stroke, float) for stroke in write_row("4")]
    frame, region = DrawnLine(strokes).pieces([]).frame(0, len(strokes))
    expected, expected_region = draw_with_region(sorted(strokes, key=lambda s: float(s[:, 0].min() + s[:, 0].max())))
    # A line is smoothed for its strip, not for each frame.
    assert np.abs(frame - expected).mean() < 0.005
    assert astuple(region) == pytest.approx(astuple(expected_region), abs=1)


def test_components_of_a_picture_are_pieces_in_its_pixels() -> None:
    picture = picture_of_row("31")
    pieces = PictureLine(picture, Line(0, 560, 0, 280)).pieces([])
    rows, columns = np.nonzero(picture > 0.5)
    three = columns < 280
    expected = [columns[three].min(), rows[three].min(), columns[three].max() + 1, rows[three].max() + 1]
    assert pieces.boxes[0] == pytest.approx(np.array(expected), abs=6)
    twice = PictureLine(picture, Line(0, 560, 0, 280), scale=2).pieces([])
    assert twice.boxes == pytest.approx(2 * pieces.boxes)


def test_touching_digits_are_cut_where_the_least_ink_is() -> None:
    picture = np.zeros((100, 200), np.float32)
    picture[20:80, 30:40] = picture[20:80, 150:160] = 1
    picture[48:52, 30:160] = 1
    line = PictureLine(picture, Line(0, 200, 0, 100))
    assert len(line.pieces([]).boxes) == 1
    halves = line.pieces([95 / 100 * 32])
    assert halves.boxes[:, [0, 2]] == pytest.approx(np.array([[30, 95], [95, 160]]), abs=4)
    # Halves may be cut in the wrong place, and count less than the whole.
    log_p = np.full(10, -2.0)
    assert halves.weigh(log_p, 0, 1) == pytest.approx(0.4 * log_p)
    assert halves.weigh(log_p, 0, 2) == pytest.approx(log_p)


def test_more_strokes_than_a_digit_has_are_less_likely() -> None:
    pieces = drawn_line("44").pieces([])
    nine, four = pieces.weigh(np.zeros(10), 0, 3)[[9, 4]]
    assert nine < four < pieces.weigh(np.zeros(10), 0, 2)[4]


@pytest.mark.parametrize(
    "line", [drawn_line("42"), PictureLine(picture_of_row("42"), Line(0, 560, 0, 280))], ids=["drawn", "picture"]
)
def test_box_of_all_columns_is_the_line(line: InkLine) -> None:
    left, top, width, height = line.box(-np.inf, np.inf)
    boxes = line.pieces([]).boxes
    assert left <= boxes[:, 0].min() + 1
    assert top <= boxes[:, 1].min() + 1
    assert left + width >= boxes[:, 2].max() - 1
    assert top + height >= boxes[:, 3].max() - 1
    half = line.strip.shape[1] / 2
    assert line.box(-np.inf, half)[2] + line.box(half, np.inf)[2] == pytest.approx(width, rel=1e-6)


def test_blank_line_has_no_pieces() -> None:
    assert not len(PictureLine(np.zeros((40, 80), np.float32), Line(0, 80, 0, 40)).pieces([]).boxes)
