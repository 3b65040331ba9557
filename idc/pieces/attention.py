"""Attention: look at everything, take what fits."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

Mask = Bool[Tensor, "..."]
Projected = tuple[Float[Tensor, "B L D"], Float[Tensor, "B L D"], Float[Tensor, "B L D"]]  # query, key, value


def attention(
    query: Float[Tensor, "B H Lq d"],
    key: Float[Tensor, "B H Lk d"],
    value: Float[Tensor, "B H Lk dv"],
    mask: Mask | None = None,
) -> tuple[Float[Tensor, "B H Lq dv"], Float[Tensor, "B H Lq Lk"]]:
    """Scaled dot-product attention.

    weights = softmax(query key^T / sqrt(d)) over the keys,  context = weights value

    mask: broadcastable to (B, H, Lq, Lk), True where a query may look; None lets it look everywhere.
    Returns context and weights; the weights of a query sum to 1. A query that may look nowhere gives nan.

    Vaswani et al. 2017, equation 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


def attend(
    query: Float[Tensor, "B H Lq d"],
    key: Float[Tensor, "B H Lk d"],
    value: Float[Tensor, "B H Lk dv"],
    mask: Mask | None = None,
    dropout: float = 0.0,
    attention: Callable[..., tuple[Tensor, Tensor]] = attention,
) -> tuple[Float[Tensor, "B H Lq dv"], Float[Tensor, "B H Lq Lk"] | None]:
    """Attention where a share `dropout` of the weights is set to zero and the others are scaled up.

    Returns the context and the weights before dropout. Twins of this function may leave the weights out.
    """
    context, weights = attention(query, key, value, mask)
    if dropout > 0:
        context = F.dropout(weights, dropout) @ value
    return context, weights


Attend = Callable[..., tuple[Tensor, Tensor | None]]  # what `attend` is


def split_heads(x: Float[Tensor, "B L D"], heads: int) -> Float[Tensor, "B H L d"]:
    """Cut the width of every token into H parts: head h gets the entries h d … (h + 1) d - 1, with d = D / H.

    Raises RuntimeError when heads does not divide the width.
    """
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Float[Tensor, "B H L d"]) -> Float[Tensor, "B L D"]:
    """Put the heads of every token side by side again: the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """What self- and cross-attention share: three projections, H heads, no projection of the result.

    dim: width D of queries, memory and result. heads: H, a divisor of dim. dropout: share of the weights
    that is dropped in training, after the softmax.
    attend: the function that looks; a fast twin may take its place.
    Raises ValueError when dim is not a multiple of heads.
    """

    attend: Attend = staticmethod(attend)

    def __init__(self, dim: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim ({dim}) must be a multiple of heads ({heads})")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.dropout = float(dropout)

    def split(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L d"]:
        return split_heads(x, self.heads)

    def project(self, x: Float[Tensor, "B L D"]) -> Projected:
        """What the tokens ask, what they are asked by, and what they tell."""
        return self.query(x), self.key(x), self.value(x)

    def between(
        self,
        query: Float[Tensor, "B Lq D"],
        key: Float[Tensor, "B Lk D"],
        value: Float[Tensor, "B Lk D"],
        mask: Mask | None = None,
    ) -> tuple[Float[Tensor, "B Lq D"], Float[Tensor, "B H Lq Lk"] | None]:
        """Multi-head attention of projected tokens."""
        return self.look(self.split(query), self.split(key), self.split(value), mask)

    def look(
        self,
        query: Float[Tensor, "B H Lq d"],
        key: Float[Tensor, "B H Lk d"],
        value: Float[Tensor, "B H Lk d"],
        mask: Mask | None = None,
    ) -> tuple[Float[Tensor, "B Lq D"], Float[Tensor, "B H Lq Lk"] | None]:
        """Attention with weights dropped in training, heads joined again."""
        dropout = self.dropout if self.training else 0.0
        context, weights = self.attend(query, key, value, mask, dropout)
        return join_heads(context), weights


class SelfAttention(MultiHeadAttention):
    """Every token of a sequence looks at the sequence: x (B, L, D) -> (B, L, D).

    No residual, normalisation or output projection: they belong to the layer around it.
    Vaswani et al. 2017, section 3.2.
    """

    def forward(self, x: Float[Tensor, "B L D"], mask: Mask | None = None) -> Float[Tensor, "B L D"]:
        context, _ = self.between(*self.project(x), mask)
        return context


class CrossAttention(MultiHeadAttention):
    """Every token of a sequence looks at a memory: x (B, L, D), memory (B, M, D) -> (B, L, D), weights.

    No residual, normalisation or output projection: they belong to the layer around it.
    Vaswani et al. 2017, section 3.2.
    """

    def forward(
        self, x: Float[Tensor, "B L D"], memory: Float[Tensor, "B M D"], mask: Mask | None = None
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B H L M"] | None]:
        return self.between(self.query(x), self.key(memory), self.value(memory), mask)


def causal_mask(length: int, device: torch.device | None = None) -> Bool[Tensor, "length length"]:
    """True where a position may look: at itself and at what came before."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
