"""What gets installed, and what gets into the container image."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDS = {
    "requirements-serve.txt": PROJECT["dependencies"],
    "requirements.txt": PROJECT["dependencies"] + EXTRAS["train"] + EXTRAS["batch"],
    "requirements-dev.txt": PROJECT["dependencies"] + EXTRAS["train"] + EXTRAS["batch"] + EXTRAS["dev"],
}


def requirements(name: str) -> list[str]:
    """The lines of a requirements file, with continuations and without comments."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in (line.split("#")[0].strip() for line in text.splitlines()) if line]


def pins(name: str) -> dict[str, Version]:
    """Package to version, as a requirements file pins them. Fails on a line that is anything but an exact pin."""
    lines = [line.partition("--hash")[0].strip() for line in requirements(name)]
    found = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)(?: ; sys_platform .+)?", line) for line in lines]
    assert all(found), f"{name} holds more than exact pins"
    return {match[1]: Version(match[2]) for match in found if match}


@pytest.mark.parametrize("name", NEEDS)
def test_requirements_pin_all_that_the_project_names(name: str) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, NEEDS[name]):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_requirements_contain_one_another() -> None:
    serve, train, dev = map(pins, NEEDS)
    assert serve.items() < train.items() < dev.items()


def test_serving_needs_nothing_of_training_or_testing() -> None:
    beyond = {canonicalize_name(Requirement(need).name) for need in EXTRAS["train"] + EXTRAS["dev"]}
    assert not pins("requirements-serve.txt").keys() & (beyond | {"torch"})


def test_every_package_that_serving_installs_has_a_hash() -> None:
    assert all("--hash=sha256:" in line for line in requirements("requirements-serve.txt"))


@pytest.mark.parametrize(
    ("package", "floor"),
    [("pillow", "12.3"), ("werkzeug", "3.1.6"), ("flask", "3.1.3"), ("gunicorn", "26.1"), ("torch", "2.10")],
)
def test_no_package_has_a_known_vulnerability(package: str, floor: str) -> None:
    assert pins("requirements.txt")[package] >= Version(floor)


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE)
    assert {"run", "test", "check", "train", "serve", "clean", "help"} <= set(targets)
    assert re.findall(r"^  make (\S+) +\S", listing, re.MULTILINE) == targets


# ---- the container image ----


def allowed_names() -> set[str]:
    """The names that .dockerignore includes in the image; all others are excluded."""
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"]
    assert rules[0] == "*"
    return {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")}


def test_image_gets_the_weights_and_the_pages() -> None:
    assert {"mnist_model.onnx", "number_model.onnx", "stroke_model.onnx", "templates", "static"} <= allowed_names()
    assert {"requirements-serve.txt", "gunicorn.conf.py"} <= allowed_names()


def test_image_gets_what_the_page_about_the_model_shows() -> None:
    note = json.loads((ROOT / "mnist_model.json").read_text(encoding="utf-8"))
    tables = {file["file"] for name, file in note["files"].items() if not name.startswith("mistakes/")}
    assert {"train_metrics.csv", "confusion_matrix.csv"} <= tables
    assert {"mnist_model.json", *tables} <= allowed_names()
    assert "translations" in allowed_names()


def test_image_gets_every_module_that_serving_imports() -> None:
    program = (
        "import sys, pathlib, flask_app; root = pathlib.Path.cwd();"
        "files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)];"
        "files = [pathlib.Path(f) for f in files];"
        "print(*{f.relative_to(root).parts[0] for f in files if f.is_relative_to(root)})"
    )
    process = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name for name in process.stdout.split() if not name.startswith(".")}
    assert {"flask_app.py", "model_file.py", "web"} <= imported
    assert imported <= allowed_names()


def test_image_leaves_out_what_only_training_and_testing_need() -> None:
    assert not allowed_names() & {
        "training",
        "tests",
        "benchmarks",
        "train_model.py",
        "requirements.txt",
        "data",
        ".git",
    }


def test_image_runs_gunicorn_and_not_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == 'CMD ["gunicorn"]'
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user) > 0
