"""Results in nbgrader's gradebook, and notebooks where formgrader and `nbgrader generate_feedback` look for them.

    publish(results, Path("course"))

It leaves what `nbgrader autograde` would leave, except that no code ran for it: scores of the check cells, comments, answers
in words that wait for a person. What a person has entered stays.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nbformat import from_dict
from nbgrader import utils
from nbgrader.api import Gradebook, InvalidEntry, MissingEntry
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import make_url, text
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from tqdm import tqdm
from traitlets.config import PyFileConfigLoader

from autograder.bridges.graded import (
    PICTURES,
    Notebook,
    graded_notebook,
    is_locked,
    key,
    role,
    sentence,
    text_of,
)
from autograder.checks import SETS
from autograder.intake import Handin, find_handins, identify, read_handin
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError
from idc.files import atomic_write

CONFIG = "nbgrader_config.py"
NO_ANSWER = "No response."  # nbgrader's words
PLAIN = (
    ".json",
    ".jsonl",
    ".yaml",
    ".csv",
    ".txt",
    ".py",
)  # of what lies beside a notebook; no browser runs these
PICTURE_NAMES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}


def publish(
    results: Sequence[StudentResult], course: Path, handins: Mapping[str, Handin] | None = None
) -> None:
    """Write results into the gradebook of a course and the notebooks below `autograded/`.

    course: the folder with nbgrader_config.py. handins: by student; who is not in it is read from `submitted/`. Publishing
    the same again changes nothing. A student is entered whole or not at all. Raises UserError when the gradebook is missing
    or locked, or does not know an assignment.
    """
    directory = course_directory(course)
    places = places_of(directory)
    with opened(directory) as book:
        for result in tqdm(results, desc="gradebook", unit="student", disable=None):
            student = result.student
            if Path(student).name != student or student in ("", ".", ".."):
                raise UserError(
                    f"“{student}” cannot be a student's id: it must be the name of a folder. Rename the hand-in."
                )
            handin = (handins or {}).get(student) or (
                read_handin(places[student]) if student in places else Handin(student, {})
            )
            publish_one(book, directory, result, handin)


def course_directory(course: Path) -> CourseDirectory:
    """Where nbgrader keeps what, as the course's configuration says."""
    if not (course / CONFIG).is_file():
        raise UserError(f"{course} is no nbgrader course: it has no {CONFIG}. Name the folder that has one.")
    config = PyFileConfigLoader(CONFIG, path=str(course)).load_config()
    directory = CourseDirectory(config=config)
    if "root" not in config.CourseDirectory:
        directory.root = str(course.resolve())
    return directory


def places_of(directory: CourseDirectory) -> dict[str, Path]:
    """Where each student's hand-in lies, by the student's id."""
    submitted = Path(directory.format_path(directory.submitted_directory, ".", "."))
    return {identify(place)[1]: place for place in find_handins(submitted)} if submitted.is_dir() else {}


def path_of(directory: CourseDirectory, step: str, student: str, folder: str = ".") -> Path:
    return Path(directory.format_path(step, student, folder))


