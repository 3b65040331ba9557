"""Problem set 5: cross-modal backward reasoning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from autograder.checks.exercise import Asking, Exercise, Idea, Property
from autograder.checks.inputs import generator, linear, numbers
from autograder.student import Call

VECTOR, PICTURE, REASONING, JOINT = (
    "sentence_vector",
    "Hallucination",
    "CrossModalBackwardReasoning",
    "joint_loss",
)
ONE = torch.ones((), dtype=torch.float64)


def mask_of(lengths: Sequence[int], length: int) -> Tensor:
    """True for the first words of every caption, False for the padding after them."""
    return torch.arange(length) < torch.tensor(lengths)[:, None]


def permuted(value: Tensor, order: Sequence[int]) -> Tensor:
    return value[:, list(order)]


# ps5.1


def vector_cases(rng: np.random.Generator) -> list[Call]:
    # As many positions as the states are wide: then a mask on the wrong axis fits, and can be told by its values.
    calls = []
    for mean, lengths in (("length", (3, 1, 2)), ("words", (1, 3, 2)), ("length", (2, 3, 3))):
        words = numbers(rng, 3, 4, 4)
        calls.append(Call(VECTOR, (words, mask_of(lengths, 4), mean), want=(numbers(rng, 3, 4),)))
    for mean in ("length", "words"):
        words = numbers(rng, 2, 5, 5, dtype=torch.float32)
        calls.append(Call(VECTOR, (words, mask_of((4, 2), 5), mean)))
    return calls


def padding_is_silent(ask: Asking) -> bool:
    words, mask = numbers(generator(), 2, 5, 3), mask_of((3, 2), 5)
    other = torch.where(mask[..., None], words, 100 * numbers(generator(1), 2, 5, 3))
    return all(
        torch.allclose(ask(Call(VECTOR, (words, mask, mean))), ask(Call(VECTOR, (other, mask, mean))))
        for mean in ("length", "words")
    )


def neighbours_do_not_count(ask: Asking) -> bool:
    words, mask = numbers(generator(2), 3, 5, 2), mask_of((1, 4, 3), 5)
    for mean in ("length", "words"):
        together = ask(Call(VECTOR, (words, mask, mean)))
        alone = ask(Call(VECTOR, (words[:1], mask[:1], mean)))
        if not torch.allclose(together[:1], alone):
            return False
    return True


def more_padding(ask: Asking) -> bool:
    words, mask = numbers(generator(3), 2, 3, 2), mask_of((3, 2), 3)
    longer = torch.cat([words, torch.zeros(2, 3, 2, dtype=words.dtype)], dim=1)
    wider = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)
    short = [ask(Call(VECTOR, (words, mask, mean))) for mean in ("length", "words")]
    long = [ask(Call(VECTOR, (longer, wider, mean))) for mean in ("length", "words")]
    return torch.allclose(long[0], short[0] / 2) and torch.allclose(long[1], short[1])


def empty_sentence(ask: Asking) -> bool:
    words, mask = numbers(generator(4), 2, 3, 2), mask_of((0, 2), 3)
    found = [ask(Call(VECTOR, (words, mask, mean))) for mean in ("length", "words")]
    return all(bool(x.isfinite().all()) and not bool(x[0].any()) for x in found)


# ps5.2


def hallucination_weights(rng: np.random.Generator, dim: int) -> dict[str, Tensor]:
    parts = (
        linear(rng, "merge", 2 * dim, dim),
        {name: 2 * value for name, value in linear(rng, "qkv", dim, 3 * dim, bias=False).items()},
        linear(rng, "out", dim, dim, bias=False),
        linear(rng, "imagine", dim, dim),
    )
    return {name: value for part in parts for name, value in part.items()}


def imagining(before: Tensor, sentence: Tensor, weights: dict[str, Tensor], heads: int = 2) -> Call:
    return Call(PICTURE, (before, sentence), (before.shape[-1], heads), weights=weights, method="hallucinate")


def hallucination_cases(rng: np.random.Generator) -> list[Call]:
    calls = []
    for batch, tokens, dim, heads in ((2, 3, 4, 2), (3, 2, 6, 3)):
        call = imagining(
            numbers(rng, batch, tokens, dim),
            numbers(rng, batch, dim),
            hallucination_weights(rng, dim),
            heads,
        )
        calls.append(replace(call, want=(numbers(rng, batch, tokens, dim),)))
    weights = {name: value.float() for name, value in hallucination_weights(rng, 4).items()}
    before, sentence = (
        numbers(rng, 2, 4, 4, dtype=torch.float32),
        numbers(rng, 2, 4, dtype=torch.float32),
    )
    return [*calls, imagining(before, sentence, weights)]


def scene(seed: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Two pictures of four tokens, two sentences, weights."""
    rng = generator(seed)
    return numbers(rng, 2, 4, 4), numbers(rng, 2, 4), hallucination_weights(rng, 4)


