"""The command line, mostly in this process, and as a process of its own where that matters."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import fsspec
import numpy as np
import pytest
from PIL import Image

import predict
from config import Settings
from escaping import escape_unprintable
from recognition import Recognizer
from recognition.numbers.reader import NumberReader
from testing.handwriting import DIGITS, write_row
from testing.numbers import ScriptedEngine
from testing.pictures import draw_picture, encode, picture_of
from testing.waiting import eventually

ROOT = Path(__file__).parents[1]
SCRIBBLE = [[[40 + 7 * (i * i % 29), 30 + 9 * (i * 13 % 23)] for i in range(60)]]


def command(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload]
        [sys.executable, "predict.py", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, **options
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    status = predict.main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_help_is_answered_without_torch() -> None:
    program = "import sys, predict\ntry: predict.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "PATH" in process.stdout
    assert not {"torch", "cv2", "numpy", "pydantic"} & set(process.stdout.splitlines()[-1].split())


def test_folder_is_read_as_csv(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, scans)
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [Path(row["path"]).stem for row in rows] == [row["digit"] for row in rows] == list("0123456789")
    assert all(float(row["confidence"]) > 0.5 and row["is_digit"] == "true" for row in rows)


def test_table_shows_path_digit_and_confidence(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--format", "table", scans / "3.png", scans / "7.png")
    head, three, seven = (line.split() for line in out.splitlines())
    assert head == ["path", "digit", "confidence"]
    assert three[:2] == [str(scans / "3.png"), "3"]
    assert seven[:2] == [str(scans / "7.png"), "7"]


def test_json_has_the_requested_fields(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--format", "json", "--top", 3, "--probabilities", scans / "4.png")
    (answer,) = json.loads(out)
    assert set(answer) == {"path", "digit", "confidence", "is_digit", "digit_score", "top", "probabilities"}
    assert answer["top"][0] == {"digit": 4, "confidence": answer["confidence"]}
    assert len(answer["top"]) == 3
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)


def test_json_lines_have_one_object_per_picture(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--format", "jsonl", f"{scans}/[12].png")
    assert [json.loads(line)["digit"] for line in out.splitlines()] == [1, 2]


def test_csv_has_a_column_for_each_value(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--top", 2, "--probabilities", scans / "5.png")
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["digit"] == "5"
    assert float(row["p5"]) == float(row["confidence"]) > float(row["confidence_2"])
    assert [name for name in row if name.startswith("p")] == ["path", *(f"p{digit}" for digit in range(10))]


def test_non_digits_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Noise from edge to edge, which no network takes for a digit.
    noise = np.random.default_rng(0).integers(0, 256, (120, 120), np.uint8)
    (tmp_path / "noise.png").write_bytes(encode(Image.fromarray(noise)))
    (tmp_path / "scribble.png").write_bytes(picture_of(SCRIBBLE))
    _, out, _ = run(capsys, "--format", "table", tmp_path)
    _, values, _ = run(capsys, tmp_path)
    lines = out.splitlines()[1:]
    foreign = [row["is_digit"] == "false" for row in csv.DictReader(io.StringIO(values))]
    assert [line.endswith(("not a digit", "unsure")) for line in lines] == foreign
    assert any(foreign)


def test_row_of_digits_is_not_one_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "row.png").write_bytes(encode(draw_picture(write_row("2718", 120, 20, 80), (520, 280), pen=9)))
    _, out, _ = run(capsys, "--format", "table", tmp_path)
    assert out.splitlines()[1].endswith("several digits")
    _, out, _ = run(capsys, "--format", "json", tmp_path)
    (answer,) = json.loads(out)
    assert (answer["is_digit"], answer["reason"]) == (False, "several_digits")


def test_unreadable_pictures_are_reported(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "5.png").write_bytes(b"hello")
    (scans / "6.png").write_bytes(encode(Image.new("L", (50, 50), 255)))
    status, out, err = run(capsys, "--format", "jsonl", scans, scans / "none.png")
    assert status == 1
    assert len(out.splitlines()) == 8
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        str(scans / n) for n in ("5.png", "6.png", "none.png")
    ]


def test_pictures_in_other_formats_are_reported(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "page.TIFF").write_bytes(encode(Image.new("L", (50, 50), 255), "TIFF"))
    (scans / "notes.txt").write_text("3")
    status, out, err = run(capsys, "--format", "jsonl", scans)
    assert (status, len(out.splitlines())) == (1, 10)
    assert err.splitlines() == [
        f"predict.py: {scans / 'page.TIFF'}: The file is not a picture in PNG, JPEG, GIF, BMP or WebP format."
    ]


def test_no_probability_is_printed_as_certain(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--format", "table", "--top", "10", scans / "3.png")
    assert "<0.1 %" in out
    assert " 0.0 %" not in out
    assert "100.0 %" not in out


@pytest.mark.parametrize("output_format", ["table", "csv", "json", "jsonl"])
def test_file_names_cannot_control_the_terminal(
    tmp_path: Path, output_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1\x1b]0;x\x07\x9b31m.png").write_bytes(picture_of(DIGITS[1]))
    (tmp_path / "2\x1b[31m\n.png").write_bytes(b"hello")
    status, out, err = run(capsys, "--format", output_format, tmp_path)
    assert status == 1
    assert "1" in out
    assert "\\x1b[31m\\n.png" in err
    assert all(c.isprintable() or c == "\n" for c in out + err)


def test_printed_csv_holds_no_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"{start}cmd.png" for start in ("=", "+", "-", "@", "\t", "\r", "'")]
    for name in names:
        Path(name).write_bytes(picture_of(DIGITS[1]))
    _, out, _ = run(capsys, "--format", "csv", "--", *names)
    assert [row["path"] for row in csv.DictReader(io.StringIO(out))] == [f"'{escape_unprintable(n)}" for n in names]


def test_standard_input_is_read_as_a_process(scans: Path) -> None:
    with (scans / "2.png").open("rb") as picture:
        process = command("--format", "json", "-", stdin=picture)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)[0]["digit"] == 2


def test_frame_and_plot_are_saved_next_to_the_picture(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "--frame", "--save-plot", scans / "8.png")
    assert (status, err) == (0, "")
    with Image.open(scans / "8.png.frame.png") as frame, Image.open(scans / "8.png.plot.png") as plot:
        assert frame.size == (28, 28)
        assert (frame.format, plot.format) == ("PNG", "PNG")
        assert min(plot.size) > 200
    assert len(run(capsys, scans)[1].splitlines()) == 11


def test_missing_matplotlib_is_reported_before_anything_is_read(
    scans: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, err = run(capsys, "--frame", "--save-plot", scans / "8.png")
    assert (status, out) == (2, "")
    assert err == "predict.py: --save-plot needs matplotlib: pip install -r requirements.txt\n"
    assert not (scans / "8.png.frame.png").exists()


def test_unreachable_server_is_reported_once_before_any_header(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--url", "http://127.0.0.1:9", "--format", "table", scans)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--top", "11", "x"],
        ["--output", "r.csv", "--frame", "x"],
        ["--workers", "2", "x"],
        ["--executor", "ray", "x"],
        ["--numbers", "--top", "5", "x"],
        ["--numbers", "--probabilities", "x"],
        ["--numbers", "--frame", "x"],
        ["--numbers", "--save-plot", "x"],
        ["--numbers", "--mode", "sure", "x"],
    ],
)
def test_wrong_usage_exits_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        predict.main(arguments)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("DIGITS_MODEL_PATH", "none.pth"), ("DIGITS_PROT", "1")])
def test_wrong_setup_exits_with_status_2_and_a_sentence(
    scans: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    status, out, err = run(capsys, scans)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert value in err or name in err


def test_batch_writes_what_printing_prints(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, printed, _ = run(capsys, "--top", 3, scans)
    status, out, _ = run(capsys, "--top", 3, scans, "--output", tmp_path / "r.csv", "--workers", 1)
    assert (status, out) == (0, "")
    written = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    expected = list(csv.DictReader(io.StringIO(printed)))
    for row in written:
        row.pop("error"), row.pop("model")
    assert written == expected


def test_unreadable_pictures_have_rows_in_a_batch_too(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "5.png").write_bytes(b"hello")
    arguments = (scans, "--output", tmp_path / "r.jsonl", "--workers", 1)
    status, _, err = run(capsys, *arguments)
    assert status == 1
    assert "5.png: The file is not a picture" in err
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(rows) == 10
    assert [Path(row["path"]).name for row in rows if "error" in row] == ["5.png"]
    # All is done: nothing is read again, and the status is the same.
    assert run(capsys, *arguments)[:2] == (1, "")


def test_remote_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/scans/1.png": picture_of(DIGITS[1])})
    walk = Mock(side_effect=files.walk)
    monkeypatch.setattr(type(files), "walk", walk)
    try:
        assert predict.main(["memory://scans", "--output", str(tmp_path / "r.jsonl"), "--workers", "1"]) == 1
    finally:
        files.rm("/scans", recursive=True)
    assert walk.call_count == 1


def has_reader(pipe: Path) -> bool:
    """Whether a process has `pipe` open for reading."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_killed_batch_loses_only_the_part_in_progress(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for copy in range(7):
        for digit in range(10):
            os.link(scans / f"{digit}.png", scans / f"{digit}-{copy}.png")
    # A picture that never arrives stops the batch after its first chunk of 64.
    endless = tmp_path / "endless.png"
    os.mkfifo(endless)
    output, parts = tmp_path / "r.jsonl", tmp_path / "r.jsonl.parts"
    arguments = [str(scans), str(endless), "--output", str(output), "--part-rows", "10", "--workers", "1"]
    process = subprocess.Popen([sys.executable, "predict.py", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: (parts / "part-000006.jsonl").exists())
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not output.exists()
    saved = [json.loads(line)["path"] for part in sorted(parts.iterdir()) for line in part.read_text().splitlines()]
    assert len(saved) == 60
    # Its workers exit with it.
    eventually(lambda: not has_reader(endless))

    endless.unlink()
    endless.write_bytes(picture_of(DIGITS[1]))
    assert run(capsys, *arguments)[0] == 0
    finished = [json.loads(line)["path"] for line in output.read_text().splitlines()]
    assert finished[:60] == saved
    assert sorted(finished) == sorted({*map(str, scans.iterdir()), str(endless)})
    assert not parts.exists()


# ---- numbers ----


@pytest.fixture
def number_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number model that finds no digit, so that pictures are read as single digits."""
    monkeypatch.setenv("DIGITS_NUMBER_MODEL_PATH", str(settings.number_model_path))


@pytest.fixture
def reads_42(number_model: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - needs the setting
    """A number model that reads 42 in every picture."""
    recognizer = Recognizer.load(ROOT / "mnist_model.pth")
    reader = NumberReader(recognizer, ScriptedEngine("42"))
    monkeypatch.setattr(NumberReader, "start", lambda *_: reader)


@pytest.mark.usefixtures("number_model")
def test_numbers_are_read_as_csv(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "5.png").write_bytes(b"hello")
    status, out, err = run(capsys, "--numbers", scans)
    assert status == 1
    assert "5.png: The file is not a picture" in err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["path", "text", "confidence"]
    assert [Path(row["path"]).stem for row in rows] == [row["text"] for row in rows] == list("012346789")


@pytest.mark.usefixtures("reads_42")
def test_numbers_have_alternatives_where_asked_for(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*arguments: object) -> str:
        return run(capsys, "--numbers", *arguments, scans / "1.png")[1]

    (answer,) = json.loads(printed("--format", "json"))
    assert (set(answer), answer["text"]) == ({"path", "text", "confidence"}, "42")
    answer = json.loads(printed("--format", "jsonl", "--top", 3))
    assert set(answer) == {"path", "text", "confidence", "alternatives"}
    assert [each["text"] for each in answer["alternatives"]] == ["52", "43"]
    (row,) = csv.DictReader(io.StringIO(printed("--top", 2)))
    assert list(row) == ["path", "text", "confidence", "text_2", "confidence_2"]
    assert (row["text"], row["text_2"]) == ("42", "52")
    head, line = printed("--format", "table", "--top", 2).splitlines()
    assert head.split() == ["path", "text", "confidence", "2.", "text", "confidence"]
    assert (line.split()[1], line.split()[4]) == ("42", "52")


@pytest.mark.usefixtures("number_model")
def test_batch_of_numbers_is_written_by_workers_and_resumed(
    scans: Path, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "5.png").write_bytes(b"hello")
    arguments = ("--numbers", scans, "--output", tmp_path / "r.jsonl", "--workers", 2)
    assert run(capsys, *arguments)[0] == 1
    (scans / "5.png").write_bytes(picture_of(DIGITS[5]))
    assert run(capsys, *arguments)[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(Path(row["path"]).stem, row["text"]) for row in rows] == [(d, d) for d in "0123467895"]
    (model_id,) = {row["model"] for row in rows}
    assert model_id in settings.number_model_path.with_suffix(".onnx").read_bytes().decode("latin-1")
    status, _, err = run(capsys, scans, "--output", tmp_path / "r.jsonl", "--workers", 1)
    assert status == 2
    assert "made by another model or with other columns" in err


@pytest.mark.parametrize("output", [(), ("--output", "r.csv")])
def test_missing_number_model_is_reported(
    output: tuple[str, ...], scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(scans)
    monkeypatch.setenv("DIGITS_NUMBER_MODEL_PATH", "none.pth")
    status, out, err = run(capsys, "--numbers", scans, *output)
    assert (status, out) == (2, "")
    assert "there is no model file none" in err
    assert len(err.splitlines()) == 1
