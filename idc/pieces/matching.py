"""How alike are two sets of tokens, wherever in the picture they are?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Matching = Callable[[Tensor, Tensor], Tensor]  # (A, N, D), (B, M, D) -> (A, B)


def token_matching(
    query: Float[Tensor, "A N D"],
    key: Float[Tensor, "B M D"],
    query_mask: Bool[Tensor, "A N"] | None = None,
    key_mask: Bool[Tensor, "B M"] | None = None,
) -> Float[Tensor, "A B"]:
    """The similarity of every query set with every key set, by their best fitting tokens.

    e[a, b, i, j] = query[a, i] . key[b, j]
    similarity[a, b] = 1/2 ( mean_i max_j e[a, b, i, j] + mean_j max_i e[a, b, i, j] )

    query_mask, key_mask: True for tokens, False for padding, which neither wins nor counts; None: all are tokens. Each
    set needs a token. Takes A B N M numbers of memory. Where several tokens fit equally well, the gradient goes to one.

    Tu et al. 2023, token-wise matching (the released code contracts over all heads at once).
    """
    sets, tokens, dim = query.shape
    product = query.reshape(-1, dim) @ key.reshape(-1, dim).T
    product = product.view(sets, tokens, key.shape[0], key.shape[1])  # (A, N, B, M)
    if query_mask is not None:
        product = product.masked_fill(~query_mask[:, :, None, None], -torch.inf)
    if key_mask is not None:
        product = product.masked_fill(~key_mask, -torch.inf)
    best_key = product.max(dim=3).values  # (A, N, B)
    best_query = product.max(dim=1).values  # (A, B, M)
    if query_mask is not None:
        best_key = (
            best_key.masked_fill(~query_mask[:, :, None], 0) * tokens / query_mask.sum(1)[:, None, None]
        )
    if key_mask is not None:
        best_query = best_query.masked_fill(~key_mask, 0) * key.shape[1] / key_mask.sum(1)[:, None]
    return (best_key.mean(dim=1) + best_query.mean(dim=2)) / 2


def multi_head_token_matching(
    query: Float[Tensor, "A N D"],
    key: Float[Tensor, "B M D"],
    heads: int,
    mode: str = "joint",
    match: Matching = token_matching,
) -> Float[Tensor, "A B"]:
    """Token matching with the width cut into heads.

    joint:    the scores are summed over the heads before the maximum, which is token matching at full width
    separate: similarity = 1/H sum_h token_matching(query_h, key_h), a maximum for every head

    match: what compares the tokens of a head.
    Raises ValueError for another mode or when heads does not divide the width.

    Tu et al. 2023, multi-head token-wise matching; the paper describes "separate", the released code computes "joint".
    """
    if mode == "joint":
        return match(query, key)
    if mode != "separate":
        raise ValueError(f"mode must be “joint” or “separate”, not “{mode}”")
    if query.shape[-1] % heads:
        raise ValueError(f"the width {query.shape[-1]} is not a multiple of {heads} heads")
    pairs = zip(query.chunk(heads, dim=-1), key.chunk(heads, dim=-1), strict=True)
    return torch.stack([match(q, k) for q, k in pairs]).mean(0)
