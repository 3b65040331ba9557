"""Evaluating 4,000 captions again in one process, as a training run does every few minutes.

The peer calls pycocoevalcap as its own `COCOEvalCap` does: tokenizer, BLEU, METEOR, ROUGE-L, CIDEr. The first evaluation
is not timed. Then half of the captions, or all, are new ones. Wall time: the Java programs are other processes.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from benchmarks.harness import Case, Options
from idc.metrics.captions import score_captions
from idc.metrics.java import java
from idc.world.triple import sample_triple

GOAL = "P5"
TITLE = "evaluating captions again"
Corpus = tuple[dict[str, str], dict[str, list[str]]]


def scenes(count: int) -> dict[str, list[str]]:
    """The sentences of scenes of the rendered world."""
    return {f"{i:06d}.png": list(sample_triple(5, i).sentences) for i in range(count)}


def corpus(sentences: dict[str, list[str]], turn: int, share: float) -> Corpus:
    """Every scene's first sentence against the others; at a later turn, some captions are changed.

    A changed caption is a sentence of another scene with two words exchanged, which is hardly ever seen twice.
    """
    chance = random.Random(turn)
    names = list(sentences)
    predictions = {name: texts[0] for name, texts in sentences.items()}
    for name in chance.sample(names, round(share * len(names))):
        words = chance.choice(sentences[chance.choice(names)]).split()
        i, j = chance.sample(range(len(words)), 2)
        words[i], words[j] = words[j], words[i]
        predictions[name] = " ".join(words)
    return predictions, {name: texts[1:] for name, texts in sentences.items()}


def theirs(predictions: dict[str, str], references: dict[str, list[str]]) -> dict[str, float]:
    with java(), contextlib.redirect_stdout(io.StringIO()):
        truth = PTBTokenizer().tokenize({n: [{"caption": c} for c in cs] for n, cs in references.items()})
        said = PTBTokenizer().tokenize({n: [{"caption": c}] for n, c in predictions.items()})
        figures = {f"BLEU-{n}": v for n, v in enumerate(Bleu(4).compute_score(truth, said)[0], start=1)}
        for name, scorer in (("METEOR", Meteor()), ("ROUGE-L", Rouge()), ("CIDEr", Cider())):
            figures[name] = scorer.compute_score(truth, said)[0]
    return {name: float(value) for name, value in figures.items()}


def check(options: Options) -> list[str]:
    """The second and the third time."""
    sentences = scenes(60)
    score_captions(*corpus(sentences, 0, 0.0))
    for turn, share in ((1, 0.5), (2, 1.0)):
        mine, other = (f(*corpus(sentences, turn, share)) for f in (score_captions, theirs))
        for name, value in other.items():
            assert abs(mine[name] - value) < 1e-6, (name, mine[name], value)
    return ["BLEU, METEOR, ROUGE-L, CIDEr to 1e-6, after a first evaluation: half new, all new"]


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    sentences = scenes(size["captions"])
    evaluate = theirs if variant == "pycocoevalcap" else score_captions
    if variant == "warm":  # for the peer every time is the first
        evaluate(*corpus(sentences, 0, 0.0))
    turn = 0

    def again() -> None:
        nonlocal turn
        turn += 1
        evaluate(*corpus(sentences, turn, size["new"]))

    return again


def case(captions: int, share: float, goal: float | None) -> Case:
    name = f"{captions} captions, {'all' if share == 1 else 'half'} new"
    size = {"captions": captions, "new": share}
    return Case(name, "pycocoevalcap", "warm", size, {"wall_s": goal}, repeats=1)


CASES = {
    "small": [case(1000, 0.5, None)],
    "full": [
        case(4000, 0.5, 3.0),
        case(4000, 1.0, 1.7),
    ],
}
