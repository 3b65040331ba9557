"""Retrieval figures against a plain twin, at the edges, and beside the released code's way to count ties."""

from __future__ import annotations

import itertools
from statistics import mean, median

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from idc.errors import UserError
from idc.metrics.retrieval import (
    Ranks,
    ceiling,
    chance,
    pair_to_text,
    report_table,
    retrieval_report,
    text_to_pair,
)


def figures_of(queries: list[tuple[list[float], int]]) -> dict[str, float]:
    """The figures of queries (scores, true candidate), over all the places that each true one may get among equals."""
    places = []
    for scores, true in queries:
        nearer = sum(score > scores[true] for score in scores)
        level = sum(score == scores[true] for score in scores)
        places.append([nearer + 1 + place for place in range(level)])
    recalls = {
        f"R@{k}": 100 * mean(mean(rank <= k for rank in ranks) for ranks in places) for k in (1, 5, 10)
    }
    expected = [mean(ranks) for ranks in places]
    return recalls | {"median_rank": median(expected), "mean_rank": mean(expected)}


def twin(similarity: list[list[float]], owner: list[int]) -> tuple[dict[str, float], dict[str, float]]:
    """Text to pair and pair to text, as one would write them down."""
    pairs = range(len(similarity[0]))
    best = [
        [max(row[q] for row, o in zip(similarity, owner, strict=True) if o == p) for p in pairs]
        for q in pairs
    ]
    return figures_of(list(zip(similarity, owner, strict=True))), figures_of([(best[q], q) for q in pairs])


@st.composite
def retrievers(draw: st.DrawFn) -> tuple[Tensor, list[int], list[str]]:
    """A similarity with many ties, owners in any order, and captions of which equal ones have equal rows."""
    pairs = draw(st.integers(1, 13))
    more = draw(st.lists(st.integers(0, pairs - 1), max_size=12))
    owner = draw(st.permutations([*range(pairs), *more]))
    words = draw(st.lists(st.integers(0, 9), min_size=len(owner), max_size=len(owner)))
    rows = draw(
        st.lists(st.lists(st.integers(-2, 2), min_size=pairs, max_size=pairs), min_size=10, max_size=10)
    )
    return torch.tensor([rows[word] for word in words]).float(), owner, [f"caption {word}" for word in words]


def close(one: dict[str, float], other: dict[str, float]) -> bool:
    return one == {name: pytest.approx(value) for name, value in other.items()}


@given(retrievers())
def test_it_equals_the_plain_twin(retriever: tuple[Tensor, list[int], list[str]]) -> None:
    similarity, owner, _ = retriever
    by_text, by_pair = twin(similarity.tolist(), owner)
    assert close(text_to_pair(similarity, torch.tensor(owner)).figures(), by_text)
    assert close(pair_to_text(similarity, torch.tensor(owner)).figures(), by_pair)


@given(retrievers())
def test_nothing_beats_the_ceiling(retriever: tuple[Tensor, list[int], list[str]]) -> None:
    similarity, owner, captions = retriever
    best = ceiling(captions, owner)
    for name, rank in (("text_to_pair", text_to_pair), ("pair_to_text", pair_to_text)):
        reached = rank(similarity, torch.tensor(owner)).figures()
        assert reached["R@1"] <= reached["R@5"] <= reached["R@10"]
        assert all(reached[at] <= best[name][at] + 1e-9 for at in ("R@1", "R@5", "R@10"))


@given(retrievers(), st.randoms(use_true_random=False), st.integers(1, 9))
def test_order_scale_and_chunks_do_not_matter(
    retriever: tuple[Tensor, list[int], list[str]], random: object, chunk: int
) -> None:
    similarity, owner, captions = retriever
    pairs = len(similarity[0])
    names, rows = list(range(pairs)), list(range(len(owner)))
    random.shuffle(names), random.shuffle(rows)  # type: ignore[attr-defined]
    place = {name: place for place, name in enumerate(names)}
    # Row t of `similarity` as a vector, and the unit vectors as pairs: their products are the similarities.
    vectors, units = similarity[rows][:, names].exp() / 8, torch.eye(pairs)
    shuffled = retrieval_report(
        vectors,
        units,
        torch.tensor([place[owner[row]] for row in rows]),
        [captions[row] for row in rows],
        chunk,
    )
    by_text, by_pair = twin(similarity.tolist(), owner)
    assert close(shuffled["text_to_pair"], by_text) and close(shuffled["pair_to_text"], by_pair)
    best = ceiling(captions, owner)
    assert all(close(shuffled["ceiling"][name], best[name]) for name in best)


