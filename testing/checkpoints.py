"""Checkpoint files of networks that are quick to make and to load."""

from pathlib import Path

from model import ARCHITECTURES, Checkpoint, save_checkpoint


def save_untrained(path: Path) -> str:
    """Write a linear network with random weights; its id, which no other has."""
    network = ARCHITECTURES["linear"]()
    checkpoint = Checkpoint(architecture="linear", arguments={}, state_dict=network.state_dict())
    save_checkpoint(checkpoint, path)
    return checkpoint.id
