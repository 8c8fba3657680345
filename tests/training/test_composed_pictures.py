"""Composed pictures, and which of the front end's candidates show their digit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training import composed_pictures as composing
from training.composed_pictures import _compose, _correlation, compose
from training.datasets import Composed, Digits


@pytest.fixture(scope="module")
def composed(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return compose(digits, 60, 0, tmp_path_factory.mktemp("cache"))


def test_right_candidates_resemble_their_digit_and_wrong_ones_none(digits: Digits, composed: Composed) -> None:
    assert len(composed.right) == len(composed.source) > 20
    for frame, index in zip(composed.right, composed.source.tolist(), strict=True):
        assert _correlation(frame.numpy(), digits.frames[index].numpy()) > 0.85
    assert len(composed.wrong) > 20
    assert composed.wrong.dtype == composed.right.dtype == torch.uint8


def test_empty_paper_has_only_wrong_candidates(digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "_EMPTY", 1.0)
    empty = compose(digits, 10, 0, tmp_path)
    assert len(empty.right) == 0
    assert len(empty.wrong) > 5


def test_pictures_are_cached_and_depend_on_the_seed(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = (compose(digits, 12, seed, tmp_path) for seed in (1, 2))
    monkeypatch.setattr(composing, "_compose_all", lambda *_: pytest.fail("composed again"))
    assert torch.equal(compose(digits, 12, 1, tmp_path).right, first.right)
    assert not torch.equal(first.wrong, other.wrong)


def test_pictures_do_not_depend_on_the_number_of_processes(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "_CHUNK", 5)
    several = compose(digits, 10, 0, tmp_path)
    monkeypatch.setattr(composing, "ProcessPoolExecutor", _InThisProcess)
    assert torch.equal(compose(digits, 10, 0, tmp_path / "other").right, several.right)


class _InThisProcess:
    def __init__(self, **_: object) -> None:
        self.map = map

    def __enter__(self) -> "_InThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_pictures_are_within_range(digits: Digits) -> None:
    rng = np.random.default_rng(0)
    for index in range(40):
        picture = _compose(digits.frames[index].numpy(), digits.frames[0].numpy(), rng)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
