"""Tables about a model, and the manifest beside it."""

import hashlib
import json
from pathlib import Path

import torch

from training.reports import confusion_table, record_in_manifest


def test_confusion_table_counts_true_labels_by_row() -> None:
    logits = torch.nn.functional.one_hot(torch.tensor([3, 3, 5]), 10).float()
    table = confusion_table(logits, torch.tensor([3, 5, 5])).to_numpy()[:, -10:].astype(int)
    assert (table[3, 3], table[5, 3], table[5, 5]) == (1, 1, 1)
    assert table.sum() == 3


def record(folder: Path, model_id: str, name: str) -> dict[str, dict[str, str]]:
    """The records in the manifest after a file was added."""
    (folder / f"{name}.csv").write_text(name)
    record_in_manifest(folder / "m.pth", model_id, {name: folder / f"{name}.csv"})
    manifest = json.loads((folder / "m.json").read_text())
    assert manifest["model"] == model_id
    files: dict[str, dict[str, str]] = manifest["files"]
    return files


def test_manifest_has_the_digest_of_each_file(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"metrics").hexdigest()
    assert record(tmp_path, "a" * 12, "metrics") == {"metrics": {"file": "metrics.csv", "sha256": digest}}


def test_manifest_keeps_the_files_of_the_same_model_only(tmp_path: Path) -> None:
    record(tmp_path, "a" * 12, "metrics")
    assert record(tmp_path, "a" * 12, "confusion").keys() == {"metrics", "confusion"}
    assert record(tmp_path, "b" * 12, "metrics").keys() == {"metrics"}
