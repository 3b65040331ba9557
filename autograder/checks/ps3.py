"""Problem set 3: attention."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from autograder.checks.exercise import Asking, Exercise, Idea, Property
from autograder.checks.inputs import generator, linear, numbers
from autograder.student import Call

ATTENTION, SPLIT = "attention", "split_heads"
MANY, SELF, CROSS = "MultiHeadAttention", "SelfAttention", "CrossAttention"


def heads_of(rng: np.random.Generator, batch: int, heads: int, length: int, width: int) -> tuple[Tensor, ...]:
    """Queries, keys and values (B, H, L, d)."""
    return tuple(numbers(rng, batch, heads, length, width) for _ in range(3))


def projections(rng: np.random.Generator, dim: int) -> dict[str, Tensor]:
    """Weights of the three projections of an attention."""
    return {
        name: weight
        for layer in ("query", "key", "value")
        for name, weight in linear(rng, layer, dim, dim).items()
    }


def single(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.float() for name, weight in weights.items()}


def some_hidden(length: int) -> Tensor:
    """A mask (L, L) by which every query sees something and does not see something."""
    ring = torch.eye(length, dtype=torch.bool)
    return ring | ring.roll(1, dims=0)


# ps3.1


def attention_cases(rng: np.random.Generator) -> list[Call]:
    ring = some_hidden(3)
    plain, masked = heads_of(rng, 1, 2, 3, 3), heads_of(rng, 2, 2, 3, 2)
    sharp = tuple(2 * part.float() for part in heads_of(rng, 2, 2, 3, 4))
    padding = torch.tensor([[True, True, False], [False, True, True]])[:, None, None]
    return [
        Call(ATTENTION, plain, want=(numbers(rng, 1, 2, 3, 3), numbers(rng, 1, 2, 3, 3))),
        Call(ATTENTION, (*masked, ring), want=(numbers(rng, 2, 2, 3, 2), numbers(rng, 2, 2, 3, 3))),
        Call(ATTENTION, (*sharp, padding)),
    ]


def survives_large(ask: Asking) -> bool:
    query, key, value = (part.float() for part in heads_of(generator(), 1, 2, 3, 4))
    call = Call(ATTENTION, (300 * query, 300 * key, value))
    return bool(ask(call).isfinite().all() and ask(call, 1).isfinite().all())


def rows_sum_to_one(ask: Asking) -> bool:
    arguments = (*heads_of(generator(1), 2, 2, 4, 3), some_hidden(4))
    sums = ask(Call(ATTENTION, arguments), 1).sum(-1)
    return sums.shape == (2, 2, 4) and bool(torch.allclose(sums, torch.ones_like(sums)))


def hidden_stays_hidden(ask: Asking) -> bool:
    query, key, value = heads_of(generator(2), 1, 2, 4, 3)
    mask = torch.tensor([True, True, False, True]).expand(4, 4)
    other_key, other_value = key.clone(), value.clone()
    other_key[:, :, 2] += 3
    other_value[:, :, 2] -= 5
    first = ask(Call(ATTENTION, (query, key, value, mask)))
    second = ask(Call(ATTENTION, (query, other_key, other_value, mask)))
    return bool(torch.allclose(first, second))


def hidden_from_low_marks(ask: Asking) -> bool:
    """Where every mark is hundreds below zero, a hidden key must still get nothing."""
    query = 20 + numbers(generator(14), 1, 2, 4, 3)
    key, value = -20 + numbers(generator(15), 1, 2, 4, 3), numbers(generator(16), 1, 2, 4, 3)
    mask = torch.tensor([True, True, False, True]).expand(4, 4)
    weights = ask(Call(ATTENTION, (query, key, value, mask)), 1)
    return weights.shape == (1, 2, 4, 4) and bool((weights[..., 2] < 1e-6).all())


def queries_do_not_meet(ask: Asking) -> bool:
    query, key, value = heads_of(generator(3), 1, 2, 5, 3)
    both = Call(ATTENTION, (query, key, value)), Call(ATTENTION, (query[:, :, :2], key, value))
    (all_, few), (all_weights, few_weights) = ([ask(call, place) for call in both] for place in (0, 1))
    return (
        few.shape == (1, 2, 2, 3)
        and bool(torch.allclose(all_[:, :, :2], few))
        and bool(torch.allclose(all_weights[:, :, :2], few_weights))
    )


def memory_has_no_order(ask: Asking) -> bool:
    query, key, value = heads_of(generator(4), 1, 2, 4, 3)
    order = [2, 0, 3, 1]
    first = ask(Call(ATTENTION, (query, key, value)))
    second = ask(Call(ATTENTION, (query, key[:, :, order], value[:, :, order])))
    return bool(torch.allclose(first, second))


# ps3.2


def split_cases(rng: np.random.Generator) -> list[Call]:
    return [
        Call(SPLIT, (numbers(rng, 2, 3, 6), 2), want=(numbers(rng, 2, 2, 3, 3),)),
        Call(SPLIT, (numbers(rng, 3, 4, 8, dtype=torch.float32), 2)),
        Call(SPLIT, (numbers(rng, 2, 3, 6), 3)),
    ]


def splits_alone(ask: Asking, axis: int) -> bool:
    """Whether changing one place of x changes that place of the result and no other. axis: 0 batch, 1 tokens."""
    x = numbers(generator(5), 3, 4, 6)
    other = x.clone()
    other.select(axis, 1).add_(1)
    first, second = ask(Call(SPLIT, (x, 2))), ask(Call(SPLIT, (other, 2)))
    if first.shape != (3, 2, 4, 3):
        return False
    moved = first != second
    place = moved.select(axis * 2, 1)
    return bool(place.all()) and int(moved.sum()) == place.numel()


# ps3.3


def between_cases(rng: np.random.Generator) -> list[Call]:
    def call(batch: int, heads: int, length: int, dim: int, *mask: Tensor, dropout: float = 0.0) -> Call:
        tokens = tuple(numbers(rng, batch, length, dim) for _ in range(3))
        want = numbers(rng, batch, length, dim), numbers(rng, batch, heads, length, length)
        weights = projections(rng, dim)
        return Call(MANY, (*tokens, *mask), (dim, heads, dropout), "between", weights, want=want)

    tokens = tuple(numbers(rng, 2, 2, 4, dtype=torch.float32) for _ in range(3))
    padding = torch.tensor([[True, False], [False, True]])[:, None, None]
    return [
        call(2, 3, 3, 6, some_hidden(3)),
        call(1, 2, 4, 6, dropout=0.3),
        Call(MANY, (*tokens, padding), (4, 2, 0.0), "between", single(projections(rng, 4))),
    ]


def still_at_test(ask: Asking) -> bool:
    rng = generator(6)
    tokens, weights = tuple(numbers(rng, 1, 4, 4) for _ in range(3)), projections(rng, 4)
    first, second = (Call(MANY, tokens, (4, 2, 0.5), "between", weights, seed=seed) for seed in (1, 2))
    return bool(torch.equal(ask(first), ask(second)))


def dropped(ask: Asking) -> tuple[Tensor, Tensor]:
    """The weights as dropped and as they were, with dropout 0.5: values that show which were taken."""
    rng = generator(7)
    query, key = numbers(rng, 1, 4, 10), numbers(rng, 1, 4, 10)
    # In each head the value of token j is the j-th unit vector, then a one: the sum of what was taken.
    shown = torch.cat([torch.eye(4), torch.ones(4, 1)], dim=1).double().repeat(1, 2)[None]
    call = Call(MANY, (query, key, shown), (10, 2, 0.5), "between", projections(rng, 10), training=True)
    return ask(call), ask(call, 1)


def drops_in_training(ask: Asking) -> bool:
    taken, _ = dropped(ask)
    return bool((taken == 0).any())


def drops_weights(ask: Asking) -> bool:
    taken, weights = dropped(ask)
    if taken.shape != (1, 4, 10) or weights.shape != (1, 2, 4, 4):
        return False
    parts = torch.stack([taken[..., :5], taken[..., 5:]], dim=1)  # (1, H, L, 5)
    kept, sums = parts[..., :4], parts[..., 4]
    scaled = torch.isclose(kept, 2 * weights) | (kept == 0)
    return bool(scaled.all()) and bool(torch.allclose(kept.sum(-1), sums))


def between_lengths(ask: Asking) -> bool:
    rng = generator(8)
    query, key, value = numbers(rng, 2, 2, 6), numbers(rng, 2, 5, 6), numbers(rng, 2, 5, 6)
    call = Call(MANY, (query, key, value), (6, 2, 0.0), "between", projections(rng, 6))
    first = Call(MANY, (query[:, :1], key, value), (6, 2, 0.0), "between", call.weights)
    context, weights = ask(call), ask(call, 1)
    return (
        context.shape == (2, 2, 6)
        and weights.shape == (2, 2, 2, 5)
        and bool(torch.allclose(context[:, :1], ask(first)))
    )


# ps3.4


def self_cases(rng: np.random.Generator) -> list[Call]:
    def call(batch: int, length: int, dim: int, *mask: Tensor) -> Call:
        x, weights = numbers(rng, batch, length, dim), projections(rng, dim)
        return Call(
            SELF, (x, *mask), (dim, 2, 0.2), weights=weights, want=(numbers(rng, batch, length, dim),)
        )

    padding = torch.tensor([[True, False, True], [True, True, False], [False, True, True]])[:, None, None]
    x, weights = numbers(rng, 3, 3, 4, dtype=torch.float32), single(projections(rng, 4))
    return [
        call(3, 3, 4, some_hidden(3)),
        call(2, 3, 6),
        Call(SELF, (x, padding), (4, 2, 0.0), weights=weights),
    ]


def one_result(ask: Asking) -> bool:
    rng = generator(9)
    answer = ask.answer(Call(SELF, (numbers(rng, 1, 3, 4),), (4, 2, 0.0), weights=projections(rng, 4)))
    return list(answer.outputs) == [""]


def samples_do_not_meet(ask: Asking) -> bool:
    rng = generator(10)
    x, weights = numbers(rng, 3, 4, 4), projections(rng, 4)
    both = ask(Call(SELF, (x,), (4, 2, 0.0), weights=weights))
    alone = ask(Call(SELF, (x[1:2],), (4, 2, 0.0), weights=weights))
    return both.shape == (3, 4, 4) and alone.shape == (1, 4, 4) and bool(torch.allclose(both[1:2], alone))


def shuffles_along(ask: Asking) -> bool:
    rng = generator(11)
    x, weights, order = numbers(rng, 1, 4, 4), projections(rng, 4), [2, 0, 3, 1]
    first = ask(Call(SELF, (x,), (4, 2, 0.0), weights=weights))
    second = ask(Call(SELF, (x[:, order],), (4, 2, 0.0), weights=weights))
    return first.shape == (1, 4, 4) and bool(torch.allclose(first[:, order], second))


# ps3.5


def cross_cases(rng: np.random.Generator) -> list[Call]:
    def call(batch: int, length: int, dim: int, *mask: Tensor) -> Call:
        x, memory = numbers(rng, batch, length, dim), numbers(rng, batch, length, dim)
        want = numbers(rng, batch, length, dim), numbers(rng, batch, 2, length, length)
        return Call(CROSS, (x, memory, *mask), (dim, 2, 0.2), weights=projections(rng, dim), want=want)

    padding = torch.tensor([[True, False, True], [False, True, True]])[:, None, None]
    x, memory = numbers(rng, 2, 3, 4, dtype=torch.float32), numbers(rng, 2, 3, 4, dtype=torch.float32)
    return [
        call(2, 3, 4, some_hidden(3)),
        call(1, 3, 6),
        Call(CROSS, (x, memory, padding), (4, 2, 0.0), weights=single(projections(rng, 4))),
    ]


def x_asks(ask: Asking) -> bool:
    rng = generator(12)
    x, memory, weights = numbers(rng, 2, 2, 4), numbers(rng, 2, 5, 4), projections(rng, 4)
    call = Call(CROSS, (x, memory), (4, 2, 0.0), weights=weights)
    return ask(call).shape == (2, 2, 4) and ask(call, 1).shape == (2, 2, 2, 5)


def memory_tells(ask: Asking) -> bool:
    """With the same token everywhere in the memory, nothing depends on who asks."""
    rng = generator(13)
    x, memory = numbers(rng, 1, 3, 4), numbers(rng, 1, 1, 4).expand(1, 3, 4).clone()
    found = ask(Call(CROSS, (x, memory), (4, 2, 0.0), weights=projections(rng, 4)))
    return found.shape == (1, 3, 4) and bool(torch.allclose(found, found[:, :1].expand(1, 3, 4)))


DICTIONARY = "A dictionary that answers in shades"
AXIS = "Whose choice is it?"
ROOT = "Why the square root"
MASK = "Who may look where"
HEADS = "Several looks at once"
JOIN = "There and back again"
DROP = "Looking with one eye closed"
ASKING = "A sequence that asks itself"
ROLES = "Two sequences, two roles"

EXERCISES = (
    Exercise(
        id="ps3.1",
        title="Attention",
        piece=ATTENTION,
        points=6,
        minutes=25,
        difficulty=3,
        importance=5,
        hints=(
            "Go from left to right through the formula and write the shape beside every line: the marks are (B, H, Lq, Lk). "
            "What must happen to `key` so that a matrix product gives that shape?",
            "A matrix product works on the last two axes and leaves B and H alone; `transpose(-2, -1)` turns the keys. The "
            "width d is the last entry of `query.shape`. Places that may not be looked at must have no chance at all: which "
            "number has the exponential 0? `masked_fill` puts it there, and `~` turns a mask round.",
            "Four steps: (1) marks = product of query and turned key, divided by the square root of d; (2) if there is a "
            "mask, minus infinity where it is False; (3) weights = softmax over the keys, the last axis; (4) give back the "
            "product of weights and value, and the weights.",
        ),
        explanation=(
            "You wrote a dictionary that can be differentiated. A query need not meet a key exactly: it gets a mixture of all "
            "values, most from the keys that fit best. Two details make it work at any size: the square root keeps the softmax "
            "awake however wide the vectors are, and the mask speaks before the softmax, so that what is hidden gets a weight of "
            "exactly nothing and the rest still adds up to one. Everything else in this problem set only chooses who asks whom."
        ),
        cases=attention_cases,
        outputs=("0", "1"),
        ideas={
            "no-scale": Idea(
                "the marks are not scaled",
                "A dot product of d terms has a spread that grows with d. Without the square root the softmax of wide vectors "
                "puts nearly everything on one key, and next to no gradient reaches the others. Which width counts: D, or that "
                "of one head?",
                ROOT,
            ),
            "scale-d": Idea(
                "the marks are divided by too much",
                "You divide by d. The standard deviation of a sum of d independent terms grows more slowly than that. With d the "
                "marks of wide vectors shrink towards 0, and every query looks everywhere equally.",
                ROOT,
            ),
            "scale-count": Idea(
                "the root is that of a count",
                "You divide by the root of how many queries or keys there are. What makes dot products spread is the number of "
                "terms that each of them sums up. Which axis does the product sum over?",
                ROOT,
            ),
            "queries-axis": Idea(
                "the softmax runs over the queries",
                "In your result the queries compete for a key. But a query is the one who chooses: for each query the weights "
                "over all keys sum to 1. Which axis do you walk along to meet all the keys of one query?",
                AXIS,
            ),
            "heads-axis": Idea(
                "the softmax runs over the heads",
                "Axis 1 holds the heads. They are separate looks that know nothing of each other, so they must not share a sum. "
                "Count axes from the end: then a piece like this works with or without heads.",
                AXIS,
            ),
            "mask-inverted": Idea(
                "the mask is turned round",
                "Here True means “may look”. You hide what may be seen and show what is hidden. Libraries disagree on this "
                "point, so it is worth a glance at the docstring every single time.",
                MASK,
            ),
            "mask-after": Idea(
                "the mask comes after the softmax",
                "You take weights away after they were shared out, so the rest no longer sums to 1. What is hidden must be out of "
                "the race before the shares are handed out.",
                MASK,
            ),
            "mask-added": Idea(
                "the mask is added as 0 and 1",
                "One more on a mark makes a key a little likelier; it hides nothing. A mark that leaves no chance at all is far "
                "away from 0, on the negative side.",
                MASK,
            ),
            "mask-zero": Idea(
                "hidden marks are set to 0",
                "A mark of 0 is an ordinary mark, often better than a negative one, and its exponential is 1. Which mark has an "
                "exponential of 0?",
                MASK,
            ),
            "mask-mild": Idea(
                "hidden marks are low, but not low enough",
                "A large negative number hides a key only as long as all other marks are larger. Dot products may be hundreds "
                "below zero, and then yours is the best mark of the row. Is there a number that nothing is below?",
                MASK,
            ),
            "mask-ignored": Idea(
                "the mask does nothing",
                "You take the mask but every query still looks everywhere. When one is given, the marks where it is False have to "
                "go before the softmax sees them.",
                MASK,
            ),
            "transposed": Idea(
                "the weights are turned before they mix the values",
                "Row i of the weights belongs to query i, and its columns run over keys. The value of key j is taken with weight "
                "(i, j). Write the shapes (Lq, Lk) and (Lk, dv) beside each other: they fit as they are.",
                AXIS,
            ),
            "exchanged": Idea(
                "query and key have changed places",
                "Your rows belong to keys and your columns to queries. It went unnoticed because both are equally long here; with "
                "a picture of 49 cells and a sentence of 12 words it would not.",
                AXIS,
            ),
            "scores": Idea(
                "the marks are given back, not the weights",
                "The context is right, but the second value is what went into the softmax. Who draws the picture of a look needs "
                "shares that sum to 1.",
                DICTIONARY,
            ),
            "no-weights": Idea(
                "the weights are missing",
                "Two values are wanted: the context, and the weights that it was mixed with. You give back the first alone; who "
                "wants to draw a look needs the second.",
                DICTIONARY,
            ),
            "overflow": Idea(
                "large marks run over",
                "The exponential of a few hundred is more than a float can hold, and inf / inf is nan. Take the softmax that torch "
                "has, or subtract the largest mark of the row first.",
                AXIS,
            ),
            "leak": Idea(
                "what is hidden still counts",
                "When a hidden key and its value change, your result changes. Hidden means: no influence at all, neither on the "
                "mixture nor on the sum that the shares are taken of.",
                MASK,
            ),
            "rows": Idea(
                "the weights of a query do not sum to 1",
                "A query has one look to share out. For every query the weights over the keys, hidden ones included, add up to 1. "
                "Add yours up along the last axis.",
                AXIS,
            ),
            "neighbours": Idea(
                "queries disturb each other",
                "What a query finds must be the same whether it asks alone or together with others, and the numbers of queries and "
                "keys may differ. Look for a step that mixes rows.",
                AXIS,
            ),
            "order": Idea(
                "the order of the memory counts",
                "Keys and values are a set of pairs. When both are shuffled in the same way, nothing may change. Is the value of "
                "key j really taken with the weight of key j?",
                DICTIONARY,
            ),
        },
        properties=(
            Property("large scores", "overflow", survives_large),
            Property("weights sum to one", "rows", rows_sum_to_one),
            Property("hidden keys do not count", "leak", hidden_stays_hidden),
            Property("marks far below zero", "mask-mild", hidden_from_low_marks),
            Property("queries ask alone", "neighbours", queries_do_not_meet),
            Property("a shuffled memory", "order", memory_has_no_order),
        ),
    ),
    Exercise(
        id="ps3.2",
        title="Split into heads",
        piece=SPLIT,
        points=3,
        minutes=10,
        difficulty=2,
        importance=4,
        hints=(
            "Two moves: first cut the last axis into two, then bring the axes into the order that was asked for. Do not try both "
            "at once.",
            "After the first move the shape is (B, L, H, d), and nothing has moved in memory: entries that were neighbours still "
            "are. Which two axes stand in the wrong order?",
            "`unflatten(-1, …)` or `view` makes (B, L, H, d); `transpose` with the numbers of the axes L and H makes (B, H, L, d). "
            "A view straight to (B, H, L, d) has the shape and the wrong content.",
        ),
        explanation=(
            "Reading a tensor in another shape never moves a number; only transpose and permute change who is whose neighbour. "
            "That is the whole trick, and the whole trap: a view with the right shape and the wrong neighbours raises no error, "
            "trains a little worse, and is found weeks later. When shapes fit by luck, fill a tensor with numbers that tell where "
            "they come from and look."
        ),
        cases=split_cases,
        ideas={
            "no-transpose": Idea(
                "the tokens are mixed",
                "The shape is right, but a head now holds entries of several tokens. A view reads the numbers in the order in which "
                "they lie: token after token. First cut each token, then exchange two axes.",
                HEADS,
            ),
            "interleaved": Idea(
                "the heads are dealt out like cards",
                "You give entry j to head j modulo H. Here every head gets one connected piece of the width: the first d entries "
                "belong to head 0. Which of the two new axes runs faster?",
                HEADS,
            ),
            "not-moved": Idea(
                "heads and tokens stand in the wrong order",
                "You give back (B, L, H, d). Attention works on the last two axes, so those must be tokens and width; otherwise "
                "heads would look at heads.",
                HEADS,
            ),
            "batch-mixed": Idea(
                "the batch is mixed into the tokens",
                "Your first axis is read as tokens and the second as batch, as some libraries have it. Here the batch comes first. "
                "One sample would get parts of another.",
                HEADS,
            ),
            "width-for-heads": Idea(
                "width and number of heads are exchanged",
                "The argument says how many heads there are, not how wide each is. With D = 6 and 2 heads each head has 3 entries.",
                HEADS,
            ),
            "width-first": Idea(
                "each head lies on its side",
                "Your last two axes are width and tokens. Attention wants tokens first, width last: one row a token.",
                HEADS,
            ),
            "tokens": Idea(
                "a token's entries end up in other places",
                "When one token changes, its own row must change in every head, and no other row. In your result others change "
                "as well, or it does not.",
                HEADS,
            ),
            "samples": Idea(
                "a sample's entries end up in another sample",
                "When one sample of the batch changes, the others must stay as they are. Something in your code moves numbers along "
                "the first axis.",
                HEADS,
            ),
        },
        properties=(
            Property("samples stay apart", "samples", lambda ask: splits_alone(ask, 0)),
            Property("tokens stay apart", "tokens", lambda ask: splits_alone(ask, 1)),
        ),
    ),
    Exercise(
        id="ps3.3",
        title="Many heads",
        piece=MANY,
        points=4,
        minutes=15,
        difficulty=3,
        importance=4,
        needs=("ps3.1", "ps3.2"),
        hints=(
            "Everything you need is there: split_heads, attend, join_heads. Say in one sentence what happens to a token on its way, "
            "then write one line for each verb.",
            "All three, query, key and value, are split with `self.heads`. `attend` wants to know which share of the weights to "
            "drop: that is `self.dropout` while the module is training, and nothing otherwise. A module knows: `self.training`.",
            "Three steps: (1) split query, key and value; (2) context and weights from attend, with the mask and the share to drop; "
            "(3) give back the joined context and the weights as they are, one map for each head.",
        ),
        explanation=(
            "Heads cost next to nothing: H looks of width D/H multiply as often as one look of width D. What they buy is "
            "disagreement. One softmax can only point in one direction at a time; four may look for the colour, the shape, the "
            "neighbour and the edge of the table at once, and the next layer reads all four answers side by side. Dropout closes "
            "some of these looks while the model learns, so that none becomes indispensable, and opens all of them when it counts."
        ),
        cases=between_cases,
        outputs=("0", "1"),
        ideas={
            "dropout-at-test": Idea(
                "weights are dropped when it counts",
                "Asked twice in eval mode, your piece gives two answers. Dropout is an exercise for training; at test time every "
                "weight is needed. The module knows which of the two it is.",
                DROP,
            ),
            "no-dropout": Idea(
                "nothing is dropped in training",
                "With a dropout of one half some weights should be gone while the module trains; yours are all there. `attend` "
                "drops what it is told to.",
                DROP,
            ),
            "dropout-elsewhere": Idea(
                "something else than the weights is dropped",
                "What is dropped here are weights: a query closes its eyes to some keys, and the kept ones are scaled up. You drop "
                "entries of another tensor. `attend` does it in the right place.",
                DROP,
            ),
            "join-order": Idea(
                "the heads are joined in the wrong order",
                "The shape is right, but tokens are mixed: the heads come before the tokens in memory, so a plain reshape runs through "
                "one head first and then the next. join_heads puts the heads of each token side by side.",
                JOIN,
            ),
            "interleaved": Idea(
                "the heads are joined like a zip",
                "Entry by entry you take from one head and then from the next. Joining is the inverse of splitting: the whole of "
                "head 0 first, then the whole of head 1.",
                JOIN,
            ),
            "not-joined": Idea(
                "the heads are still apart",
                "Your context is (B, H, L, d). Whatever comes next wants tokens of width D: put the heads of each token side by side "
                "again.",
                JOIN,
            ),
            "mask-dropped": Idea(
                "the mask gets lost on the way",
                "You are given a mask and every head still looks everywhere. Hand it on.",
                MASK,
            ),
            "one-head": Idea(
                "there is only one head",
                "You let the whole width look at once. Then there is one map instead of H, and the scale is that of D instead of "
                "that of one head. Split first.",
                HEADS,
            ),
            "among-heads": Idea(
                "heads look at heads",
                "In your code the heads of one token compare each other, and no token ever sees another. The axis of tokens has to "
                "stand where attention looks: last but one.",
                HEADS,
            ),
            "mean-weights": Idea(
                "the maps of the heads are averaged",
                "The weights should be (B, H, Lq, Lk), one map a head. Who wants the mean can take it later; who gets only the mean "
                "can never go back.",
                JOIN,
            ),
            "projected-twice": Idea(
                "the tokens are projected once more",
                "What `between` gets has already been through the three projections: it says so in the docstring. Here the heads only "
                "look.",
                JOIN,
            ),
            "scaled-twice": Idea(
                "the marks are scaled twice",
                "attention divides by the square root already, and it knows the width of a head. A second division makes every look "
                "paler.",
                ROOT,
            ),
            "lengths": Idea(
                "queries and keys are taken to be equally many",
                "There may be 12 words and 49 cells. The context has as many tokens as the query, the weights one row for each of "
                "them and one column for each key, and no query disturbs another.",
                ROLES,
            ),
        },
        properties=(
            Property("twice the same at test time", "dropout-at-test", still_at_test),
            Property("other numbers of queries and keys", "lengths", between_lengths),
            Property("some weights are dropped in training", "no-dropout", drops_in_training),
            Property("weights are what is dropped", "dropout-elsewhere", drops_weights),
        ),
    ),
    Exercise(
        id="ps3.4",
        title="Self-attention",
        piece=SELF,
        points=3,
        minutes=10,
        difficulty=1,
        importance=4,
        needs=("ps3.3",),
        hints=(
            "Who asks, who is asked, and who answers? All three are the tokens of x, but each in another projection.",
            "`project` gives the three in the right order, and `between` takes them in that order. A star, `*`, hands a tuple on "
            "as separate arguments.",
            "Project x, give the three results and the mask to `between`, and return the first of the two values that come back.",
        ),
        explanation=(
            "One line of code and the heart of every transformer. Note what is not in it: no residual, no normalisation, and no "
            "notion of order. Shuffle the tokens and the answers are shuffled along, nothing else happens. Self-attention sees a "
            "bag. Whatever it should know about places has to be written into the tokens, which is what your position encodings "
            "are for."
        ),
        cases=self_cases,
        ideas={
            "residual": Idea(
                "x is added to the result",
                "The shortcut around attention is a good thing, and the layer around this piece has it already. Added here as well, x "
                "would count twice.",
                ASKING,
            ),
            "normalised": Idea(
                "the result is normalised",
                "A normalisation follows after attention, but in the layer around it, which has its own weights for that. This piece "
                "gives back what the heads found, as it is.",
                ASKING,
            ),
            "raw-value": Idea(
                "the values are not projected",
                "What a token tells others need not be what it is. There is a third projection for that, and in your code it has "
                "nothing to do.",
                ASKING,
            ),
            "unprojected": Idea(
                "nothing is projected",
                "`between` takes queries, keys and values, which are three different views of x. You hand it x itself three times, "
                "so that none of the layers made in `__init__` is ever used.",
                ASKING,
            ),
            "one-projection": Idea(
                "one projection plays all three parts",
                "Asking, being found and telling have a layer each. You send x through one of them and use the result three "
                "times; the other two layers will never learn anything.",
                ASKING,
            ),
            "key-for-query": Idea(
                "questions and keys come from the same projection",
                "You ask with the key projection. Then each token mostly fits itself, and “i looks at j” is the same as “j looks at "
                "i”. Asking has its own projection.",
                ASKING,
            ),
            "exchanged": Idea(
                "query and key have changed places",
                "The projections are handed on in another order than `between` takes them. A question and what it is compared with "
                "are not the same thing.",
                ASKING,
            ),
            "mask-ignored": Idea(
                "the mask gets lost on the way",
                "A decoder that may peek at the next word learns to copy. You are given a mask: hand it on.",
                MASK,
            ),
            "batch-mixed": Idea(
                "samples of the batch look at each other",
                "In your code the first axis is where tokens look. It is the batch: one student's sentence must not know what stands "
                "in another's. The order is (B, L, D), all the way.",
                ASKING,
            ),
            "pair": Idea(
                "the weights are given back as well",
                "The tokens are right, but the layer around this piece adds the result to x and cannot add a pair. Give back the "
                "context alone.",
                ASKING,
            ),
            "samples": Idea(
                "a sample's result depends on the others",
                "The same sentence, once alone and once in a batch, should give the same result. Yours does not. Which line touches "
                "the first axis?",
                ASKING,
            ),
            "shuffled": Idea(
                "the order of the tokens counts",
                "Shuffled tokens should give the same results in shuffled order. Attention has no idea of places, and should have "
                "none.",
                ASKING,
            ),
        },
        properties=(
            Property("a tensor comes back", "pair", one_result),
            Property("samples stay apart", "samples", samples_do_not_meet),
            Property("shuffled tokens", "shuffled", shuffles_along),
        ),
    ),
    Exercise(
        id="ps3.5",
        title="Cross-attention",
        piece=CROSS,
        points=4,
        minutes=10,
        difficulty=2,
        importance=5,
        needs=("ps3.3",),
        hints=(
            "One sequence asks, the other is asked and answers. Which of the three projections belongs to which?",
            "`project` does not fit here, because it takes all three from the same tokens. Use the three layers one by one: only "
            "one of them sees x.",
            "Questions from x with `self.query`; keys and values from the memory with the other two layers; then `between`, with "
            "the mask, and both of its results.",
        ),
        explanation=(
            "The same machine as before, with the roles split: x decides what is wanted, the memory decides what there is to get. "
            "Every result is a mixture of memory values, so cross-attention can say nothing that the memory does not hold. In "
            "SCORER that is the point: a cell of the picture before is rebuilt from the picture after, and what cannot be rebuilt "
            "is what has changed. In the decoder the words ask and the picture answers."
        ),
        cases=cross_cases,
        outputs=("0", "1"),
        ideas={
            "exchanged": Idea(
                "x and memory have changed places",
                "In your code the memory asks and x answers. The result must have one token for each token of x, made of what the "
                "memory holds.",
                ROLES,
            ),
            "value-from-x": Idea(
                "the values come from x",
                "You look at the memory and then take something from x. That is like finding the page and copying from your own "
                "notes. Keys and values belong together.",
                ROLES,
            ),
            "key-from-x": Idea(
                "the keys come from x",
                "You compare x with itself and then take values of the memory from those places. What is compared and what is taken "
                "must be the same tokens.",
                ROLES,
            ),
            "unprojected": Idea(
                "nothing is projected",
                "You hand x and the memory to `between` as they are. It takes queries, keys and values that have been through "
                "their layers already, and the layers were made in `__init__`.",
                ROLES,
            ),
            "query-from-memory": Idea(
                "the question comes from the memory",
                "The memory asks itself, and x has no say in your result at all. Who wants to know something here?",
                ROLES,
            ),
            "only-x": Idea(
                "the memory is never looked at",
                "That is self-attention of x. The memory has to answer, so two of the three projections are of its tokens.",
                ROLES,
            ),
            "raw-value": Idea(
                "the values are not projected",
                "You mix the memory's tokens as they are. What they tell goes through a projection of its own.",
                ROLES,
            ),
            "mask-ignored": Idea(
                "the mask gets lost on the way",
                "The mask says which tokens of the memory may be looked at, padding for instance. You are given it: hand it on.",
                MASK,
            ),
            "residual": Idea(
                "x is added to the result",
                "The layer around this piece adds x itself. Here only what was found in the memory is given back.",
                ROLES,
            ),
            "no-weights": Idea(
                "the weights are missing",
                "Two values are wanted: what was found, and where each token of x looked. The second is what every picture of a look "
                "in this course is drawn from.",
                ROLES,
            ),
            "lengths": Idea(
                "x and memory are taken to be equally long",
                "A sentence of 12 words asks a picture of 49 cells. The context is as long as x, and the weights have a row for each "
                "token of x and a column for each of the memory.",
                ROLES,
            ),
            "own-voice": Idea(
                "x speaks in the result",
                "When all tokens of the memory are alike, there is only one thing to be told, and every token of x gets the same "
                "answer. In your result something of x is left.",
                ROLES,
            ),
        },
        properties=(
            Property("other lengths", "lengths", x_asks),
            Property("only the memory tells", "own-voice", memory_tells),
        ),
    ),
)
