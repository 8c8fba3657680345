"""Inference with ONNX Runtime."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_file import CheckpointError, example_shape, numbers_of_outputs
from recognition.engine import VerifiedModel


class OnnxEngine:
    """Runs an exported network with ONNX Runtime on the CPU. Thread-safe."""

    name: Literal["onnx"] = "onnx"

    def __init__(self, model: VerifiedModel) -> None:
        """Raises `CheckpointError`."""
        self.info = model.info
        try:
            self._session = onnxruntime.InferenceSession(model.content, _options(), ["CPUExecutionProvider"])
            logits = self.logits(np.zeros(example_shape(model.info.architecture), np.float32))
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise CheckpointError(f"{model.path} is damaged: ONNX Runtime cannot run its network") from error
        if logits.shape[-1] not in numbers_of_outputs(model.info.architecture):
            raise CheckpointError(f"{model.path} is damaged: its weights do not fit its architecture")

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`."""
        logits: NDArray[np.float32] = self._session.run(["logits"], {"frames": frames})[0]
        return logits


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # The calling thread does all the work: one frame is too small to share, and a server has its own threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
