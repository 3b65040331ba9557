"""What a decoder remembers between two words, so that it computes each thing once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass
class LayerCache:
    """Keys and values of one layer: of the picture (fixed) and of the words so far (growing)."""

    picture_key: Float[Tensor, "B H N d"]
    picture_value: Float[Tensor, "B H N d"]
    word_key: Float[Tensor, "B H L d"]
    word_value: Float[Tensor, "B H L d"]

    def append(self, key: Float[Tensor, "B H 1 d"], value: Float[Tensor, "B H 1 d"]) -> None:
        """Remember one more word."""
        self.word_key = torch.cat([self.word_key, key], dim=2)
        self.word_value = torch.cat([self.word_value, value], dim=2)

    def select(self, rows: Int[Tensor, "B2"]) -> None:
        """Keep these rows of the batch, in this order; beam search moves hypotheses about."""
        self.picture_key, self.picture_value = self.picture_key[rows], self.picture_value[rows]
        self.word_key, self.word_value = self.word_key[rows], self.word_value[rows]
