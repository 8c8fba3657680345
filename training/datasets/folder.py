"""Folders of pictures as digits: `photos/0/*.png` to `photos/9/*.webp`.

Pictures are normalized as in serving, which takes some milliseconds each, so the frames are cached until a file or the
preprocessing changes.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from config import Limits
from model_file import N_DIGITS, PREPROCESSING_VERSION
from recognition.errors import InputError
from recognition.picture import SUFFIXES
from storage import write_atomically
from training.datasets.digits import DataError, Digits
from training.datasets.frames import FrameArray, load_frame, stack_frames


def load_folder(folder: Path, cache: Path) -> Digits:
    """The digits of a folder; pictures that cannot be read are listed on standard error. Raises `DataError`."""
    paths, frames = _load_readable(folder, _find_pictures(folder), cache)
    return Digits(frames, torch.tensor([int(path.relative_to(folder).parts[0]) for path in paths]))


def load_frames(folder: Path, cache: Path) -> Tensor:
    """The frames uint8 `[N, 28, 28]` of all pictures in a folder, at any depth. Raises `DataError`."""
    paths = sorted(path for path in folder.rglob("*") if _is_picture(path))
    if not paths:
        raise DataError(f"There is no folder {folder} with pictures.")
    return _load_readable(folder, paths, cache)[1]


def _load_readable(folder: Path, paths: Sequence[Path], cache: Path) -> tuple[list[Path], Tensor]:
    """The pictures that can be read, and their frames, from the cache if they are there. Raises `DataError`."""
    cached = cache / f"{_cache_key(folder, paths)}.npz"
    frames, errors = cached_arrays(cached, lambda: _load_frames(folder, paths))
    for path, error in zip(paths, errors, strict=True):
        if error:
            print(f"skipped {path}: {error}", file=sys.stderr)
    readable = [path for path, error in zip(paths, errors, strict=True) if not error]
    if not readable:
        raise DataError(f"None of the {len(paths)} pictures in {folder} can be read.")
    if len(readable) < len(paths):
        print(f"{folder}: {len(paths) - len(readable)} of {len(paths)} pictures cannot be read", file=sys.stderr)
    return readable, torch.from_numpy(frames)


def _find_pictures(folder: Path) -> list[Path]:
    """The picture files of all sub-folders, at any depth. Raises `DataError`."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    labels = [str(digit) for digit in range(N_DIGITS)]
    found = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    unknown = [name for name in found if name.endswith("/") and name[:-1] not in labels]
    if unknown:
        raise DataError(f"The sub-folders of {folder} must be named 0 to 9; found {abbreviate(unknown)}.")
    paths = [path for label in labels for path in sorted((folder / label).rglob("*")) if _is_picture(path)]
    if not paths:
        raise DataError(f"{folder} has no sub-folders 0 to 9 with pictures; found {abbreviate(found) or 'nothing'}.")
    return paths


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def abbreviate(names: Sequence[str]) -> str:
    """The first eight names, and the number of the others."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _load_frame(path: Path) -> FrameArray | Exception:
    """The frame of a picture file, or why there is none."""
    try:
        return load_frame(path.read_bytes(), Limits())
    except (InputError, OSError) as error:
        return error


def _load_frames(folder: Path, paths: Sequence[Path]) -> tuple[FrameArray, NDArray[np.str_]]:
    """The frames of the readable pictures, and an error for each path, "" where there is none."""
    with ThreadPoolExecutor() as pool:  # Pillow and OpenCV release the GIL
        # disable=None: no progress bar where standard error is not a terminal.
        results = list(tqdm(pool.map(_load_frame, paths), folder.name, len(paths), leave=False, disable=None))
    frames = [result for result in results if not isinstance(result, Exception)]
    errors = [str(result) if isinstance(result, Exception) else "" for result in results]
    return stack_frames(frames).numpy(), np.array(errors, dtype=np.str_)


def _cache_key(folder: Path, paths: Sequence[Path]) -> str:
    """A hash of the files, by size and modification time, and the preprocessing version."""
    sha = hashlib.sha256(f"preprocessing {PREPROCESSING_VERSION}".encode())
    for path in paths:
        status = path.stat()
        sha.update(f"\n{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}".encode())
    return sha.hexdigest()[:24]


def cached_arrays(path: Path, make: Callable[[], tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
    """The arrays in a file, or those that `make` returns if it does not exist or is damaged; they are written there."""
    try:
        # If np.load opens a damaged file itself, it does not close it.
        with path.open("rb") as file, np.load(file) as arrays:
            return tuple(arrays[f"arr_{index}"] for index in range(len(arrays.files)))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        content = make()
    buffer = io.BytesIO()
    np.savez(buffer, *content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        print(f"the frames of these pictures cannot be cached: {error}", file=sys.stderr)
    return content
