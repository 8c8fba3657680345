"""PNG plots of a training, and contact sheets of mistakes."""

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
from PIL import Image, ImageDraw
from torch import Tensor

from model import digit_probabilities
from model_file import N_DIGITS
from recognition import InputError, Recognizer
from recognition.picture import decode_picture
from recognition.preview import thumbnail, to_png
from storage import write_atomically
from training.augment import Augmentation
from training.calibration import calibration_bins
from training.datasets import Digits
from training.evaluation import Predictions
from training.evaluation_sets import NON_DIGIT, Input, PictureArray, PictureFile
from training.loop import Epoch
from training.reports import confusion_table

mpl.use("Agg")  # renders without a display

_N_SAMPLES, _MAX_MISTAKES = 40, 40

# Layout of a sheet of pictures, in pixels.
_PICTURE_SIDE = 84
_CAPTION_HEIGHT = 14
_GAP = 6
_COLUMNS = 8


def write_plots(
    history: Sequence[Epoch],
    logits: Tensor,
    validation: Digits,
    temperature: float,
    training: Digits,
    augment: Augmentation,
    folder: Path,
) -> None:
    """Write the plots; `logits` are of the validation digits. Raises `OSError`."""
    probabilities = digit_probabilities(logits, temperature)
    labels = validation.labels.cpu()
    samples = training.select(torch.arange(min(len(training), _N_SAMPLES), device=training.labels.device))
    augmented = augment(samples.frames / 255, samples.labels).cpu().numpy()
    figures = {
        "training_history": plot_history(history),
        "confusion_matrix": plot_confusion(logits, labels),
        "class_distribution": plot_distribution(training.labels.cpu(), labels),
        "reliability_diagram": plot_reliability(probabilities.amax(1), probabilities.argmax(1) == labels),
    }
    names = [str(label) for label in samples.labels.tolist()]
    pictures = {name: _to_png(figure) for name, figure in figures.items()} | {
        "misclassified_digits": draw_mistakes(probabilities, validation),
        "sample_digits": draw_digits(samples.frames.cpu().numpy() / 255, names),
        "augmented_digits": draw_digits(augmented, names),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)


def _to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def plot_history(history: Sequence[Epoch]) -> Figure:
    """Loss, error and learning rate by epoch."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, error, lr = figure.subplots(1, 3)
    epochs = [epoch.number for epoch in history]
    loss.plot(epochs, [epoch.loss for epoch in history], label="training (augmented)")
    loss.plot(epochs, [epoch.validation.loss for epoch in history], label="validation")
    loss.set(title="Loss", xlabel="epoch", yscale="log")
    error.plot(epochs, [100 * (1 - epoch.accuracy) for epoch in history], label="training (augmented)")
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
    """True digits in rows, predicted digits in columns; a logarithmic colour scale shows single mistakes."""
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


def plot_distribution(training: Tensor, validation: Tensor) -> Figure:
    """The number of each digit."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    digits = np.arange(N_DIGITS)
    axes.bar(digits - 0.2, training.bincount(minlength=N_DIGITS).numpy(), width=0.4, label="training")
    axes.bar(digits + 0.2, validation.bincount(minlength=N_DIGITS).numpy(), width=0.4, label="validation")
    axes.set(title="Class distribution", xlabel="digit", ylabel="number", xticks=digits)
    axes.legend()
    return figure


def plot_reliability(confidence: Tensor, correct: Tensor) -> Figure:
    """Accuracy by confidence; a calibrated network is on the diagonal."""
    bins = calibration_bins(confidence, correct)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--")
    axes.plot([item.confidence for item in bins], [item.accuracy for item in bins], marker="o")
    for item in bins:
        point = (item.confidence, item.accuracy)
        axes.annotate(str(item.n), point, textcoords="offset points", xytext=(5, -10), fontsize=7)
    axes.set(title="Reliability, validation", xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def draw_mistakes(probabilities: Tensor, validation: Digits) -> bytes:
    """A PNG file of the misclassified digits with the highest confidence."""
    confidence, predicted = probabilities.max(1)
    labels = validation.labels.cpu()
    wrong = (predicted != labels).nonzero()[:, 0]
    wrong = wrong[confidence[wrong].argsort(descending=True, stable=True)][:_MAX_MISTAKES]
    names = [f"{int(labels[i])} -> {int(predicted[i])} {float(confidence[i]):.2f}" for i in wrong]
    return draw_digits(validation.frames[wrong.to(validation.frames.device)].cpu().numpy() / 255, names)


def draw_digits(frames: NDArray[np.floating[Any]], names: Sequence[str]) -> bytes:
    """A PNG file of frames `[N, 28, 28]`, each with its name below."""
    return _draw_sheet([[_enlarge(frame)] for frame in frames], names)


def contact_sheet(recognizer: Recognizer, predictions: Predictions, indices: Sequence[int]) -> bytes:
    """A PNG file of the predictions at `indices`: picture, frame, and "truth -> prediction confidence" below them."""
    frames = [predictions.frames[index] for index in indices]
    pictures = [_picture(recognizer, predictions.items[index].input) for index in indices]
    cells = [[p, None if f is None else _enlarge(f)] for p, f in zip(pictures, frames, strict=True)]
    return _draw_sheet(cells, [_caption(predictions, index) for index in indices])


def _draw_sheet(cells: Sequence[Sequence[Image.Image | None]], captions: Sequence[str]) -> bytes:
    """A PNG file of cells, each with pictures side by side and a caption below."""
    n_rows = max(1, -(-len(cells) // _COLUMNS))
    width = max(map(len, cells), default=1) * _PICTURE_SIDE + _GAP
    height = _PICTURE_SIDE + _CAPTION_HEIGHT + _GAP
    sheet = Image.new("L", (_COLUMNS * width, n_rows * height), 235)
    draw = ImageDraw.Draw(sheet)
    for number, (pictures, caption) in enumerate(zip(cells, captions, strict=True)):
        x, y = number % _COLUMNS * width, number // _COLUMNS * height
        for place, picture in enumerate(pictures):
            if picture is not None:
                sheet.paste(picture, (x + place * _PICTURE_SIDE, y))
        draw.text((x + 2, y + _PICTURE_SIDE), caption, fill=0)
    return to_png(sheet)


def _enlarge(frame: NDArray[np.floating[Any]]) -> Image.Image:
    """A frame as a picture, black ink on white."""
    grey = Image.fromarray((255 * (1 - np.clip(frame, 0, 1))).astype(np.uint8))
    return grey.resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.NEAREST)


def _picture(recognizer: Recognizer, source: Input) -> Image.Image | None:
    """A thumbnail of the input; None if it is not a picture."""
    if not isinstance(source, PictureFile | PictureArray):
        return None
    try:
        return thumbnail(decode_picture(source.read(), recognizer.limits), _PICTURE_SIDE)
    except InputError:
        return None


def _caption(predictions: Predictions, index: int) -> str:
    label, digit = predictions.labels[index], predictions.digits[index]
    truth = "none" if label == NON_DIGIT else str(label)
    answer = "blank" if digit < 0 else f"{digit} {predictions.probabilities[index].max():.2f}"
    return f"{truth} -> {answer}{'' if predictions.is_digit[index] else ' rejected'}"
