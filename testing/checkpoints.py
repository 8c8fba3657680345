"""Model files and engines of networks that are quick to make and to load."""

from pathlib import Path

from checkpoint import Checkpoint, dump_checkpoint
from config import EngineName
from model import ARCHITECTURES, NumberCNN
from model_file import N_DIGITS, NUMBER_READER
from recognition.engine import Engine, VerifiedModel, start_engine
from training.onnx_export import save_model, to_onnx


def save_untrained(path: Path) -> str:
    """Write a linear network with random weights, and its ONNX file; its id, which no other has."""
    network = ARCHITECTURES["linear"]()
    checkpoint = Checkpoint(architecture="linear", arguments={}, state_dict=network.state_dict())
    save_model(checkpoint, path)
    return checkpoint.id


def save_blind_reader(path: Path) -> str:
    """Write a number network that finds no digit, so that the digit network answers, and its ONNX file; its id."""
    weights = NumberCNN(width=1).state_dict()
    weights["classifier.weight"].zero_()
    weights["classifier.bias"][N_DIGITS] = 20
    checkpoint = Checkpoint(architecture=NUMBER_READER, arguments={"width": 1}, state_dict=weights)
    save_model(checkpoint, path)
    return checkpoint.id


def engine_of(checkpoint: Checkpoint, name: EngineName) -> Engine:
    """The network of `checkpoint` in one of the two engines."""
    path = Path("model.pth")
    content = dump_checkpoint(checkpoint, path)
    if name == EngineName.ONNX:
        content = to_onnx(checkpoint, content, path)
    return start_engine(VerifiedModel(name, path, content, checkpoint.info))
