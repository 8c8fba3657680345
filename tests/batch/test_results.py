"""The output of a batch: complete or in parts, without duplicate rows."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from batch.results import DonePaths, Results
from batch.rows import BatchError, Columns, Row

COLUMNS = Columns(top=2, probabilities=True, model="abc")
SUFFIXES = [".csv", ".jsonl", ".parquet"]


def row(number: int) -> Row:
    """A row for picture `number`; every seventh could not be read."""
    if number % 7 == 6:
        return Row(f"{number}.png", error="The picture is damaged, and cannot be opened.")
    return Row(f"{number}.png", tuple((i + number) % 10 / 45 for i in range(10)), number % 2 == 0, 1.5)


def read(path: Path | str, suffix: str) -> list[dict[str, Any]]:
    with fsspec.open(str(path), "rb") as file:
        data = file.read()
    if suffix == ".csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    if suffix == ".jsonl":
        return [json.loads(line) for line in data.splitlines()]
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    return rows


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A local folder, and one on another of fsspec's file systems."""
    if request.param == "local":
        yield str(tmp_path)
        return
    fsspec.filesystem("memory").makedirs("/out", exist_ok=True)
    yield "memory://out"
    fsspec.filesystem("memory").rm("/out", recursive=True)


def test_rows_are_written_in_order_and_parts_removed(folder: str, suffix: str) -> None:
    results = Results(f"{folder}/r{suffix}", COLUMNS, part_rows=4)
    results.add([row(i) for i in range(10)])
    results.add([row(i) for i in range(10, 13)])
    results.finish()
    written = read(f"{folder}/r{suffix}", suffix)
    assert [record["path"] for record in written] == [f"{i}.png" for i in range(13)]
    assert {record["model"] for record in written} == {"abc"}
    assert results.n_errors == 1
    files, path = fsspec.core.url_to_fs(folder)
    assert [name.rsplit("/", 1)[1] for name in files.ls(path, detail=False)] == [f"r{suffix}"]


def test_values_are_those_of_the_rows(tmp_path: Path, suffix: str) -> None:
    results = Results(str(tmp_path / f"r{suffix}"), COLUMNS)
    results.add([row(3), row(6)])
    results.finish()
    good, bad = read(tmp_path / f"r{suffix}", suffix)
    assert int(good["digit"]) == 6
    assert float(good["confidence"]) == pytest.approx(9 / 45, abs=1e-6)
    assert good["is_digit"] in (False, "false")
    assert bad["error"] == row(6).error
    assert not bad.get("digit")


def test_numbers_are_written_and_found_again(tmp_path: Path, suffix: str) -> None:
    url, columns = str(tmp_path / f"r{suffix}"), Columns(top=3, model="abc", numbers=True)
    results = Results(url, columns)
    results.add([Row("1.png", texts=(("007\n12", 0.75), ("7", 0.125))), Row("2.png", error="Unreadable.")])
    results.finish()
    good, bad = read(url, suffix)
    assert (good["path"], good["text"], float(good["confidence"])) == ("1.png", "007\n12", 0.75)
    if suffix == ".jsonl":
        assert good["alternatives"] == [{"text": "7", "confidence": 0.125}]
        assert set(good) == {"path", "text", "confidence", "alternatives", "model"}
    else:
        names = ["path", "text", "confidence", "text_2", "confidence_2", "text_3", "confidence_3", "error", "model"]
        assert list(good) == names
        assert (good["text_2"], float(good["confidence_2"]), good["text_3"] or "") == ("7", 0.125, "")
    assert (bad["error"], bad.get("text") or "") == ("Unreadable.", "")
    assert list(Results(url, columns).done.missing(["1.png", "2.png"])) == ["2.png"]
    with pytest.raises(BatchError, match="other columns"):
        Results(url, Columns(model="abc"))


def test_next_run_resumes_after_the_last_part(tmp_path: Path, suffix: str) -> None:
    url = str(tmp_path / f"r{suffix}")
    Results(url, COLUMNS, part_rows=4).add([row(i) for i in range(11)])  # and the process dies here
    assert not Path(url).exists()

    again = Results(url, COLUMNS, part_rows=4)
    missing = list(again.done.missing(f"{i}.png" for i in range(12)))
    assert missing == ["6.png", "8.png", "9.png", "10.png", "11.png"]  # 6.png could not be read
    again.add([row(i) for i in (6, 8, 9, 10, 11)])
    again.finish()
    assert again.n_errors == 1
    assert [record["path"] for record in read(url, suffix)] == [
        f"{i}.png" for i in (0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11)
    ]


