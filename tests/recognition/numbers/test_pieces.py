"""What lines of drawings and of pictures have in common."""

import numpy as np
import pytest

from recognition.numbers.drawn_line import DrawnLine
from recognition.numbers.lines import Line
from recognition.numbers.picture_line import PictureLine
from recognition.numbers.pieces import InkLine
from testing.handwriting import write_row
from testing.pictures import draw_picture


def drawn_line() -> DrawnLine:
    return DrawnLine([np.array(stroke, float) for stroke in write_row("42")])


def picture_line() -> PictureLine:
    picture = draw_picture(write_row("42"), (560, 280)).convert("L")
    return PictureLine(1 - np.asarray(picture, np.float32) / np.float32(255), Line(0, 560, 0, 280))


@pytest.mark.parametrize("line", [drawn_line(), picture_line()], ids=["drawn", "picture"])
def test_box_of_all_columns_is_the_line(line: InkLine) -> None:
    left, top, width, height = line.box(-np.inf, np.inf)
    boxes = line.pieces([]).boxes
    assert left <= boxes[:, 0].min() + 1
    assert top <= boxes[:, 1].min() + 1
    assert left + width >= boxes[:, 2].max() - 1
    assert top + height >= boxes[:, 3].max() - 1
    half = line.strip.shape[1] / 2
    assert line.box(-np.inf, half)[2] + line.box(half, np.inf)[2] == pytest.approx(width, rel=1e-6)
