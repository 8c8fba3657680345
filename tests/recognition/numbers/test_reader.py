"""The reader of numbers, with an engine that returns chosen logits."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from config import Limits, Settings
from model_file import Purpose
from recognition import (
    BlankInput,
    InvalidStrokes,
    Observer,
    Phase,
    PictureTooLarge,
    Prediction,
    Recognizer,
    UnsupportedPicture,
)
from recognition.engine import read_model, read_models, start_engine
from recognition.frame import Frame
from recognition.numbers.drawn_line import draw_strip
from recognition.numbers.reader import MAX_PIECES, NumberReader
from recognition.numbers.reading import Reading
from recognition.numbers.rescoring import _agree
from recognition.stroke_reader import MAX_DIGITS, StrokeReader
from testing.handwriting import DIGITS, Drawing, write_row
from testing.numbers import ScriptedEngine, SpellingEngine
from testing.pictures import draw_picture, encode, picture_of


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(Settings().model_path)


def reader(recognizer: Recognizer, *texts: str) -> NumberReader:
    return NumberReader(recognizer, ScriptedEngine(*texts))


def test_each_digit_of_a_drawing_has_its_box_and_prediction(recognizer: Recognizer) -> None:
    reading = reader(recognizer, "420").read_strokes(write_row("420"))
    assert reading.text == "420"
    assert [each.prediction.digit for each in reading.digits] == [4, 2, 0]
    assert all(each.prediction.is_digit for each in reading.digits)
    lefts = [each.box[0] for each in reading.digits]
    assert lefts == sorted(lefts)
    assert 280 < lefts[1] < 420 < 560 < lefts[2]
    assert 0.9 < reading.confidence <= 1


@pytest.mark.parametrize(
    "signs",
    [
        [[[-60, 150], [-20, 150]], [[-40, 130], [-40, 170]]],  # plus
        [[[300, 130], [360, 130]], [[300, 165], [360, 165]]],  # equals
        [[[290, 250], [288, 262], [280, 275]], [[300, 150], [360, 152]]],  # a comma and a dash
    ],
)
def test_one_digit_with_signs_is_read_without_them(recognizer: Recognizer, signs: Drawing) -> None:
    drawing = [*DIGITS[5], *signs]
    assert not recognizer.predict_strokes(drawing).is_digit
    reading = reader(recognizer, "5").read_strokes(drawing)
    assert (reading.text, len(reading.digits)) == ("5", 1)
    assert reading.digits[0].prediction.is_digit
    assert {ink.box[0] for ink in reading.other} == {min(x for x, _ in stroke) for stroke in signs}
    prediction = reader(recognizer, "5").predict_strokes(drawing)
    assert (prediction.digit, prediction.is_digit, prediction.n_digits) == (5, True, 1)
    explained = reader(recognizer, "5").explain_strokes(drawing)
    assert explained.region == prediction.region
    assert explained.region != recognizer.predict_strokes(drawing).region


def with_path(text: str, symbols: str, certainty: float = 10.0) -> NumberReader:
    """A reader whose number network reads `text`, and whose network for strokes reads `symbols`."""
    engine = start_engine(read_model(Settings().model_path))
    return NumberReader(
        Recognizer(engine, stroke_reader=StrokeReader(SpellingEngine(symbols, certainty))), ScriptedEngine(text)
    )


def test_path_of_the_pen_decides_between_texts(recognizer: Recognizer) -> None:
    drawing = write_row("31")
    without = reader(recognizer, "31").read_strokes(drawing)
    # In the network's reading, the second digit may be a 2.
    agreed, differing = (with_path("31", symbols, certainty=3.0).read_strokes(drawing) for symbols in ("31", "32"))
    assert (agreed.text, differing.text) == ("31", "31")
    assert agreed.confidence > without.confidence > differing.confidence
    assert differing.alternatives[0][0] == "32"


def test_path_of_other_ink_is_no_number() -> None:
    drawing = write_row("31")
    assert with_path("31", "31").read_strokes(drawing).text == "31"
    assert with_path("31", "??", certainty=40.0).read_strokes(drawing).text == "?"


def test_letter_whose_parts_look_like_a_digit_and_a_sign_is_no_digit() -> None:
    letter_k = [[[0, 0], [0, 100]], [[60, 0], [10, 50], [60, 100]]]
    assert with_path("1", "1?", certainty=20.0).read_strokes(letter_k).text == "1"
    assert with_path("1", "?", certainty=20.0).read_strokes(letter_k).text == "?"


@pytest.mark.parametrize(("n", "height"), [(6, 250), (10, 250), (20, 150)])
def test_zigzag_is_no_row_of_ones(n: int, height: float) -> None:
    zigzag = [[[220 * i / n, height * (i % 2)] for i in range(n + 1)]]
    assert NumberReader.start(read_models(Settings()), Limits()).read_strokes(zigzag).text == "?"


def test_bar_above_a_digit_is_no_sign(recognizer: Recognizer) -> None:
    drawing = [*DIGITS[3], [[120, -60], [160, -60]]]
    reading = reader(recognizer, "3").read_strokes(drawing)
    assert not reading.other


def test_one_digit_is_the_recognizers(recognizer: Recognizer) -> None:
    drawing = write_row("7")
    reading = reader(recognizer, "1").read_strokes(drawing)
    assert reading.text == "7"
    assert reading.digits[0].prediction.probabilities == recognizer.predict_strokes(drawing).probabilities


def test_no_digit_is_a_question_mark(recognizer: Recognizer) -> None:
    zigzag: Drawing = [[[10 * i, 100 * (i % 2)] for i in range(30)]]
    assert reader(recognizer, "").read_strokes([list(map(list, stroke)) for stroke in zigzag]).text == "?"


def test_lines_are_joined_by_line_breaks(recognizer: Recognizer) -> None:
    reading = reader(recognizer, "31", "42").read_strokes([*write_row("31"), *write_row("42", top=500)])
    assert reading.text == "31\n42"
    assert [each.line for each in reading.digits] == [0, 0, 1, 1]
    assert not reading.is_truncated


def test_stroke_across_two_digits_is_cut(recognizer: Recognizer) -> None:
    joined = [point for stroke in write_row("33") for point in stroke]
    reading = reader(recognizer, "33").read_strokes([joined])
    assert [each.box[0] + each.box[2] <= 300 for each in reading.digits] == [True, False]
    assert len(reading.digits) == 2


def test_what_neither_network_takes_for_digits_is_no_number(recognizer: Recognizer) -> None:
    waves = [[float(x), 100 + 80 * np.sin(x / 20)] for x in range(0, 560, 4)]
    reading = reader(recognizer, "33").read_strokes([waves])
    assert (reading.text, len(reading.digits)) == ("?", 1)


@pytest.mark.parametrize(("n_digits", "is_truncated"), [(MAX_DIGITS, False), (MAX_DIGITS + 2, True)])
def test_more_than_a_hundred_digits_are_truncated(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, n_digits: int, is_truncated: bool
) -> None:
    monkeypatch.setattr("recognition.numbers.reader.evidence", lambda *_: np.inf)
    reading = read(reader(recognizer, "12" * (n_digits // 2)), "picture", write_row("121212"))
    assert len(reading.text) == len(reading.digits) == MAX_DIGITS
    assert reading.is_truncated is is_truncated


def test_empty_drawing_is_blank(recognizer: Recognizer) -> None:
    with pytest.raises(BlankInput):
        reader(recognizer, "12").read_strokes([])


@pytest.mark.parametrize("size", [1e-3, 1, 1e4])
def test_strip_of_a_drawing_does_not_depend_on_its_size(size: float) -> None:
    strokes = [np.array(stroke) for stroke in write_row("31")]
    strip, unit, left = draw_strip(strokes)
    scaled, scaled_unit, scaled_left = draw_strip([stroke * size for stroke in strokes])
    assert scaled == pytest.approx(strip, abs=0.02)
    assert scaled_unit == pytest.approx(unit * size)
    assert scaled_left == pytest.approx(left * size, rel=1e-3)


def test_flat_and_endless_lines_have_bounded_strips() -> None:
    assert draw_strip([np.array([[0.0, 0.0], [1e5, 0.0]])])[0].shape[1] < 1_100
    assert draw_strip([np.array([[0.0, 0.0]])])[0].shape[1] >= 16


def test_limits_of_drawings_hold(recognizer: Recognizer) -> None:
    with pytest.raises(InvalidStrokes):
        reader(recognizer, "12").read_strokes([[[0, 0]]] * (Limits().max_strokes + 1))


# ---- pictures, and what is shared with the recognizer ----


class Tally(Observer):
    """Counts phases and keeps predictions."""

    def __init__(self) -> None:
        self.phases: Counter[Phase] = Counter()
        self.predictions: list[Prediction] = []

    def time_phase(self, phase: Phase) -> AbstractContextManager[object]:
        self.phases[phase] += 1
        return nullcontext()

    def record(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)


@pytest.fixture
def tally(recognizer: Recognizer) -> Iterator[Tally]:
    before, recognizer.observer = recognizer.observer, Tally()
    yield recognizer.observer
    recognizer.observer = before


def read(numbers: NumberReader, source: str, drawing: Drawing) -> Reading:
    """The reading of a drawing, as strokes or as a picture."""
    if source == "strokes":
        return numbers.read_strokes(drawing)
    right = max(point[0] for stroke in drawing for point in stroke)
    return numbers.read_picture(encode(draw_picture(drawing, (round(right) + 40, 320))))


@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_each_digit_of_a_number_is_recorded_once(recognizer: Recognizer, tally: Tally, source: str) -> None:
    reading = read(reader(recognizer, "427"), source, write_row("427"))
    assert reading.text == "427"
    assert [prediction.digit for prediction in tally.predictions] == [4, 2, 7]
    assert [found.prediction.digit for found in reading.digits] == [4, 2, 7]
    assert tally.phases["decode"] == (source == "picture")
    assert tally.phases["normalize"] >= 1
    assert tally.phases["network"] >= 2


@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_single_digit_is_the_recognizers_and_recorded_once(recognizer: Recognizer, tally: Tally, source: str) -> None:
    reading = read(reader(recognizer, "5"), source, write_row("3"))
    assert reading.text == "3"
    assert [prediction.digit for prediction in tally.predictions] == [3]


@pytest.mark.parametrize(("text", "n_digits"), [("3", 1), ("427", 3)])
@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_prediction_counts_digits_and_is_recorded_once(
    recognizer: Recognizer, tally: Tally, source: str, text: str, n_digits: int
) -> None:
    numbers, drawing = reader(recognizer, "427"), write_row(text)
    picture = encode(draw_picture(drawing, (280 * len(text), 280)))
    prediction = numbers.predict_strokes(drawing) if source == "strokes" else numbers.predict_picture(picture)
    alone = recognizer.predict_strokes(drawing) if source == "strokes" else recognizer.predict_picture(picture)
    assert prediction.n_digits == n_digits
    assert prediction.probabilities == alone.probabilities
    assert prediction.region == alone.region
    assert len(tally.predictions) == 2  # one of each


def test_blank_picture_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(BlankInput):
        reader(recognizer, "5").read_picture(encode(Image.new("L", (50, 50), 255)))


def test_lines_without_digits_do_not_count(recognizer: Recognizer) -> None:
    dashes = [[[30, -200], [120, -190]], [[200, -190], [300, -200]]]
    reading = reader(recognizer, "", "42").read_strokes([*dashes, *write_row("42")])
    assert reading.text == "42"
    assert [(found.prediction.digit, found.line) for found in reading.digits] == [(4, 0), (2, 0)]


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (700, 1), (700, 2), (3, 700), (1, 700), (8, 8)])
def test_picture_with_no_room_for_digits_is_read_or_blank(recognizer: Recognizer, size: tuple[int, int]) -> None:
    picture = np.where(np.arange(size[0] * size[1]) % 3, 255, 0).astype(np.uint8).reshape(size[1], size[0])
    for text in ("42", "1234567"):
        try:
            reading = reader(recognizer, text).read_picture(encode(Image.fromarray(picture)))
        except BlankInput:
            continue
        assert len(reading.digits) == len(reading.text)


def test_unreadable_pictures_have_their_errors_in_order(recognizer: Recognizer) -> None:
    first, bad, last = reader(recognizer, "5").read_pictures([picture_of(DIGITS[3]), b"x", picture_of(DIGITS[4])])
    assert isinstance(bad, UnsupportedPicture)
    assert [each.text for each in (first, last) if isinstance(each, Reading)] == ["3", "4"]


def test_pictures_are_refused_once_the_time_is_used_up(recognizer: Recognizer) -> None:
    one = picture_of(DIGITS[3])
    assert all(isinstance(each, PictureTooLarge) for each in reader(recognizer, "5").read_pictures([one] * 2, 0.0))
    # Enough to decode the first, but not for its reading as well.
    outcomes = reader(recognizer, "5").read_pictures([one] * 100, 0.05)
    assert isinstance(outcomes[0], Reading)
    assert isinstance(outcomes[-1], PictureTooLarge)


def test_reader_takes_one_of_the_recognizers_places_for_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = Recognizer.load(Settings().model_path, Limits(_env_file=None, max_decodes=1))
    free = []

    def decode(*_: object) -> None:
        free.append(recognizer._decoding.acquire(blocking=False))
        raise UnsupportedPicture("not read")

    monkeypatch.setattr("recognition.recognizer.decode_with_scale", decode)
    with pytest.raises(UnsupportedPicture):
        reader(recognizer, "5").read_picture(b"")
    assert free == [False]
    assert recognizer._decoding.acquire(blocking=False)


def test_drawing_that_is_no_digit_is_not_read_as_a_single_one(recognizer: Recognizer) -> None:
    # The likeliest text of this 11, drawn far apart, is "1".
    eleven = [[[round(x, 1), round(y, 1)] for x, y in stroke] for stroke in write_row("11", 80, 10, 80)]
    assert not recognizer.predict_strokes(eleven).is_digit
    assert shipped_reader(recognizer).read_strokes(eleven).text == "11"


def shipped_reader(recognizer: Recognizer) -> NumberReader:
    return NumberReader(recognizer, start_engine(read_model(Settings().number_model_path, purpose=Purpose.NUMBERS)))


@pytest.mark.parametrize("step", [0, 7])
def test_many_flat_strokes_are_few_lines(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    numbers = shipped_reader(recognizer)
    n_strips = []
    assert numbers._engine
    logits = numbers._engine.logits

    def count_strips(strips: NDArray[np.float32]) -> NDArray[np.float32]:
        n_strips.append(len(strips))
        return logits(strips)

    monkeypatch.setattr(numbers._engine, "logits", count_strips)
    numbers.read_strokes([[[10.0 * i, step * i], [10.0 * i + 5, step * i]] for i in range(500)])
    assert sum(n_strips) <= 1


def test_digit_of_a_text_is_its_likeliest_even_if_the_networks_differ() -> None:
    p = np.full(10, 0.001)
    p[3] = 0.9
    prediction = Prediction(tuple(p.tolist()), 3.0, True, np.zeros((28, 28), np.float32))
    by_network = np.zeros(10)
    by_network[[5, 3]] = 0.999, 0.001
    assert [_agree(prediction, by_network, digit).digit for digit in (3, 5, 7)] == [3, 5, 7]


def test_specks_are_no_number(recognizer: Recognizer) -> None:
    rng = np.random.default_rng(1)
    picture = np.full((1000, 1000), 255, np.uint8)
    for x, y in rng.integers(0, 994, (500, 2)).tolist():
        picture[y : y + 6, x : x + 6] = 0
    assert shipped_reader(recognizer).read_picture(encode(Image.fromarray(picture))).text == "?"


def test_page_of_digits_is_read_up_to_the_limit_and_looked_at_within_bounds(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = [stroke for left in range(8) for stroke in write_row(str(left + 1), 90, 40 + 110 * left, 80)]
    page = [[[x, y + 120 * line] for x, y in stroke] for line in range(20) for stroke in row]
    picture = encode(draw_picture(page, (960, 2450), 8))
    n_frames, n_strips = [], []
    numbers = shipped_reader(recognizer)
    predict, logits = recognizer.predict_frames, numbers._engine.logits if numbers._engine else None
    assert logits

    def count_frames(frames: Sequence[Frame]) -> list[Prediction]:
        n_frames.append(len(frames))
        return predict(frames)

    def count_strips(strips: NDArray[np.float32]) -> NDArray[np.float32]:
        n_strips.append(len(strips))
        return logits(strips)

    monkeypatch.setattr(recognizer, "predict_frames", count_frames)
    monkeypatch.setattr(numbers._engine, "logits", count_strips)
    reading = numbers.read_picture(picture)
    assert len(reading.digits) == MAX_DIGITS
    assert reading.text.startswith("12345678\n12345678\n")
    assert sum(n_frames) <= 4 * MAX_PIECES
    assert sum(n_strips) <= 15  # of 20 lines, and one of the whole picture


@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_signs_are_listed_apart_from_the_digits(recognizer: Recognizer, source: str) -> None:
    comma = [[290.0, 250.0], [285.0, 268.0], [276.0, 282.0]]
    drawing = [*write_row("4"), comma, *write_row("20", left=320)]
    reading = read(reader(recognizer, "420", "420"), source, drawing)
    assert reading.text == "420"
    (ink,) = reading.other
    left, top, width, height = ink.box
    assert 255 < left < left + width < 320
    assert 230 < top < top + height < 300
    assert ink.line == 0


@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_dash_between_digits_is_not_part_of_them(recognizer: Recognizer, source: str) -> None:
    drawing: Drawing = [*write_row("2"), [[290, 150], [350, 146]], *write_row("3", left=360)]
    reading = read(reader(recognizer, "23", "23"), source, drawing)
    assert reading.text == "23"
    (ink,) = reading.other
    assert 270 < ink.box[0] < ink.box[0] + ink.box[2] < 370
    two, three = (digit.box for digit in reading.digits)
    assert two[0] + two[2] < ink.box[0] < ink.box[0] + ink.box[2] < three[0]


def test_tips_of_cut_strokes_are_not_listed(recognizer: Recognizer) -> None:
    drawing = [*write_row("1"), *write_row("7", left=130), *write_row("1", left=300)]
    assert reader(recognizer, "171").read_strokes(drawing).other == ()


def test_texts_that_become_equal_at_the_limit_are_one(recognizer: Recognizer) -> None:
    rows = [write_row("1234567890" * 4, 60, 0, top) for top in (0, 100, 200)]
    reading = reader(recognizer, *["1234567890" * 4] * 3).read_strokes([stroke for row in rows for stroke in row])
    assert len(reading.digits) == MAX_DIGITS
    assert reading.is_truncated
    assert reading.text not in dict(reading.alternatives)
    assert "".join(str(each.prediction.digit) for each in reading.digits) == reading.text.replace("\n", "")


def test_preview_shows_the_picture(recognizer: Recognizer) -> None:
    picture = draw_picture(DIGITS[7]).rotate(90, expand=True)
    numbers = NumberReader(recognizer, None)
    for reading in (
        numbers.read_picture(encode(picture), with_preview=True),
        numbers.read_pictures([encode(picture)], with_previews=True)[0],
    ):
        assert isinstance(reading, Reading)
        assert reading.preview is not None
        assert reading.preview.size == picture.size
        shown = Image.open(io.BytesIO(reading.preview.png))
        np.testing.assert_allclose(np.asarray(shown), np.asarray(picture.resize(shown.size)), atol=40)
    assert numbers.read_picture(encode(picture)).preview is None
