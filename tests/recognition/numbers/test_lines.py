"""Lines of writing in pictures and drawings."""

import cv2
import numpy as np
import pytest

from recognition.ink import Picture
from recognition.numbers.lines import Line, crop_line, darken_ink, find_lines, group_strokes
from testing.handwriting import DIGITS, Drawing


def write_rows(rows: list[str], angle: float = 0.0, digit: float = 50) -> Picture:
    """Dark digits, 90 pixels apart in a row and 110 from row to row, turned by an angle in degrees."""
    size = (90 * max(map(len, rows)) + 60, 110 * len(rows) + 60)
    canvas = np.full(size[::-1], 255, np.uint8)
    for y, row in enumerate(rows):
        for x, label in enumerate(row):
            for stroke in DIGITS[int(label)]:
                points = np.array(stroke) * digit / 280 + [30 + 90 * x, 40 + 110 * y]
                cv2.polylines(canvas, [points.round().astype(np.int32)], False, 20, 3, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, 1.0)
    turned = cv2.warpAffine(canvas, turn, size, borderValue=255)
    return 1 - turned.astype(np.float32) / np.float32(255)


def test_rows_are_found_from_top_to_bottom() -> None:
    lines = find_lines(write_rows(["314", "15", "926"]))
    middles = [(line.top + line.bottom) / 2 for line in lines]
    assert len(lines) == 3
    assert middles == sorted(middles)
    assert lines[0].right - lines[0].left > lines[1].right - lines[1].left


@pytest.mark.parametrize("angle", [-8, -3, 3, 8])
def test_slanted_line_is_made_horizontal(angle: float) -> None:
    picture = write_rows(["271828"], angle)
    (line,) = find_lines(picture)
    assert np.degrees(np.arctan(line.slope)) == pytest.approx(-angle, abs=2)
    crop = crop_line(picture, line)
    ink = crop > 0.5
    first, last = ink[:, : ink.shape[1] // 3], ink[:, -ink.shape[1] // 3 :]
    middles = [np.flatnonzero(part.any(axis=1)).mean() for part in (first, last)]
    assert abs(middles[0] - middles[1]) < 0.2 * len(crop)


def test_crop_keeps_thin_strokes_of_a_large_picture() -> None:
    picture = np.zeros((2000, 4000), np.float32)
    picture[:, 2000:2008] = 1
    crop = crop_line(picture, Line(0, 4000, 0, 2000))
    assert crop.shape == (96, 192)
    assert crop.max() > 0.1


def test_line_of_a_large_picture_is_cropped_where_it_is() -> None:
    picture = np.zeros((3000, 4000), np.float32)
    picture[1900:2000, 1000:3000] = 1
    crop = crop_line(picture, Line(500, 3500, 1800, 2100))
    ink = crop > 0.5
    assert (np.flatnonzero(ink.any(axis=1))[[0, -1]] / len(crop)).tolist() == pytest.approx([1 / 3, 2 / 3], abs=0.05)
    assert (np.flatnonzero(ink.any(axis=0))[[0, -1]] / ink.shape[1]).tolist() == pytest.approx([1 / 6, 5 / 6], abs=0.02)


def test_blank_paper_and_noise_have_no_lines() -> None:
    assert find_lines(np.full((200, 400), 0.8, np.float32)) == []
    noise = np.random.default_rng(0).random((400, 600), dtype=np.float32)
    assert len(find_lines(noise)) == 0


def test_chalk_on_a_blackboard_becomes_dark_ink() -> None:
    picture = write_rows(["42"])
    assert darken_ink(1 - picture) == pytest.approx(picture)
    assert darken_ink(picture) is picture


def place(drawing: Drawing, x: float, y: float) -> list[np.ndarray]:
    return [np.array(stroke, float) + np.array([x, y]) for stroke in drawing]


def test_strokes_are_grouped_by_line_in_any_order() -> None:
    first, second = place(DIGITS[4], 0, 0), place(DIGITS[2], 0, 300)
    strokes = [*second, *first, *place(DIGITS[1], 300, 10)]
    lines = group_strokes(strokes)
    below = set(range(len(second)))
    assert [set(line) for line in lines] == [set(range(len(strokes))) - below, below]


def test_top_stroke_of_a_5_and_a_dot_belong_to_their_line() -> None:
    body = np.array([[0, 20], [0, 50], [30, 60], [30, 90], [0, 100]], float)
    hat, dot = np.array([[0, 12], [40, 10]], float), np.array([[60, 98]], float)
    assert [sorted(line) for line in group_strokes([body, hat, dot])] == [[0, 1, 2]]


def test_line_that_fills_a_picture_spans_its_width() -> None:
    rows = write_rows(["4217"])
    tight = rows[np.flatnonzero(rows.any(axis=1))[0] :]
    tight = tight[: np.flatnonzero(tight.any(axis=1))[-1] + 1]
    (line,) = find_lines(tight)
    assert line.left <= 0
    assert line.right >= tight.shape[1]


def test_comma_below_its_line_is_no_line() -> None:
    picture = write_rows(["42", "17"])
    bottom = np.flatnonzero(picture[:95].any(axis=1))[-1]
    # A comma nearly half as high as a digit, most of it below the line.
    picture[bottom - 2 : bottom + 18, 92:98] = 1
    assert len(find_lines(picture)) == 2
