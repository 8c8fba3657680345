"""Pictures to frames, which do not depend on pen, paper, light or position."""

import contextlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from config import Settings
from model_file import FRAME_SIZE
from recognition import Recognizer
from recognition.errors import BlankInput
from recognition.frame import INK_SIZE, WHOLE_FRAME, Frame, centre_of_mass, stroke_width
from recognition.ink import Picture
from recognition.normalize import find_candidates, normalize
from recognition.strokes import draw
from testing.handwriting import DIGITS, HANDWRITINGS
from testing.pictures import draw_picture

each_digit = pytest.mark.parametrize("digit", range(10))


def picture_of(digit: int, pen: int = 18) -> Picture:
    """`[280, 280]`, clean: ink 0.88 on paper 0."""
    picture: Picture = 1 - np.asarray(draw_picture(DIGITS[digit], pen=pen), np.float32) / np.float32(255)
    return picture


def frames_of(picture: Picture) -> list[Frame]:
    """The candidate frames of a picture, checked for what holds for every frame."""
    untouched = picture.copy()
    frames = [candidate.frame for candidate in find_candidates(picture)]
    for frame in frames:
        assert (frame.shape, frame.dtype) == ((FRAME_SIZE, FRAME_SIZE), np.float32)
        assert np.isfinite(frame).all()
        assert 0 <= frame.min() <= frame.max() <= 1
    assert frames
    np.testing.assert_array_equal(picture, untouched)
    return frames


def likeness(frame: Frame, other: Frame) -> float:
    """Correlation of two frames: 1 = the same."""
    return float(np.corrcoef(frame.ravel(), other.ravel())[0, 1])


def best_likeness(picture: NDArray[np.floating], digit: int) -> float:
    """The highest similarity of a candidate to the frame of the clean digit."""
    clean = normalize(picture_of(digit))
    return max(likeness(frame, clean) for frame in frames_of(np.clip(picture, 0, 1).astype(np.float32)))


# ---- what makes no difference ----


@each_digit
def test_polarity_does_not_matter(digit: int) -> None:
    picture = picture_of(digit)
    assert likeness(normalize(1 - picture), normalize(picture)) > 0.99


@each_digit
@pytest.mark.parametrize("place", [(0, 0), (400, 30), (30, 400), (400, 400)], ids=str)
def test_place_does_not_matter(digit: int, place: tuple[int, int]) -> None:
    sheet = np.zeros((680, 680), np.float32)
    sheet[place[0] : place[0] + 280, place[1] : place[1] + 280] = picture_of(digit)
    assert best_likeness(sheet, digit) > 0.95


@each_digit
@pytest.mark.parametrize("side", [24, 60, 140, 900])
def test_size_does_not_matter(digit: int, side: int) -> None:
    how = cv2.INTER_AREA if side < 280 else cv2.INTER_CUBIC
    assert best_likeness(cv2.resize(picture_of(digit), (side, side), interpolation=how), digit) > 0.85


@each_digit
def test_paper_around_the_digit_does_not_matter(digit: int) -> None:
    picture = picture_of(digit)
    left, top, width, height = cv2.boundingRect((picture > 0.5).astype(np.uint8))
    assert best_likeness(picture[top : top + height, left : left + width], digit) > 0.95


@each_digit
@pytest.mark.parametrize("is_light", [False, True])
def test_digit_may_fill_the_picture(digit: int, is_light: bool) -> None:
    ink = np.pad(picture_of(digit, pen=40), 100)
    left, top, width, height = cv2.boundingRect((ink > 0.5).astype(np.uint8))
    grain = np.random.default_rng(digit).normal(0.05, 0.02, (height, width))
    filled = grain + 0.9 * ink[top : top + height, left : left + width]
    frames = frames_of(np.clip(1 - filled if is_light else filled, 0, 1).astype(np.float32))
    assert max(likeness(frame, normalize(ink)) for frame in frames) > 0.95


@each_digit
@pytest.mark.parametrize(("paper", "ink"), [(0.0, 0.3), (0.2, 0.5), (0.6, 0.3), (0.05, 0.12)], ids=str)
def test_shades_of_paper_and_ink_do_not_matter(digit: int, paper: float, ink: float) -> None:
    assert best_likeness(paper + ink * picture_of(digit), digit) > 0.95


ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 280), np.linspace(0, 1, 280))
DISTANCE = np.hypot(ACROSS - 0.5, DOWN - 0.5)
LIGHTS = {
    "brighter to the left": 0.1 + 0.4 * ACROSS,
    "brighter at the bottom": 0.45 - 0.35 * DOWN,
    "dark corners": 0.1 + 0.4 * DISTANCE**2,
    "a lamp in the corner": 0.1 + 0.3 * np.hypot(ACROSS, DOWN),
}


@each_digit
@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_uneven_light_does_not_matter(digit: int, light: Picture) -> None:
    assert best_likeness(light + 0.4 * picture_of(digit), digit) > 0.9


@each_digit
@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_light_ink_in_uneven_light_is_seen(digit: int, light: Picture) -> None:
    assert best_likeness(0.9 - light - 0.4 * picture_of(digit), digit) > 0.9


