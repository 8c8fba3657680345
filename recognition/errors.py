"""Errors of an input.

    InputError
    ├── BlankInput              nothing is drawn or written
    ├── InvalidStrokes          not a drawing: wrong shape, count or numbers
    ├── NoSuchPlace             the number has fewer digits
    └── PictureError
        ├── UnsupportedPicture  not one of the accepted file formats
        ├── UndecodablePicture  an accepted format, but damaged
        └── PictureTooLarge     more pixels than the limit, or too expensive to decode

Each message is a sentence for the user: what is wrong, and what to do about it.
"""

from __future__ import annotations


def N_(sentence: str) -> str:  # noqa: N802 - gettext's name for it, by which Babel finds the sentence
    """Mark `sentence` for translation; it is translated where it is shown."""
    return sentence


class InputError(Exception):
    """The input cannot be used. `str(error)` may be shown to the user.

    `sentence` is the message with `%(name)s` placeholders for `values`, as the translation catalogue has it.
    """

    def __init__(self, sentence: str, **values: object) -> None:
        super().__init__(sentence % values if values else sentence)
        self.sentence = sentence
        self.values = values


class BlankInput(InputError):
    """The input contains no ink."""

    def __init__(self) -> None:
        super().__init__(N_("There is nothing to read: no ink was found."))


class InvalidStrokes(InputError):
    """The strokes are not a list of lists of points within the limits; `pointer` is the JSON pointer to the error."""

    def __init__(self, sentence: str, pointer: str = "", **values: object) -> None:
        super().__init__(sentence, **values)
        self.pointer = pointer


class NoSuchPlace(InputError):
    """The number has no digit at the place that was asked for."""

    def __init__(self, place: int, n_digits: int) -> None:
        sentence = N_("There is no digit at place %(place)s: the last place is %(last)s.")
        super().__init__(sentence, place=place, last=n_digits - 1)


class PictureError(InputError):
    """The file cannot be used as a picture."""


class UnsupportedPicture(PictureError):
    """The bytes are not in one of the accepted formats."""


class UndecodablePicture(PictureError):
    """The bytes are in an accepted format, but cannot be decoded."""


class PictureTooLarge(PictureError):
    """The picture has more pixels than the limit, or would take too long to decode."""
