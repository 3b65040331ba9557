"""The pieces against loops that spell their formulas out, their gradients, masks and errors."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from idc.pieces import (
    CrossAttention,
    CrossModalBackwardReasoning,
    CrossViewLayer,
    Scorer,
    SelfAttention,
    attention,
    info_nce,
    multi_head_token_matching,
    sentence_vector,
    sinusoidal_encoding,
    token_matching,
)
from idc.pieces.attention import causal_mask
from idc.pieces.scorer import with_coordinates

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}
sizes = st.integers(1, 5)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# InfoNCE


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_info_nce_equals_the_sum_of_its_formula(dtype: torch.dtype) -> None:
    s = random(5, 5, dtype=dtype)
    exact = s.double()
    expected = sum(-math.log(exact[i, i].exp() / exact[i].exp().sum()) for i in range(5)) / 5
    assert info_nce(s).item() == pytest.approx(expected, abs=10 * TOLERANCE[dtype])


def test_info_nce_rows_are_queries() -> None:
    s = random(4, 4)
    assert not torch.isclose(info_nce(s), info_nce(s.T))
    assert torch.isclose(info_nce(s), F.cross_entropy(s, torch.arange(4)))


def test_info_nce_gradient() -> None:
    assert torch.autograd.gradcheck(info_nce, random(4, 4).requires_grad_())


def test_info_nce_is_stable_and_log_b_when_all_are_equal() -> None:
    assert info_nce(torch.full((6, 6), 1e4)).item() == pytest.approx(math.log(6), abs=1e-3)
    assert info_nce(1e4 * torch.eye(3)).item() == 0
    assert info_nce(torch.zeros(1, 1)).item() == 0


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 2, 2)])
def test_info_nce_refuses_what_is_not_square(shape: tuple[int, ...]) -> None:
    with pytest.raises(Exception, match=r"square|similarity"):
        info_nce(torch.zeros(shape))


# positions


@given(st.integers(1, 30), st.integers(1, 20).map(lambda i: 2 * i))
@settings(max_examples=25, deadline=None)
def test_sinusoids_equal_the_formula(length: int, dim: int) -> None:
    encoding = sinusoidal_encoding(length, dim)
    for p in range(length):
        for i in range(dim // 2):
            angle = p / 10000 ** (2 * i / dim)
            assert encoding[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert encoding[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("dim", [7, 0, -2])
def test_sinusoids_refuse_an_odd_width(dim: int) -> None:
    with pytest.raises(ValueError, match="even"):
        sinusoidal_encoding(5, dim)


# attention


@given(sizes, sizes, sizes, sizes)
@settings(max_examples=20, deadline=None)
def test_attention_equals_torchs(batch: int, heads: int, queries: int, keys: int) -> None:
    q, k, v = (
        random(batch, heads, queries, 4),
        random(batch, heads, keys, 4, seed=1),
        random(batch, heads, keys, 3, seed=2),
    )
    context, weights = attention(q, k, v)
    assert torch.allclose(context, F.scaled_dot_product_attention(q, k, v))
    assert torch.allclose(weights.sum(-1), torch.ones(batch, heads, queries, dtype=torch.float64))


def test_attention_looks_only_where_it_may() -> None:
    q, k, v = random(2, 1, 4, 3), random(2, 1, 4, 3, seed=1), random(2, 1, 4, 3, seed=2)
    _, weights = attention(q, k, v, causal_mask(4))
    assert (weights.triu(1) == 0).all()
    assert (weights[..., 0, 0] == 1).all()
    later = v.clone()
    later[:, :, 3] = 99
    kept, changed = (attention(q, k, x, causal_mask(4))[0][:, :, :3] for x in (v, later))
    assert torch.equal(kept, changed)


def test_attention_gradient() -> None:
    inputs = tuple(random(1, 2, 3, 2, seed=i).requires_grad_() for i in range(3))
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, causal_mask(3)), inputs)


def test_self_and_cross_attention_agree_on_the_same_tokens() -> None:
    own = SelfAttention(8, 2, 0.0)
    cross = CrossAttention(8, 2, 0.0)
    cross.load_state_dict(own.state_dict())
    x = random(2, 5, 8, dtype=torch.float32)
    context, weights = cross(x, x)
    assert torch.allclose(own(x), context)
    assert weights.shape == (2, 2, 5, 5)


def test_attention_drops_only_in_training() -> None:
    layer, x = SelfAttention(8, 2, 0.5), random(1, 4, 8, dtype=torch.float32)
    torch.manual_seed(0)
    assert not torch.allclose(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_attention_refuses_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple"):
        SelfAttention(10, 4, 0.0)


# matching


def matching_by_loops(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    result = torch.zeros(len(query), len(key), dtype=query.dtype)
    for a, q in enumerate(query):
        for b, k in enumerate(key):
            e = q @ k.T
            result[a, b] = (e.max(1).values.mean() + e.max(0).values.mean()) / 2
    return result


@given(sizes, sizes, sizes, sizes)
@settings(max_examples=25, deadline=None)
def test_token_matching_equals_loops(a: int, b: int, n: int, m: int) -> None:
    query, key = random(a, n, 6), random(b, m, 6, seed=1)
    assert torch.allclose(token_matching(query, key), matching_by_loops(query, key))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_token_matching_in_each_precision(dtype: torch.dtype) -> None:
    query, key = random(3, 5, 4, dtype=dtype), random(3, 5, 4, seed=1, dtype=dtype)
    expected = matching_by_loops(query.double(), key.double())
    assert torch.allclose(token_matching(query, key).double(), expected, atol=TOLERANCE[dtype] * 3)


def test_token_matching_gradient() -> None:
    inputs = random(3, 4, 2).requires_grad_(), random(2, 3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(token_matching, inputs)


def test_token_matching_sends_a_ties_gradient_to_one_token() -> None:
    key = torch.ones(1, 3, 2, dtype=torch.float64, requires_grad=True)
    token_matching(torch.ones(1, 1, 2, dtype=torch.float64), key).sum().backward()
    assert key.grad is not None
    assert torch.allclose(key.grad.sum(1), torch.ones(1, 2, dtype=torch.float64))


def test_matching_ignores_the_order_of_tokens() -> None:
    query, key = random(2, 5, 4), random(2, 5, 4, seed=1)
    assert torch.allclose(
        token_matching(query, key), token_matching(query[:, torch.randperm(5)], key.flip(1))
    )


def test_heads_joint_and_separate() -> None:
    query, key = random(3, 4, 6), random(3, 4, 6, seed=1)
    assert torch.equal(multi_head_token_matching(query, key, 3), token_matching(query, key))
    separate = multi_head_token_matching(query, key, 3, "separate")
    expected = (
        sum(matching_by_loops(query[..., 2 * h : 2 * h + 2], key[..., 2 * h : 2 * h + 2]) for h in range(3))
        / 3
    )
    assert torch.allclose(separate, expected)
    assert not torch.allclose(separate, token_matching(query, key))
    with pytest.raises(ValueError, match="joint"):
        multi_head_token_matching(query, key, 3, "both")
    with pytest.raises(ValueError, match="multiple"):
        multi_head_token_matching(query, key, 4, "separate")


# SCORER


def test_a_cross_view_layer_treats_both_pictures_alike() -> None:
    layer = CrossViewLayer(8, 2, 0.0)
    x, y = random(3, 5, 8, dtype=torch.float32), random(3, 5, 8, seed=1, dtype=torch.float32)
    there, back = layer(x, y), layer(y, x)
    assert torch.equal(there.before, back.after)
    assert torch.equal(there.similarity_b2a, back.similarity_a2b)
    assert layer(x, y, match=False).similarity_b2a is None


def test_the_logit_scale_starts_at_e() -> None:
    layer = CrossViewLayer(8, 2, 0.0)
    x, y = random(2, 3, 8, dtype=torch.float32), random(2, 3, 8, seed=1, dtype=torch.float32)
    plain = token_matching(layer.attention.query(x), layer.attention.key(y))
    assert torch.allclose(layer(x, y).similarity_b2a, math.e * plain)


def test_coordinates_are_x_then_y() -> None:
    grid = with_coordinates(torch.zeros(1, 1, 2, 4))
    assert grid[0, 1].tolist() == [[-1, -0.5, 0, 0.5]] * 2
    assert grid[0, 2].tolist() == [[-1] * 4, [0] * 4]


def test_scorer_keeps_row_major_tokens_of_any_grid() -> None:
    scorer = Scorer(3, 2, 5, 8, 2, 2, 0.0)
    grid = random(2, 3, 2, 5, dtype=torch.float32)
    tokens = scorer.tokens(grid)
    assert tokens.shape == (2, 10, 8)
    expected = scorer.project(with_coordinates(grid))[0, :, 1, 3] + torch.cat(
        [scorer.column.weight[3], scorer.row.weight[1]]
    )
    assert torch.allclose(tokens[0, 1 * 5 + 3], expected, atol=1e-6)
    difference = scorer(grid, grid.flip(0))
    assert difference.tokens.shape == (2, 10, 8)
    assert (difference.tokens >= 0).all()
    assert difference.similarity_b2a.shape == (2, 2)


def test_scorer_names_the_shapes_that_clash() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2, 5\).*\(3, 5, 2\)"):
        Scorer(3, 2, 5, 8, 2, 1).tokens(torch.zeros(1, 3, 5, 2))


# CBR


def cbr(mean: str = "length") -> CrossModalBackwardReasoning:
    torch.manual_seed(0)
    return CrossModalBackwardReasoning(8, 2, mean).double()


def test_the_sentence_mean_divides_by_length_or_by_words() -> None:
    words, mask = random(2, 4, 8), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    assert torch.allclose(sentence_vector(words, mask)[0], words[0, :2].sum(0) / 4)
    assert torch.allclose(sentence_vector(words, mask, "words")[0], words[0, :2].mean(0))


def test_cbr_does_not_see_padding_and_has_gradient_everywhere() -> None:
    reasoning = cbr()
    before, after = random(3, 4, 8).requires_grad_(), random(3, 4, 8, seed=1).requires_grad_()
    words, mask = random(3, 5, 8, seed=2), torch.tensor([[True] * 3 + [False] * 2] * 3)
    loss = reasoning(before, words, mask, after)
    words[:, 3:] = 7
    assert torch.equal(loss, reasoning(before, words, mask, after))
    loss.backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in (before, after, *reasoning.parameters())
    )


def test_cbr_gradient() -> None:
    reasoning, mask = cbr(), torch.ones(2, 2, dtype=torch.bool)
    inputs = tuple(random(2, 2, 8, seed=i).requires_grad_() for i in range(3))
    assert torch.autograd.gradcheck(lambda b, w, a: reasoning(b, w, mask, a), inputs)


def test_cbr_refuses_unknown_settings() -> None:
    with pytest.raises(ValueError, match="sentence_mean"):
        CrossModalBackwardReasoning(8, 2, "median")
    with pytest.raises(ValueError, match="multiple"):
        CrossModalBackwardReasoning(8, 3)
