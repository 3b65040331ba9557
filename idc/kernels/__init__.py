"""Fast twins of the pieces: the same numbers in less time and memory. The pieces are their oracles in the tests.

KERNELS, the one argument that chooses:

auto         what is fastest here without changing a result by more than rounding
plain        the pieces as they are read
tiled        matching and attention a tile at a time; few words ask a picture without its keys and values; CBR folded
tiled-bf16   the same, with matching scores in bfloat16: near ties may be decided the other way
"""

from __future__ import annotations

import logging
from functools import cache, partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from idc.kernels.absorbed import absorbed_cross_attention, pays
from idc.kernels.attention import lean_attention
from idc.kernels.matching import tiled_matching
from idc.pieces.attention import CrossAttention, attend
from idc.pieces.chosen import pieces
from idc.pieces.matching import Matching, multi_head_token_matching

log = logging.getLogger(__name__)
Kernels = Literal["auto", "plain", "tiled", "tiled-bf16"]
KERNELS: tuple[str, ...] = get_args(Kernels)
TILED_DEVICES = ("cpu", "cuda")
LARGE_MAP = 2**20  # numbers in an attention map from which on making it in parts pays


@cache
def say(kernels: str, device: str) -> None:
    """Say once which functions are taken."""
    log.info("matching and attention on %s: %s", device, kernels)


def chosen(kernels: str, device: torch.device) -> str:
    """What `kernels` means on a device."""
    if kernels == "auto":
        kernels = "tiled" if device.type in TILED_DEVICES else "plain"
    say(kernels, device.type)
    return kernels


def choose_matching(kernels: str, heads: int, mode: str) -> Matching:
    """The matching that `kernels` names. Raises ValueError for an unknown name."""
    check(kernels)
    if "multi_head_token_matching" in pieces.own:
        log.info("matching: yours")
        own = pieces.multi_head_token_matching
        return lambda query, key: own(query, key, heads, mode)  # its arguments may have other names
    if "token_matching" in pieces.own:
        log.info("matching: yours")
        return partial(multi_head_token_matching, heads=heads, mode=mode, match=pieces.token_matching)

    def matching(query: Tensor, key: Tensor) -> Tensor:
        name = chosen(kernels, query.device)
        if name == "plain":
            return multi_head_token_matching(query, key, heads, mode)
        return tiled_matching(query, key, heads, mode, torch.bfloat16 if name == "tiled-bf16" else None)

    return matching


def choose_attend(kernels: str) -> Any:
    """The attention that `kernels` names. Raises ValueError for an unknown name."""
    check(kernels)
    if "attention" in pieces.own:
        log.info("attention: yours")
        return partial(attend, attention=pieces.attention)
    return attend if kernels == "plain" else partial(attend_fast, kernels)


def attend_fast(
    kernels: str, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0
) -> tuple[Tensor, Tensor | None]:
    batch, heads, rows, _ = query.shape
    small = batch * heads * rows * key.shape[2] < LARGE_MAP
    if chosen(kernels, query.device) == "plain" or (kernels == "auto" and small):
        return attend(query, key, value, mask, dropout)
    return lean_attention(query, key, value, mask, dropout)


def choose_ask(kernels: str) -> Any:
    """How words ask a picture: (attention, words, picture) -> (context, weights). Raises ValueError for an unknown name."""
    check(kernels)
    if kernels == "plain" or pieces.own.keys() & {"attention", "CrossAttention"}:
        return CrossAttention.__call__
    return partial(ask_fast, kernels)


def ask_fast(
    kernels: str, attention: CrossAttention, x: Tensor, picture: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Cross-attention of words to a picture, absorbed where that means less work."""
    few = pays(x.shape[1], picture.shape[1], x.shape[2], attention.heads)
    if type(attention) is CrossAttention and few and chosen(kernels, x.device) != "plain":
        return absorbed_cross_attention(attention, x, picture)
    return attention(x, picture)


def check(kernels: str) -> None:
    if kernels not in KERNELS:
        raise ValueError(f"kernels must be one of {', '.join(KERNELS)}, not “{kernels}”")
