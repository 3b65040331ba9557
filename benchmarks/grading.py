"""Grading a class: this grader against `nbgrader autograde`, as it comes and tuned.

python -m benchmarks.grading [--parts throughput,overhead,damage,attacks,honest] [--students 30]

Whole commands are timed on generated classes whose right marks are known, in the order ours, theirs, theirs tuned, ours.
Every part replaces its own figures in benchmarks/results/grading.json. nbgrader grades one notebook after the other, so this
takes the better part of an hour. Attacks that could harm this machine are not shown to nbgrader, which has no wall.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from autograder.checks import SETS, exercise, exercises
from autograder.classroom import Expected, make_class
from autograder.results import Outcome, StudentResult
from benchmarks.harness import RESULTS, commit, machine

ROOT = RESULTS.parent.parent
FILE = RESULTS / "grading.json"
WRITTEN = tuple(set for set in SETS if set != "ps6")
JOBS = 2
EVERY = 3  # of the suites, nbgrader sees one case in three: it takes minutes for what ends in seconds here
WHOLE = 15  # notebooks that nbgrader sees beside the damaged ones
BIN = Path(sys.executable).parent
TUNED = {"OMP_NUM_THREADS": "1"}
Scores = dict[tuple[str, str], float | None]  # student, exercise -> points; None for no mark
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "course"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.ExecutePreprocessor.timeout = 20
"""


def timed(argv: list[str], folder: Path, **more: str) -> tuple[float, str]:
    """Wall seconds of a command, and what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | more
    started = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return time.perf_counter() - started, done.stdout + done.stderr


def course(folder: Path, submitted: Path, sets: tuple[str, ...]) -> None:
    """An nbgrader course with its own copies of what was handed in."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    shutil.copytree(submitted, folder / "submitted", symlinks=True)
    for set in sets:
        name = SETS[set]
        source = folder / "solutions" / name
        source.mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / name / f"{name}.ipynb", source)
        _, said = timed([str(BIN / "nbgrader"), "generate_assignment", name, "--create", "--force"], folder)
        assert (folder / "assignments" / name).is_dir(), said


def by_nbgrader(folder: Path, sets: tuple[str, ...], tuned: bool) -> tuple[float, Scores]:
    """Seconds and scores of `nbgrader autograde`, set by set."""
    words = ["--ExecutePreprocessor.shutdown_kernel=immediate"] if tuned else []
    seconds = 0.0
    for set in sets:
        spent, _ = timed(
            [str(BIN / "nbgrader"), "autograde", SETS[set], *words], folder, **(TUNED if tuned else {})
        )
        seconds += spent
    return seconds, nbgrader_scores(folder)


def nbgrader_scores(folder: Path) -> Scores:
    from nbgrader.api import Gradebook

    cells = {f"{id.replace('.', '-')}-check": id for id in exercises()}
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        return {
            (submission.student.id, cells[grade.cell.name]): grade.auto_score
            for assignment in book.assignments
            for submission in book.assignment_submissions(assignment.name)
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.cell.name in cells
        }


def by_ours(submitted: Path, out: Path, sets: tuple[str, ...]) -> tuple[float, Scores]:
    """Seconds and scores of this grader, into an empty folder."""
    argv = [sys.executable, "-m", "autograder", "grade", str(submitted), "--out", str(out)]
    seconds, said = timed([*argv, "--jobs", str(JOBS), "--sets", ",".join(sets)], ROOT)
    results = [StudentResult.read(path) for path in sorted((out / "results").glob("*.json"))]
    if not results:
        sys.exit(f"error: nothing was graded:\n{said}")
    found = {(each.student, id): each.exercises[id].points for each in results for id in each.exercises}
    return seconds, dict(found)


def a_class(folder: Path, **how: Any) -> dict[str, Expected]:
    """A generated class under plain names, so that both graders list it alike."""
    made = make_class(folder, **how)
    expected = {}
    for number, (name, each) in enumerate(sorted(made.items()), start=1):
        (folder / name).rename(folder / f"s{number:03}")
        expected[f"s{number:03}"] = each
    return expected


