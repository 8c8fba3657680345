"""Training of the number reader on composed numbers, each of which is shown twice.

    checkpoint = train_numbers(NumberRecipe(), data_dir, state_path)

Strips are composed by other processes while the network is trained. The state is saved every twenty thousand strips, so
that an interrupted run can resume.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from checkpoint import Checkpoint
from model import NumberCNN
from model_file import N_DIGITS, NUMBER_READER, STRIP_HEIGHT
from recognition.numbers.ctc import best_texts
from recognition.numbers.strips import Strip, to_strip
from training.datasets import OPEN_DIGITS
from training.distributed import World
from training.export import read_commit
from training.loop import has_fast_bfloat16
from training.numbers.compose import compose_number
from training.numbers.hands import Hands, load_hands
from training.optim import build_average
from training.training_state import Stateful, load_training_state, save_training_state

Sample = tuple[Strip, str]

_CHUNK = 1_024  # strips that a process composes at a time; batches are of strips of similar width in a chunk
_CHUNKS_BETWEEN_SAVES = 20
# Composing a strip takes as long as a step on it: each is shown again when so many chunks have followed.
_CHUNKS_BETWEEN_VIEWS = 8
_BLANK = N_DIGITS
_TEMPERATURES = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecipe:
    """All hyperparameters of the training of a number reader."""

    n_strips: int = 300_000
    batch_size: int = 64
    lr: float = 3e-3  # maximum of the one-cycle schedule
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    seed: int = 0
    n_validation: int = 2_000


# ---- data ----


_hands: Hands = {}  # of a composing process


def _start_composing(root: Path, for_validation: bool) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _hands.update(load_hands(root, for_validation=for_validation))


def _compose_chunk(seed: int, number: int, count: int, with_odd_forms: bool = True) -> list[Sample]:
    rng = np.random.default_rng([seed, number])
    composed = [compose_number(_hands, rng, with_odd_forms=with_odd_forms) for _ in range(count)]
    return sorted(((to_strip(picture), text) for picture, text in composed), key=lambda sample: sample[0].shape[1])


def compose_chunks(root: Path, seed: int, start: int, end: int, n_processes: int) -> Iterator[list[Sample]]:
    """Chunks `start` to `end` of composed strips, sorted by width; they depend on the seed and their number only."""
    waiting: deque[Future[list[Sample]]] = deque()
    context = get_context("spawn")  # neither PyTorch's nor OpenCV's threads survive a fork
    with ProcessPoolExecutor(n_processes, context, _start_composing, (root, False)) as pool:
        for number in range(start, end):
            waiting.append(pool.submit(_compose_chunk, seed, number, _CHUNK))
            if len(waiting) > 2 * n_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def compose_validation(root: Path, count: int) -> list[Sample]:
    """Composed strips of writers and digits that are not trained on; the forms of `forms.py` are not among them."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start_composing, (root, True)) as pool:
        return pool.submit(_compose_chunk, 1, 0, count, False).result()


