"""Compare the speed of this trainer with that of a DataLoader with torchvision's transforms.

    python -m benchmarks.training                 # a few minutes on two cores

Both train the same network with the same optimizer and the same kinds of distortions. Run it on an idle machine.
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
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from benchmarks.report import Report, options
from config import Settings
from training.datasets import Split, load_split
from training.distributed import World, choose_device
from training.loop import initialize, train_one_batch
from training.recipes import RECIPES, Recipe

N_BATCHES = 60


def common_distortions() -> Callable[[Any], Tensor]:
    """torchvision's counterparts of affine, elastic, thickness, gaps, blur, contrast and noise."""
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
        MNIST(Settings.load().data_dir, transform=common_distortions()),
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
    return report


if __name__ == "__main__":
    sys.exit(main())
