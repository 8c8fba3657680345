"""Text from outside, such as file names and paths of requests, made safe to print on a terminal or in a log."""

from __future__ import annotations

from unicodedata import category


def escape_unprintable(text: str) -> str:
    r"""`text` with escapes such as `\x1b` for control characters, line ends, and bytes that are not UTF-8."""
    return "".join(c if is_printable(c) else c.encode("unicode_escape").decode() for c in text)


def is_printable(character: str) -> bool:
    """Whether a terminal shows it: Python's rule, but with all kinds of spaces, which are common in file names."""
    return character.isprintable() or category(character) == "Zs"
