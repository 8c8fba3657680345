"""Connection counts of all workers, so that the one with the fewest accepts the next connection.

In a burst the same worker often wakes first for every connection. Its threads then share one core for as long as the
clients keep those connections, while other cores are idle.
"""

from __future__ import annotations

import mmap

_SLOTS = 256  # workers with a higher slot are not balanced
_NOT_ACCEPTING = -1


class ConnectionCounts:
    """One number for each worker, in memory shared by the processes forked after it was created."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * _SLOTS)).cast("i")
        for slot in range(_SLOTS):
            self.clear(slot)

    def set(self, slot: int, connections: int) -> None:
        """Publish how many connections the worker of this slot has."""
        if slot < _SLOTS:
            self._counts[slot] = connections

    def clear(self, slot: int) -> None:
        """Mark the worker of this slot as not accepting: it is full, stopping or has exited."""
        self.set(slot, _NOT_ACCEPTING)

    def minimum(self) -> int:
        """The smallest number of connections of any accepting worker; 0 if there is none."""
        return min((count for count in self._counts.tolist() if count != _NOT_ACCEPTING), default=0)


# Of this server. HUP runs gunicorn.conf.py again, but does not import this module again.
connection_counts = ConnectionCounts()
