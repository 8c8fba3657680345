"""Metrics and plots of the running model, written by the trainer beside its checkpoint.

Their manifest is `NAME.json` beside `NAME.pth`: the model's id, and the SHA-256 of each file. Files that it does not
list, or that have changed since, are ignored: they may belong to another model.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from web.charts import Rows

_MISTAKES = "mistakes/"
_MAX_BYTES = 16 * 2**20  # far above any file that the trainer writes


class _File(BaseModel):
    file: str  # path, relative to the checkpoint's folder
    sha256: str


class _Manifest(BaseModel):
    model: str  # id
    files: Mapping[str, _File]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files by name: `train_metrics`, `mistakes/mnist` and so on."""

    folder: Path
    files: Mapping[str, _File]

    def read(self, name: str) -> bytes | None:
        """Content of a file; None if there is none, or if it has changed."""
        entry = self.files.get(name)
        if entry is None:
            return None
        path = (self.folder / entry.file).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            return None
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == entry.sha256 else None

    def table(self, name: str) -> Rows | None:
        """Rows of a CSV file; None if there is none."""
        data = self.read(name)
        return None if data is None else list(csv.DictReader(data.decode("utf-8", "replace").splitlines()))

    def mistakes(self, data_set: str) -> bytes | None:
        """A PNG of the worst mistakes on a data set."""
        return self.read(_MISTAKES + data_set)

    @property
    def data_sets_with_mistakes(self) -> list[str]:
        """The data sets that have a PNG of the worst mistakes."""
        names = [name.removeprefix(_MISTAKES) for name in self.files if name.startswith(_MISTAKES)]
        return [name for name in names if self.mistakes(name) is not None]


def load_model_files(checkpoint: Path, model_id: str) -> ModelFiles:
    """The files about this model; none if the manifest is missing, damaged or about another model."""
    try:
        manifest = _Manifest.model_validate_json(checkpoint.with_suffix(".json").read_bytes())
    except (OSError, ValidationError):
        return ModelFiles(checkpoint.parent, {})
    return ModelFiles(checkpoint.parent, manifest.files if manifest.model == model_id else {})
