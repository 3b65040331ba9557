"""Reading hand-ins: layouts, damages and attacks, all of real files on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder import intake
from autograder.checks import SETS
from autograder.intake import Handin, find_handins, read_handin, recognise
from idc.errors import UserError

NOTEBOOK = json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 1"}]}).encode()
PS1, PS2 = "ps1_infonce/ps1_infonce.ipynb", "ps2_positions/ps2_positions.ipynb"
SECRET = b'{"cells": "of somebody else"}'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """nbgrader's folder of one student, with something to steal beside it."""
    put(tmp_path / "secret.ipynb", SECRET)
    folder = tmp_path / "submitted" / "ada"
    put(folder / PS1)
    return folder


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    opened = Path("/dev/fd")
    before = len(list(opened.iterdir()))
    yield
    assert len(list(opened.iterdir())) == before


def put(path: Path, content: bytes = NOTEBOOK) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(path: Path, files: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def taped(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for each in more:
            archive.addfile(each)
    return path


def refused(handin: Handin, name: str, reason: str) -> bool:
    """Whether a file is not among those that were read, and a note says why."""
    assert SECRET not in handin.files.values()
    return name not in handin.files and any(name in note and reason in note for note in handin.notes)


# Where hand-ins lie


def test_this_module_needs_no_torch() -> None:
    code = "import sys, autograder.intake; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_folders_of_nbgrader(tmp_path: Path) -> None:
    for student in ("bob", "ada"):
        for folder in SETS.values():
            put(tmp_path / "submitted" / student / folder / f"{folder}.ipynb")
    put(tmp_path / "assignments" / PS1)
    put(tmp_path / "gradebook.db", b"")
    for path in (tmp_path, tmp_path / "submitted"):
        assert find_handins(path) == [tmp_path / "submitted" / "ada", tmp_path / "submitted" / "bob"]
    words, found = recognise(tmp_path)
    assert words == f"{tmp_path / 'submitted'} holds 2 folders, each of one student."
    handin = read_handin(found[0])
    assert handin.student == handin.name == "ada"
    assert sorted(handin.files) == [f"{folder}/{folder}.ipynb" for folder in SETS.values()]
    assert (handin.notes, handin.error) == ((), "")
    assert handin.handed_in == dict.fromkeys(SETS)


@pytest.mark.parametrize(
    "around", ["", "assignments/", "image-change-captioning/assignments/", "ada's work/"]
)
@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2"])
def test_an_archive_for_each_student(tmp_path: Path, around: str, ending: str) -> None:
    files = {
        f"{around}{PS1}": NOTEBOOK,
        f"{around}ps1_infonce/lib/a.py": b"x = 1",
        f"{around}{PS2}": NOTEBOOK,
    }
    if ending == ".zip":
        path = zipped(tmp_path / f"ada{ending}", files)
    else:
        mode = {".tar": "w", ".tar.bz2": "w:bz2"}.get(ending, "w:gz")
        path = taped(tmp_path / f"ada{ending}", files, mode=mode)
    zipped(tmp_path / "bob.zip", {PS1: NOTEBOOK})
    words, found = recognise(tmp_path)
    assert words == f"{tmp_path} holds 2 archives, each of one student."
    assert found == [path, tmp_path / "bob.zip"]
    handin = read_handin(path)
    assert handin.student == "ada"
    assert handin.files == {PS1: NOTEBOOK, "ps1_infonce/lib/a.py": b"x = 1", PS2: NOTEBOOK}
    assert (handin.notes, handin.error) == ((), "")


def test_the_whole_kit_comes_back(tmp_path: Path) -> None:
    kit = "image-change-captioning"
    files = {
        f"{kit}/assignments/{PS1}": NOTEBOOK,
        f"{kit}/idc/pieces/infonce.py": b"def info_nce(s): ...",
        f"{kit}/notebooks/00_tour.ipynb": NOTEBOOK,
        f"{kit}/helpers.py": b"x = 1",
        f"{kit}/README.md": b"",
        f"{kit}/.venv/lib/site-packages/a.py": b"",
        f"__MACOSX/{kit}/assignments/._{PS1}": b"",
        f"{kit}/assignments/ps1_infonce/.ipynb_checkpoints/ps1_infonce-checkpoint.ipynb": NOTEBOOK,
    }
    handin = read_handin(zipped(tmp_path / "ada.zip", files))
    assert sorted(handin.files) == ["helpers.py", PS1]
    assert handin.notes == ("2 files of the kit were passed over; what counts lies in assignments/.",)


def test_loose_files_for_each_student(tmp_path: Path) -> None:
    put(tmp_path / "class" / "ada.ipynb")
    put(tmp_path / "class" / "bob.py", b"x = 1")
    put(tmp_path / "class" / "eve" / "ps1.ipynb")
    put(tmp_path / "class" / "eve" / "helpers.py", b"")
    put(tmp_path / "class" / "students.csv", b"")
    words, found = recognise(tmp_path / "class")
    assert words.endswith("class holds 1 folder and 2 notebook or .py files, each of one student.")
    handins = [read_handin(each) for each in found]
    assert [(each.student, list(each.files), dict(each.handed_in)) for each in handins] == [
        ("ada", ["ada.ipynb"], {}),
        ("bob", ["bob.py"], {}),
        ("eve", ["helpers.py", "ps1.ipynb"], {"ps1": None}),
    ]


def test_one_students_folder(place: Path) -> None:
    assert recognise(place) == (f"{place} is the folder of one student: problem sets lie in it.", [place])
    put(place.parent / "eve" / "assignments" / PS1)
    (eve,) = find_handins(place.parent / "eve")
    assert read_handin(eve).files == {PS1: NOTEBOOK}
    (loose,) = find_handins(put(place.parent / "zoe" / "ps1_infonce.ipynb").parent)
    assert (read_handin(loose).student, list(read_handin(loose).files)) == ("zoe", ["ps1_infonce.ipynb"])


def test_students_in_the_folders_of_problem_sets_are_no_single_student(tmp_path: Path) -> None:
    for student in ("ada", "bob"):
        put(tmp_path / "ps1_infonce" / student / "ps1_infonce.ipynb")
    with pytest.raises(
        UserError, match=r"sorted by problem set: ps1_infonce holds nothing but folders \(ada, bob\)"
    ):
        recognise(tmp_path)
    _, found = recognise(tmp_path / "ps1_infonce")
    assert [place.name for place in found] == ["ada", "bob"]
    put(tmp_path / "ps1_infonce" / "ps1_infonce.ipynb")
    assert recognise(tmp_path)[1] == [tmp_path.resolve()]


@pytest.mark.parametrize(
    ("path", "student", "name"),
    [
        ("ada.ipynb", "ada", "ada.ipynb"),
        ("ada.py", "ada", "ada.py"),
        ("ada/ps1_infonce.ipynb", "ada", "ps1_infonce.ipynb"),
        (f"ada/{PS1}", "ada", PS1),
        (f"ada/assignments/{PS1}", "ada", PS1),
        ("ps1_infonce/ada.py", "ada", "ps1_infonce/ada.py"),
        ("ada/ps1_infonce", "ada", PS1),
    ],
)
def test_one_file_or_one_set(tmp_path: Path, path: str, student: str, name: str) -> None:
    put(tmp_path / path / "ps1_infonce.ipynb" if "." not in path else tmp_path / path)
    (place,) = [tmp_path / path] if "." not in path else find_handins(tmp_path / path)
    handin = read_handin(place)
    assert (handin.student, list(handin.files), handin.error) == (student, [name], "")


def test_a_path_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder or file"):
        find_handins(tmp_path / "missing")
    assert find_handins(tmp_path) == []


def test_finding_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "ada" / PS1)
    os.mkfifo(tmp_path / "bob.ipynb")
    put(tmp_path / "eve.zip", b"")
    (tmp_path / "mallory").symlink_to("/etc")
    monkeypatch.setattr(os, "open", None)
    assert [each.name for each in find_handins(tmp_path)] == ["ada", "bob.ipynb", "eve.zip", "mallory"]


def test_a_folder_without_notebooks_gets_an_answer(place: Path) -> None:
    (place.parent / "bob").mkdir()
    put(place.parent / "eve" / "essay.docx", b"")
    for student in ("bob", "eve"):
        handin = read_handin(place.parent / student)
        assert (handin.student, handin.files) == (student, {})
        assert handin.error == "No notebook (.ipynb) and no .py file was found that can be read."
    assert "is not there" in read_handin(place.parent / "gone").error


# Who it was


@pytest.mark.parametrize(
    "name", ["ada", "Ada-Lovelace_2.0", "ada@school.org", "12345", "a" * 60, "Jürgen Ünal", "李雷"]
)
def test_ordinary_names_are_ids(tmp_path: Path, name: str) -> None:
    handin = read_handin(put(tmp_path / name / PS1).parents[1])
    assert (handin.student, handin.name, handin.notes) == (name, name, ())


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>".replace("/", ""),
        "Ju\u0308rgen",
        "..ada",
        "ada..",
        "-rf",
        "con",
        "NUL.x",
        "ada\nbob",
        "ada\u202ebob",
        "a" * 65,
        "=cmd()",
        "ada\udcff",
        "' OR 1=1",
    ],
)
def test_other_names_get_a_safe_id(tmp_path: Path, name: str) -> None:
    handin = read_handin(put(tmp_path / name / PS1).parents[1])
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}-[0-9a-f]{8}", handin.student)
    assert handin.name == name.replace("\udcff", "\ufffd")
    assert handin.notes[0].endswith(
        f"is listed as {handin.student}, because it holds letters that are not safe everywhere in names of files."
    )
    assert handin.notes[0].isprintable()
    assert handin.files == {PS1: NOTEBOOK}


