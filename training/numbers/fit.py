"""Training of the number reader on composed numbers, which never repeat.

    network = train_numbers(NumberRecipe(), data_dir, state_path)

Strips are composed by other processes while the network is trained. The state is saved now and then, so that a training
can be interrupted and goes on.
"""

from __future__ import annotations

import io
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model import NumberCNN
from model_file import N_DIGITS, STRIP_HEIGHT
from recognition.numbers.ctc import best_texts
from recognition.numbers.strips import Strip, to_strip
from storage import write_atomically
from training.loop import has_fast_bfloat16
from training.numbers.compose import Hands, compose_number, load_hands
from training.training_state import Stateful

Sample = tuple[Strip, str]

_CHUNK = 1_024  # strips that a process composes at a time; batches are of strips of similar width in a chunk
_BLANK = N_DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecipe:
    """All hyperparameters of the training of a number reader."""

    n_strips: int = 600_000
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


def _compose_chunk(seed: int, number: int, count: int) -> list[Sample]:
    random = np.random.default_rng([seed, number])
    composed = [compose_number(_hands, random) for _ in range(count)]
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
    """Composed strips of writers and digits that are not trained on."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start_composing, (root, True)) as pool:
        return pool.submit(_compose_chunk, 1, 0, count).result()


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


def train_numbers(recipe: NumberRecipe, root: Path, state: Path, *, resume: bool = False) -> nn.Module:
    """Train a number reader, printing its progress. Raises `DataError` or `OSError`."""
    torch.manual_seed(recipe.seed)
    network = NumberCNN().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)
    n_chunks, per_chunk = recipe.n_strips // _CHUNK, _CHUNK // recipe.batch_size
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=n_chunks * per_chunk, pct_start=0.1
    )
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    done = _load(state, parts) if resume else 0
    validation = compose_validation(root, recipe.n_validation)
    n_processes = max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(1)
    network.train()
    started, losses = time.perf_counter(), []
    for number, chunk in enumerate(compose_chunks(root, recipe.seed, done, n_chunks, n_processes), done + 1):
        for i in torch.randperm(per_chunk).tolist():
            batch = make_batch(chunk[i * recipe.batch_size : (i + 1) * recipe.batch_size])
            losses.append(_train_batch(network, optimizer, batch))
            schedule.step()
            average.update_parameters(network)
        if number % 20 == 0 or number == n_chunks:
            right = measure(average, validation)
            rate = (number - done) * _CHUNK / (time.perf_counter() - started)
            loss = float(np.mean(losses[-20 * per_chunk :]))
            print(
                f"{number * _CHUNK:,} strips  loss {loss:.4f}  whole numbers right {right:.4f}  {rate:.0f} strips/s",
                flush=True,
            )
            content = {"recipe": asdict(recipe), "done": number, **{k: v.state_dict() for k, v in parts.items()}}
            buffer = io.BytesIO()
            torch.save(content, buffer)
            write_atomically(state, buffer.getvalue())
    result: nn.Module = average.module.eval()
    return result


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


def _load(path: Path, parts: Mapping[str, Stateful]) -> int:
    content = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(content[name])
    return int(content["done"])


def measure(network: nn.Module, samples: Sequence[Sample]) -> float:
    """Share of the samples whose text is read right."""
    texts = read(network, samples)
    return sum(text == known for text, (_, known) in zip(texts, samples, strict=True)) / len(samples)


def read(network: nn.Module, samples: Sequence[Sample]) -> list[str]:
    """The likeliest text of each strip by the network's running average."""
    network.eval()
    texts = []
    with torch.inference_mode():
        for start in range(0, len(samples), 64):
            batch = samples[start : start + 64]
            strips, steps, _, _ = make_batch(batch)
            log_p = F.log_softmax(network(strips), dim=2).numpy()
            texts += [best_texts(each[:n], 1)[0][0] for each, n in zip(log_p, steps.tolist(), strict=True)]
    network.train()
    return texts
