"""A stream of paths, cut into pieces that are worked on at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

CHUNK = 64  # pictures in one forward: enough to fill a core, few enough to answer soon


def chunks(paths: Iterable[str], size: int = CHUNK) -> Iterator[list[str]]:
    """`paths` in lists of `size`, the last one shorter."""
    iterator = iter(paths)
    while chunk := list(islice(iterator, size)):
        yield chunk
