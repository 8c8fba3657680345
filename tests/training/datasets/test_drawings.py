"""Drawings as training data: files of strokes, and frames drawn once more."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recognition.strokes import draw
from testing.handwriting import DIGITS
from training.datasets import DataError, load_split
from training.datasets.drawings import Drawings, load_strokes


@pytest.fixture
def lines() -> list[str]:
    return [json.dumps({"label": str(digit), "strokes": drawing}) for digit, drawing in DIGITS.items()]


@pytest.fixture
def pens(lines: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "pens.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def drawings(pens: Path) -> Drawings:
    return load_strokes(pens)


def test_plain_and_compressed_files_are_read(pens: Path) -> None:
    compressed = pens.with_suffix(".jsonl.gz")
    compressed.write_bytes(gzip.compress(pens.read_bytes()))
    first, second = (load_strokes(path) for path in (pens, compressed))
    assert first.labels.tolist() == second.labels.tolist() == list(range(10))
    assert torch.equal(first.render().frames, second.render().frames)


def test_drawings_are_rendered_as_in_serving(drawings: Drawings) -> None:
    served = draw([np.array(stroke, float) for stroke in DIGITS[7]])
    assert np.array_equal(drawings.render().frames[7].numpy() / np.float32(255), served)


def test_varied_drawings_differ_but_resemble_the_original(drawings: Drawings) -> None:
    first, second, again = (drawings.vary(np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert torch.equal(first, again)
    assert not (first == second).flatten(1).all(1).any()
    original = drawings.render().frames.float().flatten(1)
    similarity = torch.cosine_similarity(
        original, torch.cat([first, second]).float().flatten(1).view(2, 10, -1).mean(0)
    )
    assert float(similarity.min()) > 0.6


def test_a_tap_is_varied_to_a_dot() -> None:
    drawings = Drawings([[np.array([[14.0, 14.0]])]], torch.tensor([10]))
    (frame,) = drawings.vary(np.random.default_rng(0))
    assert 0 < int((frame > 0).sum()) < 25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no drawings"),
        ("[1]", "line 1 is not a JSON object"),
        ("{", "line 1 is not JSON"),
        ('{"label": 1}', "line 1 needs label and strokes"),
        ('{"label": 1, "strokes": [[[0, "x"]]]}', "line 1 needs label and strokes"),
    ],
)
def test_damaged_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pens.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        load_strokes(tmp_path / "pens.jsonl")


def test_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "pens.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-5])
    with pytest.raises(DataError, match=r"pens\.jsonl\.gz is damaged"):
        load_strokes(tmp_path / "pens.jsonl.gz")
    whole = gzip.compress(b"{}" * 1000)
    (tmp_path / "pens.jsonl.gz").write_bytes(whole[:12] + b"\xff" * 9 + whole[21:])
    with pytest.raises(DataError, match=r"pens\.jsonl\.gz is damaged"):
        load_strokes(tmp_path / "pens.jsonl.gz")
    with pytest.raises(DataError, match="There is no file"):
        load_strokes(tmp_path / "missing.jsonl")


def test_file_is_split_into_training_and_validation(pens: Path, tmp_path: Path) -> None:
    split = load_split([f"strokes:{pens}"], tmp_path, nondigits=[f"strokes:{pens}"])
    assert (len(split.training), len(split.validation), split.test) == (9, 1, {})
    assert len(split.training.nondigit_drawings) == 10


def test_letters_are_no_digits(tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").write_text(json.dumps({"label": "A", "strokes": DIGITS[1]}))
    with pytest.raises(DataError, match="give non-digits by --nondigits"):
        load_split([f"strokes:{tmp_path / 'letters.jsonl'}"], tmp_path)
