"""The README is true of the code: its settings, its file tree and its pictures."""

import re
from pathlib import Path

from config import OFF, Limits, Settings, setting_names

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text()


def test_every_setting_is_documented_and_no_other():
    documented = dict(re.findall(r"^\| `(DIGITS_\w+)` \| `([^`]*)` \|", TEXT, flags=re.MULTILINE))
    assert documented.keys() == setting_names().keys()


def test_documented_defaults_are_the_defaults():
    documented = dict(re.findall(r"^\| `(DIGITS_\w+)` \| `([^`]*)` \|", TEXT, flags=re.MULTILINE))
    fields = {**Settings.model_fields, **Limits.model_fields}
    for name, default in documented.items():
        value = fields[name.removeprefix("DIGITS_").lower()].default
        # Paths are documented relative to the project, and empty lists by the word that sets them.
        written = OFF if value == () else value.name if isinstance(value, Path) else str(value)
        assert default == written, name


def test_files_and_pictures_it_names_exist():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    tree = TEXT.split("## What is where")[1].split("##")[0]
    named = re.findall(r"^    (\S+?\.\w+|\S+/)\s", tree, flags=re.MULTILINE)
    assert pictures
    assert len(named) > 8
    for path in [*pictures, *named]:
        assert (README.parent / path).exists(), path
