"""How many whole numbers are read right: composed ones, drawn ones, cheque amounts, single digits; and non-digits.

    python -m benchmarks.numbers                    # needs MNIST and the development sets under DIGITS_DATA_DIR
    python -m benchmarks.numbers --model runs/number_model.pth --limit 300

Writes benchmarks/results/numbers.md, numbers.csv for the app to show, and a sheet of the misread ones of each set to
reports/numbers/.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.report import RESULTS, Report
from config import ROOT, Settings
from model_file import Purpose
from recognition import InputError, Recognizer
from recognition.engine import read_model, read_models
from recognition.numbers.drawn_line import draw_strip
from recognition.numbers.reader import NumberReader
from recognition.numbers.reading import Reading
from recognition.preview import to_png
from recognition.strokes import Stroke
from storage import write_atomically
from training.calibration import expected_calibration_error
from training.datasets import load_mnist
from training.datasets.drawings import read_lines
from training.evaluation_sets import Item, PictureFile, StrokeInput, open_evaluation_sets
from training.numbers.writers import group_by_width
from training.reports import record_in_manifest

_N = 1_000
_TILE = 300, 44  # pixels of a misread number on a sheet


@dataclass(frozen=True, slots=True)
class Number:
    """A number to read: the bytes of a picture, or strokes."""

    text: str
    given: bytes | list[list[list[float]]]

    def read(self, reader: NumberReader) -> Reading | InputError:
        """What the reader says."""
        try:
            given = self.given
            return reader.read_picture(given) if isinstance(given, bytes) else reader.read_strokes(given)
        except InputError as error:
            return error

    def picture(self) -> Image.Image:
        """For a sheet."""
        if isinstance(self.given, bytes):
            return Image.open(io.BytesIO(self.given)).convert("L")
        strip, _, _ = draw_strip([np.array(stroke) for stroke in self.given])
        return Image.fromarray((255 - strip.clip(0, 1) * 255).astype(np.uint8))


# ---- sets ----


def compose_mnist(data_dir: Path, share_touching: float) -> Iterator[Number]:
    """Numbers of 2 to 6 of MNIST's test digits as they are, alike in width, on white paper."""
    writers, rng = group_by_width(load_mnist(data_dir, train=False), 6), np.random.default_rng(0)
    for _ in range(_N):
        writer, row = writers[rng.integers(len(writers))], np.zeros((30, 1), np.uint8)
        is_touching = rng.random() < share_touching
        text = _text(rng)
        for label in map(int, text):
            digit = np.asarray(writer.glyphs[label][rng.integers(len(writer.glyphs[label]))], np.uint8)
            up = int(rng.integers(0, 3))
            gap = rng.uniform(-2.4, 0.6) if is_touching else rng.uniform(2, 12)
            row = _append(row, np.pad(digit, ((2 - up, up), (0, 0))), round(gap))
        picture = cv2.copyMakeBorder(cv2.resize(row, None, fx=2, fy=2), 20, 20, 20, 20, cv2.BORDER_CONSTANT)
        yield Number(text, to_png(Image.fromarray(255 - picture)))


def _append(row: NDArray[np.uint8], digit: NDArray[np.uint8], gap: int) -> NDArray[np.uint8]:
    """The row with a digit at its end, their nearest ink `gap` pixels apart."""
    columns = np.flatnonzero(digit.any(axis=0))
    digit = digit[:, columns[0] : columns[-1] + 1]
    if not row.any():
        return digit
    # Ink in neighbouring rows counts, too: strokes must not pass within a pixel of each other.
    right, left = (cv2.dilate(each, np.ones((3, 1), np.uint8)) > 60 for each in (row, digit))
    inked = right.any(axis=1) & left.any(axis=1)
    reach = row.shape[1] - right[:, ::-1].argmax(axis=1) - left.argmax(axis=1)
    start = max(1, (int(reach[inked].max()) if inked.any() else row.shape[1]) + gap)
    longer = np.zeros((len(row), max(row.shape[1], start + digit.shape[1])), np.uint8)
    longer[:, : row.shape[1]] = row
    place = longer[:, start : start + digit.shape[1]]
    np.maximum(place, digit, out=place)
    return longer


