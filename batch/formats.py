"""File formats of results: CSV, JSON Lines and Parquet, written and read in batches of records.

The functions do not close the files.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from batch.rows import BatchError, Columns, Record, Row

_BATCH = 4096  # records


@dataclass(frozen=True, slots=True)
class Format:
    """How rows become records, and how records are written and read."""

    record: Callable[[Columns, Row], Record]
    write: Callable[[IO[bytes], Iterable[Sequence[Record]], Columns], None]
    read: Callable[[IO[bytes]], Iterator[list[Record]]]


def write_csv(file: IO[bytes], batches: Iterable[Sequence[Record]], columns: Columns) -> None:
    """A header and one line per record; a missing value is an empty field."""
    with _text(file) as text:
        names = list(columns.flat(Row("")))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        # Before Python 3.13 a carriage return in a field is not quoted.
        quoting_writer = csv.DictWriter(text, names, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for records in batches:
            for fields in map(csv_fields, records):
                (quoting_writer if "\r" in str(fields["path"]) else writer).writerow(fields)
            text.flush()


# Spreadsheets treat fields that start with one of these as formulas (OWASP, "CSV Injection"). A quote before them
# prevents that; quotes get one, too, so that the first can always be removed.
_FORMULA_STARTS = tuple("=+-@\t\r'")


def csv_fields(record: Record) -> Record:
    """`record` as CSV fields: true and false as in JSON, and no text that a spreadsheet treats as a formula."""
    return {name: _csv_field(value) for name, value in record.items()}


def _csv_field(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    is_formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS) and value != "-"  # standard input
    return f"'{value}" if is_formula else value


def read_csv(file: IO[bytes]) -> Iterator[list[Record]]:
    """Records with strings as values."""
    with _text(file) as text:
        yield from _batches(
            {name: value.removeprefix("'") for name, value in line.items()} for line in csv.DictReader(text)
        )


def write_jsonl(file: IO[bytes], batches: Iterable[Sequence[Record]], _columns: Columns) -> None:
    """One JSON object per line."""
    for records in batches:
        file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode())


def read_jsonl(file: IO[bytes]) -> Iterator[list[Record]]:
    """Records as they were written."""
    yield from _batches(json.loads(line) for line in file if line.strip())


def write_parquet(file: IO[bytes], batches: Iterable[Sequence[Record]], columns: Columns) -> None:
    """One row group per batch."""
    arrow, parquet = _arrow()
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in columns.flat(Row(""))])
    with parquet.ParquetWriter(file, schema) as writer:
        for records in batches:
            if records:
                writer.write_table(arrow.Table.from_pylist(list(records), schema=schema))


def read_parquet(file: IO[bytes]) -> Iterator[list[Record]]:
    """Records as they were written."""
    _, parquet = _arrow()
    for batch in parquet.ParquetFile(file).iter_batches(_BATCH):
        yield batch.to_pylist()


def _arrow_type(arrow: Any, name: str) -> Any:
    if name in {"path", "reason", "error", "model"} or name.startswith("text"):
        return arrow.string()
    if name == "is_digit":
        return arrow.bool_()
    return arrow.int8() if name.startswith("digit") and name != "digit_score" else arrow.float64()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BatchError("Parquet needs pyarrow: pip install pyarrow, or choose .csv or .jsonl") from error
    return pyarrow, pyarrow.parquet


def _batches(records: Iterable[Any]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _text(file: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    """A text file over `file`, which stays open."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()


FORMATS: Mapping[str, Format] = {
    ".csv": Format(Columns.flat, write_csv, read_csv),
    ".jsonl": Format(Columns.nested, write_jsonl, read_jsonl),
    ".parquet": Format(Columns.flat, write_parquet, read_parquet),
}
