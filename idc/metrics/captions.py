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
bleu_counts: Memory[Question, dict[str, Any]] = Memory(200_000)
bleu_references: Memory[tuple[str, ...], Any] = Memory(50_000)
rouge_scores: Memory[Question, float] = Memory(200_000)
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


def bleu(said: Sequence[str], truth: Sequence[tuple[str, ...]]) -> list[float]:
    """BLEU-1 ... BLEU-4 of a corpus."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer, cook_refs, cook_test

    scorer = BleuScorer(n=4)
    for question in zip(said, truth, strict=True):
        if (counts := bleu_counts.get(question)) is None:
            caption, references = question
            if (cooked := bleu_references.get(references)) is None:
                bleu_references[references] = cooked = cook_refs(references)
            bleu_counts[question] = counts = cook_test(caption, cooked)
        scorer.ctest.append(counts)
        scorer.crefs.append(None)  # only counted from here on
    return [float(value) for value in scorer.compute_score(option="closest", verbose=0)[0]]


def rouge(said: Sequence[str], truth: Sequence[tuple[str, ...]]) -> float:
    """ROUGE-L, the mean over captions."""
    from pycocoevalcap.rouge.rouge import Rouge

    scorer, total = Rouge(), 0.0
    for question in zip(said, truth, strict=True):
        if (score := rouge_scores.get(question)) is None:
            caption, references = question
            rouge_scores[question] = score = float(scorer.calc_score([caption], references))
        total += score
    return total / len(said)


def cider(said: Sequence[str], truth: Sequence[tuple[str, ...]]) -> float:
    """CIDEr-D, the mean over captions."""
    corpus = tuple(truth)
    if (scorer := ciders.get(corpus)) is None:
        ciders[corpus] = scorer = Cider(corpus)
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
        names = list(predictions)
        # A reference may hold the separator of METEOR's questions as little as a prediction may.
        texts = [predictions[name].replace("|||", " ") for name in names]
        texts += [text for name in names for text in references[name]]
        tokens = iter(penn_treebank(texts) if tokenizer == "ptb" else map(split, texts))
        self.predictions = {name: next(tokens) for name in names}
        self.references = {name: tuple(next(tokens) for _ in references[name]) for name in names}

    def score(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """The metrics over the given ids (None: all), each group a corpus of its own."""
        names = list(self.predictions) if names is None else names
        said, truth = [self.predictions[n] for n in names], [self.references[n] for n in names]
        result: dict[str, float] = {}
        if "BLEU" in self.metrics:
            result |= {f"BLEU-{n}": value for n, value in enumerate(bleu(said, truth), start=1)}
        if "METEOR" in self.metrics:
            result["METEOR"] = METEOR.score(said, truth)
        if "ROUGE-L" in self.metrics:
            result["ROUGE-L"] = rouge(said, truth)
        if "CIDEr" in self.metrics:
            result["CIDEr"] = cider(said, truth)
        if "SPICE" in self.metrics and spice_missing() is None:
            result["SPICE"] = spice(dict(zip(names, said, strict=True)), dict(zip(names, truth, strict=True)))
        return result


def spice(said: dict[str, str], truth: dict[str, tuple[str, ...]]) -> float:
    """SPICE, in a Java process of its own."""
    from pycocoevalcap.spice.spice import Spice

    with java(SPICE_NEEDS), contextlib.redirect_stdout(io.StringIO()), unclosed_pipes():
        references = {name: list(captions) for name, captions in truth.items()}
        return float(Spice().compute_score(references, {name: [text] for name, text in said.items()})[0])


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
