"""How close a caption is to what people wrote: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, as pycocoevalcap computes them.

Figures are those of `COCOEvalCap` to 1e-6 (a test compares them). What is added: Java is found, what was computed once
for a caption and its references is remembered, METEOR's process stays, CIDEr is computed in tensors, and errors speak.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idc.errors import UserError
from idc.metrics.cider import Cider
from idc.metrics.java import SPICE_NEEDS, java
from idc.metrics.memory import Memory
from idc.metrics.meteor import METEOR, Question
from idc.metrics.tokens import penn_treebank, split, unclosed_pipes

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
DEFAULT = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")
TOKENIZERS = ("ptb", "split")
# What was found out about captions and references. A validation every few minutes sees most of them again.
bleu_counts: Memory[Question, dict[str, Any]] = Memory(50_000)
rouge_scores: Memory[Question, float] = Memory(50_000)
ciders: Memory[tuple[tuple[str, ...], ...], Cider] = Memory(16)


def spice_missing() -> str | None:
    """Why SPICE cannot run, or None when its files are there."""
    package = importlib.util.find_spec("pycocoevalcap")
    assert package is not None and package.submodule_search_locations
    library = Path(package.submodule_search_locations[0]) / "spice" / "lib"
    needed = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
    missing = [name for name in needed if not (library / name).is_file()]
    if not missing:
        return None
    return (
        f"SPICE is left out: {', '.join(missing)} (from stanford-corenlp-full-2015-12-09.zip) must be put into the "
        "folder spice/lib of the installed package pycocoevalcap."
    )


def check(names: Sequence[str], tokenizer: str) -> None:
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric “{name}”; choose among {', '.join(METRICS)}.")
    if tokenizer not in TOKENIZERS:
        raise UserError(f"there is no tokenizer “{tokenizer}”; choose ptb (needs Java) or split.")


def bleu(questions: Sequence[Question]) -> list[float]:
    """BLEU-1 ... BLEU-4 of a corpus."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer, cook_refs, cook_test

    scorer = BleuScorer(n=4)
    scorer.ctest = bleu_counts.recall(questions, lambda new: [cook_test(c, cook_refs(r)) for c, r in new])
    scorer.crefs = [None] * len(questions)  # only counted from here on
    return [float(value) for value in scorer.compute_score(option="closest", verbose=0)[0]]


def rouge(questions: Sequence[Question]) -> float:
    """ROUGE-L, the mean over captions."""
    scores = rouge_scores.recall(questions, lambda new: [rouge_l(*question) for question in new])
    return float(np.mean(scores))


def rouge_l(caption: str, references: Sequence[str], beta: float = 1.2) -> float:
    """Lin 2004, equations 2 to 4: F of precision and recall, each that of the best reference."""
    words = caption.split(" ")
    others = [reference.split(" ") for reference in references]
    common = common_words(words, others)
    precision = max(common) / len(words)
    recall = max(count / len(other) for count, other in zip(common, others, strict=True))
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision) if precision else 0.0


def common_words(words: list[str], others: list[list[str]]) -> list[int]:
    """The length of the longest common subsequence with each of the others.

    A row of the usual table is one integer: bit i is 0 where the length grows at word i (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for i, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(words)) - 1
    lengths = []
    for other in others:
        row = every
        for word in other:
            grown = row & places.get(word, 0)
            row = (row + grown | row - grown) & every
        lengths.append((every & ~row).bit_count())
    return lengths


def cider(questions: Sequence[Question]) -> float:
    """CIDEr-D, the mean over captions."""
    said, truth = zip(*questions, strict=True)
    (scorer,) = ciders.recall([truth], lambda new: [Cider(truth)])
    return float(scorer.score(said, range(len(said))).mean())


class CaptionScorer:
    """Scores groups of captions, tokenized once.

    predictions: {id: caption}; references: {id: captions}.
    Raises UserError for a prediction without references.
    """

    def __init__(
        self,
        predictions: Mapping[str, str],
        references: Mapping[str, Sequence[str]],
        metrics: Sequence[str] = DEFAULT,
        tokenizer: str = "ptb",
    ):
        check(metrics, tokenizer)
        unknown = [name for name in predictions if not references.get(name)]
        if unknown:
            raise UserError(
                f"{len(unknown)} predictions have no reference captions, first “{unknown[0]}”; "
                "the results belong to other annotations."
            )
        if not predictions:
            raise UserError("there are no predictions to score.")
        self.metrics = metrics
        tokenize = penn_treebank if tokenizer == "ptb" else split
        self.predictions = dict(zip(predictions, tokenize(list(predictions.values())), strict=True))
        tokens = iter(tokenize([text for name in predictions for text in references[name]]))
        self.references = {name: tuple(next(tokens) for _ in references[name]) for name in predictions}

    def score(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """The metrics over the given ids (None: all), each group a corpus of its own."""
        names = list(self.predictions) if names is None else names
        questions = [(self.predictions[name], self.references[name]) for name in names]
        result: dict[str, float] = {}
        if "BLEU" in self.metrics:
            result |= {f"BLEU-{n}": value for n, value in enumerate(bleu(questions), start=1)}
        if "METEOR" in self.metrics:
            result["METEOR"] = METEOR.score(questions)
        if "ROUGE-L" in self.metrics:
            result["ROUGE-L"] = rouge(questions)
        if "CIDEr" in self.metrics:
            result["CIDEr"] = cider(questions)
        if "SPICE" in self.metrics and spice_missing() is None:
            result["SPICE"] = spice(questions)
        return result


def spice(questions: Sequence[Question]) -> float:
    """SPICE, in a Java process of its own."""
    from pycocoevalcap.spice.spice import Spice

    said = {number: [caption] for number, (caption, _) in enumerate(questions)}
    truth = {number: list(references) for number, (_, references) in enumerate(questions)}
    with java(SPICE_NEEDS), contextlib.redirect_stdout(io.StringIO()), unclosed_pipes():
        return float(Spice().compute_score(truth, said)[0])


def score_captions(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    metrics: Sequence[str] = DEFAULT,
    tokenizer: str = "ptb",
) -> dict[str, float]:
    """{"BLEU-1": …, "BLEU-4": …, "METEOR": …, "ROUGE-L": …, "CIDEr": …} of captions against references.

    tokenizer: "ptb" is the field's (Java); "split" needs no Java and does for captions without punctuation.
    """
    return CaptionScorer(predictions, references, metrics, tokenizer).score()
