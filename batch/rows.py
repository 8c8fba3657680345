"""One row per picture: its prediction or error. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

N_DIGITS = 10

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

    @property
    def top(self) -> list[tuple[int, float]]:
        """All digits with their probabilities, likeliest first; empty if the picture could not be read."""
        return sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])


@dataclass(frozen=True, slots=True)
class Columns:
    """Which optional columns are written."""

    top: int = 1  # likeliest digits, 1 to 10
    probabilities: bool = False
    model: str | None = None  # its id, as a last column

    def flat(self, row: Row) -> Record:
        """One value per column, for CSV and Parquet."""
        best = [*row.top, *[(None, None)] * N_DIGITS]
        record: Record = {
            "path": to_unicode(row.path),
            "digit": best[0][0],
            "confidence": _rounded(best[0][1]),
            "is_digit": row.is_digit,
            "digit_score": _rounded(row.digit_score),
        }
        for rank in range(2, self.top + 1):
            digit, confidence = best[rank - 1]
            record |= {f"digit_{rank}": digit, f"confidence_{rank}": _rounded(confidence)}
        if self.probabilities:
            shares = row.probabilities or [None] * N_DIGITS
            record |= {f"p{digit}": _rounded(share) for digit, share in enumerate(shares)}
        return record | {"error": row.error} | ({"model": self.model} if self.model else {})

    def nested(self, row: Row) -> Record:
        """The same fields as the API's answers, for JSON; fields that do not apply are omitted."""
        if row.error is not None:
            record: Record = {"path": to_unicode(row.path), "error": row.error}
        else:
            best = [{"digit": digit, "confidence": _rounded(share)} for digit, share in row.top]
            record = {"path": to_unicode(row.path), **best[0]}
            record |= {"is_digit": row.is_digit, "digit_score": _rounded(row.digit_score)}
            if self.top > 1:
                record["top"] = best[: self.top]
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
