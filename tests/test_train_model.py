"""The command line of the trainer, on tiny data."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import train_model
from checkpoint import Checkpoint, load_checkpoint
from recognition import Recognizer
from recognition.engine import read_model
from testing.handwriting import DIGITS
from testing.tiny_mnist import make_digits, write_mnist
from training import loop
from training.loss import training_loss
from training.numbers.loop import PATH_READER, NumberRecipe, Reader
from training.recipes import DISTORTIONS

ROOT = Path(__file__).parents[1]
# An epoch of a dense network on 216 digits takes a few hundredths of a second.
TABLES = ("train_metrics.csv", "val_metrics.csv", "confusion_matrix.csv", "reliability.csv")
SMALL = ["--model", "dense", "--batch-size", "40", "--epochs", "3", "--device", "cpu", "--no-plots"]


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own for each test, with the tiny MNIST, and a single thread."""
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tiny_mnist))
    monkeypatch.setenv("DIGITS_MODEL_PATH", "m.pth")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(*arguments: str) -> int:
    return train_model.main([*SMALL, *arguments])


def trained(*arguments: str, output: str = "m.pth") -> Checkpoint:
    assert train(*arguments, "--output", output) == 0
    return load_checkpoint(Path(output))


def fails(*arguments: str) -> int | str | None:
    """The exit status, whether `main` returns it or argparse exits with it."""
    try:
        return train_model.main([*SMALL, *arguments])
    except SystemExit as error:
        return error.code


