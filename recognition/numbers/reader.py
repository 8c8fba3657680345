"""Whole numbers in drawings and pictures.

    reader = NumberReader(recognizer, start_engine(read_model(Path("number_model.pth"), reads_numbers=True)))
    reading = reader.read_strokes(strokes)
    print(reading.text, reading.confidence)

One network reads each line without segmentation (`model.NumberCNN`); where it finds a digit, the recognizer looks at
it alone, for its box, its frame and the next likely digits. Input of at most one digit is the recognizer's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import cv2
import numpy as np
from numpy.typing import NDArray

from model_file import N_DIGITS, STRIP_HEIGHT
from recognition.engine import Engine
from recognition.errors import BlankInput, InputError
from recognition.ink import Stroke, draw_with_region, smooth, validate_strokes
from recognition.normalize import Candidate, find_candidates
from recognition.numbers.ctc import align, best_texts
from recognition.numbers.lines import Line, crop_line, darken_ink, find_lines, group_strokes
from recognition.numbers.strips import Strip, to_strip
from recognition.paper import Picture
from recognition.preview import Preview, make_preview
from recognition.recognizer import Prediction, Recognizer

MAX_DIGITS = 100
UNREADABLE = "?"
_STEP = 2  # columns of a strip per step of the network
_PEN = 2.6  # pixels of a strip
_INK_HEIGHT = 25.0  # of a drawn line in its strip
_MARGIN = 7  # pixels of a strip left and right of a drawn line
_N_BEST = 4
# Several digits are a number if their mean digit score, and the mean log-probability of a digit of the text times this
# weight, add up to at least so much. Chosen on the development sets, of whose numbers it refuses 1 % that are read
# right.
_CONFIDENCE_WEIGHT = 8.0
_MIN_EVIDENCE = -1.0

Box = tuple[float, float, float, float]  # left, top, width and height, in units of the drawing or pixels of the picture
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReadDigit:
    """A digit of a number."""

    prediction: Prediction
    box: Box
    line: int  # from 0


@dataclass(frozen=True, slots=True)
class Reading:
    """The number in a drawing or picture."""

    text: str  # lines are separated by "\n"; "?" stands for a digit that cannot be read
    confidence: float  # calibrated probability that the whole text is right
    alternatives: tuple[tuple[str, float], ...]  # other texts with their confidences
    digits: tuple[ReadDigit, ...]
    preview: Preview | None = None  # the picture, if requested
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _ReadLine:
    """The likeliest texts of a line with their probabilities, and the steps of each digit of the first."""

    texts: list[tuple[str, float]]
    log_p: Array  # [T, 11]
    places: list[tuple[int, int]]

    @property
    def text(self) -> str:
        return self.texts[0][0]

    def without_single_digits(self) -> _ReadLine:
        """The same line, known not to be one digit; unchanged if no text has several."""
        several = [pair for pair in self.texts if len(pair[0]) > 1]
        return _ReadLine(several, self.log_p, align(self.log_p, several[0][0])) if several else self

    def cuts(self) -> list[float]:
        """Columns of the strip between which the digits are: one more than there are digits."""
        inner = [(before[1] + after[0] + 1) / 2 * _STEP for before, after in pairwise(self.places)]
        return [-math.inf, *inner, math.inf]

    def probability(self, index: int) -> NDArray[np.float64]:
        """Probabilities `[10]` of the digits in place `index`."""
        first, last = self.places[index]
        p: NDArray[np.float64] = np.exp(self.log_p[first : last + 1, :N_DIGITS].astype(np.float64)).max(axis=0)
        p /= p.sum()
        return p


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
        with self._recognizer.observer.time_phase("normalise"):
            drawn = validate_strokes(strokes, self._recognizer.limits)
            frame, region = draw_with_region(drawn)
        # Drawings of several digits, even of two that touch, hardly ever look like a digit as a whole; an 8 of two
        # strokes may look like two lines.
        whole = replace(self._recognizer.predict_frames([frame])[0], region=region)
        if self._engine is None or self._recognizer.accepts(whole, "sure"):
            return self._record_single(whole, started)
        with self._recognizer.observer.time_phase("normalise"):
            lines = [[drawn[i] for i in line] for line in group_strokes(drawn)]
            strips = [draw_strip(line) for line in lines]
        read = self._read_strips(self._engine, [strip for strip, _, _ in strips])
        if len(read) == 1 and not whole.is_digit:
            read = [read[0].without_single_digits()]
        found = [each for each in zip(lines, read, strips, strict=True) if each[1].text]
        read = [known for _, known, _ in found]
        if sum(len(line.text) for line in read) <= 1:
            return self._record_single(whole, started)
        parts: list[tuple[int, int, list[Stroke]]] = []
        for number, (line, known, (_, unit, left)) in enumerate(found):
            cuts = [left + cut * unit for cut in known.cuts()]
            parts += [(number, index, part) for index, part in enumerate(_part(line, cuts))]
        frames = [draw_with_region(part) for _, _, part in parts]
        predictions = self._recognizer.predict_candidates([[Candidate(frame, 0.0, region)] for frame, region in frames])
        digits = [
            ReadDigit(_agree(prediction, read[number], index), _extent(part), number)
            for (number, index, part), prediction in zip(parts, predictions, strict=True)
        ]
        if not _is_number(read, digits):
            return self._record_single(whole, started)
        return _to_reading(read, digits, started)

    def _record_single(self, prediction: Prediction, started: float) -> Reading:
        self._recognizer.observer.record(prediction)
        return _of_single(prediction, started)

    def read_picture(self, data: bytes, with_preview: bool = False, seconds_left: float = math.inf) -> Reading:
        """Read the bytes of a picture file. Raises `PictureError` or `BlankInput`.

        Also refuses a picture whose decoding would take more than `seconds_left` of processor time.
        """
        started = time.perf_counter()
        picture, scale = self._recognizer.decode(data, seconds_left)
        preview = make_preview(picture, scale) if with_preview else None
        dark = darken_ink(picture)
        lines, read = self._read_lines(self._engine, dark) if self._engine else ([], [])
        several = sum(len(line.text) for line in read) > 1
        digits = self._look_at_digits(dark, lines, read, scale) if several else []
        if not _is_number(read, digits):
            with self._recognizer.observer.time_phase("normalise"):
                candidates = [replace(c, region=c.region.scaled(scale)) for c in find_candidates(picture)]
            single = self._recognizer.predict_candidates([candidates])[0]
            return replace(_of_single(single, started), preview=preview)
        return replace(_to_reading(read, digits, started), preview=preview)

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

    def _read_lines(self, engine: Engine, picture: Picture) -> tuple[list[Line], list[_ReadLine]]:
        """The lines with digits of a picture of dark ink: among those that were found, or the whole picture as one."""
        height, width = picture.shape
        readings = []
        with self._recognizer.observer.time_phase("normalise"):
            found = find_lines(picture)
        whole = [Line(0, width, 0, height)] if height <= 8 * width else []
        for lines in (found, whole):
            if lines and (len(lines) > 1 or width <= 32 * height):
                strips = [to_strip(crop_line(picture, line)) for line in lines]
                readings.append((lines, self._read_strips(engine, strips)))
        lines, read = max(readings, key=lambda each: _quality(each[1]), default=([], []))
        kept = [i for i, known in enumerate(read) if known.text]
        return [lines[i] for i in kept], [read[i] for i in kept]

    def _read_strips(self, engine: Engine, strips: Sequence[Strip]) -> list[_ReadLine]:
        read, n_left = [], MAX_DIGITS
        for strip in strips:
            with self._recognizer.observer.time_phase("network"):
                logits = engine.logits(strip[None])[0] / np.float32(engine.info.temperature)
            log_p = logits - logits.max(axis=1, keepdims=True)
            log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
            # Rounding may add up to more than 1.
            texts = [(text[:n_left], min(1.0, math.exp(score))) for text, score in best_texts(log_p, _N_BEST)]
            n_left -= len(texts[0][0])
            read.append(_ReadLine(texts, log_p, align(log_p, texts[0][0])))
        return read

    def _look_at_digits(
        self, picture: Picture, lines: Sequence[Line], read: Sequence[_ReadLine], scale: float
    ) -> list[ReadDigit]:
        found: list[tuple[int, int, Box, list[Candidate]]] = []
        for number, (line, known) in enumerate(zip(lines, read, strict=True)):
            column = (line.bottom - line.top) / STRIP_HEIGHT  # pixels of the picture per column of the strip
            limits = [line.left, line.right]
            for index, (start, end) in enumerate(pairwise(known.cuts())):
                left = max(limits[0], line.left + start * column)
                right = max(left + 1, min(limits[1], line.left + end * column))
                middle = (left + right) / 2 - line.left
                top = line.top + line.slope * middle
                height = line.bottom - line.top
                rows = slice(max(0, int(top)), max(1, int(top + height)))
                columns = slice(max(0, int(left)), max(1, int(right)))
                box = (left * scale, top * scale, (right - left) * scale, height * scale)
                found.append(
                    (number, index, box, _candidates(picture[rows, columns], columns.start, rows.start, scale))
                )
        seen = iter(self._recognizer.predict_candidates([candidates for *_, candidates in found if candidates]))
        return [
            ReadDigit(_agree(next(seen) if candidates else None, read[number], index), box, number)
            for number, index, box, candidates in found
        ]


def _candidates(cell: Picture, left: int, top: int, scale: float) -> list[Candidate]:
    if not cell.size:  # outside of a picture that is smaller than its digits
        return []
    try:
        return [replace(c, region=c.region.scaled(scale, left * scale, top * scale)) for c in find_candidates(cell)]
    except BlankInput:
        return []


def draw_strip(strokes: Sequence[Stroke]) -> tuple[Strip, float, float]:
    """The strip of a line of a drawing, the drawing's units per column, and where in it the strip begins."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (high - low).tolist()
    unit = max(height, width / 16, 1e-6) / (_INK_HEIGHT - _PEN)
    columns = min(1_000, round(width / unit)) + 2 * _MARGIN
    fine = 4
    canvas = np.zeros((STRIP_HEIGHT * fine, columns * fine), np.uint8)
    offset = np.array([_MARGIN, (STRIP_HEIGHT - height / unit) / 2])
    for stroke in strokes:
        line = smooth((stroke - low) / unit + offset, 0.5)
        fixed = np.round((np.vstack([line, line[-1:]]) * fine - 0.5) * 256).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, round(_PEN * fine), cv2.LINE_AA, 8)
    ink = cv2.resize(canvas, (columns, STRIP_HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    return to_strip(ink / np.float32(255)), unit, float(low[0]) - _MARGIN * unit


def _part(strokes: Sequence[Stroke], cuts: Sequence[float]) -> list[list[Stroke]]:
    """The strokes of each digit: a stroke that is mostly in one place stays whole, others are cut."""
    parts: list[list[Stroke]] = [[] for _ in range(len(cuts) - 1)]
    for stroke in strokes:
        owner = np.searchsorted(np.asarray(cuts[1:-1]), stroke[:, 0])
        counts = np.bincount(owner, minlength=len(parts))
        if counts.max() >= 0.75 * len(stroke):
            parts[int(counts.argmax())].append(stroke)
            continue
        for piece in np.split(np.arange(len(stroke)), np.flatnonzero(np.diff(owner)) + 1):
            if len(piece) > 1:
                parts[int(owner[piece[0]])].append(stroke[piece])
    middle = np.concatenate(strokes).mean(axis=0, keepdims=True)
    return [part or [middle] for part in parts]


def _agree(prediction: Prediction | None, line: _ReadLine, index: int) -> Prediction:
    """What both networks say about a digit: the mean of their probabilities."""
    p = line.probability(index)
    if prediction is None:
        return Prediction(tuple(p.tolist()), 0.0, False, np.zeros((28, 28), np.float32))
    both = (p + np.array(prediction.probabilities)) / 2
    digit = int(line.text[index])
    agrees = prediction.digit == digit
    # The digit of the text stays the likeliest; where the networks differ, its probability shows it.
    if not agrees:
        both[digit] = max(both[digit], float(both.max()) * 1.001)
        both /= both.sum()
    return replace(prediction, probabilities=tuple(both.tolist()), is_digit=prediction.is_digit or agrees)


def _is_number(read: Sequence[_ReadLine], digits: Sequence[ReadDigit]) -> bool:
    """Whether there are several digits, and both networks together take them for digits."""
    if len(digits) < 2:
        return False
    score = sum(digit.prediction.digit_score for digit in digits) / len(digits)
    log_p = sum(math.log(max(line.texts[0][1], 1e-30)) for line in read) / len(digits)
    return score + _CONFIDENCE_WEIGHT * log_p >= _MIN_EVIDENCE


def _of_single(prediction: Prediction, started: float) -> Reading:
    """The reading of input that holds at most one digit."""
    text = str(prediction.digit) if prediction.is_digit else UNREADABLE
    others = tuple((str(digit), p) for digit, p in prediction.top(4)[1:] if prediction.is_digit)
    region = prediction.region
    digit = ReadDigit(prediction, (region.left, region.top, region.side, region.side), 0)
    return Reading(text, prediction.confidence, others, (digit,), elapsed_ms=_milliseconds_since(started))


def _to_reading(read: Sequence[_ReadLine], digits: Sequence[ReadDigit], started: float) -> Reading:
    per_line = [line.texts for line in read if line.text]
    combined = sorted(
        (("\n".join(text for text, _ in choice), math.prod(p for _, p in choice)) for choice in product(*per_line[:3])),
        key=lambda pair: -pair[1],
    )
    rest = [texts[0] for texts in per_line[3:]]
    texts = [
        ("\n".join([text, *(t for t, _ in rest)]), p * math.prod((q for _, q in rest), start=1.0))
        for text, p in combined[:_N_BEST]
    ]
    best, confidence = texts[0]
    return Reading(best, confidence, tuple(texts[1:]), tuple(digits), elapsed_ms=_milliseconds_since(started))


def _quality(read: Sequence[_ReadLine]) -> float:
    """How certain the network is of its text: mean log-probability of a digit, minus infinity if there is none."""
    n_digits = sum(len(line.text) for line in read)
    if not n_digits:
        return -math.inf
    return sum(math.log(max(line.texts[0][1], 1e-30)) for line in read if line.text) / n_digits


def _extent(strokes: Sequence[Stroke]) -> Box:
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    return (*low.tolist(), *(high - low).tolist())


def _milliseconds_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
