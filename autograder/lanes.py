"""Where hand-ins are judged: in processes of this machine or of a Dask cluster, behind one interface.

    with executor(jobs=2, dask=None, patience=600) as (lanes, ahead):
        future = lanes.submit(function, "text", b"bytes")

What goes in and comes out are plain values. A process that dies takes only its own task along.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from idc.cluster import dask_executor
from idc.errors import UserError

PATIENCE = 20  # seconds to wait for an idle process to end
Task = tuple[Callable[..., Any], tuple[Any, ...]]


class Died(Exception):
    """A process ended, or had to be ended, in the middle of a task."""


class Failed(Exception):
    """A task raised an exception; the text is its traceback."""


class Lane:
    """A process that carries out one task after another; it starts with its first task, and anew after it died.

    patience: seconds that a task may take before the process is killed.
    """

    def __init__(self, patience: float):
        self.patience = patience
        self.process: BaseProcess | None = None
        self.line: Connection | None = None
        self.busy = False

    def carry_out(self, task: Task) -> Any:
        """What the task gives back. Raises UserError and Failed for an exception of the task, Died without an answer."""
        self.busy = True
        try:
            line = self.start()
            line.send(task)
            if not line.poll(self.patience):
                self.end(0)
                raise Died(f"the grader's process was still busy after {self.patience:.0f} s and was ended")
            kind, value = line.recv()
        except (EOFError, OSError) as error:
            raise Died(f"the grader's process ended with code {self.end(1)}") from error
        finally:
            self.busy = False
        if kind == "answer":
            return value
        raise UserError(value) if kind == "user error" else Failed(value)

    def start(self) -> Connection:
        if self.process is not None and self.line is not None and self.process.is_alive():
            return self.line
        spawn = get_context("spawn")
        self.line, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs,), name="grader")
        self.process.start()
        theirs.close()
        return self.line

    def end(self, patience: float) -> int | None:
        """Wait so many seconds for the process to end by itself, then end it. Its exit code, negative for a signal."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.join(patience)
        process.kill()
        process.join()
        return process.exitcode

    def close(self) -> None:
        """An idle process hears that there is no more to do; a busy one is ended."""
        if not self.busy and self.line is not None:
            self.line.close()
        self.end(0 if self.busy else PATIENCE)


def serve(line: Connection) -> None:
    """Carry out tasks until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends this one
    threading.Thread(target=follow_parent, daemon=True).start()
    while True:
        try:
            function, arguments = line.recv()
        except (EOFError, OSError):
            return
        try:
            reply = ("answer", function(*arguments))
        except UserError as error:
            reply = ("user error", str(error))
        except Exception:  # noqa: BLE001, whatever it was, the other side is told
            reply = ("error", traceback.format_exc())
        with contextlib.suppress(OSError):
            line.send(reply)


def follow_parent() -> None:
    """End with the main process, even when that is killed in the middle of a task."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Lanes(Executor):
    """`jobs` processes of this machine. Leaving the `with` block ends them, busy or not."""

    def __init__(self, jobs: int, patience: float):
        self.lanes = [Lane(patience) for _ in range(jobs)]
        self.free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self.lanes:
            self.free.put(lane)
        self.threads = ThreadPoolExecutor(jobs, thread_name_prefix="lane")

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Raises TypeError for named arguments, which no task here has."""
        if named:
            raise TypeError(f"a task takes its arguments by position, not {', '.join(named)}")
        return self.threads.submit(self.carry_out, (function, arguments))

    def carry_out(self, task: Task) -> Any:
        lane = self.free.get()
        try:
            return lane.carry_out(task)
        finally:
            self.free.put(lane)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        for lane in self.lanes:
            lane.close()


@contextlib.contextmanager
def executor(jobs: int, dask: str | None, patience: float) -> Iterator[tuple[Executor, int]]:
    """Something to submit tasks to, and how many to keep under way.

    dask: the address of a scheduler, instead of processes here. Raises UserError where no scheduler with workers answers.
    """
    if dask is None:
        with Lanes(jobs, patience) as lanes:
            yield lanes, 2 * jobs
        return
    with dask_executor(dask, "grade") as cluster:
        yield cluster