def test_no_two_share_an_id(tmp_path: Path) -> None:
    for name in ("ada", "Ada", "bob", "Jürgen", "Jurgen", "李雷", "李 雷"):
        put(tmp_path / name / PS1)
    zipped(tmp_path / "bob.zip", {PS1: NOTEBOOK})
    put(tmp_path / "Bob.ipynb")
    handins = [read_handin(each) for each in find_handins(tmp_path)]
    ids = [each.student.lower() for each in handins]
    assert len(set(ids)) == len(ids) == 9
    assert all(
        "same name but for its ending or its capitals" in each.notes[0]
        for each in handins
        if each.name.lower() in ("ada", "bob")
    )
    assert "Jurgen" in {each.student for each in handins}


# When it came


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21 10:23:45.123456 UTC\n", datetime(2026, 11, 21, 10, 23, 45, 123456, timezone.utc)),
        ("2026-11-21 10:23:45 UTC", datetime(2026, 11, 21, 10, 23, 45, 0, timezone.utc)),
        ("2026-07-01 10:00:00 Europe/Berlin", datetime(2026, 7, 1, 8, tzinfo=timezone.utc)),
        ("2026-01-01 10:00:00.000001 +0130", datetime(2026, 1, 1, 8, 30, 0, 1, timezone.utc)),
        ("2026-01-01 10:00:00 -08:00", datetime(2026, 1, 1, 18, tzinfo=timezone.utc)),
        ("2026-01-01T10:00:00+00:00", datetime(2026, 1, 1, 10, tzinfo=timezone.utc)),
        ("2026-01-01T10:00:00Z", datetime(2026, 1, 1, 10, tzinfo=timezone.utc)),
        ("2026-01-01 10:00:00", datetime(2026, 1, 1, 10, tzinfo=timezone.utc)),
    ],
)
def test_when_nbgrader_says_it_came(place: Path, text: str, expected: datetime) -> None:
    put(place / PS2)
    put(place / "ps1_infonce" / "timestamp.txt", text.encode())
    handin = read_handin(place)
    assert handin.handed_in == {"ps1": expected, "ps2": None}
    assert handin.handed_in["ps1"].tzinfo is not None  # type: ignore[union-attr]
    assert handin.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"yesterday",
        b"2026-13-01 10:00:00 UTC",
        b"2026-01-01 10:00:00 ../../etc/passwd",
        b"2026-01-01 10:00:00 Mars/Base",
        b"0001-01-01 00:00:00 UTC",
        b"9999-12-31 23:59:59 -2359",
        b"2026-01-01 10:00:00 UTC extra",
        b"2026-01-01 10:00:00 +9999",
        b"\xff" * 999,
    ],
)
def test_a_time_that_is_none(place: Path, text: bytes) -> None:
    put(place / "ps1_infonce" / "timestamp.txt", text)
    handin = read_handin(place)
    assert handin.handed_in == {"ps1": None}
    assert refused(
        handin, "ps1_infonce/timestamp.txt", "which is no time; it is not known when this set came."
    )


