"""Judging what was handed in: captions are scored anew, claims compared with what comes out.

Figures are fractions as in results.json; where people read them they are multiplied by 100, as papers print them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from autograder.checks.exercise import Status
from autograder.contest.answers import Answers, read_contest_answers, read_own_answers, report_of
from autograder.contest.world import ENDING, References, scene_of
from autograder.handin import check_files, is_figure, read_object
from autograder.results import ExerciseResult, Outcome, Plain
from idc.errors import UserError
from idc.metrics.captions import CaptionScorer, ciders
from idc.metrics.cider import Cider
from idc.metrics.facts import judge, parse, score_facts
from idc.metrics.tokens import penn_treebank
from idc.world.scene import CHANGE_TYPES

METRICS = ("BLEU", "ROUGE-L", "CIDEr")  # METEOR on demand: its Java process takes 1.4 GB
TOLERANCE = 0.001  # claimed and recomputed figures that differ by more are not the same
SAME = 0.98  # of the captions must be those of the checkpoint: other machines round otherwise
DRAWS = 2000  # of the bootstrap
APART = 4.0  # standard errors between own test split and contest that call for a question
GROUPS = {"all": "all pairs", "change": "change pairs", "no_change": "no-change pairs", "facts": "facts"}


class Figures(Plain):
    """What captions reach on the pairs of a contest. low, high: between them lie 95 % of the bootstrap's draws."""

    pairs: int
    no_change_pairs: int
    statement: float
    statement_low: float
    statement_high: float
    no_change: float
    cider: float
    cider_low: float
    cider_high: float
    bleu4: float
    meteor: float | None = None


class Rerun(Plain):
    """What the submitted checkpoint said when it was run again.

    figures: of its own captions, None where it was not run. same: share of the submitted captions that are its own.
    reason: why it was not run.
    """

    figures: Figures | None = None
    same: float = 0.0
    reason: str = ""


