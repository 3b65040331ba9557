"""What students handed in, read without trusting a byte of it.

    for place in find_handins(Path("submitted")):
        handin = read_handin(place)

Files are read, never executed or imported, and nothing is unpacked to disk. No link is followed, not even one that is
swapped in while we look; whatever is refused is told in a note. This module imports no torch.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import hashlib
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from zoneinfo import ZoneInfo

from idc.errors import UserError

MEGABYTE = 2**20
LARGEST_NOTEBOOK = 64 * MEGABYTE  # of a larger one, the beginning is read
LARGEST_CODE = MEGABYTE  # of a .py file
LARGEST_REPORT = {
    ".png": 32 * MEGABYTE,
    ".safetensors": 64 * MEGABYTE,
}  # of a file of a report, by its kind …
LARGEST_TABLE = 32 * MEGABYTE  # … and of all other kinds
LARGEST_HANDIN = 256 * MEGABYTE  # of all that is read
LARGEST_ARCHIVE = 512 * MEGABYTE  # as it comes; of a .tar.gz also unpacked
LARGEST_GULP = 4 * MEGABYTE  # read at once from an archive, such as its table of contents
RATIO, RATIO_FROM = 200, 16 * MEGABYTE  # nothing honest of this size was packed to less than a 200th
MOST_FILES = 500  # that are read
MOST_NAMES = 10_000  # that are looked at
MOST_NOTES = 100
DEEPEST = 12  # folders within folders
LONGEST_NAME = 300

CODE = (".ipynb", ".py")
REPORT = (".json", ".jsonl", ".yaml", ".yml", ".png", ".safetensors")  # in a folder “report”
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt")
ARCHIVES = (
    ".zip",
    ".tar.gz",
    ".tar.bz2",
    ".tar.xz",
    ".tgz",
    ".tar",
    ".rar",
    ".7z",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
)
TAR_MARK = slice(257, 262)  # where a .tar says that it is one
SET = re.compile(
    r"(ps[1-6])(?![a-z0-9])", re.IGNORECASE
)  # how the folder or the notebook of a problem set begins
KIT = {"autograder", "configs", "data_scripts", "idc", "notebooks"}  # of the kit, beside assignments/
NOT_THEIRS = {"__pycache__", "__macosx", "node_modules", "site-packages"}
SAFE = re.compile(
    r"\w[\w .@+-]{0,59}(?<![ .])"
)  # letters of any script: nbgrader's gradebook knows students by this name
RESERVED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE
)  # names that Windows keeps for itself
LOCKED = "is locked with a password; pack it again without one."
ONLY_WHAT_COUNTS = "hand in the notebooks and the report folder only."
KINDS = {
    stat.S_IFLNK: "is a link, which is not followed; hand in the file itself.",
    stat.S_IFIFO: "is a pipe, not a file; it was not read.",
    stat.S_IFSOCK: "is a socket, not a file; it was not read.",
    stat.S_IFCHR: "is a device, not a file; it was not read.",
    stat.S_IFBLK: "is a device, not a file; it was not read.",
}


@dataclass(frozen=True)
class Handin:
    """What one student handed in.

    student: an id that is safe in paths, pages and tables; no two hand-ins beside each other share one. files: contents by
    relative name: notebooks, .py files and what lies in a report folder. notes: what was refused and why, for the student.
    handed_in: when each set ("ps1") came, None if that is not known. error: why nothing could be read, "" if something
    could. name: what the student's folder or file was called. Names and notes may hold what a student wrote: escape them.
    """

    student: str
    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
    handed_in: Mapping[str, datetime | None] = field(default_factory=dict)
    error: str = ""
    name: str = ""

    def digest(self) -> str:
        """A hash of all names and contents."""
        whole = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            for part in (name.encode(), content):
                whole.update(len(part).to_bytes(8, "big") + part)
        return whole.hexdigest()


class Refused(Exception):
    """Why something is not read, in words that follow its name."""


class Enough(Refused):
    """Why nothing more is read of a hand-in."""


def find_handins(path: Path) -> list[Path]:
    """A folder or file for each student, sorted. Contents are not read. Raises UserError for a path that does not exist."""
    return recognise(path)[1]


def recognise(path: Path) -> tuple[str, list[Path]]:
    """How hand-ins lie at a path, in a sentence, and where each is.

    A notebook, .py file or archive is one student's; so is a folder that holds problem sets. Any other folder holds a
    folder, an archive or a file for each student, as nbgrader's `submitted` does. Raises UserError for a path that does not
    exist, and for one in which students lie in the folders of problem sets.
    """
    if not path.exists():
        raise UserError(
            f"there is no folder or file {path}; give the one that holds what students handed in."
        )
    path = path.resolve()
    if not path.is_dir():
        return f"{path} is the hand-in of one student.", [path]
    if (path / "submitted").is_dir() and not (path / "submitted").is_symlink():
        path /= "submitted"
    elif holds_sets(path):
        check_not_by_set(path)
        return f"{path} is the folder of one student: problem sets lie in it.", [path]
    with os.scandir(path) as entries:
        found = sorted(Path(path, entry.name) for entry in entries if is_handin(entry))
    archives = sum(is_archive(each.name) for each in found)
    files = sum(each.name.lower().endswith(CODE) for each in found)
    kinds = {"folder": len(found) - archives - files, "archive": archives, "notebook or .py file": files}
    words = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items() if count]
    return f"{path} holds {' and '.join(words) or 'nothing'}, each of one student.", found


def holds_sets(folder: Path) -> bool:
    """Whether problem sets lie in a folder, or in its `assignments`."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    if any(SET.match(name) and not is_archive(name) for name in names):
        return True
    return "assignments" in names and (folder / "assignments").is_dir() and holds_sets(folder / "assignments")


