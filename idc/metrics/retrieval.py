"""Does a caption find its pictures, and do two pictures find their caption?

A retriever gives every caption and every pair a similarity, (T, P), larger is nearer; `owner` (T,) says which pair a
caption was written for. Text to pair: each caption ranks all pairs. Pair to text: each pair ranks all pairs by the
best of their captions. A query with `nearer` candidates above the true one and `tied` others level with it counts as
it would on average over all orders of what is level:

    R@k = min(1, max(0, (k - nearer) / (tied + 1)))          rank = nearer + 1 + tied / 2

So who puts the true one above all others scores 100 and who finds everything equally near scores chance, however
many candidates there are. CLIP4IDC, section 4, has the protocol. Its released code finds the rank from pairs to texts
by looking a query's own score up among its sorted scores and counts every place where it stands: a query with ties
counts several times, once for each rank.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from idc.errors import UserError

AT = (1, 5, 10)  # the k of R@k
DIRECTIONS = ("text_to_pair", "pair_to_text")


@dataclass(frozen=True)
class Ranks:
    """Where the true candidate of each query stands: below `nearer` others and level with `tied` others."""

    nearer: Int[Tensor, "Q"]
    tied: Int[Tensor, "Q"]

    def recall(self, k: int) -> float:
        """R@k: how many queries, in percent, have the true candidate among the first k."""
        return 100 * ((k - self.nearer).double() / (self.tied + 1)).clamp(0, 1).mean().item()

    def expected(self) -> Float[Tensor, "Q"]:
        """The rank of each query's true candidate, counted from 1, on average over the orders of what is level."""
        return self.nearer.double() + 1 + self.tied.double() / 2

    def figures(self) -> dict[str, float]:
        """R@1, R@5 and R@10 in percent, the median and the mean of the expected ranks."""
        ranks = self.expected()
        recalls = {f"R@{k}": self.recall(k) for k in AT}
        return recalls | {"median_rank": ranks.quantile(0.5).item(), "mean_rank": ranks.mean().item()}


def rank_true(scores: Float[Tensor, "Q C"], true: Int[Tensor, "Q"]) -> Ranks:
    """Where candidate true[q] stands among the C candidates of query q. Raises UserError for a score that is none."""
    if scores.isnan().any():
        raise UserError(
            "a similarity is not a number, so nothing can be ranked by it; the weights have diverged. Take an earlier "
            "snapshot, or train with a smaller optim.lr."
        )
    own = scores.gather(1, true[:, None])
    return Ranks((scores > own).sum(1), (scores == own).sum(1) - 1)


def text_to_pair(similarity: Float[Tensor, "T P"], owner: Int[Tensor, "T"]) -> Ranks:
    """Each caption ranks the pairs; the true one is its owner."""
    return rank_true(similarity, owner)


def pair_to_text(
    similarity: Float[Tensor, "T Q"], owner: Int[Tensor, "T"], queries: Int[Tensor, "Q"] | None = None
) -> Ranks:
    """Each pair ranks the owners of captions by the best of their captions; the true one is itself.

    best[p, q] = max {similarity[t, q]: owner[t] = p}

    queries: the pairs whose columns these are; all pairs if None. Raises UserError for a pair without captions.
    """
    captions = owner.bincount()
    queries = torch.arange(similarity.shape[1], device=owner.device) if queries is None else queries
    if len(captions) <= int(queries.max()) or not captions.all():
        raise UserError(
            "a pair has no caption, so no caption can be the right one for it; leave such pairs out."
        )
    best = similarity.new_full((len(captions), similarity.shape[1]), -torch.inf)
    best.scatter_reduce_(0, owner[:, None].expand_as(similarity), similarity, "amax")
    return rank_true(best.T, queries)


def similarities(texts: Float[Tensor, "T D"], pairs: Float[Tensor, "P D"]) -> Float[Tensor, "T P"]:
    """Cosines of vectors of unit length, on the CPU.

    They are summed in double precision and rounded to single, so that equal vectors are level wherever they stand in
    a matrix: the order in which a product is summed does not break ties.
    """
    return (texts.cpu().double() @ pairs.cpu().double().T).float()


