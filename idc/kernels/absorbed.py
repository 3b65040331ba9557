"""Cross-attention of few words to a picture, without its keys and values.

A head's keys are only asked for their product with the queries, so the queries can be brought to the picture's tokens
instead, and likewise the tokens are summed before they become values. With X the tokens, q_h the queries of head h,
W_kh, W_vh, b_kh, b_vh its shares of the projections, A_h the weights and Z_h the dropout factors:

    q_h K_h^T = (q_h W_kh) X^T + q_h b_kh
    (A_h Z_h) V_h = ((A_h Z_h) X) W_vh^T + rowsum(A_h Z_h) b_vh

Keys and values take 4 N D^2 operations a sample, bringing the queries there and the sums back 4 L D^2 and, since these are
as wide as the tokens, 4 (H - 1) L N D: less, where there are few words. Liu et al. 2024 (DeepSeek-V2), section 2.1.2,
absorb the projections likewise.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from idc.pieces.attention import CrossAttention


def pays(words: int, tokens: int, dim: int, heads: int) -> bool:
    """Whether the absorbed products are fewer."""
    return (heads - 1) * words * tokens < dim * (tokens - words)


def absorbed_cross_attention(
    attention: CrossAttention, x: Float[Tensor, "B L D"], memory: Float[Tensor, "B N D"]
) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B H L N"]]:
    """`attention(x, memory)`."""
    heads, words, scale = attention.heads, x.shape[1], math.sqrt(x.shape[2] // attention.heads)
    of_key, of_value = (
        projection.weight.unflatten(0, (heads, -1)) for projection in (attention.key, attention.value)
    )  # (H, d, D)
    key_bias = attention.key.bias.unflatten(0, (heads, -1, 1))
    value_bias = attention.value.bias.unflatten(0, (heads, 1, -1))
    query = attention.split(attention.query(x)).transpose(0, 1).flatten(1, 2) / scale  # (H, B L, d)
    asked, shift = by_sample(query @ of_key, words), by_sample(query @ key_bias, words)
    scores = (memory @ asked.mT).mT + shift  # in this order the memory's gradient comes row by row
    weights = scores.softmax(-1)  # (B, H L, N)
    used = F.dropout(weights, attention.dropout, attention.training)
    found, share = by_head(used @ memory, heads), by_head(used.sum(-1, keepdim=True), heads)
    context = found @ of_value.mT + share * value_bias  # (H, B L, d)
    return (
        context.unflatten(1, (-1, words)).permute(1, 2, 0, 3).flatten(2),
        weights.unflatten(1, (heads, words)),
    )


def by_sample(x: Float[Tensor, "H BL n"], words: int) -> Float[Tensor, "B HL n"]:
    """The words of all heads of a sample one after the other."""
    return x.unflatten(1, (-1, words)).transpose(0, 1).flatten(1, 2)


def by_head(x: Float[Tensor, "B HL n"], heads: int) -> Float[Tensor, "H BL n"]:
    """The words of all samples of a head one after the other."""
    return x.unflatten(1, (heads, -1)).transpose(0, 1).flatten(1, 2)
