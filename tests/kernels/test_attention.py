"""Attention in parts against the piece."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from idc.kernels import attention as kernel
from idc.kernels.attention import lean_attention
from idc.pieces.attention import attend, causal_mask


def arguments(
    batch: int, heads: int, rows: int, columns: int, dim: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> Tensor:  # split into heads as MultiHeadAttention does, so not contiguous
        x = torch.randn(batch, count, heads, dim, generator=generator, dtype=dtype)
        return x.transpose(1, 2).requires_grad_()

    return [tokens(rows), tokens(columns), tokens(columns)]


@pytest.fixture(params=[1, 100, 2**19], autouse=True)
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample a part, some samples with a remainder, and everything at once."""
    monkeypatch.setitem(kernel.NUMBERS, "cpu", request.param)


@pytest.mark.parametrize("masked", [False, True])
def test_context_and_gradients_are_those_of_the_piece(masked: bool) -> None:
    x = arguments(5, 2, 4, 4, 3)
    mask = causal_mask(4) if masked else None
    mine, theirs = lean_attention(*x, mask)[0], attend(*x, mask)[0]
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    weight = torch.linspace(-1, 1, mine.numel(), dtype=mine.dtype).view_as(mine)
    gradients = (torch.autograd.grad((out * weight).sum(), x) for out in (mine, theirs))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradcheck(dropout: float) -> None:
    """With dropout the same entries are dropped each time and on the way back."""

    def context(*x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return lean_attention(*x, causal_mask(4)[:3], dropout)[0]

    assert torch.autograd.gradcheck(context, arguments(3, 2, 3, 4, 2))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    query, key, _ = arguments(6, 2, 50, 60, 4)
    identity = torch.eye(60, dtype=torch.float64).expand(
        6, 2, -1, -1
    )  # the context is the weights themselves
    _, weights = attend(query, key, identity)
    torch.manual_seed(0)
    dropped = lean_attention(query, key, identity, None, 0.25)[0]
    assert weights is not None
    factor = dropped / weights
    assert set(factor.flatten().round(decimals=6).tolist()) == {0.0, round(1 / 0.75, 6)}
    assert abs((factor == 0).double().mean().item() - 0.25) < 0.01  # 36,000 draws: 4.4 standard deviations
    torch.manual_seed(1)
    assert not torch.equal(dropped, lean_attention(query, key, identity, None, 0.25)[0])


def test_everything_dropped_is_nothing() -> None:
    context, _ = lean_attention(*arguments(2, 2, 3, 3, 2), None, 1.0)
    assert not context.any()


def test_the_generator_decides_what_is_dropped() -> None:
    x = arguments(2, 2, 5, 5, 2)
    torch.manual_seed(5)
    first = lean_attention(*x, None, 0.5)[0]
    torch.manual_seed(5)
    assert torch.equal(first, lean_attention(*x, None, 0.5)[0])


def test_weights_are_given_where_no_gradients_are_recorded() -> None:
    x = arguments(2, 2, 3, 4, 2)
    assert lean_attention(*x)[1] is None
    with torch.no_grad():
        context, weights = lean_attention(*x)
        torch.testing.assert_close(weights, attend(*x)[1])
        torch.testing.assert_close(context, attend(*x)[0])


def test_autocast_works_in_half_precision() -> None:
    x = arguments(3, 2, 5, 6, 4, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        context = lean_attention(*x)[0]
    assert context.dtype == torch.bfloat16
    torch.testing.assert_close(context.float(), attend(*x)[0], rtol=3e-2, atol=3e-2)
    context.float().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.dtype == torch.float32 for tensor in x)


def test_no_map_is_kept() -> None:
    x = arguments(8, 2, 40, 40, 4)
    context = lean_attention(*x, None, 0.1)[0]
    saved = [t for t in context.grad_fn.saved_tensors if t is not None]  # type: ignore[union-attr]
    assert max(t.numel() for t in saved) == x[0].numel()
