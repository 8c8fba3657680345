"""Interrupting and resuming: the file from which an unfinished training continues to bit-identical weights."""

from __future__ import annotations

import io
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch

from storage import write_atomically
from training.distributed import World
from training.random import get_random_state, set_random_state
from training.recipes import UsageError

_FORMAT = 2


def state_path(output: Path) -> Path:
    """The state file of the training that writes `output`: `mnist_model.state.pth` for `mnist_model.pth`."""
    return output.with_suffix(f".state{output.suffix}")


class Stateful(Protocol):
    """A network, an optimizer, a scheduler, or the progress of a training."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Restore what `state_dict` returned."""


def save_training_state(path: Path, run: Mapping[str, Any], parts: Mapping[str, Stateful], world: World) -> None:
    """Write the states of all parts and random number generators, and the description of the run.

    All processes must call this; the main process writes the file. Raises `OSError`.
    """
    random_states = world.all_gather(get_random_state())
    if world.is_main_process:
        state = {name: part.state_dict() for name, part in parts.items()}
        content = {"format": _FORMAT, "run": run, "parts": state, "random": random_states}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(path, buffer.getvalue())
    world.barrier()  # torchrun ends all processes as soon as one of them exits


def load_training_state(path: Path, run: Mapping[str, Any], parts: Mapping[str, Stateful], world: World) -> None:
    """Restore a saved state. Raises `UsageError` if there is none, or if it belongs to another run."""
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        version, saved, states, random_states = (content[key] for key in ("format", "run", "parts", "random"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no training to resume: {path} does not exist.") from error
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise UsageError(f"{path} is damaged, or not a training state; train without --resume.") from error
    if version != _FORMAT:
        raise UsageError(f"{path} was written by another version of this program; train without --resume.")
    saved_values, values = ({**each["recipe"], **each, "recipe": None} for each in (saved, run))
    for name, value in values.items():
        if saved_values.get(name) != value:
            raise UsageError(
                f"{path} belongs to another training: {name} was {saved_values.get(name)!r} there and is {value!r} "
                "here. Resume with the options it was started with."
            )
    for name, part in parts.items():
        part.load_state_dict(states[name])
    set_random_state(random_states[world.rank])


@contextmanager
def stop_on_signal(*, second_is_fatal: bool = True) -> Iterator[Callable[[], bool]]:
    """Catch SIGINT and SIGTERM within the block; yields a function that returns whether one was received.

    With `second_is_fatal`, the first restores the signal's default action.
    """
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if second_is_fatal:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    # Python delivers signals to the main thread only.
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
