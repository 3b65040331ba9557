"""Figures of a class."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import pointbiserialr

from autograder.checks import exercises
from autograder.report import of_class
from autograder.report.figures import check_figures, discrimination, exercise_figures, histogram
from autograder.results import Outcome
from tests.autograder.report.sample import sample_class


def test_the_correlation_is_the_known_one() -> None:
    rng = np.random.default_rng(0)
    rest = rng.random(50)
    passed = rest + rng.normal(scale=0.3, size=50) > 0.5
    r, why = discrimination(passed.tolist(), rest.tolist())
    assert r == pytest.approx(pointbiserialr(passed, rest).statistic) and why == ""
    backwards, _ = discrimination((~passed).tolist(), rest.tolist())
    assert r is not None and backwards == pytest.approx(-r)


@pytest.mark.parametrize(
    ("passed", "rest", "why"),
    [
        ([True, False] * 9, [0.1, 0.2] * 9, "too few to tell (n = 18)"),
        ([True] * 30 + [False] * 4, [0.1, 0.2] * 17, "too few failed (4) to tell"),
        ([False] * 30, [0.1, 0.2] * 15, "too few passed (0) to tell"),
        ([True, False] * 15, [0.3] * 30, "all have the same points elsewhere"),
    ],
)
def test_a_class_too_small_to_tell(passed: list[bool], rest: list[float], why: str) -> None:
    assert discrimination(passed, rest) == (None, why)


def test_exercises_are_counted() -> None:
    results = sample_class()
    figures = {each.id: each for each in exercise_figures(of_class(results))}
    assert list(figures) == list(exercises())
    for id, each in figures.items():
        given = [result.exercises[id] for result in results if id in result.exercises]
        assert each.n == len(given) == len(results) - 1, "one hand-in could not be read"
        assert each.outcomes == Counter(one.outcome for one in given)
        assert sum(count for _, count in each.ideas) == sum(bool(one.idea) for one in given)
        assert (
            each.ideas == sorted(each.ideas, key=lambda pair: -pair[1]) or len({n for _, n in each.ideas}) > 1
        )
        piece = exercises()[id].piece
        lent = sum(any(piece in one.lent for one in result.exercises.values()) for result in results)
        assert each.lent == lent <= len(results)


def test_checks_are_counted_among_those_who_tried() -> None:
    results = sample_class()
    for each in check_figures(of_class(results)):
        tried = [
            result.exercises[each.exercise]
            for result in results
            if each.exercise in result.exercises
            and result.exercises[each.exercise].outcome is not Outcome.NOT_ATTEMPTED
        ]
        asked = [test for one in tried for test in one.tests if test.name == each.name]
        assert (each.n, each.passed) == (len(asked), sum(test.passed for test in asked))
        assert (each.r is None) == bool(each.why)


def test_a_check_that_the_best_fail_is_named() -> None:
    results = sample_class()
    ranked = sorted((each for each in results if each.exercises), key=lambda each: each.score())
    turned = []
    for place, each in enumerate(ranked):
        one = each.exercises["ps1.1"]
        test = {"name": "upside down", "passed": place < len(ranked) / 2}
        changed = one.model_copy(
            update={
                "outcome": Outcome.WRONG,
                "tests": (
                    type(results[0].exercises["ps1.1"])
                    .model_validate(one.model_dump() | {"tests": (test,)})
                    .tests
                ),
            }
        )
        turned.append(each.model_copy(update={"exercises": {**each.exercises, "ps1.1": changed}}))
    found = next(each for each in check_figures(of_class(turned)) if each.name == "upside down")
    assert found.r is not None and found.r < 0 and "look at this check" in found.verdict


def test_a_histogram_holds_everybody() -> None:
    assert histogram([0, 0.05, 0.1, 0.99, 1.0, 0.3]) == [2, 1, 0, 1, 0, 0, 0, 0, 0, 2]
    assert sum(histogram(np.random.default_rng(0).random(1000))) == 1000
    assert histogram([]) == [0] * 10
