"""The settings of grading: defaults, and a YAML file on top (configs/autograder.yaml).

Like the configurations of training they are strict: an unknown key and a value of another type are errors that name the key.
"""

from __future__ import annotations

import os
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from autograder.keys import course_sets
from autograder.namespaces import Limits
from idc.config import STRICT, Count, Positive, check_names, checked, name_tree, read_yaml
from idc.errors import UserError

FILE = Path(__file__).resolve().parent.parent / "configs" / "autograder.yaml"
MIB = 2**20
Isolation = Literal["auto", "namespaces", "uid", "none"]


@dataclass(config=STRICT, frozen=True)
class LimitSettings:
    """What a hand-in may use; enough for loops in pure Python.

    memory_mib: of all processes of a hand-in together. processes: at one time. disk_mib: of /tmp. load_seconds: to
    run the definitions of an exercise. call_seconds: of one call of a piece. exercise_seconds: of all calls of one
    exercise. student_seconds: of the whole hand-in; what is not judged by then counts as stopped.
    """

    memory_mib: Count = 3072
    processes: Count = 64
    disk_mib: Count = 256
    load_seconds: Positive = 30.0
    call_seconds: Positive = 20.0
    exercise_seconds: Positive = 120.0
    student_seconds: Positive = 1200.0

    def of_the_wall(self) -> Limits:
        return Limits(
            memory=self.memory_mib * MIB,
            processes=self.processes,
            disk=self.disk_mib * MIB,
            load=self.load_seconds,
            call=self.call_seconds,
            exercise=self.exercise_seconds,
        )


@dataclass(config=STRICT, frozen=True)
class Settings:
    """How a class is graded.

    jobs: processes on this machine; null for one a core. sets: problem sets that are graded, [] for all. isolation: the
    wall around students' code, "auto" for the best that can be built here. due: by problem set, when it was to be handed
    in, such as 2026-03-02 22:00 or 2026-03-02T22:00+01:00; a time without a zone is UTC. late: what lateness costs, see
    autograder/report/late.py. secret: the file of the course's secret, from which every hand-in's own questions are drawn;
    null for `secret` beside the results.
    """

    jobs: Count | None = None
    sets: tuple[str, ...] = ()
    isolation: Isolation = "auto"
    limits: LimitSettings = field(default_factory=LimitSettings)
    due: dict[str, str] = field(default_factory=dict)
    late: str = "no_penalty"
    secret: str | None = None

    def __post_init__(self) -> None:
        check_names(dict(self.due), dict.fromkeys(course_sets(), str), "due")
        check_names(dict.fromkeys(self.sets), dict.fromkeys(course_sets(), str), "sets")
        self.due_times()

    def processes(self) -> int:
        """How many hand-ins are judged at one time."""
        if self.jobs is not None:
            return self.jobs
        allowed = getattr(os, "sched_getaffinity", None)  # Linux: of a container's cores, those it may use
        return len(allowed(0)) if allowed else os.cpu_count() or 1

    def due_times(self) -> dict[str, datetime]:
        """Raises UserError for a text that is no time."""
        try:
            return {set: datetime.fromisoformat(text) for set, text in self.due.items()}
        except ValueError as error:
            raise UserError(
                f"a time below “due” cannot be read ({error}); write it as 2026-03-02 22:00."
            ) from error


def read_settings(path: Path | None = None) -> Settings:
    """The settings of a file; None takes configs/autograder.yaml, or the defaults where that is missing.

    Raises UserError for a missing or broken file, an unknown key (with the nearest one) and a value that does not fit.
    """
    if path is None and not FILE.is_file():
        return Settings()
    path = path or FILE
    try:
        values = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the settings {path} cannot be read ({error}); configs/autograder.yaml is an example."
        ) from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings (key: value), not {values!r}.")
    values = {
        name: value
        for name, value in values.items()
        if value is not None or name not in ("limits", "due", "sets")
    }
    try:
        check_names(values, name_tree(Settings))
        return checked(Settings, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