@pytest.mark.parametrize("pairs", [1, 3, 20])
def test_a_perfect_retriever_scores_100(pairs: int) -> None:
    owner = torch.arange(pairs).repeat_interleave(3)
    texts = torch.eye(pairs)[owner]
    report = retrieval_report(texts, torch.eye(pairs), owner, [f"caption {i}" for i in range(3 * pairs)])
    perfect = {"R@1": 100, "R@5": 100, "R@10": 100, "median_rank": 1, "mean_rank": 1}
    assert report["text_to_pair"] == report["pair_to_text"] == perfect
    assert report["ceiling"]["text_to_pair"] == report["ceiling"]["pair_to_text"]
    assert set(report["ceiling"]["text_to_pair"].values()) == {100}


@pytest.mark.parametrize("pairs", [1, 7, 20])
def test_who_finds_all_equally_near_scores_chance(pairs: int) -> None:
    owner = torch.arange(pairs).repeat_interleave(2)
    report = retrieval_report(torch.ones(2 * pairs, 4), torch.ones(pairs, 4), owner, ["it moved"] * 2 * pairs)
    assert close(report["text_to_pair"], chance(pairs)) and close(report["pair_to_text"], chance(pairs))


def test_chance_is_the_mean_over_all_orders_whatever_the_captions() -> None:
    owner, recalls, ranks = [0, 0, 0, 1, 2], [], []
    for order in itertools.permutations(range(5)):
        similarity = (
            torch.tensor(order).float()[:, None].expand(5, 3)
        )  # the order in which every pair ranks captions
        found = pair_to_text(similarity, torch.tensor(owner))
        recalls.append(found.recall(1))
        ranks.append(found.expected().mean().item())
    assert mean(recalls) == pytest.approx(chance(3)["R@1"])
    assert mean(ranks) == pytest.approx(chance(3)["mean_rank"])


def test_the_ceiling_of_shared_captions_by_hand() -> None:
    captions = ["a", "a", "b", "a", "a", "c", "c"]
    owner = [0, 0, 0, 1, 2, 1, 2]
    best = ceiling(captions, owner)
    # “a” is best given to pair 0, which has it twice (2 of 4); “b” is pair 0's alone; “c” finds one of its two pairs.
    assert best["text_to_pair"] == {"R@1": pytest.approx(100 * 4 / 7), "R@5": 100, "R@10": 100}
    # Pair 0 goes by “b”, pairs 1 and 2 share all they have.
    assert best["pair_to_text"] == {
        "R@1": pytest.approx(100 * (1 + 1 / 2 + 1 / 2) / 3),
        "R@5": 100,
        "R@10": 100,
    }


def test_the_ceiling_can_be_reached() -> None:
    captions, owner = ["a", "a", "b", "a", "a", "c", "c"], [0, 0, 0, 1, 2, 1, 2]
    nearest_pairs = {"a": [3, 2, 1], "b": [3, 1, 1], "c": [1, 3, 2]}
    rows = torch.tensor([nearest_pairs[caption] for caption in captions]).float()
    assert text_to_pair(rows, torch.tensor(owner)).recall(1) == pytest.approx(
        ceiling(captions, owner)["text_to_pair"]["R@1"]
    )
    likes = {"a": [0, 0, 0], "b": [1, 0, 0], "c": [0, 1, 1]}
    rows = torch.tensor([likes[caption] for caption in captions]).float()
    assert pair_to_text(rows, torch.tensor(owner)).recall(1) == pytest.approx(
        ceiling(captions, owner)["pair_to_text"]["R@1"]
    )


