"""What was measured on the running model: the files that the trainer left beside the checkpoint, if they are about it.

`NAME.json` beside `NAME.pth` says which files are about which model, with their SHA-256 (`training.artifacts.vouch`).
Whatever is not named there, or has changed since, is about another model as far as one can tell, and is not shown.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, str]]
SHEETS = "mistakes/"
# Far above what the trainer writes.
_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """Files about one model, by what they are: `train_metrics`, `mistakes/mnist` and so on."""

    folder: Path
    files: Mapping[str, Mapping[str, str]]  # each with its path in `folder`, and its SHA-256

    def read(self, name: str) -> bytes | None:
        """Content of a file, as it was when it was noted; None if there is none."""
        noted = self.files.get(name)
        if noted is None:
            return None
        path = (self.folder / noted["file"]).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            return None
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == noted["sha256"] else None

    def table(self, name: str) -> Rows | None:
        """Rows of a CSV file, by the names of their columns; None if there is none."""
        data = self.read(name)
        return None if data is None else list(csv.DictReader(data.decode("utf-8", "replace").splitlines()))

    @property
    def sheets(self) -> list[str]:
        """Sets of which there is a picture of the worst mistakes."""
        names = [name for name in self.files if name.startswith(SHEETS) and self.read(name) is not None]
        return [name.removeprefix(SHEETS) for name in names]


def read_record(checkpoint: Path, model: str) -> Record:
    """What was measured on the model of this id; nothing where it is not known."""
    try:
        note = json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        note = None
    return Record(checkpoint.parent, _files_about(model, note))


def _files_about(model: str, note: Any) -> dict[str, Mapping[str, str]]:
    if not isinstance(note, dict) or note.get("model") != model or not isinstance(note.get("files"), dict):
        return {}
    return {name: file for name, file in note["files"].items() if _is_sound(file)}


def _is_sound(file: Any) -> bool:
    return isinstance(file, dict) and all(isinstance(file.get(field), str) for field in ("file", "sha256"))