def before_batch(number: int, action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call `action` before the batch of that number, counted over all trainings."""
    original, calls = loop.train_one_batch, iter(range(1, 1_000_000))

    def train_one_batch(*arguments: Any) -> torch.Tensor:
        if next(calls) == number:
            action()
        return original(*arguments)

    monkeypatch.setattr(loop, "train_one_batch", train_one_batch)


# ---- results ----


def test_training_writes_checkpoint_tables_and_reports() -> None:
    assert train_model.main([argument for argument in SMALL if argument != "--no-plots"]) == 0
    checkpoint = load_checkpoint(Path("m.pth"))
    assert checkpoint.data == ["mnist"]
    assert {"val_accuracy", "test_accuracy", "test_errors", "test_ece"} <= checkpoint.metrics.keys()
    tables = {name: list(csv.reader(Path(name).read_text().splitlines())) for name in TABLES}
    assert tables["train_metrics.csv"][0] == ["epoch", "loss", "accuracy", "lr", "seconds", "samples_per_second"]
    assert tables["val_metrics.csv"][0] == ["epoch", "loss", "accuracy", "errors", "ece"]
    assert [row[0] for row in tables["val_metrics.csv"][1:]] == ["1", "2", "3"]
    matrix = tables["confusion_matrix.csv"]
    assert matrix[0] == ["true \\ predicted", *"0123456789"]
    assert sum(int(cell) for row in matrix[1:] for cell in row[1:]) == 24
    reliability = tables["reliability.csv"]
    assert reliability[0] == ["low", "high", "n", "confidence", "accuracy"]
    assert sum(int(row[2]) for row in reliability[1:]) == 24
    manifest = json.loads(Path("m.json").read_text())
    assert manifest["model"] == checkpoint.id
    assert {item["file"] for item in manifest["files"].values()} == {
        *TABLES,
        "m.onnx",
        "reports/misclassified_digits.png",
    }
    pictures = {
        "training_history",
        "confusion_matrix",
        "misclassified_digits",
        "class_distribution",
        "sample_digits",
        "augmented_digits",
        "reliability_diagram",
    }
    assert {path.stem for path in Path("reports").glob("*.png")} == pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in Path("reports").glob("*.png"))
    assert len(json.loads(Path("reports/history.json").read_text())["epochs"]) == 3
    assert Path("reports/classification_report.csv").read_text().startswith("digit,precision,recall")
    assert not Path("m.state.pth").exists()


def test_trained_network_reads_drawings() -> None:
    trained("--epochs", "20", "--recipe", "fast")
    recognizer = Recognizer.load(Path("m.pth"))
    right = sum(recognizer.predict_strokes(drawing).digit == digit for digit, drawing in DIGITS.items())
    assert right >= 8


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, second, third = trained("--seed", "3"), trained("--seed", "3"), trained("--seed", "4")
    assert first.digest == second.digest
    assert first.digest != third.digest


@pytest.mark.parametrize("name", ["cnn", "mlp", "dense", "linear"])
def test_every_network_is_trained_by_its_name_and_served_from_its_file(name: str) -> None:
    assert train_model.main(["--model", name, "--epochs", "1", "--recipe", "fast", "--no-plots"]) == 0
    assert load_checkpoint(Path("m.pth")).architecture == name
    assert Recognizer.load(Path("m.pth")).predict_strokes(DIGITS[4]).probabilities


def test_command_line_overrides_the_parameter_file() -> None:
    Path("p.json").write_text(json.dumps({"lr": 0.001, "epochs": 2, "ema_decay": 0.9}))
    trained("--params", "p.json", "--without", *DISTORTIONS)
    recipe = json.loads(Path("reports/history.json").read_text())["recipe"]
    assert (recipe["lr"], recipe["ema_decay"], recipe["epochs"]) == (0.001, 0.9, 3)
    assert not any(recipe["distortions"].values())


def test_members_are_trained_with_their_own_seeds() -> None:
    assert train("--members", "2", "--output", "e.pth") == 0
    first, second = load_checkpoint(Path("e-0.pth")), load_checkpoint(Path("e-1.pth"))
    assert (first.seed, second.seed) == (0, 1)
    assert first.digest != second.digest
    assert Path("train_metrics-0.csv").exists()
    assert Path("train_metrics-1.csv").exists()
    assert first.digest == trained().digest


def test_network_is_distilled_from_an_ensemble() -> None:
    train("--members", "2", "--output", "e.pth")
    alone, distilled = trained(), trained("--distill", "e-0.pth", "e-1.pth")
    assert distilled.digest != alone.digest
    assert distilled.metrics["val_accuracy"] > 0.2


# ---- corrections and promotion ----


def test_corrections_are_learned_unless_the_old_network_contradicts_them(capsys: pytest.CaptureFixture[str]) -> None:
    trained("--epochs", "20", "--recipe", "fast")
    lines = [
        {"label": 8, "strokes": DIGITS[8]},
        {"label": 8, "strokes": DIGITS[8]},
        {"label": None, "strokes": DIGITS[0]},
    ]
    Path("c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    checkpoint = trained("--data", "mnist", "corrections:c.jsonl", "--epochs", "1", output="new.pth")
    assert checkpoint.data == ["mnist", "corrections:c.jsonl"]
    assert json.loads(Path("reports/history.json").read_text())["digits"] == 216 + 1
    said = capsys.readouterr().err
    assert "line 2 is not learned: it has the same input as line 1" in said
    assert "line 3 is not learned: it is labelled no digit, and m.pth is more than 99.9 % certain of 0" in said


def test_only_a_network_that_is_not_worse_is_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (write_mnist(tmp_path / "data") / "dev").mkdir()
    np.savez(tmp_path / "data" / "dev" / "hands.npz", x=make_digits(20, seed=3)[0], y=np.arange(20) % 10)
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tmp_path / "data"))
    torch.set_num_threads(2)  # on some processors, weights depend on their number
    untrained = trained("--epochs", "1", "--lr", "1e-9", "--promote-if-not-worse")  # there is nothing to compare with
    good = trained("--epochs", "20", "--recipe", "fast", "--promote-if-not-worse")
    assert load_checkpoint(Path("m.previous.pth")).id == untrained.id
    kept = {path: path.read_bytes() for path in [*map(Path, TABLES), *Path().glob("m.*"), *Path().glob("reports/*.*")]}
    capsys.readouterr()

    assert train("--epochs", "1", "--lr", "1e-9", "--promote-if-not-worse") == 1
    said = capsys.readouterr()
    assert "m.pth will be replaced if the new network is not worse" in said.out
    assert re.search(r"accuracy on mnist-validation is lower by \d\d\.\d\d points", said.err)
    assert re.search(r"accuracy on hands is lower by \d\d\.\d\d points", said.err)
    assert "m.pth is unchanged, and the new network is in m.rejected.pth" in said.err
    assert {path: path.read_bytes() for path in kept} == kept
    assert load_checkpoint(Path("m.pth")).id == good.id
    assert load_checkpoint(Path("m.rejected.pth")).digest == untrained.digest
    assert Path("val_metrics-rejected.csv").exists()
    assert not Path("m.state.pth").exists()
    assert json.loads(Path("reports/member-rejected/history.json").read_text())["threads"] == 2


# ---- interrupt and resume ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_resumes_to_the_same_weights(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(output="whole.pth")
    with monkeypatch.context() as patch:
        before_batch(8, lambda: signal.raise_signal(number), patch)
        assert train() == 130
    assert not Path("m.pth").exists()
    assert Path("m.state.pth").exists()
    assert trained("--resume").digest == whole.digest
    assert not Path("m.state.pth").exists()


def test_second_signal_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before_batch(8, twice, monkeypatch)
    assert train() == 130


def test_ensemble_resumes_at_the_interrupted_member(monkeypatch: pytest.MonkeyPatch) -> None:
    train("--members", "3", "--output", "whole.pth")
    n_batches = 3 * 6
    with monkeypatch.context() as patch:
        before_batch(n_batches + 3, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert train("--members", "3") == 130
    first_written = Path("m-0.pth").stat().st_mtime_ns
    assert train("--members", "3", "--resume") == 0
    assert Path("m-0.pth").stat().st_mtime_ns == first_written
    for member in range(3):
        assert load_checkpoint(Path(f"m-{member}.pth")).id == load_checkpoint(Path(f"whole-{member}.pth")).id


def test_plan_and_files_are_printed_and_the_old_checkpoint_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    old = trained("--epochs", "1")
    assert "will be replaced" not in capsys.readouterr().out
    assert train("--epochs", "1", "--seed", "1") == 0
    said = capsys.readouterr().out
    assert said.startswith("training dense with ")
    assert "data: mnist; real non-digits: none\n" in said
    assert "m.pth will be replaced, and kept as m.previous.pth\n" in said
    assert all(name in said.rpartition("wrote m.pth")[2] for name in ("m.onnx", *TABLES))
    assert load_checkpoint(Path("m.previous.pth")).id == old.id


def test_missing_state_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails("--resume") == 2
    assert "m.state.pth does not exist" in capsys.readouterr().err


KILLED = """
import os, signal, sys
import storage, train_model
from training import loop

def dies(call, at):
    calls = iter(range(1, 1000))
    def wrapped(*arguments):
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return wrapped

moment, number = sys.argv[1], int(sys.argv[2])
if moment == "batch":
    loop.train_one_batch = dies(loop.train_one_batch, number)
else:
    setattr(storage.os, moment, dies(getattr(os, moment), number))
train_model.main(sys.argv[3:])
"""


@pytest.mark.parametrize("moment", [("batch", "8"), ("replace", "2")])
def test_killed_process_leaves_a_state_that_resumes_to_the_same_weights(moment: tuple[str, str]) -> None:
    whole = trained(output="whole.pth")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.run([sys.executable, "-c", KILLED, *moment, *SMALL], env=environment, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not Path("m.pth").exists()
    assert trained("--resume").digest == whole.digest


# ---- a full disk ----


class FullDisk:
    """Fails one call, number `fails_at`, of all writes, fsyncs and renames."""

    def __init__(self, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.fails_at = 0, fails_at
        for name in ("fsync", "replace"):
            monkeypatch.setattr(f"storage.os.{name}", self.wrap(getattr(os, name)))
        open_file = os.fdopen

        def fdopen(*arguments: Any) -> Any:
            return FailingFile(open_file(*arguments), self)

        monkeypatch.setattr("storage.os.fdopen", fdopen)

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def limited(*arguments: Any) -> Any:
            self.count()
            return call(*arguments)

        return limited

    def count(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FailingFile:
    """A file of which half is written before the disk is full."""

    def __init__(self, file: Any, disk: FullDisk) -> None:
        self.file, self.disk = file, disk

    def __enter__(self) -> "FailingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.disk.count()
        self.file.write(data[len(data) // 2 :])


def test_full_disk_at_any_write_ends_with_a_message_and_leaves_files_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--epochs", "1", "--model", "linear", "--recipe", "fast"]
    old = trained(*quick, "--seed", "1").id
    shutil.copytree(tmp_path, tmp_path / "old")
    new = trained(*quick, output="new.pth").id
    with monkeypatch.context() as patch:
        counting = FullDisk(0, patch)
        assert train(*quick) == 0
    assert counting.calls > 20
    states = set()
    for fails_at in range(1, counting.calls + 1):
        Path("m.state.pth").unlink(missing_ok=True)
        shutil.copytree(tmp_path / "old", tmp_path, dirs_exist_ok=True)
        with monkeypatch.context() as patch:
            FullDisk(fails_at, patch)
            capsys.readouterr()
            assert train(*quick) == 1, fails_at
        assert "No space left on device" in capsys.readouterr().err
        assert load_checkpoint(Path("m.pth")).id in (old, new)
        assert read_model(Path("m.pth")).info.id in (old, new)  # the ONNX file is the checkpoint's, or absent
        assert not list(Path().glob("**/*.tmp"))
        for table in ("train_metrics.csv", "val_metrics.csv"):
            assert len(Path(table).read_text().splitlines()) == 2
        if Path("m.state.pth").exists():
            states.add(fails_at)
    assert states
    assert trained(*quick, "--resume").id == new


# ---- errors ----


def test_divergence_stops_the_training_and_keeps_the_best_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained("--seed", "9").id
    calls = iter(range(1, 1000))

    def diverging_loss(*arguments: Any) -> torch.Tensor:
        return training_loss(*arguments) * (float("nan") if next(calls) == 8 else 1.0)

    monkeypatch.setattr(loop, "training_loss", diverging_loss)
    assert train() == 1
    assert "step 8, in epoch 2; m.last-good.pth holds the weights of epoch 1" in capsys.readouterr().err
    assert load_checkpoint(Path("m.pth")).id == before
    assert load_checkpoint(Path("m.last-good.pth")).metrics["val_accuracy"] > 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "transformer"], "linear"),
        (["--data", "imagenet"], "emnist-digits"),
        (["--recipe", "slow"], "best"),
        (["--schedule", "warm"], "plateau"),
        (["--without", "rain"], "elastic"),
        (["--device", "tpu"], "cuda"),
        (["--epochs", "0"], "1 or more"),
        (["--lr", "-1"], "above 0"),
        (["--params", "missing.json"], "missing.json"),
        (["--distill", "missing.pth"], "missing.pth"),
        (["--tun"], "unrecognized arguments"),
        (["--data", "folder:nowhere"], "nowhere"),
        (["--data", "mnist", "corrections:nowhere"], "nowhere"),
        (["--promote-if-not-worse", "--members", "2"], "is for one network"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_what_is_valid(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(*arguments) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"speed": 1}, "weight_decay"),
        ({"epochs": 2.5}, "epochs cannot be 2.5"),
        ({"lr": True}, "lr cannot be True"),
        ({"lr": -1}, "lr must be more than 0"),
        ({"label_smoothing": 2}, "from 0 to"),
        ({"n_composed": -5}, "at least 0"),
        ({"real_share": 0.6, "composed_share": 0.6}, "at most 1 together"),
        ({"schedule": "warm"}, "plateau"),
        ({"architecture": "transformer"}, "linear"),
        ({"arguments": {"depth": 3}}, "depth"),
        ([1], "JSON object"),
    ],
)
def test_invalid_parameters_are_named(parameters: object, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.json").write_text(json.dumps(parameters))
    assert train_model.main(["--epochs", "1", "--params", "p.json"]) == 2
    assert expected in capsys.readouterr().err


def test_unavailable_device_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fails("--device", "cuda") == 2
    assert "no cuda device" in capsys.readouterr().err


def test_tensorboard_events_are_written() -> None:
    pytest.importorskip("tensorboard")
    assert train("--tensorboard", "board") == 0
    assert list(Path("board").glob("events.*"))


def test_missing_tensorboard_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert fails("--tensorboard", "board") == 2
    assert "pip install tensorboard" in capsys.readouterr().err


# ---- several processes, several trainings ----


def test_two_processes_train_one_network() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(ROOT / "train_model.py"), *SMALL, "--recipe", "fast"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    said = process.stdout + process.stderr
    assert process.returncode == 0, said
    assert said.count("wrote m.pth") == 1
    assert load_checkpoint(Path("m.pth")).metrics["val_accuracy"] > 0.5
    assert json.loads(Path("reports/history.json").read_text())["processes"] == 2
    assert not Path("m.state.pth").exists()


def test_tuning_writes_parameters_that_training_reads() -> None:
    pytest.importorskip("optuna")
    storage_url = "sqlite:///study.db"
    tune = ["tune", *SMALL[:-1], "--trials", "2", "--storage", storage_url, "--params-out", "best.json"]
    assert train_model.main(tune) == 0
    assert train_model.main(tune) == 0  # continues the same study
    assert {"lr", "weight_decay"} <= json.loads(Path("best.json").read_text()).keys()
    assert not Path("m.pth").exists()
    assert train_model.main(["--params", "best.json", *SMALL]) == 0


def test_missing_optuna_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert train_model.main(["tune", *SMALL[:-1]]) == 2
    assert "pip install optuna" in capsys.readouterr().err


# ---- readers of numbers and strokes ----


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("numbers", "stroke_model.pth", "stroke_model.pth reads pen strokes, not numbers"),
        ("strokes", "mnist_model.pth", "mnist_model.pth reads single digits, not pen strokes"),
    ],
)
def test_reader_is_trained_further_from_its_own_kind(
    name: str, start: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_model.main([name, "--start", str(ROOT / start), "--output", "r.pth"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("r.pth").exists()


def test_reader_is_written_to_its_own_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def train_numbers(reader: Reader, recipe: NumberRecipe, *_: object, **_options: object) -> Checkpoint:
        assert (reader, recipe.n_numbers, recipe.seed) == (PATH_READER, 4_000, 3)
        return load_checkpoint(ROOT / "stroke_model.pth")

    monkeypatch.setattr(train_model, "train_numbers", train_numbers)
    monkeypatch.setenv("DIGITS_STROKE_MODEL_PATH", "s.pth")
    assert train_model.main(["strokes", "--numbers", "4000", "--seed", "3"]) == 0
    assert Path("s.pth").exists()
    assert Path("s.onnx").exists()
    assert "wrote s.pth, model" in capsys.readouterr().out
