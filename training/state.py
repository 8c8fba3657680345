"""The state of an unfinished training as a file beside its checkpoint, from which it continues to the same weights."""

from __future__ import annotations

import io
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from storage import write_atomically
from training.recipes import ChoiceError

_FORMAT = 1


def state_path(output: Path) -> Path:
    """Where the state of the training that writes `output` lies: `mnist_model.state.pth` for `mnist_model.pth`."""
    return output.with_suffix(f".state{output.suffix}")


def save_state(state: dict[str, Any], identity: dict[str, Any], path: Path) -> None:
    """Write the state of the training `identity`, whole or not at all. Raises `OSError`."""
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "identity": identity, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(identity: dict[str, Any], path: Path) -> dict[str, Any]:
    """The state of the training `identity`. Raises `ChoiceError` where there is none, or that of another training."""
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content["format"] != _FORMAT:
            raise ChoiceError(f"{path} was written by another version of this program; train without --resume.")
        found, state = dict(content["identity"]), dict(content["state"])
    except FileNotFoundError as error:
        raise ChoiceError(f"There is no training to resume: {path} does not exist.") from error
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        if isinstance(error, ChoiceError):
            raise
        raise ChoiceError(f"{path} is damaged, or no training state; train without --resume.") from error
    for name, value in identity.items():
        if found.get(name) != value:
            raise ChoiceError(
                f"{path} belongs to another training: {name} was {found.get(name)!r} there and is {value!r} here. "
                "Resume with the options it was started with."
            )
    return state


def random_state() -> dict[str, Any]:
    """The state of every random generator of this process, as plain values and tensors."""
    # numpy's legacy generator: a name, an array, and three numbers.
    name, keys, *rest = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": [version, list(internal), gauss],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every random generator of this process to what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
