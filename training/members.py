"""The networks that one command trains: one, or the members of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.state import state_path


@dataclass(frozen=True, slots=True)
class Member:
    """One of the networks that a command trains; mostly the only one."""

    seed: int
    output: Path
    suffix: str  # "" for the only one, else "-0", "-1" and so on

    @property
    def state(self) -> Path:
        """Where its unfinished training is kept."""
        return state_path(self.output)

    @property
    def is_finished(self) -> bool:
        """Whether its checkpoint is there and no unfinished training of it."""
        return self.output.exists() and not self.state.exists()


def list_members(output: Path, count: int, seed: int) -> list[Member]:
    """The networks to train, and where each goes: `NAME.pth`, or `NAME-0.pth` and so on."""
    if count == 1:
        return [Member(seed, output, "")]
    return [Member(seed + index, output.with_stem(f"{output.stem}-{index}"), f"-{index}") for index in range(count)]
