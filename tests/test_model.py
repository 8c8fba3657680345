"""The networks, and what a checkpoint file must be to be served."""

import io
import math
import os
import pickle
import random
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import model_file
from checkpoint import FORMAT_VERSION, Checkpoint, load_checkpoint, save_checkpoint
from model import ARCHITECTURES, DigitCNN, Standardize, digit_probabilities, digit_score
from model_file import PREPROCESSING_VERSION, CheckpointError

FRAMES = torch.linspace(0, 1, 5 * 28 * 28).reshape(5, 28, 28)
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
with_and_without_background = pytest.mark.parametrize("background", [True, False], ids=["background", "digits only"])


def make_checkpoint(name: str = "linear", background: bool = True, **values: Any) -> Checkpoint:
    """A checkpoint of an untrained network, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        weights = ARCHITECTURES[name](background=background).state_dict()
    defaults = {"temperature": 1.25, "rejection_threshold": 0.5, "metrics": {"accuracy": 0.995}, "data": ["mnist"]}
    return Checkpoint(
        architecture=name, arguments={"background": background}, state_dict=weights, **{**defaults, **values}
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


def contents(checkpoint: Checkpoint, **changes: Any) -> dict[str, Any]:
    """The content of a file of `checkpoint` with some values changed; with the right digest if there can be one."""
    values = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)} | changes
    try:
        digest = Checkpoint(**values).digest
    except Exception:  # values of such types have no digest
        digest = ""
    return {"format": FORMAT_VERSION, "digest": digest} | values | changes


def rejection(path: Path) -> str:
    """The error for an invalid file: one sentence that names it."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def same(ours: Checkpoint, theirs: Checkpoint) -> bool:
    """Whether two checkpoints have the same values and weights."""
    saved, read = (asdict(replace(checkpoint, state_dict={})) for checkpoint in (ours, theirs))
    weights, found = ours.state_dict, theirs.state_dict
    return saved == read and weights.keys() == found.keys() and all(torch.equal(weights[n], found[n]) for n in weights)


# ---- networks ----


@with_and_without_background
@each_architecture
def test_network_returns_one_logit_per_class(name: str, background: bool) -> None:
    network = ARCHITECTURES[name](background=background).eval()
    assert network(FRAMES).shape == (5, 10 + background)


@each_architecture
def test_standardization_is_the_first_layer(name: str) -> None:
    first = next(module for module in ARCHITECTURES[name]().modules() if not list(module.children()))
    assert isinstance(first, Standardize)


def test_standardized_mnist_has_zero_mean_and_unit_variance() -> None:
    standardized = Standardize()(torch.tensor([[[0.1307, 0.1307 + 0.3081]]]))
    assert standardized.shape == (1, 1, 1, 2)
    assert standardized.flatten().tolist() == pytest.approx([0, 1], abs=1e-6)


def test_cnn_is_small() -> None:
    n_parameters = make_checkpoint("cnn").n_parameters
    assert n_parameters == 290_795
    assert f"{n_parameters:,} parameters at the default width" in (DigitCNN.__doc__ or "")


def test_predictions_do_not_depend_on_the_other_frames_of_a_batch() -> None:
    network = make_checkpoint("cnn").build()
    with torch.inference_mode():
        one_by_one = torch.cat([network(frame[None]) for frame in FRAMES])
        torch.testing.assert_close(network(FRAMES), one_by_one)


def test_digit_score_weighs_digits_against_background() -> None:
    logits = torch.zeros(3, 11)
    logits[1, 4] = 10  # certainly a 4
    logits[2, 10] = 10  # certainly not a digit
    background, unsure, digit = digit_score(logits)[[2, 0, 1]]
    assert background < unsure < digit
    # The odds do not depend on a constant added to all logits.
    torch.testing.assert_close(digit_score(logits + 5), digit_score(logits))
    assert digit_score(logits[:, :10])[1] > digit_score(logits[:, :10])[0]


def test_probabilities_leave_out_the_background_and_flatten_with_temperature() -> None:
    logits = torch.tensor([[2.0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 50]])
    sharp, flat = digit_probabilities(logits, 0.5), digit_probabilities(logits, 4.0)
    for probabilities in (sharp, flat):
        assert probabilities.shape == (1, 10)
        assert float(probabilities.sum()) == pytest.approx(1)
        assert probabilities.argmax() == 0
    assert sharp[0, 0] > flat[0, 0]


# ---- round trip and identity ----


@with_and_without_background
@each_architecture
def test_saved_network_predicts_as_before(name: str, background: bool, path: Path) -> None:
    checkpoint = make_checkpoint(name, background, seed=3, commit="0123abc")
    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    assert same(loaded, checkpoint)
    assert loaded.id == checkpoint.id
    with torch.inference_mode():
        assert torch.equal(loaded.build()(FRAMES), checkpoint.build()(FRAMES))


