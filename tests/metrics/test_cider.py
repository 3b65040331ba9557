"""CIDEr-D in tensors against pycocoevalcap's."""

from __future__ import annotations

import random

import pytest
import torch
from pycocoevalcap.cider.cider_scorer import CiderScorer

from idc.errors import UserError
from idc.metrics.cider import MOST_WORDS, Cider
from idc.world.triple import sample_triple


def theirs(candidates: list[str], references: list[list[str]]) -> list[float]:
    scorer = CiderScorer(n=4, sigma=6.0)
    for candidate, captions in zip(candidates, references, strict=True):
        scorer += (candidate, captions)
    return scorer.compute_score()[1].tolist()


def mine(candidates: list[str], references: list[list[str]]) -> list[float]:
    return Cider(references).score(candidates, range(len(references))).tolist()


def same(candidates: list[str], references: list[list[str]]) -> None:
    assert mine(candidates, references) == pytest.approx(theirs(candidates, references), rel=0, abs=1e-9)


def sentence(chance: random.Random, words: int, vocabulary: int) -> str:
    return " ".join(f"w{chance.randrange(vocabulary)}" for _ in range(words))


@pytest.mark.parametrize("vocabulary", [2, 9, 300])
def test_random_captions(vocabulary: int) -> None:
    """Few words make n-grams that repeat within a caption, many words make unknown ones."""
    chance = random.Random(vocabulary)
    references = [
        [sentence(chance, chance.randrange(0, 13), vocabulary) for _ in range(chance.randrange(1, 6))]
        for _ in range(60)
    ]
    candidates = [sentence(chance, chance.randrange(0, 13), vocabulary + 3) for _ in references]
    same(candidates, references)


def test_sentences_of_the_world() -> None:
    triples = [sample_triple(5, i) for i in range(80)]
    same([t.sentences[0] for t in triples], [list(t.sentences[1:]) for t in triples])


@pytest.mark.parametrize(
    ("candidates", "references"),
    [
        (["a b c"], [["a b c", "a b"]]),  # one image: every weight is log 1 = 0
        (["", "a"], [["a b"], ["a"]]),
        (["a b", "a"], [[""], ["", "a"]]),
        (["x y z u v", "x x x x x x"], [["a b c d"], ["a a a a"]]),  # nothing known
        (["a a a a a a a a", "b"], [["a a", "a b a b a"], ["b c", "c"]]),
        (["a " * 40, "b"], [["a " * 3], ["b"]]),  # lengths far apart
    ],
)
def test_odd_captions(candidates: list[str], references: list[list[str]]) -> None:
    same(candidates, references)


def test_several_candidates_of_an_image_and_images_without() -> None:
    """As a reward: samples of some images against references of all."""
    triples = [sample_triple(6, i) for i in range(20)]
    references = [list(t.sentences) for t in triples]
    scorer = Cider(references)
    images = [3, 3, 17, 0, 3]
    candidates = ["the red cube is gone", triples[3].sentences[2], triples[17].sentences[0], "", "there is"]
    scores = scorer.score(candidates, torch.tensor(images))
    for score, candidate, image in zip(scores.tolist(), candidates, images, strict=True):
        filled = ["" for _ in references]
        filled[image] = candidate
        assert score == pytest.approx(theirs(filled, references)[image], rel=0, abs=1e-9)
    assert scorer.score(candidates, images).equal(scores)  # nothing was left behind by the first call
    assert scores[1] > scores[0] > scores[3] == 0


def test_references_without_words() -> None:
    assert mine(["a", ""], [[""], ["", ""]]) == [0, 0]


def test_no_candidates() -> None:
    assert Cider([["a"]]).score([], []).shape == (0,)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match="2 candidates came with 1 images"):
        Cider([["a"]]).score(["a", "b"], [0])
    for image in (-1, 2):
        with pytest.raises(UserError, match="there are references of images 0 to 1"):
            Cider([["a"], ["b"]]).score(["a"], [image])
    with pytest.raises(UserError, match="image 1 has no reference"):
        Cider([["a"], []])
    with pytest.raises(UserError, match=f"{MOST_WORDS + 1} different words"):
        Cider([[" ".join(map(str, range(MOST_WORDS + 1)))]])