def counted_as_released(best: list[list[float]]) -> list[int]:
    """Every place, from 0, at which a query's own score stands in its sorted scores: what the released code averages."""
    return [
        place
        for query, scores in enumerate(best)
        for place, score in enumerate(sorted(scores, reverse=True))
        if score == scores[query]
    ]


def test_the_released_count_has_more_entries_than_queries() -> None:
    # Four pairs, the first two described by the same words; each puts its own words first.
    captions, owner = ["a", "a", "c", "d"], [0, 1, 2, 3]
    best = [[1.0 if captions[p] == captions[q] else 0.0 for p in range(4)] for q in range(4)]
    released = counted_as_released(best)
    assert len(released) == 6
    assert 100 * released.count(0) / len(released) == pytest.approx(400 / 6)  # and the tied pairs count twice
    ranks = pair_to_text(torch.tensor(best).T.contiguous(), torch.tensor(owner))
    assert len(ranks.nearer) == 4
    assert ranks.recall(1) == 75 == ceiling(captions, owner)["pair_to_text"]["R@1"]


def test_the_released_count_of_a_group_that_shares_its_captions() -> None:
    # Ten pairs that are found at once, and five that share their captions: these have most of the entries.
    words = [*range(10), *[10] * 5]
    best = [[1.0 if p == q else 0.0 for p in words] for q in words]
    released = counted_as_released(best)
    assert len(released) == 10 + 25
    assert 100 * released.count(0) / len(released) == pytest.approx(100 * 15 / 35)
    assert counted_as_released([[1.0] * 5] * 5).count(0) / 25 == pytest.approx(0.20)
    ranks = pair_to_text(torch.tensor(best), torch.arange(15))
    assert ranks.recall(1) == pytest.approx(100 * (10 + 5 / 5) / 15)
    assert ranks.recall(5) == 100


def test_equal_vectors_are_level_wherever_they_stand() -> None:
    generator = torch.Generator().manual_seed(0)
    texts = torch.nn.functional.normalize(torch.randn(301, 67, generator=generator), dim=-1)
    pair = torch.nn.functional.normalize(torch.randn(1, 67, generator=generator), dim=-1)
    report = retrieval_report(texts, pair.expand(301, -1), torch.arange(301), ["a"] * 301, chunk=7)
    assert close(report["text_to_pair"], chance(301))


def test_a_pair_without_captions_is_refused() -> None:
    with pytest.raises(UserError, match="no caption"):
        pair_to_text(torch.zeros(2, 3), torch.tensor([0, 2]))
    with pytest.raises(UserError, match="no caption"):
        retrieval_report(torch.zeros(2, 4), torch.zeros(3, 4), torch.tensor([0, 1]), ["a", "b"])


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="not a number"):
        text_to_pair(torch.tensor([[0.0, float("nan")]]), torch.tensor([0]))


def test_ranks_by_hand() -> None:
    ranks = Ranks(torch.tensor([0, 0, 4]), torch.tensor([0, 1, 5]))
    assert ranks.expected().tolist() == [1, 1.5, 7.5]
    assert ranks.recall(1) == pytest.approx(100 * (1 + 1 / 2) / 3)
    assert ranks.recall(5) == pytest.approx(100 * (1 + 1 + 1 / 6) / 3)
    assert ranks.figures()["median_rank"] == 1.5


def test_the_table_shows_every_figure() -> None:
    report = retrieval_report(torch.eye(4), torch.eye(4), torch.arange(4), ["a", "a", "b", "c"])
    said = report_table(report)
    assert "4 captions (3 distinct) of 4 pairs" in said
    rows = said.splitlines()[2:]
    assert [row[:14].strip() for row in rows] == [
        "text to pair",
        "at best",
        "pair to text",
        "at best",
        "chance",
    ]
    assert rows[1].split()[-3:] == ["75.00", "100.00", "100.00"]
    assert rows[4].split()[1:] == ["25.00", "100.00", "100.00", "2.50", "2.50"]
