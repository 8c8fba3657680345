"""Corrections saved from the page, as training data."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from checkpoint import Checkpoint, save_checkpoint
from config import Limits
from model import ARCHITECTURES
from recognition.normalize import normalize
from recognition.picture import decode_picture
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from training.datasets import DataError, load_split
from training.datasets.corrections import load_corrections

SCRIBBLE = [[[i * 37 % 100, i * 53 % 100] for i in range(40)]]
ANSWER = {"model": "0123456789ab", "answer": {"digit": 1, "is_digit": True, "confidence": 0.7}}


def drawing(label: int | None, strokes: object = None) -> dict[str, Any]:
    return {"label": label, "strokes": strokes or DIGITS[label or 0], **ANSWER}


def picture(label: int | None, digit: int) -> dict[str, Any]:
    return {"label": label, "picture": data_url(picture_of(DIGITS[digit])), **ANSWER}


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def save_certain(path: Path, answer: int, logit: float = 10.0, *, background: bool = True) -> Path:
    """A network that gives every input the same answer."""
    network = ARCHITECTURES["linear"](background=background)
    weights = {name: torch.zeros_like(each) for name, each in network.state_dict().items()}
    next(each for each in weights.values() if each.shape == (10 + background,))[answer] = logit
    weights |= {name: each for name, each in network.state_dict().items() if name.endswith(("mean", "std"))}
    save_checkpoint(Checkpoint(architecture="linear", arguments={"background": background}, state_dict=weights), path)
    return path


def test_corrections_are_trained_on_and_never_validated_on(tmp_path: Path, tiny_mnist: Path) -> None:
    lines = [picture(3, digit=3), drawing(7), picture(None, digit=5), drawing(None, SCRIBBLE), drawing(2)]
    path = write(tmp_path / "c.jsonl", *lines)
    without, split = (load_split(["mnist", *more], tiny_mnist) for more in ([], [f"corrections:{path}"]))
    training = split.training
    assert len(training.digits) == len(without.training.digits) + 1
    assert training.digits.labels[-1] == 3
    assert training.drawings.labels.tolist() == [7, 2]
    assert training.nondigits.shape == (1, 28, 28)
    assert len(training.nondigit_drawings) == 1
    assert torch.equal(split.validation.frames, without.validation.frames)
    assert split.n_validation == without.n_validation
    assert split.data == ("mnist", f"corrections:{path}")
    served = normalize(decode_picture(picture_of(DIGITS[3]), Limits()))
    assert np.array_equal(training.digits.frames[-1].numpy(), np.round(served * 255).astype(np.uint8))


def test_corrections_are_neither_the_only_data_nor_a_set_of_non_digits(tmp_path: Path) -> None:
    name = f"corrections:{write(tmp_path / 'c.jsonl', drawing(7))}"
    with pytest.raises(DataError, match="never used for validation"):
        load_split([name], tmp_path)
    with pytest.raises(DataError, match="is not a data set"):
        load_split(["semeion"], tmp_path, nondigits=[name])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"strokes": DIGITS[1]}, "its label is neither 0 to 9 nor null"),
        (drawing(1) | {"label": 10}, "its label is neither 0 to 9 nor null"),
        (drawing(1) | {"label": True}, "its label is neither 0 to 9 nor null"),
        (drawing(1) | {"label": "1"}, "its label is neither 0 to 9 nor null"),
        ({"label": 1}, "it needs either strokes or picture"),
        (drawing(1) | picture(1, digit=1), "it needs either strokes or picture"),
        (drawing(1, [[[0, "x"]]]), "A coordinate is a number"),
        (drawing(1, [[[0, 1e9]]]), "A coordinate is finite"),
        (drawing(1, [[]]), "no ink was found"),
        ({"label": 1, "picture": 5}, "not a data URL"),
        ({"label": 1, "picture": "https://example.org/1.png"}, "not a data URL"),
        ({"label": 1, "picture": "data:image/png;base64,%%%"}, "not a data URL"),
        ({"label": 1, "picture": data_url(b"\x89PNG and no more")}, "damaged and cannot be opened"),
        ({"label": 1, "picture": data_url(b"")}, "The file is empty)"),
    ],
)
def test_damaged_line_is_named(line: object, reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", drawing(7), line)
    with pytest.raises(DataError) as caught:
        load_corrections(path, None)
    assert str(caught.value).startswith(f"{path} is damaged: line 2 cannot be used (")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no corrections"), ("[" * 100_000, "not JSON"), ("7", "JSON object")]
)
def test_file_without_corrections_is_named(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(DataError, match=reason):
        load_corrections(tmp_path / "c.jsonl", None)


@pytest.mark.parametrize(
    ("limit", "value", "line", "reason"),
    [
        ("MAX_BODY_BYTES", "1024", picture(3, digit=3), "more than 1,024 characters"),
        ("MAX_MEGAPIXELS", "0.01", picture(3, digit=3), "more than 0.01 megapixels"),
        ("MAX_STROKES", "1", drawing(4), "at most 1 strokes"),
        ("MAX_POINTS", "5", drawing(3), "at most 5 points"),
    ],
)
def test_input_is_limited_as_in_a_request(
    limit: str, value: str, line: object, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "c.jsonl", line)
    load_corrections(path, None)
    monkeypatch.setenv(f"DIGITS_{limit}", value)
    with pytest.raises(DataError, match=reason):
        load_corrections(path, None)


def test_corrected_numbers_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = {"text": "42", "strokes": [*DIGITS[4], *DIGITS[2]], **ANSWER}
    path = write(tmp_path / "c.jsonl", number, drawing(7), number)
    _, drawings = load_corrections(path, None)
    assert drawings.labels.tolist() == [7]
    assert capsys.readouterr().err == f"{path}: 2 corrected numbers are left out; only digits are learned\n"


def test_repeated_inputs_are_learned_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c.jsonl", drawing(7), picture(5, digit=5), drawing(7), drawing(4), picture(5, digit=5))
    pictures, drawings = load_corrections(path, None)
    assert (pictures.labels.tolist(), drawings.labels.tolist()) == ([5], [7, 4])
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: line 3 is not learned: it has the same input as line 1",
        f"{path}: line 5 is not learned: it has the same input as line 2",
    ]


def test_input_with_two_labels_is_not_learned_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c.jsonl", drawing(4), drawing(7), drawing(None, DIGITS[7]))
    assert load_corrections(path, None)[1].labels.tolist() == [4]
    assert "line 2 is not learned: line 3 has the same input with another label" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "kept"), [(3, [3]), (10, [10])])
def test_what_the_network_contradicts_is_listed_instead_of_learned(
    answer: int, kept: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "c.jsonl", drawing(3), drawing(7), drawing(None, SCRIBBLE))
    network = save_certain(tmp_path / "m.pth", answer)
    assert load_corrections(path, network)[1].labels.tolist() == kept
    listed = capsys.readouterr().err
    name = "no digit" if answer == 10 else "3"
    assert f"line 2 is not learned: it is labelled 7, and {network} is more than 99.9 % certain of {name}" in listed
    assert listed.count("\n") == 2


def test_network_must_be_more_certain_than_the_threshold(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", drawing(3), drawing(7), drawing(None, SCRIBBLE))
    # e^9.2 / (e^9.2 + 10) = 0.99899
    assert len(load_corrections(path, save_certain(tmp_path / "m.pth", 3, 9.2))[1]) == 3
    assert len(load_corrections(path, save_certain(tmp_path / "m.pth", 3, 9.3))[1]) == 1


def test_network_without_a_background_class_does_not_contradict_non_digits(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", drawing(7), drawing(None, SCRIBBLE))
    network = save_certain(tmp_path / "m.pth", 3, background=False)
    assert load_corrections(path, network)[1].labels.tolist() == [10]


def test_at_most_twenty_lines_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c.jsonl", *[drawing(7)] * 26)
    load_corrections(path, None)
    listed = capsys.readouterr().err.splitlines()
    assert len(listed) == 21
    assert listed[-1] == f"{path}: 5 more lines are not learned"
