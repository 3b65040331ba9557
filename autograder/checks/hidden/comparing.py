"""What the hidden checks compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checks.exercise import STEP, TOLERANCE


def same(got: Tensor, expected: Tensor, tolerance: float | None = None) -> None:
    """Raises AssertionError where two tensors differ by more than the order of a sum.

    tolerance: relative and absolute; None takes that of the visible checks. The type of the numbers does not count.
    """
    relative, absolute = (tolerance, tolerance) if tolerance else TOLERANCE[expected.dtype]
    torch.testing.assert_close(got, expected, rtol=relative, atol=absolute, check_dtype=False)


def has_slopes(function: Callable[..., Any], *inputs: Tensor) -> None:
    """Raises AssertionError where the gradients of a function are not the slopes of its values. inputs: float64.

    The slope is that of a random weighing of the outputs along a random direction of all inputs together: four calls, where
    torch.autograd.gradcheck, which takes student's pieces as well, makes dozens.
    """
    outputs = tensors(function(*(x.requires_grad_() for x in inputs)))
    weights = [torch.randn_like(output) for output in outputs]
    directions = [torch.randn_like(x) for x in inputs]
    found = torch.autograd.grad(outputs, inputs, weights, allow_unused=True, materialize_grads=True)

    def at(step: float) -> Tensor:
        """The weighed sum some way along the directions."""
        with torch.no_grad():
            for x, direction in zip(inputs, directions, strict=True):
                x += step * direction
            moved = tensors(function(*inputs))
            for x, direction in zip(inputs, directions, strict=True):
                x -= step * direction
        return dot(moved, weights)

    torch.testing.assert_close(
        dot(found, directions), (at(STEP) - at(-STEP)) / (2 * STEP), rtol=1e-4, atol=1e-5
    )


def tensors(result: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)


def dot(some: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    return torch.stack([(one * other).sum() for one, other in zip(some, others, strict=True)]).sum()


def learns(module: nn.Module, loss: Tensor, *silent: str) -> None:
    """Raises AssertionError where a loss has no gradient for a parameter, those named as `silent` aside."""
    loss.backward()
    deaf = [name for name, each in module.named_parameters() if each.grad is None or not each.grad.any()]
    assert sorted(deaf) == sorted(silent)