def test_a_time_in_an_archive_is_the_students_own(tmp_path: Path) -> None:
    files = {PS1: NOTEBOOK, "ps1_infonce/timestamp.txt": b"2020-01-01 00:00:00 UTC"}
    assert read_handin(zipped(tmp_path / "ada.zip", files)).handed_in == {"ps1": None}


# What is read


def test_the_report_of_problem_set_6(place: Path) -> None:
    report = place / "ps6_train" / "report"
    wanted = [
        "results.json",
        "metrics.jsonl",
        "config.yaml",
        "triples.png",
        "model.safetensors",
        "no_cbr/results.json",
    ]
    for name in wanted:
        put(report / name, b"1")
    for name in ("model.pt", "state.pickle"):
        put(report / name, b"1")
    for name in ("run.sh", "notes.txt", "../world/1.png", "../results.json"):
        put(report / name, b"1")
    handin = read_handin(place)
    assert sorted(handin.files) == sorted([PS1, *(f"ps6_train/report/{name}" for name in wanted)])
    for name in ("model.pt", "state.pickle"):
        assert refused(handin, f"ps6_train/report/{name}", "could run code when it is loaded")


def test_the_digest_is_that_of_names_and_contents(place: Path) -> None:
    one = read_handin(place).digest()
    assert one == Handin("somebody", {PS1: NOTEBOOK}, ("a note",)).digest()
    assert len(one) == len(hashlib.sha256().hexdigest())
    others = [
        {PS1: NOTEBOOK + b" "},
        {PS2: NOTEBOOK},
        {PS1: NOTEBOOK, PS2: NOTEBOOK},
        {PS1 + "{": NOTEBOOK[1:]},
        {},
    ]
    assert len({one, *(Handin("ada", files).digest() for files in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty."),
        (b"\xef\xbb\xbf \n", "is empty."),
        (
            os.urandom(64) + b"\0" * 64,
            "is no notebook, although its name says so; save it again in JupyterLab.",
        ),
        (b"PK\x03\x04" + b"\0" * 64, "is an archive with the name of a notebook"),
        (gzip.compress(NOTEBOOK, mtime=0), "is an archive with the name of a notebook"),
        (b"<!DOCTYPE html><html></html>", "is a web page with the name of a notebook"),
        (b"print('hello')", "is no notebook"),
        (b'{"a": 1}', "is no notebook"),
    ],
)
def test_what_is_certainly_no_notebook(place: Path, content: bytes, reason: str) -> None:
    put(place / PS2, content)
    handin = read_handin(place)
    assert list(handin.files) == [PS1]
    assert refused(handin, PS2, reason)


def test_what_may_be_a_notebook_is_left_to_others(place: Path) -> None:
    damaged = NOTEBOOK[:-9]
    for name, content in (
        ("a", damaged),
        ("b", NOTEBOOK.decode().encode("utf-16")),
        ("c", b"<<<<<<< HEAD\n" + NOTEBOOK),
    ):
        put(place / "ps2_positions" / f"{name}.ipynb", content)
    handin = read_handin(place)
    assert len(handin.files) == 4
    assert handin.notes == ()


def test_of_a_large_notebook_the_beginning_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LARGEST_NOTEBOOK", len(NOTEBOOK) + 5)
    put(place / PS2, NOTEBOOK + b" " * 5)
    assert read_handin(place).notes == ()
    put(place / PS2, NOTEBOOK + b" " * 6)
    handin = read_handin(place)
    assert handin.files[PS2] == NOTEBOOK + b" " * 5
    assert "only its beginning was read. Clear the outputs of its cells" in handin.notes[0]


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_too_large(place: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(intake, "LARGEST_CODE", 100)
    monkeypatch.setattr(intake, "LARGEST_TABLE", 200)
    files = {PS1: NOTEBOOK, "ps1_infonce/a.py": b"#" * 101, "ps1_infonce/b.py": b"#" * 100}
    files |= {"ps6_train/report/results.json": b"1" * 201, "ps6_train/report/metrics.jsonl": b"1" * 200}
    for name, content in files.items():
        put(place / name, content)
    handin = read_handin(zipped(place.parent / "eve.zip", files) if packed else place)
    assert sorted(handin.files) == sorted([PS1, "ps1_infonce/b.py", "ps6_train/report/metrics.jsonl"])
    assert len(handin.notes) == 2
    assert all("is larger than 0 MB; it was not read." in note for note in handin.notes)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("MOST_FILES", 5, "holds more than 5 notebooks and .py files; the rest was not read."),
        (
            "MOST_NAMES",
            6,
            "holds more than 6 files and folders; hand in the notebooks and the report folder only.",
        ),
        (
            "LARGEST_HANDIN",
            5 * len(NOTEBOOK) + 3,
            "holds more than 0 MB of notebooks and reports; the rest was not read.",
        ),
    ],
)
def test_there_is_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: str, value: int, told: str
) -> None:
    monkeypatch.setattr(intake, limit, value)
    files = {f"ps1_infonce/{n}.ipynb": NOTEBOOK for n in range(9)}
    path = tmp_path / "class" / ("ada" if kind == "folder" else f"ada.{kind}")
    if kind == "folder":
        for name, content in files.items():
            put(path / name, content)
    else:
        (zipped if kind == "zip" else taped)(path, files)
    handin = read_handin(path)
    assert 5 <= len(handin.files) <= 6
    assert handin.error == ""
    assert handin.notes == (f"{path.name} {told}",)


