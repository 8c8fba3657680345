"""Heatmaps of networks with known behaviour, and their position on the drawing or picture."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from config import ROOT, Limits
from recognition import BlankInput, Explanation, Recognizer
from recognition.engine import log_odds
from recognition.explain import find_heat
from recognition.frame import Frame, Region
from testing.handwriting import DIGITS, HANDWRITINGS, Drawing
from testing.pictures import draw_picture, encode

LIMITS = Limits(_env_file=None)
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(ROOT / "mnist_model.pth", LIMITS)


def bar() -> Frame:
    """A bar across the frame."""
    frame = np.zeros((28, 28), np.float32)
    frame[12:16, 4:24] = 1
    return frame


def test_heat_is_positive_on_evidence_for_the_digit_and_negative_on_evidence_against_it() -> None:
    weights = np.zeros((28, 28), np.float32)
    weights[:, :14], weights[:, 14:] = 1, -3
    heat = find_heat(bar(), lambda frames: (frames * weights).sum(axis=(1, 2)))
    assert heat.values[14, 6:12].min() > 0.15
    assert heat.values[14, 17:23].max() < -0.6
    assert np.abs(heat.values).max() == pytest.approx(1)
    assert heat.strength > 3


def test_heat_is_on_the_ink() -> None:
    heat = find_heat(bar(), lambda frames: frames.sum(axis=(1, 2)))
    assert heat.values[13:15, 5:23].min() > 0.5
    assert np.abs(heat.values[:8]).max() < 0.01
    assert np.abs(heat.values[20:]).max() < 0.01


def test_ink_that_does_not_matter_has_no_heat() -> None:
    heat = find_heat(bar(), lambda frames: np.full(len(frames), 7, np.float32))
    assert not heat.values.any()
    assert heat.strength == 0


@given(arrays.arrays(np.float32, (28, 28), elements=st.floats(0, 1, width=32)))
def test_any_frame_is_explained_with_bounded_work(frame: Frame) -> None:
    asked = []

    def odds_of(frames: Frame) -> Frame:
        asked.append(len(frames))
        return frames[:, 3:20, 5:9].sum(axis=(1, 2)) - frames[:, 10:, 12:].sum(axis=(1, 2))

    heat = find_heat(frame, odds_of)
    assert len(asked) == 1
    assert 1 <= asked[0] <= 50
    assert (heat.values.shape, heat.values.dtype) == ((28, 28), np.float32)
    assert np.isfinite(heat.values).all()
    assert np.abs(heat.values).max() <= 1 + 1e-6


@pytest.mark.parametrize("digit", [0, 4, 9])
def test_log_odds_are_those_of_the_calibrated_probability(digit: int) -> None:
    logits = torch.randn(5, 11, generator=torch.Generator().manual_seed(digit)) * 3
    probability = torch.softmax(logits[:, :10] / 1.7, dim=1)[:, digit].double()
    odds = torch.from_numpy(log_odds(logits.numpy(), 1.7, digit))
    torch.testing.assert_close(odds.double(), torch.logit(probability), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("digit", DIGITS)
def test_explanations_are_reproducible(digit: int, recognizer: Recognizer) -> None:
    first, again = (recognizer.explain_strokes(DIGITS[digit]) for _ in range(2))
    prediction = recognizer.predict_strokes(DIGITS[digit])
    assert (first.digit, first.confidence) == (digit, pytest.approx(prediction.confidence))
    assert np.array_equal(first.frame, prediction.frame)
    assert np.array_equal(first.heat.values, again.heat.values)


def test_another_digit_has_another_heatmap(recognizer: Recognizer) -> None:
    seven, one = recognizer.explain_strokes(DIGITS[7]), recognizer.explain_strokes(DIGITS[7], 1)
    assert (one.digit, one.confidence) == (1, pytest.approx(recognizer.predict_strokes(DIGITS[7]).probabilities[1]))
    # Evidence for the 1 is mostly evidence against the 7.
    on_ink = seven.frame > 0.5
    assert np.corrcoef(seven.heat.values[on_ink], one.heat.values[on_ink])[0, 1] < 0.5


def test_blank_input_is_not_explained(recognizer: Recognizer) -> None:
    with pytest.raises(BlankInput):
        recognizer.explain_strokes([])
    with pytest.raises(BlankInput):
        recognizer.explain_picture(encode(Image.new("L", (50, 50), 255)))


# ---- where on the input the frame lies ----


def cut_out(picture: Image.Image, field: Region) -> Frame:
    """The ink of a picture, dark on light, in a field, at the size of a frame."""
    unit = field.side / 28
    darkness = 1 - np.asarray(picture.convert("L"), np.float32) / 255
    # OpenCV counts from the middle of the first pixel, fields from its corner.
    to_frame = np.array([[1, 0, 0.5 - field.left - unit / 2], [0, 1, 0.5 - field.top - unit / 2]]) / unit
    # Averaged first where it is made smaller, which warping would not do.
    blurred = cv2.GaussianBlur(darkness, (0, 0), max(0.3, unit / 2.5))
    return cv2.warpAffine(blurred, to_frame, (28, 28))


def assert_in_place(explanation: Explanation, picture: Image.Image) -> None:
    cut = cut_out(picture, explanation.region)
    assert np.corrcoef(cut.ravel(), explanation.frame.ravel())[0, 1] > 0.9


def moved(drawing: Drawing, scale: float, x: float, y: float) -> Drawing:
    return [[[scale * px + x, scale * py + y] for px, py in stroke] for stroke in drawing]


@pytest.mark.parametrize(("scale", "x", "y"), [(1, 0, 0), (0.3, 150, 20), (0.7, 80, 80)])
@pytest.mark.parametrize("digit", DIGITS)
def test_region_of_a_drawing_is_where_it_was_drawn(
    digit: int, scale: float, x: float, y: float, recognizer: Recognizer
) -> None:
    drawing = moved(DIGITS[digit], scale, x, y)
    assert_in_place(recognizer.explain_strokes(drawing), draw_picture(drawing, pen=round(18 * scale)))


@pytest.mark.parametrize("hand", sorted(HANDWRITINGS))
def test_region_of_a_picture_is_where_the_digit_is(hand: int, recognizer: Recognizer) -> None:
    for drawing in HANDWRITINGS[hand]:
        picture = draw_picture(drawing)
        assert_in_place(recognizer.explain_picture(encode(picture)), picture)


def scanned(kind: str) -> Image.Image:
    """A 4 in a picture that is reduced or enlarged before it is read."""
    plain = draw_picture(DIGITS[4])
    if kind == "small on a large sheet":
        sheet = Image.new("L", (2400, 1800), 255)
        sheet.paste(draw_picture(moved(DIGITS[4], 0.5, 0, 0), (140, 140), 9), (1700, 300))
        return sheet
    if kind == "larger than is worked on":
        return plain.resize((3200, 3200), Image.Resampling.BICUBIC)
    if kind == "between bars":
        sheet = Image.new("L", (600, 500), 0)
        sheet.paste(Image.new("L", (400, 500), 255), (100, 0))
        sheet.paste(plain, (160, 120))
        return sheet
    return draw_picture(moved(DIGITS[4], 0.1, 0, 0), (28, 28), 2)


@pytest.mark.parametrize("kind", ["small on a large sheet", "larger than is worked on", "between bars", "tiny"])
def test_region_of_a_picture_is_where_the_digit_is_at_any_scale(kind: str, recognizer: Recognizer) -> None:
    picture = scanned(kind)
    explanation = recognizer.explain_picture(encode(picture))
    assert explanation.digit == 4
    assert_in_place(explanation, picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_region_of_a_rotated_photograph_is_in_its_upright_orientation(orientation: int, recognizer: Recognizer) -> None:
    upright = draw_picture(DIGITS[4], (280, 400))
    turns = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for turn in turns.get(orientation, []):
        stored = stored.transpose(turn)
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    data = encode(stored, "JPEG", exif=tags, quality=95)
    assert_in_place(recognizer.explain_picture(data), upright)


def test_frame_of_a_tap_has_a_size(recognizer: Recognizer) -> None:
    field = recognizer.explain_strokes([[[40, 60]]]).region
    assert field.side > 0
    assert field.left < 40 < field.left + field.side
    assert field.top < 60 < field.top + field.side
