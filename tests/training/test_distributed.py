"""Choosing a device."""

import pytest
import torch

from training.distributed import DEVICES, choose_device
from training.recipes import UsageError


def test_cpu_can_always_be_chosen() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_auto_takes_the_fastest_device(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    for name in ("deterministic", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    assert choose_device("auto") == torch.device(device)


def test_unknown_device_is_rejected_with_the_choices() -> None:
    with pytest.raises(UsageError, match=", ".join(DEVICES)):
        choose_device("tpu")


def test_unavailable_device_is_rejected_with_those_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"available: .*cpu"):
        choose_device("cuda")
