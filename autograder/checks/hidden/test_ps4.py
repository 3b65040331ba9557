"""Problem set 4, hidden: SCORER."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from autograder.checks.inputs import numbers
from autograder.proxy import Pieces
from idc.pieces import token_matching

from .comparing import has_slopes, learns, same

MATCHING, HEADS, LAYER, DIFFERENCE = (pytest.mark.exercise(f"ps4.{number}") for number in (1, 2, 3, 4))


# ps4.1


@MATCHING
def test_the_gradient_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    has_slopes(student.token_matching, numbers(rng, 2, 3, 4), numbers(rng, 3, 2, 4))


@MATCHING
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (1, 4, 3, 2, 5), (4, 1, 1, 6, 2), (2, 9, 3, 4, 32)])
def test_of_any_size(student: Pieces, rng: np.random.Generator, sizes: tuple[int, ...]) -> None:
    sets, tokens, others, memory, width = sizes
    query, key = numbers(rng, sets, tokens, width), numbers(rng, others, memory, width)
    same(student.token_matching(query, key), token_matching(query, key))


@MATCHING
def test_where_nobody_is_alike_the_least_unlike_wins(student: Pieces, rng: np.random.Generator) -> None:
    """All products are below zero: nothing that is made up may win."""
    query, key = 1 + numbers(rng, 2, 3, 4).abs(), -1 - numbers(rng, 2, 5, 4).abs()
    same(student.token_matching(query, key), token_matching(query, key))


@MATCHING
def test_equals_share_one_gradient(student: Pieces, rng: np.random.Generator) -> None:
    """Among equal tokens it does not matter who gets it, but it is there, once."""
    query, token = numbers(rng, 1, 3, 4), numbers(rng, 4)
    key = token.expand(1, 5, 4).clone().requires_grad_()
    student.token_matching(query, key).sum().backward()
    best = query[0, (query[0] @ token).argmax()]
    assert key.grad is not None
    same(key.grad.sum((0, 1)), (query[0].mean(0) + best) / 2)


@MATCHING
@pytest.mark.parametrize("scale", [1e-15, 1e3, 1e10])
def test_of_any_loudness(student: Pieces, rng: np.random.Generator, scale: float) -> None:
    query, key = numbers(rng, 2, 4, 3), numbers(rng, 3, 4, 3)
    same(student.token_matching(scale * query, key) / scale, token_matching(query, key))


@MATCHING
def test_an_entry_is_of_its_two_sets_alone(student: Pieces, rng: np.random.Generator) -> None:
    query, key = numbers(rng, 3, 4, 3), numbers(rng, 3, 4, 3)
    other = torch.cat([query[:1], numbers(rng, 2, 4, 3)]), torch.cat([numbers(rng, 2, 4, 3), key[2:]])
    same(student.token_matching(*other)[0, 2], student.token_matching(query, key)[0, 2])


# ps4.2


@HEADS
def test_the_gradient_of_many_heads_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    pair = numbers(rng, 2, 3, 6), numbers(rng, 3, 2, 6)
    has_slopes(lambda query, key: student.multi_head_token_matching(query, key, 3, "separate"), *pair)


@HEADS
def test_the_order_of_the_heads_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
    query, key = numbers(rng, 2, 3, 8), numbers(rng, 2, 4, 8)
    turned = [x.unflatten(-1, (4, 2)).flip(2).flatten(2) for x in (query, key)]
    same(
        student.multi_head_token_matching(*turned, 4, "separate"),
        student.multi_head_token_matching(query, key, 4, "separate"),
    )


@HEADS
def test_heads_of_one_number(student: Pieces, rng: np.random.Generator) -> None:
    query, key = numbers(rng, 2, 3, 4), numbers(rng, 3, 5, 4)
    votes = [token_matching(query[..., [place]], key[..., [place]]) for place in range(4)]
    same(student.multi_head_token_matching(query, key, 4, "separate"), torch.stack(votes).mean(0))


@HEADS
def test_joint_heads_see_through_a_rotation(student: Pieces, rng: np.random.Generator) -> None:
    """They add up to whole dot products, which do not change when both sides are turned alike."""
    query, key = numbers(rng, 2, 3, 6), numbers(rng, 2, 4, 6)
    turn = torch.linalg.qr(numbers(rng, 6, 6)).Q
    same(
        student.multi_head_token_matching(query @ turn, key @ turn, 3, "joint"),
        student.multi_head_token_matching(query, key, 3, "joint"),
    )


@HEADS
@pytest.mark.parametrize(("sets", "others"), [(1, 4), (3, 2)])
def test_unequal_sides(student: Pieces, rng: np.random.Generator, sets: int, others: int) -> None:
    query, key = numbers(rng, sets, 2, 4), numbers(rng, others, 3, 4)
    same(student.multi_head_token_matching(query, key, 2), token_matching(query, key))
    votes = [
        token_matching(one, other) for one, other in zip(query.chunk(2, 2), key.chunk(2, 2), strict=True)
    ]
    same(student.multi_head_token_matching(query, key, 2, "separate"), torch.stack(votes).mean(0))


# ps4.3


def tensors(view: SimpleNamespace) -> tuple[Tensor, ...]:
    """What the rest of the model uses of a view."""
    return view.before, view.after, view.similarity_b2a, view.similarity_a2b


@LAYER
def test_the_gradient_of_pictures_and_weights_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossViewLayer(4, 2).double().eval()
    pair = numbers(rng, 2, 3, 4), numbers(rng, 2, 3, 4)
    has_slopes(lambda before, after, *_: tensors(layer(before, after)), *pair, *layer.parameters())


@LAYER
def test_every_weight_learns(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossViewLayer(6, 2).double().eval()
    found = tensors(layer(numbers(rng, 3, 4, 6), numbers(rng, 3, 4, 6)))
    learns(layer, sum((part * numbers(rng, *part.shape)).sum() for part in found))  # type: ignore[arg-type]


@LAYER
def test_a_picture_that_was_rebuilt_is_normalised(student: Pieces, rng: np.random.Generator) -> None:
    view = student.CrossViewLayer(8, 2).double().eval()(numbers(rng, 2, 3, 8), numbers(rng, 2, 3, 8))
    for picture in (view.before, view.after):
        same(picture.mean(-1), torch.zeros(2, 3, dtype=torch.float64), 1e-5)
        same(picture.std(-1, correction=0), torch.ones(2, 3, dtype=torch.float64), 1e-4)


@LAYER
def test_louder_by_the_logarithm(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossViewLayer(4, 2).double().eval()
    pair = numbers(rng, 3, 2, 4), numbers(rng, 3, 2, 4)
    quiet = layer(*pair)
    with torch.no_grad():
        layer.logit_scale += 0.7
    loud = layer(*pair)
    same(loud.similarity_b2a, quiet.similarity_b2a * torch.tensor(0.7).double().exp(), 1e-6)
    same(loud.before, quiet.before)


@LAYER
def test_the_places_of_what_is_asked_do_not_count(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossViewLayer(6, 3).double().eval()
    before, after, order = numbers(rng, 2, 5, 6), numbers(rng, 2, 5, 6), torch.from_numpy(rng.permutation(5))
    first, second = layer(before, after), layer(before, after[:, order])
    same(second.before, first.before)
    same(second.after, first.after[:, order])
    same(second.similarity_b2a, first.similarity_b2a)


@LAYER
@pytest.mark.parametrize(("scenes", "tokens", "heads"), [(1, 1, 1), (1, 6, 4), (4, 1, 2)])
def test_small_batches_and_small_pictures(
    student: Pieces, rng: np.random.Generator, scenes: int, tokens: int, heads: int
) -> None:
    layer = student.CrossViewLayer(4, heads).double().eval()
    before, after = numbers(rng, scenes, tokens, 4), numbers(rng, scenes, tokens, 4)
    view = layer(before, after)
    assert view.before.shape == view.after.shape == (scenes, tokens, 4)
    project = torch.nn.functional.linear
    query = project(before, layer.attention.query.weight, layer.attention.query.bias)
    key = project(after, layer.attention.key.weight, layer.attention.key.bias)
    same(view.similarity_b2a, layer.logit_scale.exp() * token_matching(query, key))


# ps4.4


@DIFFERENCE
def test_the_gradient_of_all_four_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    parts = numbers(rng, 2, 3, 2), numbers(rng, 2, 3, 2), numbers(rng, 2, 4), numbers(rng, 2)
    has_slopes(student.difference_tokens, *parts)


@DIFFERENCE
def test_each_half_of_the_weight_has_its_picture(student: Pieces, rng: np.random.Generator) -> None:
    before, after = numbers(rng, 2, 3, 4), numbers(rng, 2, 3, 4)
    one, nothing = torch.eye(4, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    bias = torch.zeros(4, dtype=torch.float64)
    for weight, right in (
        ([one, nothing], before.relu()),
        ([nothing, one], after.relu()),
        ([-one, one], (after - before).relu()),
    ):
        same(student.difference_tokens(before, after, torch.cat(weight, 1), bias), right)


@DIFFERENCE
@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_a_louder_layer_is_a_louder_result(student: Pieces, rng: np.random.Generator, factor: float) -> None:
    before, after, weight, bias = (
        numbers(rng, 2, 3, 4),
        numbers(rng, 2, 3, 4),
        numbers(rng, 4, 8),
        numbers(rng, 4),
    )
    loud = student.difference_tokens(before, after, factor * weight, factor * bias)
    same(loud / factor, student.difference_tokens(before, after, weight, bias))


@DIFFERENCE
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 7, 3), (5, 1, 2)])
def test_sizes_at_the_edge(student: Pieces, rng: np.random.Generator, sizes: tuple[int, int, int]) -> None:
    width = sizes[-1]
    before, after, weight, bias = (
        numbers(rng, *sizes),
        numbers(rng, *sizes),
        numbers(rng, width, 2 * width),
        numbers(rng, width),
    )
    right = (before @ weight[:, :width].T + after @ weight[:, width:].T + bias).clamp(min=0)
    same(student.difference_tokens(before, after, weight, bias), right)


@DIFFERENCE
def test_no_token_knows_its_place(student: Pieces, rng: np.random.Generator) -> None:
    before, after, weight, bias = (
        numbers(rng, 2, 5, 3),
        numbers(rng, 2, 5, 3),
        numbers(rng, 3, 6),
        numbers(rng, 3),
    )
    order = torch.from_numpy(rng.permutation(5))
    moved = student.difference_tokens(before[:, order], after[:, order], weight, bias)
    same(moved, student.difference_tokens(before, after, weight, bias)[:, order])
