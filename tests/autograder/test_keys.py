"""Keys: whatever decides about a result changes the keys of the sets it decides about, and nothing else does."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import keys
from autograder.checks import SETS, exercises
from autograder.keys import (
    builds_on,
    checks_digests,
    course_sets,
    files_that_judge,
    in_order,
    join_keys,
    key_of,
    read_secret,
    seed_of,
    set_of,
    split_keys,
)
from idc.errors import UserError

HIDDEN = Path(keys.__file__).parent / "checks" / "hidden"


def test_the_problem_sets_are_those_of_the_course() -> None:
    assert course_sets() == list(SETS)


def test_what_a_set_builds_on_is_what_its_exercises_need() -> None:
    def below(set: str) -> frozenset[str]:
        needs = {need for each in exercises().values() if each.set == set for need in each.needs}
        return frozenset({set}).union(
            *(below(other) for other in {need.split(".")[0] for need in needs} - {set})
        )

    assert {set: builds_on(set) for set in SETS} == {set: below(set) for set in SETS}
    assert builds_on("ps5") > builds_on("ps4") > {"ps3"}


@pytest.mark.parametrize(
    ("name", "set"),
    [
        ("autograder/checks/ps3.py", "ps3"),
        ("autograder/checks/hidden/test_ps3.py", "ps3"),
        ("autograder/checks/hidden/test_ps3_masks.py", "ps3"),
        ("autograder/checks/answers/ps3_1.npz", "ps3"),
        ("autograder/banks/ps3.py", "ps3"),
        ("autograder/contest/score.py", "ps6"),
        ("autograder/checks/hidden/test_visible.py", ""),
        ("autograder/plugin.py", ""),
        ("idc/pieces/positions.py", ""),
    ],
)
def test_a_file_counts_for_the_set_in_its_name(name: str, set: str) -> None:
    assert set_of(name) == set
    assert name in files_that_judge() or "test_ps3" in name


def test_what_only_shows_or_sends_does_not_count() -> None:
    assert (
        not {"autograder/batch.py", "autograder/report/pages.py", "idc/demo.py"} & files_that_judge().keys()
    )
    assert "autograder/bridges/published.py" in files_that_judge()
    for name in keys.BESIDE:
        assert (keys.ROOT / name).exists(), name


def test_changed_checks_concern_their_set_and_those_above(tmp_path: Path) -> None:
    checks = tmp_path / "hidden"
    shutil.copytree(HIDDEN, checks, ignore=shutil.ignore_patterns("__pycache__"))
    before = checks_digests()
    assert checks_digests(checks) == before
    (checks / "test_ps3_more.py").write_text("# nothing yet\n")
    after = checks_digests(checks)
    assert {set for set in SETS if before[set] != after[set]} == {"ps3", "ps4", "ps5"}
    (checks / "conftest.py").write_text("# for all\n")
    assert not set(checks_digests(checks).items()) & set(after.items())


def test_another_version_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = checks_digests()
    monkeypatch.setattr(keys.importlib.metadata, "version", lambda name: "0.0")
    assert not set(checks_digests().items()) & set(before.items())


def test_everything_counts_in_a_key() -> None:
    how = {"seed": "s", "isolation": "auto", "limits": {"processes": 3}}
    found = [
        key_of("handin", "checks", how),
        key_of("handin2", "checks", how),
        key_of("handinc", "hecks", how),
        key_of("handin", "checks", how | {"seed": "t"}),
        key_of("handin", "checks", how | {"limits": {"processes": 4}}),
    ]
    assert len(set(found)) == len(found)
    assert key_of("handin", "checks", dict(reversed(how.items()))) == found[0]


def test_keys_of_sets_are_one_text() -> None:
    found = {"ps1": "abc", "ps2": "def"}
    assert split_keys(join_keys(found)) == found
    assert split_keys("") == split_keys("something older") == {}


def test_the_order_is_that_of_the_course() -> None:
    assert in_order({"ps10.1", "ps2.1", "ps1.10", "ps1.2"}) == ["ps1.2", "ps1.10", "ps2.1", "ps10.1"]


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "grades" / "secret"
    secret = read_secret(path)
    assert len(secret) == 32
    assert read_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secret"]
    assert read_secret(tmp_path / "other") != secret


@pytest.mark.parametrize("content", ["", "abcd", "no secret at all", "ä" * 64])
def test_a_broken_secret_is_not_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"Put the right file back"):
        read_secret(path)
    assert path.read_text(encoding="utf-8") == content


def test_seeds_differ_by_student_and_hand_in() -> None:
    found = {seed_of(b"s" * 16, *who) for who in (("ada", "1"), ("ada", "2"), ("ben", "1"))}
    assert len(found) == 3
    assert seed_of(b"t" * 16, "ada", "1") not in found
    assert seed_of(b"s" * 16, "ada", "1") in found


def test_planning_waits_for_no_torch() -> None:
    script = (
        "import sys\n"
        "import autograder.batch, autograder.commands, autograder.keys\n"
        "autograder.keys.checks_digests()\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
