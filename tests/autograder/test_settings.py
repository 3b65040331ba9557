"""The settings of grading: what is left out has a default, what is wrong is named."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from autograder.namespaces import Limits
from autograder.settings import FILE, LimitSettings, Settings, read_settings
from idc.errors import UserError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_that_comes_along_says_what_the_defaults_are() -> None:
    assert read_settings(FILE) == Settings() == read_settings()


def test_what_is_not_said_stays(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, "jobs: 3\nlimits: {call_seconds: 5}\ndue:\n"))
    assert settings.jobs == settings.processes() == 3
    assert asdict(settings.limits) == asdict(LimitSettings()) | {"call_seconds": 5.0}
    assert settings.due_times() == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job: 3", "there is no setting “job”; did you mean “jobs”?"),
        ("limits: {cal_seconds: 3}", "“limits.cal_seconds”; did you mean “limits.call_seconds”?"),
        ("due: {ps: 2026-03-02}", "there is no setting “due.ps”"),
        ("sets: [ps9]", "there is no setting “sets.ps9”"),
        ("jobs: 0", "“jobs” is 0; it must be greater than or equal to 1"),
        ("jobs: two", "“jobs” is 'two'; it must be a valid integer"),
        ("isolation: bubble", "“isolation” is 'bubble'; it must be 'auto'"),
        ("due: {ps1: tomorrow}", "a time below “due” cannot be read"),
        ("jobs: 1\njobs: 2", "“jobs” is set twice"),
        ("- jobs", "must hold settings"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as told:
        read_settings(path)
    assert str(path) in str(told.value)
    assert words in str(told.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_settings(tmp_path / "nowhere.yaml")


def test_times_have_a_zone_or_none(tmp_path: Path) -> None:
    text = "due:\n  ps1: 2026-03-02 22:00\n  ps2: 2026-03-09T22:00+01:00\n"
    due = read_settings(written(tmp_path, text)).due_times()
    assert due["ps1"] == datetime(2026, 3, 2, 22)
    assert due["ps2"] == datetime(2026, 3, 9, 22, tzinfo=timezone(timedelta(hours=1)))


def test_limits_are_those_of_the_wall() -> None:
    assert LimitSettings(memory_mib=512, call_seconds=7).of_the_wall() == Limits(memory=2**29, call=7)
