"""A student's pieces across the wall behave like torch's own functions and modules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from autograder.banks import bank, ids
from autograder.checks import exercise
from autograder.proxy import Pieces, StudentStopped
from autograder.student import Answer, Call, Failure, Local
from idc.errors import UserError
from idc.pieces import CrossAttention, CrossViewLayer, attention, info_nce, token_matching

REFERENCES = {exercise(id).piece: bank(id).right for id in ids()}


class Heard:
    """A student who knows everything, and what they were asked."""

    def __init__(self, **own: Any):
        self.inner = Local(REFERENCES | own)
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        return self.inner(call)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def student(heard: Heard) -> Pieces:
    return Pieces(heard)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaves(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(some(*shape, seed=number).requires_grad_() for number, shape in enumerate(shapes))


# functions


def test_gradcheck_works_as_it_is(student: Pieces) -> None:
    assert torch.autograd.gradcheck(student.info_nce, leaves((3, 3)))
    assert torch.autograd.gradcheck(student.grid_encoding, leaves((3, 2), (4, 2)))
    assert torch.autograd.gradcheck(student.attention, leaves((1, 2, 2, 3), (1, 2, 4, 3), (1, 2, 4, 2)))


def test_gradcheck_finds_a_gradient_that_is_no_slope() -> None:
    def cut(similarity: Tensor) -> Tensor:
        return info_nce(similarity.detach()) + 0 * similarity.sum()

    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(Pieces(Local({"info_nce": cut})).info_nce, leaves((3, 3)))


def test_a_gradient_goes_on_into_what_came_before(student: Pieces) -> None:
    (x,) = leaves((4, 4))
    (2 * student.info_nce(x.tanh())).backward()
    (right,) = torch.autograd.grad(2 * info_nce(x.tanh()), x)
    torch.testing.assert_close(x.grad, right)


def test_without_anybody_who_wants_one_no_gradient_is_asked(student: Pieces, heard: Heard) -> None:
    assert not student.info_nce(some(3, 3)).requires_grad
    student.info_nce(some(3, 3).requires_grad_())
    assert [call.want for call in heard.calls] == [None, None]


def test_a_result_takes_the_form_that_the_exercise_names(student: Pieces) -> None:
    assert student.info_nce(some(2, 2)).shape == ()
    context, weights = student.attention(some(1, 1, 2, 3), some(1, 1, 4, 3), some(1, 1, 4, 5))
    assert (context.shape, weights.shape) == ((1, 1, 2, 5), (1, 1, 2, 4))
    view = student.CrossViewLayer(4, 2).double()(some(2, 3, 4), some(2, 3, 4), match=False)
    assert isinstance(view, SimpleNamespace)
    assert view.before.shape == (2, 3, 4)
    assert view.similarity_b2a is None


def test_arguments_may_be_named(student: Pieces, heard: Heard) -> None:
    query, key, mask = some(2, 3, 4), some(1, 2, 4), torch.tensor([[True, False]])
    found = student.token_matching(query, key=key, key_mask=mask)
    torch.testing.assert_close(found, token_matching(query, key, key_mask=mask))
    assert heard.calls[0].arguments[2] is None
    assert len(student.info_nce.call(similarity=query).arguments) == 1
    with pytest.raises(TypeError, match="similarity"):
        student.info_nce(matrix=query)


def test_dictionaries_of_tensors_get_gradients_by_name(student: Pieces) -> None:
    parts = {
        "caption": torch.tensor(2.0, requires_grad=True),
        "cross_view": torch.tensor(3.0, requires_grad=True),
    }
    student.joint_loss(parts, {"caption": 1.5, "cross_view": 0.5}).backward()
    assert [float(part.grad) for part in parts.values() if part.grad is not None] == [1.5, 0.5]


def test_arguments_cross_by_value_and_in_order(student: Pieces, heard: Heard) -> None:
    turned, stretched = some(4, 4).T, some(1, 4).expand(4, 4)
    for x in (turned, stretched, some(9, 9)[::2, ::2][:4, :4]):
        torch.testing.assert_close(student.info_nce(x), info_nce(x))
    sent = [call.arguments[0] for call in heard.calls]
    assert all(x.is_contiguous() and not x.requires_grad for x in sent)
    assert sent[0].data_ptr() != turned.data_ptr()


def test_what_students_overwrite_stays_on_their_side() -> None:
    def writes(similarity: Tensor) -> Tensor:
        similarity.mul_(0)
        return info_nce(similarity)

    student, x = Pieces(Local({"info_nce": writes})), some(3, 3)
    student.info_nce(x)
    assert x.any()
    assert student.info_nce.answer(x).changed == (0,)


def test_an_argument_that_changes_after_the_call_does_not_change_its_gradient(student: Pieces) -> None:
    x = some(3, 3)
    y = x.clone().requires_grad_()
    loss = student.info_nce(y)
    with torch.no_grad():
        y.mul_(0)
    loss.backward()
    leaf = x.requires_grad_()
    (right,) = torch.autograd.grad(info_nce(leaf), leaf)
    torch.testing.assert_close(y.grad, right)


def test_results_that_are_no_numbers_have_no_gradient() -> None:
    student = Pieces(Local({"info_nce": lambda x: (x > 0).sum()}))
    found = student.info_nce(some(3, 3).requires_grad_())
    assert not found.requires_grad and found.dtype == torch.int64


def test_a_cut_gradient_is_none(student: Pieces) -> None:
    student = Pieces(Local({"info_nce": lambda x: info_nce(x.detach())}))
    (x,) = leaves((3, 3))
    assert torch.autograd.grad(student.info_nce(x), x, allow_unused=True) == (None,)


def test_a_second_derivative_is_refused_in_words(student: Pieces) -> None:
    (x,) = leaves((3, 3))
    (first,) = torch.autograd.grad(student.info_nce(x), x, create_graph=True)
    torch.testing.assert_close(first, torch.autograd.grad(info_nce(x), x)[0])
    with pytest.raises(UserError, match="differentiated once"):
        first.sum().backward()


# modules


def test_a_module_has_the_parameters_of_the_librarys(student: Pieces) -> None:
    for mine, library in (
        (student.CrossAttention(6, 2, 0.1), CrossAttention(6, 2, 0.1)),
        (student.CrossViewLayer(dim=6, heads=3), CrossViewLayer(6, 3)),
    ):
        shapes = {name: each.shape for name, each in library.named_parameters()}
        assert {name: each.shape for name, each in mine.named_parameters()} == shapes
        assert mine.state_dict().keys() == library.state_dict().keys()
        mine.load_state_dict(library.state_dict())
    assert student.CrossViewLayer(6, 3).attention.query.weight.shape == (6, 6)


def test_a_module_computes_with_its_weights(student: Pieces, heard: Heard) -> None:
    library = CrossAttention(6, 2).double()
    mine = student.CrossAttention(6, 2).double()
    mine.load_state_dict(library.state_dict())
    x, memory = some(2, 3, 6), some(2, 4, 6, seed=1)
    for got, right in zip(mine(x, memory), library(x, memory), strict=True):
        torch.testing.assert_close(got, right)
    assert heard.calls[0].make == (6, 2)
    assert heard.calls[0].weights.keys() == library.state_dict().keys()


def test_gradients_reach_parameters_and_inputs(student: Pieces) -> None:
    library, mine = (make(4, 2).double().eval() for make in (CrossViewLayer, student.CrossViewLayer))
    mine.load_state_dict(library.state_dict())
    found = []
    for layer in (library, mine):
        before, after = leaves((2, 3, 4), (2, 3, 4))
        view = layer(before, after)
        (view.before.exp().sum() + view.similarity_a2b.sum()).backward()
        found.append([before.grad, after.grad, *(each.grad for each in layer.parameters())])
    for right, got in zip(*found, strict=True):
        torch.testing.assert_close(got, right)


def test_gradcheck_of_parameters(student: Pieces) -> None:
    layer = student.SelfAttention(4, 2).double()
    (x,) = leaves((1, 2, 4))
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()), fast_mode=True)


def test_a_module_trains(student: Pieces) -> None:
    layer = student.SelfAttention(4, 2)
    x, goal = some(2, 3, 4).float(), some(2, 3, 4, seed=1).float()
    losses = []
    for _ in range(5):
        loss = (layer(x) - goal).square().mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(layer.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
                parameter -= 0.5 * gradient
    assert losses == sorted(losses, reverse=True)


def test_training_is_said(student: Pieces, heard: Heard) -> None:
    layer = student.SelfAttention(4, 2, 0.5)
    x = some(1, 2, 4).float()
    layer.eval()(x)
    layer.train()(x)
    assert [call.training for call in heard.calls] == [False, True]


def test_methods_are_called_by_their_names(student: Pieces, heard: Heard) -> None:
    tokens = [some(1, 2, 6, seed=number) for number in range(3)]
    context, weights = student.MultiHeadAttention(6, 2).double().between(*tokens, mask=None)
    assert (context.shape, weights.shape) == ((1, 2, 6), (1, 2, 2, 2))
    assert heard.calls[0].method == "between"
    picture = student.Hallucination(6, 2).double()
    assert picture.hallucinate(some(2, 3, 6), some(2, 6)).shape == (2, 3, 6)
    assert picture.answer("hallucinate", some(2, 3, 6), some(2, 6)).kind == "a tensor"
    with pytest.raises(AttributeError, match="dream"):
        picture.dream()


def test_seeds_decide_about_dropout_and_first_weights(student: Pieces) -> None:
    def asked(seed: int) -> tuple[Tensor, Tensor]:
        layer = student.with_seed(seed).SelfAttention(4, 2, 0.5)
        return layer.query.weight, layer.train()(some(1, 8, 4).float())

    (weight, first), (same_weight, again), (other_weight, other) = asked(1), asked(1), asked(2)
    assert torch.equal(weight, same_weight) and torch.equal(first, again)
    assert not torch.equal(weight, other_weight) and not torch.equal(first, other)


def test_making_a_module_leaves_random_numbers_alone(student: Pieces) -> None:
    before = torch.get_rng_state()
    student.SelfAttention(4, 2)
    assert torch.equal(torch.get_rng_state(), before)


# what goes wrong


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (None, "Missing: there is no “info_nce”"),
        (lambda x: x[9], "IndexError"),
        (lambda x: None, "gave back nothing (None); expected was a tensor"),
        (lambda x: x.sum().item(), "gave back a float; expected was a tensor"),
        (lambda x: (x, x), "gave back 2 values; expected was a tensor"),
    ],
)
def test_a_student_who_stops_is_told_apart(piece: Any, words: str) -> None:
    student = Pieces(Local({} if piece is None else {"info_nce": piece}))
    with pytest.raises(StudentStopped) as stopped:
        student.info_nce(some(3, 3))
    assert words in str(stopped.value)


def test_a_failure_on_the_way_back_is_told_as_well() -> None:
    def student(call: Call) -> Answer:
        if call.want is None:
            return Local(REFERENCES)(call)
        return Answer(failure=Failure("Crashed", "the process ended"))

    loss = Pieces(student).info_nce(some(3, 3).requires_grad_())
    with pytest.raises(StudentStopped, match="Crashed: the process ended"):
        loss.backward()


def test_a_gradient_of_another_shape_is_refused() -> None:
    def student(call: Call) -> Answer:
        answer = Local(REFERENCES)(call)
        return Answer(answer.outputs, answer.kind, {name: torch.ones(7) for name in answer.gradients})

    loss = Pieces(student).info_nce(some(3, 3).requires_grad_())
    with pytest.raises(RuntimeError, match="invalid gradient"):
        loss.backward()


def test_what_is_missing_among_several_results_is_none() -> None:
    student = Pieces(Local({"attention": lambda q, k, v, mask=None: (attention(q, k, v)[0], None)}))
    context, weights = student.attention(*(some(1, 1, 2, 3) for _ in range(3)))
    assert context.shape == (1, 1, 2, 3)
    assert weights is None


def test_only_pieces_of_exercises_are_there(student: Pieces) -> None:
    with pytest.raises(AttributeError, match="no exercise asks for a piece “transformer”"):
        _ = student.transformer
    with pytest.raises(ValueError, match="multiple of heads"):
        student.CrossAttention(5, 2)


def test_a_part_of_a_larger_model(student: Pieces) -> None:
    model = nn.Sequential(nn.Linear(3, 4), student.SelfAttention(4, 2))
    found = torch.func.functional_call(model, dict(model.named_parameters()), some(1, 2, 3).float())
    found.sum().backward()
    assert all(each.grad is not None for each in model.parameters())
