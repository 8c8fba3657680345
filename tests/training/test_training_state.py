"""Interrupting and resuming."""

import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from training.distributed import World
from training.recipes import UsageError
from training.training_state import load_training_state, save_training_state, state_path, stop_on_signal

RUN = {"seed": 0, "recipe": {"lr": 0.1}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return state_path(tmp_path / "model.pth")


def test_state_file_lies_beside_the_checkpoint(path: Path) -> None:
    assert path.name == "model.state.pth"


def test_parts_and_random_numbers_are_restored(path: Path) -> None:
    saved, restored = nn.Linear(3, 2), nn.Linear(3, 2)
    save_training_state(path, RUN, {"network": saved}, World())
    expected = torch.rand(4)
    load_training_state(path, RUN, {"network": restored}, World())
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(saved.weight, restored.weight)


@pytest.mark.parametrize(("run", "name"), [({**RUN, "seed": 1}, "seed"), ({**RUN, "recipe": {"lr": 0.2}}, "lr")])
def test_state_of_another_run_is_rejected(path: Path, run: dict[str, object], name: str) -> None:
    save_training_state(path, RUN, {}, World())
    with pytest.raises(UsageError, match=f"another training: {name} was"):
        load_training_state(path, run, {}, World())


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", b"PK", b"\x80\x02N.", None], ids=repr)
def test_damaged_state_is_rejected(path: Path, data: bytes | None) -> None:
    save_training_state(path, RUN, {}, World())
    path.write_bytes(path.read_bytes()[:-100] if data is None else data)
    with pytest.raises(UsageError, match="damaged"):
        load_training_state(path, RUN, {}, World())


def test_missing_state_is_rejected(path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_training_state(path, RUN, {}, World())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_caught_and_its_handler_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signal() as is_stopped:
        assert not is_stopped()
        signal.raise_signal(number)
        assert is_stopped()
    assert signal.getsignal(number) is before