def draw_numbers(
    data_dir: Path, gap: Callable[[Generator], float], choose: Callable[[Generator], str] | None = None
) -> Iterator[Number]:
    """Numbers of 2 to 6 pen digits by one development writer, as strokes; `choose` gives others, also with signs."""
    writers: dict[str, dict[str, list[list[Stroke]]]] = defaultdict(lambda: defaultdict(list))
    for line in read_lines(data_dir / "dev" / "pen_digits.jsonl"):
        writers[line["writer"]][str(line["label"])].append([np.array(stroke, float) for stroke in line["strokes"]])
    complete = [writer for writer in writers.values() if len(writer) == 10]
    rng = np.random.default_rng(0)
    for _ in range(_N):
        text, writer = (choose or _text)(rng), complete[rng.integers(len(complete))]
        strokes: list[list[list[float]]] = []
        right, last_width = 0.0, 0.0
        for label in text:
            if label in _SIGNS:
                right += 0.15 + rng.uniform(0, 0.1)
                strokes += [[[right + x, y] for x, y in stroke] for stroke in _SIGNS[label]]
                last_width = 0.0
                continue
            digit = writer[label][rng.integers(len(writer[label]))]
            points = np.concatenate(digit)
            low, high = points.min(axis=0), points.max(axis=0)
            height = max(1e-6, high[1] - low[1])
            width = (high[0] - low[0]) / height
            # A digit must not vanish behind a broader one.
            left = right + max(gap(rng), -0.3 * min(width, last_width))
            strokes += [((s - low) / height + np.array([left, rng.normal(0, 0.04)])).tolist() for s in digit]
            right, last_width = left + width, width
        yield Number("".join(filter(str.isdigit, text)), strokes)


# The strokes of signs between digits, in heights of a digit.
_SIGNS = {
    ".": [[[0.0, 0.97], [0.02, 1.0]]],
    ",": [[[0.03, 0.93], [0.02, 1.05], [-0.04, 1.15]]],
    ":": [[[0.0, 0.3], [0.02, 0.33]], [[0.0, 0.8], [0.02, 0.83]]],
}


def choose_everyday_number(rng: Generator) -> str:
    """A ZIP code, an amount or a time, as in the tests of the MDW database."""
    kind = rng.integers(3)
    if kind == 0:
        return f"{rng.integers(100_000):05}"
    if kind == 1:
        return f"{rng.integers(1, 10 ** rng.integers(1, 5))}{rng.choice(['.', ','])}{rng.integers(100):02}"
    return f"{rng.integers(24)}:{rng.integers(60):02}"


def read_amounts(data_dir: Path) -> Iterator[Number]:
    """Amounts cut from cheques."""
    folder = data_dir / "dev" / "amounts"
    for line in read_lines(folder / "labels.jsonl"):
        yield Number(str(line["text"]), (folder / line["file"]).read_bytes())


def _text(rng: Generator) -> str:
    return "".join(map(str, rng.integers(0, 10, rng.integers(2, 7))))


def single_digits(data_dir: Path, name: str) -> list[Number]:
    """The digits of a development set, without its non-digits."""
    (found,) = open_evaluation_sets(str(data_dir / "dev" / name), data_dir)
    return [Number(str(item.label), _given(item)) for item in found.items if item.label >= 0]


def non_digits(data_dir: Path, name: str) -> list[Number]:
    """The letters, signs or characters of a development set that do not look like digits."""
    (found,) = open_evaluation_sets(str(data_dir / "dev" / name), data_dir)
    return [Number("", _given(item)) for item in found.items if item.label < 0]


def _given(item: Item) -> bytes | list[list[list[float]]]:
    if isinstance(item.input, StrokeInput):
        return item.input.strokes
    assert isinstance(item.input, PictureFile)
    return item.input.read()


# ---- measures ----


def measure(reader: NumberReader, numbers: Sequence[Number], sheet: Path) -> tuple[float, float]:
    """Share of the numbers that are read right, and the calibration error of their confidence; writes a sheet."""
    readings = [number.read(reader) for number in numbers]
    texts = ["" if isinstance(each, InputError) else each.text for each in readings]
    right = np.array([text == number.text for text, number in zip(texts, numbers, strict=True)])
    confidence = np.array([0.0 if isinstance(each, InputError) else each.confidence for each in readings])
    wrong = [(number, text) for number, text, ok in zip(numbers, texts, right, strict=True) if not ok]
    _save_sheet(wrong[:80], sheet)
    error = expected_calibration_error(torch.from_numpy(confidence).float(), torch.from_numpy(right))
    return float(right.mean()), error


def measure_accepted(reader: NumberReader, items: Sequence[Number]) -> tuple[float, float]:
    """Shares of the non-digits that are read as one digit, and as a number."""
    readings = [reading for item in items if not isinstance(reading := item.read(reader), InputError)]
    as_number = sum(len(reading.digits) > 1 for reading in readings)
    as_digit = sum(len(reading.digits) == 1 and reading.digits[0].prediction.is_digit for reading in readings)
    return as_digit / len(items), as_number / len(items)


