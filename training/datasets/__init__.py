"""Training data by the names that `--data` and `--nondigits` take.

    split = load_split(["mnist", "open", "folder:photos"], Path("data"), nondigits=["open"])

To add a data set with test digits, write a `Loader` and name it in `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from model_file import N_DIGITS
from training.datasets.corrections import load_corrections
from training.datasets.digits import DataError, Digits, split_digits, split_indices
from training.datasets.drawings import NO_DRAWINGS, Drawings, load_strokes
from training.datasets.folder import abbreviate, load_folder, load_frames
from training.datasets.fonts import load_printed_digits, load_printed_letters
from training.datasets.mnist import load_emnist_digits, load_mnist, load_qmnist, load_usps
from training.datasets.open import OPEN_DIGITS, OPEN_NONDIGITS, load_nondigits

__all__ = [
    "CORRECTIONS",
    "DATASETS",
    "FOLDER",
    "OPEN",
    "OPEN_DIGITS",
    "OPEN_NONDIGITS",
    "PRINTED",
    "STROKES",
    "Composed",
    "DataError",
    "Digits",
    "Drawings",
    "Loader",
    "Split",
    "TrainingSet",
    "abbreviate",
    "load_mnist",
    "load_split",
    "split_digits",
]

FOLDER = "folder:"  # followed by the path of a folder of pictures; for digits with sub-folders 0 to 9
STROKES = "strokes:"  # followed by the path of a file of strokes
CORRECTIONS = "corrections:"  # followed by the path of a file of corrections, saved from the page
PRINTED = "printed"  # digits, or letters and signs, in fonts
OPEN = "open"  # all sets of `data/open`
_NO_FRAMES = torch.empty(0, 28, 28, dtype=torch.uint8)


class Loader(Protocol):
    """Loads the training or test digits of a published data set, downloading them where missing."""

    def __call__(self, root: Path, *, train: bool) -> Digits:
        """Raises `DataError`."""


DATASETS: Mapping[str, Loader] = {
    "mnist": load_mnist,
    "emnist-digits": load_emnist_digits,
    "qmnist": load_qmnist,
    "usps": load_usps,
}


@dataclass(frozen=True, slots=True)
class Composed:
    """Candidates that the front end found in composed pictures, frames uint8 `[N, 28, 28]`."""

    wrong: Tensor  # that show something else than the digit
    right: Tensor
    source: Tensor  # int64 [N], index of the digit that each right one shows


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a network is trained on: digits and real non-digits, each as frames and as drawings."""

    digits: Digits
    drawings: Drawings = NO_DRAWINGS
    nondigits: Tensor = _NO_FRAMES
    nondigit_drawings: Drawings = NO_DRAWINGS
    composed: Composed | None = None  # of `digits`

    def __len__(self) -> int:
        return len(self.digits) + len(self.drawings)


@dataclass(frozen=True, slots=True)
class Split:
    """Training data, validation digits for every choice, and test digits, used once at the end."""

    training: TrainingSet
    validation: Digits
    n_validation: dict[str, int]  # of each data set, in the order of `validation`
    test: dict[str, Digits]  # by data set, for those that have test digits
    data: tuple[str, ...]  # names of all data sets, of digits and non-digits


