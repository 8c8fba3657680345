"""What `evaluate_model.py` measures on: labelled pictures, drawings and frames, from any of the forms they come in.

    material = open_material("photos/", data_dir)

Each item goes through the same door of `recognition.Recognizer` that the app uses for its kind: a picture as the bytes
of a file, a drawing as strokes, an MNIST digit as a frame.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition import InputError, Prediction, Recognizer
from training.data import DataError, Digits, split_digits
from training.folders import PICTURE_SUFFIXES
from training.published import load_mnist
from training.sources import PUBLISHED

NO_DIGIT = -1  # the label of an item that is no digit


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture file, or the part of it within `box` = left, top, width, height in pixels."""

    path: Path
    box: tuple[int, int, int, int] | None = None

    def read(self) -> bytes:
        """The bytes of a file that holds this picture."""
        if self.box is None:
            return self.path.read_bytes()
        left, top, width, height = self.box
        with Image.open(self.path) as whole:
            return _png(whole.crop((left, top, left + width, top + height)))


@dataclass(frozen=True, slots=True)
class PictureArray:
    """A picture uint8 `[H, W]`, as luminance: 255 = white."""

    pixels: NDArray[np.uint8]

    def read(self) -> bytes:
        """The bytes of a file that holds this picture."""
        return _png(Image.fromarray(self.pixels))


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pen strokes `[[[x, y], ...], ...]`, y down, in any unit."""

    strokes: list[list[list[float]]]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A digit uint8 `[28, 28]` in the frame's geometry already, 255 = ink."""

    pixels: NDArray[np.uint8]


Source = PictureFile | PictureArray | Drawing | RawFrame


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to read, and what a person says it is."""

    name: str  # where it comes from, for lists of mistakes
    label: int  # 0 to 9, or NO_DIGIT
    source: Source


@dataclass(frozen=True, slots=True)
class Material:
    """A named set of items."""

    name: str
    items: Sequence[Item]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


# ---- reading ----


def read_items(
    recognizer: Recognizer, items: Sequence[Item], batch_size: int = 64
) -> Iterator[Prediction | InputError]:
    """What `recognizer` answers to each item, in order, or what it finds wrong with it."""
    remaining = iter(items)
    while batch := list(islice(remaining, batch_size)):
        yield from _read_batch(recognizer, [item.source for item in batch])


def _read_batch(recognizer: Recognizer, sources: Sequence[Source]) -> list[Prediction | InputError]:
    pictures = [source for source in sources if isinstance(source, PictureFile | PictureArray)]
    frames = [source for source in sources if isinstance(source, RawFrame)]
    of_pictures = iter(recognizer.predict_pictures([picture.read() for picture in pictures]))
    of_frames = iter(recognizer.predict_frames([frame.pixels.astype(np.float32) / np.float32(255) for frame in frames]))
    answers: list[Prediction | InputError] = []
    for source in sources:
        if isinstance(source, Drawing):
            answers.append(_read_drawing(recognizer, source))
        else:
            answers.append(next(of_frames) if isinstance(source, RawFrame) else next(of_pictures))
    return answers


def _read_drawing(recognizer: Recognizer, drawing: Drawing) -> Prediction | InputError:
    try:
        return recognizer.predict_strokes(drawing.strokes)
    except InputError as error:
        return error


# ---- opening ----


def open_material(spec: str, data_dir: Path, *, as_pictures: bool = False) -> Material:
    """The material named by `spec`: a data set's name, or the path of a folder, `.npz` or `.jsonl` file.

    `as_pictures` sends data sets whose digits are frames already through the door for pictures. Raises `DataError`.
    """
    if spec in _DATA_SETS:
        return Material(spec, list(items_of_digits(spec, load_digits(spec, data_dir), as_pictures=as_pictures)))
    path = Path(spec.removeprefix("folder:"))
    if path.is_dir():
        opener = _open_amounts if (path / "labels.jsonl").is_file() else _open_folder
        return Material(path.name, opener(path))
    if path.is_file() and path.suffix in _FILES:
        return Material(path.stem, _FILES[path.suffix](path))
    raise DataError(
        f"{spec!r} is neither a data set ({', '.join(_DATA_SETS)}) nor a folder, .npz or .jsonl file that exists."
    )


def load_digits(name: str, data_dir: Path) -> Digits:
    """The test digits of a published data set, or MNIST's validation digits. Raises `DataError`."""
    return _DATA_SETS[name](data_dir)


