"""What the modules at the top of the tree may import. import-linter holds the packages to the same, in `make check`."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Whatever stands in a row imports only from the rows below it.
LAYERS = (
    {"flask_app", "train_model", "evaluate_model", "predict"},
    {"web", "training", "batch"},
    {"recognition"},
    {"model"},
    {"config", "storage"},
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# The two branches under the entry points never meet, and the web is told of numbers only by recognition.
OF_THE_WEB = {"web", "flask", "werkzeug"}
FOREIGN = dict.fromkeys(LAYER_OF, OF_THE_WEB) | {"flask_app": {"training", "torch", "torchvision"}}
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


def reads_environment(source: str) -> bool:
    """Whether a module names one of the ways to the environment variables."""
    nodes = list(ast.walk(ast.parse(source)))
    ways = {"environ", "environb", "getenv", "getenvb"}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"}
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return bool(ways & (attributes | imported))


def test_only_the_settings_read_the_environment() -> None:
    packages = (path.parent for path in ROOT.glob("*/__init__.py"))
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