def test_there_is_an_end_to_notes(tmp_path: Path) -> None:
    files = {PS1: NOTEBOOK} | {f"../{n}.py": b"" for n in range(intake.MOST_NOTES + 7)}
    handin = read_handin(zipped(tmp_path / "ada.zip", files))
    assert len(handin.notes) == intake.MOST_NOTES + 1
    assert handin.notes[-1] == "7 more files were refused."


# What is refused


def test_links_are_not_followed(place: Path) -> None:
    secret = place.parents[1] / "secret.ipynb"
    (place / "ps2_positions").mkdir()
    (place / "ps2_positions" / "a.ipynb").symlink_to(secret)
    (place / "ps2_positions" / "b.ipynb").symlink_to("../../../secret.ipynb")
    (place / "ps2_positions" / "c.ipynb").symlink_to(place / PS1)
    (place / "ps2_positions" / "d.ipynb").symlink_to("nowhere")
    (place / "ps2_positions" / ".hidden.ipynb").symlink_to(secret)
    (place / "ps3_attention").symlink_to(place.parents[1])
    (place / "ps1_infonce" / "loop").symlink_to(place)
    handin = read_handin(place)
    assert list(handin.files) == [PS1]
    for name in ("a", "b", "c", "d", ".hidden"):
        assert refused(
            handin,
            f"ps2_positions/{name}.ipynb",
            "is a link, which is not followed; hand in the file itself.",
        )
    assert refused(handin, "ps3_attention", "is a link")
    assert refused(handin, "ps1_infonce/loop", "is a link")


