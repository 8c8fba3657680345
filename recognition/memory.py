"""How the process gives back the memory of large pictures."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES, _KEPT_BYTES = 2**20, 4 * 2**20
_POOLS = 2


def return_large_blocks() -> bool:
    """Have every block of 1 MB or more go back to the system as soon as it is freed; whether that could be set.

    After the first large block glibc, which could do so by itself, takes them from pools of its own, one for each
    thread, that fall to pieces: without this, 20,000 hostile pictures cost a worker 760 MB that nothing uses. The
    pools are few for the same reason: threads take turns at them.
    """
    if not sys.platform.startswith("linux"):
        return False
    c_library = ctypes.CDLL(None)
    if not hasattr(c_library, "mallopt"):
        return False
    return all(
        c_library.mallopt(option, size) == 1
        for option, size in (
            (_M_MMAP_THRESHOLD, _LARGE_BYTES),
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
            (_M_ARENA_MAX, _POOLS),
        )
    )