def _validation_of(data_dir: Path) -> Digits:
    """The MNIST digits that every training keeps for validation."""
    return split_digits(load_mnist(data_dir, train=True))[1]


_DATA_SETS: Mapping[str, Callable[[Path], Digits]] = {
    **{name: partial(load, train=False) for name, load in PUBLISHED.items()},
    "mnist-validation": _validation_of,
}


def items_of_digits(name: str, digits: Digits, *, as_pictures: bool) -> Iterator[Item]:
    """The digits as items, read as frames or as picture files."""
    kind = PictureArray if as_pictures else RawFrame
    for index, (frame, label) in enumerate(zip(digits.frames.numpy(), digits.labels.tolist(), strict=True)):
        yield Item(f"{name} {index}", label, kind(frame))


def _open_folder(folder: Path) -> list[Item]:
    """Sub-folders of pictures: 0 to 9 hold digits, any other name something that is none."""
    items = [
        Item(f"{path.parent.name}/{path.name}", digit_or_none(path.parent.name), PictureFile(path))
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]
    if not items:
        found = sorted(path.name for path in folder.iterdir())
        held = f"it holds {', '.join(found[:8])}{' ...' if len(found) > 8 else ''}" if found else "it is empty"
        raise DataError(f"{folder} has no sub-folders with pictures: {held}.")
    return items


def digit_or_none(label: object) -> int:
    """The digit that `label` (a number, or its figure as text) stands for, or `NO_DIGIT`."""
    text = str(label)
    return int(text) if len(text) == 1 and text in "0123456789" else NO_DIGIT


def _open_amounts(folder: Path) -> list[Item]:
    """Written numbers with a box for each digit: `labels.jsonl` has lines of `file`, `text` and `boxes`."""
    items = []
    for line in _json_lines(folder / "labels.jsonl"):
        try:
            pairs = list(zip(str(line["text"]), line["boxes"], strict=True))
            for number, (figure, (left, top, width, height)) in enumerate(pairs):
                source = PictureFile(folder / line["file"], (left, top, width, height))
                items.append(Item(f"{line['file']} #{number}", digit_or_none(figure), source))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder / 'labels.jsonl'} is damaged: each line needs file, text and boxes.") from error
    return items


def _open_drawings(path: Path) -> list[Item]:
    """Lines of `label` and `strokes`; a label that is no digit marks something that is none."""
    items = []
    for number, line in enumerate(_json_lines(path), start=1):
        if "label" not in line or "strokes" not in line:
            raise DataError(f"{path} is damaged: line {number} needs label and strokes.")
        items.append(Item(f"line {number} ({line['label']})", digit_or_none(line["label"]), Drawing(line["strokes"])))
    return items


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of one JSON object a line. Raises `DataError`."""
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                line = json.loads(text)
            except ValueError as error:
                raise DataError(f"{path} is damaged: line {number} is no JSON.") from error
            if not isinstance(line, dict):
                raise DataError(f"{path} is damaged: line {number} is no JSON object.")
            yield line


def _open_arrays(path: Path) -> list[Item]:
    """Pictures `x` uint8 `[N, H, W]` and labels `y` `[N]`, -1 for what is no digit."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            x, y = arrays["x"], arrays["y"]
    except (KeyError, ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged, or has no arrays x and y.") from error
    if x.dtype != np.uint8 or x.ndim != 3 or y.shape != x.shape[:1]:
        raise DataError(f"{path} needs x as uint8 [N, H, W] and y as [N]; it has {x.dtype} {x.shape} and {y.shape}.")
    return [
        Item(f"{path.stem} {i}", digit_or_none(label), PictureArray(pixels))
        for i, (pixels, label) in enumerate(zip(x, y.tolist(), strict=True))
    ]


_FILES: Mapping[str, Callable[[Path], list[Item]]] = {".npz": _open_arrays, ".jsonl": _open_drawings}
