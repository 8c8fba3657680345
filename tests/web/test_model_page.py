"""The page about the model shows the files about the running model, and says which are missing."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from config import Settings
from flask_app import create_app
from testing.answers import GERMAN
from training.reports import record_in_manifest
from web.state import current_recognizer

TRAIN = "epoch,loss,accuracy,lr,seconds,samples_per_second\n1,0.9,0.71,0.001,38,1805\n2,0.4,0.9,0.002,38,1761\n"
VALIDATION = "epoch,loss,accuracy,errors,ece\n1,0.08,0.97,3,0.04\n2,0.05,0.99,1,0.02\n"
CONFUSION = "true \\ predicted," + ",".join("0123456789") + "\n"
CONFUSION += "".join(f"{i}," + ",".join(str(90 + i if i == j else 0) for j in range(10)) + "\n" for i in range(10))
CONFUSION = CONFUSION.replace("7,0,0,", "7,0,6,")
RELIABILITY = "low,high,n,confidence,accuracy\n0.4,0.5,4,0.45,0.5\n0.9,1,996,0.99,0.992\n"
ROBUSTNESS = """\
set,unreadable,n,accuracy,errors,nll,brier,ece,rejected,n_non_digits,accepted,auroc,fpr_at_95,fpr_at_99
mnist,0,10000,0.9957,43,0.01,0.01,0.0011,0.011,0,,,,
photo_cells,0,600,0.9917,5,0.03,0.01,0.0053,0.02,150,0.12,0.9862,0.1,0.2
mnist-validation:fog,0,5000,0.61,1950,1.2,0.5,0.1,0.5,0,,,,
<b>odd</b>,0,0,,,,,,,10,0.3,0.9,0.2,0.3
"""
BASELINES = "network,recipe,parameters,test_errors,test_accuracy\nlinear,fast,8635,869,0.9131\n"
NUMBERS = 'set,n,right,ece,number_model\n"drawn, apart",1000,0.982,0.008,{model}\n'
TABLES = {
    "train_metrics": TRAIN,
    "val_metrics": VALIDATION,
    "confusion_matrix": CONFUSION,
    "reliability": RELIABILITY,
    "robustness": ROBUSTNESS,
    "baselines": BASELINES,
}
SHEET = b"\x89PNG made up"


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """A folder with the shipped model, and tables and a picture that are said to be about it."""
    shutil.copy(settings.model_path, tmp_path / "m.pth")
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "mnist.png").write_bytes(SHEET)
    files = {name: tmp_path / f"{name}.csv" for name in TABLES} | {"mistakes/mnist": tmp_path / "mnist.png"}
    record_in_manifest(tmp_path / "m.pth", running_model(settings), files)
    return tmp_path


def test_whole_numbers_are_those_of_the_running_number_model(folder: Path, settings: Settings) -> None:
    client = open_in(folder, settings)
    model = client.get("/api/v1/model").get_json()
    for given, is_shown in ((model["number_model"], True), ("0" * 12, False)):
        (folder / "numbers.csv").write_text(NUMBERS.format(model=given))
        record_in_manifest(folder / "m.pth", model["id"], {"numbers": folder / "numbers.csv"})
        page = client.get("/model").text
        row = r'<th scope="row">drawn rows by other writers</th><td>1,000</td>\s*<td>98.2%</td>\s*<td>0.8%</td>'
        assert bool(re.search(row, page)) == is_shown
        assert ("<caption>Whole numbers</caption>" in page) == is_shown


def running_model(settings: Settings) -> str:
    with create_app(settings).app_context():
        return current_recognizer().info.id


def open_in(folder: Path, settings: Settings) -> FlaskClient:
    return create_app(settings.model_copy(update={"model_path": folder / "m.pth"})).test_client()


def shown(page: str) -> set[str]:
    """The labels of the charts on a page."""
    return set(re.findall(r'<svg class="chart"[^>]* role="img" aria-label="(\w+ \w+)', page))


def test_page_shows_all_that_is_known_of_the_model(folder: Path, settings: Settings) -> None:
    page = open_in(folder, settings).get("/model").text
    assert shown(page) == {"Loss by", "Error rate", "How often", "Accuracy by"}
    assert page.count("<polyline") == 4
    assert "290,795" in page
    assert "Not available" not in page
    assert re.search(r'<th scope="row">linear</th><td>8,635</td><td>91.31%</td>', page)
    # Each chart says the same as a table.
    assert re.search(r'<th scope="row">2</th><td>10.00</td>\s*<td>1.00</td>', page)
    assert re.search(r'<th scope="row">7</th><td>0</td><td>6</td>', page)
    assert "7 read as 1: 6" in page
    assert re.search(r"90%\u2013100%</th><td>99.0%</td>\s*<td>99.2%</td><td>996</td>", page)
    assert re.search(r"phone photos</th><td>600</td><td>99.17%</td>\s*<td>0.53%</td><td>2.0%</td>", page)
    assert re.search(r"phone photos</th><td>150</td>\s*<td>98.62%</td><td>12.0%</td>", page)
    assert re.search(r'<th scope="row">fog</th><td>61.00%</td>', page)


def test_page_speaks_german(folder: Path, settings: Settings) -> None:
    page = open_in(folder, settings).get("/model", headers=GERMAN).text
    assert "Konfusionsmatrix" in page
    assert "290.795" in page
    assert re.search(r"Handyfotos</th><td>600</td><td>99,17\xa0%</td>", page)


def test_names_in_tables_are_text(folder: Path, settings: Settings) -> None:
    page = open_in(folder, settings).get("/model").text
    assert "&lt;b&gt;odd&lt;/b&gt;" in page
    assert "<b>odd" not in page


@pytest.mark.parametrize(
    ("name", "chart"),
    [
        ("train_metrics", {"Loss by", "Error rate"}),
        ("val_metrics", {"Loss by", "Error rate"}),
        ("confusion_matrix", {"How often"}),
        ("reliability", {"Accuracy by"}),
    ],
)
@pytest.mark.parametrize("change", ["gone", "changed", "not_digit", "damaged", "empty"])
def test_table_that_is_not_of_this_model_is_not_shown(
    folder: Path, settings: Settings, name: str, chart: set[str], change: str
) -> None:
    path = folder / f"{name}.csv"
    model = running_model(settings)
    if change == "gone":
        path.unlink()
    elif change == "changed":
        path.write_text(path.read_text().replace("9", "8"))
    elif change == "not_digit":
        record_in_manifest(folder / "m.pth", "0" * 12, {name: path})
        others = {other: folder / f"{other}.csv" for other in TABLES if other != name}
        record_in_manifest(folder / "m.pth", model, others)
    else:
        path.write_text(path.read_text().partition("\n")[0] + ("\n1,x\n" if change == "damaged" else "\n"))
        record_in_manifest(folder / "m.pth", model, {name: path})
    response = open_in(folder, settings).get("/model")
    assert response.status_code == 200
    assert shown(response.text) == {"Loss by", "Error rate", "How often", "Accuracy by"} - chart
    assert "Not available for this model." in response.text


@pytest.mark.parametrize(
    "note", [b"", b"[]", b"{", b"\xff", b'{"model": "%s"}', b'{"model": "%s", "files": {"reliability": 3}}']
)
def test_unreadable_manifest_shows_nothing(folder: Path, settings: Settings, note: bytes) -> None:
    (folder / "m.json").write_bytes(note.replace(b"%s", running_model(settings).encode()))
    response = open_in(folder, settings).get("/model")
    assert response.status_code == 200
    assert shown(response.text) == set()


def test_mistakes_are_linked_and_shown(folder: Path, settings: Settings) -> None:
    client = open_in(folder, settings)
    (link,) = re.findall(r'href="(/model/mistakes/[^"]+)"', client.get("/model").text)
    sheet = client.get(link)
    assert (sheet.status_code, sheet.content_type, sheet.data) == (200, "image/png", SHEET)
    assert client.get(link, headers={"If-None-Match": sheet.headers["ETag"]}).status_code == 304
    assert client.get("/model/mistakes/other.png").status_code == 404


def test_no_file_outside_the_folder_is_served(folder: Path, settings: Settings) -> None:
    secret = folder.parent / "secret.png"
    secret.write_bytes(b"secret")
    inside = folder / "deeper"
    inside.mkdir()
    for file in (folder / "m.pth",):
        shutil.copy(file, inside)
    digest = hashlib.sha256(b"secret").hexdigest()
    files = {"mistakes/mnist": {"file": "../../secret.png", "sha256": digest}}
    (inside / "m.json").write_text(json.dumps({"model": running_model(settings), "files": files}))
    assert open_in(inside, settings).get("/model/mistakes/mnist.png").status_code == 404


def test_page_of_the_shipped_model_is_complete(client: FlaskClient) -> None:
    assert shown(client.get("/model").text) == {"Loss by", "Error rate", "How often", "Accuracy by"}
