"""Cross-modal backward reasoning: imagine the after picture from the before picture and the sentence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from idc.pieces.attention import Attend, attend, join_heads, split_heads
from idc.pieces.chosen import pieces
from idc.pieces.matching import Matching, token_matching


def sentence_vector(
    words: Float[Tensor, "B L D"], word_mask: Bool[Tensor, "B L"], mean: str = "length"
) -> Float[Tensor, "B D"]:
    """One vector for each sentence: the mean of its words.

    words: the decoder's state at every position. word_mask: True where a word stands, False for padding.
    mean: "length" divides by all L positions, as the released code does, "words" by the number of words, as the paper
    says. Raises ValueError for another mean.

    Tu et al. 2023, cross-modal backward reasoning.
    """
    if mean not in ("length", "words"):
        raise ValueError(f"mean must be “length” or “words”, not “{mean}”")
    total = (words * word_mask[..., None]).sum(1)
    if mean == "length":
        return total / words.shape[1]
    return total / word_mask.sum(1, keepdim=True).clamp(min=1)


class Hallucination(nn.Module):
    """The after picture as the sentence makes one imagine it: before (B, N, D), sentence (B, D) -> (B, N, D).

    hallucination = W_2 SelfAttention(W_1 [before ; sentence])

    The sentence is put beside every token. The self-attention has H heads, no biases and an output projection.
    Raises ValueError when heads does not divide dim.

    Tu et al. 2023, cross-modal backward reasoning.
    """

    attend: Attend = staticmethod(attend)

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim ({dim}) must be a multiple of heads ({heads})")
        self.heads = heads
        self.merge = nn.Linear(2 * dim, dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.imagine = nn.Linear(dim, dim)

    def hallucinate(
        self, before: Float[Tensor, "B N D"], sentence: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B N D"]:
        x = self.merge(torch.cat([before, sentence[:, None].expand_as(before)], dim=-1))
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        context, _ = self.attend(query, key, value)
        return self.imagine(self.out(join_heads(context)))


class CrossModalBackwardReasoning(Hallucination):
    """A loss that is low when the words tell what changed.

    S = exp(logit_scale) matching(W_q hallucination, W_k after)           (B, B)
    loss = 1/2 ( InfoNCE(S) + InfoNCE(S^T) )

    sentence_mean: see `sentence_vector`. Raises ValueError for another one.

    Tu et al. 2023, cross-modal backward reasoning.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        sentence_mean: str = "length",
        matching: Matching = token_matching,
    ):
        super().__init__(dim, heads)
        if sentence_mean not in ("length", "words"):
            raise ValueError(f"sentence_mean must be “length” or “words”, not “{sentence_mean}”")
        self.sentence_mean = sentence_mean
        self.matching = matching
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def forward(
        self,
        before: Float[Tensor, "B N D"],
        words: Float[Tensor, "B L D"],
        word_mask: Bool[Tensor, "B L"],
        after: Float[Tensor, "B N D"],
    ) -> Float[Tensor, ""]:
        sentence = pieces.sentence_vector(words, word_mask, self.sentence_mean)
        imagined = self.hallucinate(before, sentence)
        similarity = self.logit_scale.exp() * self.matching(self.query(imagined), self.key(after))
        return (pieces.info_nce(similarity) + pieces.info_nce(similarity.T)) / 2


def joint_loss(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Float[Tensor, ""]:
    """The loss that is trained: every part, in nats, times its weight.

    L = sum_name weights[name] parts[name]

    A part whose weight is 0 is left out, even if it is infinite. Raises KeyError for a part without a weight.
    SCORER+CBR weighs caption 1, cross_view 0.1 and cross_modal 0.001 (Tu et al. 2023).
    """
    return torch.stack([weights[name] * part for name, part in parts.items() if weights[name]]).sum()
