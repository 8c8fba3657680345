"""Training of the networks for numbers on composed ones, each of which is shown twice.

    checkpoint = train_numbers(STRIP_READER, NumberRecipe(), data_dir, state_path)

Numbers are composed by other processes while the network is trained. The state is saved every twenty thousand numbers,
so that an interrupted run can resume.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from checkpoint import Checkpoint
from model import NETWORKS
from model_file import NUMBER_READER, STROKE_READER
from recognition.ctc import BLANK, OTHER_SYMBOL, best_texts, label_of, leave_out_other
from recognition.numbers.strips import to_strip
from recognition.trajectory import to_trajectory
from training.datasets import OPEN_DIGITS, OPEN_NONDIGITS
from training.distributed import World
from training.export import read_commit
from training.loop import has_fast_bfloat16
from training.numbers.compose import compose_number
from training.numbers.strokes import compose_drawing, load_pens
from training.numbers.writers import load_writers
from training.optim import build_average
from training.training_state import Stateful, load_training_state, save_training_state

Sample = tuple[NDArray[np.float32], str]  # a strip [32, W] or trajectory [5, W], and its symbols

_CHUNK = 1_024  # numbers that a process composes at a time; batches are of numbers of similar width in a chunk
_CHUNKS_BETWEEN_SAVES = 20
# Composing a number takes as long as a step on it: each is shown again when so many chunks have followed.
_CHUNKS_BETWEEN_VIEWS = 8
_TEMPERATURES = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecipe:
    """All hyperparameters of the training of a network for numbers."""

    n_numbers: int = 300_000
    batch_size: int = 64
    lr: float = 3e-3  # maximum of the one-cycle schedule
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    seed: int = 0
    n_validation: int = 2_000


# ---- data ----


@dataclass(frozen=True, slots=True)
class Reader:
    """A network for numbers, and what it is trained on."""

    architecture: str
    columns_per_step: int  # of its input, per step of its output
    data: Sequence[str]  # names of the sets that it is trained on
    load: Callable[..., Any]  # (data_dir, for_validation=...) -> the digits to compose numbers of
    compose: Callable[..., Sample]  # (those digits, generator, with_odd_forms=...) -> a number


def _compose_strip(writers: Any, rng: Generator, *, with_odd_forms: bool) -> Sample:
    picture, text = compose_number(writers, rng, with_odd_forms=with_odd_forms)
    return to_strip(picture), text


def _compose_trajectory(pens: Any, rng: Generator, *, with_odd_forms: bool) -> Sample:
    strokes, symbols = compose_drawing(pens, rng, with_odd_forms=with_odd_forms)
    return to_trajectory(strokes), symbols


STRIP_READER = Reader(NUMBER_READER, 2, ("mnist", *OPEN_DIGITS), load_writers, _compose_strip)
PATH_READER = Reader(STROKE_READER, 4, ("unipen-digits", "pendigits", *OPEN_NONDIGITS), load_pens, _compose_trajectory)

_digits: list[Any] = []  # of a composing process


def _start_composing(reader: Reader, root: Path, for_validation: bool) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _digits[:] = [reader.load(root, for_validation=for_validation)]


def _compose_chunk(reader: Reader, seed: int, number: int, count: int, with_odd_forms: bool = True) -> list[Sample]:
    rng = np.random.default_rng([seed, number])
    composed = [reader.compose(_digits[0], rng, with_odd_forms=with_odd_forms) for _ in range(count)]
    return sorted(composed, key=lambda sample: sample[0].shape[1])


def compose_chunks(
    reader: Reader, root: Path, seed: int, start: int, end: int, n_processes: int
) -> Iterator[list[Sample]]:
    """Chunks `start` to `end` of composed numbers, sorted by width; they depend on the seed and their number only."""
    waiting: deque[Future[list[Sample]]] = deque()
    context = get_context("spawn")  # neither PyTorch's nor OpenCV's threads survive a fork
    with ProcessPoolExecutor(n_processes, context, _start_composing, (reader, root, False)) as pool:
        for number in range(start, end):
            waiting.append(pool.submit(_compose_chunk, reader, seed, number, _CHUNK))
            if len(waiting) > 2 * n_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def compose_validation(reader: Reader, root: Path, count: int) -> list[Sample]:
    """Composed numbers of writers and digits that are not trained on, without those of `rare_shapes.py`."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start_composing, (reader, root, True)) as pool:
        return pool.submit(_compose_chunk, reader, 1, 0, count, False).result()


