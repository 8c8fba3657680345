"""Compare the speed of this trainer with that of common ways to train on MNIST.

    python -m benchmarks.training                 # several minutes on two cores

Samples per second: the same network, optimizer and kind of distortions, fed by this trainer's batches and by a
DataLoader with torchvision's transforms. Time to 99 % on validation: the recipe `fast`, and a reimplementation of the
set-up of pytorch/examples. Run it on an idle machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.report import Report, options
from config import Settings
from training.datasets import Digits, Split, load_split
from training.distributed import World, choose_device
from training.loop import Progress, fit, initialize, train_one_batch
from training.recipes import RECIPES, Recipe

WANTED = 0.99  # validation accuracy
N_BATCHES = 60
MAX_EPOCHS = 14  # of pytorch/examples, its default


class Pictures(Dataset[tuple[Tensor, int]]):
    """Digits one at a time through a torchvision transform, as in tutorials."""

    def __init__(self, digits: Digits, transform: Callable[[Any], Tensor]) -> None:
        self.digits, self.transform = digits, transform

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.digits.frames[index].numpy())), int(self.digits.labels[index])


def common_distortions() -> Callable[[Any], Tensor]:
    """torchvision's counterparts of affine, elastic, thickness, gaps, blur, contrast and noise."""
    from torchvision import transforms

    return transforms.Compose(  # type: ignore[no-any-return]
        [
            transforms.RandomAffine(15, translate=(0.05, 0.05), scale=(0.9, 1.1), shear=10),
            transforms.ElasticTransform(alpha=20.0, sigma=4.0),
            transforms.RandomApply([transforms.GaussianBlur(3, (0.3, 1.2))], 0.4),
            transforms.RandomApply([transforms.RandomAdjustSharpness(2.0, 1.0)], 0.4),
            transforms.RandomApply([transforms.ColorJitter(brightness=0.3, contrast=0.5)], 0.4),
            transforms.ToTensor(),
            transforms.RandomErasing(0.2, (0.01, 0.03)),
            transforms.Lambda(lambda frame: (frame + 0.05 * torch.randn_like(frame)).clamp(0, 1).squeeze(0)),
        ]
    )


def samples_per_second(batches: Iterator[tuple[Tensor, Tensor]], step: Callable[[Tensor, Tensor], object]) -> float:
    """Throughput of `step`; the first five batches are a warm-up."""
    for frames, labels in islice(batches, 5):
        step(frames, labels)
    start, count = time.perf_counter(), 0
    for frames, labels in batches:
        step(frames, labels)
        count += len(labels)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return count / (time.perf_counter() - start)


def measure_throughput(recipe: Recipe, split: Split, device: torch.device) -> list[tuple[str, float]]:
    """Samples per second of both pipelines, of this trainer's batches alone, and of its steps alone."""
    network, average, optimizer, scheduler, batches = initialize(recipe, split.training, 0, device, World())
    network.train()

    def step(frames: Tensor, labels: Tensor) -> object:
        return train_one_batch(network, average, optimizer, scheduler, frames.to(device), labels.to(device), recipe)

    ours = samples_per_second(islice(batches.epoch(1), N_BATCHES), step)
    data = samples_per_second(islice(batches.epoch(2), N_BATCHES), lambda _frames, _labels: None)
    frames, labels = next(batches.epoch(3))
    steps = samples_per_second(iter([(frames, labels)] * N_BATCHES), step)
    loader = DataLoader(
        Pictures(split.training, common_distortions()),
        batch_size=recipe.batch_size,
        shuffle=True,
        num_workers=os.cpu_count() or 1,
        drop_last=True,
        persistent_workers=False,
    )
    common = samples_per_second(islice(iter(loader), N_BATCHES), step)
    return [
        ("this trainer", ours),
        ("DataLoader + torchvision.transforms", common),
        ("this trainer's batches alone", data),
        ("this trainer's steps alone", steps),
    ]


class StockNetwork(nn.Module):
    """The network of pytorch/examples/mnist: two convolutions, two linear layers, 1.2 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(9216, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        )

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.layers(frames)
        return logits


def time_stock(split: Split, device: torch.device) -> tuple[float, float]:
    """Seconds and accuracy of pytorch/examples once it reaches 99 % on validation, or after `MAX_EPOCHS`."""
    from torchvision import transforms

    start = time.perf_counter()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    loader = DataLoader(Pictures(split.training, transform), batch_size=64, shuffle=True)
    check = DataLoader(Pictures(split.validation, transform), batch_size=1000)
    network = StockNetwork().to(device)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    accuracy = 0.0
    for _ in range(MAX_EPOCHS):
        network.train()
        for frames, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(network(frames.to(device)), labels.to(device)).backward()
            optimizer.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            right = sum(int((network(f.to(device)).argmax(1) == y.to(device)).sum()) for f, y in check)
        accuracy = right / len(split.validation)
        if accuracy >= WANTED:
            break
    return time.perf_counter() - start, accuracy


def time_fast(split: Split, device: torch.device) -> tuple[float, float]:
    """Seconds and validation accuracy of the recipe `fast`, all epochs."""
    recipe = RECIPES["fast"]
    start, progress = time.perf_counter(), Progress()
    parts = initialize(recipe, split.training, 0, device, World())
    fit(*parts, split.validation.to(device), recipe, progress)
    return time.perf_counter() - start, progress.history[-1].validation.accuracy


def main() -> int:
    """Run the benchmark and write its report; returns the exit status."""
    parser = options(__doc__, "training")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    device = choose_device(chosen.device)
    split = load_split(["mnist"], Settings.load().data_dir)
    return to_report(split, device).publish(chosen.output)


def to_report(split: Split, device: torch.device) -> Report:
    """All measurements."""
    report = Report("Speed of training")
    report.say(
        f"`python -m benchmarks.training`: torchvision {version('torchvision')}, {torch.get_num_threads()} threads, "
        f"{device}. One run each."
    )
    rows: list[tuple[str, str, str]] = []
    for name in ("fast", "default"):
        # Without non-digits, which the common pipeline does not make; a plateau schedule needs no number of steps.
        distortions = RECIPES["default"].distortions
        arguments = RECIPES[name].arguments
        recipe = Recipe(arguments=arguments, nondigit_share=0, schedule="plateau", distortions=distortions)
        rows += [(name, pipeline, f"{rate:,.0f}") for pipeline, rate in measure_throughput(recipe, split, device)]
    report.table(("network", "pipeline", "samples/s"), rows)
    times = {
        "recipe `fast`, all epochs": time_fast(split, device),
        "pytorch/examples, until 99 %": time_stock(split, device),
    }
    report.table(
        ("training", "seconds", "validation accuracy"),
        [(name, f"{seconds:.0f}", f"{accuracy:.2%}") for name, (seconds, accuracy) in times.items()],
    )
    return report


if __name__ == "__main__":
    sys.exit(main())
