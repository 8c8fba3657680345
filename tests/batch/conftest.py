"""Folders of pictures to read."""

from pathlib import Path

import pytest

from tests.handwriting import DIGITS
from tests.pictures import picture_of


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with a picture of every digit, named by it."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for digit, drawing in DIGITS.items():
        (folder / f"{digit}.png").write_bytes(picture_of(drawing))
    return folder
