"""Problem set 5, hidden: cross-modal backward reasoning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from autograder.checks.inputs import numbers
from autograder.checks.ps5 import mask_of
from autograder.proxy import Pieces
from idc.pieces import Hallucination

from .comparing import has_slopes, learns, same

VECTOR, PICTURE, REASONING, JOINT = (pytest.mark.exercise(f"ps5.{number}") for number in (1, 2, 3, 4))
both_means = pytest.mark.parametrize("mean", ["length", "words"])


# ps5.1


@VECTOR
@both_means
def test_only_words_get_a_gradient(student: Pieces, rng: np.random.Generator, mean: str) -> None:
    words, mask = numbers(rng, 2, 5, 3).requires_grad_(), mask_of((2, 4), 5)
    student.sentence_vector(words, mask, mean).sum().backward()
    divisor = mask.sum(1) if mean == "words" else torch.tensor([5, 5])
    right = (mask / divisor[:, None])[..., None].expand(2, 5, 3).double()
    assert words.grad is not None
    same(words.grad, right)


@VECTOR
@both_means
def test_words_need_not_stand_in_front(student: Pieces, rng: np.random.Generator, mean: str) -> None:
    words, mask = numbers(rng, 3, 6, 4), mask_of((2, 6, 1), 6)
    order = torch.from_numpy(rng.permutation(6))
    same(
        student.sentence_vector(words[:, order], mask[:, order], mean),
        student.sentence_vector(words, mask, mean),
    )


@VECTOR
@both_means
def test_without_padding_it_is_the_mean(student: Pieces, rng: np.random.Generator, mean: str) -> None:
    for sizes in ((1, 1, 1), (1, 7, 2), (4, 3, 5)):
        words = numbers(rng, *sizes)
        same(student.sentence_vector(words, torch.ones(sizes[:2], dtype=torch.bool), mean), words.mean(1))


@VECTOR
def test_repeated_words_say_the_same(student: Pieces, rng: np.random.Generator) -> None:
    words, mask = numbers(rng, 2, 3, 4), mask_of((1, 3), 3)
    twice = student.sentence_vector(torch.cat([words, words], 1), torch.cat([mask, mask], 1), "words")
    same(twice, student.sentence_vector(words, mask, "words"))


@VECTOR
def test_the_mean_over_the_length_is_the_usual_one(student: Pieces, rng: np.random.Generator) -> None:
    words, mask = numbers(rng, 2, 4, 3), mask_of((1, 3), 4)
    same(student.sentence_vector(words, mask), student.sentence_vector(words, mask, "length"))


# ps5.2


@PICTURE
def test_the_gradient_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.Hallucination(4, 2).double()
    before, sentence = numbers(rng, 2, 3, 4), numbers(rng, 2, 4)
    has_slopes(lambda one, other, *_: layer.hallucinate(one, other), before, sentence, *layer.parameters())


@PICTURE
def test_every_weight_learns(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.Hallucination(6, 3).double()
    found = layer.hallucinate(numbers(rng, 2, 4, 6), numbers(rng, 2, 6))
    learns(layer, (found * numbers(rng, 2, 4, 6)).sum())


@PICTURE
@pytest.mark.parametrize(("batch", "tokens", "dim", "heads"), [(1, 1, 2, 1), (1, 9, 6, 6), (5, 2, 8, 2)])
def test_of_any_size(
    student: Pieces, rng: np.random.Generator, batch: int, tokens: int, dim: int, heads: int
) -> None:
    layer, right = student.Hallucination(dim, heads).double(), Hallucination(dim, heads).double()
    right.load_state_dict(layer.state_dict())
    before, sentence = numbers(rng, batch, tokens, dim), numbers(rng, batch, dim)
    same(layer.hallucinate(before, sentence), right.hallucinate(before, sentence))


@PICTURE
def test_a_picture_of_one_colour_stays_one(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.Hallucination(4, 2).double()
    found = layer.hallucinate(numbers(rng, 2, 1, 4).expand(2, 6, 4), numbers(rng, 2, 4))
    same(found, found[:, :1].expand_as(found))


@PICTURE
def test_a_sentence_is_for_its_own_picture(student: Pieces, rng: np.random.Generator) -> None:
    layer, before = student.Hallucination(4, 2).double(), numbers(rng, 3, 2, 4)
    sentence, other = numbers(rng, 3, 4), numbers(rng, 3, 4)
    other[1] = sentence[1]
    first, second = layer.hallucinate(before, sentence), layer.hallucinate(before, other)
    same(first[1], second[1])
    assert not torch.allclose(first[0], second[0])


# ps5.3


def batch_of(rng: np.random.Generator, size: int) -> tuple[Tensor, ...]:
    """before, words, word_mask and after of some scenes."""
    lengths = [1 + place % 3 for place in range(size)]
    return numbers(rng, size, 3, 4), numbers(rng, size, 4, 4), mask_of(lengths, 4), numbers(rng, size, 3, 4)


@REASONING
@both_means
def test_the_gradient_of_the_loss_is_the_slope(student: Pieces, rng: np.random.Generator, mean: str) -> None:
    layer = student.CrossModalBackwardReasoning(4, 2, mean).double()
    before, words, mask, after = batch_of(rng, 3)
    has_slopes(
        lambda before, words, after, *_: layer(before, words, mask, after),
        before, words, after, *layer.parameters(),
    )  # fmt: skip


@REASONING
def test_every_weight_of_it_learns(student: Pieces, rng: np.random.Generator) -> None:
    layer = student.CrossModalBackwardReasoning(4, 2).double()
    learns(layer, layer(*batch_of(rng, 4)))


@REASONING
def test_the_order_of_the_batch_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
    layer, parts = student.CrossModalBackwardReasoning(4, 2).double(), batch_of(rng, 5)
    order = torch.from_numpy(rng.permutation(5))
    same(layer(*(part[order] for part in parts)), layer(*parts))


@REASONING
@pytest.mark.parametrize("size", [2, 6])
def test_where_all_scenes_are_alike_one_can_only_guess(
    student: Pieces, rng: np.random.Generator, size: int
) -> None:
    parts = [part[:1].expand(size, *part.shape[1:]) for part in batch_of(rng, 1)]
    loss = student.CrossModalBackwardReasoning(4, 2).double()(*parts)
    same(loss, torch.tensor(math.log(size), dtype=torch.float64))


@REASONING
def test_the_two_means_are_two_losses(student: Pieces, rng: np.random.Generator) -> None:
    parts = batch_of(rng, 4)
    length, words = (
        student.CrossModalBackwardReasoning(4, 2, mean).double()(*parts) for mean in ("length", "words")
    )
    assert not torch.allclose(length, words)


# ps5.4


def some_parts(rng: np.random.Generator, *names: str) -> dict[str, Tensor]:
    return {name: (numbers(rng, 1)[0].abs() + 0.1).requires_grad_() for name in names}


@JOINT
def test_the_gradient_of_a_part_is_its_weight(student: Pieces, rng: np.random.Generator) -> None:
    parts = some_parts(rng, "caption", "cross_view", "cross_modal")
    weights = {"cross_modal": 0.25, "caption": 1.5, "cross_view": 4.0}
    student.joint_loss(parts, weights).backward()
    assert {name: float(part.grad) for name, part in parts.items() if part.grad is not None} == weights


@JOINT
@pytest.mark.parametrize("nothing", [torch.inf, -torch.inf, torch.nan])
def test_what_is_switched_off_may_be_anything(
    student: Pieces, rng: np.random.Generator, nothing: float
) -> None:
    parts = some_parts(rng, "caption", "cross_view") | {
        "cross_modal": torch.tensor(nothing, dtype=torch.float64)
    }
    loss = student.joint_loss(parts, {"cross_modal": 0.0, "cross_view": 2.0, "caption": 3.0})
    same(loss, 3 * parts["caption"] + 2 * parts["cross_view"])


@JOINT
def test_a_part_that_is_not_a_number_shows(student: Pieces, rng: np.random.Generator) -> None:
    parts = some_parts(rng, "caption") | {"cross_view": torch.tensor(torch.nan, dtype=torch.float64)}
    assert student.joint_loss(parts, {"caption": 1.0, "cross_view": 1e-3}).isnan()


@JOINT
def test_other_names_and_one_part_alone(student: Pieces, rng: np.random.Generator) -> None:
    parts = some_parts(rng, "wine")
    same(student.joint_loss(parts, {"women": 7.0, "wine": 2.0, "song": 0.0}), 2 * parts["wine"])


@JOINT
def test_weights_are_no_shares(student: Pieces, rng: np.random.Generator) -> None:
    parts = some_parts(rng, "caption", "cross_view")
    weights = {"caption": 1e3, "cross_view": 1e-3}
    same(student.joint_loss(parts, weights), 1e3 * parts["caption"] + 1e-3 * parts["cross_view"])
