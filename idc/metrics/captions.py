"""How close a caption is to what people wrote: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, as pycocoevalcap computes them.

Figures are those of `COCOEvalCap` to 1e-6 (a test compares them). What is added: Java is found, its processes and files
are cleaned up, one tokenizer run and one METEOR process serve several groups of captions, and errors speak.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from idc.errors import UserError
from idc.metrics.java import SPICE_NEEDS, java

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
DEFAULT = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")
TOKENIZERS = ("ptb", "split")
Tokenized = dict[str, list[str]]


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


def tokenize_all(captions: Mapping[str, Sequence[str]], tokenizer: str) -> Tokenized:
    """Captions as the scorers want them: lower case, punctuation removed, words separated by one space."""
    if tokenizer == "split":
        return {name: [" ".join(text.lower().split()) for text in texts] for name, texts in captions.items()}
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    wrapped = {name: [{"caption": text} for text in texts] for name, texts in captions.items()}
    with java(), warnings_as_they_are():
        return PTBTokenizer().tokenize(wrapped)


@contextmanager
def warnings_as_they_are() -> Iterator[None]:
    """pycocoevalcap leaves pipes open for the garbage collector; that is not the caller's concern."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@contextmanager
def meteor_process() -> Iterator[Any]:
    """A METEOR process, ended for good when the block is left."""
    from pycocoevalcap.meteor.meteor import Meteor

    with java():
        scorer = Meteor()
    try:
        yield scorer
    finally:
        process = scorer.meteor_p
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class CaptionScorer:
    """Scores groups of captions; tokenizes everything once and keeps one METEOR process.

    predictions: {id: caption}; references: {id: captions}. Used as a context manager.
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
        # Every caption goes through one tokenizer run; a line stays a line.
        both = {f"r {name}": list(references[name]) for name in predictions}
        both |= {f"p {name}": [text.replace("|||", " ")] for name, text in predictions.items()}
        tokens = tokenize_all(both, tokenizer)
        self.references: Tokenized = {name: tokens[f"r {name}"] for name in predictions}
        self.predictions: Tokenized = {name: tokens[f"p {name}"] for name in predictions}
        self.stack = contextlib.ExitStack()
        self.meteor: Any = None

    def __enter__(self) -> CaptionScorer:
        if "METEOR" in self.metrics:
            self.meteor = self.stack.enter_context(meteor_process())
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def score(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """The metrics over the given ids (None: all), each group a corpus of its own."""
        names = list(self.predictions) if names is None else names
        truth = {name: self.references[name] for name in names}
        said = {name: self.predictions[name] for name in names}
        result: dict[str, float] = {}
        with contextlib.redirect_stdout(io.StringIO()), warnings_as_they_are():
            if "BLEU" in self.metrics:
                from pycocoevalcap.bleu.bleu import Bleu

                values, _ = Bleu(4).compute_score(truth, said, verbose=0)
                result |= {f"BLEU-{n}": float(value) for n, value in enumerate(values, start=1)}
            if self.meteor is not None:
                result["METEOR"] = float(self.meteor.compute_score(truth, said)[0])
            if "ROUGE-L" in self.metrics:
                from pycocoevalcap.rouge.rouge import Rouge

                result["ROUGE-L"] = float(Rouge().compute_score(truth, said)[0])
            if "CIDEr" in self.metrics:
                from pycocoevalcap.cider.cider import Cider

                result["CIDEr"] = float(Cider().compute_score(truth, said)[0])
            if "SPICE" in self.metrics and spice_missing() is None:
                from pycocoevalcap.spice.spice import Spice

                with java(SPICE_NEEDS):
                    result["SPICE"] = float(Spice().compute_score(truth, said)[0])
        return result


def score_captions(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    metrics: Sequence[str] = DEFAULT,
    tokenizer: str = "ptb",
) -> dict[str, float]:
    """{"BLEU-1": …, "BLEU-4": …, "METEOR": …, "ROUGE-L": …, "CIDEr": …} of captions against references.

    tokenizer: "ptb" is the field's (Java); "split" needs no Java and does for captions without punctuation.
    """
    with CaptionScorer(predictions, references, metrics, tokenizer) as scorer:
        return scorer.score()