def _thin_out(items: list[Number], limit: int | None) -> list[Number]:
    return items[:: max(1, len(items) // limit)] if limit else items


def _save_sheet(wrong: Sequence[tuple[Number, str]], path: Path) -> None:
    width, height = _TILE
    sheet = Image.new("L", (4 * width, height * -(-len(wrong) // 4) or 1), 200)
    for index, (number, text) in enumerate(wrong):
        x, y = index % 4 * width, index // 4 * height
        picture = number.picture()
        picture.thumbnail((width - 130, height - 4))
        sheet.paste(picture, (x, y))
        ImageDraw.Draw(sheet).text((x + width - 125, y + 12), f"{number.text} read {text or 'nothing'}"[:24], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> int:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="the number reader's checkpoint, by default the one that is served")
    parser.add_argument("--limit", type=int, help="read at most so many numbers of each set")
    options = parser.parse_args()
    settings = Settings.load()
    options.model = options.model or settings.number_model_path
    models = read_models(settings, with_numbers=False)._replace(
        numbers=read_model(options.model, purpose=Purpose.NUMBERS)
    )
    reader = NumberReader.start(models, settings.limits)
    recognizer = reader.recognizer
    root, reports = settings.data_dir, ROOT / "reports" / "numbers"
    sets: dict[str, Iterator[Number]] = {
        "MNIST test digits, apart": compose_mnist(root, 0.0),
        "MNIST test digits, 30 % touching": compose_mnist(root, 0.3),
        "drawn, apart": draw_numbers(root, lambda rng: rng.uniform(0.15, 0.6)),
        "drawn, touching or overlapping": draw_numbers(root, lambda rng: rng.uniform(-0.12, 0.03)),
        "ZIP codes, amounts and times, drawn": draw_numbers(
            root, lambda rng: rng.uniform(0.15, 0.6), choose_everyday_number
        ),
        "cheque amounts": read_amounts(root),
    }
    report = Report("Whole numbers")
    rows: list[list[object]] = []
    figures = []  # for the app's page about the model
    for name, numbers in sets.items():
        items = list(numbers)[: options.limit]
        right, error = measure(reader, items, reports / f"{name}.png")
        rows.append([name, len(items), f"{100 * right:.1f}", f"{100 * error:.1f}"])
        figures.append({"set": name, "n": len(items), "right": round(right, 3), "ece": round(error, 3)})
        print(rows[-1], flush=True)
    report.table(["set", "n", "whole numbers right %", "calibration error %"], rows)
    rows = []
    for name in ("pen_digits.jsonl", "swiss", "photo_cells"):
        items = _thin_out(single_digits(root, name), options.limit)
        right, _ = measure(reader, items, reports / f"{name}.png")
        alone = np.mean([_predict(recognizer, item) == item.text for item in items])
        rows.append([name, len(items), f"{100 * right:.1f}", f"{100 * float(alone):.1f}"])
        print(rows[-1], flush=True)
    report.table(["single digits", "n", "right and accepted by read %", "by predict %"], rows)
    rows = []
    for name in ("pen_letters.jsonl", "pen_punctuation.jsonl", "pen_other_scripts.jsonl"):
        items = _thin_out(non_digits(root, name), options.limit)
        as_digit, as_number = measure_accepted(reader, items)
        rows.append([name, len(items), f"{100 * as_digit:.1f}", f"{100 * as_number:.1f}"])
        print(rows[-1], flush=True)
    report.table(["non-digits", "n", "read as a digit %", "read as a number %"], rows)
    if options.limit is None and options.model == settings.number_model_path:
        assert reader.info is not None
        table = pd.DataFrame(figures).assign(number_model=reader.info.id)
        path = settings.model_path.with_name("numbers.csv")
        write_atomically(path, str(table.to_csv(index=False)).encode())
        record_in_manifest(settings.model_path, recognizer.info.id, {"numbers": path})
    ids = ", ".join(f"{name} {model.info.id}" for name, model in models._asdict().items() if model)
    report.say(f"Models: {ids}; `python -m benchmarks.numbers`.")
    return report.publish(RESULTS / "numbers.md")


def _predict(recognizer: Recognizer, number: Number) -> str:
    try:
        given = number.given
        if isinstance(given, bytes):
            prediction = recognizer.predict_picture(given)
        else:
            prediction = recognizer.predict_strokes(given)
    except InputError:
        return ""
    return str(prediction.digit) if prediction.is_digit else "?"


if __name__ == "__main__":
    sys.exit(main())
