"""One's own pictures as training digits: a folder with a sub-folder for each digit.

    photos/0/*.png  photos/1/*.jpg  ...  photos/9/*.webp

They go through recognition.picture and recognition.normalize, which serve, so that training sees them as the app will.
That takes some milliseconds a picture, so its result is kept until a file or the preprocessing changes.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from config import Limits
from model import N_DIGITS, PREPROCESSING_VERSION
from recognition.errors import InputError
from recognition.normalize import normalize
from recognition.picture import decode_picture
from storage import write_atomically
from training.data import DataError, Digits

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
_LABELS = tuple(str(digit) for digit in range(N_DIGITS))


@dataclass(frozen=True, slots=True)
class _Processed:
    """What became of the pictures of a folder."""

    digits: Digits
    skipped: tuple[str, ...]  # "file: what is wrong with it"


def load_folder(folder: Path, cache: Path) -> Digits:
    """The digits of a folder of pictures; says which and how many cannot be read. Raises `DataError`."""
    paths = _list_pictures(folder)
    kept = cache / f"{_key(folder, paths)}.npz"
    processed = _read_cache(kept)
    if processed is None:
        processed = _process(folder, paths)
        _write_cache(kept, processed)
    for line in processed.skipped:
        print(f"skipped {line}", file=sys.stderr)
    if processed.skipped:
        print(f"{folder}: {len(processed.skipped)} of {len(paths)} pictures cannot be read", file=sys.stderr)
    return processed.digits


def _list_pictures(folder: Path) -> list[Path]:
    """The picture files of all sub-folders. Raises `DataError` that says what was found instead."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    found = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    unknown = [name for name in found if name.endswith("/") and name[:-1] not in _LABELS]
    if unknown:
        raise DataError(f"The sub-folders of {folder} are to be named 0 to 9; found {_some(unknown)}.")
    paths = [path for label in _LABELS for path in sorted((folder / label).rglob("*")) if _is_picture(path)]
    if not paths:
        there = _some(found) if found else "nothing"
        raise DataError(f"{folder} has no sub-folders 0 to 9 with pictures in them; found {there}.")
    return paths


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _process(folder: Path, paths: Sequence[Path]) -> _Processed:
    # Decoding and OpenCV let other threads run.
    with ThreadPoolExecutor() as pool:
        results = list(tqdm(pool.map(_frame_or_error, paths), folder.name, len(paths), leave=False, disable=None))
    pairs = list(zip(paths, results, strict=True))
    frames = [result for _, result in pairs if not isinstance(result, Exception)]
    if not frames:
        raise DataError(f"None of the {len(paths)} pictures in {folder} can be read.")
    labels = [int(path.relative_to(folder).parts[0]) for path, result in pairs if not isinstance(result, Exception)]
    skipped = tuple(f"{path}: {result}" for path, result in pairs if isinstance(result, Exception))
    return _Processed(Digits(torch.from_numpy(np.stack(frames)), torch.tensor(labels)), skipped)


def _frame_or_error(path: Path) -> NDArray[np.uint8] | Exception:
    try:
        frame = normalize(decode_picture(path.read_bytes(), Limits()))
    except (InputError, OSError) as error:
        return error
    return np.round(frame * 255).astype(np.uint8)


def _key(folder: Path, paths: Sequence[Path]) -> str:
    """What the cached result depends on: the files as they are now, and how they are seen."""
    sha = hashlib.sha256(f"preprocessing {PREPROCESSING_VERSION}".encode())
    for path in paths:
        status = path.stat()
        sha.update(f"\n{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}".encode())
    return sha.hexdigest()[:24]


def _read_cache(path: Path) -> _Processed | None:
    try:
        # np.load leaves a damaged file open that it has opened itself.
        with path.open("rb") as file, np.load(file) as arrays:
            digits = Digits(torch.from_numpy(arrays["frames"]), torch.from_numpy(arrays["labels"]))
            return _Processed(digits, tuple(arrays["skipped"].tolist()))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None  # there is none, or it is damaged: it is made again


def _write_cache(path: Path, processed: _Processed) -> None:
    buffer = io.BytesIO()
    digits = processed.digits
    skipped = np.array(processed.skipped, dtype=np.str_)
    np.savez(buffer, frames=digits.frames.numpy(), labels=digits.labels.numpy(), skipped=skipped)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        print(f"the frames made of these pictures are not kept for the next run: {error}", file=sys.stderr)
