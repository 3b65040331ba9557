"""Token matching forward and backward: the released operation against tiles.

The peer is the published computation: one einsum over all tokens of all pairs, a maximum along either side, their means;
with separate heads the same einsum with the heads kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Case, Options
from idc.kernels.matching import tiled_matching, tiled_token_matching

GOAL = "P1"
TITLE = "token matching, forward and backward"
HEADS = 8
SHAPES = ((33, 49, 384), (8, 196, 512), (5, 7, 64))  # B, N, D


def einsum(query: Tensor, key: Tensor) -> Tensor:
    product = torch.einsum("and,bmd->abnm", query, key)
    return (product.max(-1).values.mean(-1) + product.max(-2).values.mean(-1)) / 2


def einsum_heads(query: Tensor, key: Tensor) -> Tensor:
    q, k = (x.unflatten(-1, (HEADS, -1)) for x in (query, key))
    product = torch.einsum("anhd,bmhd->abhnm", q, k)
    return (product.max(-1).values.mean((-1, -2)) + product.max(-2).values.mean((-1, -2))) / 2


VARIANTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "einsum": einsum,
    "tiled": tiled_token_matching,
    "tiled, bfloat16": partial(tiled_token_matching, tile_dtype=torch.bfloat16),
    "einsum, heads": einsum_heads,
    "tiled, heads": partial(tiled_matching, heads=HEADS, mode="separate"),
}


def tokens(batch: int, count: int, dim: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    query, key = (torch.randn(batch, count, dim, generator=generator) / dim**0.25 for _ in range(2))
    return query.requires_grad_(), key.requires_grad_()


def gradients(match: Callable[[Tensor, Tensor], Tensor], query: Tensor, key: Tensor) -> tuple[Tensor, ...]:
    similarity = match(query, key)
    loss = (similarity.logsumexp(1) - similarity.diagonal()).mean()
    return similarity.detach(), *torch.autograd.grad(loss, (query, key))


def check(options: Options) -> list[str]:
    """Values and gradients in three shapes; how many winners bfloat16 decides otherwise."""
    lines = []
    for shape in SHAPES:
        query, key = tokens(*shape)
        for peer, ours in (("einsum", "tiled"), ("einsum, heads", "tiled, heads")):
            theirs = gradients(VARIANTS[peer], query, key)
            mine = gradients(VARIANTS[ours], query, key)
            errors = [(a - b).norm() / b.norm() for a, b in zip(mine, theirs, strict=True)]
            # Two products may round differently and so decide a near tie differently; that moves one gradient row.
            assert errors[0] < 1e-5 and max(errors[1:]) < 1e-2, f"{ours}, {shape}: {errors}"
        exact, rounded = (
            torch.einsum("and,bmd->abnm", q, k) for q, k in ((query, key), (query.bfloat16(), key.bfloat16()))
        )
        flips = torch.cat([(exact.argmax(d) != rounded.argmax(d)).flatten() for d in (2, 3)]).float().mean()
        scores = gradients(VARIANTS["tiled, bfloat16"], query, key)[0]
        far = ((scores - VARIANTS["einsum"](query, key)) / scores).abs().max()
        assert far < 5e-3, f"bfloat16, {shape}: {far}"
        lines.append(f"B, N, D = {shape}; bfloat16 flips {flips:.2%} of the winners, scores within {far:.1e}")
    return lines


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    query, key = tokens(size["batch"], size["tokens"], size["dim"])
    return lambda: gradients(VARIANTS[variant], query, key)


def cases(batch: int, tokens: int, dim: int, repeats: int, full: bool) -> list[Case]:
    size = {"batch": batch, "tokens": tokens, "dim": dim}
    goals = {
        ("einsum", "tiled"): (2.3, 1 / 0.3),
        ("einsum", "tiled, bfloat16"): (3.5, None),
        ("einsum, heads", "tiled, heads"): (2.0, 1 / 0.05),
    }
    return [
        Case(
            f"{ours}, B={batch}, N={tokens}, D={dim}, {threads} thread{'s' * (threads > 1)}",
            peer,
            ours,
            size,
            {"cpu_s" if threads == 1 else "wall_s": speed if full else None}
            | ({"transient_mb": memory} if full and memory else {}),
            threads,
            repeats,
        )
        for threads in ((1, 2) if full else (1,))
        for (peer, ours), (speed, memory) in goals.items()
    ]


large = {"batch": 128, "tokens": 196, "dim": 512}
CASES = {
    "small": cases(16, 98, 256, 5, False),
    "full": [
        *cases(32, 196, 512, 3, True),
        Case(
            "tiled, B=128, N=196, D=512, 2 threads",
            "einsum",
            "tiled",
            large,
            {"wall_s": 2.3, "transient_mb": 10.0},
            2,
            1,
        ),
    ],
}
