"""The probabilities of one picture as a bar chart."""

from __future__ import annotations

import io

from batch.rows import N_DIGITS, BatchError, Row, printable


def bar_chart(row: Row) -> bytes:
    """A PNG file. Raises `BatchError` where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BatchError("--save-plot needs matplotlib: pip install -r requirements.txt") from error
    figure = Figure(figsize=(4.8, 2.8), layout="constrained")
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
    name = printable(row.path).rsplit("/", 1)[-1][-40:].replace("$", r"\$")
    return name if row.is_digit else f"{name}: not a digit"
