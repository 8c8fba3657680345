"""Random deformation of frames."""

import pytest
import torch
from torch import Tensor

from recognition.frame import INK_SIZE
from testing.tiny_mnist import make_digits
from training.deformation import deform


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.from_numpy(make_digits(60, seed=3)[0]).float() / 255


def ink_box(frame: Tensor) -> tuple[int, int]:
    """Width and height of the ink."""
    rows, columns = (frame > 0.25).nonzero(as_tuple=True)
    return int(columns.max() - columns.min()) + 1, int(rows.max() - rows.min()) + 1


def test_each_sample_is_distorted_differently(frames: Tensor) -> None:
    same = frames[:1].repeat(20, 1, 1)
    deformed = deform(same, torch.ones(len(same)))
    assert len({tuple(frame.flatten().tolist()) for frame in deformed}) == len(deformed)


def test_deformed_ink_is_scaled_to_the_frame(frames: Tensor) -> None:
    longer = torch.tensor(
        [max(ink_box(frame)) for frame in deform(frames, torch.ones(len(frames)), elastic=False)]
    ).float()
    assert abs(float(longer.median()) - INK_SIZE) <= 1
