"""Training curves: a figure of training and of validation, by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from web.charts.axes import Axis, Tick, log_axis
from web.record import Rows

WIDTH, HEIGHT = 320, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 312, 10, 172


@dataclass(frozen=True, slots=True)
class Curves:
    """Two lines over the same epochs."""

    epochs: Sequence[int]
    training: Sequence[float]
    validation: Sequence[float]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    training_line: str  # points of an SVG polyline
    validation_line: str
    frame: tuple[int, int, int, int] = (_LEFT, _TOP, _RIGHT, _BOTTOM)
    size: tuple[int, int] = (WIDTH, HEIGHT)


def loss_curves(train: Rows, validation: Rows) -> Curves:
    """Loss in nats. Raises `ValueError` or `KeyError` where the tables are not the trainer's."""
    return _curves(train, validation, lambda row: float(row["loss"]))


def error_curves(train: Rows, validation: Rows) -> Curves:
    """Misread digits in percent. Raises as `loss_curves` does."""
    return _curves(train, validation, lambda row: round(100 * (1 - float(row["accuracy"])), 6))


def _curves(train: Rows, validation: Rows, figure: Callable[[Mapping[str, str]], float]) -> Curves:
    epochs = [int(row["epoch"]) for row in validation]
    if not epochs or [int(row["epoch"]) for row in train] != epochs:
        raise ValueError("the tables are of different epochs")
    trained, validated = [figure(row) for row in train], [figure(row) for row in validation]
    x = Axis(epochs[0], epochs[-1], _LEFT + 4, _RIGHT - 4)
    y = log_axis([*trained, *validated], _BOTTOM, _TOP)
    return Curves(
        epochs=epochs,
        training=trained,
        validation=validated,
        x_ticks=[tick for tick in x.ticks() if tick.value == int(tick.value)],
        y_ticks=y.ticks(),
        training_line=_line(x, y, epochs, trained),
        validation_line=_line(x, y, epochs, validated),
    )


def _line(x: Axis, y: Axis, epochs: Sequence[int], values: Sequence[float]) -> str:
    return " ".join(f"{x.place(epoch)},{y.place(value)}" for epoch, value in zip(epochs, values, strict=True))
