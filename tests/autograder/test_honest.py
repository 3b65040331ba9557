"""Honest work that looks odd earns full marks for what is right, and nobody is suspected.

The variants are in `honest/`, one a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.results import Outcome
from autograder.settings import LimitSettings
from tests.autograder.engine import Engine, open_engine, told
from tests.autograder.handins import Honest, load_honest

HONEST = load_honest()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(LimitSettings()) as opened:
        yield opened


@pytest.mark.parametrize("honest", HONEST, ids=[honest.name for honest in HONEST])
def test_honest_work(honest: Honest, engine: Engine, tmp_path: Path) -> None:
    honest.write(tmp_path / "submitted", "ada")
    result = engine.grade(tmp_path / "submitted", "ada", *honest.full, *honest.none)
    for id in honest.full:
        found = result.exercises[id]
        assert (found.outcome, found.points) == (Outcome.RIGHT, found.out_of), (id, told(result, found))
    for id in honest.none:
        assert result.exercises[id].points == 0
    assert result.flags == ()
    assert not any(found.flags for found in result.exercises.values())
    assert engine.left_behind() == []


def test_the_honest_crowd_is_complete() -> None:
    assert len(HONEST) >= 34
    assert all(honest.does and honest.full for honest in HONEST)