def make_batch(samples: Sequence[Sample], columns_per_step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs `[B, H, W]` padded with zeros, their steps `[B]`, all labels `[sum]`, and the labels of each `[B]`."""
    widest = max(given.shape[1] for given, _ in samples)
    inputs = torch.zeros(len(samples), len(samples[0][0]), -(-widest // columns_per_step) * columns_per_step)
    for row, (given, _) in zip(inputs, samples, strict=True):
        row[:, : given.shape[1]] = torch.from_numpy(given)
    steps = torch.tensor([-(-given.shape[1] // columns_per_step) for given, _ in samples])
    labels = torch.tensor([label_of(symbol) for _, text in samples for symbol in text])
    return inputs, steps, labels, torch.tensor([len(text) for _, text in samples])


def show_twice(chunks: Iterable[list[Sample]], first: int, done: int) -> Iterator[tuple[int, list[list[Sample]]]]:
    """The number of each chunk after number `done`, with a list of this chunk and one composed some time before.

    `chunks` start after number `first`. Composing takes as long as training.
    """
    earlier: deque[list[Sample]] = deque(maxlen=_CHUNKS_BETWEEN_VIEWS)
    for number, chunk in enumerate(chunks, first + 1):
        views = [chunk, earlier[0]] if len(earlier) == _CHUNKS_BETWEEN_VIEWS else [chunk]
        earlier.append(chunk)
        if number > done:
            yield number, views


# ---- training ----


def train_numbers(
    reader: Reader,
    recipe: NumberRecipe,
    root: Path,
    state: Path,
    *,
    start: Checkpoint | None = None,
    resume: bool = False,
) -> Checkpoint:
    """Train and calibrate a network for numbers, printing its progress; `start` has the weights to start from.

    Raises `DataError`, `UsageError` or `OSError`.
    """
    n_chunks, per_chunk = max(1, recipe.n_numbers // _CHUNK), _CHUNK // recipe.batch_size
    total_steps = per_chunk * (n_chunks + max(0, n_chunks - _CHUNKS_BETWEEN_VIEWS))
    network, average, optimizer, schedule = _initialize(reader, recipe, start, total_steps)
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = {
        "architecture": reader.architecture,
        "recipe": asdict(recipe),
        "start": start.id if start else None,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    if resume:
        load_training_state(state, run, parts, World())
    shown = schedule.last_epoch // per_chunk  # chunks, those twice that were shown twice
    done = shown if shown <= _CHUNKS_BETWEEN_VIEWS else (shown + _CHUNKS_BETWEEN_VIEWS) // 2
    validation = compose_validation(reader, root, recipe.n_validation)
    n_processes = max(1, (os.cpu_count() or 2) - 1)
    network.train()
    started, losses = time.perf_counter(), []
    first = max(0, done - _CHUNKS_BETWEEN_VIEWS)
    chunks = compose_chunks(reader, root, recipe.seed, first, n_chunks, n_processes)
    for number, views in show_twice(tqdm(chunks, unit=" thousand numbers", disable=None), first, done):
        for samples in _shuffled_batches(views, number, recipe.batch_size):
            losses.append(_train_batch(network, optimizer, make_batch(samples, reader.columns_per_step)))
            schedule.step()
            average.update_parameters(network)
        if number % _CHUNKS_BETWEEN_SAVES == 0 or number == n_chunks:
            rate = (number - done) * _CHUNK / (time.perf_counter() - started)
            loss = float(np.mean(losses[-2 * _CHUNKS_BETWEEN_SAVES * per_chunk :]))
            right = measure(reader, average, validation)
            print(f"{number * _CHUNK:,} numbers  loss {loss:.4f}  right {right:.4f}  {rate:.0f} numbers/s", flush=True)
            save_training_state(state, run, parts, World())
    return _calibrate(reader, average.module.eval(), validation, recipe)


def _initialize(
    reader: Reader, recipe: NumberRecipe, start: Checkpoint | None, total_steps: int
) -> tuple[nn.Module, AveragedModel, Optimizer, LRScheduler]:
    """Network, moving average, optimizer and learning rate schedule."""
    torch.manual_seed(recipe.seed)
    network = start.build() if start else NETWORKS[reader.architecture]()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = build_average(network, recipe.ema_decay)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimizer, recipe.lr, total_steps=total_steps, pct_start=0.1)
    return network, average, optimizer, schedule


def _shuffled_batches(chunks: Sequence[list[Sample]], seed: int, size: int) -> Iterator[list[Sample]]:
    """The batches of each chunk in the same random order; the samples of one are alike in width."""
    order = torch.randperm(_CHUNK // size, generator=torch.Generator().manual_seed(seed)).tolist()
    for chunk, i in product(chunks, order):
        yield chunk[i * size : (i + 1) * size]


def _calibrate(reader: Reader, network: nn.Module, validation: Sequence[Sample], recipe: NumberRecipe) -> Checkpoint:
    """A checkpoint with the temperature at which the validation texts are likeliest."""
    logits = predict_logits(reader, network, validation)
    losses = {
        t: float(np.mean([_loss(z / t, text) for z, (_, text) in zip(logits, validation, strict=True)]))
        for t in _TEMPERATURES
    }
    return Checkpoint(
        architecture=reader.architecture,
        arguments={},
        state_dict={name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        temperature=min(losses, key=losses.__getitem__),
        metrics={"val_accuracy": measure(reader, network, validation)},
        data=list(reader.data),
        seed=recipe.seed,
        commit=read_commit(),
    )


def _loss(logits: Tensor, text: str) -> float:
    log_p, labels = F.log_softmax(logits, dim=1), torch.tensor([label_of(symbol) for symbol in text])
    return float(
        F.ctc_loss(log_p, labels, torch.tensor(len(log_p)), torch.tensor(len(text)), blank=BLANK, reduction="sum")
    )


def _train_batch(network: nn.Module, optimizer: Optimizer, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> float:
    inputs, steps, labels, lengths = batch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_fast_bfloat16(inputs.device)):
        logits = network(inputs)
    log_p = F.log_softmax(logits.float(), dim=2).transpose(0, 1)  # [T, B, 11 or 12]
    loss = F.ctc_loss(log_p, labels, steps, lengths, blank=BLANK, zero_infinity=True)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


def measure(reader: Reader, network: nn.Module, samples: Sequence[Sample]) -> float:
    """Share of the samples whose digits are read right."""
    known = [symbols.replace(OTHER_SYMBOL, "") for _, symbols in samples]
    return float(np.mean([a == b for a, b in zip(read(reader, network, samples), known, strict=True)]))


def read(reader: Reader, network: nn.Module, samples: Sequence[Sample]) -> list[str]:
    """The likeliest text of each sample."""
    log_p = (F.log_softmax(logits, dim=1).numpy() for logits in predict_logits(reader, network, samples))
    return [best_texts(leave_out_other(each), 1)[0][0] for each in log_p]


def predict_logits(reader: Reader, network: nn.Module, samples: Sequence[Sample]) -> list[Tensor]:
    """Logits `[T, 11 or 12]` of each sample; leaves the network in evaluation mode."""
    network.eval()
    logits: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(samples), 64):
            inputs, steps, _, _ = make_batch(samples[start : start + 64], reader.columns_per_step)
            logits += [z[:n] for z, n in zip(network(inputs), steps.tolist(), strict=True)]
    return logits
