"""Text from outside, such as file names and paths of requests, made safe to print on a terminal or in a log."""

from __future__ import annotations


def escape_unprintable(text: str) -> str:
    r"""`text` with escapes such as `\x1b` for control characters, line ends, and bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