def check_not_by_set(folder: Path) -> None:
    """Raise UserError if the problem sets in a folder hold several folders each and nothing else: those of students."""
    for each in sorted(folder.iterdir()):
        if not SET.match(each.name) or not each.is_dir() or each.is_symlink():
            continue
        inside = [entry for entry in each.iterdir() if not is_aside(entry.name)]
        if len(inside) > 1 and all(entry.is_dir() for entry in inside):
            names = ", ".join(sorted(shown(entry.name) for entry in inside)[:3])
            raise UserError(
                f"{folder} seems to be sorted by problem set: {each.name} holds nothing but folders ({names}). If they are "
                f"students', grade one set after the other (`python -m autograder grade {each}`), or sort them as nbgrader "
                f"does: a folder for each student, and in it one for each set."
            )


def is_handin(entry: os.DirEntry[str]) -> bool:
    """Whether something in a folder may be a student's; links are, so that they get an answer."""
    if is_aside(entry.name):
        return False
    return entry.is_symlink() or entry.is_dir() or entry.name.lower().endswith((*CODE, *ARCHIVES))


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def is_aside(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a program."""
    return name.startswith(".") or name.lower() in NOT_THEIRS


def read_handin(place: Path) -> Handin:
    """What lies at a place that `find_handins` gave. Never raises for what a student did: see `error` and `notes`."""
    place = place.resolve() if place.name in ("", "..") else place.parent.resolve() / place.name
    name, student, notes = identify(place)
    reading = Reading(notes)
    error = ""
    try:
        reading.read(place)
    except Refused as refused:
        error = f"{shown(place.name)} {refused}"
    except Exception as failed:  # noqa: BLE001, hostile bytes may make a decoder raise anything
        error = f"{shown(place.name)} cannot be read ({type(failed).__name__}: {shown(str(failed))})."
    files = arranged(reading)
    if error and files:
        reading.notes.append(error)
    elif not files:
        error = error or "No notebook (.ipynb) and no .py file was found that can be read."
    when: dict[str, datetime | None] = {set: None for name in files if (set := set_of(name))}
    when |= reading.came
    return Handin(student, files, reading.told(), when, "" if files else error, name)


def set_of(name: str) -> str:
    """The problem set that a file belongs to by its folder or name, "" for none."""
    found = next((match for part in PurePosixPath(name).parts if (match := SET.match(part))), None)
    return found[1].lower() if found else ""


def identify(place: Path) -> tuple[str, str, list[str]]:
    """A student's name as it stands on disk, an id for it, and what is to be said about that."""
    holder = place
    while holder.name and (
        holder.name == "assignments" or (SET.match(holder.name) and not is_archive(holder.name))
    ):
        holder = holder.parent
    bare = without_end(holder.name) if holder == place else holder.name
    name = os.fsencode(bare).decode("utf-8", "replace")
    if not SAFE.fullmatch(bare) or RESERVED.fullmatch(bare) or not unicodedata.is_normalized("NFC", name):
        reason = "it holds letters that are not safe everywhere in names of files"
    elif has_namesake(holder, bare):
        reason = "another hand-in has the same name but for its ending or its capitals"
    else:
        return name, bare, []
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    short = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:40] or "student"
    id = f"{short}-{hashlib.sha256(os.fsencode(holder.name)).hexdigest()[:8]}"
    return name, id, [f"“{shown(name)}” is listed as {id}, because {reason}."]


