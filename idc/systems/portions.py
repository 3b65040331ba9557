"""A loss in portions: the gradient of one is taken before the next is computed, so that only one is in memory.

What several portions begin with is computed once. The first ones get it cut off from its making and leave their gradients
on the cut; the last one gets it whole, and on its way back hands on their gradients with its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Portion = Callable[
    [], dict[str, Tensor]
]  # a share of every part of the loss; the sum over the portions is the loss


def cut(x: Tensor) -> Tensor:
    """The same numbers, at which the way back ends."""
    return x.detach().requires_grad_(x.requires_grad)


class Rejoin(torch.autograd.Function):
    """The whole; its gradient is the one that comes and the one that was left on the cut."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, at: Tensor) -> Tensor:
        ctx.save_for_backward(at)  # and not as an attribute, which would outlive the way back
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        left = ctx.saved_tensors[0].grad
        return (gradients[0] if left is None else gradients[0] + left), None


def rejoin(whole: Tensor, at: Tensor) -> Tensor:
    return Rejoin.apply(whole, at) if whole.requires_grad else whole
