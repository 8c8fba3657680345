"""Where training digits come from, by the names that `--data` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data import DataError, Digits, join_digits, split_digits
from training.folders import load_folder
from training.published import load_emnist_digits, load_mnist, load_qmnist, load_usps

FOLDER = "folder:"
# QMNIST's 60,000 training digits are MNIST's, reconstructed from the same forms and in the same order, so that of both
# the same digits are kept for validation. EMNIST shares some with MNIST's training and test digits.
PUBLISHED: Mapping[str, Callable[..., Digits]] = {
    "mnist": load_mnist,
    "emnist-digits": load_emnist_digits,
    "qmnist": load_qmnist,
    "usps": load_usps,
}


def check_specs(specs: Sequence[str]) -> None:
    """Raise `DataError` with the valid names if one of `specs` names no source."""
    for spec in specs:
        if spec not in PUBLISHED and not spec.startswith(FOLDER):
            raise DataError(f"{spec!r} is no data set; there are {', '.join(PUBLISHED)} and {FOLDER}PATH.")


def load_training(spec: str, root: Path) -> Digits:
    """The training digits of one source. Raises `DataError`."""
    check_specs([spec])
    if spec.startswith(FOLDER):
        return load_folder(Path(spec.removeprefix(FOLDER)), root / "cache")
    return PUBLISHED[spec](root, train=True)


def load_test(spec: str, root: Path) -> Digits | None:
    """The test digits of one source; None for a folder, which has none. Raises `DataError`."""
    return None if spec.startswith(FOLDER) else PUBLISHED[spec](root, train=False)


@dataclass(frozen=True, slots=True)
class Split:
    """What a training learns from, what it chooses by, and what it is judged on at the end."""

    training: Digits
    validation: Digits
    test: dict[str, Digits]  # by source; empty where no source has test digits


def load_split(specs: Sequence[str], root: Path) -> Split:
    """The digits of all sources in `specs`, split. Raises `DataError`."""
    check_specs(specs)
    parts = [split_digits(load_training(spec, root)) for spec in specs]
    tests = {spec: load_test(spec, root) for spec in specs}
    return Split(
        training=join_digits([training for training, _ in parts]),
        validation=join_digits([validation for _, validation in parts]),
        test={spec: digits for spec, digits in tests.items() if digits is not None},
    )
