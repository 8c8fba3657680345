"""Batches on a Ray cluster of two nodes on this machine; `make test-cluster` runs this, because it takes a minute."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import predict
from testing.handwriting import write_row
from testing.pictures import draw_picture, encode
from testing.programs import require


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    spec = find_spec("ray")
    require("ray", spec.origin if spec else None, "Ray is not installed: make test-cluster")
    from ray.cluster_utils import Cluster

    memory = 100 * 2**20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False},
    )
    cluster.add_node(num_cpus=1, object_store_memory=memory)
    yield cluster.address
    cluster.shutdown()


def rows(path: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(found, key=lambda row: str(row["path"]))


@pytest.mark.filterwarnings("default")  # Ray's own
def test_cluster_writes_the_rows_of_the_local_engine(address: str, scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").write_bytes(b"hello")
    shared = [f"file://{scans}", "--top", "2", "--probabilities"]
    assert predict.main([*shared, "--output", str(tmp_path / "local.jsonl"), "--workers", "1"]) == 1
    ray = ["--executor", "ray", "--ray-address", address]
    assert predict.main([*shared, "--output", f"file://{tmp_path}/ray.jsonl", *ray]) == 1
    local, distributed = rows(tmp_path / "local.jsonl"), rows(tmp_path / "ray.jsonl")
    assert len(local) == 11
    assert [row["path"] for row in distributed] == [row["path"] for row in local]
    for ours, theirs in zip(local, distributed, strict=True):
        assert theirs.keys() == ours.keys()
        assert theirs.get("digit") == ours.get("digit")
        assert theirs.get("error") == ours.get("error")
        assert theirs.get("probabilities", []) == pytest.approx(ours.get("probabilities", []), abs=1e-5)


@pytest.mark.filterwarnings("default")  # Ray's own
def test_cluster_reads_whole_numbers(address: str, tmp_path: Path) -> None:
    scans = tmp_path / "rows"
    scans.mkdir()
    for text in ("42", "2718"):
        (scans / f"{text}.png").write_bytes(encode(draw_picture(write_row(text, 120, 20, 80), (520, 280), pen=9)))
    ray = ["--executor", "ray", "--ray-address", address]
    assert predict.main([f"file://{scans}", "--numbers", "--output", f"file://{tmp_path}/ray.jsonl", *ray]) == 0
    assert [row["text"] for row in rows(tmp_path / "ray.jsonl")] == ["2718", "42"]
