"""Evaluation sets: labelled pictures, drawings and frames, from data sets and from files.

    (evaluation_set,) = open_evaluation_sets("photos/", data_dir)
    predictions = predict_items(recognizer, evaluation_set.items)

Items go through the same methods of `Recognizer` as in the app: pictures as bytes of a file, drawings as strokes,
frames as they are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from recognition import InputError, Prediction, Recognizer
from recognition.picture import SUFFIXES
from recognition.preview import to_png
from training.corruptions import CORRUPTIONS
from training.datasets import (
    DATASETS,
    FOLDER,
    DataError,
    Digits,
    abbreviate,
    load_mnist,
    split_digits,
)
from training.datasets.drawings import parse_label, read_lines
from training.datasets.frames import to_uint8
from training.datasets.open import LOOKALIKES

NON_DIGIT = -1  # label of an item that is not a digit
VALIDATION = "mnist-validation"
# The corrupted versions of data sets.
CORRUPTED = {"corrupted-mnist": "mnist", "corrupted-mnist-validation": VALIDATION}


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture file, or the part of it within `box` = left, top, width, height in pixels."""

    path: Path
    box: tuple[int, int, int, int] | None = None

    def read(self) -> bytes:
        """The picture as the bytes of a file."""
        if self.box is None:
            return self.path.read_bytes()
        left, top, width, height = self.box
        with Image.open(self.path) as whole:
            return to_png(whole.crop((left, top, left + width, top + height)))


@dataclass(frozen=True, slots=True)
class PictureArray:
    """A picture uint8 `[H, W]`, 255 = white."""

    pixels: NDArray[np.uint8]

    def read(self) -> bytes:
        """The picture as the bytes of a file."""
        return to_png(Image.fromarray(self.pixels))


@dataclass(frozen=True, slots=True)
class StrokeInput:
    """Strokes `[[[x, y], ...], ...]`, y down, in any unit."""

    strokes: list[list[list[float]]]


@dataclass(frozen=True, slots=True)
class FrameInput:
    """A frame uint8 `[28, 28]`, 255 = ink."""

    pixels: NDArray[np.uint8]


Input = PictureFile | PictureArray | StrokeInput | FrameInput


@dataclass(frozen=True, slots=True)
class Item:
    """An input and its label."""

    name: str  # where it comes from
    label: int  # 0 to 9, or NON_DIGIT
    input: Input


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A named set of items."""

    name: str
    items: Sequence[Item]


# ---- predicting ----


def predict_items(
    recognizer: Recognizer, items: Sequence[Item], batch_size: int = 64
) -> Iterator[Prediction | InputError]:
    """A prediction or an error for each item, in order."""
    remaining = iter(items)
    while batch := list(islice(remaining, batch_size)):
        yield from _predict_batch(recognizer, [item.input for item in batch])


def _predict_batch(recognizer: Recognizer, inputs: Sequence[Input]) -> list[Prediction | InputError]:
    pictures = [item.read() for item in inputs if isinstance(item, PictureFile | PictureArray)]
    frames = [item.pixels.astype(np.float32) / np.float32(255) for item in inputs if isinstance(item, FrameInput)]
    of_pictures, of_frames = iter(recognizer.predict_pictures(pictures)), iter(recognizer.predict_frames(frames))
    results: list[Prediction | InputError] = []
    for item in inputs:
        if isinstance(item, StrokeInput):
            results.append(_predict_strokes(recognizer, item))
        else:
            results.append(next(of_frames) if isinstance(item, FrameInput) else next(of_pictures))
    return results


def _predict_strokes(recognizer: Recognizer, item: StrokeInput) -> Prediction | InputError:
    try:
        return recognizer.predict_strokes(item.strokes)
    except InputError as error:
        return error


# ---- opening ----


def open_evaluation_sets(spec: str, data_dir: Path, through: str | None = None) -> list[EvaluationSet]:
    """The sets named by `spec`: a data set, or the path of a folder, `.npz` or `.jsonl` file.

    A corrupted data set has one set per corruption; `corrupted-mnist:fog` is a single one. `through` is "frames" or
    "pictures", how items of data sets are predicted; by default, only corrupted ones are pictures. Raises `DataError`.
    """
    name, _, corruption = spec.partition(":")
    if name in CORRUPTED:
        return _corrupt(name, corruption, data_dir, through or "pictures")
    if spec == VALIDATION or spec in DATASETS:
        return [EvaluationSet(spec, _items(spec, load_digits(spec, data_dir), through or "frames"))]
    path = Path(spec.removeprefix(FOLDER))
    if path.is_dir():
        opener = _open_numbers if (path / "labels.jsonl").is_file() else _open_folder
        return [EvaluationSet(path.name, opener(path))]
    if path.is_file() and path.suffix in _FILES:
        return [EvaluationSet(path.stem, _FILES[path.suffix](path))]
    names = ", ".join([*DATASETS, VALIDATION, *CORRUPTED])
    raise DataError(f"{spec!r} is neither a data set ({names}) nor a folder, .npz or .jsonl file that exists.")


def development_sets(data_dir: Path) -> list[Path]:
    """Evaluation sets under `dev`; folders of unlabelled pictures are left out."""
    found = sorted((data_dir / "dev").glob("*"))
    return [p for p in found if p.suffix in _FILES or (p / "labels.jsonl").is_file() or (p / "1").is_dir()]


def load_digits(name: str, data_dir: Path) -> Digits:
    """The test digits of a published data set, or MNIST's validation digits. Raises `DataError`."""
    if name == VALIDATION:
        return split_digits(load_mnist(data_dir, train=True))[1]
    return DATASETS[name](data_dir, train=False)