def sentence_is_heard(ask: Asking) -> bool:
    before, sentence, weights = scene(0)
    first, second = (ask(imagining(before, said, weights)) for said in (sentence, -sentence))
    return bool(((first - second).abs().amax(-1) > 1e-6).all())


def cells_talk(ask: Asking) -> bool:
    before, sentence, weights = scene(3)
    other = torch.cat([-before[:, :1], before[:, 1:]], dim=1)
    first, second = (ask(imagining(picture, sentence, weights)) for picture in (before, other))
    return bool(((first - second).abs().amax(-1) > 1e-6).all())


def picture_alone(ask: Asking) -> bool:
    before, sentence, weights = scene(1)
    together = ask(imagining(before, sentence, weights))
    alone = ask(imagining(before[:1], sentence[:1], weights))
    return bool(torch.allclose(together[:1], alone))


def order_of_tokens(ask: Asking) -> bool:
    before, sentence, weights = scene(2)
    order = (2, 0, 3, 1)
    first = ask(imagining(before, sentence, weights))
    second = ask(imagining(permuted(before, order), sentence, weights))
    return bool(torch.allclose(permuted(first, order), second))


# ps5.3


def reasoning_weights(rng: np.random.Generator, dim: int, scale: float = 0.3) -> dict[str, Tensor]:
    projections = linear(rng, "query", dim, dim) | linear(rng, "key", dim, dim)
    own = {"logit_scale": torch.tensor(scale, dtype=torch.float64)}
    return hallucination_weights(rng, dim) | projections | own


def reasoning(seed: int, batch: int = 3, mean: str = "length", scale: float = 0.3) -> Call:
    """A batch of tiny pictures with sentences of one to three words."""
    rng = generator(seed)
    lengths = [1 + place % 3 for place in range(batch)]
    arguments = (
        2 * numbers(rng, batch, 3, 4),
        2 * numbers(rng, batch, 4, 4),
        mask_of(lengths, 4),
        2 * numbers(rng, batch, 3, 4),
    )
    return Call(REASONING, arguments, (4, 2, mean), weights=reasoning_weights(rng, 4, scale))


def reasoning_cases(rng: np.random.Generator) -> list[Call]:
    seeds = rng.integers(1000, size=4)
    first = replace(reasoning(int(seeds[0])), want=(ONE,))
    second = replace(reasoning(int(seeds[1]), 4, "words", 0.6), want=(ONE,))
    return [first, second, reasoning(int(seeds[2]), 5, "words", -0.5), reasoning(int(seeds[3]), 2)]


def with_argument(call: Call, place: int, value: Tensor) -> Call:
    arguments = list(call.arguments)
    arguments[place] = value
    return replace(call, arguments=tuple(arguments))


def loss_ignores_padding(ask: Asking) -> bool:
    call = reasoning(10)
    words, mask = call.arguments[1], call.arguments[2]
    other = torch.where(mask[..., None], words, -words)
    return bool(torch.allclose(ask(call), ask(with_argument(call, 1, other))))


def no_contest(ask: Asking) -> bool:
    return bool(ask(reasoning(11, batch=1)).abs().max() < 1e-9)


def faint_scale(ask: Asking) -> bool:
    return bool((ask(reasoning(12, batch=4, scale=-40.0)) - math.log(4)).abs().max() < 1e-6)


def moves(ask: Asking, place: int) -> bool:
    call = reasoning(13)
    return bool((ask(call) - ask(with_argument(call, place, -call.arguments[place]))).abs().max() > 1e-6)


def after_counts(ask: Asking) -> bool:
    return moves(ask, 3)


