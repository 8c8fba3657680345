"""The trainer from its command line, on a handful of digits."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import storage
import train_model
from model import Checkpoint, load_checkpoint
from recognition import Recognizer
from testing.handwriting import DIGITS
from training import loop
from training.metrics import Scores
from training.recipes import DISTORTIONS

ROOT = Path(__file__).parents[1]
# A dense network on 216 digits takes some hundredths of a second an epoch.
TABLES = ("train_metrics.csv", "val_metrics.csv", "confusion_matrix.csv", "reliability.csv")
SMALL = ["--model", "dense", "--batch-size", "40", "--epochs", "3", "--device", "cpu", "--no-plots"]


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test runs in a folder of its own, with the small MNIST, and leaves the threads as they were."""
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
    """The exit status, whether `main` returns it or the parser of the command line exits with it."""
    try:
        return train_model.main([*SMALL, *arguments])
    except SystemExit as error:
        return error.code


def after_batches(count: int, happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen in the midst of batch number `count`."""
    original, calls = loop.train_one_batch, iter(range(1, 1_000_000))

    def train_one_batch(*arguments: Any) -> torch.Tensor:
        if next(calls) == count:
            happens()
        return original(*arguments)

    monkeypatch.setattr(loop, "train_one_batch", train_one_batch)


# ---- what a training gives ----


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
    note = json.loads(Path("m.json").read_text())
    assert note["model"] == checkpoint.id
    assert {item["file"] for item in note["files"].values()} == {*TABLES, "reports/misclassified_digits.png"}
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


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "plateau"])
def test_every_schedule_trains(schedule: str) -> None:
    assert trained("--schedule", schedule).metrics["val_accuracy"] > 0.2


def test_best_epoch_is_kept_and_patience_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, seen = iter([1.0, 0.5, 0.6, 0.7, 0.4]), []
    original = loop._end_epoch

    def first_weight(state: dict[str, torch.Tensor]) -> torch.Tensor:
        return next(tensor for name, tensor in state.items() if name.endswith("weight")).clone()

    def end_epoch(training: loop.Training) -> loop.Epoch:
        seen.append(first_weight(training.averaged.module.state_dict()))
        return original(training)

    monkeypatch.setattr(loop, "score", lambda *_: Scores(next(losses), 0.9, 1, 0.01))
    monkeypatch.setattr(loop, "_end_epoch", end_epoch)
    checkpoint = trained("--epochs", "9", "--patience", "2")
    assert len(seen) == 4
    assert torch.equal(first_weight(checkpoint.state_dict), seen[1])


def test_recipe_comes_from_a_file_and_the_command_line_wins() -> None:
    Path("p.json").write_text(json.dumps({"lr": 0.001, "epochs": 2, "ema_decay": 0.9}))
    trained("--params", "p.json")
    recipe = json.loads(Path("reports/history.json").read_text())["recipe"]
    assert (recipe["lr"], recipe["ema_decay"], recipe["epochs"]) == (0.001, 0.9, 3)


def test_every_distortion_can_be_left_out() -> None:
    trained("--without", *DISTORTIONS)
    recipe = json.loads(Path("reports/history.json").read_text())["recipe"]
    assert not any(recipe["distortions"].values())


def test_members_are_trained_with_seeds_of_their_own() -> None:
    assert train("--members", "2", "--output", "e.pth") == 0
    first, second = load_checkpoint(Path("e-0.pth")), load_checkpoint(Path("e-1.pth"))
    assert (first.seed, second.seed) == (0, 1)
    assert first.digest != second.digest
    assert Path("train_metrics-0.csv").exists()
    assert Path("train_metrics-1.csv").exists()
    assert first.digest == trained().digest


def test_network_learns_from_an_ensemble() -> None:
    train("--members", "2", "--output", "e.pth")
    alone, taught = trained(), trained("--distill", "e-0.pth", "e-1.pth")
    assert taught.digest != alone.digest
    assert taught.metrics["val_accuracy"] > 0.2


def test_teacher_of_other_classes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.json").write_text('{"nondigit_share": 0}')
    trained("--params", "p.json", output="digits-only.pth")
    assert fails("--distill", "digits-only.pth") == 2
    assert "10 classes" in capsys.readouterr().err


# ---- interrupt and resume ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("batch", [1, 6, 8])
def test_interrupted_training_resumes_to_the_same_weights(
    batch: int, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(output="whole.pth")
    with monkeypatch.context() as patch:
        after_batches(batch, lambda: signal.raise_signal(number), patch)
        assert train() == 130
    assert not Path("m.pth").exists()
    assert Path("m.state.pth").exists()
    assert trained("--resume").digest == whole.digest
    assert not Path("m.state.pth").exists()


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_schedule_is_resumed_where_it_was(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained("--schedule", schedule, output="whole.pth")
    with monkeypatch.context() as patch:
        after_batches(8, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert train("--schedule", schedule) == 130
    assert trained("--schedule", schedule, "--resume").digest == whole.digest


def test_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    after_batches(8, twice, monkeypatch)
    assert train() == 130


def test_handlers_of_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_ensemble_resumes_at_the_member_that_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    train("--members", "3", "--output", "whole.pth")
    n_batches = 3 * 6
    with monkeypatch.context() as patch:
        after_batches(n_batches + 3, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert train("--members", "3") == 130
    first_written = Path("m-0.pth").stat().st_mtime_ns
    assert train("--members", "3", "--resume") == 0
    assert Path("m-0.pth").stat().st_mtime_ns == first_written
    for member in range(3):
        assert load_checkpoint(Path(f"m-{member}.pth")).id == load_checkpoint(Path(f"whole-{member}.pth")).id


def test_nothing_to_resume_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails("--resume") == 2
    assert "m.state.pth does not exist" in capsys.readouterr().err


def test_training_with_other_options_is_not_resumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        after_batches(8, lambda: signal.raise_signal(signal.SIGINT), patch)
        train()
    assert fails("--resume", "--lr", "0.5") == 2
    assert "lr was 0.004 there and is 0.5 here" in capsys.readouterr().err
    Path("m.state.pth").write_bytes(Path("m.state.pth").read_bytes()[:-100])
    assert fails("--resume") == 2
    assert "damaged" in capsys.readouterr().err


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
    """Fails the call number `fails_at` among all writes, fsyncs and renames."""

    def __init__(self, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.fails_at = 0, fails_at
        for name in ("fsync", "replace"):
            monkeypatch.setattr(storage.os, name, self.wrap(getattr(os, name)))
        open_file = os.fdopen

        def fdopen(*arguments: Any) -> Any:
            return FailingFile(open_file(*arguments), self)

        monkeypatch.setattr(storage.os, "fdopen", fdopen)

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
    """A file that half fills before the disk is full."""

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


def test_full_disk_at_any_moment_ends_with_a_sentence_and_leaves_files_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--epochs", "1", "--model", "linear"]
    old = trained(*quick, "--seed", "1").id
    new = trained(*quick, output="new.pth").id
    with monkeypatch.context() as patch:
        counting = FullDisk(0, patch)
        assert train(*quick) == 0
    assert counting.calls > 20
    for fails_at in range(1, counting.calls + 1):
        trained(*quick, "--seed", "1")
        Path("m.state.pth").unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            FullDisk(fails_at, patch)
            capsys.readouterr()
            assert train(*quick) == 1, fails_at
        assert "No space left on device" in capsys.readouterr().err
        assert load_checkpoint(Path("m.pth")).id in (old, new)
        assert not list(Path().glob("**/*.tmp"))
        for table in ("train_metrics.csv", "val_metrics.csv"):
            assert len(Path(table).read_text().splitlines()) == 2
        if Path("m.state.pth").exists():
            assert trained(*quick, "--resume").id == new


# ---- what goes wrong ----


def test_loss_that_is_no_number_stops_at_its_step_and_keeps_the_best_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained("--seed", "9").id
    original, calls = loop.loss_of, iter(range(1, 1000))

    def loss_of(*arguments: Any) -> torch.Tensor:
        return original(*arguments) * (float("nan") if next(calls) == 8 else 1.0)

    monkeypatch.setattr(loop, "loss_of", loss_of)
    assert train() == 1
    said = capsys.readouterr().err
    assert "step 8" in said
    assert "epoch 2" in said
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
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_valid(
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
        ({"schedule": "warm"}, "plateau"),
        ({"architecture": "transformer"}, "linear"),
        ({"arguments": {"depth": 3}}, "depth"),
        ([1], "JSON object"),
    ],
)
def test_parameters_that_do_not_fit_are_named(
    parameters: object, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("p.json").write_text(json.dumps(parameters))
    assert train_model.main(["--epochs", "1", "--params", "p.json"]) == 2
    assert expected in capsys.readouterr().err


def test_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fails("--device", "cuda") == 2
    assert "no cuda device" in capsys.readouterr().err


def test_tensorboard_gets_the_figures() -> None:
    pytest.importorskip("tensorboard")
    assert train("--tensorboard", "board") == 0
    assert list(Path("board").glob("events.*"))


def test_missing_tensorboard_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert fails("--tensorboard", "board") == 2
    assert "pip install tensorboard" in capsys.readouterr().err


# ---- more than one process, more than one training ----


def test_two_processes_train_one_network() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(ROOT / "train_model.py"), *SMALL, "--epochs", "8"]
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
    assert train_model.main(tune) == 0  # goes on with the same study
    assert {"lr", "weight_decay"} <= json.loads(Path("best.json").read_text()).keys()
    assert not Path("m.pth").exists()
    assert train_model.main(["--params", "best.json", *SMALL]) == 0


def test_missing_optuna_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert train_model.main(["tune", *SMALL[:-1]]) == 2
    assert "pip install optuna" in capsys.readouterr().err
