"""Printing rows as a table, CSV, JSON or JSON Lines; saving frames and plots next to the pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from batch.formats import csv_fields
from batch.rows import N_DIGITS, BatchError, Columns, Row, to_unicode
from batch.sources import FRAME_SUFFIX, PLOT_SUFFIX, STANDARD_INPUT, is_remote
from escaping import escape_unprintable, is_printable
from storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEXT_WIDTH = 12
_MAX_PATH_WIDTH = 60  # a longer path does not widen the column


def print_table(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, paths: Sequence[str]) -> None:
    """Columns `path  digit  confidence`, or `text` for `digit`, and why, where a picture does not show a digit."""
    width = max([4, *(len(escape_unprintable(path)) for path in paths if len(path) <= _MAX_PATH_WIDTH)])
    names = [columns.value, *(f"{rank}. {columns.value}" for rank in range(2, columns.top + 1))]
    widths = [_TEXT_WIDTH if columns.numbers else len(name) for name in names]
    head = ["path".ljust(width)]
    head += [f"{name:>{n}}  confidence" for name, n in zip(names, widths, strict=True)]
    if columns.probabilities:
        head += [str(digit).rjust(5) for digit in range(10)]
    print("  ".join(head), file=out)
    for rows in batches:
        for row in rows:
            print(_line(row, columns, width, widths), file=out)


def _line(row: Row, columns: Columns, width: int, widths: Sequence[int]) -> str:
    cells = [escape_unprintable(row.path).ljust(width)]
    for (value, confidence), n in zip(columns.best(row), widths, strict=False):  # there may be few texts
        cells.append(f"{escape_unprintable(str(value)):>{n}}  {_percent(confidence):>10}")
    if columns.probabilities:
        cells += [f"{share:.3f}" for share in row.probabilities]
    return "  ".join([*cells, *([_words(row.reason)] if row.reason else [])])


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _percent(share: float) -> str:
    # Never 100 % or 0 %, because no prediction is certain.
    if share > 0.999:
        return ">99.9 %"
    return "<0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def print_csv(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """A header and one line per picture."""
    names = [name for name in columns.flat(Row("")) if name != "error"]
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for rows in batches:
        records = (csv_fields(columns.flat(row)) for row in rows)
        writer.writerows({**record, "path": escape_unprintable(str(record["path"]))} for record in records)


def print_json(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """A list of objects."""
    records = [columns.nested(row) for rows in batches for row in rows]
    print(_dump(records, indent=2), file=out)


def print_jsonl(out: IO[str], batches: Iterable[Sequence[Row]], columns: Columns, _paths: Sequence[str]) -> None:
    """One object per line."""
    for rows in batches:
        for row in rows:
            print(_dump(columns.nested(row)), file=out)


def _dump(value: object, indent: int | None = None) -> str:
    # JSON allows control characters from U+007F on in strings; a terminal may act on them.
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(c if is_printable(c) or c == "\n" else json.dumps(c)[1:-1] for c in text)


Printer = Callable[[IO[str], Iterable[Sequence[Row]], Columns, Sequence[str]], None]
PRINTERS: Mapping[str, Printer] = {
    "table": print_table,
    "csv": print_csv,
    "json": print_json,
    "jsonl": print_jsonl,
}


def save_frame(row: Row) -> None:
    """Write the 28x28 frame next to the picture, as `NAME.frame.png`. Raises `OSError`."""
    write_atomically(_output_path(row.path, FRAME_SUFFIX), row.frame_png or b"")


def save_plot(row: Row) -> None:
    """Write a bar chart of the probabilities next to the picture, as `NAME.plot.png`. Raises `OSError`."""
    write_atomically(_output_path(row.path, PLOT_SUFFIX), _bar_chart(row))


def _output_path(path: str, suffix: str) -> Path:
    """The path of a file next to a picture, or in the current folder if the picture is not a local file."""
    if path == STANDARD_INPUT:
        return Path(f"stdin{suffix}")
    if is_remote(path):
        return Path(Path(path).stem + suffix)
    # With the picture's full name, because there may be a one.png and a one.jpg.
    return Path(path + suffix)


def load_figure() -> type[Figure]:
    """Matplotlib's `Figure`, which not every installation has. Raises `BatchError`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BatchError("--save-plot needs matplotlib: pip install -r requirements.txt") from error
    return Figure


def _bar_chart(row: Row) -> bytes:
    figure = load_figure()(figsize=(4.8, 2.8), layout="constrained")
    axes = figure.subplots()
    digit = row.top[0][0]
    colours = ["#3b6ea5" if i == digit else "#c3d3e5" for i in range(N_DIGITS)]
    bars = axes.bar(range(N_DIGITS), row.probabilities, color=colours)
    axes.bar_label(bars, [f"{p:.0%}" if p >= 0.005 else "" for p in row.probabilities], fontsize=8)
    axes.set(xticks=range(N_DIGITS), ylim=(0, 1.1), yticks=(0, 0.5, 1), ylabel="probability")
    axes.set_title(_title(row), fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _title(row: Row) -> str:
    # A dollar sign would start a formula.
    name = to_unicode(row.path).rsplit("/", 1)[-1][-40:].replace("$", r"\$")
    return f"{name}: {_words(row.reason)}" if row.reason else name