def agreement(expected: dict[str, Expected], scores: Scores, sets: tuple[str, ...]) -> dict[str, int]:
    """How many notebooks got exactly their points, more, fewer or no mark."""
    found = {"right": 0, "too many": 0, "too few": 0, "no mark": 0}
    for student, each in expected.items():
        for set in sets:
            ids = [id for id in each.exercises if exercise(id).set == set]
            marks = [mark for id in ids if (mark := scores.get((student, id))) is not None]
            worth = sum(exercise(id).points for id in ids if each.exercises[id].outcome is Outcome.RIGHT)
            off = sum(marks) - worth
            found[
                "no mark" if not marks else "right" if not off else "too many" if off > 0 else "too few"
            ] += 1
    return found


def throughput(folder: Path, students: int) -> dict[str, Any]:
    """Wall time for a whole class of whole notebooks."""
    submitted = folder / "class"
    expected = a_class(submitted, students=students, stopping=0.0)
    runs: dict[str, list[float]] = {"ours": [], "nbgrader": [], "nbgrader, tuned": []}
    marks: dict[str, Scores] = {}
    for place, who in enumerate(("ours", "nbgrader", "nbgrader, tuned", "ours")):
        if who == "ours":
            seconds, marks[who] = by_ours(submitted, folder / f"grades{place}", WRITTEN)
        else:
            course(folder / f"course{place}", submitted, WRITTEN)
            seconds, marks[who] = by_nbgrader(folder / f"course{place}", WRITTEN, "tuned" in who)
        runs[who].append(seconds)
        print(f"throughput: {who}: {seconds:.1f} s", flush=True)
    mean = {who: statistics.mean(times) for who, times in runs.items()}
    return {
        "students": students,
        "notebooks": students * len(WRITTEN),
        "jobs": JOBS,
        "seconds": {who: [round(each, 1) for each in times] for who, times in runs.items()},
        "times_faster": {who: round(mean[who] / mean["ours"], 1) for who in mean if who != "ours"},
        "notebooks_by_mark": {who: agreement(expected, marks[who], WRITTEN) for who in mean},
    }


def overhead(folder: Path, students: int) -> dict[str, Any]:
    """What the wall costs a hand-in beyond running the same checks in this process, warm, one at a time."""
    import torch

    from autograder.plugin import Judge
    from autograder.student import Local
    from autograder.submission import Sources
    from autograder.warm import open_parent

    torch.set_num_threads(1)
    files = {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in (ROOT / "solutions").glob("ps[1-5]*/*.ipynb")
    }
    judge, ids = Judge(), list(exercises())

    def as_written(name: str, piece: Any = None) -> Any:
        return piece  # behind the wall, too, nothing is checked before it is used

    def here() -> float:
        started = time.perf_counter()
        own = Sources(files).execute([each.piece for each in exercises().values()], mine=as_written)
        student = Local(own.pieces)
        results = judge.judge(lambda id, lent: student, ids, "seed")
        assert all(result.points for result in results.values())
        return time.perf_counter() - started

    with open_parent() as parent:

        def behind_the_wall() -> float:
            started = time.perf_counter()
            with parent.room(files, meanwhile=lambda: judge.prepare(ids, "seed")) as room:
                results = judge.judge(room.student, ids, "seed")
            assert all(result.points for result in results.values())
            return time.perf_counter() - started

        for each in (here, behind_the_wall):
            each()
        pairs = [(here(), behind_the_wall(), behind_the_wall(), here()) for _ in range(5)]
    local = statistics.median(time for pair in pairs for time in (pair[0], pair[3]))
    walled = statistics.median(time for pair in pairs for time in (pair[1], pair[2]))
    return {
        "checks_s": round(local, 3),
        "with_the_wall_s": round(walled, 3),
        "overhead_ms": round(1000 * (walled - local)),
        "isolation": parent.isolation,
    }