def make_batch(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Strips `[B, 32, W]` padded with paper, their steps `[B]`, all digits `[sum]`, and digits of each `[B]`."""
    widest = max(strip.shape[1] for strip, _ in samples)
    strips = torch.zeros(len(samples), STRIP_HEIGHT, widest + widest % 2)
    for row, (strip, _) in zip(strips, samples, strict=True):
        row[:, : strip.shape[1]] = torch.from_numpy(strip)
    steps = torch.tensor([(strip.shape[1] + 1) // 2 for strip, _ in samples])
    digits = torch.tensor([int(digit) for _, text in samples for digit in text])
    return strips, steps, digits, torch.tensor([len(text) for _, text in samples])


# ---- training ----


def train_numbers(
    recipe: NumberRecipe, root: Path, state: Path, *, start: Checkpoint | None = None, resume: bool = False
) -> Checkpoint:
    """Train and calibrate a number reader, printing its progress; `start` has the weights to start from.

    Raises `DataError`, `UsageError` or `OSError`.
    """
    torch.manual_seed(recipe.seed)
    network = start.build() if start else NumberCNN()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = build_average(network, recipe.ema_decay)
    n_chunks, per_chunk = max(1, recipe.n_strips // _CHUNK), _CHUNK // recipe.batch_size
    total_steps = per_chunk * (n_chunks + max(0, n_chunks - _CHUNKS_BETWEEN_VIEWS))
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=total_steps, pct_start=0.1)
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = {
        "recipe": asdict(recipe),
        "start": start.id if start else None,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    if resume:
        load_training_state(state, run, parts, World())
    shown = schedule.last_epoch // per_chunk  # chunks, those twice that were shown twice
    done = shown if shown <= _CHUNKS_BETWEEN_VIEWS else (shown + _CHUNKS_BETWEEN_VIEWS) // 2
    validation = compose_validation(root, recipe.n_validation)
    n_processes = max(1, (os.cpu_count() or 2) - 1)
    network.train()
    started, losses = time.perf_counter(), []
    first = max(0, done - _CHUNKS_BETWEEN_VIEWS)
    chunks = compose_chunks(root, recipe.seed, first, n_chunks, n_processes)
    earlier: deque[list[Sample]] = deque(maxlen=_CHUNKS_BETWEEN_VIEWS)
    for number, chunk in enumerate(tqdm(chunks, unit=" thousand strips", disable=None), first + 1):
        views = [chunk, earlier[0]] if len(earlier) == _CHUNKS_BETWEEN_VIEWS else [chunk]
        earlier.append(chunk)
        if number <= done:
            continue
        order = torch.randperm(per_chunk, generator=torch.Generator().manual_seed(number)).tolist()
        for samples, i in product(views, order):
            batch = make_batch(samples[i * recipe.batch_size : (i + 1) * recipe.batch_size])
            losses.append(_train_batch(network, optimizer, batch))
            schedule.step()
            average.update_parameters(network)
        if number % _CHUNKS_BETWEEN_SAVES == 0 or number == n_chunks:
            rate = (number - done) * _CHUNK / (time.perf_counter() - started)
            loss = float(np.mean(losses[-2 * _CHUNKS_BETWEEN_SAVES * per_chunk :]))
            right = measure(average, validation)
            print(f"{number * _CHUNK:,} strips  loss {loss:.4f}  right {right:.4f}  {rate:.0f} strips/s", flush=True)
            save_training_state(state, run, parts, World())
    return _calibrate(average.module.eval(), validation, recipe)


def _calibrate(network: nn.Module, validation: Sequence[Sample], recipe: NumberRecipe) -> Checkpoint:
    """A checkpoint with the temperature at which the validation texts are likeliest."""
    logits = predict_logits(network, validation)
    losses = {
        t: float(np.mean([_loss(z / t, text) for z, (_, text) in zip(logits, validation, strict=True)]))
        for t in _TEMPERATURES
    }
    return Checkpoint(
        architecture=NUMBER_READER,
        arguments={},
        state_dict={name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        temperature=min(losses, key=losses.__getitem__),
        metrics={"val_accuracy": measure(network, validation)},
        data=["mnist", *OPEN_DIGITS],
        seed=recipe.seed,
        commit=read_commit(),
    )


def _loss(logits: Tensor, text: str) -> float:
    log_p, digits = F.log_softmax(logits, dim=1), torch.tensor([int(digit) for digit in text])
    return float(
        F.ctc_loss(log_p, digits, torch.tensor(len(log_p)), torch.tensor(len(text)), blank=_BLANK, reduction="sum")
    )


def _train_batch(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor, Tensor, Tensor]
) -> float:
    strips, steps, digits, lengths = batch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_fast_bfloat16(strips.device)):
        logits = network(strips)
    log_p = F.log_softmax(logits.float(), dim=2).transpose(0, 1)  # [T, B, 11]
    loss = F.ctc_loss(log_p, digits, steps, lengths, blank=_BLANK, zero_infinity=True)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


def measure(network: nn.Module, samples: Sequence[Sample]) -> float:
    """Share of the samples whose text is read right."""
    texts = read(network, samples)
    return sum(text == known for text, (_, known) in zip(texts, samples, strict=True)) / len(samples)


def read(network: nn.Module, samples: Sequence[Sample]) -> list[str]:
    """The likeliest text of each strip."""
    return [best_texts(F.log_softmax(z, dim=1).numpy(), 1)[0][0] for z in predict_logits(network, samples)]


def predict_logits(network: nn.Module, samples: Sequence[Sample]) -> list[Tensor]:
    """Logits `[T, 11]` of each strip; leaves the network in evaluation mode."""
    network.eval()
    logits: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(samples), 64):
            strips, steps, _, _ = make_batch(samples[start : start + 64])
            logits += [z[:n] for z, n in zip(network(strips), steps.tolist(), strict=True)]
    return logits
