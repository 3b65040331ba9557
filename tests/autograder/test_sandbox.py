"""The wall: what a process behind it sees and can do, built either way, by root and by an ordinary user."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.sandbox import Wall, find_way, python_paths, wrap
from idc.errors import UserError

WAYS = ("bubblewrap", "unshare")
ROOT = Path(__file__).parents[2]
# An ordinary user can be tried only by whoever may become one.
USERS = ("root", "nobody") if os.geteuid() == 0 else ("oneself",)


@pytest.fixture(scope="module", autouse=True)
def wall(without: Callable[[str, str], None]) -> None:
    try:
        find_way()
    except UserError as error:
        without("no wall can be built here", str(error))


@pytest.fixture(params=[(way, user) for way in WAYS for user in USERS], ids=lambda param: "-".join(param))
def inside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a line of shell behind a wall; what it prints."""
    way, user = request.param

    def run(line: str, wall: Wall | None = None) -> str:
        before: list[str] = []
        if user == "nobody":
            monkeypatch.setattr(os, "geteuid", lambda: 65534)
            before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        argv = wrap(["/bin/sh", "-c", line], wall or Wall(), way)
        monkeypatch.undo()
        done = subprocess.run(
            [*before, *argv], capture_output=True, text=True, timeout=60, cwd="/", check=False
        )
        return done.stdout + done.stderr

    return run


def test_it_has_no_privileges_and_is_not_root(inside: Callable[..., str]) -> None:
    status = inside("cat /proc/self/status; id -u")
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert status.splitlines()[-1] == "65534"


def test_it_sees_the_system_only(inside: Callable[..., str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("brass")
    tmp_path.chmod(0o755)
    seen = inside(f"ls -a / /home /root /tmp /var 2>&1; cat {secret} {ROOT}/README.md")
    assert seen.count("No such file") >= 3
    assert "brass" not in seen
    assert "gradebook.db" not in inside("find / -name gradebook.db -o -name 'test_ps1*' 2>/dev/null")


def test_it_writes_only_where_nothing_stays(inside: Callable[..., str]) -> None:
    folders = "/usr /etc /dev / /proc/sys/kernel /tmp /dev/shm"
    said = inside(f"for folder in {folders}; do touch $folder/x 2>/dev/null && echo $folder; done")
    assert said.split() == ["/tmp", "/dev/shm"]
    assert not Path("/usr/x").exists()


def test_the_space_is_limited(inside: Callable[..., str]) -> None:
    wall = Wall(disk=2**20)
    for folder in ("/tmp", "/dev/shm"):
        assert "No space left" in inside(f"head -c 3000000 /dev/zero > {folder}/x", wall)


def test_it_reaches_nobody(inside: Callable[..., str]) -> None:
    said = inside("cat /proc/net/route /proc/net/dev; ls /proc | grep -c '^[0-9]'; kill -9 -1; echo alive")
    assert not any(name in said for name in ("eth", "ens", "wlan"))
    assert "Iface" in said
    counted = next(int(line) for line in said.splitlines() if line.isdigit())
    assert counted < 10, "other processes are seen"


def test_nothing_of_the_environment_passes(
    inside: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.environ["COURSE_SECRET"] = "brass"
    try:
        said = inside("env; cat /proc/*/environ 2>/dev/null", Wall(environment={"GIVEN": "yes"}))
    finally:
        del os.environ["COURSE_SECRET"]
    assert "brass" not in said
    assert "GIVEN=yes" in said and "HOME=/tmp" in said


def test_it_is_given_what_is_named(inside: Callable[..., str], tmp_path: Path) -> None:
    for name in ("read", "write", "hide"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
        (tmp_path / name / "file").write_text(name)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    wall = Wall(
        readable={
            Path("/kit/a"): tmp_path / "read",
            Path("/tmp/d/e"): tmp_path / "read",
            Path("/kit/b"): tmp_path / "hide",
        },
        writable={Path("/work"): tmp_path / "write"},
        hidden=[Path("/kit/b")],
        folder=Path("/work"),
    )
    said = inside(
        "pwd; cat /kit/a/file /tmp/d/e/file; touch /kit/a/x; echo new > made; ls /kit/b; echo done", wall
    )
    assert said.startswith("/work\nreadread")
    assert "Read-only file system" in said
    assert (tmp_path / "write" / "made").read_text() == "new\n"
    assert not (tmp_path / "read" / "x").exists()
    assert "file" not in said.splitlines()


def test_its_processes_end_with_it(inside: Callable[..., str]) -> None:
    inside("setsid sh -c 'sleep 4321 & sleep 4321' & sleep 0.2")
    found = subprocess.run(["pgrep", "-f", "sleep 432[1]"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


@pytest.mark.parametrize("way", WAYS)
def test_python_and_torch_run_behind_it(way: str) -> None:
    code = "import torch; print(torch.ones(2, requires_grad=True).sum().item())"
    argv = wrap([sys.executable, "-I", "-c", code], Wall(readable=python_paths()), way)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "2.0\n", done.stderr


def test_where_nothing_works_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {
        way: lambda argv, wall, way=way: ["/bin/sh", "-c", f"echo {way} is forbidden >&2; exit 1"]
        for way in WAYS
    }
    broken["bubblewrap"] = lambda argv, wall: ["/no/such/bwrap"]
    monkeypatch.setattr(sandbox, "BUILDERS", broken)
    find_way.cache_clear()
    try:
        with pytest.raises(
            UserError, match=r"(?s)/no/such/bwrap.*unshare is forbidden.*apt install bubblewrap"
        ):
            find_way()
    finally:
        find_way.cache_clear()