def without_end(name: str) -> str:
    """A file's name without .ipynb, .tar.gz and the like."""
    return next((name[: -len(end)] for end in (*CODE, *ARCHIVES) if name.lower().endswith(end)), name)


def has_namesake(holder: Path, bare: str) -> bool:
    """Whether something beside a hand-in would get the same id, on a disk that ignores capitals, too."""
    try:
        with os.scandir(holder.parent) as entries:
            return any(
                without_end(entry.name).lower() == bare.lower() and is_handin(entry)
                for entry in entries
                if entry.name != holder.name
            )
    except OSError:
        return False


def shown(name: str) -> str:
    """A name as it may stand in a note: one line, nothing invisible, not too long."""
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name[:1000])
    return plain if len(plain) <= 120 else f"{plain[:100]} … {plain[-15:]}"


def is_invisible(letter: str) -> bool:
    """Whether a letter is a control character, turns text around, or is none at all."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


class Stream(Protocol):
    """What can be read once, from its beginning."""

    def read(self, size: int, /) -> bytes: ...


class Reading:
    """A hand-in while it is read.

    found: contents by name as they lay there. came: when each set came, where nbgrader says so.
    """

    def __init__(self, notes: Iterable[str] = ()):
        self.notes = list(notes)
        self.untold = 0
        self.found: dict[PurePosixPath, bytes] = {}
        self.came: dict[str, datetime] = {}
        self.names = 0
        self.size = 0

    def note(self, name: object, reason: object) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(f"{shown(str(name))} {reason}")
        else:
            self.untold += 1

    def told(self) -> tuple[str, ...]:
        return (*self.notes, *([f"{self.untold} more files were refused."] if self.untold else ()))

    def read(self, place: Path) -> None:
        """Read what is wanted. Raises Refused where nothing, or nothing more, can be read."""
        around = PurePosixPath(place.parent.name if SET.match(place.parent.name) else "")
        try:
            with opened_folder(str(place.parent), None) as parent:
                if stat.S_ISDIR(os.stat(place.name, dir_fd=parent, follow_symlinks=False).st_mode):
                    with opened_folder(place.name, parent) as folder:
                        self.read_folder(folder, PurePosixPath(place.name if SET.match(place.name) else ""))
                elif place.name.lower().endswith(CODE):
                    self.take(around / place.name, functools.partial(opened, place.name, parent))
                else:
                    with opened(place.name, parent) as archive:
                        self.read_archive(archive)
        except OSError as error:
            raise Refused(in_words(error)) from error

    def read_folder(self, folder: int, name: PurePosixPath) -> None:
        for each in sorted(os.listdir(folder)):
            self.count()
            inner = name / each
            try:
                check_name(str(inner))
                kind = os.stat(each, dir_fd=folder, follow_symlinks=False).st_mode
                if is_aside(each) and not stat.S_ISLNK(kind):
                    continue
                if stat.S_ISDIR(kind):
                    with opened_folder(each, folder) as below:
                        self.read_folder(below, inner)
                elif not stat.S_ISREG(kind):
                    raise Refused(KINDS.get(stat.S_IFMT(kind), "is no file; it was not read."))
                elif each == "timestamp.txt" and (set := set_of(name.name)):
                    with opened(each, folder) as stream:
                        self.came[set] = moment(stream.read(200))
                else:
                    self.take(inner, functools.partial(opened, each, folder))
            except Enough:
                raise
            except Refused as error:
                self.note(inner, error)
            except OSError as error:
                self.note(inner, in_words(error))

    def read_archive(self, file: IO[bytes]) -> None:
        """Read a .zip or .tar, whatever its name says."""
        if os.fstat(file.fileno()).st_size > LARGEST_ARCHIVE:
            raise Refused(f"is larger than {in_megabytes(LARGEST_ARCHIVE)}; {ONLY_WHAT_COUNTS}")
        begin = file.read(TAR_MARK.stop)
        file.seek(0)
        try:
            if begin.startswith(b"PK"):
                self.read_zip(file)
            elif begin.startswith(b"\x1f\x8b"):
                self.read_tar(Gunzipped(file), file)
            elif begin.startswith(b"BZh"):
                self.read_tar(bz2.BZ2File(file), file)
            elif begin[TAR_MARK] == b"ustar":
                self.read_tar(file, file)
            else:
                raise Refused(
                    "is damaged, or packed in a way that is not opened here; hand in a .zip or a .tar.gz."
                )
        except Refused:
            raise
        except Exception as error:
            told = shown(f"{type(error).__name__}: {error}")
            raise Refused(f"is damaged or no archive ({told}); pack it again as a .zip.") from error

    def read_zip(self, file: IO[bytes]) -> None:
        with zipfile.ZipFile(Gulps(file)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if members and all(each.flag_bits & 1 for each in members):
                raise Refused(LOCKED)
            for each in members:
                kind = stat.S_IFMT(each.external_attr >> 16)
                refusal = "" if kind in (0, stat.S_IFREG) else KINDS.get(kind, "is no file.")
                refusal = LOCKED if each.flag_bits & 1 else refusal
                self.take_packed(each.orig_filename, refusal, functools.partial(Unzipped, archive, each))

    def read_tar(self, unpacked: Stream, file: IO[bytes]) -> None:
        tape: Any = Tape(unpacked, file)
        archive: Any = tarfile.TarFile(fileobj=tape)
        while (each := archive.next()) is not None:
            archive.members = []  # or it would keep them all
            if each.isdir():
                self.count()
                continue
            ordinary = each.isreg() and not each.issparse()
            refusal = "" if ordinary else "is a link or no file; hand in the file itself."
            self.take_packed(each.name, refusal, functools.partial(Part, tape, each.size))

    def take_packed(self, name: str, refusal: str, open: Callable[[], Any]) -> None:
        """Take a file from an archive, if it is wanted and its name is harmless."""
        self.count()
        try:
            check_name(name)
            if refusal:
                raise Refused(refusal)
            path = PurePosixPath(name.replace("\\", "/"))
            if not any(map(is_aside, path.parts)):
                self.take(path, open)
        except Enough:
            raise
        except Refused as error:
            self.note(name, error)

    def take(self, name: PurePosixPath, open: Callable[[], Any]) -> None:
        """Read a file if it is wanted. Raises Refused if it cannot be."""
        if is_archive(name.name):
            raise Refused("is an archive within a hand-in, which is not opened; hand in what it holds.")
        if name.suffix.lower() in PICKLES and is_wanted(name.with_suffix(".json")):
            raise Refused("could run code when it is loaded; it was not read. Hand in .safetensors.")
        if not is_wanted(name):
            return
        if name in self.found:
            raise Refused("is there twice; the first one was read.")
        if len(self.found) >= MOST_FILES:
            raise Enough(f"holds more than {MOST_FILES} notebooks and .py files; the rest was not read.")
        try:
            with open() as stream:
                content = self.content(name, stream)
        except (Refused, OSError):
            raise
        except Exception as error:
            raise Refused(
                f"is damaged ({shown(f'{type(error).__name__}: {error}')}); it was not read."
            ) from error
        if name.suffix.lower() == ".ipynb":
            check_notebook(content)
        self.size += len(content)
        self.found[name] = content

    def content(self, name: PurePosixPath, stream: Stream) -> bytes:
        """What a file holds; of a notebook that is too large, the beginning."""
        kind = name.suffix.lower()
        largest = {".ipynb": LARGEST_NOTEBOOK, ".py": LARGEST_CODE}.get(
            kind, LARGEST_REPORT.get(kind, LARGEST_TABLE)
        )
        left = LARGEST_HANDIN - self.size
        content = read_up_to(stream, min(largest, left) + 1)
        if len(content) > left:
            raise Enough(
                f"holds more than {in_megabytes(LARGEST_HANDIN)} of notebooks and reports; the rest was not read."
            )
        if len(content) <= largest:
            return content
        if kind != ".ipynb":
            raise Refused(f"is larger than {in_megabytes(largest)}; it was not read.")
        told = "only its beginning was read. Clear the outputs of its cells and hand it in again."
        self.note(name, f"is larger than {in_megabytes(largest)}: {told}")
        return content[:largest]

    def count(self) -> None:
        self.names += 1
        if self.names > MOST_NAMES:
            raise Enough(f"holds more than {MOST_NAMES} files and folders; {ONLY_WHAT_COUNTS}")


def is_wanted(name: PurePosixPath) -> bool:
    """Whether a file is a notebook, a .py file or part of a report."""
    kind = name.suffix.lower()
    return kind in CODE or (kind in REPORT and "report" in [part.lower() for part in name.parts[:-1]])


def check_name(name: str) -> None:
    """Raises Refused for a name that leads out of the hand-in, or that cannot be shown or written everywhere."""
    parts = re.split(r"[/\\]", name)
    if any(map(is_invisible, name)):
        raise Refused("has letters in its name that cannot be shown; it was not read.")
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or ".." in parts:
        raise Refused("has a name that leads out of the hand-in; it was not read.")
    if len(name) > LONGEST_NAME or len(parts) > DEEPEST:
        raise Refused("has too long a name, or lies too deep in folders; it was not read.")


def check_notebook(content: bytes) -> None:
    """Raises Refused for what is certainly no notebook."""
    begin = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not begin:
        raise Refused("is empty.")
    if begin.startswith((b"pk\x03\x04", b"\x1f\x8b", b"rar!", b"7z\xbc\xaf")):
        raise Refused("is an archive with the name of a notebook; unpack it and hand in what it holds.")
    if begin.startswith((b"<!doctype", b"<html")):
        raise Refused("is a web page with the name of a notebook; download the notebook itself.")
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return
    if b"\0" in begin or not re.search(rb'"(cells|worksheets|cell_type)"', content):
        raise Refused("is no notebook, although its name says so; save it again in JupyterLab.")


def arranged(reading: Reading) -> dict[str, bytes]:
    """The files under names that begin with the folder of the problem set, whatever folders lie around it."""
    names = sorted(reading.found)
    homes = {name.parts[:place] for name in names if (place := set_folder(name)) is not None}
    homes = homes or {common(names)}
    home = min(homes, key=lambda each: (each[-1:] != ("assignments",), len(each), each))
    kit = home[:-1] if home[-1:] == ("assignments",) else None
    arranged: dict[str, bytes] = {}
    taken: dict[str, PurePosixPath] = {}
    passed_over = 0
    for name in sorted(names, key=lambda each: (each.parts[: len(home)] != home, str(each).swapcase())):
        parts = name.parts
        if kit is not None and parts[: len(kit)] == kit and parts[len(kit)].lower() in KIT:
            passed_over += 1
            continue
        place = set_folder(name)
        if parts[: len(home)] == home:
            parts = parts[len(home) :]
        elif place is not None:
            parts = parts[place:]
        elif kit is not None and parts[: len(kit)] == kit:
            parts = parts[len(kit) :]
        if SET.match(parts[0]) and len(parts) > 1:
            parts = (parts[0].lower(), *parts[1:])
        target = unicodedata.normalize("NFC", "/".join(parts))
        if other := taken.get(target.casefold()):
            reading.note(name, f"would take the place of {shown(str(other))}, which was read instead.")
            continue
        taken[target.casefold()] = name
        arranged[target] = reading.found[name]
    if passed_over:
        reading.notes.append(
            f"{passed_over} files of the kit were passed over; what counts lies in assignments/."
        )
    return dict(sorted(arranged.items()))


def set_folder(name: PurePosixPath) -> int | None:
    """At which place of its path a file has the folder of a problem set."""
    return next((place for place, part in enumerate(name.parts[:-1]) if SET.match(part)), None)


def common(names: list[PurePosixPath]) -> tuple[str, ...]:
    """The folders in which all files lie."""
    if not names:
        return ()
    return PurePosixPath(os.path.commonpath([name.parent for name in names])).parts


@contextlib.contextmanager
def opened_folder(name: str, within: int | None) -> Iterator[int]:
    """A folder, as a descriptor; never what a link leads to, below `within`."""
    follow = 0 if within is None else os.O_NOFOLLOW
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def opened(name: str, folder: int) -> IO[bytes]:
    """An ordinary file in an open folder. Raises Refused for anything else; never waits for a pipe."""
    check_kind(os.stat(name, dir_fd=folder, follow_symlinks=False))  # for opening a device may do something
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    file = os.fdopen(handle, "rb")
    try:
        check_kind(os.fstat(handle))  # it may be another one by now
    except Refused:
        file.close()
        raise
    return file


def check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Refused(KINDS.get(stat.S_IFMT(status.st_mode), "is no file; it was not read."))
    if status.st_nlink > 1:
        raise Refused("is a hard link, so it may be somebody else's; hand in a copy.")


def in_words(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "may not be read; its permissions forbid it."
    if isinstance(error, FileNotFoundError):
        return "is not there, or was removed while it was read."
    return f"cannot be read ({error.strerror or error})."


def in_megabytes(size: int) -> str:
    return f"{size // MEGABYTE} MB"


def read_up_to(stream: Stream, most: int) -> bytes:
    """The next bytes, as many as there are but not more than `most`."""
    parts = []
    while most > 0 and (part := stream.read(min(most, 2**18))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def moment(written: bytes) -> datetime:
    """A time as nbgrader writes it, "2026-11-21 10:23:45.123456 UTC"; without a zone it is UTC. Raises Refused."""
    text = written.decode("utf-8", "replace").strip()
    try:
        day, time, *zone = text.replace("T", " ", 1).split() if text[10:11] == "T" else text.split()
        found = datetime.fromisoformat(f"{day} {time}".replace("Z", "+00:00"))
        if zone:
            found = found.replace(tzinfo=zone_of(zone[0]))
        elif found.tzinfo is None:
            found = found.replace(tzinfo=timezone.utc)
        if not 2000 <= found.year < 2200 or len(zone) > 1:
            raise ValueError(text)
    except (ValueError, LookupError, OSError) as error:  # an unknown zone is a LookupError
        raise Refused(
            f"says “{shown(text)}”, which is no time; it is not known when this set came."
        ) from error
    return found


def zone_of(name: str) -> Any:
    """A time zone by its name or, as "+0100", by its distance from UTC. Raises ValueError or LookupError."""
    if shift := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        distance = timedelta(hours=int(shift[2]), minutes=int(shift[3]))
        return timezone(-distance if shift[1] == "-" else distance)
    return timezone.utc if name in ("UTC", "GMT") else ZoneInfo(name)


class Gulps:
    """A file of which nobody reads much at once: an archive may claim a table of contents of any size."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST_GULP:
            raise Refused(f"asks to read {size} bytes at once; {ONLY_WHAT_COUNTS}")
        return self.file.read(LARGEST_GULP if size < 0 else size)


