"""Where a word or a cell of a picture stands."""

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


def grid_encoding(column: Float[Tensor, "W d"], row: Float[Tensor, "H d"]) -> Float[Tensor, "H W D"]:
    """A vector for every cell of a grid: the vector of its column, then the vector of its row.

    E[y, x] = [column[x] ; row[y]]

    column: a vector for each of the W columns. row: for each of the H rows. Both are d wide; D = 2 d.

    Tu et al. 2023: learned position embeddings of the two axes.
    """
    height, width = len(row), len(column)
    return torch.cat([column.expand(height, -1, -1), row[:, None].expand(-1, width, -1)], dim=-1)
