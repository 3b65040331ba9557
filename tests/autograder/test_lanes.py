"""Processes that carry out tasks: what one of them suffers is no matter of the others, and none outlives its master."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.lanes import Died, Failed, Lanes, executor
from idc.errors import UserError


def pid() -> int:
    return os.getpid()


def die(code: int) -> None:
    os._exit(code)


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def complain(text: str) -> None:
    raise UserError(text)


def stumble(text: str) -> None:
    raise ZeroDivisionError(text)


def note_and_sleep(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with Lanes(2, patience=600) as found:
        yield found


def error_of(future: Future[Any]) -> BaseException | None:
    return future.exception(timeout=60)


def test_a_process_is_kept_from_task_to_task_and_is_not_this_one(lanes: Lanes) -> None:
    first = {lanes.submit(pid).result(60) for _ in range(6)}
    assert os.getpid() not in first
    assert len(first) <= 2
    assert {lanes.submit(pid).result(60) for _ in range(6)} <= first


def test_one_that_dies_takes_only_its_own_task_along(lanes: Lanes) -> None:
    futures = [
        lanes.submit(pid),
        lanes.submit(die, 3),
        lanes.submit(kill_myself),
        lanes.submit(pid),
        lanes.submit(pid),
    ]
    died = [error_of(future) for future in futures[1:3]]
    assert [type(each) for each in died] == [Died, Died]
    assert "code 3" in str(died[0])
    assert "code -9" in str(died[1])
    others = {futures[place].result(60) for place in (0, 3, 4)}
    assert os.getpid() not in others


def test_exceptions_arrive_as_words(lanes: Lanes) -> None:
    told = error_of(lanes.submit(complain, "there is no wall; build one."))
    assert isinstance(told, UserError)
    assert str(told) == "there is no wall; build one."
    failed = error_of(lanes.submit(stumble, "over a stone"))
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError: over a stone" in str(failed)


def test_patience_has_an_end_and_a_new_process_goes_on() -> None:
    with Lanes(1, patience=30) as one:
        before = one.submit(pid).result(60)
        one.lanes[0].patience = 0.2
        late = error_of(one.submit(time.sleep, 600))
        one.lanes[0].patience = 60
        assert isinstance(late, Died)
        assert "still busy" in str(late)
        assert one.submit(pid).result(60) != before
        assert not psutil.pid_exists(before)


def test_leaving_ends_processes_in_the_middle_of_a_task(tmp_path: Path) -> None:
    with Lanes(1, patience=600) as one:
        busy = one.submit(note_and_sleep, str(tmp_path))
        waiting = one.submit(pid)
        (child,) = wait_for_files(tmp_path)
    assert isinstance(error_of(busy), Died)
    assert waiting.cancelled()
    assert not psutil.pid_exists(child)


MASTER = """
import sys
from autograder.lanes import Lanes
from tests.autograder.test_lanes import note_and_sleep
if __name__ == "__main__":
    with Lanes(1, patience=600) as lanes:
        lanes.submit(note_and_sleep, sys.argv[1]).result()
"""


def test_a_killed_master_leaves_nobody_behind(tmp_path: Path) -> None:
    script, folder = tmp_path / "master.py", tmp_path / "pids"
    script.write_text(MASTER)
    folder.mkdir()
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    master = subprocess.Popen([sys.executable, str(script), str(folder)], env=path)
    try:
        (child,) = wait_for_files(folder)
        process = psutil.Process(child)
    finally:
        master.kill()
        master.wait()
    process.wait(60)


def wait_for_files(folder: Path) -> list[int]:
    """The process ids that were noted, as soon as there is one."""
    until = time.monotonic() + 120
    while not (found := [int(path.name) for path in folder.iterdir()]):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_named_arguments_are_refused(lanes: Lanes) -> None:
    with pytest.raises(TypeError, match="by position, not text"):
        lanes.submit(complain, text="x")


def test_no_scheduler_is_told_with_the_way_out() -> None:
    with (
        pytest.raises(UserError, match=r"no Dask scheduler answers at nowhere.*dask scheduler"),
        executor(1, "nowhere", 60),
    ):
        raise AssertionError("there is none")
