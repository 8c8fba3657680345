"""Input pictures: files, folders, globs, standard input (`-`), and any URL that fsspec supports (`s3://...`)."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.rows import BatchError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SUPPORTED = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
# These pictures are not skipped silently, but reported as unsupported when they are read.
_UNSUPPORTED = (".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2")
SUFFIXES = (*SUPPORTED, *_UNSUPPORTED)
# predict.py writes these files next to the pictures; they are not input of the next run.
FRAME_SUFFIX, PLOT_SUFFIX = ".frame.png", ".plot.png"
STANDARD_INPUT = "-"
# Twice as much as 50 uncompressed megapixels; prevents reading a wrong file (a video, a disk image) into memory.
MAX_FILE_BYTES = 400 * 2**20
CHUNK_SIZE = 64  # pictures in one forward pass: enough to fill a core, few enough to respond soon


def chunked(paths: Iterable[str], size: int = CHUNK_SIZE) -> Iterator[list[str]]:
    """`paths` in lists of `size`, the last one shorter."""
    iterator = iter(paths)
    while chunk := list(islice(iterator, size)):
        yield chunk


def is_remote(path: str) -> bool:
    """Whether `path` is a URL for fsspec, and not a local path."""
    return "://" in path


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The fsspec file system of `url`, and the path in it. Raises `BatchError` for an unknown protocol."""
    from fsspec.core import url_to_fs

    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise BatchError(f"{url} cannot be opened: {error}") from error
    return found


def find_pictures(arguments: Iterable[str]) -> Iterator[str]:
    """The paths of the pictures that `arguments` name, those of a folder sorted.

    Folders are searched recursively for files with a picture's suffix; hidden ones are skipped. An argument without
    pictures is yielded as it is, so that reading it reports what is wrong. Raises `BatchError`.
    """
    for argument in arguments:
        empty = True
        for path in _expand(argument):
            empty = False
            yield path
        if empty:
            yield argument


def _expand(argument: str) -> Iterator[str]:
    if is_remote(argument):
        yield from _expand_remote(argument)
    elif Path(argument).is_dir():
        yield from _walk(argument)
    elif glob.has_magic(argument) and not Path(argument).exists():
        for match in sorted(glob.glob(argument, recursive=True)):  # noqa: PTH207 - patterns may be absolute
            yield from _walk(match) if Path(match).is_dir() else [match]
    else:
        yield argument


def _walk(folder: str) -> Iterator[str]:
    pictures, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    folders.append(entry.path)
            elif is_picture_name(entry.name) and entry.is_file():
                pictures.append(entry.path)
    yield from sorted(pictures)
    for path in sorted(folders):
        yield from _walk(path)


def _expand_remote(url: str) -> Iterator[str]:
    files, path = file_system(url)
    if glob.has_magic(path):
        names: Iterable[Any] = sorted(files.glob(path))
    elif files.isdir(path):
        names = (
            f"{folder}/{name}" for folder, _, inside in files.walk(path) for name in inside if is_picture_name(name)
        )
    else:
        names = [path]
    yield from map(files.unstrip_protocol, names)


def is_picture_name(name: str) -> bool:
    """Whether a file in a folder counts as a picture."""
    lower = name.lower()
    return lower.endswith(SUFFIXES) and not lower.startswith(".") and not lower.endswith((FRAME_SUFFIX, PLOT_SUFFIX))


def read_file(path: str) -> bytes:
    """The bytes of a picture file. Raises `OSError`, or `BatchError` for an unknown protocol."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read(MAX_FILE_BYTES)
    if is_remote(path):
        files, name = file_system(path)
        data: bytes = files.cat_file(name)
        return data
    file = Path(path)
    if file.stat().st_size > MAX_FILE_BYTES:
        raise OSError(0, "the file is too large to be a picture")
    return file.read_bytes()


def describe_error(error: OSError) -> str:
    """A sentence for the user."""
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, IsADirectoryError):
        return "The folder holds no pictures."
    return f"The file cannot be read: {(error.strerror or str(error) or type(error).__name__).lower()}."
