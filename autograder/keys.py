"""What a result depends on, as one key for every problem set: where the key is the same, nothing is graded again.

A key holds the hand-in, the checks, the library's pieces, the grader's own code, the limits and the versions of Python and
torch. A file whose name tells a problem set (checks/hidden/test_ps3.py) counts for that set and for those that build on it,
any other file for all. This module imports no torch, so that a batch with nothing to do is over at once.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import importlib.metadata
import json
import platform
import re
import secrets
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from idc.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
# Of the grader's code, what shows, sends or makes something and judges nothing.
BESIDE = (
    "autograder/__main__.py",
    "autograder/banks/__main__.py",
    "autograder/batch.py",
    "autograder/bridges/",
    "autograder/classroom.py",
    "autograder/commands.py",
    "autograder/intake.py",
    "autograder/keys.py",
    "autograder/lanes.py",
    "autograder/preview.py",
    "autograder/report/",
    "autograder/settings.py",
    "autograder/tables.py",
)
JUDGING = ("autograder/bridges/published.py",)
LIBRARY = ("idc/pieces/", "idc/kernels/", "idc/own.py")
HIDDEN = "autograder/checks/hidden/"
OF_PS6 = ("autograder/contest/", "autograder/handin.py")
SET = re.compile(r"(?:^|[/_])(ps\d+)(?=[/_.])")


@cache
def files_that_judge() -> dict[str, bytes]:
    """The files that decide about a result, by their name below the clone, hashed."""
    return {
        name: digest(path.read_bytes())
        for package in ("autograder", "idc")
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in (".py", ".npz") and judges(name := path.relative_to(ROOT).as_posix())
    }


def judges(name: str) -> bool:
    if name.startswith("idc/"):
        return name.startswith(LIBRARY)
    return name in JUDGING or not name.startswith(BESIDE)


def digest(*parts: bytes) -> bytes:
    """A hash of parts; where one ends and the next begins counts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.digest()


def set_of(name: str) -> str:
    """The problem set that a file's name tells, "" for none."""
    found = SET.search(name)
    return found[1] if found else "ps6" * name.startswith(OF_PS6)


def course_sets() -> list[str]:
    """The problem sets that can be graded, in order."""
    found = {set_of(name) for name in files_that_judge()} - {""}
    return sorted(found, key=lambda set: int(set[2:]))


@cache
def builds_on(set: str) -> frozenset[str]:
    """The problem sets whose exercises those of this one need, itself included."""
    path = ROOT / "autograder" / "checks" / f"{set}.py"
    if not path.is_file():
        return frozenset([set])
    needs = [
        need
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "needs"
        for need in ast.literal_eval(node.value)
    ]
    below = {need.split(".")[0] for need in needs} - {set}
    return frozenset([set]).union(*map(builds_on, below))


def checks_digests(checks: Path | None = None) -> dict[str, str]:
    """By problem set, a hash of all that judges it. checks: a folder of hidden checks instead of the course's own."""
    files = dict(files_that_judge())
    if checks is not None:
        files = {name: found for name, found in files.items() if not name.startswith(HIDDEN)}
        files |= {
            HIDDEN + path.relative_to(checks).as_posix(): digest(path.read_bytes())
            for path in checks.rglob("*.py")
        }
    return {
        set: digest(
            environment().encode(),
            *(
                part
                for name, found in sorted(files.items())
                if set_of(name) in ("", *builds_on(set))
                for part in (name.encode(), found)
            ),
        ).hex()
        for set in course_sets()
    }


def environment() -> str:
    """The versions that decide about numbers."""
    torch, numpy = map(importlib.metadata.version, ("torch", "numpy"))
    return f"Python {platform.python_version()} on {platform.machine()}, torch {torch}, numpy {numpy}"


def key_of(handin: str, checks: str, how: Mapping[str, object]) -> str:
    """The key of a problem set of a hand-in. how: seed, isolation and limits."""
    parts = (handin, checks, json.dumps(how, sort_keys=True))
    return digest(*(part.encode() for part in parts)).hex()[:24]


def join_keys(keys: Mapping[str, str]) -> str:
    """Keys by problem set as one text, as `StudentResult.key` holds them."""
    return " ".join(f"{set}={key}" for set, key in keys.items())


def split_keys(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split() if "=" in part)


def in_order(ids: Iterable[str]) -> list[str]:
    """Exercises or problem sets in the order of the course."""
    return sorted(ids, key=lambda id: [int(part) for part in re.findall(r"\d+", id)])


def read_secret(path: Path) -> bytes:
    """The secret of the course; made, for its owner's eyes only, where there is none. Raises UserError for a broken one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.touch(mode=0o600, exist_ok=False)
        temporary.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        temporary.replace(path)
    try:
        found = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} does not hold a secret ({error}). Put the right file back; "
            "deleting it draws new questions for everyone."
        ) from error
    if len(found) < 16:
        raise UserError(
            f"the secret in {path} is too short: {len(found)} bytes. Put the right file back, or delete it."
        )
    return found


def seed_of(secret: bytes, student: str, handin: str) -> str:
    """From what the questions to a hand-in are drawn: the same every time, and nobody without the secret can tell."""
    return hmac.new(secret, f"{student}\n{handin}".encode(), hashlib.sha256).hexdigest()
