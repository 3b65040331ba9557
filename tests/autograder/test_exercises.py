"""Every exercise is proven: the reference passes, the stub is not attempted, every known mistake is called by its name,
and honest ways to write it pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.banks import bank, ids, record
from autograder.checks import SETS, exercise, exercises
from autograder.checks.exercise import COMMON, Status, Verdict
from autograder.checks.records import file_of, load_records
from autograder.student import Answer, Local

ROOT = Path(__file__).parents[2]
IDS = ids()
WRONG = [(id, key) for id in IDS for key in bank(id).wrong]
HONEST = [(id, name) for id in IDS for name in bank(id).honest]


def judged(id: str, piece: Any) -> Verdict:
    return exercise(id).judge(Local({exercise(id).piece: piece}))


@pytest.mark.parametrize("id", IDS)
def test_the_reference_is_right(id: str) -> None:
    verdict = judged(id, bank(id).right)
    assert verdict.status is Status.RIGHT, verdict.message


@pytest.mark.parametrize(("id", "key"), WRONG, ids=[f"{id}-{key}" for id, key in WRONG])
def test_a_known_mistake_is_called_by_its_name(id: str, key: str) -> None:
    verdict = judged(id, bank(id).wrong[key])
    assert verdict.status is Status.WRONG
    assert verdict.idea == key, verdict.message
    assert exercise(id).idea(key).name in verdict.message


@pytest.mark.parametrize(("id", "name"), HONEST, ids=[f"{id}-{name}" for id, name in HONEST])
def test_an_honest_alternative_is_right(id: str, name: str) -> None:
    verdict = judged(id, bank(id).honest[name])
    assert verdict.status is Status.RIGHT, verdict.message


@pytest.mark.parametrize("id", IDS)
def test_a_stub_is_not_attempted(id: str) -> None:
    right = bank(id).right

    def stub(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    method = exercise(id).records()[0].call.method
    piece = type("Stub", (right,), {method: stub}) if isinstance(right, type) else stub
    assert judged(id, piece).status is Status.NOT_ATTEMPTED
    assert exercise(id).judge(Local({})).status is Status.NOT_ATTEMPTED


@pytest.mark.parametrize("id", IDS)
def test_what_returns_nothing_or_stops_is_wrong_and_says_so(id: str) -> None:
    right = bank(id).right
    method = exercise(id).records()[0].call.method

    def nothing(*_: Any, **__: Any) -> None:
        return None

    def stops(*_: Any, **__: Any) -> None:
        raise IndexError("the ninth life")

    for function, expected in ((nothing, "nothing (None)"), (stops, "IndexError: the ninth life")):
        piece = type("Odd", (right,), {method: function}) if isinstance(right, type) else function
        verdict = judged(id, piece)
        assert verdict.status is Status.WRONG
        assert expected in verdict.message


@pytest.mark.parametrize("id", IDS)
def test_the_bank_is_rich_enough(id: str) -> None:
    assert len(bank(id).wrong) >= 6
    assert len(bank(id).wrong.keys() - COMMON.keys()) >= 5
    assert len(bank(id).honest) >= 4


@pytest.mark.parametrize("id", IDS)
def test_recorded_answers_are_fresh(id: str) -> None:
    committed, now = load_records(id), record(id)
    assert [each.wrong.keys() for each in committed] == [each.wrong.keys() for each in now]
    for stored, fresh in zip(leaves(committed), leaves(now), strict=True):
        if isinstance(stored, Tensor):
            torch.testing.assert_close(stored, fresh, rtol=1e-3, atol=1e-4, equal_nan=True)
        else:
            assert stored == fresh
    assert file_of(id).stat().st_size < 60_000


def leaves(value: Any) -> Iterator[Any]:
    """What records hold, without its structure; an answer's outputs only, for the rest is not recorded."""
    if isinstance(value, Answer):
        value = value.outputs
    if is_dataclass(value):
        value = {
            each.name: getattr(value, each.name) for each in fields(value)
        }  # vars holds what was cached, too
    if isinstance(value, Mapping):
        yield from value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


@pytest.mark.parametrize("id", IDS)
def test_no_text_gives_the_solution_away(id: str) -> None:
    """Nothing that is said holds an expected number or a line of the reference."""
    each = exercise(id)
    texts = [idea.text for idea in each.ideas.values()] + [*each.hints, each.explanation]
    lines = reference_lines(bank(id).right)
    assert lines
    for text in texts:
        assert not any(line in text for line in lines)
    for key in bank(id).wrong:
        message = judged(id, bank(id).wrong[key]).message
        assert not re.search(r"\d\.\d{3,}", message), "a computed number"


def reference_lines(piece: Any) -> list[str]:
    import inspect

    source = inspect.getsource(piece)
    source = re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    return [line.strip() for line in source.splitlines() if "return" in line or " = " in line]


@pytest.mark.parametrize("id", IDS)
def test_texts_are_there_and_name_real_headings(id: str) -> None:
    each = exercise(id)
    folder = SETS[each.set]
    notebook = json.loads((ROOT / "solutions" / folder / f"{folder}.ipynb").read_text(encoding="utf-8"))
    headings = [
        line.lstrip("# ").strip()
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("#")
    ]
    for key, idea in each.ideas.items():
        assert 10 <= len(idea.text.split()) <= 80, key
        assert not idea.read or idea.read in headings, f"{key}: no heading “{idea.read}”"
    assert all(len(hint.split()) >= 10 for hint in each.hints)
    assert len(each.explanation.split()) >= 30
    assert 1 <= each.difficulty <= 5 and 1 <= each.importance <= 5


@pytest.mark.parametrize("set", sorted({each.set for each in exercises().values()}))
def test_the_notebook_announces_what_the_registry_says(set: str) -> None:
    folder = SETS[set]
    notebook = json.loads((ROOT / "solutions" / folder / f"{folder}.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    text = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    first = "".join(notebook["cells"][0]["source"])
    graded = {}
    for each in (each for each in exercises().values() if each.set == set):
        numbers = f"| {each.minutes} min | {each.difficulty}/5 | {each.importance}/5 | {each.points} |"
        assert f"| {each.id} {each.title} {numbers}" in first
        assert (
            f"{each.minutes} minutes · difficulty {each.difficulty}/5 · importance {each.importance}/5"
            in text
        )
        assert f"## {each.id} · {each.title}" in text
        graded[f'check("{each.id}", {each.piece})'] = each.points
    checks = {
        "".join(cell["source"]): cell["metadata"]["nbgrader"]["points"]
        for cell in cells.values()
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade")
    }
    assert checks == graded
