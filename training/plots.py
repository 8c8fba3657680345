"""A training run as PNG plots."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from model import N_DIGITS, digit_probabilities
from storage import write_atomically
from training.artifacts import confusion_table
from training.augment import Distorter
from training.data import Digits
from training.loop import Epoch
from training.metrics import calibration_bins

mpl.use("Agg")  # draws to memory: there may be no screen

_N_MISTAKES = 40
_COLUMNS = 10


def write_plots(
    history: Sequence[Epoch],
    logits: Tensor,
    validation: Digits,
    temperature: float,
    training: Digits,
    distort: Distorter,
    folder: Path,
) -> None:
    """Write the plots; the network's are of the validation digits. Raises `OSError`."""
    probabilities = digit_probabilities(logits, temperature)
    labels = validation.labels.cpu()
    samples = training.select(torch.arange(min(len(training), 4 * _COLUMNS), device=training.labels.device))
    distorted = distort(samples.frames / 255, samples.labels).cpu().numpy()
    figures = {
        "training_history": plot_history(history),
        "confusion_matrix": plot_confusion(logits, labels),
        "misclassified_digits": plot_mistakes(probabilities, validation),
        "class_distribution": plot_distribution(training.labels.cpu(), labels),
        "sample_digits": plot_digits(samples.frames.cpu().numpy() / 255, _names(samples.labels), "Training digits"),
        "augmented_digits": plot_digits(distorted, _names(samples.labels), "The same digits as training sees them"),
        "reliability_diagram": plot_reliability(probabilities.amax(1), probabilities.argmax(1) == labels),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        write_atomically(folder / f"{name}.png", buffer.getvalue())


def plot_history(history: Sequence[Epoch]) -> Figure:
    """Loss, error and learning rate by epoch."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, error, lr = figure.subplots(1, 3)
    epochs = [epoch.number for epoch in history]
    loss.plot(epochs, [epoch.loss for epoch in history], label="training (distorted)")
    loss.plot(epochs, [epoch.validation.loss for epoch in history], label="validation")
    loss.set(title="Loss", xlabel="epoch", yscale="log")
    error.plot(epochs, [100 * (1 - epoch.accuracy) for epoch in history], label="training (distorted)")
    error.plot(epochs, [100 * (1 - epoch.validation.accuracy) for epoch in history], label="validation")
    error.set(title="Error, %", xlabel="epoch")
    lr.plot(epochs, [epoch.lr for epoch in history], label="at the end of the epoch")
    lr.set(title="Learning rate", xlabel="epoch")
    for axes in (loss, error, lr):
        axes.legend()
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_confusion(logits: Tensor, labels: Tensor) -> Figure:
    """True digits down, predicted digits across; the colour is logarithmic, so that single mistakes can be seen."""
    counts = confusion_table(logits, labels).to_numpy()
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.log1p(counts), cmap="Blues")
    for row, column in np.ndindex(counts.shape):
        colour = "white" if row == column else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=9)
    axes.set(title="Confusion matrix, validation", xlabel="predicted", ylabel="true")
    axes.set(xticks=range(N_DIGITS), yticks=range(N_DIGITS))
    return figure


def plot_mistakes(probabilities: Tensor, validation: Digits) -> Figure:
    """The digits that were misread with the most confidence."""
    confidence, predicted = probabilities.max(1)
    labels = validation.labels.cpu()
    wrong = (predicted != labels).nonzero()[:, 0]
    wrong = wrong[confidence[wrong].argsort(descending=True, stable=True)][:_N_MISTAKES]
    names = [f"{int(labels[i])} as {int(predicted[i])}, {100 * float(confidence[i]):.0f} %" for i in wrong]
    frames = validation.frames[wrong.to(validation.frames.device)].cpu().numpy() / 255
    return plot_digits(frames, names, "Misclassified validation digits")


def plot_digits(frames: NDArray[np.floating[Any]], names: Sequence[str], title: str) -> Figure:
    """Frames `[N, 28, 28]` in rows, each with its name above."""
    n_rows = max(1, -(-len(frames) // _COLUMNS))
    figure = Figure(figsize=(_COLUMNS * 1.25, 0.6 + n_rows * 1.5), layout="constrained")
    figure.suptitle(title if len(frames) else f"{title}: none")
    for place, axes in enumerate(figure.subplots(n_rows, _COLUMNS, squeeze=False).flat):
        axes.set_axis_off()
        if place < len(frames):
            axes.imshow(frames[place], cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(names[place], fontsize=8)
    return figure


def plot_distribution(training: Tensor, validation: Tensor) -> Figure:
    """How often each digit occurs."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    digits = np.arange(N_DIGITS)
    axes.bar(digits - 0.2, training.bincount(minlength=N_DIGITS).numpy(), width=0.4, label="training")
    axes.bar(digits + 0.2, validation.bincount(minlength=N_DIGITS).numpy(), width=0.4, label="validation")
    axes.set(title="Class distribution", xlabel="digit", ylabel="number", xticks=digits)
    axes.legend()
    return figure


def plot_reliability(confidence: Tensor, right: Tensor) -> Figure:
    """Accuracy against confidence: on the diagonal, the network is right as often as it says."""
    bins = calibration_bins(confidence, right)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--")
    axes.plot([item.confidence for item in bins], [item.accuracy for item in bins], marker="o")
    for item in bins:
        place = (item.confidence, item.accuracy)
        axes.annotate(str(item.n), place, textcoords="offset points", xytext=(5, -10), fontsize=7)
    axes.set(title="Reliability, validation", xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def _names(labels: Tensor) -> list[str]:
    return [str(label) for label in labels.tolist()]
