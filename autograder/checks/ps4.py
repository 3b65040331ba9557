"""Problem set 4: SCORER."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from autograder.checks.exercise import Asking, Exercise, Idea, Property
from autograder.checks.inputs import generator, linear, numbers
from autograder.student import Call

MATCHING, HEADS = "token_matching", "multi_head_token_matching"
LAYER, DIFFERENCE = "CrossViewLayer", "difference_tokens"


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether two results agree in shape, type and, up to rounding, values."""
    same_form = one.shape == other.shape and one.dtype == other.dtype
    return same_form and bool(torch.allclose(one, other))


# ps4.1


def matching_cases(rng: np.random.Generator) -> list[Call]:
    sizes = ((2, 3, 2, 4), (3, 2, 3, 3))
    calls = []
    for sets, tokens, others, memory in sizes:
        pair = numbers(rng, sets, tokens, 4), numbers(rng, others, memory, 4)
        calls.append(Call(MATCHING, pair, want=(numbers(rng, sets, others),)))
    single = numbers(rng, 2, 5, 3, dtype=torch.float32), numbers(rng, 2, 3, 3, dtype=torch.float32)
    return [*calls, Call(MATCHING, single)]


def two_sides(seed: int, sets: int = 3, others: int = 3) -> tuple[Tensor, Tensor]:
    rng = generator(seed)
    return numbers(rng, sets, 4, 6), numbers(rng, others, 5, 6)


def any_sizes(ask: Asking) -> bool:
    """Also where the sides hold different numbers of sets; an error says no as well."""
    for sets, others in ((2, 5), (4, 1)):
        pair = two_sides(3, sets, others)
        whole = ask.student(Call(MATCHING, pair))
        if whole.failure is not None or whole.outputs.get("", torch.empty(0)).shape != (sets, others):
            return False
        for place in range(sets):
            alone = ask(Call(MATCHING, (pair[0][[place]], pair[1])))
            if not equal(alone, whole.outputs[""][[place]]):
                return False
    return True


def order_is_free(ask: Asking) -> bool:
    query, key = two_sides(4)
    shuffled = query.flip(1), key.roll(2, 1)
    return equal(ask(Call(MATCHING, (query, key))), ask(Call(MATCHING, shuffled)))


def sides_are_alike(ask: Asking) -> bool:
    query, key = two_sides(5)
    return equal(ask(Call(MATCHING, (query, key))), ask(Call(MATCHING, (key, query))).transpose(0, -1))


def copies_do_not_count(ask: Asking) -> bool:
    query, key = two_sides(6)
    more = torch.cat([query, query], 1), torch.cat([key, key, key], 1)
    return equal(ask(Call(MATCHING, (query, key))), ask(Call(MATCHING, more)))


def length_counts(ask: Asking) -> bool:
    query, key = two_sides(7)
    return equal(6 * ask(Call(MATCHING, (query, key))), ask(Call(MATCHING, (2 * query, 3 * key))))


# ps4.2


def head_cases(rng: np.random.Generator) -> list[Call]:
    calls = []
    for sets, tokens, dim, heads, mode in (
        (2, 4, 6, 2, "separate"),
        (2, 4, 6, 2, "joint"),
        (2, 3, 8, 4, "separate"),
    ):
        pair = numbers(rng, sets, tokens, dim), numbers(rng, sets, tokens + 1, dim)
        calls.append(Call(HEADS, (*pair, heads, mode), want=(numbers(rng, sets, sets),)))
    pair = numbers(rng, 3, 2, 4, dtype=torch.float32), numbers(rng, 3, 3, 4, dtype=torch.float32)
    return [*calls, Call(HEADS, (*pair, 2))]


def one_head_is_no_cut(ask: Asking) -> bool:
    query, key = two_sides(8, 2, 4)
    answers = [ask(Call(HEADS, (query, key, 1, mode))) for mode in ("joint", "separate")]
    return equal(answers[0], answers[1])


