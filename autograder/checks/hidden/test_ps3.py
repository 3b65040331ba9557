"""Problem set 3, hidden: attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from autograder.checks.inputs import numbers
from autograder.proxy import Module, Pieces
from idc.pieces import attention
from idc.pieces.attention import causal_mask, join_heads

from .comparing import has_slopes, learns, same

ATTENTION, SPLIT = pytest.mark.exercise("ps3.1"), pytest.mark.exercise("ps3.2")
MANY, SELF, CROSS = (pytest.mark.exercise(f"ps3.{number}") for number in (3, 4, 5))


def projected(tokens: Tensor, layer: Module) -> Tensor:
    """Tokens through one of the three projections of an attention."""
    return torch.nn.functional.linear(tokens, layer.weight, layer.bias)


# ps3.1


@ATTENTION
def test_the_gradient_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    query, key, value = numbers(rng, 2, 2, 3, 4), numbers(rng, 2, 2, 5, 4), numbers(rng, 2, 2, 5, 2)
    mask = torch.tensor([[True, False, True, True, True]])
    has_slopes(lambda *parts: student.attention(*parts, mask), query, key, value)


@ATTENTION
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1, 1, 1), (1, 3, 2, 7, 4, 5), (3, 1, 6, 1, 2, 3), (2, 2, 3, 4, 64, 1)]
)
def test_of_any_size(student: Pieces, rng: np.random.Generator, sizes: tuple[int, ...]) -> None:
    """Also values of another width than the keys."""
    batch, heads, asking, asked, width, told = sizes
    query, key = numbers(rng, batch, heads, asking, width), numbers(rng, batch, heads, asked, width)
    value = numbers(rng, batch, heads, asked, told)
    for got, right in zip(student.attention(query, key, value), attention(query, key, value), strict=True):
        same(got, right)


@ATTENTION
@pytest.mark.parametrize("shape", [(1, 5), (3, 5), (2, 1, 1, 5), (2, 1, 3, 5), (2, 2, 3, 5)])
def test_a_mask_of_any_shape(student: Pieces, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    mask = torch.from_numpy(rng.random(shape) < 0.5)
    mask[..., 2] = True
    parts = numbers(rng, 2, 2, 3, 4), numbers(rng, 2, 2, 5, 4), numbers(rng, 2, 2, 5, 4)
    for got, right in zip(student.attention(*parts, mask), attention(*parts, mask), strict=True):
        same(got, right)


@ATTENTION
def test_what_is_hidden_never_wins(student: Pieces, rng: np.random.Generator) -> None:
    """Not even where it fits a hundred times better than all the rest."""
    query, key, value = numbers(rng, 1, 1, 1, 4), numbers(rng, 1, 1, 4, 4), numbers(rng, 1, 1, 4, 3)
    key[..., 1, :] = 100 * query[..., 0, :]
    mask = torch.tensor([[True, False, True, True]])
    context, weights = student.attention(query, key, value, mask)
    assert weights[..., 1].max() < 1e-9
    left = [0, 2, 3]
    same(context, student.attention(query, key[:, :, left], value[:, :, left])[0])


@ATTENTION
def test_equals_share(student: Pieces, rng: np.random.Generator) -> None:
    key, value = numbers(rng, 1, 2, 1, 4).expand(1, 2, 6, 4), numbers(rng, 1, 2, 6, 3)
    context, weights = student.attention(numbers(rng, 1, 2, 3, 4), key, value)
    same(weights, torch.full_like(weights, 1 / 6))
    same(context, value.mean(2, keepdim=True).expand_as(context))


@ATTENTION
def test_what_all_keys_have_in_common_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
    query, key, value = numbers(rng, 2, 1, 3, 4), numbers(rng, 2, 1, 5, 4), numbers(rng, 2, 1, 5, 4)
    first, moved = (
        student.attention(query, key, value),
        student.attention(query, key + numbers(rng, 4), value),
    )
    same(moved[0], first[0])
    same(moved[1], first[1])


# ps3.2


@SPLIT
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 5, 6, 1), (2, 5, 6, 6), (3, 1, 8, 4), (1, 7, 12, 3)])
def test_there_and_back_again(student: Pieces, rng: np.random.Generator, sizes: tuple[int, ...]) -> None:
    batch, length, width, heads = sizes
    x = numbers(rng, batch, length, width)
    parts = student.split_heads(x, heads)
    assert parts.shape == (batch, heads, length, width // heads)
    assert torch.equal(join_heads(parts), x)


@SPLIT
def test_a_gradient_goes_where_its_number_came_from(student: Pieces, rng: np.random.Generator) -> None:
    x, want = numbers(rng, 2, 3, 8).requires_grad_(), numbers(rng, 2, 4, 3, 2)
    (student.split_heads(x, 4) * want).sum().backward()
    assert x.grad is not None
    same(x.grad, join_heads(want))


@SPLIT
def test_half_precision_is_copied_as_it_is(student: Pieces, rng: np.random.Generator) -> None:
    x = numbers(rng, 2, 3, 8, dtype=torch.float16)
    parts = student.split_heads(x, 2)
    assert parts.dtype == torch.float16
    assert torch.equal(join_heads(parts), x)


@SPLIT
def test_tokens_that_are_a_part_of_others(student: Pieces, rng: np.random.Generator) -> None:
    x = numbers(rng, 6, 4, 5).transpose(0, 2)[::2, :, 1:5]
    assert torch.equal(join_heads(student.split_heads(x, 2)), x)


# ps3.3


@MANY
def test_the_gradient_of_many_heads_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.MultiHeadAttention(6, 3).double()
    has_slopes(layer.between, numbers(rng, 2, 2, 6), numbers(rng, 2, 4, 6), numbers(rng, 2, 4, 6))


@MANY
@pytest.mark.parametrize(("heads", "batch", "asking", "asked"), [(1, 2, 3, 3), (6, 1, 1, 4), (2, 3, 5, 1)])
def test_each_head_is_an_attention_of_its_own(
    student: Pieces, rng: np.random.Generator, heads: int, batch: int, asking: int, asked: int
) -> None:
    layer = student.MultiHeadAttention(6, heads).eval()
    query, key, value = (
        numbers(rng, batch, asking, 6),
        numbers(rng, batch, asked, 6),
        numbers(rng, batch, asked, 6),
    )
    context, weights = layer.double().between(query, key, value)
    for head, parts in enumerate(zip(*(x.chunk(heads, -1) for x in (query, key, value)), strict=True)):
        own, looks = attention(*(part[:, None] for part in parts))
        same(context.chunk(heads, -1)[head], own[:, 0])
        same(weights[:, head], looks[:, 0])


@MANY
@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 1, 4), (2, 1, 3, 4)])
def test_every_head_minds_the_mask(student: Pieces, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    mask = torch.from_numpy(rng.random(shape) < 0.5)
    mask[..., 0] = True
    parts = numbers(rng, 2, 3, 4), numbers(rng, 2, 4, 4), numbers(rng, 2, 4, 4)
    _, weights = student.MultiHeadAttention(4, 2).double().eval().between(*parts, mask)
    seen = mask.expand(2, 1, 3, 4).expand_as(weights)
    assert weights[~seen].abs().max() < 1e-9 if not mask.all() else True
    same(weights.sum(-1), torch.ones(2, 2, 3, dtype=torch.float64))


@MANY
def test_dropout_is_new_every_time_and_only_in_training(student: Pieces, rng: np.random.Generator) -> None:
    parts = [numbers(rng, 2, 8, 6) for _ in range(3)]
    layers = [student.with_seed(seed).MultiHeadAttention(6, 2, 0.5).double() for seed in (1, 2)]
    first, second = (layer.train().between(*parts)[0] for layer in layers)
    assert not torch.allclose(first, second)
    first, second = (layer.eval().between(*parts)[0] for layer in layers)
    same(first, second)


@MANY
def test_nothing_is_dropped_where_nothing_is_to_be(student: Pieces, rng: np.random.Generator) -> None:
    parts = [numbers(rng, 1, 4, 4) for _ in range(3)]
    layer = student.MultiHeadAttention(4, 2, 0.0).double()
    same(layer.train().between(*parts)[0], layer.eval().between(*parts)[0])


# ps3.4


@SELF
def test_the_gradient_of_tokens_and_weights_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    layer, x = student.SelfAttention(4, 2).double().eval(), numbers(rng, 2, 3, 4)
    has_slopes(lambda x, *_: layer(x), x, *layer.parameters())


@SELF
def test_all_three_projections_learn(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.SelfAttention(6, 2).double().eval()
    learns(layer, (layer(numbers(rng, 2, 4, 6)) * numbers(rng, 2, 4, 6)).sum())


@SELF
def test_a_token_alone_hears_itself(student: Pieces, rng: np.random.Generator) -> None:
    layer, x = student.SelfAttention(6, 3).double().eval(), numbers(rng, 3, 1, 6)
    same(layer(x), projected(x, layer.value))


@SELF
def test_nobody_sees_the_future(student: Pieces, rng: np.random.Generator) -> None:
    layer, x = student.SelfAttention(4, 2).double().eval(), numbers(rng, 2, 5, 4)
    other = torch.cat([x[:, :3], numbers(rng, 2, 2, 4)], dim=1)
    first, second = layer(x, causal_mask(5)), layer(other, causal_mask(5))
    same(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3:], second[:, 3:])


@SELF
def test_dropout_in_training_only(student: Pieces, rng: np.random.Generator) -> None:
    layer, x = student.SelfAttention(6, 2, 0.5).double(), numbers(rng, 2, 8, 6)
    still = layer.eval()(x)
    assert not torch.allclose(layer.train()(x), still)
    same(layer.eval()(x), still)


# ps3.5


@CROSS
def test_the_gradient_of_both_sides_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossAttention(4, 2).double().eval()
    x, memory = numbers(rng, 2, 3, 4), numbers(rng, 2, 5, 4)
    has_slopes(lambda x, memory, *_: layer(x, memory), x, memory, *layer.parameters())


@CROSS
def test_all_projections_learn_from_the_memory(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossAttention(6, 2).double().eval()
    context, _ = layer(numbers(rng, 2, 3, 6), numbers(rng, 2, 5, 6))
    learns(layer, (context * numbers(rng, 2, 3, 6)).sum())


@CROSS
def test_a_memory_of_one_token_says_one_thing(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossAttention(6, 2).double().eval()
    memory = numbers(rng, 2, 1, 6)
    context, weights = layer(numbers(rng, 2, 4, 6), memory)
    same(context, projected(memory, layer.value).expand(2, 4, 6))
    same(weights, torch.ones(2, 2, 4, 1, dtype=torch.float64))


@CROSS
def test_the_order_of_the_memory_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossAttention(4, 2).double().eval()
    x, memory, order = numbers(rng, 1, 2, 4), numbers(rng, 1, 6, 4), torch.from_numpy(rng.permutation(6))
    context, weights = layer(x, memory)
    moved, moved_weights = layer(x, memory[:, order])
    same(moved, context)
    same(moved_weights, weights[..., order])


@CROSS
def test_padding_of_the_memory_is_never_heard(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossAttention(4, 2).double().eval()
    x, memory = numbers(rng, 2, 3, 4), numbers(rng, 2, 5, 4)
    mask = (torch.arange(5) < torch.tensor([3, 5])[:, None])[:, None, None]
    context, weights = layer(x, memory, mask)
    assert weights[0, :, :, 3:].abs().max() < 1e-9
    same(context[:1], layer(x[:1], memory[:1, :3])[0])
