"""Token matching a tile at a time: the same numbers as the piece, without the product of all tokens in memory.

The piece multiplies all tokens with all tokens, A B N M numbers, keeps that product for the gradient, and multiplies
densely twice more on the way back. Here a few sets of queries meet a few sets of keys; row and column maxima come from
the same tile, which is then forgotten. What is kept is *which* token won, a byte or two each. On the way back only the
winners carry a gradient g,

    dquery[a, i] = 1/2 sum_b g[a, b] ( key[b, winner of i] / N + sum over the j that i won  key[b, j] / M )

and likewise for the keys: weighted sums of few rows, which is what `embedding_bag` computes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor
from torch.autograd.function import once_differentiable

from idc.pieces.matching import multi_head_token_matching

# Numbers in a tile: few enough for a processor's cache, enough to keep a GPU busy.
NUMBERS = {"cpu": 2**19, "cuda": 2**26}
WIDER = {torch.bfloat16: (torch.float32, torch.int32), torch.float32: (torch.float64, torch.int64)}
LOWEST = torch.finfo(
    torch.bfloat16
).min  # stands for -inf below every score, and stays a number when bits are set


def tiled_token_matching(
    query: Float[Tensor, "A N D"],
    key: Float[Tensor, "B M D"],
    query_mask: Bool[Tensor, "A N"] | None = None,
    key_mask: Bool[Tensor, "B M"] | None = None,
    tile_dtype: torch.dtype | None = None,
) -> Float[Tensor, "A B"]:
    """`idc.pieces.matching.token_matching` in tiles.

    tile_dtype: the precision of the scores, None for that of the arguments. With bfloat16 near ties may be decided the
    other way and scores are rounded to 8 bits; the gradient is that of the winners, in the arguments' precision.
    """
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key = query.to(dtype), key.to(dtype)
    return TiledMatching.apply(query, key, query_mask, key_mask, tile_dtype or query.dtype)


def tiled_matching(
    query: Float[Tensor, "A N D"],
    key: Float[Tensor, "B M D"],
    heads: int,
    mode: str = "joint",
    tile_dtype: torch.dtype | None = None,
) -> Float[Tensor, "A B"]:
    """`idc.pieces.matching.multi_head_token_matching` in tiles; the heads come one after the other."""
    match = partial(tiled_token_matching, tile_dtype=tile_dtype)
    return multi_head_token_matching(query, key, heads, mode, match)


class Tile:
    """Room for one tile, used again for the next."""

    def __init__(self, numbers: int, dtype: torch.dtype, device: torch.device):
        self.scores = torch.empty(numbers, dtype=dtype, device=device)
        self.widens = dtype in WIDER
        if self.widens:
            self.float, self.integer = WIDER[dtype]
            self.wide = torch.empty(numbers, dtype=self.float, device=device)
            self.packed = torch.empty(numbers, dtype=self.integer, device=device)

    def fill(
        self,
        query: Float[Tensor, "R N D"],
        key: Float[Tensor, "C M D"],
        query_mask: Bool[Tensor, "R N"] | None,
        key_mask: Bool[Tensor, "C M"] | None,
    ) -> None:
        """The scores of some sets of queries with some sets of keys; those of padding are lower than all others."""
        rows, columns = query.flatten(0, 1), key.flatten(0, 1)
        self.shape = (len(query), query.shape[1], len(key), key.shape[1])
        self.used = slice(0, len(rows) * len(columns))
        scores = self.scores[self.used]
        torch.mm(rows, columns.T, out=scores.view(len(rows), len(columns)))
        if query_mask is not None:
            scores.view(self.shape).masked_fill_(~query_mask[:, :, None, None], LOWEST)
        if key_mask is not None:
            scores.view(self.shape).masked_fill_(~key_mask, LOWEST)
        if self.widens:
            self.wide[self.used].copy_(scores)

    def best(self, dim: int) -> tuple[Float[Tensor, "..."], Int[Tensor, "..."]]:
        """Maximum along a dimension of (R, N, C, M), and its place.

        torch finds a maximum several times faster than a maximum with its place. A number widened to twice its bits has
        free bits at its end; with the place written there, one maximum finds both. Among equals the last wins, or the
        first if they are negative.
        """
        size = self.shape[dim]
        if not self.widens or size > 2**16:
            found = self.scores[self.used].view(self.shape).max(dim)
            return found.values, found.indices
        place = torch.arange(size, dtype=self.integer, device=self.scores.device)
        bits = self.wide[self.used].view(self.integer).view(self.shape)
        packed = self.packed[self.used].view(self.shape)
        torch.bitwise_or(bits, place.view([-1 if d == dim else 1 for d in range(4)]), out=packed)
        winner = packed.view(self.float).amax(dim).view(self.integer)
        return (winner & -(2**16)).view(self.float), winner & (2**16 - 1)


class TiledMatching(torch.autograd.Function):
    """Forward in tiles, backward through the winners alone."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        query_mask: Tensor | None,
        key_mask: Tensor | None,
        tile_dtype: torch.dtype,
    ) -> Tensor:
        (sets, tokens, _), (others, places, _) = query.shape, key.shape
        query_share, key_share = shares(query, query_mask), shares(key, key_mask)
        result = torch.zeros(sets, others, dtype=query_share.dtype, device=query.device)
        best_key = torch.empty(sets, tokens, others, dtype=index_dtype(places), device=query.device)
        best_query = torch.empty(sets, others, places, dtype=index_dtype(tokens), device=query.device)
        queries, keys = query.to(tile_dtype), key.to(tile_dtype)
        pairs = max(1, NUMBERS.get(query.device.type, NUMBERS["cpu"]) // (tokens * places))
        height = min(sets, math.isqrt(pairs))
        width = min(others, pairs // height)
        tile = Tile(height * tokens * width * places, tile_dtype, query.device)
        for a in range(0, sets, height):
            for b in range(0, others, width):
                row, column = slice(a, a + height), slice(b, b + width)
                tile.fill(
                    queries[row],
                    keys[column],
                    None if query_mask is None else query_mask[row],
                    None if key_mask is None else key_mask[column],
                )
                score, best_key[row, :, column] = tile.best(3)  # (R, N, C)
                result[row, column] += (score * query_share[row, :, None]).sum(1)
                score, best_query[row, column] = tile.best(1)  # (R, C, M)
                result[row, column] += (score * key_share[column]).sum(2)
        ctx.save_for_backward(query, key, query_share, key_share, best_key, best_query)
        return result.to(query.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, query_share, key_share, best_key, best_query = ctx.saved_tensors
        gradient = gradients[0].to(query_share.dtype)  # (A, B)
        from_key = Winners(best_key, gradient[:, None] * query_share[:, :, None], key.shape[1])
        from_query = Winners(
            best_query.permute(1, 2, 0), gradient.T[:, None] * key_share[:, :, None], query.shape[1]
        )
        for_query = for_key = None
        if ctx.needs_input_grad[0]:
            for_query = from_key.collect(key).add_(from_query.spread(key))
        if ctx.needs_input_grad[1]:
            for_key = from_query.collect(query).add_(from_key.spread(query))
        return for_query, for_key, None, None, None


class Winners:
    """A sparse (A N, B M) matrix: row (a, i) holds, for every set b, a weight at the token that won there.

    place: (A, N, B), which of the M tokens of set b won. weight: (A, N, B). places: M.
    """

    def __init__(self, place: Integer[Tensor, "A N B"], weight: Float[Tensor, "A N B"], places: int):
        self.sets, self.tokens, self.others = place.shape
        self.places = places
        first = torch.arange(self.others, dtype=torch.int32, device=place.device) * places
        self.column = (place.to(torch.int32) + first).view(-1, self.others)
        self.weight = weight.reshape(-1, self.others)

    def collect(self, x: Float[Tensor, "B M D"]) -> Float[Tensor, "A N D"]:
        """The matrix times x."""
        weight = self.weight.to(x.dtype)
        total = F.embedding_bag(self.column, x.flatten(0, 1), mode="sum", per_sample_weights=weight)
        return total.view(self.sets, self.tokens, -1)

    def spread(self, x: Float[Tensor, "A N D"]) -> Float[Tensor, "B M D"]:
        """The transposed matrix times x."""
        column, order = self.column.flatten().sort(stable=True)
        row = (order // self.others).to(torch.int32)
        count = torch.bincount(column, minlength=self.others * self.places)
        start = (count.cumsum(0) - count).to(torch.int32)
        weight = self.weight.flatten()[order].to(x.dtype)
        total = F.embedding_bag(row, x.flatten(0, 1), start, mode="sum", per_sample_weights=weight)
        return total.view(self.others, self.places, -1)


def shares(tokens: Float[Tensor, "A N D"], mask: Bool[Tensor, "A N"] | None) -> Float[Tensor, "A N"]:
    """The weight of every token in the mean over its set, halved since two directions are averaged."""
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    if mask is None:
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return mask.to(dtype) / (2 * mask.sum(1, keepdim=True))


def index_dtype(size: int) -> torch.dtype:
    """The smallest integers that number `size` tokens."""
    return torch.uint8 if size <= 2**8 else torch.int16 if size <= 2**15 else torch.int32
