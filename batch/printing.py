"""Rows for people and pipes: a table, CSV, JSON or JSON lines, as they come; and the files beside a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from batch.formats import csv_value
from batch.rows import Columns, Row, printable
from batch.sources import FRAME_SUFFIX, PLOT_SUFFIX, STANDARD_INPUT, is_remote
from storage import write_atomically

_WIDEST = 60  # a path longer than this does not widen the column for all others


def print_table(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, paths: Sequence[str]) -> None:
    """`path  digit  confidence` in columns, with a word for what is no digit."""
    width = max([4, *(len(_visible(path)) for path in paths if len(path) <= _WIDEST)])
    head = ["path".ljust(width), "digit  confidence"]
    head += [f"{rank}. digit  confidence" for rank in range(2, columns.top + 1)]
    if columns.probabilities:
        head += [str(digit).rjust(5) for digit in range(10)]
    print("  ".join(head), file=out)
    for rows in batches:
        for row in rows:
            print(_line(row, columns, width), file=out)


def _line(row: Row, columns: Columns, width: int) -> str:
    (digit, confidence), *others = row.top[: columns.top]
    cells = [_visible(row.path).ljust(width), f"{digit:5}  {_percent(confidence):>10}"]
    cells += [f"{digit:8}  {_percent(confidence):>10}" for digit, confidence in others]
    if columns.probabilities:
        cells += [f"{share:.3f}" for share in row.probabilities]
    return "  ".join(cells) + ("" if row.is_digit else "  not a digit")


def _percent(share: float) -> str:
    # No answer is certain, so none is shown as 100 % or as 0 %.
    if share > 0.999:
        return ">99.9 %"
    return "<0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def _visible(path: str) -> str:
    """`path` without anything that would move a terminal's cursor or colour its text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable(path))


def print_csv(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """A header and a line a picture."""
    names = [name for name in columns.flat(Row("")) if name != "error"]
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for rows in batches:
        writer.writerows({name: csv_value(value) for name, value in columns.flat(row).items()} for row in rows)


def print_json(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """One list of objects."""
    records = [columns.nested(row) for rows in batches for row in rows]
    print(json.dumps(records, ensure_ascii=False, indent=2), file=out)


def print_jsonl(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """One object a line."""
    for rows in batches:
        for row in rows:
            print(json.dumps(columns.nested(row), ensure_ascii=False), file=out)


Printer = Callable[[IO[str], Iterable[Sequence[Row]], Columns, Sequence[str]], None]
PRINTERS: Mapping[str, Printer] = {
    "table": print_table,
    "csv": print_csv,
    "json": print_json,
    "jsonl": print_jsonl,
}


def save_frame(row: Row) -> None:
    """Write the 28x28 frame beside the picture, as `NAME.frame.png`. Raises `OSError`."""
    write_atomically(beside(row.path, FRAME_SUFFIX), row.frame_png or b"")


def save_plot(row: Row) -> None:
    """Write a bar chart of the ten probabilities beside the picture, as `NAME.plot.png`. Raises `OSError`."""
    from batch.plot import bar_chart

    write_atomically(beside(row.path, PLOT_SUFFIX), bar_chart(row))


def beside(path: str, suffix: str) -> Path:
    """The file that belongs to a picture; of one that has no local folder, in the current one."""
    if path == STANDARD_INPUT:
        return Path(f"stdin{suffix}")
    if is_remote(path):
        return Path(Path(path).stem + suffix)
    # With the picture's whole name, so that one.png and one.jpg do not share it.
    return Path(path + suffix)
