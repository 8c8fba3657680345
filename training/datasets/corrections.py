"""Corrections of answers ("Wrong? It was"), saved from the page, as training data.

    pictures, drawings = load_corrections(Path("corrections.jsonl"), Path("mnist_model.pth"))

`static/corrections.js` writes the file, and anyone can edit it: each line is limited as a request is, and corrections
that are probably wrong are listed instead of learned.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from checkpoint import load_checkpoint
from config import Limits
from model_file import N_DIGITS
from recognition.errors import InputError
from recognition.strokes import Stroke, render, trace, validate_strokes
from training.datasets.digits import DataError, Digits
from training.datasets.drawings import Drawings, Line, read_lines
from training.datasets.frames import load_frame, stack_frames

_CERTAIN = 0.999  # a network that is more certain of another answer than this contradicts a correction
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Correction:
    number: int  # of its line
    label: int  # 0 to 9, or 10 for no digit
    frame: NDArray[np.uint8]
    lines: list[Stroke] | None  # of a drawing


def load_corrections(path: Path, checkpoint: Path | None) -> tuple[Digits, Drawings]:
    """The pictures and drawings in a file of corrections, with label 10 for no digit.

    Repeated inputs, and what the network of `checkpoint` contradicts, are left out and listed on standard error. Raises
    `DataError` or `CheckpointError`.
    """
    found = list(_read_corrections(path))
    if not found:
        raise DataError(f"{path} has no corrections to train on.")
    doubts = (_find_contradictions(found, checkpoint) if checkpoint else {}) | _find_repetitions(found)
    _list_doubts(path, doubts)
    kept = [each for each in found if each.number not in doubts]
    pictures = [each for each in kept if each.lines is None]
    drawings = [each for each in kept if each.lines is not None]
    frames, lines = [each.frame for each in pictures], [each.lines or [] for each in drawings]
    return Digits(stack_frames(frames), _labels(pictures)), Drawings(lines, _labels(drawings))


def _labels(corrections: Sequence[_Correction]) -> Tensor:
    return torch.tensor([each.label for each in corrections], dtype=torch.int64)


# ---- reading ----


def _read_corrections(path: Path) -> Iterable[_Correction]:
    limits, n_numbers = Limits(), 0
    for number, line in enumerate(read_lines(path, limits.max_body_bytes), start=1):
        if "text" in line:
            n_numbers += 1
            continue
        try:
            yield _parse_correction(number, line, limits)
        except (ValueError, InputError) as error:
            reason = str(error).partition(". ")[0].rstrip(".")
            raise DataError(f"{path} is damaged: line {number} cannot be used ({reason}).") from error
    if n_numbers:
        print(f"{path}: {n_numbers} corrected numbers are left out; only digits are learned", file=sys.stderr)


def _parse_correction(number: int, line: Line, limits: Limits) -> _Correction:
    """Raises `ValueError` or `InputError`."""
    label = line.get("label", "")
    if label is not None and not (type(label) is int and 0 <= label < N_DIGITS):
        raise ValueError("its label is neither 0 to 9 nor null")
    label = N_DIGITS if label is None else label
    if ("strokes" in line) == ("picture" in line):
        raise ValueError("it needs either strokes or picture")
    if "strokes" in line:
        lines = trace(validate_strokes(line["strokes"], limits))
        return _Correction(number, label, render(lines)[0], lines)
    return _Correction(number, label, load_frame(_decode_data_url(line["picture"]), limits), None)


def _decode_data_url(url: object) -> bytes:
    header, _, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    try:
        if not (header.startswith("data:image/") and header.endswith(";base64")):
            raise ValueError(header)
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise ValueError("its picture is not a data URL of an image in base64") from error


# ---- doubts: why a correction is not learned, by the number of its line ----


def _find_repetitions(corrections: Sequence[_Correction]) -> dict[int, str]:
    """Inputs that were there before; if the labels differ, none of them is to be trusted."""
    doubts: dict[int, str] = {}
    seen: dict[bytes, _Correction] = {}
    for each in corrections:
        first = seen.setdefault(each.frame.tobytes(), each)
        if first is not each:
            doubts[each.number] = f"it has the same input as line {first.number}"
            if first.label != each.label:
                doubts[first.number] = f"line {each.number} has the same input with another label"
    return doubts


def _find_contradictions(corrections: Sequence[_Correction], path: Path) -> dict[int, str]:
    """Labels that a network contradicts; one without a background class has no opinion on what is not a digit."""
    checkpoint = load_checkpoint(path)
    network = checkpoint.build()
    # Not by a Recognizer, whose engine would limit the training that follows to one thread.
    with torch.inference_mode():
        parts = stack_frames([each.frame for each in corrections]).split(1000)
        logits = torch.cat([network(frames / 255) for frames in parts])
    certainties, answers = torch.softmax(logits / checkpoint.temperature, dim=1).max(1)
    return {
        each.number: f"it is labelled {_name(each.label)}, and {path} is more than {100 * _CERTAIN:g} % certain of "
        f"{_name(answer)}"
        for each, certainty, answer in zip(corrections, certainties.tolist(), answers.tolist(), strict=True)
        if certainty > _CERTAIN and answer != each.label < logits.shape[1]
    }


def _name(label: int) -> str:
    return str(label) if label < N_DIGITS else "no digit"


def _list_doubts(path: Path, doubts: Mapping[int, str]) -> None:
    for number in sorted(doubts)[:_MOST_LISTED]:
        print(f"{path}: line {number} is not learned: {doubts[number]}", file=sys.stderr)
    if len(doubts) > _MOST_LISTED:
        print(f"{path}: {len(doubts) - _MOST_LISTED} more lines are not learned", file=sys.stderr)