def test_built_network_is_ready_to_predict_and_owns_its_weights() -> None:
    checkpoint = make_checkpoint("cnn")
    before = checkpoint.digest
    network = checkpoint.build()
    assert not network.training
    nn.init.zeros_(next(network.parameters()))
    assert checkpoint.digest == before


def counting_weights() -> dict[str, torch.Tensor]:
    weight = torch.arange(11 * 784, dtype=torch.float32).reshape(11, 784) / 1000
    return {"0.mean": torch.tensor(0.25), "0.std": torch.tensor(0.5), "2.weight": weight, "2.bias": torch.ones(11)}


def test_id_of_known_values_never_changes() -> None:
    checkpoint = Checkpoint(
        architecture="linear",
        arguments={"background": True},
        state_dict=counting_weights(),
        temperature=1.5,
        rejection_threshold=-0.25,
        preprocessing=1,
    )
    assert checkpoint.id == "fbce2851137b"


def test_digest_changes_with_every_weight() -> None:
    checkpoint = make_checkpoint("cnn")
    digests = {checkpoint.digest}
    for name, tensor in checkpoint.state_dict.items():
        changed = tensor.clone()
        last = changed.view(-1)[-1:]
        last.copy_(torch.nextafter(last, last + 1) if last.is_floating_point() else last + 1)
        digests.add(replace(checkpoint, state_dict={**checkpoint.state_dict, name: changed}).digest)
    assert len(digests) == 1 + len(checkpoint.state_dict)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": math.nextafter(1.25, 2)},
        {"rejection_threshold": math.nextafter(0.5, 1)},
        {"preprocessing": PREPROCESSING_VERSION + 1},
        {"architecture": "dense"},
        {"arguments": {"background": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_digest_changes_with_every_value_that_decides_a_prediction(change: dict[str, Any]) -> None:
    checkpoint = make_checkpoint()
    assert replace(checkpoint, **change).digest != checkpoint.digest


def test_digest_does_not_depend_on_metadata() -> None:
    checkpoint = make_checkpoint()
    metadata: dict[str, Any] = {
        "metrics": {"accuracy": 0.1},
        "data": ["emnist"],
        "seed": 9,
        "commit": "fff",
        "torch_version": "3",
    }
    assert replace(checkpoint, **metadata).digest == checkpoint.digest


def test_digest_does_not_depend_on_the_memory_layout() -> None:
    checkpoint = make_checkpoint("cnn")
    spread = {
        name: tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
        for name, tensor in reversed(checkpoint.state_dict.items())
    }
    assert replace(checkpoint, state_dict=spread).digest == checkpoint.digest


# ---- damage ----


@pytest.fixture
def whole(path: Path) -> bytes:
    """The bytes of a valid checkpoint file at `path`."""
    save_checkpoint(make_checkpoint(), path)
    return path.read_bytes()


def test_flipped_bits_are_detected_or_harmless(path: Path, whole: bytes) -> None:
    original = load_checkpoint(path)
    rng = random.Random(1)
    # The file's head and tail hold its structure and plain values, the rest is weights.
    places = [*range(0, 2500, 7), *rng.sample(range(len(whole)), 150), *range(len(whole) - 1500, len(whole), 7)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            survivor = load_checkpoint(path)
        except CheckpointError:
            continue
        assert same(survivor, original), f"a flipped bit at {place} went unnoticed"


def test_flipped_bit_in_a_metric_is_detected(path: Path, whole: bytes) -> None:
    accuracy = b"G" + bytes.fromhex("3fefd70a3d70a3d7")  # 0.995, as pickle writes it
    assert whole.count(accuracy) == 1
    path.write_bytes(whole.replace(accuracy, accuracy[:-1] + b"\xd6"))
    assert "damaged" in rejection(path)


def test_truncated_file_is_rejected(path: Path, whole: bytes) -> None:
    for length in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:length])
        assert "damaged" in rejection(path)


def test_missing_file_is_rejected(path: Path) -> None:
    assert "there is no model file" in rejection(path)


def test_folder_is_rejected(tmp_path: Path) -> None:
    assert "cannot be read" in rejection(tmp_path)


def test_huge_file_is_rejected_unread(path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", len(whole) - 1)
    monkeypatch.delattr(Path, "read_bytes")
    assert "too large" in rejection(path)


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def saved(value: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def test_code_in_a_file_is_not_executed(tmp_path: Path, path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    values = contents(make_checkpoint()) | {"commit": bomb}
    for data in (pickle.dumps(bomb), saved(bomb), saved(values)):
        path.write_bytes(data)
        rejection(path)
    assert not bomb.folder.exists()


NOT_CHECKPOINTS = {
    "nothing": b"",
    "text": b"hello",
    "a pickle": pickle.dumps({"format": 1}),
    "a torch file in the legacy format": saved({"format": 1}, _use_new_zipfile_serialization=False),
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "a tensor": saved(torch.zeros(3)),
    "a state_dict": saved(make_checkpoint().state_dict),
    "a list": saved([1, 2]),
    "a network": saved(nn.Linear(2, 2)),
}


@pytest.mark.parametrize("data", NOT_CHECKPOINTS.values(), ids=NOT_CHECKPOINTS)
def test_file_of_another_program_is_rejected(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    message = rejection(path)
    assert "not a PyTorch file" in message or "not a checkpoint of this project" in message


def test_missing_and_unknown_values_are_rejected(path: Path) -> None:
    whole = contents(make_checkpoint())
    for name in whole:
        torch.save({key: value for key, value in whole.items() if key != name}, path)
        assert "not a checkpoint of this project" in rejection(path)
    torch.save(whole | {"extra": 1}, path)
    assert "not a checkpoint of this project" in rejection(path)


WEIGHTS = make_checkpoint().state_dict
NOT_SERVED = {
    "another format": ({"format": FORMAT_VERSION + 1}, "another format version"),
    "frames of another version": (
        {"preprocessing": PREPROCESSING_VERSION + 1},
        f"frames of version {PREPROCESSING_VERSION + 1}, and this program",
    ),
    "an unknown network": ({"architecture": "transformer"}, "network 'transformer', which this program does not know"),
    "another digest": ({"digest": "0" * 64}, "does not match its digest"),
    "a weight of NaN": ({"state_dict": WEIGHTS | {"2.bias": torch.full((11,), math.nan)}}, "not a finite number"),
    "an infinite weight": ({"state_dict": WEIGHTS | {"2.bias": torch.full((11,), -math.inf)}}, "not a finite number"),
    "a temperature of zero": ({"temperature": 0.0}, "temperature"),
    "a negative temperature": ({"temperature": -1.0}, "temperature"),
    "a temperature of NaN": ({"temperature": math.nan}, "temperature"),
    "an infinite threshold": ({"rejection_threshold": math.inf}, "threshold"),
    "a weight too few": ({"state_dict": {"2.bias": torch.zeros(11)}}, "do not fit its architecture"),
    "a weight too many": ({"state_dict": WEIGHTS | {"3.bias": torch.zeros(11)}}, "do not fit its architecture"),
    "weights of another shape": ({"state_dict": WEIGHTS | {"2.bias": torch.zeros(10)}}, "do not fit its architecture"),
    "weights of another network": ({"architecture": "dense"}, "do not fit its architecture"),
    "arguments of another network": ({"arguments": {"width": 3}}, "do not fit its architecture"),
    "arguments out of range": ({"architecture": "cnn", "arguments": {"dropout": 7.0}}, "do not fit its architecture"),
    "sparse weights": ({"state_dict": {"2.bias": torch.zeros(11).to_sparse()}}, "not plain numbers"),
    "a number for the architecture": ({"architecture": 5}, "wrong type"),
    "a list for the architecture": ({"architecture": ["cnn"]}, "wrong type"),
    "a list for the arguments": ({"arguments": [1]}, "wrong type"),
    "text for the temperature": ({"temperature": "warm"}, "wrong type"),
    "a tensor for the threshold": ({"rejection_threshold": torch.tensor(1.0)}, "wrong type"),
    "a list for the weights": ({"state_dict": [torch.zeros(3)]}, "wrong type"),
    "numbers for weights": ({"state_dict": WEIGHTS | {"2.bias": 3}}, "wrong type"),
    "text for a metric": ({"metrics": {"accuracy": "high"}}, "wrong type"),
    "no metrics": ({"metrics": None}, "wrong type"),
    "text for the data sets": ({"data": "mnist"}, "wrong type"),
    "a number for the commit": ({"commit": 7}, "wrong type"),
}


@pytest.mark.parametrize(("change", "reason"), NOT_SERVED.values(), ids=NOT_SERVED)
def test_file_that_cannot_be_served_is_rejected_with_a_reason(change: dict[str, Any], reason: str, path: Path) -> None:
    torch.save(contents(make_checkpoint(), **change), path)
    assert reason in rejection(path)


@pytest.mark.parametrize(
    "change",
    [{"state_dict": {**WEIGHTS, "2.bias": torch.full((11,), math.nan)}}, {"metrics": {"accuracy": torch.tensor(0.9)}}],
    ids=["a network that diverged", "a metric that is a tensor"],
)
def test_invalid_checkpoint_does_not_replace_a_valid_file(change: dict[str, Any], path: Path, whole: bytes) -> None:
    with pytest.raises(CheckpointError):
        save_checkpoint(replace(make_checkpoint(), **change), path)
    assert path.read_bytes() == whole