@pytest.mark.parametrize("target", ["secret.ipynb", "submitted/ada"])
@pytest.mark.parametrize("name", ["eve", "eve.ipynb", "eve.zip"])
def test_a_hand_in_that_is_a_link(place: Path, target: str, name: str) -> None:
    (place.parent / name).symlink_to(place.parents[1] / target)
    assert place.parent / name in find_handins(place.parent)
    handin = read_handin(place.parent / name)
    assert handin.files == {}
    assert handin.error == f"{name} is a link, which is not followed; hand in the file itself."


def test_a_hard_link(place: Path) -> None:
    (place / "ps1_infonce" / "b.ipynb").hardlink_to(place.parents[1] / "secret.ipynb")
    assert refused(
        read_handin(place),
        "ps1_infonce/b.ipynb",
        "is a hard link, so it may be somebody else's; hand in a copy.",
    )


def test_a_link_that_is_swapped_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, seen = place.parents[1] / "secret.ipynb", intake.check_kind

    def swap(status: os.stat_result) -> None:
        seen(status)
        (place / PS1).unlink(missing_ok=True)
        (place / PS1).symlink_to(secret)

    monkeypatch.setattr(intake, "check_kind", swap)
    assert refused(read_handin(place), PS1, "cannot be read (Too many levels of symbolic links).")


def test_a_pipe_that_is_swapped_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, calls = intake.check_kind, []

    def swap(status: os.stat_result) -> None:
        seen(status)
        if not calls:
            (place / PS1).unlink()
            os.mkfifo(place / PS1)
        calls.append(status)

    monkeypatch.setattr(intake, "check_kind", swap)
    assert refused(read_handin(place), PS1, "is a pipe, not a file; it was not read.")


def test_a_folder_that_is_swapped_for_a_link(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place.parents[1] / "elsewhere" / "ps1_infonce.ipynb", SECRET)
    seen = intake.is_aside

    def swap(name: str) -> bool:
        if name == "ps1_infonce":
            (place / name).rename(place / "away")
            (place / name).symlink_to(place.parents[1] / "elsewhere")
        return seen(name)

    monkeypatch.setattr(intake, "is_aside", swap)
    handin = read_handin(place)
    assert PS1 not in handin.files
    assert SECRET not in handin.files.values()
    assert "ps1_infonce cannot be read (" in handin.notes[0]


def test_what_is_no_file(place: Path) -> None:
    os.mkfifo(place / "ps1_infonce" / "pipe.ipynb")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(place / "ps1_infonce")  # such a name must be short
        server.bind("socket.ipynb")
        os.chdir(here)
    (place / "ps1_infonce" / "folder.ipynb").mkdir()
    handin = read_handin(place)
    assert list(handin.files) == [PS1]
    assert refused(handin, "ps1_infonce/pipe.ipynb", "is a pipe, not a file; it was not read.")
    assert refused(handin, "ps1_infonce/socket.ipynb", "is a socket, not a file; it was not read.")
    os.mkfifo(place.parent / "eve.zip")
    assert read_handin(place.parent / "eve.zip").error == "eve.zip is a pipe, not a file; it was not read."


def test_what_may_not_be_read(place: Path) -> None:
    put(place / PS2).chmod(0)
    put(place / "ps3_attention" / "a.ipynb").parent.chmod(0)
    put(place.parent / "eve.ipynb").chmod(0)
    for folder in [
        each for each in place.parents if each.name.startswith(("pytest-", "popen-", "test_", "submitted"))
    ]:
        folder.chmod(0o755)  # pytest's own are closed to others
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        handin, eve = read_handin(place), read_handin(place.parent / "eve.ipynb")
    finally:
        os.seteuid(was)
        (place / "ps3_attention").chmod(0o755)
    assert list(handin.files) == [PS1]
    assert refused(handin, PS2, "may not be read; its permissions forbid it.")
    assert refused(handin, "ps3_attention", "may not be read; its permissions forbid it.")
    assert eve.error == "eve.ipynb may not be read; its permissions forbid it."


@pytest.mark.parametrize(
    "name",
    [
        "a\nb.ipynb",
        "a\x1b[2J.ipynb",
        "a\u202egpj.ipynb",
        "a\udcff.ipynb",
        "a\u200b.py",
        "a\x7f.py",
        "d\x01/a.py",
    ],
)
def test_names_that_cannot_be_shown(place: Path, name: str) -> None:
    put(place / "ps1_infonce" / name)
    handin = read_handin(place)
    assert list(handin.files) == [PS1]
    (note,) = handin.notes
    assert note.isprintable()
    assert note.endswith("has letters in its name that cannot be shown; it was not read.")


