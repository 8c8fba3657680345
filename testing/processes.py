"""Resource usage and children of processes, read from /proc. Linux only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Resource usage of one process."""

    pss: float  # MB; proportional set size
    anonymous: float  # MB of anonymous memory, which does not depend on other processes that map the same libraries
    descriptors: int
    threads: int


def resource_usage(pid: int) -> ResourceUsage:
    """Current resource usage of a process. Raises `OSError` if it has ended."""
    folder = PROC / str(pid)
    sizes = _kilobytes((folder / "smaps_rollup").read_text())
    return ResourceUsage(
        pss=sizes["Pss"] / 1024,
        anonymous=sizes["Anonymous"] / 1024,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=len(list((folder / "task").iterdir())),
    )


def is_idle(pid: int) -> bool:
    """Whether all threads of the process are sleeping."""
    stats = [(folder / "stat").read_text() for folder in (PROC / str(pid) / "task").iterdir()]
    return all(stat.rpartition(") ")[2].startswith("S") for stat in stats)


def children(pid: int) -> list[int]:
    """Running children of a process, oldest first."""
    text = (PROC / str(pid) / "task" / str(pid) / "children").read_text()
    return sorted(int(child) for child in text.split())


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    return [pid, *(member for child in children(pid) for member in process_tree(child))]


def _kilobytes(rollup: str) -> dict[str, int]:
    lines = (line.split() for line in rollup.splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) for words in lines}