def damage(folder: Path, students: int) -> dict[str, Any]:
    """300 notebooks, one in twenty damaged: rows, and answers that are still there."""
    submitted = folder / "damaged"
    expected = a_class(submitted, students=300, stopping=0.0, sets=("ps1",), damage=0.05)
    seconds, ours = by_ours(submitted, folder / "damaged-grades", ("ps1",))
    spoilt = {student: each for student, each in expected.items() if each.damage}
    intact = {
        student: each for student, each in spoilt.items() if not any(each.lost(id) for id in each.exercises)
    }

    def figures(scores: Scores, among: dict[str, Expected]) -> dict[str, Any]:
        marked = {student for (student, _), score in scores.items() if score is not None}
        whole = agreement(
            {name: each for name, each in among.items() if name not in spoilt}, scores, ("ps1",)
        )
        return {
            "shown": len(among),
            "rows": len(marked),
            "whole_notebooks": whole,
            "damaged_but_recoverable": agreement(intact, scores, ("ps1",)),
        }

    whole = [name for name in expected if name not in spoilt][:WHOLE]
    few = {name: each for name, each in expected.items() if name in spoilt or name in whole}
    for name in expected.keys() - few.keys():
        shutil.rmtree(submitted / name)
    course(folder / "damaged-course", submitted, ("ps1",))
    theirs_seconds, theirs = by_nbgrader(folder / "damaged-course", ("ps1",), tuned=True)
    return {
        "notebooks": len(expected),
        "damaged": len(spoilt),
        "recoverable": len(intact),
        "kinds": sorted({hurt.kind for each in spoilt.values() for hurt in each.damage.values()}),
        "ours": {**figures(ours, expected), "seconds": round(seconds, 1)},
        "nbgrader, tuned": {**figures(theirs, few), "seconds": round(theirs_seconds, 1)},
    }


def suite(
    folder: Path, cases: list[Any], is_fair: Callable[[Any, str, Scores], bool], kind: str
) -> dict[str, Any]:
    """The hand-ins of a suite before both graders. is_fair(case, student, scores): whether the marks are as they must be."""
    submitted = folder / kind
    names = {f"{kind}{number:03}": case for number, case in enumerate(cases)}
    for name, case in names.items():
        case.write(submitted, name)
    _, ours = by_ours(submitted, folder / f"{kind}-grades", WRITTEN)
    shown = {name: case for name, case in names.items() if not getattr(case, "harmful", False)}
    shown = dict(list(shown.items())[::EVERY])
    for place in submitted.iterdir():  # nbgrader takes folders only, and must not see what is harmful
        if place.name not in shown or not place.is_dir():
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    shown = {name: case for name, case in shown.items() if (submitted / name).is_dir()}
    course(folder / f"{kind}-course", submitted, WRITTEN)
    tasks = [
        (name, place.name)
        for name in shown
        for place in sorted((submitted / name).iterdir())
        if place.name in SETS.values()
    ]

    def autograde(task: tuple[str, str]) -> None:  # one by one, or the first unreadable one ends it all
        words = ["--student", task[0], "--ExecutePreprocessor.shutdown_kernel=immediate"]
        timed([str(BIN / "nbgrader"), "autograde", task[1], *words], folder / f"{kind}-course", **TUNED)

    with ThreadPoolExecutor(JOBS) as lanes:
        list(lanes.map(autograde, tasks))
    theirs = nbgrader_scores(folder / f"{kind}-course")
    return {
        who: {
            "shown": len(cases),
            "unfair": [case.name for name, case in cases.items() if not is_fair(case, name, scores)],
        }
        for who, cases, scores in (("ours", names, ours), ("nbgrader, tuned", shown, theirs))
    }


def attacks(folder: Path, students: int) -> dict[str, Any]:
    """Wrong answers with a trick: no points for the exercise, all for the right ones beside it."""
    from tests.autograder.handins import load_attacks

    def is_fair(case: Any, student: str, scores: Scores) -> bool:
        kept = all(scores.get((student, id)) == exercise(id).points for id in case.keeps)
        return not scores.get((student, case.exercise)) and kept

    return suite(folder, load_attacks(), is_fair, "attack")


def honest(folder: Path, students: int) -> dict[str, Any]:
    """Right answers that look odd: all points."""
    from tests.autograder.handins import load_honest

    def is_fair(case: Any, student: str, scores: Scores) -> bool:
        return all(scores.get((student, id)) == exercise(id).points for id in case.full)

    return suite(folder, load_honest(), is_fair, "honest")


PARTS = {
    "throughput": throughput,
    "overhead": overhead,
    "damage": damage,
    "attacks": attacks,
    "honest": honest,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--students", type=int, default=30)
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; choose among {', '.join(PARTS)}")
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="grading-") as folder:
            found = PARTS[part](Path(folder), arguments.students)
        found |= {
            "date": datetime.date.today().isoformat(),
            "commit": commit(),
            "load": round(os.getloadavg()[0], 1),
        }
        print(f"{part}: {json.dumps(found, ensure_ascii=False)}", flush=True)
        old = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
        whole = {
            **old,
            "title": "Grading a class",
            "machine": machine(),
            "parts": {**old.get("parts", {}), part: found},
        }
        FILE.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
