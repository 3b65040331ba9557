"""A regrade before it is published."""

from __future__ import annotations

from autograder.report import preview_page, preview_text
from autograder.report.preview import moves
from autograder.results import ExerciseResult, Outcome, StudentResult
from tests.autograder.report.sample import HOSTILE, sample_class

RIGHT, WRONG = Outcome.RIGHT, Outcome.WRONG


def one(student: str, outcome: Outcome, check: str = "", idea: str = "", key: str = "") -> StudentResult:
    result = ExerciseResult(
        id="ps1.1",
        piece="info_nce",
        outcome=outcome,
        points=6.0 if outcome is RIGHT else 0.0,
        out_of=6,
        message="",
        check=check,
        idea=idea,
    )
    return StudentResult(student=student, exercises={"ps1.1": result}, key=key)


def test_who_moves_and_why() -> None:
    before = [
        one("up", WRONG, "gradient", "columns"),
        one("down", RIGHT),
        one("still", RIGHT),
        one("gone", RIGHT),
    ]
    after = [one("up", RIGHT), one("down", WRONG, "new check"), one("still", RIGHT), one("late", WRONG)]
    found = {each.student: each for each in moves(before, after)}
    assert {name: each.by for name, each in found.items()} == {"up": 6, "down": -6, "gone": -6, "late": 0}
    text = preview_text(before, after)
    assert "Of 5 students, 1 would gain and 2 would lose points; 2 would keep their score." in text
    assert "Nothing has been published." in text
    assert "✗ not yet (first failed: gradient; idea: the softmax runs over the wrong axis) → ✓ right" in text
    assert "✓ right → ✗ not yet (first failed: new check)" in text
    assert "only in the old results" in text and "only in the new results" in text
    page = preview_page(before, after)
    assert all(part in page for part in ("first failed: gradient", "new check", "0 → 6", "6 → 0", "+6", "−6"))
    assert "still" not in page.replace("<style>", "").split("</style>")[1]


def test_nothing_moves() -> None:
    results = sample_class()
    assert moves(results, results) == []
    assert "Nobody's score would move." in preview_page(results, results)


def test_another_check_alone_does_not_move_anybody() -> None:
    assert moves([one("ann", WRONG, "a", "columns")], [one("ann", WRONG, "b")]) == []


def test_a_verdict_that_moves_by_itself_is_suspicious() -> None:
    (found,) = moves([one("ann", WRONG, key="k")], [one("ann", RIGHT, key="k")])
    assert "look at the grader" in found.remark
    (found,) = moves([one("ann", WRONG, key="k")], [one("ann", RIGHT, key="l")])
    assert found.remark == ""


def test_hostile_texts_and_order() -> None:
    before = [one(f"s{place} {text[:2000]}", WRONG, text, text) for place, text in enumerate(HOSTILE)]
    after = [one(each.student, RIGHT) for each in before]
    page = preview_page(before, after)
    assert "<script" not in page and "<img" not in page and "\x1b" not in page and "\u202e" not in page
    assert page == preview_page(before[::-1], after[::-1])
    assert max(map(len, preview_text(before, after).splitlines())) < 600
