"""A line of a picture and its pieces."""

import numpy as np
import pytest

from recognition.ink import Picture
from recognition.numbers.lines import Line
from recognition.numbers.picture_line import PictureLine
from testing.handwriting import write_row
from testing.pictures import draw_picture


def picture_of_row(text: str) -> Picture:
    """Dark ink, 0 to 1, of digits 280 pixels wide."""
    picture = draw_picture(write_row(text), (280 * len(text), 280))
    return 1 - np.asarray(picture.convert("L"), np.float32) / np.float32(255)


def test_boxes_of_a_low_wide_line_are_in_pixels_of_the_picture() -> None:
    picture = np.zeros((15, 900), np.float32)
    picture[3:12, 300:303] = picture[3:12, 600:603] = 1
    line = PictureLine(picture, Line(0, 900, 0.3, 14.75))
    assert line.pieces([]).boxes[:, 0] == pytest.approx(np.array([299, 599]), abs=2)
    left, _, width, _ = line.box(line.strip.shape[1] / 2, np.inf)
    assert (left, left + width) == pytest.approx((450, 900), abs=5)


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


def test_blank_line_has_no_pieces() -> None:
    assert not len(PictureLine(np.zeros((40, 80), np.float32), Line(0, 80, 0, 40)).pieces([]).boxes)