@each_digit
def test_shadow_with_a_sharp_edge_does_not_matter(digit: int) -> None:
    assert best_likeness(0.1 + 0.35 * (ACROSS > 0.5) + 0.45 * picture_of(digit), digit) > 0.8


@each_digit
def test_small_digit_on_a_large_grainy_sheet_is_seen(digit: int) -> None:
    sheet = np.random.default_rng(digit).normal(0.2, 0.01, (800, 800))
    sheet[500:540, 600:640] += 0.6 * cv2.resize(picture_of(digit, pen=30), (40, 40), interpolation=cv2.INTER_AREA)
    assert best_likeness(sheet, digit) > 0.75


@each_digit
def test_ruled_lines_through_the_digit_are_not_read(digit: int) -> None:
    ruled = picture_of(digit)
    for row in range(30, 280, 55):
        ruled[row : row + 3] = np.maximum(ruled[row : row + 3], 0.7)
    assert best_likeness(ruled, digit) > 0.85


def test_frame_with_specks_is_read_without_them() -> None:
    frame = draw([np.array(stroke, np.float64) for stroke in DIGITS[3]])
    specked = frame.copy()
    specked[[2, 5, 9, 22, 25], [24, 3, 25, 2, 20]] = 1
    assert max(likeness(seen, frame) for seen in frames_of(specked)) > 0.9


def with_line(picture: Picture, *sides: str) -> Picture:
    """The picture with a printed line along some of its sides."""
    ruled = picture.copy()
    places: dict[str, Any] = {"top": np.s_[:3], "bottom": np.s_[-3:], "left": np.s_[:, :3], "right": np.s_[:, -3:]}
    for side in sides:
        ruled[places[side]] = 0.8
    return ruled


SIDES = [("top",), ("bottom",), ("left",), ("right",), ("top", "bottom"), ("top", "bottom", "left", "right")]


@each_digit
@pytest.mark.parametrize("sides", SIDES, ids=" ".join)
def test_line_along_the_border_is_not_read(digit: int, sides: tuple[str, ...]) -> None:
    assert best_likeness(with_line(picture_of(digit), *sides), digit) > 0.9


def bar_at(x: int, *, large: bool = False) -> Picture:
    """A dark bar from top to bottom at a column of a sheet, which may be too large to be searched in full."""
    picture = np.full((128, 128), 0.9, np.float32)
    picture[20:, x : x + 4] = 0.2
    picture += np.random.default_rng(0).normal(0, 0.01, picture.shape).astype(np.float32)
    return cv2.resize(picture, (1024, 1024)) if large else picture


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("x", [14, 108])
def test_line_along_the_border_is_probably_no_1(x: int, large: bool) -> None:
    middle, border = (find_candidates(bar_at(place, large=large)) for place in (60, x))
    assert min(candidate.penalty for candidate in middle) == 0
    assert min(candidate.penalty for candidate in border) >= 3


def test_hole_of_a_0_that_fills_the_picture_is_no_likelier_than_the_0() -> None:
    ring = np.zeros((112, 96), np.float32)
    cv2.ellipse(ring, (48, 56), (36, 44), 0, 0, 360, 1, 22, cv2.LINE_AA)
    picture = 0.1 + 0.8 * ring + np.random.default_rng(0).normal(0, 0.02, ring.shape).astype(np.float32)
    found = find_candidates(picture)
    zeros = [candidate for candidate in found if likeness(candidate.frame, normalize(np.pad(ring, 60))) > 0.9]
    assert zeros
    assert min(zero.penalty for zero in zeros) == min(candidate.penalty for candidate in found)


def is_frame(picture: Picture) -> bool:
    """Whether one of the candidates is the whole picture as it is."""
    whole = [candidate.frame for candidate in find_candidates(picture) if candidate.region == WHOLE_FRAME]
    return any(likeness(frame, picture) > 0.99 for frame in whole)


@each_digit
def test_picture_of_a_frames_size_may_be_a_frame(digit: int) -> None:
    crossed = normalize(picture_of(digit)).copy()
    crossed[:, 12] = 1
    assert is_frame(crossed)


def test_picture_of_a_frames_size_without_a_margin_is_no_frame() -> None:
    letter = np.zeros((FRAME_SIZE, FRAME_SIZE), np.float32)
    cv2.circle(letter, (14, 14), 12, 1.0, 3)  # an O
    assert not is_frame(letter)


def test_0_that_fills_the_picture_is_no_line() -> None:
    picture = np.full((128, 96), 0.2, np.float32)
    cv2.ellipse(picture, (48, 64), (44, 60), 0, 0, 360, 0.9, 6, cv2.LINE_AA)
    assert find_candidates(picture)[0].penalty == 0


@pytest.mark.parametrize("margin", [1, 4, 16])
def test_printed_box_is_rejected(margin: int) -> None:
    picture = np.full((120, 120), 0.1, np.float32)
    cv2.rectangle(picture, (margin, margin), (119 - margin, 119 - margin), 0.8, 3)
    with contextlib.suppress(BlankInput):
        recognizer = Recognizer.load(Settings().model_path)
        assert not recognizer.predict_candidates([find_candidates(picture)])[0].is_digit


