"""InfoNCE over the batches of all processes, with exact gradients."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from idc.pieces.matching import Matching


def processes() -> int:
    """How many processes train together; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class Gather(torch.autograd.Function):
    """Rows of all processes, in rank order. Backward: the gradient of all processes' losses, own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(rows: Tensor) -> Tensor:
    """(B, …) on each of W processes -> (W B, …) on every one, differentiable; unchanged when W = 1."""
    return Gather.apply(rows) if processes() > 1 else rows


def across_processes(matching: Matching) -> Matching:
    """A matching whose result covers the batches of all processes: (B, N, D) each -> (W B, W B).

    Every process compares its own queries with everybody's keys, then the rows are gathered. Each process
    so sees the whole loss; its gradient counts every process's copy of it, and the mean that
    DistributedDataParallel takes makes it exact again.
    """

    def matched(query: Tensor, key: Tensor) -> Tensor:
        return gather(matching(query, gather(key)))

    return matched


def global_mean(total: Tensor, count: Tensor) -> Tensor:
    """sum of `total` over processes / sum of `count`, as a share whose mean over processes is that value."""
    if processes() > 1:
        count = count.clone()
        dist.all_reduce(count)
    return processes() * total / count.clamp(min=1)
