"""Where to compute, and in which precision."""

from __future__ import annotations

import torch

from training.recipes import ChoiceError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device of that name; for `auto` the fastest there is. Raises `ChoiceError` where it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, is_there in there.items() if is_there)
    if name not in there:
        raise ChoiceError(f"{name!r} is no device; there are {', '.join(DEVICES)}.")
    if not there[name]:
        available = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise ChoiceError(f"PyTorch finds no {name} device here; it finds {available}.")
    if name == "cuda":
        # The same seed gives the same weights; the search for the fastest convolution would not.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32 there, by a factor of 2 or more."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # On CPUs without instructions for it bfloat16 is emulated, and slower than float32.
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
