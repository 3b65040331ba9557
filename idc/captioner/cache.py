"""What a decoder remembers between two words, so that it computes each thing once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass
class LayerCache:
    """Keys and values of one layer: of P pictures (fixed), and of the words so far of R = P K captions (growing).

    The K captions of a picture follow one another. Words have room for L positions, `length` of which are taken.
    """

    picture_key: Float[Tensor, "P H N d"]
    picture_value: Float[Tensor, "P H N d"]
    word_key: Float[Tensor, "R H L d"]
    word_value: Float[Tensor, "R H L d"]
    length: int = 0

    def append(
        self, key: Float[Tensor, "R H 1 d"], value: Float[Tensor, "R H 1 d"]
    ) -> tuple[Float[Tensor, "R H l d"], Float[Tensor, "R H l d"]]:
        """Remember one more word. Returns keys and values of all words so far."""
        self.word_key[:, :, self.length] = key[:, :, 0]
        self.word_value[:, :, self.length] = value[:, :, 0]
        self.length += 1
        return self.word_key[:, :, : self.length], self.word_value[:, :, : self.length]

    def select(self, rows: Int[Tensor, "R"]) -> None:
        """Let caption r go on from what caption rows[r] of the same picture has said."""
        for words in (self.word_key, self.word_value):
            words[:, :, : self.length] = words[rows, :, : self.length]


@dataclass
class Replay:
    """All the words so far, and the picture each caption is about: for layers that remember nothing themselves."""

    picture: Float[Tensor, "R N D"]
    words: list[Int[Tensor, "R"]] = field(default_factory=list)

    def append(self, word: Int[Tensor, "R"]) -> Int[Tensor, "R L"]:
        """Remember one more word. Returns all words so far."""
        self.words.append(word)
        return torch.stack(self.words, dim=1)

    def select(self, rows: Int[Tensor, "R"]) -> None:
        """Let caption r go on from what caption rows[r] of the same picture has said."""
        self.words = [word[rows] for word in self.words]
