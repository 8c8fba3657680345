"""The examples of README.md and docs/, each run as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import predict
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from testing.programs import require
from testing.servers import Server

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/api.md", "docs/command-line.md")
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
ADDRESS = "http://127.0.0.1:5000"
CURL = list(dict.fromkeys(re.findall(r"^    (curl (?:.*\\\n)*.*)$", TEXT, flags=re.MULTILINE)))
PREDICT = list(dict.fromkeys(re.findall(r"^    python (predict\.py .*)$", TEXT, flags=re.MULTILINE)))


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that the examples name."""
    for name, digit in {"digit.png": 7, "other.png": 2, "number.png": 3}.items():
        (tmp_path / name).write_bytes(picture_of(DIGITS[digit]))
    monkeypatch.chdir(tmp_path)


def test_every_route_has_a_line() -> None:
    paths = {match for line in CURL for match in re.findall(rf"{ADDRESS}(/[a-z0-9/.]*)", line)}
    assert paths == {
        "/api/v1/",
        "/api/v1/health/live",
        "/api/v1/health/ready",
        "/api/v1/model",
        "/api/v1/predict",
        "/api/v1/predict/batch",
        "/api/v1/read",
        "/api/v1/read/batch",
        "/api/v1/explain",
        "/openapi.json",
    }


@pytest.mark.parametrize("line", CURL)
def test_curl_lines_are_answered(line: str, server: Server) -> None:
    require("curl", shutil.which("curl"), "there is no curl")
    command = line.replace(ADDRESS, server.url).replace("curl ", "curl --silent --show-error --fail ", 1)
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("{")


def test_python_lines_run(server: Server) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    command = [sys.executable, "-c", program.replace(ADDRESS, server.url)]
    process = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[:2] == ["7", "3"]
    assert len(lines) == 102


SNIPPETS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/use-the-model.md").read_text(encoding="utf-8"), flags=re.DOTALL
)


@pytest.mark.parametrize(("snippet", "lines"), list(zip(SNIPPETS, (15, 11), strict=True)), ids=["onnx", "torch"])
def test_model_is_used_in_a_few_lines(snippet: str, lines: int, tmp_path: Path) -> None:
    assert len([line for line in snippet.splitlines() if line]) <= lines
    for name in ("mnist_model.onnx", "mnist_model.pth"):
        shutil.copy(ROOT / name, tmp_path)
    assert predict.main(["--frame", "digit.png"]) == 0
    environment = {"PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", snippet]
    digit, confidence, is_digit = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert (digit, is_digit) == ("7", "True")
    assert 0.5 < float(confidence) <= 1


@pytest.mark.parametrize("line", PREDICT)
def test_command_lines_are_understood(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    assert predict.parse_arguments(arguments).paths