@contextlib.contextmanager
def opened(directory: CourseDirectory) -> Iterator[Gradebook]:
    """The gradebook, ready to be written."""
    address = make_url(directory.db_url)
    place = address.database
    if address.drivername == "sqlite" and not Path(place or "").is_file():
        raise UserError(
            f"there is no gradebook at {place}. Type `make assignments` in the course's folder, or `nbgrader "
            "generate_assignment ps1_infonce --force --create` and so on; it makes one."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # nbgrader links objects before it adds them
        try:
            with Gradebook(directory.db_url, directory.course_id) as book:
                book.db.execute(text("UPDATE student SET id = id"))  # says now if it cannot be written
                book.db.commit()
                yield book
        except MissingEntry as error:
            raise UserError(
                f"the gradebook {place} does not hold what the course needs ({error}). Type `make assignments` in its "
                "folder, or `nbgrader generate_assignment ps1_infonce --force --create` and so on."
            ) from error
        except (SQLAlchemyError, InvalidEntry) as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            raise UserError(
                f"the gradebook {place} cannot be written ({reason}). Is an autograde running, or the file open elsewhere? "
                "Wait, or close that, and publish again: students that are already entered come to no harm."
            ) from error


def publish_one(book: Gradebook, directory: CourseDirectory, result: StudentResult, handin: Handin) -> None:
    """Enter one student: first the gradebook, in one go, then the notebooks."""
    student = result.student
    sets = handed_in(result, handin)
    book.update_or_create_student(student)
    for set in sets:
        given = result.handed_in.get(set)
        book.update_or_create_submission(
            SETS[set], student, **({"timestamp": in_utc(given)} if given else {})
        )
    written = {}
    try:
        for set in sets:
            written[set] = enter(book, directory, result, handin, set)
        book.db.commit()
    finally:
        book.db.rollback()
    for set, notebook in written.items():
        write_folder(directory, student, set, notebook, result, handin)


def handed_in(result: StudentResult, handin: Handin) -> list[str]:
    """The problem sets that a student handed in something for. All that were graded if nothing could be read."""
    graded = {id.split(".")[0] for id in result.exercises}
    given = {set for set in SETS if any(belongs(name, set) for name in handin.files)}
    given |= {set for set, when in result.handed_in.items() if when is not None}
    given |= {
        each.id.split(".")[0]
        for each in result.exercises.values()
        if each.outcome is not Outcome.NOT_ATTEMPTED
    }
    return [set for set in SETS if set in (graded if result.error else given)]


def belongs(name: str, set: str) -> bool:
    """Whether a file lies in the folder of a problem set, or bears its name."""
    return any(part.startswith((f"{set}_", f"{set}.")) for part in Path(name).parts)


def in_utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


def enter(
    book: Gradebook, directory: CourseDirectory, result: StudentResult, handin: Handin, set: str
) -> Notebook:
    """Set scores and comments of one problem set, without committing. Gives the notebook to show."""
    folder, student = SETS[set], result.student
    exercises = {
        id.replace(".", "-"): each for id, each in result.exercises.items() if id.split(".")[0] == set
    }
    released = read_json(path_of(directory, directory.release_directory, ".", folder) / f"{folder}.ipynb")
    name = notebook_name(handin, set)
    notebook = graded_notebook(
        released, handin.files.get(name), name, exercises, notes_for(result, handin, set)
    )
    cells = {key(cell): cell for cell in notebook["cells"] if role(cell)}
    earlier = earlier_answers(notebook_path(directory, student, folder))
    submitted = book.find_submission_notebook(folder, folder, student)
    grades = {grade.name: grade for grade in submitted.grades}
    comments = {comment.name: comment for comment in submitted.comments}
    if unknown := {name for name, cell in cells.items() if not is_locked(cell)} - comments.keys():
        raise UserError(
            f"the gradebook's {folder} lacks the cells {', '.join(sorted(unknown))}, which the released notebook has. "
            f"Type `nbgrader generate_assignment {folder} --force --create`."
        )
    moved = False
    for name, grade in grades.items():
        exercise = exercises.get(name.removesuffix("-check"))
        by_person = name in cells and not is_locked(cells[name])
        if not by_person and exercise is None:
            continue
        score = unanswered_score(cells[name]) if by_person else score_of(exercise, grade.max_score)
        rewritten = by_person and name in earlier and earlier[name] != cells[name]["source"]
        if score != grade.auto_score or rewritten:
            moved = True
            grade.auto_score = score
            grade.needs_manual_grade = score is None or grade.manual_score is not None
    for name, comment in comments.items():
        if exercise := exercises.get(name):
            comment.auto_comment = sentence(exercise.message, cells)
        elif name in cells and role(cells[name]).get("grade"):
            comment.auto_comment = NO_ANSWER if unanswered_score(cells[name]) == 0 else None
    if moved and any(each.flags or each.outcome is Outcome.TAMPERED for each in exercises.values()):
        submitted.flagged = True
    return notebook


def score_of(exercise: ExerciseResult | None, points: float) -> float | None:
    """The score of a check cell that is worth some points; None where a person has to look."""
    if exercise is None or exercise.outcome is Outcome.NOT_GRADED:
        return None
    return exercise.points / exercise.out_of * points if exercise.out_of else 0.0


def unanswered_score(cell: Mapping[str, Any]) -> float | None:
    """0 for an answer that is as it was given out, None for one that a person must read: nbgrader's own rule."""
    return utils.determine_grade(from_dict(cell))[0]


def notebook_path(directory: CourseDirectory, student: str, folder: str) -> Path:
    return path_of(directory, directory.autograded_directory, student, folder) / f"{folder}.ipynb"


def earlier_answers(path: Path) -> dict[str, str]:
    """The answers that were published last time."""
    if not path.is_file():
        return {}
    return {key(cell): text_of(cell["source"]) for cell in read_json(path)["cells"]}


def read_json(path: Path) -> Notebook:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). Type `make assignments`, which generates it."
        ) from error


def notebook_name(handin: Handin, set: str) -> str:
    """The file that is a problem set's notebook, if one is; else the name that it should have."""
    folder = SETS[set]
    usual = f"{folder}/{folder}.ipynb"
    others = sorted(name for name in handin.files if name.endswith(".ipynb") and belongs(name, set))
    return usual if usual in handin.files or not others else others[0]


def notes_for(result: StudentResult, handin: Handin, set: str) -> list[str]:
    """What a student is told about a problem set: what names it, or no set at all."""
    notes = [each for each in (result.error, *(result.notes or handin.notes)) if each]
    return [
        each for each in notes if SETS[set] in each or not any(folder in each for folder in SETS.values())
    ]


def write_folder(
    directory: CourseDirectory,
    student: str,
    set: str,
    notebook: Notebook,
    result: StudentResult,
    handin: Handin,
) -> None:
    """Write the notebook, and the pictures and tables that lay beside it; what is left of an earlier hand-in goes."""
    path = notebook_path(directory, student, SETS[set])
    files = {path.name: (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()}
    home = Path(notebook_name(handin, set)).parent
    for name, content in handin.files.items():
        inside = Path(name)
        if home != Path() and home in inside.parents and may_be_shown(inside, content):
            files[inside.relative_to(home).as_posix()] = content
    came = path_of(directory, directory.submitted_directory, student, SETS[set]) / "timestamp.txt"
    if came.is_file() and not came.is_symlink() and came.stat().st_size < 200:  # nbgrader compares the two
        files[came.name] = came.read_bytes()
    for name, content in files.items():
        target = path.parent / name
        if not target.is_file() or target.read_bytes() != content:
            with atomic_write(target) as temporary:
                temporary.write_bytes(content)
    for left in path.parent.rglob("*"):
        if left.is_file() and left.relative_to(path.parent).as_posix() not in files:
            left.unlink()


def may_be_shown(name: Path, content: bytes) -> bool:
    """Whether a file is a picture or plain data, by name and content."""
    kind = PICTURE_NAMES.get(name.suffix.lower())
    return content.startswith(PICTURES[kind]) if kind else name.suffix in PLAIN
