"""Wait for something that another thread or process does."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return once `condition()` is true. Raises `AssertionError` if it is still false after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {seconds:g} s"
        time.sleep(0.005)
