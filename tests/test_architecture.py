"""What the modules at the top of the tree may import. import-linter holds the packages to the same, in `make check`."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A row imports only from the rows below it.
LAYERS = (
    {"flask_app", "train_model", "evaluate_model", "predict"},
    {"web", "training", "batch"},
    {"recognition"},
    {"checkpoint"},
    {"model"},
    {"config", "escaping", "model_file", "storage"},
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# The two branches under the entry points never meet, and the web gets numbers only from recognition.
OF_THE_WEB = {"web", "flask", "werkzeug"}
OF_TRAINING = {"training", "model", "checkpoint", "torch", "torchvision"}
FOREIGN = dict.fromkeys(LAYER_OF, OF_THE_WEB) | {"flask_app": OF_TRAINING}
MODULES = sorted(path.stem for path in ROOT.glob("*.py") if path.name != "gunicorn.conf.py")


def imports_of(module: str) -> set[str]:
    """The first parts of all names that a top-level module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    of_names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | of_names}


@pytest.mark.parametrize("module", MODULES)
def test_top_level_module_imports_only_from_layers_below(module: str) -> None:
    below = {name for name, layer in LAYER_OF.items() if layer > LAYER_OF[module]}
    assert imports_of(module) & LAYER_OF.keys() <= below
    assert not imports_of(module) & FOREIGN[module]


@pytest.mark.parametrize("module", MODULES)
def test_top_level_module_imports_neither_benchmarks_nor_test_code(module: str) -> None:
    assert not imports_of(module) & {"benchmarks", "testing", "tests"}


def lint_with(line: str, module: str, folder: Path) -> str:
    """What import-linter says of a copy of the packages in which `module` has one more line."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = tools["importlinter"]["root_packages"]
    for source in [ROOT / "pyproject.toml", *(path for package in packages for path in (ROOT / package).rglob("*.py"))]:
        copy = folder / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    with (folder / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == ("BROKEN" in process.stdout), process.stdout + process.stderr
    return process.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("web/api.py", "import benchmarks.report", "Imports only go down"),
        ("recognition/strokes.py", "from testing import pictures", "Imports only go down"),
        ("testing/pictures.py", "from benchmarks import report", "Imports only go down"),
        ("training/__init__.py", "from tests.golden import frames", "Nothing imports a test"),
        ("recognition/onnx_engine.py", "import torch", "Serving does without PyTorch, but for one engine"),
        (
            "batch/local.py",
            "from checkpoint import load_checkpoint",
            "Serving does without PyTorch, but for one engine",
        ),
    ],
)
def test_import_contracts_can_be_broken(module: str, line: str, contract: str, tmp_path: Path) -> None:
    assert f"{contract} BROKEN" in lint_with(line, module, tmp_path)


def test_import_contracts_hold_for_a_copy(tmp_path: Path) -> None:
    assert "BROKEN" not in lint_with("", "web/api.py", tmp_path)


def reads_environment(source: str) -> bool:
    """Whether a module names one of the ways to the environment variables."""
    nodes = list(ast.walk(ast.parse(source)))
    ways = {"environ", "environb", "getenv", "getenvb"}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"}
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return bool(ways & (attributes | imported))


def test_only_the_settings_read_the_environment() -> None:
    packages = (path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "testing")
    sources = [*ROOT.glob("*.py"), *(path for package in packages for path in package.rglob("*.py"))]
    readers = {path.name for path in sources if reads_environment(path.read_text(encoding="utf-8"))}
    assert readers == {"config.py"}


def modules_after(statement: str) -> set[str]:
    """The names of all modules that a fresh interpreter holds after `statement`."""
    command = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(process.stdout.split())


def test_serving_loads_nothing_of_training() -> None:
    assert not modules_after("import flask_app") & {"training", "torchvision", "matplotlib", "pandas", "sklearn"}
