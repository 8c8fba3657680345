"""Whole numbers in drawings and pictures.

    reader = NumberReader.start(read_models(settings), settings.limits)
    reading = reader.read_strokes(strokes)
    print(reading.text, reading.confidence)

One network reads each line without segmentation (`model.NumberCNN`), another the path of the pen, if it is drawn
(`model.StrokeCNN`). The recognizer looks at the pieces of the ink, alone and joined. Together they choose the text.
Input of at most one digit is the recognizer's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import repeat

from config import Limits
from recognition.engine import Engine, Models, start_engine
from recognition.errors import InputError, NoSuchPlace
from recognition.explain import Explanation
from recognition.ink import Picture
from recognition.numbers.drawn_line import DrawnLine
from recognition.numbers.lattice import build_lattice, find_spans
from recognition.numbers.lines import MAX_DRAWN_LINES, Line, darken_ink, find_lines, group_strokes
from recognition.numbers.parameters import (
    DRAWING,
    DRAWING_WITHOUT_PATH,
    MIN_SIGNED_LOG_P,
    PICTURE,
    PLAIN_PICTURE,
    Parameters,
)
from recognition.numbers.picture_line import PictureLine
from recognition.numbers.pieces import Box, InkLine
from recognition.numbers.reading import OtherInk, ReadDigit, Reading, of_lines, of_single, truncate
from recognition.numbers.rescoring import (
    NetworkReading,
    ReadLine,
    certainty,
    decode,
    evidence,
    rescore,
    without_single_digits,
)
from recognition.preview import make_preview
from recognition.recognizer import Drawn, Mode, Prediction, Recognizer, milliseconds_since
from recognition.stroke_reader import MAX_DIGITS, PathReading

MAX_PIECES = 200  # of ink of all lines that the digit network looks at, which bounds the time


class NumberReader:
    """Reads numbers with two networks, and drawings with a third. Thread-safe if the recognizer is."""

    def __init__(self, recognizer: Recognizer, engine: Engine | None) -> None:
        """Without an engine, all input is read as a single digit."""
        self.recognizer = recognizer
        self._engine = engine
        self.info = engine.info if engine else None
        self.engine = engine.name if engine else None

    @classmethod
    def start(cls, models: Models, limits: Limits, mode: Mode = "balanced") -> NumberReader:
        """A reader with engines of its own. Raises `CheckpointError`."""
        return cls(Recognizer.start(models, limits, mode), start_engine(models.numbers) if models.numbers else None)

    def read_strokes(self, strokes: object) -> Reading:
        """Read a drawing `[[[x, y], ...], ...]`, y down, any unit. Raises `InvalidStrokes` or `BlankInput`."""
        started = time.perf_counter()
        drawn = self.recognizer.predict_drawing(strokes)
        reading = self._read_drawing(drawn, started) or of_single(drawn.prediction, milliseconds_since(started))
        return self._record(reading)

    def predict_strokes(self, strokes: object) -> Prediction:
        """Recognize a drawing as one digit, as the recognizer does, and count its digits. Raises as `read_strokes`."""
        started = time.perf_counter()
        drawn = self.recognizer.predict_drawing(strokes)
        prediction = _count(drawn.prediction, self._read_drawing(drawn, started), started)
        self.recognizer.observer.record(prediction)
        return prediction

    def _read_drawing(self, drawn: Drawn, started: float) -> Reading | None:
        """The number in a drawing; None if it is read as one digit.

        Drawings of several digits, even of two that touch, hardly ever look like a digit as a whole; an 8 of two
        strokes may look like two lines.
        """
        strokes = drawn.strokes
        if self._engine is None or self.recognizer.accepts(drawn.prediction, "sure"):
            return None
        with self.recognizer.observer.time_phase("normalize"):
            groups = group_strokes(strokes)
            rows = [[strokes[i] for i in sorted(group)] for group in groups] if len(groups) <= MAX_DRAWN_LINES else []
            lines = [DrawnLine(row) for row in rows]
        paths = [drawn.path] if len(rows) == 1 else map(self.recognizer.read_path, rows)
        found = self._run_network(self._engine, lines, paths)
        if len(found) == 1 and not drawn.prediction.is_digit:
            if len(strokes) > 1 and (signed := self._read_signed_digit(found[0], started)):
                return signed
            found = [without_single_digits(found[0])]
        return self._read_lines(found, DRAWING if drawn.path else DRAWING_WITHOUT_PATH, started)

    def _read_signed_digit(self, found: NetworkReading, started: float) -> Reading | None:
        """The reading of a line with one digit and signs beside it, such as -5; None if it is another line."""
        if len(found.text) != 1:
            return None
        line, _ = self._read_line(found, DRAWING, MAX_PIECES)
        if len(line.digits) != 1 or not line.other or line.path_log_p < MIN_SIGNED_LOG_P:
            return None
        prediction, box = line.digits[0]
        if not (self.recognizer.accepts(prediction, "balanced") and all(_is_beside(sign, box) for sign in line.other)):
            return None
        return of_lines(
            [line.texts],
            [ReadDigit(prediction, box, 0)],
            [OtherInk(sign, 0) for sign in line.other],
            milliseconds_since(started),
        )

    def explain_strokes(self, strokes: object, digit: int | None = None, place: int | None = None) -> Explanation:
        """The evidence in a drawing for `digit`, by default the likeliest: in the digit at `place`, or in all of it.

        Of one digit with signs beside it, only the digit is explained. Raises `InvalidStrokes`, `BlankInput` or
        `NoSuchPlace`.
        """
        started = time.perf_counter()
        drawn = self.recognizer.predict_drawing(strokes)
        reading = self._read_drawing(drawn, started)
        prediction = _only_digit(reading) if place is None else _prediction_at(place, reading)
        return self.recognizer.explain(prediction or drawn.prediction, digit, started)

    def _record(self, reading: Reading) -> Reading:
        for digit in reading.digits:
            self.recognizer.observer.record(digit.prediction)
        if len(reading.digits) > 1:
            self.recognizer.observer.record_number(reading.confidence)
        return reading

    def read_picture(self, data: bytes, with_preview: bool = False, seconds_left: float = math.inf) -> Reading:
        """Read the bytes of a picture file. Raises `PictureError` or `BlankInput`.

        Also refuses a picture whose decoding would take more than `seconds_left` of processor time.
        """
        started = time.perf_counter()
        picture, scale = self.recognizer.decode(data, seconds_left)
        preview = make_preview(picture, scale) if with_preview else None
        reading = self._read_decoded(picture, scale, PICTURE, started)
        if reading is None:
            return replace(
                of_single(self._predict_decoded(picture, scale), milliseconds_since(started)), preview=preview
            )
        return replace(self._record(reading), preview=preview)

    def predict_picture(self, data: bytes) -> Prediction:
        """Recognize a picture file as one digit, as the recognizer does, and count its digits.

        Raises `PictureError` or `BlankInput`.
        """
        started = time.perf_counter()
        picture, scale = self.recognizer.decode(data)
        prediction = self._predict_decoded(picture, scale)
        return _count(prediction, self._read_decoded(picture, scale, PLAIN_PICTURE, started), started)

    def explain_picture(self, data: bytes, digit: int | None = None, place: int | None = None) -> Explanation:
        """As `explain_strokes`, for a picture file. Raises `PictureError`, `BlankInput` or `NoSuchPlace`."""
        if place is None:
            return self.recognizer.explain_picture(data, digit)
        started = time.perf_counter()
        picture, scale = self.recognizer.decode(data)
        prediction = _prediction_at(place, self._read_decoded(picture, scale, PICTURE, started))
        if prediction is None:
            return self.recognizer.explain_picture(data, digit)
        return self.recognizer.explain(prediction, digit, started)

    def _predict_decoded(self, picture: Picture, scale: float) -> Prediction:
        return self.recognizer.predict_candidates([self.recognizer.find_candidates(picture, scale)])[0]

    def _read_decoded(self, picture: Picture, scale: float, parameters: Parameters, started: float) -> Reading | None:
        """The number in a picture; None if there are not several digits."""
        found = self._find_numbers(self._engine, picture, scale) if self._engine else []
        return self._read_lines(found, parameters, started)

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

    def _find_numbers(self, engine: Engine, picture: Picture, scale: float) -> list[NetworkReading]:
        """The lines of a picture: those that were found, or the whole picture as one."""
        height, width = picture.shape
        with self.recognizer.observer.time_phase("normalize"):
            picture = darken_ink(picture)
            found = find_lines(picture)
        whole = [Line(0, width, 0, height)] if height <= 8 * width else []
        readings = []
        for lines in (found, whole):
            if lines and (len(lines) > 1 or width <= 32 * height):
                with self.recognizer.observer.time_phase("normalize"):
                    crops = [PictureLine(picture, line, scale) for line in lines]
                readings.append(self._run_network(engine, crops))
        return max(readings, key=certainty, default=[])

    def _run_network(
        self, engine: Engine, lines: Sequence[InkLine], paths: Iterable[PathReading | None] = repeat(None)
    ) -> list[NetworkReading]:
        """What the network reads in each line with digits, up to the line with the first digit over `MAX_DIGITS`."""
        read, n_left = [], MAX_DIGITS
        for line, path in zip(lines, paths, strict=False):
            with self.recognizer.observer.time_phase("network"):
                logits = engine.logits(line.strip[None])[0]
            if found := decode(line, logits, engine.info.temperature, path):
                read.append(found)
                n_left -= len(found.text)
            if n_left < 0:
                break
        return read

    def _read_lines(self, found: Sequence[NetworkReading], parameters: Parameters, started: float) -> Reading | None:
        """The number in lines; None if there are not several digits that the networks take for such."""
        if sum(len(line.text) for line in found) < 2:
            return None
        read, n_left, pieces_left = [], MAX_DIGITS, MAX_PIECES
        for line in found:
            known, n_pieces = self._read_line(line, parameters, pieces_left)
            pieces_left -= n_pieces
            read.append(replace(known, texts=truncate(known.texts, n_left), digits=known.digits[:n_left]))
            n_left -= len(known.digits)
            if n_left <= 0:
                break
        digits = [ReadDigit(*digit, number) for number, line in enumerate(read) for digit in line.digits]
        in_one = sum(line.n_sources for line in read) == 1
        min_evidence = parameters.min_evidence_in_one if in_one else parameters.min_evidence
        if in_one and {digit for line in read for digit in line.texts[0][0]} == {"1"}:
            min_evidence = parameters.min_evidence_of_ones
        if len(digits) < 2 or evidence(read) < min_evidence:
            return None
        other = [OtherInk(box, number) for number, line in enumerate(read) for box in line.other]
        is_truncated = n_left < 0 or len(read) < len(found)
        return of_lines([line.texts for line in read], digits, other, milliseconds_since(started), is_truncated)

    def _read_line(self, found: NetworkReading, parameters: Parameters, max_pieces: int) -> tuple[ReadLine, int]:
        """What the networks read in a line, without the recognizer if it has too many pieces; and how many it has."""
        with self.recognizer.observer.time_phase("normalize"):
            pieces = found.line.pieces(found.cuts)
            spans = find_spans(pieces, max_pieces)
        predictions = self.recognizer.predict_frames([frame for _, frame, _ in spans])
        lattice = build_lattice(pieces, spans, predictions) if spans else None
        line = rescore(found, pieces, lattice, parameters)
        return line, len(pieces.boxes) if lattice else 0


def _is_beside(sign: Box, digit: Box) -> bool:
    """Whether more than half of a sign is left or right of a digit, rather than above, below or in it."""
    left, right = max(sign[0], digit[0]), min(sign[0] + sign[2], digit[0] + digit[2])
    return right - left < 0.5 * sign[2] or right <= left


def _prediction_at(place: int, reading: Reading | None) -> Prediction | None:
    """The prediction for a digit of a number; None if the input was read as one digit. Raises `NoSuchPlace`."""
    n_digits = len(reading.digits) if reading else 1
    if place >= n_digits:
        raise NoSuchPlace(place, n_digits)
    return reading.digits[place].prediction if reading else None


def _only_digit(reading: Reading | None) -> Prediction | None:
    """The prediction for a digit with signs beside it; None if the input was read as something else."""
    return reading.digits[0].prediction if reading and len(reading.digits) == 1 else None


def _count(prediction: Prediction, reading: Reading | None, started: float) -> Prediction:
    """The prediction for the input, or for its only digit if there are signs beside it, with the number of digits."""
    prediction = _only_digit(reading) or prediction
    n_digits = len(reading.digits) if reading else 1
    return replace(prediction, n_digits=n_digits, elapsed_ms=milliseconds_since(started))
