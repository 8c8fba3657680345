"""Printed digits, and printed letters and signs as non-digits, in the fonts that ship with Matplotlib."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from model_file import FRAME_SIZE, N_DIGITS
from recognition.frame import Frame, frame_ink
from recognition.ink import Picture
from training.datasets.digits import Digits
from training.datasets.frames import to_uint8
from training.datasets.open import LOOKALIKES

_FONTS = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "cmr10", "cmb10", "cmss10", "cmtt10", "cmti10")
_STYLES = ("", "-Bold", "-Oblique", "-BoldOblique", "-Italic", "-BoldItalic", "Bol", "Italic", "BolIta")
# Without those that look like a digit as soon as they are slanted or thinned.
_CHARACTERS = sorted(set(string.ascii_letters + "#%&*+=?@") - LOOKALIKES - set("ijr"))
_SIDE = 96  # pixels of the picture that a character is drawn on, with a font of half that size
_WHOLE = 0.4  # share of the characters that fill the frame, as in a picture that was cropped to them
_OUTLINE = 0.1  # share of the characters of which only the outline is drawn


def load_printed_digits() -> Digits:
    """2,000 digits in 24 fonts, stretched, slanted, thinned and thickened; the same ones each time."""
    labels = np.arange(2_000) % N_DIGITS
    return Digits(_draw_all([str(label) for label in labels], seed=1), torch.from_numpy(labels))


def load_printed_letters() -> Tensor:
    """6,000 letters and signs, drawn like the digits, uint8 `[N, 28, 28]`."""
    return _draw_all([_CHARACTERS[index % len(_CHARACTERS)] for index in range(6_000)], seed=0)


def _draw_all(characters: Sequence[str], seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    paths = [path for name in _FONTS for style in _STYLES if (path := folder / f"{name}{style}.ttf").is_file()]
    fonts = [ImageFont.truetype(path, _SIDE // 2) for path in paths]
    frames = [_draw(character, fonts[rng.integers(len(fonts))], rng) for character in characters]
    return torch.from_numpy(to_uint8(np.stack(frames)))


def _draw(character: str, font: ImageFont.FreeTypeFont, rng: Generator) -> Frame:
    picture = Image.new("L", (_SIDE, _SIDE))
    ImageDraw.Draw(picture).text((_SIDE / 2, _SIDE / 2), character, 255, font, anchor="mm")
    ink = _vary(np.asarray(picture).astype(np.float32) / np.float32(255), rng)
    if rng.random() >= _WHOLE:
        return frame_ink(ink)
    left, top, width, height = cv2.boundingRect((ink > 0.5).astype(np.uint8))
    crop = ink[top : top + height, left : left + width]
    whole: Frame = cv2.resize(crop, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)
    return whole


def _vary(ink: Picture, rng: Generator) -> Picture:
    aspect, slant, turn = rng.normal(0, [0.2, 0.15, 0.05]).clip(-0.4, 0.4)
    matrix = np.array([[np.exp(aspect), slant], [turn, np.exp(-aspect)]])
    middle = np.array([_SIDE / 2, _SIDE / 2])
    affine: NDArray[np.float64] = np.column_stack([matrix, middle - matrix @ middle])
    varied: Picture = cv2.warpAffine(ink, affine, (_SIDE, _SIDE))
    if rng.random() < _OUTLINE:
        outline: Picture = cv2.dilate(varied, np.ones((5, 5), np.uint8)) - varied
        return outline
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(rng.integers(1, 8)),) * 2)
    thick: Picture = cv2.dilate(varied, pen)
    thin: Picture = cv2.erode(varied, np.ones((2, 2), np.uint8))
    return thin if rng.random() < 0.2 and thin.sum() > 0.6 * varied.sum() else thick