def in_chunks(rank: Callable[[slice], Ranks], queries: int, chunk: int) -> Ranks:
    """The ranks of all queries, `chunk` at a time; rank(part) gives those of a part.

    They are written to one place: kept as they come, they would lie scattered between what is freed around them.
    """
    whole = Ranks(torch.empty(queries, dtype=torch.long), torch.empty(queries, dtype=torch.long))
    for start in range(0, queries, chunk):
        part = slice(start, min(start + chunk, queries))
        ranks = rank(part)
        whole.nearer[part], whole.tied[part] = ranks.nearer, ranks.tied
    return whole


def ceiling(captions: Sequence[str], owner: Sequence[int]) -> dict[str, dict[str, float]]:
    """The R@k, in percent, of the best retriever there can be that knows a caption by its words alone.

    Text to pair: a caption that stands at several pairs finds them in one order whichever it was written for; the best
    order begins with the pair that has it most often. Pair to text: the pairs that share a caption are level when it
    is the best; the best retriever goes by the caption that the fewest share, and finds the pair with min(1, k / fewest).
    """
    owners: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for caption, pair in zip(captions, owner, strict=True):
        owners[caption][pair] += 1
    fewest: dict[int, int] = {}
    for counts in owners.values():
        for pair in counts:
            fewest[pair] = min(len(counts), fewest.get(pair, len(counts)))
    found = {k: sum(n for counts in owners.values() for _, n in counts.most_common(k)) for k in AT}
    shares = {k: sum(min(1, k / few) for few in fewest.values()) for k in AT}
    return {
        "text_to_pair": {f"R@{k}": 100 * found[k] / len(captions) for k in AT},
        "pair_to_text": {f"R@{k}": 100 * shares[k] / len(fewest) for k in AT},
    }


def chance(pairs: int) -> dict[str, float]:
    """What guessing scores among that many pairs, in either direction.

    In one random order k of the P pairs are among the first k, whatever the captions: R@k = k / P on average.
    """
    recalls = {f"R@{k}": 100 * min(k, pairs) / pairs for k in AT}
    return recalls | {"median_rank": (pairs + 1) / 2, "mean_rank": (pairs + 1) / 2}


def retrieval_report(
    texts: Float[Tensor, "T D"],
    pairs: Float[Tensor, "P D"],
    owner: Int[Tensor, "T"],
    captions: Sequence[str],
    chunk: int = 256,
) -> dict[str, Any]:
    """All captions against all pairs, both given as vectors of unit length.

    captions: the T sentences, to find those that are identical. chunk: queries at a time; no more than chunk
    similarities of each caption and of each pair are in memory at once. Returns

    {"pairs", "captions", "distinct_captions": numbers,
     "text_to_pair", "pair_to_text": {"R@1", "R@5", "R@10" in percent, "median_rank", "mean_rank"},
     "ceiling": {"text_to_pair", "pair_to_text": {"R@1", "R@5", "R@10"}}, "chance": like "text_to_pair"}.
    Raises UserError for a pair without captions and for vectors that are no numbers.
    """
    texts, pairs, owner = texts.cpu().double(), pairs.cpu().double(), owner.cpu()
    numbers = torch.arange(len(pairs))

    def by_text(part: slice) -> Ranks:
        return text_to_pair(similarities(texts[part], pairs), owner[part])

    def by_pair(part: slice) -> Ranks:
        return pair_to_text(similarities(texts, pairs[part]), owner, numbers[part])

    return {
        "pairs": len(pairs),
        "captions": len(texts),
        "distinct_captions": len(set(captions)),
        "text_to_pair": in_chunks(by_text, len(texts), chunk).figures(),
        "pair_to_text": in_chunks(by_pair, len(pairs), chunk).figures(),
        "ceiling": ceiling(captions, owner.tolist()),
        "chance": chance(len(pairs)),
    }


def report_table(report: dict[str, Any]) -> str:
    """The report as text: a row for each direction, the best and the worst that there can be."""
    rows = {"text to pair": report["text_to_pair"], "  at best": report["ceiling"]["text_to_pair"]}
    rows |= {"pair to text": report["pair_to_text"], "   at best": report["ceiling"]["pair_to_text"]}
    rows["chance"] = report["chance"]
    names = list(report["chance"])
    lines = [
        f"{report['captions']} captions ({report['distinct_captions']} distinct) of {report['pairs']} pairs; R@k in %",
        " " * 14 + "".join(f"{name:>13}" for name in names),
    ]
    for row, figures in rows.items():
        lines.append(
            f"{row:<14}" + "".join(f"{figures[n]:13.2f}" if n in figures else " " * 13 for n in names)
        )
    return "\n".join(line.rstrip() for line in lines)
