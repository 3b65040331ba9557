"""CIDEr-D of candidates with five references each: pycocoevalcap against tensors, references included in the time.

“reward” is what reinforcement learning asks for: the references stay the same, the candidates are new each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycocoevalcap.cider.cider_scorer import CiderScorer

from benchmarks.harness import Case, Options
from idc.metrics.cider import Cider
from idc.world.triple import sample_triple

GOAL = "CIDEr-D"
TITLE = "CIDEr-D as a reward"


def corpus(count: int) -> tuple[list[str], list[list[str]]]:
    """Sentences of the rendered world: one against five others of the same scene."""
    triples = [sample_triple(5, i) for i in range(count)]
    several = [list(t.sentences) * 2 for t in triples]
    return [texts[0] for texts in several], [texts[1:6] for texts in several]


def theirs(candidates: list[str], references: list[list[str]]) -> list[float]:
    scorer = CiderScorer(n=4, sigma=6.0)
    for candidate, captions in zip(candidates, references, strict=True):
        scorer += (candidate, captions)
    return scorer.compute_score()[1].tolist()


def check(options: Options) -> list[str]:
    lines = []
    for count in (33, 200, 768):
        candidates, references = corpus(count)
        mine = Cider(references).score(candidates, range(count)).tolist()
        worst = max(abs(a - b) for a, b in zip(mine, theirs(candidates, references), strict=True))
        assert worst < 1e-9, worst
        lines.append(f"{count} captions, to {max(worst, 1e-15):.0e} each")
    return lines


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    candidates, references = corpus(size["captions"])
    if variant == "pycocoevalcap":
        return lambda: theirs(candidates, references)
    if variant == "tensors":
        return lambda: Cider(references).score(candidates, range(len(candidates)))
    scorer = Cider(references)
    return lambda: scorer.score(candidates, range(len(candidates)))


def cases(captions: int, goal: float | None) -> list[Case]:
    size = {"captions": captions}
    return [
        Case(f"{ours}, {captions} x 5", "pycocoevalcap", ours, size, {"cpu_s": wanted}, 1, 5)
        for ours, wanted in (("tensors", goal), ("reward", goal))
    ]


CASES = {"small": cases(256, None), "full": cases(768, 10.0)}