class Unzipped:
    """A file in a .zip, unpacked as it is read. The sizes that the archive claims are not believed."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo):
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused("is packed in an unusual way; pack it again as an ordinary .zip.")
        self.packed = member.compress_size
        self.given = 0
        self.stream = archive.open(member)

    def read(self, size: int) -> bytes:
        part = self.stream.read(size)
        self.given += len(part)
        if self.given > max(RATIO_FROM, RATIO * self.packed):
            raise Refused(f"unpacks to more than {RATIO} times its size; it was not read.")
        return part

    def __enter__(self) -> Unzipped:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


class Tape:
    """An unpacked .tar that is read once, from front to back. packed: the file it comes from."""

    def __init__(self, stream: Stream, packed: IO[bytes]):
        self.stream, self.packed, self.place = stream, packed, 0

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = 0) -> int:
        if whence or place < self.place:
            raise Refused("is damaged: its parts do not follow each other.")
        while self.place < place and self.read(min(place - self.place, 2**18)):
            pass
        return self.place

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_GULP:
            raise Refused(f"asks to read {size} bytes at once; {ONLY_WHAT_COUNTS}")
        part = self.stream.read(size)
        self.place += len(part)
        if self.place > min(LARGEST_ARCHIVE, max(RATIO_FROM, RATIO * self.packed.tell())):
            raise Enough(f"unpacks to too much; {ONLY_WHAT_COUNTS}")
        return part


class Part:
    """The next bytes of a tape, as a file."""

    def __init__(self, tape: Tape, size: int):
        self.tape, self.left = tape, size

    def read(self, size: int) -> bytes:
        part = self.tape.read(min(size, self.left))
        self.left -= len(part)
        return part

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Gunzipped:
    """What a .gz holds. Unlike the standard library's it does not read a name in the header letter by letter."""

    def __init__(self, file: IO[bytes]):
        self.file, self.rest, self.machine = file, b"", zlib.decompressobj(31)

    def read(self, size: int) -> bytes:
        parts = []
        while size > 0:
            if self.machine.eof:  # another .gz may follow
                self.machine = zlib.decompressobj(31)
                if not (self.rest or self.fill()):
                    break
            elif not (self.rest or self.fill()):
                raise EOFError("it ends too early")
            parts.append(self.machine.decompress(self.rest, size))
            self.rest = self.machine.unused_data if self.machine.eof else self.machine.unconsumed_tail
            size -= len(parts[-1])
        return b"".join(parts)

    def fill(self) -> bytes:
        self.rest = self.file.read(2**16)
        return self.rest
