"""Strokes or pictures in, digits out. Knows nothing of HTTP or training."""

from recognition.errors import (
    BlankInput,
    InputError,
    InvalidStrokes,
    PictureError,
    PictureTooLarge,
    UndecodablePicture,
    UnsupportedPicture,
)
from recognition.recognizer import Prediction, Recognizer

__all__ = [
    "BlankInput",
    "InputError",
    "InvalidStrokes",
    "PictureError",
    "PictureTooLarge",
    "Prediction",
    "Recognizer",
    "UndecodablePicture",
    "UnsupportedPicture",
]
