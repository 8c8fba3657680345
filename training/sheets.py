"""Contact sheets: what a person wrote, what the network saw of it, and what it answered, many to a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from recognition import InputError, Recognizer
from recognition.picture import decode_picture
from recognition.preview import picture_png
from training.evaluation import Answers
from training.material import NO_DIGIT, PictureArray, PictureFile, Source

_SIDE = 84  # of one picture, in pixels
_CAPTION = 14
_GAP = 6
_COLUMNS = 8


def contact_sheet(recognizer: Recognizer, answers: Answers, indices: Sequence[int]) -> bytes:
    """A PNG file of the answers at `indices`: the picture, the frame, and "truth -> answer confidence" below."""
    n_rows = max(1, -(-len(indices) // _COLUMNS))
    width, height = 2 * _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = Image.new("L", (_COLUMNS * width, n_rows * height), 235)
    pencil = ImageDraw.Draw(sheet)
    for place, index in enumerate(indices):
        x, y = place % _COLUMNS * width, place // _COLUMNS * height
        picture = _picture(recognizer, answers.items[index].source)
        if picture is not None:
            sheet.paste(picture, (x, y))
        frame = answers.frames[index]
        if frame is not None:
            # Ink is shown black, as on paper.
            grey = Image.fromarray((255 * (1 - np.clip(frame, 0, 1))).astype(np.uint8))
            sheet.paste(grey.resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (x + _SIDE, y))
        pencil.text((x + 2, y + _SIDE), _caption(answers, index), fill=0)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _picture(recognizer: Recognizer, source: Source) -> Image.Image | None:
    """The source as a picture, where it is one."""
    if not isinstance(source, PictureFile | PictureArray):
        return None
    try:
        picture = Image.open(io.BytesIO(picture_png(decode_picture(source.read(), recognizer.limits))))
    except InputError:
        return None
    picture.thumbnail((_SIDE, _SIDE))
    return picture


def _caption(answers: Answers, index: int) -> str:
    label, predicted = answers.labels[index], answers.predicted[index]
    truth = "none" if label == NO_DIGIT else str(label)
    answer = "blank" if predicted < 0 else f"{predicted} {answers.probabilities[index].max():.2f}"
    return f"{truth} -> {answer}{'' if answers.accepted[index] else ' refused'}"
