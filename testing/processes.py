"""What processes hold, from Linux's /proc: memory, descriptors, threads, children."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holding:
    """What one process holds at one moment."""

    pss: float  # MB; what is shared with other processes counts as its share
    # MB in memory that no file backs: what it has allocated, and nothing that depends on who else maps a library.
    anonymous: float
    descriptors: int
    threads: int


def look_at(pid: int) -> Holding:
    """What the process holds now. Raises `OSError` where it has ended."""
    folder = PROC / str(pid)
    sizes = _kilobytes((folder / "smaps_rollup").read_text())
    return Holding(
        pss=sizes["Pss"] / 1024,
        anonymous=sizes["Anonymous"] / 1024,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=len(list((folder / "task").iterdir())),
    )


def is_idle(pid: int) -> bool:
    """Whether every thread of the process sleeps."""
    stats = [(folder / "stat").read_text() for folder in (PROC / str(pid) / "task").iterdir()]
    return all(stat.rpartition(") ")[2].startswith("S") for stat in stats)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run, oldest first."""
    text = (PROC / str(pid) / "task" / str(pid) / "children").read_text()
    return sorted(int(child) for child in text.split())


def family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def _kilobytes(rollup: str) -> dict[str, int]:
    lines = (line.split() for line in rollup.splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) for words in lines}
