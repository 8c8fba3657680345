"""What keeps dependencies known and current."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_sbom_lists_every_package_of_a_server(tmp_path: Path) -> None:
    recipe = re.search(r"^\t\$\(BIN\)/(cyclonedx-py .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    output = tmp_path / "sbom.cdx.json"
    command = recipe[1].replace("sbom.cdx.json", str(output)).split()
    subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]], cwd=ROOT, check=True, capture_output=True
    )
    sbom = json.loads(output.read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    listed = {f"{component['name']}=={component['version']}" for component in sbom["components"]}
    pinned = re.findall(r"^[a-z][^ #;\n]*", (ROOT / "requirements-serve.txt").read_text(), re.MULTILINE)
    assert listed == set(pinned)


def test_dependabot_covers_every_ecosystem() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    places = {update["package-ecosystem"]: update["directory"].strip("/") for update in updates}
    assert set(places) == {"pip", "docker", "docker-compose", "github-actions"}
    assert (ROOT / places["pip"] / "requirements.txt").exists()
    assert (ROOT / places["docker"] / "Dockerfile").exists()
    assert (ROOT / places["docker-compose"] / "compose.yaml").exists()
