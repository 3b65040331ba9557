"""Tiled matching against the piece."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from idc.kernels import matching as kernel
from idc.kernels.matching import tiled_matching, tiled_token_matching
from idc.pieces.matching import multi_head_token_matching, token_matching

SHAPES = [(33, 33, 49, 49, 384), (5, 3, 7, 11, 6), (1, 1, 4, 4, 3), (2, 9, 1, 300, 5)]  # A, B, N, M, D


def tokens(sets: int, count: int, dim: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sets, count, dim, generator=generator, dtype=dtype)


def both(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    a, b, n, m, d = shape
    return tokens(a, n, d, 0, dtype).requires_grad_(), tokens(b, m, d, 1, dtype).requires_grad_()


def result(match: object, query: Tensor, key: Tensor, *masks: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Similarities, and the gradients of a weighted sum of them."""
    similarity = match(query, key, *masks)  # type: ignore[operator]
    weight = torch.linspace(-1, 2, similarity.numel(), dtype=similarity.dtype).view_as(similarity)
    return (similarity.detach(), *torch.autograd.grad((similarity * weight).sum(), (query, key)))


def close(left: tuple[Tensor, ...], right: tuple[Tensor, ...], tolerance: float) -> None:
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture(params=[1, 200, 2**19])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair a tile, a few pairs with a remainder, and everything in one tile."""
    monkeypatch.setitem(kernel.NUMBERS, "cpu", request.param)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_the_piece(shape: tuple[int, ...]) -> None:
    query, key = both(shape)
    close(result(tiled_token_matching, query, key), result(token_matching, query, key), 1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_single_precision(shape: tuple[int, ...]) -> None:
    """Scores are whole numbers, so that no rounding decides a maximum differently."""
    query, key = (x.detach().mul(3).round().float().requires_grad_() for x in both(shape))
    mine, theirs = result(tiled_token_matching, query, key), result(token_matching, query, key)
    close(mine[:1], theirs[:1], 1e-6)


def test_single_precision_gradients_without_ties() -> None:
    query, key = both((6, 6, 9, 9, 16), torch.float32)
    close(result(tiled_token_matching, query, key), result(token_matching, query, key), 1e-5)


@pytest.mark.usefixtures("small_tiles")
def test_gradcheck() -> None:
    query, key = both((3, 2, 4, 5, 3))
    assert torch.autograd.gradcheck(tiled_token_matching, (query, key))
    assert torch.autograd.gradcheck(tiled_token_matching, (query, key.detach()))
    query_mask, key_mask = torch.rand(3, 4) > 0.3, torch.rand(2, 5) > 0.3
    query_mask[:, 0] = key_mask[:, 0] = True
    assert torch.autograd.gradcheck(tiled_token_matching, (query, key, query_mask, key_mask))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_padding_never_wins_and_never_counts(dtype: torch.dtype) -> None:
    """Padding that would win everything changes nothing; cutting it off gives the same."""
    query, key = (x.detach().mul(4).round().to(dtype) for x in both((4, 3, 6, 5, 8)))
    query_mask, key_mask = torch.ones(4, 6, dtype=torch.bool), torch.ones(3, 5, dtype=torch.bool)
    query_mask[:, 4:], key_mask[:, 3:] = False, False
    query[:, 4:], key[:, 3:] = 100, -100
    for match in (token_matching, tiled_token_matching):
        masked = match(query, key, query_mask, key_mask)
        cut = match(query[:, :4], key[:, :3])
        torch.testing.assert_close(masked, cut)


def test_padding_gets_no_gradient() -> None:
    query, key = both((3, 3, 5, 4, 6))
    query_mask = torch.tensor([True, True, True, False, False]).expand(3, -1)
    key_mask = torch.tensor([True, True, False, False]).expand(3, -1)
    mine = result(tiled_token_matching, query, key, query_mask, key_mask)
    close(mine, result(token_matching, query, key, query_mask, key_mask), 1e-12)
    assert not mine[1][:, 3:].any() and not mine[2][:, 2:].any()
    assert mine[1][:, :3].any() and mine[2][:, :2].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_tie_gives_its_gradient_to_one_token(dtype: torch.dtype) -> None:
    query = torch.ones(2, 3, 4, dtype=dtype, requires_grad=True)  # everything fits everything equally well
    key = torch.ones(2, 3, 4, dtype=dtype, requires_grad=True)
    similarity, for_query, for_key = result(tiled_token_matching, query, key)
    assert (similarity == 4).all()
    _, query_piece, key_piece = result(token_matching, query, key)
    for mine, piece in ((for_query, query_piece), (for_key, key_piece)):
        torch.testing.assert_close(mine.sum((1, 2)), piece.sum((1, 2)))  # nothing lost, nothing twice


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_places_of_equal_and_negative_scores_are_places(sign: float) -> None:
    query = torch.full((1, 2, 1), sign)
    key = torch.tensor([[[1.0], [1.0], [1.0]]])
    tile = kernel.Tile(6, torch.float32, torch.device("cpu"))
    tile.fill(query, key, None, None)
    score, place = tile.best(3)
    assert (score == sign).all() and ((place >= 0) & (place < 3)).all()


@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_heads(mode: str) -> None:
    query, key = both((4, 3, 6, 5, 12))
    mine = partial(tiled_matching, heads=3, mode=mode)
    piece = partial(multi_head_token_matching, heads=3, mode=mode)
    close(result(mine, query, key), result(piece, query, key), 1e-12)


def test_wrong_heads_and_modes_are_refused() -> None:
    query, key = both((2, 2, 3, 3, 4))
    with pytest.raises(ValueError, match="4 is not a multiple of 3"):
        tiled_matching(query, key, 3, "separate")
    with pytest.raises(ValueError, match="not “both”"):
        tiled_matching(query, key, 2, "both")


def test_half_precision_tiles_flip_few_winners_and_keep_the_scores() -> None:
    query, key = both((8, 8, 49, 49, 128), torch.float32)
    mine = result(partial(tiled_token_matching, tile_dtype=torch.bfloat16), query, key)
    exact = result(token_matching, query, key)
    torch.testing.assert_close(mine[0], exact[0], rtol=4e-3, atol=0)
    assert mine[1].dtype == torch.float32
    flips = flip_rate(query, key)
    assert 0 < flips < 0.05
    # The gradients of the winners that did not flip are exact, so the rest is bounded by the flips.
    assert (mine[1] - exact[1]).norm() < 3 * flips**0.5 * exact[1].norm()


def flip_rate(query: Tensor, key: Tensor) -> float:
    """The share of winners that bfloat16 scores decide otherwise."""
    exact = torch.einsum("and,bmd->abnm", query, key)
    rounded = torch.einsum("and,bmd->abnm", query.bfloat16(), key.bfloat16())
    flipped = [exact.argmax(dim) != rounded.argmax(dim) for dim in (2, 3)]
    return torch.cat([x.flatten() for x in flipped]).float().mean().item()


def test_autocast_works_in_half_precision() -> None:
    query, key = both((3, 3, 5, 5, 8), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        similarity = tiled_token_matching(query, key)
    assert similarity.dtype == torch.bfloat16
    similarity.float().sum().backward()
    assert query.grad is not None and query.grad.dtype == torch.float32
    torch.testing.assert_close(similarity.float(), token_matching(query, key), rtol=2e-2, atol=2e-2)


def test_deterministic_mode() -> None:
    query, key = both((5, 5, 9, 9, 16), torch.float32)
    torch.use_deterministic_algorithms(True)
    try:
        runs = [result(tiled_token_matching, query, key) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_what_is_kept_for_the_way_back_is_small() -> None:
    """Arguments, a byte per winner and a number per token, never the product."""
    query, key = both((16, 16, 49, 49, 8), torch.float32)
    similarity = tiled_token_matching(query, key)
    saved = similarity.grad_fn.saved_tensors  # type: ignore[union-attr]
    assert {x.dtype for x in saved} == {torch.float32, torch.uint8}
    product = 16 * 16 * 49 * 49 * 4
    assert sum(x.nbytes for x in saved) < 0.05 * product
