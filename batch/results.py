"""The output file of a batch, written in parts, each atomically, so that the same command resumes an interrupted run.

    results.csv.parts/part-000001.csv     while the batch runs
    results.csv                           all rows, once it has finished; the parts are removed

A run that was killed loses at most the rows of the part in progress. Pictures that could not be read are tried again.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import chain, compress
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from batch.formats import FORMATS
from batch.rows import BatchError, Columns, Record, Row, to_unicode
from batch.sources import file_system
from storage import replace_atomically

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PART_ROWS = 5_000


class DonePaths:
    """The paths that are done, stored as 8-byte hashes, because there may be millions."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._hashes = np.sort(_hash_all(paths))

    def __len__(self) -> int:
        return len(self._hashes)

    def missing(self, paths: Iterable[str]) -> Iterator[str]:
        """The `paths` that are not done."""
        return (path for path in paths if not self._has(_hash(path)))

    def _has(self, value: int) -> bool:
        place = int(np.searchsorted(self._hashes, np.uint64(value)))
        return place < len(self._hashes) and int(self._hashes[place]) == value


def _hash(path: str) -> int:
    # 64 bits: among a million paths, two share one with a probability of 3 in 100 million.
    return int.from_bytes(blake2b(to_unicode(path).encode(), digest_size=8).digest(), "little")


def _hash_all(paths: Iterable[str]) -> NDArray[np.uint64]:
    return np.array(array("Q", map(_hash, paths)), dtype=np.uint64)


class Results:
    """Writes rows to `url`, a local path or an fsspec URL. Raises `BatchError` or `OSError`.

    `n_errors` counts the pictures of this run that could not be read.
    """

    def __init__(self, url: str, columns: Columns, part_rows: int = PART_ROWS) -> None:
        suffix = PurePosixPath(url).suffix.lower()
        if suffix not in FORMATS:
            raise BatchError(f"{url} cannot be written: its name must end in {', '.join(FORMATS)}")
        self._format = FORMATS[suffix]
        self._columns = columns
        self._part_rows = part_rows
        self._files, self._path = file_system(url)
        self._folder = f"{self._path}.parts"
        self._suffix = suffix
        self._rows: list[Row] = []
        self._parts = self._find_parts()
        self.n_errors = 0
        self.done = DonePaths(self._done_paths())

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows; they are written when a part is full."""
        self._rows += rows
        self.n_errors += sum(row.error is not None for row in rows)
        while len(self._rows) >= self._part_rows:
            self._write_part(self._rows[: self._part_rows])
            del self._rows[: self._part_rows]

    def save(self) -> None:
        """Write the rows that do not fill a part yet."""
        if self._rows:
            self._write_part(self._rows)
            self._rows = []

    def finish(self) -> None:
        """Append the parts to the rows of earlier runs, one row per path, and remove them."""
        self.save()
        if self._parts or not self._files.exists(self._path):
            # A picture that was tried again has two rows. So has one in a part that was not removed because the run
            # was killed after writing the file.
            is_last = _is_last(str(record["path"]) for records in self._all() for record in records)
            with self._replace(self._path) as file:
                self._format.write(file, _choose(self._all(), is_last), self._columns)
        if self._files.isdir(self._folder):
            self._files.rm(self._folder, recursive=True)

    def _find_parts(self) -> list[str]:
        found = self._files.glob(f"{self._folder}/part-*{self._suffix}")
        return sorted(str(name) for name in found)

    def _write_part(self, rows: Sequence[Row]) -> None:
        number = int(PurePosixPath(self._parts[-1]).stem.split("-")[1]) + 1 if self._parts else 1
        name = f"{self._folder}/part-{number:06}{self._suffix}"
        buffer = io.BytesIO()
        self._format.write(buffer, [[self._format.record(self._columns, row) for row in rows]], self._columns)
        self._files.makedirs(self._folder, exist_ok=True)
        with self._replace(name) as file:
            file.write(buffer.getvalue())
        self._parts.append(name)

    @contextmanager
    def _replace(self, path: str) -> Iterator[IO[bytes]]:
        if _is_local(self._files):
            with replace_atomically(Path(path)) as file:
                yield file
        else:
            # The old content is still being read while the new is written.
            with self._files.open(f"{path}.new", "wb") as file:
                yield file
            self._files.mv(f"{path}.new", path)

    def _finished(self) -> Iterator[list[Record]]:
        return self._read(self._path) if self._files.exists(self._path) else iter(())

    def _read(self, path: str) -> Iterator[list[Record]]:
        with self._files.open(path, "rb") as file:
            yield from self._format.read(file)

    def _all(self) -> Iterator[list[Record]]:
        return chain(self._finished(), *map(self._read, self._parts))

    def _done_paths(self) -> Iterator[str]:
        for records in self._all():
            self._refuse_other_columns(records)
            yield from (str(record["path"]) for record in records if not record.get("error"))

    def _refuse_other_columns(self, records: Sequence[Record]) -> None:
        """Refuse rows from a different model or with different columns."""
        expected = [_shape(self._format.record(self._columns, row)) for row in _SAMPLES]
        for record in records:
            if _shape(record) not in expected or record["model"] != self._columns.model:
                raise BatchError(
                    f"{self._path} or its parts were made by another model or with other columns; "
                    "choose another name, or remove them"
                )


_SAMPLES = (Row("", (0.1,) * 10, True, 0.0, texts=(("", 0.0),)), Row("", error="Unreadable."))


def _shape(record: Record) -> tuple[set[str], int]:
    """The names in a record, and the length of its list `top`."""
    top = record.get("top")
    return set(record), len(top) if isinstance(top, list) else 0


def _is_last(paths: Iterable[str]) -> NDArray[np.bool_]:
    """For each of `paths`, whether this is its last occurrence."""
    backwards = _hash_all(paths)[::-1]
    is_last = np.zeros(len(backwards), dtype=np.bool_)
    is_last[np.unique(backwards, return_index=True)[1]] = True
    return is_last[::-1]


def _choose(batches: Iterable[Sequence[Record]], is_chosen: Iterable[np.bool_]) -> Iterator[list[Record]]:
    """The records for which `is_chosen` is true."""
    chosen = iter(is_chosen)
    return (list(compress(records, chosen)) for records in batches)


def _is_local(files: AbstractFileSystem) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)