def sentence_counts(ask: Asking) -> bool:
    return moves(ask, 1)


# ps5.4


def parts_of(rng: np.random.Generator, *names: str) -> dict[str, Tensor]:
    return {name: numbers(rng, 1)[0].abs() + 0.1 for name in names}


def joint_cases(rng: np.random.Generator) -> list[Call]:
    three = ("caption", "cross_view", "cross_modal")
    usual = {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}
    turned = {"cross_modal": 0.5, "caption": 2.0, "cross_view": 0.25}
    more = {"distractor": 3.0, "cross_modal": 0.5, "caption": 0.7}
    silent = {"cross_view": 0.0, "cross_modal": 4.0, "caption": 1.5}
    return [
        Call(JOINT, (parts_of(rng, *three), usual), want=(ONE,)),
        Call(JOINT, (parts_of(rng, *three), turned), want=(ONE,)),
        Call(JOINT, (parts_of(rng, "caption", "cross_modal"), more)),
        Call(JOINT, (parts_of(rng, *three), silent)),
    ]


def nothing_of_infinity(ask: Asking) -> bool:
    parts = parts_of(generator(), "caption", "cross_view")
    endless = parts | {"cross_view": torch.tensor(torch.inf, dtype=torch.float64)}
    weights = {"caption": 2.0, "cross_view": 0.0}
    return bool(torch.allclose(ask(Call(JOINT, (endless, weights))), 2 * parts["caption"]))


def infinity_shows(ask: Asking) -> bool:
    parts = parts_of(generator(), "caption", "cross_view")
    endless = parts | {"cross_view": torch.tensor(torch.inf, dtype=torch.float64)}
    return bool(ask(Call(JOINT, (endless, {"caption": 2.0, "cross_view": 0.1}))).isinf().all())


def names_count(ask: Asking) -> bool:
    parts = parts_of(generator(1), "caption", "cross_view", "cross_modal")
    weights = {"caption": 1.0, "cross_view": 3.0, "cross_modal": 7.0}
    turned = dict(reversed(weights.items()))
    return bool(torch.allclose(ask(Call(JOINT, (parts, weights))), ask(Call(JOINT, (parts, turned)))))


def twice_the_weights(ask: Asking) -> bool:
    parts = parts_of(generator(2), "caption", "cross_view")
    weights = {"caption": 1.0, "cross_view": 0.5}
    double = {name: 2 * weight for name, weight in weights.items()}
    return bool(torch.allclose(2 * ask(Call(JOINT, (parts, weights))), ask(Call(JOINT, (parts, double)))))


PADDING = "Padding is not silent"
DIVISOR = "Divided by what?"
MERGE = "Step 1, a word in every ear"
HEADS = "Step 2, the cells talk it over"
IMAGINE = "Step 3, two more maps"
EXAM = "The exam, backwards"
BOTH = "Both ways, and how loud"
SUM = "Three teachers, one number"

