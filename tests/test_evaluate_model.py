"""The command line of the evaluation, on every kind of data."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evaluate_model
import train_model
from checkpoint import load_checkpoint
from recognition import Recognizer
from testing.handwriting import DIGITS, HANDWRITINGS
from testing.pictures import draw_picture, picture_of
from testing.tiny_mnist import make_digits, write_mnist
from training import evaluation_sets
from training.corruptions import CORRUPTIONS
from training.datasets import DataError
from training.reports import record_in_manifest
from web.model_files import load_model_files

SCRIBBLE = [[[i * 37 % 100, i * 53 % 100] for i in range(40)]]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network, `m-0.pth`, and another, `m-1.pth`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_DATA_DIR", str(write_mnist(folder / "data", 600, 50)))
        arguments = ["--model", "dense", "--epochs", "3", "--batch-size", "40", "--members", "2", "--no-plots"]
        outputs = ["--output", str(folder / "m.pth"), "--reports", str(folder / "reports"), "--device", "cpu"]
        assert train_model.main([*arguments, *outputs]) == 0
    return folder


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, tiny_mnist: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tiny_mnist))
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(checkpoints / "m-0.pth"))
    monkeypatch.chdir(tmp_path)


def rows_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate_model.main([*arguments, "--json"]) == 0
    return {row["set"]: row for row in json.loads(capsys.readouterr().out)}


# ---- data ----


def test_metrics_on_test_digits_are_those_in_the_checkpoint(
    checkpoints: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_DATA_DIR", str(checkpoints / "data"))
    row = rows_of(capsys, str(checkpoints / "m-0.pth"))["mnist"]
    metrics = load_checkpoint(checkpoints / "m-0.pth").metrics
    assert row["n"] == 50
    assert row["errors"] == metrics["test_errors"]
    assert row["accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert row["nll"] == pytest.approx(metrics["test_loss"], abs=1e-5)
    assert row["ece"] == pytest.approx(metrics["test_ece"], abs=1e-5)


def test_pictures_are_predicted_as_in_the_app(checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for digit, drawings in HANDWRITINGS.items():
        Path(f"photos/{digit}").mkdir(parents=True)
        for index, drawing in enumerate(drawings):
            Path(f"photos/{digit}/{index}.png").write_bytes(picture_of(drawing))
    Path("photos/not_a_digit").mkdir()
    Path("photos/not_a_digit/a.png").write_bytes(picture_of(SCRIBBLE))
    Path("photos/3/broken.png").write_bytes(b"\x89PNG")
    row = rows_of(capsys, "--data", "photos")["photos"]
    recognizer = Recognizer.load(checkpoints / "m-0.pth")
    answers = [
        (digit, recognizer.predict_picture(picture_of(drawing)))
        for digit, drawings in HANDWRITINGS.items()
        for drawing in drawings
    ]
    assert row["n"] == len(answers)
    assert row["errors"] == sum(answer.digit != digit for digit, answer in answers)
    assert row["rejected"] == pytest.approx(sum(not answer.is_digit for _, answer in answers) / len(answers))
    assert (row["n_non_digits"], row["unreadable"]) == (1, 1)
    assert 0 <= row["auroc"] <= 1


def test_arrays_drawings_and_numbers_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    frames, labels = make_digits(12, seed=5)
    np.savez("arrays.npz", x=frames, y=np.where(labels == 1, -1, labels.astype(int)))
    lines = [{"label": digit, "strokes": drawing} for digit, drawing in DIGITS.items()]
    lines += [{"label": "?", "strokes": SCRIBBLE}, {"label": 3, "strokes": []}]
    Path("pens.jsonl").write_text("\n".join(map(json.dumps, lines)))
    Path("numbers").mkdir()
    page = Image.new("L", (560, 280), 255)
    page.paste(draw_picture(DIGITS[4]), (0, 0))
    page.paste(draw_picture(DIGITS[2]), (280, 0))
    page.save("numbers/a.png")
    boxes = {"file": "a.png", "text": "42", "boxes": [[0, 0, 280, 280], [280, 0, 280, 280]]}
    Path("numbers/labels.jsonl").write_text(json.dumps(boxes) + "\n")
    rows = rows_of(capsys, "--data", "arrays.npz", "pens.jsonl", "numbers")
    assert (rows["arrays"]["n"], rows["arrays"]["n_non_digits"]) == (10, 2)
    assert (rows["pens"]["n"], rows["pens"]["n_non_digits"]) == (11, 1)
    assert rows["pens"]["rejected"] >= 1 / 11  # the blank one
    assert rows["numbers"]["n"] == 2


def test_corruptions_have_a_row_each_and_a_mean(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, "--data", "corrupted-mnist", "--limit", "10")
    assert len(rows) == len(CORRUPTIONS) + 1 == 16
    mean = rows["corrupted-mnist (mean)"]
    each = [row["accuracy"] for name, row in rows.items() if ":" in name]
    assert mean["accuracy"] == pytest.approx(np.mean(each))
    assert list(rows_of(capsys, "--data", "corrupted-mnist:fog", "--limit", "5")) == ["corrupted-mnist:fog"]


@pytest.mark.parametrize("through", ["frames", "pictures"])
def test_digits_are_predicted_as_frames_or_pictures(through: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows_of(capsys, "--data", "mnist", "--through", through)["mnist"]["accuracy"] > 0.6


# ---- command line ----


def test_table_details_and_mistakes(checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(checkpoints / "m-0.pth"), str(checkpoints / "m-1.pth"), "--confusion", "--report"]
    assert evaluate_model.main([*arguments, "--mistakes", "sheets"]) == 0
    said = capsys.readouterr().out
    assert "true digits in rows" in said
    assert "f1-score" in said
    assert "accuracy %" in said
    with Image.open("sheets/mnist.png") as sheet:
        assert sheet.width > 100


def test_robustness_writes_a_table_and_contact_sheets_of_all_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "data", 120, 20)
    (tmp_path / "data" / "dev").mkdir()
    np.savez(tmp_path / "data" / "dev" / "letters.npz", x=make_digits(5, seed=3)[0], y=np.full(5, -1))
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tmp_path / "data"))
    assert evaluate_model.main(["--robustness", "--reports", "out", "--limit", "5"]) == 0
    names = [row["set"] for row in csv.DictReader(Path("out/robustness.csv").read_text().splitlines())]
    assert {"mnist", "mnist-validation", "letters", "corrupted-mnist-validation (mean)"} <= set(names)
    assert Path("out/robustness.md").read_text().count("\n") == len(names) + 2
    assert Path("out/robustness/letters.png").exists()
    assert "letters" in capsys.readouterr().out


def test_publishing_writes_what_the_app_shows(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "data", 60, 20)
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tmp_path / "data"))
    Path("m.pth").write_bytes((checkpoints / "m-0.pth").read_bytes())
    record_in_manifest(Path("m.pth"), "0" * 12, {"train_metrics": checkpoints / "train_metrics-0.csv"})
    assert evaluate_model.main(["m.pth", "--publish"]) == 0
    files = load_model_files(Path("m.pth"), load_checkpoint(Path("m.pth")).id)
    assert {"mnist", "mnist-validation"} <= {row["set"] for row in files.table("robustness") or ()}
    assert files.table("reliability")
    assert "mnist" in files.data_sets_with_mistakes
    assert "train_metrics" not in files.files  # it was of another model
    with pytest.raises(SystemExit, match="2"):
        evaluate_model.main(["m.pth", "--publish", "--limit", "5"])  # figures of a part are not the model's


def test_required_accuracy_decides_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_model.main(["--require-accuracy", "0.1"]) == 0
    assert evaluate_model.main(["--require-accuracy", "1.01"]) == 1
    assert "mnist is below the required accuracy of 1.01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.pth"], "there is no model file missing.pth"),
        (["--data", "nowhere"], "neither a data set (mnist"),
        (["--data", "empty"], "found nothing"),
        (["--data", "broken.npz"], "broken.npz is damaged"),
        (["--data", "flat.npz"], "needs x as uint8 [N, H, W]"),
        (["--data", "broken.jsonl"], "line 2 is not JSON"),
        (["--data", "keys.jsonl"], "line 1 needs label and strokes"),
        (["--data", "corrupted-mnist:rain"], "zigzag"),
    ],
)
def test_bad_input_exits_with_2_and_a_message(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("broken.npz").write_bytes(b"PK\x03\x04 cut off")
    np.savez("flat.npz", x=np.zeros((3, 784), np.uint8), y=np.zeros(3))
    Path("broken.jsonl").write_text('{"label": 1, "strokes": [[[0, 0]]]}\n{"label":\n')
    Path("keys.jsonl").write_text('{"digit": 1}\n')
    assert evaluate_model.main(arguments) == 2
    assert expected in capsys.readouterr().err


def test_without_reference_digits_only_the_auroc_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*_: object, **__: object) -> None:
        raise DataError("MNIST is not there.")

    monkeypatch.setattr(evaluation_sets, "load_mnist", refuse)
    np.savez("letters.npz", x=make_digits(5, seed=3)[0], y=np.full(5, -1))
    assert evaluate_model.main(["--data", "letters.npz", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["auroc"] is None
    assert json.loads(captured.out)[0]["accepted"] is not None
    assert "no AUROC" in captured.err
