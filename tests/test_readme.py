"""README.md and docs/ are true of the code: settings, links, pictures and the file tree."""

import re
from pathlib import Path

import pytest

from config import OFF, Limits, Settings, setting_names

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
SETTINGS = dict(
    re.findall(
        r"^\| `(DIGITS_\w+)` \| `([^`]*)` \|", (ROOT / "docs/settings.md").read_text(encoding="utf-8"), re.MULTILINE
    )
)


def test_every_setting_is_documented_and_no_other() -> None:
    assert SETTINGS.keys() == setting_names().keys()


def test_documented_defaults_are_the_defaults() -> None:
    fields = {**Settings.model_fields, **Limits.model_fields}
    for name, default in SETTINGS.items():
        value = fields[name.removeprefix("DIGITS_").lower()].default
        # Paths are documented relative to the project, and empty lists by the word that sets them.
        written = OFF if value == () else value.name if isinstance(value, Path) else str(value)
        assert default == written, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    for target in targets:
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_file_tree_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = text.split("## Files")[1].split("\n## ")[0]
    named = re.findall(r"^    (\S+?\.\w+|\S+/)\s", tree, flags=re.MULTILINE)
    assert len(named) > 8
    for path in named:
        assert (ROOT / path).exists(), path
