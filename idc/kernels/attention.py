"""Attention with dropout, a few samples at a time: no (B, H, Lq, Lk) maps in memory.

The maps of a few samples are made, used and forgotten; on the way back they are made again, dropout included, since its
random bits come from a seed that is kept. Memory then grows with the tokens and not with their square.

With weights W = softmax(Q K^T / sqrt(d)), dropout factors Z, context C = (W Z) V and a gradient dC:

    dV = (W Z)^T dC,   dW = Z (dC V^T),   dS = W (dW - rowsum(W dW)),   dQ = dS K / sqrt(d),   dK = dS^T Q / sqrt(d)

Dao et al. 2022 (FlashAttention), section 3, without its tiles along the keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from idc.pieces.attention import Mask, attend

NUMBERS = {"cpu": 2**19, "cuda": 2**27}  # of a part of the map
LEVELS = 2**16  # a dropout decision takes 16 random bits


def lean_attention(
    query: Float[Tensor, "B H Lq d"],
    key: Float[Tensor, "B H Lk d"],
    value: Float[Tensor, "B H Lk dv"],
    mask: Mask | None = None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "B H Lq dv"], Float[Tensor, "B H Lq Lk"] | None]:
    """`idc.pieces.attention.attend` in parts; the weights are None while gradients are recorded.

    The share that is dropped is `dropout` rounded to 1 / 65536, and what is kept is scaled to match.
    """
    if not torch.is_grad_enabled():
        return attend(query, key, value, mask, dropout)
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    return LeanAttention.apply(query, key, value, mask, dropout), None


class Parts:
    """The map of a call, part by part, the same each time it is gone through; the heads of a part are one batch."""

    def __init__(self, query: Tensor, key: Tensor, mask: Tensor | None, dropout: float, seed: int):
        self.query, self.key, self.seed = query, key, seed
        self.dropped = round(dropout * LEVELS)
        self.scale = 1 / math.sqrt(query.shape[-1])
        shape = (*query.shape[:3], key.shape[2])
        self.mask = None if mask is None else mask.expand(shape)
        self.dtype = torch.promote_types(query.dtype, torch.float32)
        limit = NUMBERS.get(query.device.type, NUMBERS["cpu"])
        self.step = max(1, limit // math.prod(shape[1:]))

    @property
    def boost(self) -> float:
        """What is kept is scaled up by this factor."""
        return LEVELS / (LEVELS - self.dropped) if self.dropped < LEVELS else 0.0

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Samples, their weights (b H, Lq, Lk), and 0 for what is dropped, 1 for what stays (None: everything)."""
        generator = torch.Generator(self.query.device).manual_seed(self.seed)
        kept = None
        for start in range(0, len(self.query), self.step):
            part = slice(start, start + self.step)
            scores = product(rows(self.query[part]), rows(self.key[part]).mT, self.scale).to(self.dtype)
            if self.mask is not None:
                scores.masked_fill_(~rows(self.mask[part]), -math.inf)
            weights = scores.softmax(-1)
            if self.dropped:
                numbers = torch.empty(-(-weights.numel() // 4), dtype=torch.int64, device=weights.device)
                numbers.random_(-(2**63), None, generator=generator)  # four decisions in each
                levels = numbers.view(torch.int16)[: weights.numel()].view(weights.shape)
                # A comparison that writes numbers is many times faster than one that writes truths to convert.
                kept = torch.ge(levels, self.dropped - LEVELS // 2, out=torch.empty_like(weights))
            yield part, weights, kept


def rows(x: Shaped[Tensor, "b H L d"]) -> Shaped[Tensor, "bH L d"]:
    """The heads of all samples, one after the other, as fast products need them."""
    return x.contiguous().flatten(0, 1)


def product(a: Float[Tensor, "n i k"], b: Float[Tensor, "n k j"], factor: float) -> Float[Tensor, "n i j"]:
    """factor a b"""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=factor)


class LeanAttention(torch.autograd.Function):
    """Keeps queries, keys, values and a seed."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
    ) -> Tensor:
        seed = int(torch.randint(2**62, ())) if dropout else 0
        parts = Parts(query, key, mask, dropout, seed)
        batch, heads, words, _ = query.shape
        # Laid out as the tokens that the heads are joined to, so that joining them copies nothing.
        context = value.new_empty(batch, words, heads, value.shape[-1]).transpose(1, 2)
        for part, weights, kept in parts:
            used = weights if kept is None else weights.mul_(kept)
            found = product(used.to(value.dtype), rows(value[part]), parts.boost)
            context[part] = found.unflatten(0, (-1, heads))
        ctx.save_for_backward(query, key, value, mask)
        ctx.dropout, ctx.seed = dropout, seed
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        parts = Parts(query, key, mask, ctx.dropout, ctx.seed)
        for_query, for_key, for_value = (torch.empty_like(x) for x in (query, key, value))
        heads = query.shape[1]
        for part, weights, kept in parts:
            gradient = rows(gradients[0][part])
            slope = product(gradient, rows(value[part]).mT, parts.boost).to(weights.dtype)
            used = weights
            if kept is not None:
                slope.mul_(kept)
                used = kept.mul_(weights)
            found = product(used.to(value.dtype).mT, gradient, parts.boost)
            for_value[part] = found.unflatten(0, (-1, heads))
            slope = torch._softmax_backward_data(slope, weights, -1, weights.dtype).to(value.dtype)
            for_query[part] = product(slope, rows(key[part]), parts.scale).unflatten(0, (-1, heads))
            for_key[part] = product(slope.mT, rows(query[part]), parts.scale).unflatten(0, (-1, heads))
        return for_query, for_key, for_value, None, None
