"""Random inputs for checks: the same on every machine, from a NumPy generator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def numbers(
    rng: np.random.Generator, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Normally distributed numbers."""
    return torch.from_numpy(scale * rng.standard_normal(shape)).to(dtype)


def linear(
    rng: np.random.Generator, name: str, inputs: int, outputs: int, bias: bool = True
) -> dict[str, Tensor]:
    """Weights of nn.Linear, in float64."""
    weights = {f"{name}.weight": numbers(rng, outputs, inputs, scale=inputs**-0.5)}
    return weights | ({f"{name}.bias": numbers(rng, outputs, scale=0.1)} if bias else {})


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)