def joint_ignores_heads(ask: Asking) -> bool:
    query, key = two_sides(9)
    answers = [ask(Call(HEADS, (query, key, heads, "joint"))) for heads in (1, 2, 3)]
    return all(equal(answers[0], other) for other in answers[1:])


# ps4.3


def layer_weights(rng: np.random.Generator, dim: int, scale: float = 0.3) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for name in ("query", "key", "value"):
        weights |= linear(rng, f"attention.{name}", dim, dim)
    weights["layer_norm.weight"] = 1 + numbers(rng, dim, scale=0.3)
    weights["layer_norm.bias"] = numbers(rng, dim, scale=0.3)
    return weights | {"logit_scale": torch.tensor(scale, dtype=torch.float64)}


def layer_cases(rng: np.random.Generator) -> list[Call]:
    sets, tokens, dim = 2, 2, 4
    weights = layer_weights(rng, dim)
    pair = numbers(rng, sets, tokens, dim), numbers(rng, sets, tokens, dim)
    want = *pair_of(9, sets, tokens), numbers(rng, sets, sets), numbers(rng, sets, sets)
    return [Call(LAYER, pair, make=(dim, 2), weights=weights, want=want)]


def view(
    ask: Asking, seed: int, *arguments: Tensor | bool, dim: int = 4, heads: int = 2
) -> Mapping[str, Tensor]:
    """What a layer of that seed gives for before, after and, if given, match."""
    weights = layer_weights(generator(seed), dim)
    return ask.answer(Call(LAYER, arguments, make=(dim, heads), weights=weights)).outputs


def pair_of(seed: int, sets: int = 3, tokens: int = 5, dim: int = 4) -> tuple[Tensor, Tensor]:
    rng = generator(seed)
    return numbers(rng, sets, tokens, dim), numbers(rng, sets, tokens, dim)


FIELDS = ("before", "after", "similarity_b2a", "similarity_a2b", "weights_before", "weights_after")
SIMILARITIES = ("similarity_b2a", "similarity_a2b")


def fields_have_names(ask: Asking) -> bool:
    return {"before", "after", *SIMILARITIES} <= view(ask, 9, *pair_of(9)).keys()


def only_when_asked(ask: Asking) -> bool:
    before, after = pair_of(10)
    without, given = view(ask, 10, before, after, False), view(ask, 10, before, after, True)
    return not any(name in without for name in SIMILARITIES) and all(name in given for name in SIMILARITIES)


def roles_exchange(ask: Asking) -> bool:
    before, after = pair_of(11)
    there, back = view(ask, 11, before, after), view(ask, 11, after, before)
    names = {"before": "after", "similarity_b2a": "similarity_a2b"}
    return all(
        equal(there[one], back[other]) and equal(there[other], back[one]) for one, other in names.items()
    )


def scenes_stay_apart(ask: Asking) -> bool:
    before, after = pair_of(12, dim=6)
    whole = view(ask, 12, before, after, dim=6, heads=3)
    alone = view(ask, 12, before[1:2], after[1:2], dim=6, heads=3)
    return all(equal(whole[name][1:2], alone[name]) for name in ("before", "after"))


def looks_are_named_right(ask: Asking) -> bool:
    """The looks of picture after go to picture before: they do not move when another token of after does."""
    before, after = pair_of(13)
    moved = after.clone()
    moved[:, 0] += 1
    first, second = view(ask, 13, before, after), view(ask, 13, before, moved)
    if any("weights_after" not in each or each["weights_after"].dim() != 4 for each in (first, second)):
        return False
    return equal(first["weights_after"][:, :, 1:], second["weights_after"][:, :, 1:])


# ps4.4


def difference_cases(rng: np.random.Generator) -> list[Call]:
    calls = []
    for batch, tokens, dim in ((2, 3, 2), (3, 2, 4)):
        given = difference_parts(rng, batch, tokens, dim)
        calls.append(Call(DIFFERENCE, given, want=(numbers(rng, batch, tokens, dim),)))
    return [*calls, Call(DIFFERENCE, tuple(part.float() for part in difference_parts(rng, 2, 4, 3)))]