def load_split(
    names: Sequence[str],
    root: Path,
    nondigits: Sequence[str] = (),
    repeats: Mapping[str, int] = {},
    checkpoint: Path | None = None,
) -> Split:
    """The named data sets, digits and non-digits, the digits split separately. Raises `DataError`.

    `repeats` is how many times an epoch has each training digit of a set, where not once. Corrections are all for
    training, except those that the network of `checkpoint` contradicts. Raises `CheckpointError` if that is damaged.
    """
    names, nondigits = _expand(names, OPEN_DIGITS), _expand(nondigits, OPEN_NONDIGITS)
    _check_names(names, [*DATASETS, *OPEN_DIGITS, PRINTED], (FOLDER, STROKES, CORRECTIONS))
    _check_names(nondigits, [*OPEN_NONDIGITS, PRINTED], (FOLDER, STROKES))
    corrected = [name for name in names if name.startswith(CORRECTIONS)]
    if corrected and len(corrected) == len(names):
        raise DataError("Corrections are never used for validation: give --data another set too, such as mnist.")
    frames, drawings, validation = [], [], {}
    for name in [each for each in names if each not in corrected]:
        found = _load_digits(name, root)
        training, held_out = split_indices(found.labels, found.writers)
        training = training.repeat(repeats.get(name, 1))
        if isinstance(found, Drawings):
            drawings.append(found.select(training))
            validation[name] = found.select(held_out).render()
        else:
            frames.append(found.select(training))
            validation[name] = found.select(held_out)
    others = [_load_nondigits(name, root) for name in nondigits]
    for name in corrected:
        pictures, lines = load_corrections(Path(name.removeprefix(CORRECTIONS)), checkpoint)
        frames.append(pictures.select(_digits_of(pictures)))
        drawings.append(lines.select(_digits_of(lines)))
        others += [pictures.select(_nondigits_of(pictures)).frames, lines.select(_nondigits_of(lines))]
    return Split(
        training=_join(frames, drawings, others),
        validation=_concatenate(list(validation.values())),
        n_validation={name: len(digits) for name, digits in validation.items()},
        test={name: DATASETS[name](root, train=False) for name in names if name in DATASETS},
        data=(*names, *nondigits),
    )


def _join(frames: Sequence[Digits], drawings: Sequence[Drawings], others: Sequence[Tensor | Drawings]) -> TrainingSet:
    """All digits, as frames and drawings, and all non-digits."""
    return TrainingSet(
        _concatenate(frames),
        _concatenate_drawings(drawings),
        torch.cat([_NO_FRAMES, *(each for each in others if isinstance(each, Tensor))]),
        _concatenate_drawings([each for each in others if isinstance(each, Drawings)]),
    )


def _digits_of(items: Digits | Drawings) -> Tensor:
    return (items.labels < N_DIGITS).nonzero()[:, 0]


def _nondigits_of(items: Digits | Drawings) -> Tensor:
    return (items.labels == N_DIGITS).nonzero()[:, 0]


def _expand(names: Iterable[str], of_open: Iterable[str]) -> list[str]:
    """The names, each once, with those of all open sets in place of "open"."""
    return list(dict.fromkeys(each for name in names for each in (of_open if name == OPEN else [name])))


def _check_names(names: Iterable[str], known: Iterable[str], prefixes: tuple[str, ...]) -> None:
    for name in names:
        if name not in known and not name.startswith(prefixes):
            valid = ", ".join([OPEN, *known, *(f"{prefix}PATH" for prefix in prefixes)])
            raise DataError(f"{name!r} is not a data set; choose from {valid}.")


def _load_digits(name: str, root: Path) -> Digits | Drawings:
    if name.startswith(FOLDER):
        return load_folder(Path(name.removeprefix(FOLDER)), root / "cache")
    if name.startswith(STROKES):
        path = Path(name.removeprefix(STROKES))
        drawings = load_strokes(path)
        if (drawings.labels > 9).any():
            raise DataError(f"{path} has labels other than 0 to 9; give non-digits by --nondigits.")
        return drawings
    if name == PRINTED:
        return load_printed_digits()
    return OPEN_DIGITS[name](root) if name in OPEN_DIGITS else DATASETS[name](root, train=True)


def _load_nondigits(name: str, root: Path) -> Tensor | Drawings:
    if name.startswith(FOLDER):
        return load_frames(Path(name.removeprefix(FOLDER)), root / "cache")
    if name.startswith(STROKES):
        return load_strokes(Path(name.removeprefix(STROKES)), lambda _line: 10)
    if name == PRINTED:
        return load_printed_letters()
    return load_nondigits(OPEN_NONDIGITS[name], root)


def _concatenate(parts: Sequence[Digits]) -> Digits:
    if not parts:
        return Digits(_NO_FRAMES, NO_DRAWINGS.labels)
    return Digits(torch.cat([part.frames for part in parts]), torch.cat([part.labels for part in parts]))


def _concatenate_drawings(parts: Sequence[Drawings]) -> Drawings:
    if not parts:
        return NO_DRAWINGS
    return Drawings([lines for part in parts for lines in part.lines], torch.cat([part.labels for part in parts]))