EXERCISES = (
    Exercise(
        id="ps5.1",
        title="The sentence as one vector",
        piece=VECTOR,
        points=4,
        minutes=10,
        difficulty=2,
        importance=3,
        hints=(
            "Nine words stand in an array with room for twenty-four. The other fifteen places hold states as well, and they "
            "are as loud as words. What do you multiply a state with so that it does not count?",
            "Mind the shapes: `words` is (B, L, D), `word_mask` is (B, L). The mask needs a third axis of size 1 to reach all "
            "D entries of a state. Then add up along the positions, which leaves (B, D).",
            "The numerator is the same in both modes. The denominator is either the number of positions, which the shape of "
            "`words` tells, or a count for every sentence, kept as a column (B, 1) so that it fits (B, D), and never "
            "below 1.",
        ),
        explanation=(
            "A mean over words with a mask is everywhere in language models, and the bug of averaging over padding is "
            "everywhere too: nothing crashes, the vector merely drifts towards the same point for every short sentence. "
            "Whether one divides by L or by the number of words looks like a trifle. It is not: divided by L, the length of "
            "the vector tells how long the sentence is."
        ),
        cases=vector_cases,
        ideas={
            "padding": Idea(
                "the padding is averaged in",
                "What stands behind the last word should have no say. In your mean it has: replacing the padding by "
                "something else moves the vector. Use `word_mask` before you add up, in both modes; True stands for a word.",
                PADDING,
            ),
            "inverted": Idea(
                "the mask is the wrong way round",
                "True stands for a word, False for padding. You keep what should go and drop what should stay: your "
                "vector is the mean of the silence.",
                PADDING,
            ),
            "mask-axis": Idea(
                "the mask lies along the wrong axis",
                "The mask says which of the L positions count. You lay it over the D entries of every state. Write the "
                "shape of the mask under the shape of `words`, aligned on the right, and see which axes meet.",
                PADDING,
            ),
            "width": Idea(
                "the sum runs over the wrong axis",
                "You add up the D entries within a state. What should vanish is the axis of the positions: from (B, L, D) "
                "there remain one vector of width D for every sentence.",
                PADDING,
            ),
            "modes": Idea(
                "the two modes are mixed up",
                "“length” divides by all L positions, “words” by the number of words. Test it by thought: add ten positions "
                "of padding. Which of the two may not move?",
                DIVISOR,
            ),
            "batch-mean": Idea(
                "the neighbours in the batch have a say",
                "Each sentence is divided by its own number of words. You use one number for the whole batch, so the vector "
                "of a sentence depends on what stands beside it. Which axis does the count sum over, and which must stay?",
                DIVISOR,
            ),
            "longest": Idea(
                "L is not the longest sentence",
                "In mode “length” the divisor is the number of positions of the array, padding included, whatever the "
                "sentences of this batch are. You divide by the longest sentence that happens to be here.",
                DIVISOR,
            ),
            "sum": Idea(
                "that is a sum, no mean",
                "You add the words and divide by nothing. A sentence of twenty words would then shout twice as loud as one "
                "of ten.",
                DIVISOR,
            ),
            "maximum": Idea(
                "that is the maximum, no mean",
                "You keep for every entry the largest value over the words. A fair way to pool, used elsewhere; here all "
                "words have the same say.",
                DIVISOR,
            ),
            "last": Idea(
                "only the last word speaks",
                "The state of the last word has seen all the others, so this is not foolish; but the sentence vector here "
                "is a mean over all the words of the caption.",
                DIVISOR,
            ),
            "empty": Idea(
                "an empty sentence divides by zero",
                "A caption without a single word has the sum zero and the count zero, and 0/0 is nan, which spreads through "
                "the whole batch. Its vector should be zero: see to it that the count is at least 1.",
                DIVISOR,
            ),
        },
        properties=(
            Property("padding", "padding", padding_is_silent),
            Property("a sentence alone", "batch-mean", neighbours_do_not_count),
            Property("more padding", "modes", more_padding),
            Property("an empty sentence", "empty", empty_sentence),
        ),
    ),
    Exercise(
        id="ps5.2",
        title="Hallucination",
        piece=PICTURE,
        points=5,
        minutes=25,
        difficulty=3,
        importance=4,
        needs=("ps3.1", "ps3.2"),
        hints=(
            "Three steps, as in the text: put the sentence beside every token and merge; let the tokens attend to each other; "
            "two more linear maps. All the layers you need are made in `__init__`, each is used once.",
            "`sentence` is (B, D) and wants to become (B, N, D): give it a new axis and `expand`. `torch.cat` puts two tensors "
            "side by side along an axis. `chunk` cuts (B, N, 3 D) into three; `split_heads(x, self.heads)` makes (B, H, N, d) "
            "of each.",
            "After `self.attend(query, key, value)`, which gives context and weights, the context is (B, H, N, d). Join the "
            "heads first, then the projection without bias, and last the layer the picture is imagined with. Nothing is "
            "added on the way, no residual and no activation.",
        ),
        explanation=(
            "The whole of “read a sentence, imagine a picture” is: whisper the same vector into every cell's ear, let the "
            "cells talk to each other once, and translate. The talking matters: “the cube behind the ball” can only be "
            "found by cells that know of each other. There is no residual around it, so nothing but what passes these maps "
            "reaches the imagined picture."
        ),
        cases=hallucination_cases,
        ideas={
            "order": Idea(
                "the sentence stands before the picture",
                "In [before ; sentence] the picture comes first. The first D columns of the matrix W₁ belong to the picture, "
                "the last D to the sentence; exchanged, each is read with the other's weights.",
                MERGE,
            ),
            "added": Idea(
                "the sentence is added, not set beside",
                "A sum mixes both before the network has seen either. Side by side, with width 2 D, the first layer can learn "
                "what to take of each. Which layer expects that width?",
                MERGE,
            ),
            "first-token": Idea(
                "only one cell hears the sentence",
                "Every token gets the sentence beside it, not just the first: nobody knows beforehand which cell is meant.",
                MERGE,
            ),
            "activation": Idea(
                "there is an activation too many",
                "The merge is a plain linear map; no ReLU, no tanh behind it. The only non-linear thing here is the softmax of "
                "the attention.",
                MERGE,
            ),
            "chunks": Idea(
                "query, key and value are cut in another order",
                "The wide projection gives three parts of width D: first the queries, then the keys, then the values. "
                "You take them in another order.",
                HEADS,
            ),
            "values-first": Idea(
                "keys and values have changed places",
                "You compare the queries with the last third of the wide projection and mix the middle one. The order is query, "
                "key, value: what is compared first, what is told last.",
                HEADS,
            ),
            "interleaved": Idea(
                "the wide projection is cut per head",
                "You read the 3 D entries as H heads of three parts. Here the three parts come first, each of width D, and "
                "every part is then cut into heads. Other libraries do it your way; weights do not travel between the two.",
                HEADS,
            ),
            "heads": Idea(
                "the heads are not split",
                "You attend with one head of width D. With H heads each looks for itself with d = D / H entries, and the softmax "
                "is taken for every head.",
                HEADS,
            ),
            "joined": Idea(
                "the heads are joined crosswise",
                "From (B, H, N, d) a plain reshape to (B, N, D) puts different tokens side by side. The axes have to change "
                "places before they are flattened; `join_heads` does both.",
                HEADS,
            ),
            "batch": Idea(
                "the pictures of a batch look at each other",
                "The result for one picture depends on the other pictures of the batch. Tokens attend to the tokens of their "
                "own picture. Is the batch really your first axis where the attention runs? (`nn.MultiheadAttention` expects "
                "it second, unless told.)",
                HEADS,
            ),
            "no-attention": Idea(
                "the cells do not talk to each other",
                "Changing one cell of the picture should be felt in the others: “the cube behind the ball” is two cells. In "
                "yours every cell stays alone with the sentence. Where do queries meet keys?",
                HEADS,
            ),
            "token-order": Idea(
                "the place of a token in the list counts",
                "Listing the tokens in another order should list the result in that order, and change nothing else: where a "
                "token stands in the picture is written into the token. Look for a reshape that mixes axes, or for a token "
                "that is treated specially.",
                HEADS,
            ),
            "no-out": Idea(
                "the projection after the heads is missing",
                "The heads' results stand side by side and have not met yet. There is a layer without bias in `__init__` for "
                "that, and you do not use it.",
                IMAGINE,
            ),
            "no-imagine": Idea(
                "the last map is missing",
                "What attention gives is not yet a picture. The last layer of `__init__`, W₂, translates it, and you do not "
                "use it.",
                IMAGINE,
            ),
            "swapped": Idea(
                "the last two maps are in the wrong order",
                "The projection that belongs to the attention comes first, then the layer that imagines. With the bias in "
                "between, the order counts, and so does it for weights that were trained this way.",
                IMAGINE,
            ),
            "residual": Idea(
                "a residual is added around the attention",
                "You add the merged tokens to what attention made of them. That is what a transformer layer does, and a good "
                "habit; this one goes without, as the formula says.",
                IMAGINE,
            ),
            "inner-residual": Idea(
                "a residual is added inside the attention",
                "You add the merged tokens to the joined heads, before the projection. Most attention layers have such a shortcut "
                "somewhere; the formula of this one has none.",
                IMAGINE,
            ),
            "keeps-picture": Idea(
                "the picture before is added at the end",
                "You add `before` to the result. Tempting, since most of the picture stays as it is; but the formula has no "
                "such term, and the matching is done in a space of its own.",
                IMAGINE,
            ),
            "deaf": Idea(
                "the sentence is not heard",
                "Another sentence should give another picture, in every cell. Yours stays the same somewhere.",
                MERGE,
            ),
        },
        properties=(
            Property("another sentence", "deaf", sentence_is_heard),
            Property("another cell", "no-attention", cells_talk),
            Property("a picture alone", "batch", picture_alone),
            Property("tokens in another order", "token-order", order_of_tokens),
        ),
    ),
    Exercise(
        id="ps5.3",
        title="Backward reasoning",
        piece=REASONING,
        points=6,
        minutes=20,
        difficulty=4,
        importance=5,
        needs=("ps1.1", "ps4.1", "ps5.1", "ps5.2"),
        hints=(
            "You have built all the parts. In words: sum the sentence up, imagine the picture, compare every imagined picture "
            "with every real one after the change, ask InfoNCE.",
            "The comparison is `self.matching`, which takes two sets of tokens (B, N, D) and gives (B, B). Each side goes "
            "through its own linear layer first. The scale is a learned logarithm, so that the factor is always positive.",
            "Rows are imagined pictures, columns real ones. One InfoNCE asks the rows, the other one the columns; you get the "
            "columns by turning the matrix. The loss is the mean of the two. And pass `self.sentence_mean` on.",
        ),
        explanation=(
            "This is a cycle: pictures to words, words back to a picture. The loss never says what the caption should be; it "
            "asks whether somebody who has only the first picture and your words could pick the second picture from a "
            "crowd. That is a fine test of a caption, if the crowd is chosen so that the words are needed. The experiments "
            "below show how easily it is not."
        ),
        cases=reasoning_cases,
        ideas={
            "one-direction": Idea(
                "only one of the two questions is asked",
                "You ask every imagined picture for its real one. The other question, which imagined picture belongs to this "
                "real one, uses the same matrix and counts just as much.",
                BOTH,
            ),
            "columns-only": Idea(
                "only the second question is asked",
                "You ask every real picture for its imagined one. The first question, which real picture belongs to this "
                "imagined one, is missing.",
                BOTH,
            ),
            "sum": Idea(
                "the two questions are added",
                "Two losses, each in nats: the result is their mean, so that a blind guess still costs log B.",
                BOTH,
            ),
            "sign": Idea(
                "the sign is turned round",
                "A loss falls when things get better, and InfoNCE already has its minus. Yours rewards imagining somebody "
                "else's picture.",
                BOTH,
            ),
            "scale": Idea(
                "the scale is used without its exponential",
                "`logit_scale` is the logarithm of the factor. That is why it may take any value, even a negative one, and "
                "the factor stays positive.",
                BOTH,
            ),
            "no-scale": Idea(
                "the scale is forgotten",
                "The similarities go into InfoNCE as they are. A learned factor says how sure the comparison should be, and "
                "its parameter is waiting in `__init__`.",
                BOTH,
            ),
            "before": Idea(
                "compared with the picture before",
                "The imagined picture should look like the one after the change. You compare it with the one it was made "
                "from, so copying would be the best answer.",
                EXAM,
            ),
            "raw-after": Idea(
                "the picture after is not projected",
                "Both sides of the comparison go through a linear layer of their own, the imagined one and the real one. "
                "You left it out on one side.",
                EXAM,
            ),
            "raw-imagined": Idea(
                "the imagined picture is not projected",
                "Both sides of the comparison go through a linear layer of their own, the imagined one and the real one. You "
                "left it out for the imagined picture.",
                EXAM,
            ),
            "unprojected": Idea(
                "neither side is projected",
                "You compare the tokens as they are. Two linear layers in `__init__`, one for each side, first bring them into "
                "a space that is made for comparing.",
                EXAM,
            ),
            "exchanged": Idea(
                "the two projections are exchanged",
                "The imagined picture asks, so it goes through the query's layer; the real pictures are asked, so they go "
                "through the key's.",
                EXAM,
            ),
            "pooled": Idea(
                "the pictures are averaged before they are compared",
                "You compare mean tokens. Then a small object that changed is lost among dozens of cells. `self.matching` lets "
                "every token find its best partner first.",
                EXAM,
            ),
            "mask": Idea(
                "the padding speaks",
                "Changing what stands behind the last word changes your loss. Is `word_mask` passed on, as it is?",
                PADDING,
            ),
            "mean-ignored": Idea(
                "the choice of the mean is ignored",
                "Whoever made this object said which mean to use, and `__init__` kept it. `sentence_vector` does not know "
                "about it unless you hand it over.",
                DIVISOR,
            ),
            "mean-fixed": Idea(
                "the mean is always that of the words",
                "You divide by the number of words whatever was asked for. Whoever made this object chose a mean, “length” or "
                "“words”, and `__init__` kept the choice.",
                DIVISOR,
            ),
            "second-matching": Idea(
                "the second question is a matching of its own",
                "You match twice, the second time with the projections exchanged. Here there is one matrix, and both questions are "
                "put to it: one reads it by rows, the other by columns.",
                BOTH,
            ),
            "contest": Idea(
                "that is no contest",
                "With a single picture in the batch there is nobody to be mistaken for, and the loss must be zero. Yours "
                "measures something else than picking the right one among B.",
                EXAM,
            ),
            "sentence": Idea(
                "the words do not count",
                "Other words should give another loss, since they make one imagine another picture. In yours they never "
                "arrive.",
                EXAM,
            ),
        },
        properties=(
            Property("padding", "mask", loss_ignores_padding),
            Property("a batch of one", "contest", no_contest),
            Property("a faint scale", "scale", faint_scale),
            Property("another picture after", "before", after_counts),
            Property("other words", "sentence", sentence_counts),
        ),
    ),
    Exercise(
        id="ps5.4",
        title="The joint loss",
        piece=JOINT,
        points=3,
        minutes=10,
        difficulty=1,
        importance=4,
        hints=(
            "Each loss has a name, and each name has a weight. Walk over the names, look up both, and add what you get.",
            "Walk over the names of `parts`, not of `weights`: there may be more weights than parts. And think about "
            "what 0 times infinity is in floating point.",
            "A part whose weight is 0 must not even be multiplied: leave its name out while you walk. The rest is weight times "
            "part, added up as tensors, so that the gradient finds its way.",
        ),
        explanation=(
            "A line or two, and the place where most of the tuning of such a model happens. The weights are no shares and need not "
            "sum to 1: only their ratios to each other and to the learning rate matter. And a weight says little by itself. "
            "What counts is weight times gradient, and the gradients of the three losses differ by factors of a hundred."
        ),
        cases=joint_cases,
        ideas={
            "unweighted": Idea(
                "the weights are not used",
                "You add the losses as they are. Backward reasoning would then pull a thousand times harder than intended.",
                SUM,
            ),
            "normalised": Idea(
                "the sum is divided by the sum of the weights",
                "A weighted mean keeps the size of the loss the same whatever the weights. Here the weights are taken at face "
                "value: switching a second loss on should not turn the first one down.",
                SUM,
            ),
            "averaged": Idea(
                "the parts are averaged",
                "You divide by the number of parts. The formula is a plain sum: a part that is left out changes nothing for the "
                "others.",
                SUM,
            ),
            "by-order": Idea(
                "weights are matched by order, not by name",
                "Two dictionaries may list the same names in different orders, and one may hold more names than the other. "
                "Then each loss gets somebody else's weight. Look the weight up under the name.",
                SUM,
            ),
            "caption-only": Idea(
                "only the caption's loss is used",
                "All the parts belong into the sum, each with its weight. Without the others the two contrastive losses are "
                "computed for nothing.",
                SUM,
            ),
            "zero-times-inf": Idea(
                "zero times infinity",
                "A weight of 0 means: switched off. But 0 · inf is nan, and so one loss that ran over, and that nobody wanted, "
                "ruins the sum. Leave such a part out instead of multiplying it.",
                SUM,
            ),
            "hides-infinity": Idea(
                "a loss that ran over is swept under the carpet",
                "You drop or mend infinite losses whatever their weight. A part that is switched on and infinite is an accident, and "
                "the sum has to show it, or the training goes on as if nothing had happened. It is the weight that decides what is "
                "left out.",
                SUM,
            ),
        },
        properties=(
            Property("a part without weight that is infinite", "zero-times-inf", nothing_of_infinity),
            Property("a part with weight that is infinite", "hides-infinity", infinity_shows),
            Property("names in another order", "by-order", names_count),
            Property("twice the weights", "normalised", twice_the_weights),
        ),
    ),
)