def difference_parts(
    rng: np.random.Generator, batch: int = 2, tokens: int = 3, dim: int = 4
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """before, after, weight and bias."""
    before, after = numbers(rng, batch, tokens, dim), numbers(rng, batch, tokens, dim)
    return before, after, numbers(rng, dim, 2 * dim), numbers(rng, dim)


def weight_counts(ask: Asking) -> bool:
    before, after, weight, bias = difference_parts(generator(14))
    first, second = (ask(Call(DIFFERENCE, (before, after, part, bias))) for part in (weight, -weight))
    return not equal(first, second)


def never_negative(ask: Asking) -> bool:
    before, after, weight, bias = difference_parts(generator(14))
    return bool((ask(Call(DIFFERENCE, (before, after, weight, bias))) >= 0).all())


def bias_silences(ask: Asking) -> bool:
    before, after, weight, _ = difference_parts(generator(14))
    return bool((ask(Call(DIFFERENCE, (before, after, weight, -torch.full((4,), 50.0).double()))) == 0).all())


def cells_stay_apart(ask: Asking) -> bool:
    before, after, weight, bias = difference_parts(generator(15))
    whole = ask(Call(DIFFERENCE, (before, after, weight, bias)))
    alone = ask(Call(DIFFERENCE, (before[:, 1:2], after[:, 1:2], weight, bias)))
    return equal(whole[:, 1:2], alone)


PLACES = "Same place, or same thing?"
FRIEND = "The best friend of every token"
BOTH = "Why ask both sides"
EVERY = "Everybody against everybody"
CUT = "One jury, or several"
REBUILD = "Each picture rebuilt from the other"
SCALE = "How alike, and how loud"
REST = "What is left over"

EXERCISES = (
    Exercise(
        id="ps4.1",
        title="Token matching",
        piece=MATCHING,
        points=6,
        minutes=25,
        difficulty=4,
        importance=5,
        hints=(
            "Forget the batch at first: one set of N tokens, one of M tokens. Their dot products fill an (N, M) table. What "
            "do you do with each of its rows? And with each of its columns?",
            "Now with batches the table has four axes: which set, which token, which other set, which other token. One "
            "einsum makes it, or one product of flat matrices and a view. Write the four letters beside it and decide, for "
            "either direction, which letter the maximum removes and which the mean removes.",
            "Two intermediate results: the best key of every query token, which still has the letters a, i, b; and the best "
            "query token of every key token, with the letters a, b, j. Average the first over i, the second over j. Each is "
            "then (A, B). The answer is half their sum.",
        ),
        explanation=(
            "Nobody told your function where a token lies. It asks what a token is like, searches the whole other picture for "
            "its like, and so a shift of the camera costs almost nothing. The maximum chooses, the mean listens to everyone. "
            "Along the way you made a table of A N B M numbers, most of which lose: only winners get a gradient. The fast "
            "twin in `idc.kernels` lives on exactly that."
        ),
        cases=matching_cases,
        ideas={
            "one-direction": Idea(
                "only one direction counts",
                "Either you ask only one of the two sides for its best friends, or both of your maxima run along the same "
                "axis. A set of one token would then find a perfect match in a crowd, and the crowd would never be asked. "
                "Which axis does the second maximum have to remove?",
                BOTH,
            ),
            "other-direction": Idea(
                "only the key side is asked",
                "Every key token looks for its best query token, but no query token looks for its best key, or both of your "
                "maxima run along the query axis. Which axis has to go in the other half?",
                BOTH,
            ),
            "wrong-axis": Idea(
                "the maximum compares sets, not tokens",
                "Your maximum runs over the sets of the batch: each token now picks its favourite picture. It should pick "
                "its favourite token inside every picture, separately. Write the letters of the four axes beside the tensor "
                "and look at which one disappears.",
                EVERY,
            ),
            "mean-first": Idea(
                "the mean comes before the maximum",
                "You average first and then take the best average. So every token is compared with a blur of the other "
                "picture, and only a single winner is kept. First each token finds its best friend; only then do you ask how "
                "well they did on the whole.",
                FRIEND,
            ),
            "sum": Idea(
                "the tokens are added, not averaged",
                "A sum grows with the number of tokens: a finer grid would seem more alike to everything. The similarity is "
                "the average luck of a token, whatever their number.",
                FRIEND,
            ),
            "best-pair": Idea(
                "one pair decides for everyone",
                "You keep the single best pair of tokens of two pictures. Two pictures with one grey corner in common would "
                "then be perfectly alike. One of the two operations must let every token have its say; which?",
                FRIEND,
            ),
            "all-pairs": Idea(
                "everybody is averaged with everybody",
                "Your maxima are means. Then each token counts with all strangers of the other picture, and all that is left "
                "is the dot product of two average tokens. A cup changed its colour? The average hardly moved.",
                FRIEND,
            ),
            "cosine": Idea(
                "the vectors are brought to length 1",
                "You compare directions only. Here lengths count too: a token may learn to shout or to be silent, and empty "
                "ground has little to say. The formula has plain dot products; a learned factor comes later.",
                FRIEND,
            ),
            "diagonal": Idea(
                "each set meets only its own partner",
                "You compare set 1 with set 1, set 2 with set 2. InfoNCE needs the wrong pairs too, or there is nothing to "
                "choose from: every one of the A sets meets every one of the B sets.",
                EVERY,
            ),
            "transposed": Idea(
                "rows and columns are exchanged",
                "Your result has the keys as rows. Rows are queries: entry (a, b) compares query set a with key set b. "
                "For equal numbers of sets the shape does not betray it, but InfoNCE would then ask the other question.",
                EVERY,
            ),
            "scaled": Idea(
                "there is a root of D too many",
                "Attention divides by the root of the width to keep its softmax soft. No softmax here: the formula has no "
                "such factor, and how loud the similarities are is left to a factor that the layer learns.",
                FRIEND,
            ),
            "no-half": Idea(
                "the two directions are added, not averaged",
                "Both directions together are twice as large as either of them. With the same token in both pictures "
                "the similarity should be its dot product with itself, not twice that: the two directions are "
                "averaged.",
                BOTH,
            ),
            "wrong-count": Idea(
                "each direction is divided by the other's count",
                "There are N query tokens with a best friend each, and M key tokens. When you average the first, by how many "
                "do you divide? With N = M nobody notices, with a masked or smaller set everyone does.",
                EVERY,
            ),
            "exchanged": Idea(
                "sets and tokens change places",
                "Your four axes are named in another order than they lie in memory. A view that exchanges the number of sets "
                "and the number of tokens raises no error, it just deals the numbers out wrongly. Which index runs fastest in "
                "your product?",
                EVERY,
            ),
            "wrong-view": Idea(
                "the view names the axes in the wrong order",
                "Your flat product is right. But its rows run through the tokens of one query set after the other, its columns "
                "through those of the key sets, and a view has to name the axes in just that order. Yours runs, and deals the "
                "numbers out wrongly. Rearranging the axes comes after the view.",
                EVERY,
            ),
            "place-counts": Idea(
                "the place of a token counts",
                "Shuffle the tokens of a picture, and nothing may change. With yours something does. Either token i meets only "
                "token i, as if the camera never moved, or a view names the axes in another order than the numbers lie.",
                PLACES,
            ),
            "one-size": Idea(
                "it needs equally many sets on both sides",
                "With A query sets and B key sets the result is (A, B), also where A and B differ. Somewhere your code uses "
                "one number for both, or lines them up side by side.",
                EVERY,
            ),
            "copies": Idea(
                "copies of tokens count",
                "Give every token twice: everybody still finds the same best friend, and the average luck stays what "
                "it was. Yours changes, so something grows or shrinks with the number of tokens. A soft maximum such "
                "as logsumexp does that as well.",
                FRIEND,
            ),
            "not-plain": Idea(
                "it is no plain dot product",
                "Make all queries twice as long and all keys three times: every dot product, every maximum and every "
                "mean is six times what it was. Yours is not: perhaps you measure distances, squeeze, or normalise on "
                "the way.",
                FRIEND,
            ),
        },
        properties=(
            Property("any number of sets", "one-size", any_sizes),
            Property("tokens in any order", "place-counts", order_is_free),
            Property("both sides alike", "one-direction", sides_are_alike),
            Property("copies of tokens", "copies", copies_do_not_count),
            Property("lengths count", "not-plain", length_counts),
        ),
    ),
    Exercise(
        id="ps4.2",
        title="Multi-head token matching",
        piece=HEADS,
        points=4,
        minutes=15,
        difficulty=3,
        importance=3,
        hints=(
            "`joint` is what you have already: the whole width, one table of scores, one maximum. For `separate` think of H "
            "narrow pictures that lie on top of each other, each with its own table.",
            "Cut the last axis of both sides into H neighbouring parts of equal width; `torch.chunk` does it. Then you have H "
            "pairs, and a function that compares a pair.",
            "`match` applied to each of the H pairs gives H matrices (A, B). Put them on a new axis and take the mean along "
            "it, so that the result is (A, B) again.",
        ),
        explanation=(
            "A sum of dot products over parts of the width is the dot product over the whole width. So heads that are added "
            "before the maximum are no heads: `joint` has one jury with one vote. `separate` lets each head find its own best "
            "friend. The paper describes the second, the released code computes the first, and hardly anyone noticed: a "
            "good reason to test what you believe your code does."
        ),
        cases=head_cases,
        needs=("ps4.1",),
        ideas={
            "always-joint": Idea(
                "`separate` gives what `joint` gives",
                "You add the scores of the heads before anyone has chosen. Parts of a dot product add up to the whole one, so "
                "cutting has no effect. In which order do maximum and sum over the heads come?",
                CUT,
            ),
            "always-separate": Idea(
                "`joint` gives what `separate` gives",
                "Your `joint` lets every head choose for itself and averages afterwards. In `joint` there is one "
                "table of scores for the whole width and one maximum for it; the number of heads plays no part.",
                CUT,
            ),
            "exchanged": Idea(
                "the two modes are exchanged",
                "Each mode gives what belongs to the other. Ask yourself which of the two words describes a jury that "
                "first agrees on its marks and then chooses, and which one lets every juror choose alone.",
                CUT,
            ),
            "sum": Idea(
                "the heads are added, not averaged",
                "Your `separate` grows with the number of heads, and a temperature that was right for two heads would "
                "be wrong for eight. Each head casts one vote, and the votes are averaged.",
                CUT,
            ),
            "max": Idea(
                "the loudest head decides",
                "You take the largest of the heads' similarities, so that one enthusiastic head can overrule all "
                "doubts of the others. Each head casts a vote, and the votes are averaged: a jury, not an auction.",
                CUT,
            ),
            "by-tokens": Idea(
                "the tokens are cut, not the width",
                "Each of your heads sees only a part of the picture. A head sees all tokens, but only a slice of what each one "
                "says. Which axis is the width?",
                CUT,
            ),
            "interleaved": Idea(
                "the heads are combed, not cut",
                "Your head takes every H-th entry of a token. Heads are neighbouring slices, as in the attention of problem "
                "set 3, whose projections this function is fed with. The shape is the same, the values are not.",
                CUT,
            ),
            "split-by-size": Idea(
                "the number of heads is taken for their width",
                "`torch.split` and a reshape with (…, heads) at the end both make slices that are `heads` wide. You want "
                "`heads` slices, each D / H wide.",
                CUT,
            ),
            "shrunk": Idea(
                "`joint` is divided by the number of heads",
                "Your `joint` gives the right pattern, only smaller. The scores of the heads are summed before the "
                "maximum, not averaged: the result is token matching at full width, however many heads there are.",
                CUT,
            ),
            "mixed-heads": Idea(
                "heads meet strangers",
                "Head 1 of the queries is compared with another head of the keys. Slices of the same place belong "
                "together; pair them up one to one.",
                CUT,
            ),
            "all-heads": Idea(
                "every head meets every head",
                "Head 1 of the queries is compared with head 1 of the keys, but also with all the others. Shades meet shapes. "
                "There are H pairs of slices, not H times H.",
                CUT,
            ),
            "one-head": Idea(
                "one head is not the whole",
                "With a single head nothing is cut, so both modes must agree. Yours do not: something happens in "
                "`separate` besides cutting, matching and averaging. There is no further factor in its formula, no "
                "root either.",
                CUT,
            ),
            "joint-cut": Idea(
                "`joint` depends on the number of heads",
                "In `joint` the scores are summed over the heads before anyone chooses. Those sums are plain dot "
                "products at full width, into however many parts you cut them; yours depend on the number of parts.",
                CUT,
            ),
        },
        properties=(
            Property("one head", "one-head", one_head_is_no_cut),
            Property("joint", "joint-cut", joint_ignores_heads),
        ),
    ),
    Exercise(
        id="ps4.3",
        title="The cross-view layer",
        piece=LAYER,
        points=6,
        minutes=30,
        difficulty=4,
        importance=5,
        hints=(
            "Project each picture once, before anything else: that gives you six tensors. Everything the layer returns is "
            "made of these six and of the two pictures as they came in.",
            "Four steps, always in both directions: who asks whom (`self.attention.between` wants the query of one picture, "
            "key and value of the other); add the picture that asked; normalise; match the query of one with the key of the "
            "other, times the exponential of the learned scale.",
            "Take care of three things. Both directions start from the original pictures. The residual is the picture that "
            "asked. And `similarity_b2a` has the queries of before and the keys of after; without `match` both similarities "
            "are None. `CrossView` takes its six values in the order of its fields.",
        ),
        explanation=(
            "Each picture is told in the words of the other. What both share can be rebuilt; what only one has cannot, and "
            "stays behind as a gap. The same query and key projections also decide how alike two pictures are, so InfoNCE "
            "trains the very eyes that attention looks with: partners must find each other under any camera. That is the "
            "self-supervision in SCORER's name, and no caption was needed for it."
        ),
        cases=layer_cases,
        needs=("ps3.5", "ps4.1"),
        outputs=FIELDS,
        ideas={
            "sequential": Idea(
                "the second picture reads the first one's answer",
                "You rebuild one picture and then let the other one look at the result. Both are to be rebuilt from the "
                "pictures as they came in, at the same time, or it would matter which one you name first.",
                REBUILD,
            ),
            "no-residual": Idea(
                "the picture itself is missing",
                "You keep only what was found in the other picture. Then before' knows nothing of before, and there is "
                "nothing to compare with. What is added to the find before it is normalised?",
                REBUILD,
            ),
            "wrong-residual": Idea(
                "the find is added to the wrong picture",
                "What before found in after is added to before, the picture that asked. You add it to the one that was asked, "
                "which has it already.",
                REBUILD,
            ),
            "pre-norm": Idea(
                "the normalisation comes before the sum",
                "You normalise what was found and then add the picture. Here the sum is normalised, so that what leaves the "
                "layer has the same size as what the next layer expects.",
                REBUILD,
            ),
            "no-norm": Idea(
                "the normalisation is missing",
                "Sum after sum, the tokens would grow from layer to layer, and a trained model expects tokens of one "
                "size. `self.layer_norm` is there to be used, once for either picture and with the same weights.",
                REBUILD,
            ),
            "norm-twice": Idea(
                "it is normalised twice",
                "One LayerNorm over the sum of picture and find is enough; a second one undoes part of the scale and "
                "shift that the first one has learned. Look for a call inside a call, or a line that runs for both.",
                REBUILD,
            ),
            "plain-norm": Idea(
                "the normalisation has no learned weights",
                "You do normalise, but not with `self.layer_norm`. Its scale and shift are learned and shared by both "
                "pictures, and with a function or a module of your own they would never be trained or loaded.",
                REBUILD,
            ),
            "self": Idea(
                "each picture looks at itself",
                "Keys and values come from the picture that asks. That is self-attention: before learns about before. To be "
                "rebuilt from the other picture it has to look there.",
                REBUILD,
            ),
            "own-values": Idea(
                "the right place, the wrong picture",
                "You compare with the keys of the other picture but then take the values of your own. It is as if you looked "
                "up a page number in one book and read that page in another.",
                REBUILD,
            ),
            "raw-scale": Idea(
                "the scale is not exponentiated",
                "`logit_scale` is a logarithm. In training it may become negative, and then your layer would call "
                "strangers alike and partners different; the factor itself has to stay positive. Which function turns "
                "one into the other?",
                SCALE,
            ),
            "no-scale": Idea(
                "the learned factor is missing",
                "Your similarities are bare matchings. The layer multiplies them by a factor that it learns; without "
                "it InfoNCE cannot choose how loud it wants to be, which is the temperature you played with in "
                "problem set 1.",
                SCALE,
            ),
            "divided": Idea(
                "the scale divides",
                "A temperature divides, that is true, but `logit_scale` is the logarithm of its inverse: the larger "
                "it is, the louder the similarities and the surer the softmax. Yours become quieter instead.",
                SCALE,
            ),
            "late-matching": Idea(
                "the rebuilt pictures are matched",
                "Your similarities compare before' with after'. These have already read each other, so partners are alike by "
                "construction and InfoNCE has nothing to teach. Match the projections that attention used.",
                SCALE,
            ),
            "unprojected": Idea(
                "the pictures are matched as they came",
                "You compare the tokens themselves, as they came in. Matching uses queries and keys, the very same "
                "that attention looks with, so that InfoNCE trains those projections. Nothing would reach them in "
                "your version.",
                SCALE,
            ),
            "exchanged": Idea(
                "the two similarities are exchanged",
                "b2a reads “before to after”: before asks and gives the rows, after answers and gives the columns. "
                "Your two similarities are right, but each sits where the other belongs.",
                SCALE,
            ),
            "mirrored": Idea(
                "the second similarity is the mirror of the first",
                "It is tempting to save a matching and transpose. But queries and keys have projections of their own, so what "
                "after asks of before is another question than what before asks of after.",
                SCALE,
            ),
            "always": Idea(
                "similarities come unasked",
                "With `match=False` both similarities are None and no matching is computed. Only the last layer's are used; "
                "computing the others costs time and memory for nothing. With `match=True` both must be there.",
                SCALE,
            ),
            "looks-exchanged": Idea(
                "the looks are exchanged or missing",
                "`weights_before` says where each token of before looked in after, (B, H, N, N), and `weights_after` the "
                "other way round. They come as the second value of `self.attention.between`.",
                REBUILD,
            ),
            "names": Idea(
                "the results have no names",
                "Whoever calls your layer asks it for `.before` or `.similarity_b2a`, and bare values have no such "
                "names. Give back a `CrossView`, the class imported above; it takes six values, in the order of its "
                "fields.",
                SCALE,
            ),
            "lopsided": Idea(
                "the two directions are treated differently",
                "Exchange the two pictures, and all results should merely change places. Yours do not, so something "
                "happens to one picture that does not happen to the other. Follow both directions line by line and "
                "compare.",
                REBUILD,
            ),
            "mixed": Idea(
                "scenes of the batch mix",
                "Rebuilding a picture needs that scene's other picture and no other scene. Only the similarities compare "
                "across the batch. Yours changes when the other scenes are taken away.",
                REBUILD,
            ),
        },
        properties=(
            Property("a CrossView", "names", fields_have_names),
            Property("similarities only when asked for", "always", only_when_asked),
            Property("scenes stay apart", "mixed", scenes_stay_apart),
            Property("pictures may change roles", "lopsided", roles_exchange),
            Property("looks", "looks-exchanged", looks_are_named_right),
        ),
    ),
    Exercise(
        id="ps4.4",
        title="Difference tokens",
        piece=DIFFERENCE,
        points=4,
        minutes=10,
        difficulty=1,
        importance=3,
        hints=(
            "Put the two tokens of a cell side by side: one vector twice as long. Along which axis is that?",
            "(B, N, D) and (B, N, D) become (B, N, 2 D). The weight is (D, 2 D), rows are outputs, as in `nn.Linear`; "
            "`torch.nn.functional.linear` knows that convention.",
            "Three steps: concatenate along the last axis, before first; the linear map with weight and bias; then negative "
            "numbers become 0.",
        ),
        explanation=(
            "A plain subtraction can say “less of this here”, but no longer what was there. Side by side, nothing is lost, "
            "and subtraction is just one of the weights that training may find. Each difference token still belongs to a "
            "cell of the grid; the decoder will look at these cells, word by word, to tell what happened."
        ),
        cases=difference_cases,
        ideas={
            "subtract": Idea(
                "the pictures are subtracted",
                "You take after minus before. That forgets what was there in the first place: red minus blue and blue minus "
                "red would need a word each, and grey minus grey is nothing. Keep both, side by side.",
                REST,
            ),
            "weight-unused": Idea(
                "the weight is not used",
                "Another weight should give other tokens, and with yours nothing moves. What to make of the two pictures is "
                "learned: `weight` and `bias` come as arguments, and a subtraction fixed by hand leaves them nothing to say.",
                REST,
            ),
            "order": Idea(
                "after comes first",
                "The first D columns of the weight belong to before, the last D to after. With the parts exchanged a model "
                "would tell the story backwards.",
                REST,
            ),
            "tokens": Idea(
                "the pictures are joined along the tokens",
                "You put the two lists of tokens one after the other, so that neighbouring cells of the same picture meet. "
                "What should meet is the same cell of both pictures. Which axis is the width?",
                REST,
            ),
            "combed": Idea(
                "the entries alternate",
                "Your long vector takes one entry of before, one of after, and so on, like the teeth of two combs. "
                "The weight expects all of before first and then all of after. Stack and concatenate are not the "
                "same.",
                REST,
            ),
            "no-relu": Idea(
                "negative numbers remain",
                "Your tokens may become negative. After the linear map comes one more step: whatever speaks against a "
                "difference is cut off at 0, so that a quiet cell is exactly quiet.",
                REST,
            ),
            "gelu": Idea(
                "it is another bend",
                "The bend you took, GELU or a leaky one, lets small negative values through. Here everything below 0 "
                "becomes exactly 0, so that a cell in which nothing happened can be silent.",
                REST,
            ),
            "relu-first": Idea(
                "the ReLU comes too early",
                "You cut the negative entries of the pictures before the linear map has seen them. A negative entry "
                "is information like any other; only the result of the map is cut.",
                REST,
            ),
            "bias-last": Idea(
                "the bias comes after the ReLU",
                "You cut at 0 and add the bias afterwards. The bias is the threshold at which a token starts to "
                "speak, so it has to be there before the decision is made, inside the ReLU.",
                REST,
            ),
            "no-bias": Idea(
                "the bias is missing",
                "The linear map has a weight and a bias, and you use only the first. Then every threshold sits at 0, "
                "and two cells that are empty could never say anything at all.",
                REST,
            ),
            "not-transposed": Idea(
                "the weight is reshaped, not transposed",
                "(D, 2 D) has to meet a vector of length 2 D. A view or reshape to (2 D, D) fits the shapes but deals the "
                "numbers out anew. Rows of the weight are outputs.",
                REST,
            ),
            "sigmoid": Idea(
                "a sigmoid squeezes the values",
                "You squeeze the values into the range from 0 to 1. Difference tokens have no upper limit: the "
                "larger, the clearer the change. Only what is negative is cut.",
                REST,
            ),
            "cells-mix": Idea(
                "cells of a picture mix",
                "The difference token of a cell is made of that cell alone, once before and once after. Yours changes when "
                "the other cells are taken away.",
                REST,
            ),
        },
        properties=(
            Property("another weight", "weight-unused", weight_counts),
            Property("nothing below zero", "no-relu", never_negative),
            Property("a bias that silences everyone", "no-bias", bias_silences),
            Property("cells stay apart", "cells-mix", cells_stay_apart),
        ),
    ),
)
