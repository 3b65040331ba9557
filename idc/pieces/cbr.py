"""Cross-modal backward reasoning: imagine the after picture from the before picture and the sentence."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from idc.pieces.attention import Attend, attend
from idc.pieces.infonce import info_nce
from idc.pieces.matching import Matching, token_matching


class CrossModalBackwardReasoning(nn.Module):
    """A loss that is low when the words tell what changed.

    sentence = mean over the positions of words * word_mask
    hallucination = W_2 SelfAttention(W_1 [before ; sentence])          (B, N, D)
    S = exp(logit_scale) matching(W_q hallucination, W_k after)           (B, B)
    loss = 1/2 ( InfoNCE(S) + InfoNCE(S^T) )

    sentence_mean: "length" divides by all L positions, as the released code does, "words" by the number of
    words, as the paper says. The self-attention has H heads, no biases and an output projection.
    Raises ValueError for another sentence_mean, or when heads does not divide dim.

    Tu et al. 2023, cross-modal backward reasoning.
    """

    attend: Attend = staticmethod(attend)

    def __init__(
        self,
        dim: int,
        heads: int,
        sentence_mean: str = "length",
        matching: Matching = token_matching,
    ):
        super().__init__()
        if sentence_mean not in ("length", "words"):
            raise ValueError(f"sentence_mean must be “length” or “words”, not “{sentence_mean}”")
        if dim % heads:
            raise ValueError(f"dim ({dim}) must be a multiple of heads ({heads})")
        self.heads = heads
        self.sentence_mean = sentence_mean
        self.matching = matching
        self.merge = nn.Linear(2 * dim, dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.imagine = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def sentence(self, words: Float[Tensor, "B L D"], word_mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        """One vector for the sentence."""
        total = (words * word_mask[..., None]).sum(1)
        if self.sentence_mean == "length":
            return total / words.shape[1]
        return total / word_mask.sum(1, keepdim=True).clamp(min=1)

    def hallucinate(
        self, before: Float[Tensor, "B N D"], sentence: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B N D"]:
        """The after picture as the sentence makes one imagine it."""
        x = self.merge(torch.cat([before, sentence[:, None].expand_as(before)], dim=-1))
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        context, _ = self.attend(query, key, value)
        return self.imagine(self.out(context.transpose(1, 2).flatten(2)))

    def forward(
        self,
        before: Float[Tensor, "B N D"],
        words: Float[Tensor, "B L D"],
        word_mask: Bool[Tensor, "B L"],
        after: Float[Tensor, "B N D"],
    ) -> Float[Tensor, ""]:
        imagined = self.hallucinate(before, self.sentence(words, word_mask))
        similarity = self.logit_scale.exp() * self.matching(self.query(imagined), self.key(after))
        return (info_nce(similarity) + info_nce(similarity.T)) / 2
