"""The ONNX file appears whole beside its checkpoint, or not at all."""

from pathlib import Path

import pytest

from recognition.engine import read_model
from testing.checkpoints import save_untrained
from training import onnx_export
from training.onnx_export import export_onnx


def test_export_of_an_old_checkpoint_gives_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    save_untrained(path)
    written = path.with_suffix(".onnx").read_bytes()
    path.with_suffix(".onnx").unlink()
    assert export_onnx(path).read_bytes() == written


def test_failed_export_keeps_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.pth"
    old = save_untrained(path)
    monkeypatch.setattr(onnx_export, "to_onnx", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save_untrained(path)
    assert read_model(path).info.id == old
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx", "m.pth"]
