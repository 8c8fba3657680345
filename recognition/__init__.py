"""Recognition of digits in drawings and pictures. Independent of HTTP and training."""

from recognition.errors import (
    BlankInput,
    InputError,
    InvalidStrokes,
    NoSuchPlace,
    PictureError,
    PictureTooLarge,
    UndecodablePicture,
    UnsupportedPicture,
)
from recognition.explain import Explanation
from recognition.frame import Region
from recognition.recognizer import Observer, Phase, Prediction, Recognizer

__all__ = [
    "BlankInput",
    "Explanation",
    "InputError",
    "InvalidStrokes",
    "NoSuchPlace",
    "Observer",
    "Phase",
    "PictureError",
    "PictureTooLarge",
    "Prediction",
    "Recognizer",
    "Region",
    "UndecodablePicture",
    "UnsupportedPicture",
]
