"""The networks.

    network = ARCHITECTURES["cnn"](background=True)
    logits = network(frames)             # [N, 28, 28] -> [N, 10 or 11]

Every network for single digits takes frames as they are, float32 in 0 (paper) to 1 (ink): standardization is its first
layer. It returns one logit per digit and, with `background=True`, an eleventh for the background class, "not a digit".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from model_file import FRAME_SIZE, N_DIGITS, N_PATH_FEATURES, NUMBER_READER, STROKE_READER


class Standardize(nn.Module):
    """Frames `[N, 28, 28]` in 0..1 to zero mean and unit variance, `[N, 1, 28, 28]`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Mean and standard deviation of the 60,000 MNIST training pictures.
        self.register_buffer("mean", torch.tensor(0.1307))
        self.register_buffer("std", torch.tensor(0.3081))

    def forward(self, frames: Tensor) -> Tensor:
        return ((frames - self.mean) / self.std).unsqueeze(1)


def n_outputs(background: bool) -> int:
    """Number of logits: one per digit, and one for the background class if there is one."""
    return N_DIGITS + int(background)


class DigitCNN(nn.Module):
    """Five convolutions with batch normalization, three with pooling; 290,795 parameters at the default width.

    Pooling comes before normalization and ReLU, which then cost a quarter.
    """

    def __init__(self, width: int = 32, background: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Standardize(),
            *_conv(1, width, kernel=5, pool=2),  # [N, w, 14, 14]
            *_conv(width, 2 * width),
            *_conv(2 * width, 2 * width, pool=2),  # [N, 2w, 7, 7]
            *_conv(2 * width, 4 * width),
            *_conv(4 * width, 4 * width, pool=2),  # [N, 4w, 3, 3]
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(4 * width * 3 * 3, n_outputs(background))
        )

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(frames))
        return logits


def _conv(inputs: int, outputs: int, kernel: int = 3, pool: int | tuple[int, int] | None = None) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [convolution, *([nn.MaxPool2d(pool)] if pool else []), nn.BatchNorm2d(outputs), nn.ReLU()]


def _perceptron(*hidden: int, dropout: float = 0.0) -> Callable[..., nn.Module]:
    """A builder of fully connected networks 784 -> hidden -> outputs."""

    def build(background: bool = True) -> nn.Module:
        layers: list[nn.Module] = [Standardize(), nn.Flatten()]
        sizes = [FRAME_SIZE * FRAME_SIZE, *hidden]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs(background)))

    return build


class NumberCNN(nn.Module):
    """Reads a line of digits without segmentation, with CTC (Graves et al. 2006, doi:10.1145/1143844.1143891).

    Strips `[N, 32, W]` to logits `[N, W // 2, 11]` of the digits and the blank: one step every two columns, so that two
    narrow 1s have a blank between them. 441,275 parameters at the default width.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(1, width, pool=(2, 2)),  # [N, w, 16, W/2]
            *_conv(width, 2 * width),
            *_conv(2 * width, 2 * width, pool=(2, 1)),  # [N, 2w, 8, W/2]
            *_conv(2 * width, 4 * width),
            ResidualConv2d(4 * width),
            *_conv(4 * width, 4 * width, pool=(2, 1)),  # [N, 4w, 4, W/2]
            ResidualConv2d(4 * width),
            nn.Conv2d(4 * width, 8 * width, (4, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(8 * width),
            nn.ReLU(),  # [N, 8w, 1, W/2]
            nn.Flatten(1, 2),
        )
        self.context = nn.Sequential(*[ResidualConv1d(8 * width, dilation) for dilation in (1, 2, 4, 1)])
        self.classifier = nn.Conv1d(8 * width, N_DIGITS + 1, 1)

    def forward(self, strips: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.context(self.features(strips.unsqueeze(1))))
        return logits.transpose(1, 2)


class StrokeCNN(nn.Module):
    """Reads the path of a pen across a line of writing, with CTC.

    Trajectories `[N, 5, T]` to logits `[N, ceil(T / 4), 12]` of the digits, the blank and other ink. 303,804 parameters
    at the default width.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv1d(N_PATH_FEATURES, width // 2, kernel=7),  # [N, w/2, T/2]
            *_conv1d(width // 2, width, kernel=5),  # [N, w, T/4]
        )
        self.context = nn.Sequential(*[ResidualConv1d(width, dilation, 5) for dilation in (1, 2, 1, 4, 1, 2)])
        self.classifier = nn.Conv1d(width, N_DIGITS + 2, 1)

    def forward(self, trajectories: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.context(self.features(trajectories)))
        return logits.transpose(1, 2)


def _conv1d(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm1d(outputs), nn.ReLU()]


class ResidualConv2d(nn.Module):
    """A convolution, added to its input; an untrained one changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.norm(self.convolution(features)))


class ResidualConv1d(nn.Module):
    """A convolution along the line, added to its input."""

    def __init__(self, width: int, dilation: int, kernel: int = 3) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.convolution = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.norm(self.convolution(features)))


# The registry: add a network here to train it by name and serve it from its checkpoint.
ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "cnn": DigitCNN,
    "mlp": _perceptron(128, 64, dropout=0.2),
    "dense": _perceptron(128),
    "linear": _perceptron(),
}

# The networks of checkpoint files.
NETWORKS: Mapping[str, Callable[..., nn.Module]] = {**ARCHITECTURES, NUMBER_READER: NumberCNN, STROKE_READER: StrokeCNN}


def digit_score(logits: Tensor) -> Tensor:
    """How much each input looks like a digit: `[N]` from logits `[N, 10 or 11]`.

    With a background class, the log-odds of "digit" against "not a digit"; without one, the negative free energy
    (Liu et al. 2020, arXiv:2010.03759).
    """
    energy = torch.logsumexp(logits[:, :N_DIGITS], dim=1)
    return energy - logits[:, N_DIGITS] if logits.shape[1] > N_DIGITS else energy


def digit_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Calibrated probabilities `[N, 10]` of the digits, given that the input is one."""
    return torch.softmax(logits[:, :N_DIGITS] / temperature, dim=1)