def test_unreadable_pictures_are_tried_again(tmp_path: Path, suffix: str) -> None:
    url = str(tmp_path / f"r{suffix}")
    first = Results(url, COLUMNS)
    first.add([row(i) for i in range(9)])
    first.finish()
    assert first.n_errors == 1
    second = Results(url, COLUMNS)
    assert list(second.done.missing(f"{i}.png" for i in range(9))) == ["6.png"]
    second.add([Row("6.png", row(3).probabilities, True, 1.5)])
    second.finish()
    assert second.n_errors == 0
    written = read(url, suffix)
    assert sorted(record["path"] for record in written) == [f"{i}.png" for i in range(9)]
    assert not any(record.get("error") for record in written)


def test_finished_output_is_extended_when_files_are_added(tmp_path: Path, suffix: str) -> None:
    url = str(tmp_path / f"r{suffix}")
    for start in (0, 5):
        results = Results(url, COLUMNS, part_rows=2)
        assert list(results.done.missing(f"{i}.png" for i in range(start + 5))) == [
            f"{i}.png" for i in range(start, start + 5)
        ]
        results.add([row(i) for i in range(start, start + 5)])
        results.finish()
    assert [record["path"] for record in read(url, suffix)] == [f"{i}.png" for i in range(10)]


def test_kill_before_parts_are_removed_duplicates_no_row(tmp_path: Path, suffix: str) -> None:
    url = str(tmp_path / f"r{suffix}")
    results = Results(url, COLUMNS, part_rows=2)
    results.add([row(i) for i in range(6)])
    results.finish()
    leftover = Path(f"{url}.parts")
    leftover.mkdir()
    (leftover / f"part-000003{suffix}").write_bytes(Path(url).read_bytes())

    Results(url, COLUMNS).finish()
    assert [record["path"] for record in read(url, suffix)] == [f"{i}.png" for i in range(6)]
    assert not leftover.exists()


@pytest.mark.parametrize("other", [Columns(2, True, "xyz"), Columns(3, True, "abc"), Columns(2, False, "abc")])
def test_rows_of_another_model_or_shape_are_not_mixed(tmp_path: Path, suffix: str, other: Columns) -> None:
    results = Results(str(tmp_path / f"r{suffix}"), COLUMNS)
    results.add([row(1)])
    results.finish()
    with pytest.raises(BatchError, match="another model"):
        Results(str(tmp_path / f"r{suffix}"), other)


def test_formulas_are_quoted_in_csv_only_and_found_again(tmp_path: Path, suffix: str) -> None:
    url = str(tmp_path / f"r{suffix}")
    paths = [f"{start}cmd" for start in ("=", "+", "-", "@", "\t", "\r", "'")] + ["-", "a=b", "a\r\nb"]
    results = Results(url, COLUMNS)
    results.add([Row(path, row(1).probabilities, True, 1.0) for path in paths])
    results.finish()
    again = Results(url, COLUMNS)
    assert list(again.done.missing(paths)) == []
    again.finish()
    quoted = [f"'{path}" for path in paths[:-3]] + paths[-3:]
    with Path(url).open("rb") as file:
        written = file.read()
    if suffix == ".csv":
        assert [record["path"] for record in csv.DictReader(io.StringIO(written.decode(), newline=""))] == quoted
    else:
        assert [record["path"] for record in read(url, suffix)] == paths


def test_no_pictures_give_an_empty_output(tmp_path: Path, suffix: str) -> None:
    Results(str(tmp_path / f"r{suffix}"), COLUMNS).finish()
    assert read(tmp_path / f"r{suffix}", suffix) == []


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"must end in \.csv, \.jsonl, \.parquet"):
        Results(str(tmp_path / "r.xlsx"), COLUMNS)


def test_names_that_are_not_utf8_are_recognized() -> None:
    done = DonePaths(["a\\udcff.png", "\\udcff"])
    assert list(done.missing(["b", "\udcff"])) == ["b"]
    assert len(done) == 2
