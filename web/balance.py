"""How many connections each worker holds, so that the one with fewest gets the next.

Whichever worker is the first to wake takes a new connection, and in a burst that is often the same one: its threads
then share one core for as long as clients keep those connections, while other cores do nothing.
"""

from __future__ import annotations

import mmap

_SLOTS = 256  # workers beyond take connections as they come
_ABSENT = -1


class Held:
    """One number for each worker, in memory that is shared by those forked after it was made."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * _SLOTS)).cast("i")
        for slot in range(_SLOTS):
            self.forget(slot)

    def tell(self, slot: int, connections: int) -> None:
        """What the worker of this slot holds now."""
        if slot < _SLOTS:
            self._counts[slot] = connections

    def forget(self, slot: int) -> None:
        """The worker of this slot takes no connections: it is full, leaves, or is gone."""
        self.tell(slot, _ABSENT)

    def fewest(self) -> int:
        """What the worker with the fewest connections holds; 0 where there is none."""
        return min((count for count in self._counts.tolist() if count != _ABSENT), default=0)
