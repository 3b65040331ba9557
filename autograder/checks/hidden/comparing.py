"""What the hidden checks compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checks.exercise import TOLERANCE


def same(got: Tensor, expected: Tensor, tolerance: float | None = None) -> None:
    """Raises AssertionError where two tensors differ by more than the order of a sum.

    tolerance: relative and absolute; None takes that of the visible checks. The type of the numbers does not count.
    """
    relative, absolute = (tolerance, tolerance) if tolerance else TOLERANCE[expected.dtype]
    torch.testing.assert_close(got, expected, rtol=relative, atol=absolute, check_dtype=False)


def has_slopes(function: Callable[..., Any], *inputs: Tensor) -> None:
    """Raises GradcheckError where the gradients of a function are not the slopes of its values. inputs: float64."""
    leaves = tuple(x.requires_grad_() for x in inputs)
    torch.autograd.gradcheck(function, leaves, fast_mode=True, check_undefined_grad=False)


def learns(module: nn.Module, loss: Tensor, *silent: str) -> None:
    """Raises AssertionError where a loss has no gradient for a parameter, those named as `silent` aside."""
    loss.backward()
    deaf = [name for name, each in module.named_parameters() if each.grad is None or not each.grad.any()]
    assert sorted(deaf) == sorted(silent)
