"""The sandboxed kernel: nbclient and stock nbgrader take it, and what runs in it sees and reaches little."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.bridges.kernel import KERNEL, PROVISIONER, copy_given, install
from autograder.bridges.nbgrader import publish
from autograder.checks import SETS
from autograder.results import Outcome
from idc.errors import UserError
from tests.autograder.bridges.test_nbgrader_bridge import graded, result, rows, solved
from tests.autograder.course import ROOT, Notebook, environment, nbgrader, read

PS1, PS2 = SETS["ps1"], SETS["ps2"]
NOBODY = 65534
LIMITS = {"memory": 3 * 2**29, "processes": 200, "disk": 64 * 2**20}  # small ones
USERS = ["root", "nobody"] if os.geteuid() == 0 else ["oneself"]
RUN = """
import sys, nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
kernel, folder, *cells = sys.argv[1:]
notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
client = NotebookClient(
    notebook, kernel_name=kernel, allow_errors=True, startup_timeout=120, shutdown_kernel="immediate",
    interrupt_on_timeout=True, timeout_func=lambda cell: 3 if "forever" in cell.source else 120,
    resources={"metadata": {"path": folder}},
)
client.execute()
print(nbformat.writes(notebook))
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A course that any user may read, with the kernel installed in `prefix`, and small limits."""
    root = Path(tempfile.mkdtemp(prefix="course-", dir="/tmp"))
    spec = install(prefix=str(root / "prefix")) / "kernel.json"
    content = json.loads(spec.read_text())
    content["metadata"]["kernel_provisioner"]["config"] |= LIMITS
    spec.write_text(json.dumps(content))
    for folder in (PS1, PS2):
        (root / "autograded" / "ada" / folder).mkdir(parents=True)
        (root / "autograded" / "ada" / folder / f"{folder}.ipynb").write_text(json.dumps(solved(folder)))
    (root / "autograded" / "bob" / PS1).mkdir(parents=True)
    (root / "gradebook.db").write_text("secret")
    (root / "autograded" / "ada" / PS1 / "link.db").symlink_to(root / "gradebook.db")
    open_to_all = [root / name for name in ("home", "killed", *USERS)]
    for path in open_to_all:
        path.mkdir()
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in open_to_all:
        path.chmod(0o777)
    yield root
    shutil.rmtree(root)


def as_user(user: str) -> list[str]:
    """What to put before a command. Python may lie in a home that is closed to others; nobody is shown that part of it."""
    if user != "nobody":
        return []
    words = ["bwrap", "--dev-bind", "/", "/"]
    for home in {Path(sys.base_prefix), Path(sys.prefix)}:
        closed = next((part for part in [*home.parents][::-1] if not part.stat().st_mode & 0o001), None)
        if closed:
            words += ["--perms", "0755", "--tmpfs", str(closed)]
            for part in [*home.parents][::-1]:
                words += ["--perms", "0755", "--dir", str(part)] if closed in part.parents else []
            words += ["--bind", str(home), str(home)]
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*words, "--cap-add", "ALL", "--", "setpriv", *ids]


def command(place: Path, user: str, cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    words = [*as_user(user), sys.executable, "-W", "ignore", "-c", RUN, KERNEL]
    more = {
        "JUPYTER_PATH": str(place / "prefix" / "share" / "jupyter"),
        "HOME": str(place / "home"),
        "TMPDIR": str(place / user),
        "SECRET": "canary",
    }
    return [*words, str(place / "autograded" / "ada" / PS1), *cells], environment(**more)


def run(place: Path, user: str, cells: Sequence[str]) -> list[str]:
    """What each cell prints or raises, in a sandboxed kernel in ada's folder."""
    words, variables = command(place, user, cells)
    done = subprocess.run(
        words, env=variables, cwd="/", capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return ["".join(map(said, cell["outputs"])).strip() for cell in json.loads(done.stdout)["cells"]]


def said(output: dict[str, Any]) -> str:
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    return "".join(output.get("text") or output["data"]["text/plain"])


FORK = """
import os, time
children = []
try:
    for _ in range(1000):
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        children.append(child)
except BlockingIOError:
    pass
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(len(children))
"""
DAEMON = 'import subprocess; subprocess.run(["sh", "-c", "(setsid sleep {} &)"], stdout=subprocess.DEVNULL).returncode'


@pytest.mark.parametrize("user", USERS)
def test_what_a_kernel_sees_and_may_do(place: Path, user: str) -> None:
    token = f"6543{os.getpid() % 1000:03}{USERS.index(user)}"
    cells = {
        "user": "import os, socket, sys; from pathlib import Path; print(os.getuid(), os.getgid())",
        "here": "print(*sorted(map(str, Path().rglob('*'))), *(each.name for each in sorted(Path('..').iterdir())))",
        "there": f"print([path for path in map(Path, {[str(place), str(ROOT / 'solutions'), str(ROOT / 'autograder')]}) "
        "if path.exists()])",
        "secrets": "print('SECRET' in os.environ, 'autograded' in str(os.environ), 'canary' in str(os.environ))",
        "library": 'from autograder import check; import idc.pieces, torch; check("ps1.1", idc.pieces.info_nce)',
        "right": 'check("ps1.1", lambda s: (s.logsumexp(1) - s.diagonal()).mean())',
        "wrong": 'check("ps1.1", lambda s: (s.logsumexp(0) - s.diagonal()).mean())',
        "banks": "import autograder.banks",
        "network": 'socket.create_connection(("1.1.1.1", 53), 5)',
        "system": 'open("/usr/mine", "w")',
        "kit": 'open(idc.__file__, "w")',
        "others": "print(len([each for each in os.listdir('/proc') if each.isdigit()]) < 10)",
        "rights": "print(open('/proc/self/status').read())",
        "forks": FORK,
        "memory": "torch.ones(2**32, dtype=torch.uint8)",
        "list": "x = [bytearray(2**28) for _ in range(8)]",
        "disk": 'for number in range(8): Path(f"/tmp/{number}").write_bytes(bytes(2**24))',
        "clean": 'for number in range(8): Path(f"/tmp/{number}").unlink(missing_ok=True)',
        "stops": "while True: pass  # forever",
        "goes on": "print('still here')",
        "daemon": DAEMON.format(token),
    }
    found = dict(zip(cells, run(place, user, list(cells.values())), strict=True))
    assert (
        found["user"]
        == f"{NOBODY if os.geteuid() == 0 else os.geteuid()} {NOBODY if os.geteuid() == 0 else os.getegid()}"
    )
    assert found["here"] == f"{PS1}.ipynb {PS1} {PS2}", "its own folders, no link, nobody else's"
    assert found["there"] == "[]"
    assert found["secrets"] == "False False False"
    assert (found["library"], found["right"], found["wrong"]) == ("0.0", "6.0", "0.0"), (
        "pieces are stubs, checks work"
    )
    assert "No module named" in found["banks"]
    assert "unreachable" in found["network"]
    assert ("Read-only" in found["system"] and "OSError" in found["kit"]) or "PermissionError" in found["kit"]
    assert found["others"] == "True"
    assert "CapEff:\t0000000000000000" in found["rights"] and "NoNewPrivs:\t1" in found["rights"]
    assert 10 < int(found["forks"]) < LIMITS["processes"]
    assert "allocate memory" in found["memory"] and "MemoryError" in found["list"]
    assert "No space left" in found["disk"]
    assert "KeyboardInterrupt" in found["stops"] and found["goes on"] == "still here"
    assert found["daemon"] == "0" and not alive(token)
    assert not list((place / user).glob("k*")), "neither the kernel's folder nor the kit is left"


def alive(token: str) -> list[int]:
    """Processes with a word on their command line, anywhere on this machine; waits for those that are about to end."""
    for _ in range(40):
        found = [
            each.pid for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", token]
        ]
        if not found:
            return []
        time.sleep(0.25)
    return found


def test_a_kernel_dies_with_whoever_started_it(place: Path) -> None:
    token = f"7654{os.getpid() % 1000:03}"
    words, variables = command(place, "killed", [DAEMON.format(token), "while True: pass"])
    started = subprocess.Popen(
        words, env=variables, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(400):
        if any(each.info["cmdline"] == ["sleep", token] for each in psutil.process_iter(["cmdline"])):
            break
        time.sleep(0.25)
    else:
        pytest.fail("the kernel never ran its cell")
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not alive(token)


def test_stock_nbgrader_grades_in_it(tmp_path: Path) -> None:
    """And leaves what `publish` leaves for the same results."""
    course = tmp_path / "course"
    (course / "solutions" / PS1).mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    short = bare(read(ROOT / "solutions" / PS1 / f"{PS1}.ipynb"))
    (course / "solutions" / PS1 / f"{PS1}.ipynb").write_text(json.dumps(short))
    nbgrader(course, f"generate_assignment {PS1} --create")
    solver, sleeper = course / "submitted" / "solver" / PS1, course / "submitted" / "sleeper" / PS1
    solver.mkdir(parents=True)
    (solver / f"{PS1}.ipynb").write_text(json.dumps(bare(solved(PS1))))
    shutil.copytree(course / "assignments" / PS1, sleeper)
    other = Path(shutil.copytree(course, tmp_path / "other"))

    install(prefix=str(tmp_path / "prefix"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
        nbgrader(course, f"autograde {PS1} --ExecutePreprocessor.kernel_name={KERNEL}")
    points = {"ps1.1": 6, "ps1.2": 4}
    publish(
        [
            graded("solver", *(result(id, Outcome.RIGHT, most) for id, most in points.items())),
            graded("sleeper", *(result(id, Outcome.NOT_ATTEMPTED, most) for id, most in points.items())),
        ],
        other,
    )
    ours, theirs = rows(other), rows(course)
    assert ours.keys() == theirs.keys()
    assert [theirs["solver", f"ps1-{number}-check"]["auto_score"] for number in (1, 2)] == [6, 4]
    messages = {"ps1-1", "ps1-2"}  # where nbgrader has no words
    for (student, name), row in theirs.items():
        if name not in messages:
            assert ours[student, name] == row, name


def bare(notebook: Notebook) -> Notebook:
    """A notebook without the cells that draw and play."""
    notebook["cells"] = [
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader") or cell["id"] == "ps1-setup"
    ]
    return notebook


def test_only_files_of_a_course_are_copied(tmp_path: Path) -> None:
    working = tmp_path / "ada" / "anything"
    (working / "sub").mkdir(parents=True)
    (working / "sub" / "a.txt").write_text("a")
    (working / "link").symlink_to("/etc/passwd")
    (working / "folder").symlink_to("/etc")
    os.mkfifo(working / "pipe")
    (tmp_path / "ada" / PS1).mkdir()
    (tmp_path / "ada" / PS1 / "b.txt").write_text("b")
    copy_given(working, tmp_path / "given", 100)
    assert [path.name for path in sorted((tmp_path / "given").rglob("*")) if not path.is_dir()] == ["a.txt"]
    with pytest.raises(UserError, match="too much"):
        copy_given(working, tmp_path / "given", 0)


def test_an_environment_without_the_provisioner_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograder.bridges.kernel.entry_points", lambda **_: ())
    with pytest.raises(UserError, match="Install the project again"):
        install(prefix=str(tmp_path))


def test_the_command_installs_a_kernel_that_others_can_read(tmp_path: Path) -> None:
    words = ["-m", "autograder.bridges.kernel", "install", "--prefix", str(tmp_path), "--with-hidden-checks"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    spec = Path(done.stdout.strip()) / "kernel.json"
    content = json.loads(spec.read_text())
    assert content["metadata"]["kernel_provisioner"] == {
        "provisioner_name": PROVISIONER,
        "config": {"hidden_checks": True},
    }
    assert spec.parent.stat().st_mode & 0o055 == 0o055
