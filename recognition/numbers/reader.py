"""Whole numbers in drawings and pictures.

    reader = NumberReader(recognizer, start_engine(read_model(Path("number_model.pth"), reads_numbers=True)))
    reading = reader.read_strokes(strokes)
    print(reading.text, reading.confidence)

One network reads each line without segmentation (`model.NumberCNN`). The recognizer looks at the pieces of its ink,
alone and joined, and both choose the text. Input of at most one digit is the recognizer's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from model_file import N_DIGITS
from recognition.engine import Engine
from recognition.errors import InputError
from recognition.ink import Stroke, draw_with_region, validate_strokes
from recognition.normalize import find_candidates
from recognition.numbers.ctc import align, best_texts, log_p_of
from recognition.numbers.lattice import Lattice, Span, build_lattice, find_spans
from recognition.numbers.lines import MAX_DRAWN_LINES, Line, darken_ink, find_lines, group_strokes
from recognition.numbers.pieces import Box, DrawnLine, InkLine, PictureLine, Pieces
from recognition.paper import Picture
from recognition.preview import Preview, make_preview
from recognition.recognizer import Prediction, Recognizer

MAX_DIGITS = 100
MAX_PIECES = 200  # of ink of all lines that the digit network looks at, which bounds the time
UNREADABLE = "?"
_STEP = 2  # columns of a strip per step of the network
_N_BEST = 4
_N_RANKED = 8  # texts of the network that are ranked with the lattice's
# Of the sum of both log-probabilities of a text, which are not independent. Chosen for calibration on composed
# validation numbers.
_SHARPNESS = 0.45
# Several digits are a number if there is enough evidence: their mean digit score, plus the mean log-probability of a
# digit of the text and the mean number of digits of a line (at most six, less two), each times its weight.
_CONFIDENCE_WEIGHT, _LENGTH_WEIGHT = 8.0, 0.5

Array = NDArray[np.float32]
Texts = list[tuple[str, float]]  # with probabilities, likeliest first


@dataclass(frozen=True, slots=True)
class _Material:
    """What differs between drawings and pictures."""

    counts_pieces: bool  # the lattice has a say in how many digits there are
    min_evidence: float  # chosen on the development sets, of whose numbers it refuses 0.5 % that are read right


# Strokes are parted as they were written. A connected component of a picture may be half of a digit, or two of them.
_DRAWING = _Material(counts_pieces=True, min_evidence=0.8)
_PICTURE = _Material(counts_pieces=False, min_evidence=-1.5)
# For one digit: a picture must plainly hold several.
_PLAIN_PICTURE = replace(_PICTURE, min_evidence=0.8)


@dataclass(frozen=True, slots=True)
class ReadDigit:
    """A digit of a number."""

    prediction: Prediction
    box: Box
    line: int  # from 0


@dataclass(frozen=True, slots=True)
class OtherInk:
    """Ink in a line that is no part of a digit: a point, comma, dash or currency sign."""

    box: Box
    line: int  # from 0


@dataclass(frozen=True, slots=True)
class Reading:
    """The number in a drawing or picture."""

    text: str  # lines are separated by "\n"; "?" stands for a digit that cannot be read
    confidence: float  # calibrated probability that the whole text is right
    alternatives: tuple[tuple[str, float], ...]  # other texts with their confidences
    digits: tuple[ReadDigit, ...]
    other: tuple[OtherInk, ...] = ()  # from left to right in each line
    preview: Preview | None = None  # the picture, if requested
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _NetworkReading:
    """What the network reads in a line."""

    line: InkLine
    log_p: Array  # [T, 11]
    texts: Texts

    @property
    def text(self) -> str:
        return self.texts[0][0]


@dataclass(frozen=True, slots=True)
class _ReadLine:
    """What both networks read in a line."""

    texts: Texts
    digits: list[tuple[Prediction, Box]]  # of the likeliest text
    other: list[Box]  # of ink that is no part of a digit


class NumberReader:
    """Reads numbers with two networks. Thread-safe if the recognizer is."""

    def __init__(self, recognizer: Recognizer, engine: Engine | None) -> None:
        """Without an engine, all input is read as a single digit."""
        self._recognizer = recognizer
        self._engine = engine
        self.info = engine.info if engine else None
        self.engine = engine.name if engine else None

    def read_strokes(self, strokes: object) -> Reading:
        """Read a drawing `[[[x, y], ...], ...]`, y down, any unit. Raises `InvalidStrokes` or `BlankInput`."""
        started = time.perf_counter()
        drawn, whole = self._predict_whole(strokes)
        return self._record(self._read_drawing(drawn, whole, started) or _of_single(whole, started))

    def predict_strokes(self, strokes: object) -> Prediction:
        """Recognise a drawing as one digit, as the recognizer does, and count its digits. Raises as `read_strokes`."""
        started = time.perf_counter()
        drawn, whole = self._predict_whole(strokes)
        self._recognizer.observer.record(whole)
        return _count(whole, self._read_drawing(drawn, whole, started), started)

    def _predict_whole(self, strokes: object) -> tuple[list[Stroke], Prediction]:
        """The validated strokes, and the prediction for all of them as one digit."""
        with self._recognizer.observer.time_phase("normalise"):
            drawn = validate_strokes(strokes, self._recognizer.limits)
            frame, region = draw_with_region(drawn)
        return drawn, replace(self._recognizer.predict_frames([frame])[0], region=region)

    def _read_drawing(self, drawn: Sequence[Stroke], whole: Prediction, started: float) -> Reading | None:
        """The number in a drawing; None if it is read as one digit, for which `whole` is the prediction.

        Drawings of several digits, even of two that touch, hardly ever look like a digit as a whole; an 8 of two
        strokes may look like two lines.
        """
        if self._engine is None or self._recognizer.accepts(whole, "sure"):
            return None
        with self._recognizer.observer.time_phase("normalise"):
            groups = group_strokes(drawn)
            lines = [DrawnLine([drawn[i] for i in line]) for line in groups] if len(groups) <= MAX_DRAWN_LINES else []
        found = self._run_network(self._engine, lines)
        if len(found) == 1 and not whole.is_digit:
            found = [_without_single_digits(found[0])]
        return self._read_lines(found, _DRAWING, started)

    def _record(self, reading: Reading) -> Reading:
        for digit in reading.digits:
            self._recognizer.observer.record(digit.prediction)
        return reading

    def read_picture(self, data: bytes, with_preview: bool = False, seconds_left: float = math.inf) -> Reading:
        """Read the bytes of a picture file. Raises `PictureError` or `BlankInput`.

        Also refuses a picture whose decoding would take more than `seconds_left` of processor time.
        """
        started = time.perf_counter()
        picture, scale = self._recognizer.decode(data, seconds_left)
        preview = make_preview(picture, scale) if with_preview else None
        reading = self._read_decoded(picture, scale, _PICTURE, started)
        if reading is None:
            return replace(_of_single(self._predict_decoded(picture, scale), started), preview=preview)
        return replace(self._record(reading), preview=preview)

    def predict_picture(self, data: bytes) -> Prediction:
        """Recognise a picture file as one digit, as the recognizer does, and count its digits.

        Raises `PictureError` or `BlankInput`.
        """
        started = time.perf_counter()
        picture, scale = self._recognizer.decode(data)
        prediction = self._predict_decoded(picture, scale)
        return _count(prediction, self._read_decoded(picture, scale, _PLAIN_PICTURE, started), started)

    def _predict_decoded(self, picture: Picture, scale: float) -> Prediction:
        with self._recognizer.observer.time_phase("normalise"):
            candidates = [replace(c, region=c.region.scaled(scale)) for c in find_candidates(picture)]
        return self._recognizer.predict_candidates([candidates])[0]

    def _read_decoded(self, picture: Picture, scale: float, material: _Material, started: float) -> Reading | None:
        """The number in a picture; None if there are not several digits."""
        found = self._find_numbers(self._engine, picture, scale) if self._engine else []
        return self._read_lines(found, material, started)

    def read_pictures(
        self, files: Sequence[bytes], max_seconds: float = math.inf, with_previews: bool = False
    ) -> list[Reading | InputError]:
        """Read many picture files; the result for an unreadable one is its error.

        Pictures that are left when this call has used `max_seconds` of processor time are refused, too.
        """
        end = time.thread_time() + max_seconds
        return [self._read_or_error(data, with_previews, end - time.thread_time()) for data in files]

    def _read_or_error(self, data: bytes, with_preview: bool, seconds_left: float) -> Reading | InputError:
        try:
            return self.read_picture(data, with_preview, seconds_left)
        except InputError as error:
            return error

    def _find_numbers(self, engine: Engine, picture: Picture, scale: float) -> list[_NetworkReading]:
        """The lines of a picture: those that were found, or the whole picture as one."""
        height, width = picture.shape
        with self._recognizer.observer.time_phase("normalise"):
            picture = darken_ink(picture)
            found = find_lines(picture)
        whole = [Line(0, width, 0, height)] if height <= 8 * width else []
        readings = []
        for lines in (found, whole):
            if lines and (len(lines) > 1 or width <= 32 * height):
                with self._recognizer.observer.time_phase("normalise"):
                    crops = [PictureLine(picture, line, scale) for line in lines]
                readings.append(self._run_network(engine, crops))
        return max(readings, key=_certainty, default=[])

    def _run_network(self, engine: Engine, lines: Sequence[InkLine]) -> list[_NetworkReading]:
        """What the network reads in each line with digits, up to the line with the last of `MAX_DIGITS`."""
        read, n_left = [], MAX_DIGITS
        for line in lines:
            with self._recognizer.observer.time_phase("network"):
                logits = engine.logits(line.strip[None])[0] / np.float32(engine.info.temperature)
            log_p = logits - logits.max(axis=1, keepdims=True)
            log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
            # Rounding may add up to more than 1.
            texts = [(text, min(1.0, math.exp(score))) for text, score in best_texts(log_p, _N_RANKED)]
            if texts[0][0]:
                read.append(_NetworkReading(line, log_p, [pair for pair in texts if pair[0]]))
                n_left -= len(texts[0][0])
            if n_left <= 0:
                break
        return read

    def _read_lines(self, found: Sequence[_NetworkReading], material: _Material, started: float) -> Reading | None:
        """The number in lines; None if there are not several digits that both networks take for such."""
        if sum(len(line.text) for line in found) < 2:
            return None
        read, n_left, pieces_left = [], MAX_DIGITS, MAX_PIECES
        for line in found:
            known, n_pieces = self._read_line(line, material, pieces_left)
            pieces_left -= n_pieces
            texts = [(text[:n_left], p) for text, p in known.texts]
            read.append(_ReadLine(texts, known.digits[:n_left], known.other))
            n_left -= len(read[-1].digits)
            if not n_left:
                break
        digits = [ReadDigit(*digit, number) for number, line in enumerate(read) for digit in line.digits]
        if len(digits) < 2 or _evidence([line.texts for line in read], digits) < material.min_evidence:
            return None
        other = tuple(OtherInk(box, number) for number, line in enumerate(read) for box in line.other)
        return _to_reading([line.texts for line in read], digits, other, started)

    def _read_line(self, found: _NetworkReading, material: _Material, max_pieces: int) -> tuple[_ReadLine, int]:
        """What both networks read in a line, by the first alone if it has too many pieces; and the number of pieces."""
        with self._recognizer.observer.time_phase("normalise"):
            pieces = found.line.pieces(_cuts(align(found.log_p, found.text)))
            spans = find_spans(pieces, max_pieces)
        predictions = self._recognizer.predict_frames([frame for _, frame, _ in spans])
        lattice = build_lattice(pieces, spans, predictions) if spans else None
        texts = _rank(found, lattice, material) if lattice else found.texts[:_N_BEST]
        n_pieces = len(pieces.boxes) if lattice else 0
        path = lattice.best_path(texts[0][0]) if lattice else None
        places = align(found.log_p, texts[0][0])
        if not lattice or not path:
            return _ReadLine(texts, _look_at_places(found, places), []), n_pieces
        digits = [
            (_agree(lattice.predictions[span], _probabilities(found.log_p, place), int(digit)), _box_of(pieces, span))
            for digit, place, span in zip(texts[0][0], places, path, strict=True)
        ]
        return _ReadLine(texts, digits, _find_other(pieces, path)), n_pieces


def _without_single_digits(found: _NetworkReading) -> _NetworkReading:
    """The same line, known not to be one digit; unchanged if no text has several."""
    several = [pair for pair in found.texts if len(pair[0]) > 1]
    return replace(found, texts=several) if several else found


def _cuts(places: Sequence[tuple[int, int]]) -> list[float]:
    """Columns of the strip between the digits at `places`."""
    return [(before[1] + after[0] + 1) / 2 * _STEP for before, after in pairwise(places)]


def _rank(found: _NetworkReading, lattice: Lattice, material: _Material) -> Texts:
    """The likeliest texts by both networks."""
    known = [text for text, _ in found.texts]
    texts = [*known, *(text for text in lattice.best_texts(_N_BEST) if text not in known)]
    if not material.counts_pieces:
        texts = [text for text in texts if len(text) == len(found.text)]
    scores = _SHARPNESS * (log_p_of(texts, found.log_p) + lattice.scores(texts))
    if not np.isfinite(scores).any():
        return found.texts[:_N_BEST]
    p = np.exp(scores - scores.max())
    p /= p.sum()
    order = np.argsort(-p)[:_N_BEST]
    return [(texts[i], float(p[i])) for i in order]


def _look_at_places(found: _NetworkReading, places: Sequence[tuple[int, int]]) -> list[tuple[Prediction, Box]]:
    """The prediction and the box of each digit of a line whose pieces are not known."""
    columns = pairwise([-math.inf, *_cuts(places), math.inf])
    no_frame = np.zeros((28, 28), np.float32)
    return [
        (Prediction(tuple(_probabilities(found.log_p, place).tolist()), 0.0, True, no_frame), found.line.box(*ends))
        for place, ends in zip(places, columns, strict=True)
    ]


def _find_other(pieces: Pieces, path: Sequence[Span]) -> list[Box]:
    """The boxes of the pieces that are no part of a digit."""
    ends = [(0, 0), *path, (len(pieces.boxes),) * 2]
    return [_box_of(pieces, (i, i + 1)) for before, after in pairwise(ends) for i in range(before[1], after[0])]


def _box_of(pieces: Pieces, span: Span) -> Box:
    corners = pieces.boxes[slice(*span)]
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    left, top = low.tolist()
    width, height = (high - low).tolist()
    return left, top, width, height


def _probabilities(log_p: Array, place: tuple[int, int]) -> NDArray[np.float64]:
    """Probabilities `[10]` of the digits in the steps of one."""
    p: NDArray[np.float64] = np.exp(log_p[place[0] : place[1] + 1, :N_DIGITS].astype(np.float64)).max(axis=0)
    p /= p.sum()
    return p


def _agree(prediction: Prediction, by_network: NDArray[np.float64], digit: int) -> Prediction:
    """What both networks say about a digit of the text: the mean of their probabilities."""
    both = (by_network + np.array(prediction.probabilities)) / 2
    agrees = prediction.digit == digit
    # The digit of the text stays the likeliest; where the networks differ, its probability shows it.
    if both.argmax() != digit:
        both[digit] = max(both[digit], float(both.max()) * 1.001)
        both /= both.sum()
    return replace(prediction, probabilities=tuple(both.tolist()), is_digit=prediction.is_digit or agrees)


def _evidence(lines: Sequence[Texts], digits: Sequence[ReadDigit]) -> float:
    """How certainly both networks together take digits for such."""
    score = sum(digit.prediction.digit_score for digit in digits) / len(digits)
    log_p = sum(math.log(max(texts[0][1], 1e-30)) for texts in lines) / len(digits)
    return score + _CONFIDENCE_WEIGHT * log_p + _LENGTH_WEIGHT * (min(6, len(digits) / len(lines)) - 2)


def _of_single(prediction: Prediction, started: float) -> Reading:
    """The reading of input that holds at most one digit."""
    text = str(prediction.digit) if prediction.is_digit else UNREADABLE
    others = tuple((str(digit), p) for digit, p in prediction.top(4)[1:] if prediction.is_digit)
    region = prediction.region
    digit = ReadDigit(prediction, (region.left, region.top, region.side, region.side), 0)
    return Reading(text, prediction.confidence, others, (digit,), elapsed_ms=_milliseconds_since(started))


def _count(prediction: Prediction, reading: Reading | None, started: float) -> Prediction:
    n_digits = len(reading.digits) if reading else 1
    return replace(prediction, n_digits=n_digits, elapsed_ms=_milliseconds_since(started))


def _to_reading(
    lines: Sequence[Texts], digits: Sequence[ReadDigit], other: tuple[OtherInk, ...], started: float
) -> Reading:
    combined = sorted(
        (("\n".join(text for text, _ in choice), math.prod(p for _, p in choice)) for choice in product(*lines[:3])),
        key=lambda pair: -pair[1],
    )
    rest = [texts[0] for texts in lines[3:]]
    texts = [
        ("\n".join([text, *(t for t, _ in rest)]), p * math.prod((q for _, q in rest), start=1.0))
        for text, p in combined[:_N_BEST]
    ]
    best, confidence = texts[0]
    return Reading(best, confidence, tuple(texts[1:]), tuple(digits), other, elapsed_ms=_milliseconds_since(started))


def _certainty(read: Sequence[_NetworkReading]) -> float:
    """How certain the network is of its text: mean log-probability of a digit, minus infinity if there is none."""
    n_digits = sum(len(line.text) for line in read)
    if not n_digits:
        return -math.inf
    return sum(math.log(max(line.texts[0][1], 1e-30)) for line in read) / n_digits


def _milliseconds_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