def _items(name: str, digits: Digits, through: str) -> list[Item]:
    kind = PictureArray if through == "pictures" else FrameInput
    pairs = zip(digits.frames.numpy(), digits.labels.tolist(), strict=True)
    return [Item(f"{name} {index}", label, kind(frame)) for index, (frame, label) in enumerate(pairs)]


def _corrupt(name: str, corruption: str, data_dir: Path, through: str) -> list[EvaluationSet]:
    if corruption and corruption not in CORRUPTIONS:
        raise DataError(f"{corruption!r} is not a corruption; choose from {', '.join(CORRUPTIONS)}.")
    digits = load_digits(CORRUPTED[name], data_dir)
    clean = digits.frames.numpy().astype(np.float32) / np.float32(255)
    sets = []
    for kind in [corruption] if corruption else CORRUPTIONS:
        frames = to_uint8(CORRUPTIONS[kind](clean, np.random.default_rng(0)))
        corrupted = Digits(torch.from_numpy(frames), digits.labels)
        sets.append(EvaluationSet(f"{name}:{kind}", _items(kind, corrupted, through)))
    return sets


def _open_folder(folder: Path) -> list[Item]:
    """Sub-folders of pictures: 0 to 9 hold digits, any other name non-digits."""
    items = [
        Item(f"{path.parent.name}/{path.name}", parse_label(path.parent.name, NON_DIGIT), PictureFile(path))
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not items:
        found = abbreviate(sorted(path.name for path in folder.iterdir()))
        raise DataError(f"{folder} has no sub-folders with pictures; found {found or 'nothing'}.")
    return items


def _open_numbers(folder: Path) -> list[Item]:
    """Written numbers with a box for each digit: `labels.jsonl` has lines of `file`, `text` and `boxes`."""
    items = []
    for line in read_lines(folder / "labels.jsonl"):
        try:
            pairs = list(zip(str(line["text"]), line["boxes"], strict=True))
            for number, (character, (left, top, width, height)) in enumerate(pairs):
                picture = PictureFile(folder / line["file"], (left, top, width, height))
                items.append(Item(f"{line['file']} #{number}", parse_label(character, NON_DIGIT), picture))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder / 'labels.jsonl'} is damaged: each line needs file, text and boxes.") from error
    return items


def _open_drawings(path: Path) -> list[Item]:
    """Lines of `label` and `strokes`; labels other than 0 to 9 mark non-digits, without those that look like digits."""
    items = []
    for number, line in enumerate(read_lines(path), start=1):
        if "label" not in line or "strokes" not in line:
            raise DataError(f"{path} is damaged: line {number} needs label and strokes.")
        if str(line["label"]) not in LOOKALIKES:
            name = f"line {number} ({line['label']})"
            items.append(Item(name, parse_label(line["label"], NON_DIGIT), StrokeInput(line["strokes"])))
    return items


def _open_arrays(path: Path) -> list[Item]:
    """Pictures `x` uint8 `[N, H, W]` and labels `y` `[N]`, -1 for non-digits."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            x, y = arrays["x"], arrays["y"]
    except (KeyError, ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged, or has no arrays x and y.") from error
    if x.dtype != np.uint8 or x.ndim != 3 or y.shape != x.shape[:1]:
        raise DataError(f"{path} needs x as uint8 [N, H, W] and y as [N]; it has {x.dtype} {x.shape} and {y.shape}.")
    return [
        Item(f"{path.stem} {i}", parse_label(label, NON_DIGIT), PictureArray(pixels))
        for i, (pixels, label) in enumerate(zip(x, y.tolist(), strict=True))
    ]


_FILES: Mapping[str, Callable[[Path], list[Item]]] = {".npz": _open_arrays, ".jsonl": _open_drawings}
