"""One row per picture: its prediction or error. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

N_DIGITS = 10
MAX_TEXTS = 4  # of a number: the likeliest and its alternatives

# A row as it is written: column to value, in the columns' order.
Record: TypeAlias = dict[str, object]


class BatchError(Exception):
    """The batch cannot continue; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Row:
    """The prediction for one picture; if it failed, only `path` and `error` are set."""

    path: str
    probabilities: tuple[float, ...] = ()  # of the digits 0 to 9
    is_digit: bool | None = None
    digit_score: float | None = None  # higher = more like a digit
    frame_png: bytes | None = None  # the network's input, if requested
    error: str | None = None  # a sentence
    texts: tuple[tuple[str, float], ...] = ()  # of a number, with their confidences, likeliest first
    reason: str | None = None  # why it is not a digit: "not_a_digit", "several_digits" or "unsure"

    @property
    def top(self) -> list[tuple[int, float]]:
        """All digits with their probabilities, likeliest first; empty if the picture could not be read."""
        return sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])


@dataclass(frozen=True, slots=True)
class Columns:
    """Which optional columns are written."""

    top: int = 1  # likeliest digits, 1 to 10, or texts, 1 to MAX_TEXTS
    probabilities: bool = False
    model: str | None = None  # its id, as a last column
    numbers: bool = False  # whole numbers instead of single digits

    @property
    def value(self) -> str:
        """The name of the column with what was read."""
        return "text" if self.numbers else "digit"

    def best(self, row: Row) -> Sequence[tuple[int | str, float]]:
        """The `top` likeliest digits or texts with their confidences, or fewer."""
        return row.texts[: self.top] if self.numbers else row.top[: self.top]

    def flat(self, row: Row) -> Record:
        """One value per column, for CSV and Parquet."""
        best = [*self.best(row), *[(None, None)] * N_DIGITS]
        record: Record = {
            "path": to_unicode(row.path),
            self.value: best[0][0],
            "confidence": _rounded(best[0][1]),
        }
        if not self.numbers:
            record |= {"is_digit": row.is_digit, "reason": row.reason, "digit_score": _rounded(row.digit_score)}
        for rank in range(2, self.top + 1):
            value, confidence = best[rank - 1]
            record |= {f"{self.value}_{rank}": value, f"confidence_{rank}": _rounded(confidence)}
        if self.probabilities:
            shares = row.probabilities or [None] * N_DIGITS
            record |= {f"p{digit}": _rounded(share) for digit, share in enumerate(shares)}
        return record | {"error": row.error} | ({"model": self.model} if self.model else {})

    def nested(self, row: Row) -> Record:
        """The same fields as the API's answers, for JSON; fields that do not apply are omitted."""
        if row.error is not None:
            record: Record = {"path": to_unicode(row.path), "error": row.error}
        else:
            best = [{self.value: value, "confidence": _rounded(share)} for value, share in self.best(row)]
            record = {"path": to_unicode(row.path), **best[0]}
            if not self.numbers:
                reason = {"reason": row.reason} if row.reason else {}
                record |= {"is_digit": row.is_digit, **reason, "digit_score": _rounded(row.digit_score)}
            if self.top > 1:
                record |= {"alternatives": best[1:]} if self.numbers else {"top": best}
            if self.probabilities:
                record["probabilities"] = [_rounded(share) for share in row.probabilities]
        return record | ({"model": self.model} if self.model else {})


def to_unicode(path: str) -> str:
    r"""`path` as valid Unicode: bytes of a file name that are not UTF-8 become escapes such as `\udcff`."""
    return path.encode("utf-8", "backslashreplace").decode()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def errors_of(rows: Iterable[Row]) -> Sequence[Row]:
    """The rows of pictures that could not be read."""
    return [row for row in rows if row.error is not None]
