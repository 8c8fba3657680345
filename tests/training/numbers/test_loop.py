"""Training of the number reader."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model import NETWORKS, NumberCNN
from model_file import N_PATH_FEATURES, example_shape, numbers_of_outputs
from recognition.ctc import OTHER
from training.numbers import loop
from training.numbers.loop import (
    PATH_READER,
    STRIP_READER,
    NumberRecipe,
    Reader,
    Sample,
    make_batch,
    measure,
    read,
    train_numbers,
)
from training.recipes import UsageError


def bars(n: int, width: int) -> Sample:
    """A strip with `n` upright bars, which stand for the digit `n`."""
    strip = np.zeros((32, width), np.float32)
    for index in range(n):
        strip[4:28, 6 + 8 * index : 9 + 8 * index] = 1
    return strip, str(n)


SAMPLES = [bars(n, width) for n in range(1, 4) for width in (48, 52, 55, 63)]


def test_batch_is_padded_with_paper_and_knows_its_lengths() -> None:
    strips, steps, digits, lengths = make_batch([bars(1, 48), (bars(2, 63)[0], "22")], 2)
    assert strips.shape == (2, 32, 64)
    assert float(strips[0, :, 48:].abs().max()) == 0
    assert steps.tolist() == [24, 32]
    assert digits.tolist() == [1, 2, 2]
    assert lengths.tolist() == [1, 2]


def test_other_ink_is_a_label_and_no_part_of_the_text() -> None:
    path = np.zeros((N_PATH_FEATURES, 37), np.float32)
    paths, steps, labels, lengths = make_batch([(path, "4?"), (path[:, :20], "?")], PATH_READER.columns_per_step)
    assert paths.shape == (2, N_PATH_FEATURES, 40)
    assert steps.tolist() == [10, 5]
    assert labels.tolist() == [4, OTHER, OTHER]
    assert lengths.tolist() == [2, 1]

    class Spells4(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(inputs), inputs.shape[2] // 4, OTHER + 1)
            logits[:, :, OTHER] = 20
            logits[:, 1, 4] = 40
            return logits

    assert read(PATH_READER, Spells4(), [(path, "4?")]) == ["4"]
    assert measure(PATH_READER, Spells4(), [(path, "4?"), (path, "?")]) == 0.5


def test_networks_take_what_their_readers_compose() -> None:
    for reader in (STRIP_READER, PATH_READER):
        inputs = torch.zeros(example_shape(reader.architecture))
        steps, outputs = NETWORKS[reader.architecture]().eval()(inputs).shape[1:]
        assert steps == inputs.shape[2] // reader.columns_per_step
        assert outputs in numbers_of_outputs(reader.architecture)


def compose_bars(_reader: Reader, _root: Path, _seed: int, start: int, end: int, _n: int) -> list[list[Sample]]:
    return [(SAMPLES * 2)[number % 5 :] + (SAMPLES * 2)[: number % 5] for number in range(start, end)]


@pytest.fixture
def few_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "compose_chunks", compose_bars)
    monkeypatch.setattr(loop, "compose_validation", lambda _reader, _root, _count: SAMPLES)
    monkeypatch.setattr(loop, "_CHUNK", 24)
    monkeypatch.setattr(loop, "_CHUNKS_BETWEEN_SAVES", 5)
    monkeypatch.setattr(loop, "_CHUNKS_BETWEEN_VIEWS", 2)


RECIPE = NumberRecipe(n_numbers=30 * 24, batch_size=12, ema_decay=0.9)


@pytest.mark.usefixtures("few_bars")
def test_network_learns_to_count_bars(tmp_path: Path) -> None:
    checkpoint = train_numbers(STRIP_READER, RECIPE, tmp_path, tmp_path / "state.pth")
    assert checkpoint.metrics["val_accuracy"] == 1
    assert measure(STRIP_READER, checkpoint.build(), SAMPLES) == 1


@pytest.mark.usefixtures("few_bars")
def test_interrupted_training_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = NumberRecipe(n_numbers=10 * 24, batch_size=12, ema_decay=0.9)
    whole = train_numbers(STRIP_READER, recipe, tmp_path, tmp_path / "whole.pth")

    def interrupted(_reader: Reader, _root: Path, _seed: int, start: int, end: int, _n: int):
        yield from compose_bars(_reader, _root, _seed, start, end, _n)[:7]
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "compose_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_numbers(STRIP_READER, recipe, tmp_path, tmp_path / "state.pth")
    monkeypatch.setattr(loop, "compose_chunks", compose_bars)
    resumed = train_numbers(STRIP_READER, recipe, tmp_path, tmp_path / "state.pth", resume=True)
    assert resumed.digest == whole.digest


@pytest.mark.usefixtures("few_bars")
def test_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    recipe = NumberRecipe(n_numbers=10 * 24, batch_size=12)
    train_numbers(STRIP_READER, recipe, tmp_path, tmp_path / "state.pth")
    with pytest.raises(UsageError, match="belongs to another training: n_numbers was 240 there and is 480 here"):
        train_numbers(
            STRIP_READER, NumberRecipe(n_numbers=20 * 24, batch_size=12), tmp_path, tmp_path / "state.pth", resume=True
        )
    with pytest.raises(UsageError, match="does not exist"):
        train_numbers(STRIP_READER, recipe, tmp_path, tmp_path / "none.pth", resume=True)


def test_network_reads_each_strip_as_it_does_alone() -> None:
    torch.manual_seed(0)
    network = NumberCNN().eval()
    strips, steps, _, _ = make_batch([bars(3, 48), bars(4, 96)], 2)
    with torch.inference_mode():
        together, alone = network(strips)[0, : steps[0]], network(strips[:1, :, :48])[0]
    assert together[: steps[0] - 10] == pytest.approx(alone[: steps[0] - 10], abs=1e-4)