def test_short_digit_beside_the_border_is_a_digit() -> None:
    picture = np.full((128, 128), 0.9, np.float32)
    picture[40:90, 10:14] = 0.2
    assert find_candidates(picture)[0].penalty == 0


@each_digit
def test_grain_and_specks_are_not_read(digit: int) -> None:
    chance = np.random.default_rng(digit)
    grain = 0.2 + 0.5 * picture_of(digit) + chance.normal(0, 0.03, (280, 280))
    assert best_likeness(grain, digit) > 0.9
    specks = np.maximum(picture_of(digit), chance.random((280, 280)) < 0.001)
    assert best_likeness(specks, digit) > 0.9


@each_digit
@pytest.mark.parametrize("pen", [4, 10, 30])
def test_pen_does_not_matter(digit: int, pen: int) -> None:
    frame = normalize(picture_of(digit, pen))
    assert likeness(frame, normalize(picture_of(digit))) > 0.75
    assert 1.5 <= stroke_width(frame) <= 5


@each_digit
def test_picture_of_strokes_looks_as_the_strokes_do(digit: int) -> None:
    drawn = draw([np.array(stroke, np.float64) for stroke in DIGITS[digit]])
    assert likeness(normalize(picture_of(digit)), drawn) > 0.9


# ---- the frame ----


@each_digit
def test_ink_fits_and_is_centred(digit: int) -> None:
    frame = normalize(picture_of(digit))
    rows, columns = np.nonzero(frame > 0.35)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(INK_SIZE, abs=2)
    assert centre_of_mass(frame) == pytest.approx([FRAME_SIZE / 2, FRAME_SIZE / 2], abs=0.6)
    assert frame.max() > 0.9


def is_moved(frame: Frame, original: Frame) -> bool:
    """Whether two frames are the same but for a move by a whole pixel or none."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return any(np.abs(np.roll(frame, move, (0, 1)) - original).max() < 1e-3 for move in moves)


def test_frame_of_mnist_geometry_is_not_rendered_again() -> None:
    frames = [
        draw([np.array(stroke, np.float64) for stroke in hand]) for hands in HANDWRITINGS.values() for hand in hands
    ]
    fitting = [frame for frame in frames if max(map(np.ptp, np.nonzero(frame > 0.35))) + 1 == INK_SIZE]
    assert len(fitting) >= 5
    for frame in fitting:
        assert is_moved(normalize(frame), frame)
        assert is_moved(normalize(1 - frame), frame)


# ---- nothing to read ----


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (2, 2), (28, 28), (300, 200), (1536, 1000)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.4999, 1.0])
def test_one_colour_is_blank(size: tuple[int, int], value: float) -> None:
    with pytest.raises(BlankInput):
        find_candidates(np.full(size, value, np.float32))


@pytest.mark.parametrize("invert", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("sides", SIDES, ids=" ".join)
def test_empty_cell_is_blank(sides: tuple[str, ...], invert: bool) -> None:
    cell = with_line(np.zeros((100, 120), np.float32), *sides)
    with pytest.raises(BlankInput):
        find_candidates(1 - cell if invert else cell)


# ---- any picture ----


def scribble(chance: np.random.Generator, picture: Picture) -> None:
    height, width = picture.shape
    for _ in range(chance.integers(0, 5)):
        start, end = ([int(v) for v in chance.integers(-5, (width + 5, height + 5))] for _ in range(2))
        cv2.line(picture, start, end, float(chance.random()), int(chance.integers(1, min(height, width) // 3 + 2)))


GROUNDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.floating]]] = {
    "even": lambda chance, size: np.full(size, chance.random()),
    "slope": lambda chance, size: np.linspace(chance.random(), chance.random(), size[1]) * np.ones((size[0], 1)),
    "noise": lambda chance, size: chance.random(size),
    "grain": lambda chance, size: chance.normal(0.5, 0.02, size),
    "two values": lambda chance, size: (chance.random(size) < chance.random()) * chance.random(),
    "faint": lambda chance, size: chance.random(size) * 0.07,
}


@hypothesis_settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    ground=st.sampled_from(sorted(GROUNDS)),
    invert=st.booleans(),
)
def test_any_picture_gives_frames_or_is_blank(seed: int, size: tuple[int, int], ground: str, invert: bool) -> None:
    chance = np.random.default_rng(seed)
    picture = np.ascontiguousarray(GROUNDS[ground](chance, size), np.float32)
    scribble(chance, picture)
    picture = np.clip(1 - picture if invert else picture, 0, 1)
    try:
        frames = frames_of(picture)
    except BlankInput:
        return
    assert all(frame.any() for frame in frames)


@hypothesis_settings(max_examples=80)
@given(
    st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([0.0, 0.03, 0.5, 0.97, 1.0]), min_size=width, max_size=width),
            min_size=1,
            max_size=12,
        )
    )
)
def test_any_tiny_picture_gives_frames_or_is_blank(rows: list[list[float]]) -> None:
    picture = np.array(rows, np.float32)
    try:
        frames_of(picture)
    except BlankInput:
        return
    assert np.ptp(picture) > 0
