"""Where a word stands: sinusoidal position encodings."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal_encoding(length: int, dim: int) -> Float[Tensor, "length dim"]:
    """A row of sines and cosines for every position.

    P[p, 2i] = sin(p / 10000^(2i/dim)),  P[p, 2i+1] = cos(p / 10000^(2i/dim))

    length: number of positions, p = 0 … length - 1. dim: width, even. Returns (length, dim), float32.
    Raises ValueError when dim is odd or not positive.

    Vaswani et al. 2017, section 3.5.
    """
    if dim <= 0 or dim % 2:
        raise ValueError(
            f"dim must be a positive even number, because sines and cosines alternate; it is {dim}"
        )
    position = torch.arange(length, dtype=torch.float64)[:, None]
    frequency = torch.exp(-math.log(10000.0) * torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()
