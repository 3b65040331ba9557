"""Problem set 1, hidden: InfoNCE."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from autograder.checks.inputs import numbers
from autograder.proxy import Pieces
from idc.pieces import info_nce

from .comparing import has_slopes, same

LOSS, GRADIENT = pytest.mark.exercise("ps1.1"), pytest.mark.exercise("ps1.2")


@LOSS
def test_the_gradient_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    has_slopes(student.info_nce, numbers(rng, 3, 3, scale=2))


@LOSS
def test_partners_are_pulled_and_all_others_pushed(student: Pieces, rng: np.random.Generator) -> None:
    similarity = numbers(rng, 6, 6).requires_grad_()
    student.info_nce(similarity).backward()
    assert similarity.grad is not None
    pull = similarity.grad.diagonal()
    assert (pull < 0).all()
    assert (similarity.grad - pull.diag() >= 0).all()


@LOSS
def test_the_order_of_the_batch_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
    similarity, order = numbers(rng, 7, 7), torch.from_numpy(rng.permutation(7))
    same(student.info_nce(similarity[order][:, order]), student.info_nce(similarity))


@LOSS
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e2, 1e4])
def test_of_any_size(student: Pieces, rng: np.random.Generator, scale: float) -> None:
    similarity = numbers(rng, 5, 5, scale=scale, dtype=torch.float32)
    same(student.info_nce(similarity).double(), info_nce(similarity.double()), 1e-4)


@LOSS
def test_who_is_sure_and_right_pays_nothing(student: Pieces, rng: np.random.Generator) -> None:
    same(student.info_nce(1e3 * torch.eye(9)), torch.zeros(()))
    same(student.info_nce(numbers(rng, 1, 1)), torch.zeros((), dtype=torch.float64))


@LOSS
def test_a_large_batch(student: Pieces) -> None:
    same(student.info_nce(torch.zeros(200, 200)), torch.tensor(math.log(200)))


@GRADIENT
def test_a_step_downhill_lowers_the_loss(student: Pieces, rng: np.random.Generator) -> None:
    similarity = numbers(rng, 5, 5)
    step = student.info_nce_gradient(similarity)
    assert info_nce(similarity - 0.1 * step) < info_nce(similarity)


@GRADIENT
def test_the_order_of_the_batch_moves_along(student: Pieces, rng: np.random.Generator) -> None:
    similarity, order = numbers(rng, 5, 5), torch.from_numpy(rng.permutation(5))
    moved = student.info_nce_gradient(similarity[order][:, order])
    same(moved, student.info_nce_gradient(similarity)[order][:, order])


@GRADIENT
def test_no_force_where_all_is_said(student: Pieces, rng: np.random.Generator) -> None:
    same(student.info_nce_gradient(1e3 * torch.eye(4)), torch.zeros(4, 4))
    same(student.info_nce_gradient(numbers(rng, 1, 1)), torch.zeros(1, 1, dtype=torch.float64))


@GRADIENT
@pytest.mark.parametrize("scale", [1e-30, 1e2, 1e4])
def test_forces_of_any_size(student: Pieces, rng: np.random.Generator, scale: float) -> None:
    similarity = numbers(rng, 4, 4, scale=scale)
    (right,) = torch.autograd.grad(info_nce(similarity.requires_grad_()), similarity)
    same(student.info_nce_gradient(similarity.detach().float()).double(), right, 1e-3)


@GRADIENT
def test_it_is_the_slope_of_the_loss(student: Pieces, rng: np.random.Generator) -> None:
    class Loss(torch.autograd.Function):
        """The loss with the student's gradient, so that the two are compared."""

        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, similarity: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(similarity)
            return info_nce(similarity)

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, *want: torch.Tensor) -> torch.Tensor:
            (similarity,) = ctx.saved_tensors  # type: ignore[attr-defined]
            return want[0] * student.info_nce_gradient(similarity)

    has_slopes(Loss.apply, numbers(rng, 4, 4))