def test_names_that_are_too_long_or_too_deep(place: Path) -> None:
    put(place / "ps1_infonce" / Path(*"abcdefghijkl") / "a.ipynb")
    put(place / "ps1_infonce" / ("a" * 200) / ("b" * 200) / "c.ipynb")
    handin = read_handin(place)
    assert list(handin.files) == [PS1]
    assert len(handin.notes) == 2
    assert all(
        note.endswith("has too long a name, or lies too deep in folders; it was not read.")
        for note in handin.notes
    )


CLIMBING = [
    "../evil.ipynb",
    "ps1_infonce/../../evil.ipynb",
    "/etc/evil.ipynb",
    "C:\\evil.ipynb",
    "c:evil.ipynb",
    "..\\evil.ipynb",
    "\\evil.ipynb",
    "ps1_infonce/..\\..\\evil.ipynb",
]


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("pack", [zipped, taped])
def test_names_that_climb_out(tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    ending = ".zip" if pack is zipped else ".tar.gz"
    handin = read_handin(pack(tmp_path / f"ada{ending}", {name: NOTEBOOK, PS1: NOTEBOOK}))
    assert list(handin.files) == [PS1]
    assert handin.notes == (f"{name} has a name that leads out of the hand-in; it was not read.",)


def test_windows_writes_other_slashes(tmp_path: Path) -> None:
    handin = read_handin(
        zipped(tmp_path / "ada.zip", {"assignments\\ps1_infonce\\ps1_infonce.ipynb": NOTEBOOK})
    )
    assert (list(handin.files), handin.notes) == ([PS1], ())


def test_a_name_with_a_nul(tmp_path: Path) -> None:
    path = zipped(tmp_path / "ada.zip", {"ps1_infonce/ab.ipynb": NOTEBOOK, PS1: NOTEBOOK})
    path.write_bytes(path.read_bytes().replace(b"/ab.ipynb", b"/a\0.ipynb"))
    handin = read_handin(path)
    assert list(handin.files) == [PS1]
    assert handin.notes == (
        "ps1_infonce/a\ufffd.ipynb has letters in its name that cannot be shown; it was not read.",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ps1_infonce/a.ipynb", "ps1_infonce/A.ipynb"),
        ("ps1_infonce/a.ipynb", "PS1_Infonce/a.ipynb"),
        ("ps1_infonce/é.ipynb", "ps1_infonce/e\u0301.ipynb"),
        ("assignments/ps1_infonce/a.ipynb", "old/ps1_infonce/a.ipynb"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_names_that_clash(tmp_path: Path, first: str, second: str, turned: bool) -> None:
    files = {first: NOTEBOOK, second: NOTEBOOK + b" "}
    handin = read_handin(zipped(tmp_path / "ada.zip", dict(reversed(files.items())) if turned else files))
    assert len(handin.files) == 1
    (note,) = handin.notes
    assert "would take the place of" in note


def test_the_folder_of_a_set_may_be_in_capitals(tmp_path: Path) -> None:
    put(tmp_path / "ada" / "PS1_InfoNCE" / "PS1_InfoNCE.ipynb")
    handin = read_handin(tmp_path / "ada")
    assert (list(handin.files), dict(handin.handed_in)) == (["ps1_infonce/PS1_InfoNCE.ipynb"], {"ps1": None})


def test_the_same_name_twice(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive,
    ):
        archive.writestr(PS1, NOTEBOOK)
        archive.writestr(PS1, NOTEBOOK + b" ")
    handin = read_handin(tmp_path / "ada.zip")
    assert handin.files == {PS1: NOTEBOOK}
    assert handin.notes == (f"{PS1} is there twice; the first one was read.",)


def test_archives_in_archives(tmp_path: Path, place: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {PS2: NOTEBOOK}).read_bytes()
    handin = read_handin(zipped(tmp_path / "eve.zip", {"inner.zip": inner, "b.tar.gz": b"", PS1: NOTEBOOK}))
    assert list(handin.files) == [PS1]
    assert len(handin.notes) == 2
    assert all(
        "is an archive within a hand-in, which is not opened; hand in what it holds." in note
        for note in handin.notes
    )
    put(place / "inner.zip", inner)
    assert refused(read_handin(place), "inner.zip", "is an archive within a hand-in")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_is_no_file_in_a_zip(tmp_path: Path, kind: int) -> None:
    path = zipped(tmp_path / "ada.zip", {"ps1_infonce/a.ipynb": b"/etc/passwd"}, kind | 0o777)
    handin = read_handin(path)
    assert handin.files == {}
    assert handin.notes == (f"ps1_infonce/a.ipynb {intake.KINDS[kind]}",)
    assert handin.error.startswith("No notebook")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_what_is_no_file_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("ps1_infonce/a.ipynb")
    member.type, member.linkname = kind, "/etc/passwd"
    handin = read_handin(taped(tmp_path / "ada.tar.gz", {PS1: NOTEBOOK}, member))
    assert list(handin.files) == [PS1]
    assert handin.notes == ("ps1_infonce/a.ipynb is a link or no file; hand in the file itself.",)


def test_locked_archives(tmp_path: Path) -> None:
    def lock(path: Path, names: int) -> Path:
        """Set the flag of encryption, here and in the table of contents."""
        content = bytearray(path.read_bytes())
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            for found in list(re.finditer(re.escape(mark), bytes(content)))[:names]:
                content[found.start() + place] |= 1
        path.write_bytes(content)
        return path

    files = {PS1: NOTEBOOK, PS2: NOTEBOOK}
    handin = read_handin(lock(zipped(tmp_path / "ada.zip", files), 2))
    assert handin.error == "ada.zip is locked with a password; pack it again without one."
    handin = read_handin(lock(zipped(tmp_path / "bob.zip", files), 1))
    assert list(handin.files) == [PS2]
    assert handin.notes == (f"{PS1} is locked with a password; pack it again without one.",)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_unusual_packing(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "ada.zip", "w", method) as archive:
        archive.writestr(PS1, NOTEBOOK)
    assert (
        "is packed in an unusual way; pack it again as an ordinary .zip."
        in read_handin(tmp_path / "ada.zip").notes[0]
    )


@pytest.mark.parametrize("name", ["ada.rar", "ada.7z", "ada.tar.xz", "ada.gz", "ada.ipynb.gz"])
def test_other_archives_get_an_answer(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, b"Rar!")
    (found,) = find_handins(tmp_path)
    assert (
        read_handin(found).error
        == f"{name} is damaged, or packed in a way that is not opened here; hand in a .zip or a .tar.gz."
    )


def test_an_archive_may_have_another_archives_name(tmp_path: Path) -> None:
    zipped(tmp_path / "ada.tar.gz", {PS1: NOTEBOOK})
    taped(tmp_path / "bob.zip", {PS1: NOTEBOOK})
    taped(tmp_path / "eve.rar", {PS1: NOTEBOOK}, mode="w:bz2")
    assert [dict(read_handin(each).files) for each in find_handins(tmp_path)] == [{PS1: NOTEBOOK}] * 3


# Bombs


def test_a_zip_that_unpacks_to_far_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "RATIO_FROM", 2**20)
    files = {"ps1_infonce/bomb.ipynb": NOTEBOOK + b" " * 2**23, PS1: NOTEBOOK}
    handin = read_handin(zipped(tmp_path / "ada.zip", files))
    assert list(handin.files) == [PS1]
    assert handin.notes == (
        "ps1_infonce/bomb.ipynb unpacks to more than 200 times its size; it was not read.",
    )


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2"])
def test_a_tar_that_unpacks_to_far_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(intake, "RATIO_FROM", 2**20)
    ending = "tar.gz" if mode == "w:gz" else "tar.bz2"
    path = taped(
        tmp_path / f"ada.{ending}",
        {PS1: NOTEBOOK, "nobody/wants.this": b" " * 2**24, PS2: NOTEBOOK},
        mode=mode,
    )
    handin = read_handin(path)
    assert list(handin.files) == [PS1]
    assert handin.notes == (
        f"ada.{ending} unpacks to too much; hand in the notebooks and the report folder only.",
    )


def test_many_files_of_which_each_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LARGEST_HANDIN", 2**20)
    files = {f"ps1_infonce/{n}.py": b" " * 2**17 for n in range(40)}
    handin = read_handin(zipped(tmp_path / "ada.zip", files))
    assert sum(map(len, handin.files.values())) <= 2**20
    assert "holds more than 1 MB of notebooks and reports" in handin.notes[0]


def test_an_archive_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LARGEST_ARCHIVE", 2**20)
    path = zipped(tmp_path / "ada.zip", {PS1: NOTEBOOK})
    os.truncate(path, 2**20 + 1)
    assert read_handin(path).error.startswith("ada.zip is larger than 1 MB;")


def sizes_in_table(path: Path, size: int) -> Path:
    """Let the table of contents claim another unpacked size."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 2**31 - 1])
def test_claimed_sizes_are_not_believed(tmp_path: Path, size: int) -> None:
    handin = read_handin(sizes_in_table(zipped(tmp_path / "ada.zip", {PS1: NOTEBOOK}), size))
    assert handin.files in ({}, {PS1: NOTEBOOK})
    assert bool(handin.files) != any("is damaged" in note or "is empty" in note for note in handin.notes)


def test_a_table_of_contents_without_end(tmp_path: Path) -> None:
    path = zipped(tmp_path / "ada.zip", {PS1: NOTEBOOK})
    content = bytearray(path.read_bytes())
    end = content.index(b"PK\x05\x06")
    table = end - content.index(b"PK\x01\x02")
    content[end + 12 : end + 16] = struct.pack("<I", 2**30 + table)
    path.write_bytes(content)
    assert "ada.zip" in read_handin(path).error


def test_sizes_of_64_bits_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "ada.zip"
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open(zipfile.ZipInfo(PS1), "w", force_zip64=True) as member,
    ):
        member.write(NOTEBOOK)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    name = struct.unpack("<H", content[place + 28 : place + 30])[0]
    content[place + 20 : place + 28] = b"\xff" * 8
    content[place + 30 : place + 32] = struct.pack("<H", 20)
    extra = struct.pack("<HHQQ", 1, 16, 2**60, 2**60)
    content[place + 46 + name : place + 46 + name] = extra
    end = content.index(b"PK\x05\x06")
    content[end + 12 : end + 16] = struct.pack("<I", end - place)
    path.write_bytes(content)
    handin = read_handin(path)
    assert handin.files in ({}, {PS1: NOTEBOOK})
    assert handin.files or handin.error


def test_a_header_without_end(tmp_path: Path) -> None:
    member = tarfile.TarInfo("ps1_infonce/a.ipynb")
    member.pax_headers = {"comment": "x" * (intake.LARGEST_GULP + 1)}
    handin = read_handin(taped(tmp_path / "ada.tar.gz", {PS1: NOTEBOOK}, member))
    assert list(handin.files) == [PS1]
    assert "bytes at once" in handin.notes[0]


def test_a_gzip_with_a_name_without_end(tmp_path: Path) -> None:
    content = taped(tmp_path / "ada.tar.gz", {PS1: NOTEBOOK}).read_bytes()
    tape = gzip.decompress(content)
    header = b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * 2**22 + b"\0"
    body = gzip.compress(tape)[10:]
    handin = read_handin(put(tmp_path / "ada.tar.gz", header + body))
    assert handin.files == {PS1: NOTEBOOK}


def test_gzips_in_a_row(tmp_path: Path) -> None:
    tape = gzip.decompress(taped(tmp_path / "ada.tar.gz", {PS1: NOTEBOOK, PS2: NOTEBOOK}).read_bytes())
    parts = gzip.compress(tape[:700]) + gzip.compress(tape[700:])
    handin = read_handin(put(tmp_path / "ada.tar.gz", parts))
    assert (list(handin.files), handin.notes) == ([PS1, PS2], ())


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar", "tar.bz2"])
def test_a_truncated_archive(tmp_path: Path, ending: str) -> None:
    files = {PS1: NOTEBOOK, PS2: NOTEBOOK + os.urandom(200_000)}
    mode = {"tar.gz": "w:gz", "tar": "w", "tar.bz2": "w:bz2"}.get(ending, "")
    path = tmp_path / f"ada.{ending}"
    (taped(path, files, mode=mode) if mode else zipped(path, files))
    os.truncate(path, path.stat().st_size // 2)
    handin = read_handin(path)
    told = " ".join((*handin.notes, handin.error))
    assert "is damaged" in told
    assert set(handin.files) <= {PS1}
    assert (PS1 in handin.files) == (ending in ("tar", "tar.gz"))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"PK\x05\x06", b"junk" * 1000, *(gzip.compress(b, mtime=0) for b in (b"", b"junk" * 500))],
)
@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar", "tar.bz2"])
def test_what_is_no_archive(tmp_path: Path, content: bytes, ending: str) -> None:
    handin = read_handin(put(tmp_path / f"ada.{ending}", content))
    assert handin.files == {}
    assert handin.error
    assert handin.error.isprintable()


GOOD_FILES = {
    f"assignments/{PS1}": NOTEBOOK,
    "assignments/ps1_infonce/a.py": b"x = 1\n" * 50,
    f"assignments/{PS2}": NOTEBOOK,
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("archives")
    return {
        "zip": zipped(folder / "a.zip", GOOD_FILES).read_bytes(),
        "tar": taped(folder / "a.tar", GOOD_FILES, mode="w").read_bytes(),
        "tar.gz": taped(folder / "a.tar.gz", GOOD_FILES).read_bytes(),
    }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_raises(tmp_path: Path, archives: dict[str, bytes], data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from(sorted(archives)))
    content = bytearray(archives[ending])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + (len(piece) if data.draw(st.booleans()) else 0)] = piece
    handin = read_handin(put(tmp_path / ending / f"ada.{ending}", bytes(content)))
    assert handin.student == "ada"
    assert bool(handin.files) != bool(handin.error)
    assert all(not name.startswith(("/", "..")) and ".." not in name.split("/") for name in handin.files)
    assert all(note.isprintable() for note in handin.notes)


def test_the_names_of_the_sets_are_recognised() -> None:
    for set, folder in SETS.items():
        for name in (
            f"{folder}/{folder}.ipynb",
            f"{folder}.ipynb",
            f"{set}.ipynb",
            f"{set.upper()} (1).ipynb",
            f"{folder}-Copy1/a.py",
        ):
            assert intake.set_of(name) == set
    for name in ("ps7_x/a.py", "ps12/a.py", "apps1/a.py", "ps1x.py", "ada.ipynb"):
        assert intake.set_of(name) == ""