class Entry(Plain):
    """One student's place in a contest.

    figures: of the submitted captions, None without any. claims: claimed figures that are not what comes out. compared: how
    many claimed figures could be computed again. remarks: what was wrong with the files, or asks for a look.
    """

    student: str
    pseudonym: str = ""
    contest: str = ""
    figures: Figures | None = None
    rerun: Rerun | None = None
    claims: tuple[str, ...] = ()
    compared: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def counted(self) -> Figures | None:
        """The figures that rank: those of the checkpoint where it was run again."""
        return (
            self.rerun.figures if self.rerun is not None and self.rerun.figures is not None else self.figures
        )


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the mean over as many pairs drawn with replacement."""
    array = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(array), size=(DRAWS, len(array)))
    low, high = np.percentile(array[draws].mean(1), (2.5, 97.5))
    return float(low), float(high)


def report(
    captions: Mapping[str, str], references: References, metrics: Sequence[str] = METRICS
) -> dict[str, dict[str, Any]]:
    """The figures of results.json, computed anew: {"all": {…}, "change": …, "no_change": …, "by_type": …, "facts": …}."""
    scorer = CaptionScorer(captions, references.captions, metrics)
    found: dict[str, dict[str, Any]] = {"all": scorer.score()}
    change = references.changed()
    still = [pair for pair in captions if pair.endswith(ENDING)]
    if change and still:
        found |= {"change": scorer.score(change), "no_change": scorer.score(still)}
    types = {
        type: [p for p in change if references.triples[scene_of(p)].change.type == type]
        for type in CHANGE_TYPES
    }
    found["by_type"] = {type: scorer.score(pairs) for type, pairs in types.items() if pairs}
    found["facts"] = score_facts(captions, references.triples.values())
    return found


def figures(captions: Mapping[str, str], references: References, metrics: Sequence[str] = METRICS) -> Figures:
    """What captions reach, with intervals over the pairs."""
    scorer = CaptionScorer(captions, references.captions, metrics)
    scores = scorer.score()
    facts = score_facts(captions, references.triples.values())
    true = [
        judge(parse(captions[pair]), references.triples[scene_of(pair)])["statement"]
        for pair in references.changed()
    ]
    truth = tuple(scorer.references[pair] for pair in captions)
    (cider,) = ciders.recall([truth], lambda new: [Cider(truth)])
    each = cider.score([scorer.predictions[pair] for pair in captions], range(len(captions)))
    statement, ranges = bootstrap([float(value) for value in true]), bootstrap(each.tolist())
    return Figures(
        pairs=facts["pairs"],
        no_change_pairs=facts["no_change_pairs"],
        statement=facts["statement"],
        statement_low=statement[0],
        statement_high=statement[1],
        no_change=facts["no_change"],
        cider=scores["CIDEr"],
        cider_low=ranges[0],
        cider_high=ranges[1],
        bleu4=scores["BLEU-4"],
        meteor=scores.get("METEOR"),
    )


def compare(files: Mapping[str, bytes], found: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], int]:
    """Claimed figures of results.json that are not what was found, in words, and how many could be compared.

    files: of the report, by name in its folder.
    """
    name = "results.json"
    if name not in files:
        return [f"There is no {name}: nothing is claimed."], 0
    try:
        claimed = read_object(files[name], name, 2**20).get("test")
    except UserError as error:
        return [str(error)], 0
    if not isinstance(claimed, dict):
        return [f"{name} claims nothing about the test split."], 0
    differences, count = [], 0
    for group, metric, value in leaves(found):
        claim: Any = claimed
        for part in (*group, metric):
            claim = claim.get(part) if isinstance(claim, dict) else None
        if claim is None:
            continue
        count += 1
        where = ", ".join(GROUPS.get(part, part) for part in group if part != "by_type")
        if not is_figure(claim):
            differences.append(
                f"{where}, {metric}: the claim is no number, recomputed {spoken(metric, value)}"
            )
        elif abs(claim - value) > TOLERANCE:
            differences.append(
                f"{where}, {metric}: claimed {spoken(metric, claim)}, recomputed {spoken(metric, value)}"
            )
    return differences, count


def leaves(found: Mapping[str, Any], group: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str, float]]:
    """(groups, metric, value) of every figure in a report."""
    rows: list[tuple[tuple[str, ...], str, float]] = []
    for name, value in found.items():
        rows += leaves(value, (*group, name)) if isinstance(value, Mapping) else [(group, name, value)]
    return rows


def spoken(metric: str, value: float) -> str:
    """A figure as people read it: counts as they are, everything else times 100."""
    return f"{value:.0f}" if metric.endswith("pairs") else f"{100 * value:.1f}"


def question(own: Mapping[str, Any], figures: Figures) -> str:
    """What to ask where the own test split went far better than the contest; "" where it did not."""
    many, few = own["statement"], figures.statement
    share = (many * own["pairs"] + few * figures.pairs) / (own["pairs"] + figures.pairs)
    error = math.sqrt(share * (1 - share) * (1 / own["pairs"] + 1 / figures.pairs))
    if many - few <= APART * error:
        return ""
    return (
        f"On the own test split {many:.1%} of the change captions are true, on the contest's pictures {few:.1%}. Ask how "
        "the captions of the test split came about: its truth lies on the student's own disk."
    )


def rescore(
    files: Mapping[str, bytes],
    student: str = "",
    contest: References | None = None,
    own: References | None = None,
    metrics: Sequence[str] = METRICS,
) -> Entry:
    """One hand-in, scored anew. Never raises for what a student wrote.

    files: all of the hand-in, or what is below its report/. contest: the truth about the contest's pairs. own: that about
    the test split of the world which students render.
    """
    return judge_answers(read_answers(files, contest, own), student, contest, own, metrics)


Read = tuple[
    Mapping[str, bytes], Answers | None, Answers | None
]  # the report, captions of the contest, of the own split


def read_answers(files: Mapping[str, bytes], contest: References | None, own: References | None) -> Read:
    found = report_of(files)
    return (
        found,
        read_contest_answers(found, contest.key, contest.contest) if contest else None,
        read_own_answers(found, own.captions) if own else None,
    )


def judge_answers(
    read: Read, student: str, contest: References | None, own: References | None, metrics: Sequence[str]
) -> Entry:
    found, entered, split = read
    remarks = [remark for answers in (entered, split) if answers is not None for remark in answers.remarks]
    reached, claims, compared = None, list[str](), 0
    if contest is not None and entered is not None and entered.captions:
        reached = figures(entered.captions, contest, metrics)
    if own is not None and split is not None and split.captions:
        again = report(split.captions, own, metrics)
        claims, compared = compare(found, again)
        if not compared:
            remarks, claims = remarks + claims, []
        if reached is not None and (ask := question(again["facts"], reached)):
            remarks.append(ask)
    return Entry(
        student=student,
        pseudonym=entered.pseudonym if entered else "",
        contest=entered.contest if entered else "",
        figures=reached,
        claims=tuple(claims),
        compared=compared,
        remarks=tuple(remarks),
    )


def rescore_class(
    handins: Mapping[str, Mapping[str, bytes]],
    contest: References | None = None,
    own: References | None = None,
    metrics: Sequence[str] = METRICS,
    run_again: Callable[[Mapping[str, bytes]], dict[str, str] | str] | None = None,
) -> list[Entry]:
    """All hand-ins by student. The captions of the whole class go through the tokenizer at once.

    run_again: gives the captions of a submitted checkpoint by public pair, or a sentence that says why there are none.
    """
    read = {student: read_answers(files, contest, own) for student, files in handins.items()}
    again = {}
    if run_again is not None and contest is not None:
        for student, files in tqdm(handins.items(), desc="checkpoints", unit="student", disable=None):
            again[student] = run_again(report_of(files))
    said = [
        answers.captions for _, *both in read.values() for answers in both if isinstance(answers, Answers)
    ]
    said += [captions for captions in again.values() if isinstance(captions, dict)]
    penn_treebank(sorted({caption for captions in said for caption in captions.values()}))
    entries = []
    for student, each in tqdm(read.items(), desc="scores", unit="student", disable=None):
        entry = judge_answers(each, student, contest, own, metrics)
        if student in again and contest is not None:
            entered = each[1].captions if each[1] is not None else {}
            entry = entry.model_copy(update={"rerun": judge_rerun(again[student], entered, contest, metrics)})
        entries.append(entry)
    return entries


def judge_rerun(
    said: dict[str, str] | str, entered: Mapping[str, str], contest: References, metrics: Sequence[str]
) -> Rerun:
    """What a checkpoint said, compared with what was submitted. said: by public pair, or why there is nothing."""
    if isinstance(said, str):
        return Rerun(reason=said)
    captions = {hidden: said.get(public, "") for public, hidden in contest.key.items()}
    same = sum(entered.get(pair) == caption for pair, caption in captions.items()) / len(captions)
    return Rerun(figures=figures(captions, contest, metrics), same=same)


def judge_handin(files: Mapping[str, bytes], own: References | None = None) -> ExerciseResult:
    """Exercise ps6.1 of a hand-in: the points of its report, and flags where claims are not what comes out.

    files: all of the hand-in. own: the truth about the students' test split; without it claims are not checked.
    """
    found = report_of(files)
    points = check_files(found)
    outcome = {
        Status.RIGHT: Outcome.RIGHT,
        Status.NOT_ATTEMPTED: Outcome.NOT_ATTEMPTED,
        Status.WRONG: Outcome.WRONG,
    }
    flags: tuple[str, ...] = ()
    if own is not None and points.verdict.status is not Status.NOT_ATTEMPTED:
        entry = rescore(files, own=own)
        flags = entry.claims + entry.remarks
    return ExerciseResult(
        id="ps6.1",
        piece="report",
        outcome=outcome[points.verdict.status],
        points=float(points),
        out_of=4,
        message=points.verdict.message,
        where="report/",
        flags=flags,
    )
