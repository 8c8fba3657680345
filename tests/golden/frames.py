"""Reference frames: after a change to the preprocessing, look at what has changed and regenerate them.

    python -m tests.golden.frames     # regenerates them; see PREPROCESSING_VERSION in model_file.py

Each row of frames is one PNG file, 28 pixels high, in 16 bits a pixel, because 8 are coarser than a thousandth.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_file import FRAME_SIZE
from recognition.frame import Frame
from recognition.normalize import normalize
from recognition.strokes import draw
from storage import write_atomically
from testing.handwriting import DIGITS, EUROPEAN_1, EUROPEAN_7
from testing.pictures import draw_picture, encode

FOLDER = Path(__file__).parent
_FULL_INK = 65535


def frames_of_strokes() -> list[Frame]:
    """The ten digits, then a European 1 and 7."""
    drawings = [*DIGITS.values(), EUROPEAN_1, EUROPEAN_7]
    return [draw([np.array(stroke, np.float64) for stroke in drawing]) for drawing in drawings]


def frames_of_pictures() -> list[Frame]:
    """A clean 2, a light 5 on a dark screen, a small 8, and a 7 on grainy paper with a shadow and a ruled line."""
    two, five, seven = (1 - np.asarray(draw_picture(DIGITS[digit]), np.float32) / 255 for digit in (2, 5, 7))
    small = 1 - np.asarray(draw_picture(DIGITS[8]).resize((40, 40), Image.Resampling.BOX), np.float32) / 255
    shadow = np.linspace(0.1, 0.4, 280) + np.random.default_rng(7).normal(0, 0.01, seven.shape)
    paper = shadow + 0.5 * seven
    paper[-6:-3] += 0.3
    pictures = (two, 1 - five, small, np.clip(paper, 0, 1))
    return [normalize(picture.astype(np.float32)) for picture in pictures]


def pack(frames: Sequence[Frame]) -> bytes:
    """Frames side by side, as a PNG file."""
    row = np.concatenate(frames, axis=1)
    return encode(Image.fromarray((row * _FULL_INK).round().astype(np.uint16)))


def unpack(path: Path) -> NDArray[np.float32]:
    """The frames `[n, 28, 28]` of a file."""
    row = np.asarray(Image.open(path), np.float32) / np.float32(_FULL_INK)
    return row.reshape(FRAME_SIZE, -1, FRAME_SIZE).swapaxes(0, 1)


ROWS: Mapping[str, Callable[[], list[Frame]]] = {"strokes.png": frames_of_strokes, "pictures.png": frames_of_pictures}

if __name__ == "__main__":
    for name, make in ROWS.items():
        write_atomically(FOLDER / name, pack(make()))
