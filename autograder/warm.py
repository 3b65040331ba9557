"""The grader's side of the wall: a warm parent, a room for every hand-in, and students that are asked by value.

    with open_parent() as parent, parent.room(files) as room:
        student = room.student("ps1.1")
        answer = student(Call("info_nce", (similarity,)))

What a worker does, whatever it is, ends in an `Answer`: its failure says that it crashed, took too long, or sent
something that is no answer. See `worker.py` for the other side.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

import idc.pieces
from autograder.channel import Ended, Malformed, pair
from autograder.checks import exercise, exercise_of, exercises
from autograder.lender import Lender
from autograder.namespaces import Limits, own_memory
from autograder.release import is_given, stubbed
from autograder.sandbox import Wall, find_way, packages, python_paths, wrap
from autograder.student import Answer, Call, Failure
from autograder.wire import (
    pack_all,
    pack_answer,
    pack_call,
    text,
    unpack_all,
    unpack_answer,
    unpack_call,
)
from idc.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
INSIDE = Path("/kit")  # where the worker's own sources appear
START = 120.0  # seconds until a warm parent must be ready
EVERYTHING = ""  # the group of all exercises
TOGETHER = 8  # calls in one message, at most
AHEAD = (
    64 * 2**10
)  # bytes of calls under way, less than a line holds: sending them never waits for the worker
TICK = 0.25  # seconds between two looks at memory
CRASHED, OUT_OF_TIME, OUT_OF_MEMORY, TAMPERED = "Crashed", "OutOfTime", "OutOfMemory", "Tampered"
LAUNCH = """
import sys
sys.path.insert(0, sys.argv.pop(1))
sys.path += filter(None, sys.argv.pop(1).split(":"))
from autograder.worker import main
main()
"""


class NoRoom(Exception):
    """A hand-in could not even be read: the reason, in words."""


def worker_sources(folder: Path) -> None:
    """Write what a worker may know: the library with stubs for the pieces, and nothing of the checks' answers."""
    for package in ("idc", "autograder"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT)
            if not is_given(name.as_posix()) and name.as_posix() not in WORKERS:
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            source = path.read_text(encoding="utf-8")
            target.write_text(
                stubbed(source, name.as_posix()) if name.parts[1] in ("pieces", "kernels") else source,
                encoding="utf-8",
            )
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


# Of what students do not get, what a worker runs.
WORKERS = [
    f"autograder/{name}.py" for name in ("channel", "namespaces", "proxy", "sandbox", "wire", "worker")
]


def choose(isolation: str) -> str:
    """How workers are kept apart: "namespaces", "uid" or "none". Raises UserError where it cannot be done."""
    if isolation not in ("auto", "namespaces", "uid", "none"):
        raise UserError(f"there is no isolation “{isolation}”; there are auto, namespaces, uid and none.")
    if isolation == "none":
        return isolation
    if sys.platform != "linux":
        raise UserError(
            f"student code cannot be isolated on {sys.platform}. Grade on Linux (a virtual machine, WSL 2), or give "
            "--unsafe: then it runs with your rights, and every result is marked."
        )
    if isolation == "uid":
        if os.geteuid():
            raise UserError("isolation by user needs root, to become another user; use “namespaces”.")
        if is_open_to_all(ROOT / "autograder" / "lender.py"):
            raise UserError(
                f"every user can read {ROOT}, where the solutions are; `chmod 700 {ROOT}` before you grade."
            )
        if not is_open_to_all(Path(os.__file__)):
            raise UserError(
                f"workers could not read Python itself ({sys.base_prefix}); install it where every user may read."
            )
        return isolation
    find_way()
    return "namespaces"


def installed() -> list[Path]:
    """Copies of this project among the installed packages: they hold the solutions."""
    places = [Path(each).resolve() for each in sys.path if each and Path(each).resolve() != ROOT]
    return [place / name for place in places for name in ("idc", "autograder") if (place / name).is_dir()]


def is_open_to_all(path: Path) -> bool:
    """Whether any user can read a file."""
    real = path.resolve()
    return bool(real.stat().st_mode & 0o004) and all(parent.stat().st_mode & 0o001 for parent in real.parents)


class Parent:
    """A process that has imported torch and forks rooms."""

    def __init__(self, isolation: str, limits: Limits, folder: Path):
        self.isolation = isolation
        self.limits = limits
        self.line, end = pair()
        worker_sources(folder)
        argv = self.command(folder, end.fileno())
        self.log = tempfile.TemporaryFile()  # noqa: SIM115, closed with the parent
        self.process = subprocess.Popen(
            argv,
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            start_new_session=True,
        )
        end.close()
        try:
            self.line.receive(time.monotonic() + START)
        except (Ended, TimeoutError) as error:
            words = self.words()
            self.close()
            raise UserError(f"the process that runs student code does not start: {words}") from error
        self.lender = Lender()

    def command(self, folder: Path, line: int) -> list[str]:
        place = INSIDE if self.isolation == "namespaces" else folder
        argv = [sys.executable, "-I", "-c", LAUNCH, str(place), ":".join(map(str, packages())), str(line)]
        if self.isolation == "namespaces":
            readable = {INSIDE: folder} | python_paths()
            wall = Wall(readable=readable, hidden=installed(), disk=self.limits.disk, nests=True)
            return wrap(argv, wall)
        return argv

    def words(self) -> str:
        """The last of what it said."""
        self.log.seek(0)
        return self.log.read()[-2000:].decode("utf-8", "replace").strip() or "it says nothing"

    def room(
        self,
        files: Mapping[str, bytes],
        ids: Iterable[str] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Room:
        """A room for a hand-in. Raises NoRoom when it cannot be read, UserError when no room can be built.

        ids: of the exercises that will be asked; None for all. meanwhile: what to do here while it opens over there.
        """
        return Room(self, files, exercises() if ids is None else ids, meanwhile)

    def close(self) -> None:
        self.line.close()
        self.process.kill()
        self.process.wait()
        self.log.close()
        if hasattr(self, "lender"):
            self.lender.close()


@contextlib.contextmanager
def open_parent(isolation: str = "auto", limits: Limits = Limits()) -> Iterator[Parent]:  # noqa: B008, frozen
    """A warm parent for as long as the block runs. Takes seconds to start.

    isolation: "auto" takes namespaces and raises UserError where they cannot be had; "uid" is for containers in which root
    may not make any; "none" is no isolation at all.
    """
    chosen = choose(isolation)
    folder = Path(tempfile.mkdtemp(prefix="worker-"))
    parent = None
    try:
        parent = Parent(chosen, limits, folder)
        yield parent
    finally:
        if parent is not None:
            parent.close()
        shutil.rmtree(folder, ignore_errors=True)


class Room:
    """A hand-in behind the wall. notes: for the student. where: piece -> the cell it was found in."""

    def __init__(
        self,
        parent: Parent,
        files: Mapping[str, bytes],
        ids: Iterable[str],
        meanwhile: Callable[[], object],
    ):
        self.parent = parent
        self.ids = tuple(ids)
        self.limits = parent.limits
        self.line, end = pair()
        self.handle, self.root = -1, 0
        self.dead: set[str] = set()  # groups in which a worker died: what is in them gets smaller ones
        self.flags: list[str] = []
        self.current: Remote | None = None
        self.latest: str = ""  # the exercise that was asked about last
        self.workers = 0  # that were started
        deadline = time.monotonic() + self.limits.load
        try:
            order = {"limits": dataclasses.asdict(self.limits), "isolation": parent.isolation}
            parent.line.send(order, files=[end.fileno()])
            end.close()
            names = {name: f"f{number}" for number, name in enumerate(files)}
            contents = {names[name]: as_tensor(raw) for name, raw in files.items()}
            with contextlib.suppress(Ended):  # where no room could be built: the reason is on its way
                self.line.send({"files": names}, contents, deadline)
                # Where nothing will be lent, the worker for all will be asked.
                if self.ids and not exercise(self.ids[0]).needs:
                    self.current = Remote(self, EVERYTHING, self.pieces(EVERYTHING), ())
            meanwhile()
            message, _, self.handle = self.line.receive_with_file(deadline)
            if "error" in message:
                raise UserError(f"no room could be built for a hand-in: {message['error']}")
            self.root = pid_of(self.handle)
            message, _ = self.line.receive(deadline)
            self.shared = int(message["memory"])  # with the warm parent, until somebody writes to it
            message, _ = self.line.receive(deadline)
            self.notes = tuple(map(text, message["notes"]))
            self.where = {text(piece): text(place) for piece, place in message["where"].items()}
        except (Ended, Malformed, KeyError, TypeError, AttributeError) as error:
            self.close()
            raise NoRoom(
                "the process that reads the hand-in died; is a file damaged or far too large?"
            ) from error
        except TimeoutError as error:
            self.close()
            raise NoRoom(f"reading the hand-in took more than {self.limits.load:.0f} seconds") from error
        except BaseException:
            self.close()
            raise

    def student(self, id: str, lent: Iterable[str] = ()) -> Remote:
        """Whoever answers for an exercise: one worker for all, and after a death one for each set, then for each exercise.

        lent: names of pieces that the course stands in for; that worker is for one set. Asked for again, there is a new one,
        for this exercise alone.
        """
        names = tuple(sorted(lent))
        again, self.latest = id == self.latest, id
        now = self.current
        if now is not None and again:
            now.end(Failure(CRASHED, "another worker has taken over"))
        elif now is not None:
            now.forget()
            if now.ended:
                self.dead.add(now.group)
        groups = [EVERYTHING, exercise(id).set, id]
        for group in groups[2 if again else 1 if names else 0 :]:
            if group in self.dead and group != id:
                continue
            now = self.current
            if now is None or now.ended is not None or (now.group, now.lent) != (group, names):
                self.dismiss()
                self.current = now = Remote(self, group, self.pieces(group), names)
            now.begin()
            if now.ended is None or group == id:
                return now
            self.dead.add(group)
        raise AssertionError("an exercise is a group of its own")

    def pieces(self, group: str) -> list[str]:
        asked = (exercise(id) for id in dict.fromkeys((*self.ids, self.latest)) if id)
        return [each.piece for each in asked if group in (EVERYTHING, each.set, each.id)]

    def dismiss(self) -> None:
        """Ask the current worker nothing more."""
        if self.current is not None:
            self.current.line.close()

    def memory(self) -> int:
        """Bytes that all processes of this room hold."""
        total = 0
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self.root)
            for process in [first, *first.children(recursive=True)]:
                total += max(0, own_memory(process.pid) - self.shared)
        return total

    def close(self) -> None:
        """End every process of the room."""
        self.dismiss()
        self.line.close()
        if self.handle >= 0:
            if self.parent.isolation != "namespaces":  # there, everything dies with the room's first process
                wait_for_end(self.handle)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            os.close(self.handle)
            self.handle = -1

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Remote:
    """A student on the other side of the wall, who takes calls after `begin`.

    ended: what ended the worker, None while it lives.
    """

    def __init__(self, room: Room, group: str, pieces: list[str], lent: tuple[str, ...]):
        self.room = room
        self.group = group
        self.lent = lent
        self.ended: Failure | None = None
        self.number = 0
        self.expected: Counter[Hashable] = Counter()  # contents of foreseen calls that were not made yet
        self.waiting: deque[Message] = deque()  # not sent yet
        self.under_way: deque[Message] = deque()  # sent and not answered yet
        self.kept: defaultdict[Hashable, deque[Answer]] = defaultdict(deque)  # answered and not taken yet
        self.notes: tuple[str, ...] = ()
        room.workers += 1
        self.serial = room.workers
        if lent:
            room.parent.lender.start()
        self.line, end = pair()
        self.poll = select.poll()
        for each in (self.line.end, room.line.end):
            self.poll.register(each, select.POLLIN)
        with contextlib.suppress(Ended):
            order = {"pieces": pieces, "lent": {name: methods_of(name) for name in lent}}
            room.line.send(order | {"worker": self.serial}, files=[end.fileno()])
        end.close()
        self.is_loaded = False

    def load(self) -> None:
        """Wait until the definitions have run."""
        self.is_loaded = True
        deadline = time.monotonic() + self.room.limits.load
        try:
            message, _ = self.receive(deadline)
            if not isinstance(message.get("loaded"), list):
                raise Malformed("the first message is not the one that was expected")
            self.notes = tuple(map(text, message.get("notes", ())))
            self.notice(message.get("replaced"))
        except Stopped as stopped:
            self.end(stopped.failure)
        except Malformed as error:
            self.end(self.tampered(error))

    def where(self) -> str:
        """Whose code runs here, in words."""
        return self.group or f"all exercises, asked about {self.room.latest}"

    def begin(self) -> None:
        """The time of another exercise starts; of the first one, when all definitions have run."""
        if not self.is_loaded:
            self.load()
        self.until = time.monotonic() + self.room.limits.exercise
        self.is_new = True

    def __call__(self, call: Call) -> Answer:
        return self.many([call])[0]

    def many(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers, of which those to foreseen calls may be here already."""
        foreseen = [self.take(call) for call in calls]
        new = [call for call, answer in zip(calls, foreseen, strict=True) if answer is None]
        others = iter(self.ask(new))
        self.send_ahead()
        return [next(others) if answer is None else answer for answer in foreseen]

    def foresee(self, calls: Sequence[Call]) -> None:
        """Send calls that will be made soon: they are answered while the grader looks at earlier answers.

        None may hold anything of an answer to another one: the worker sees them all before it answers the first.
        """
        if not self.lent:  # a worker that asks back waits for nothing else than what it asked for
            messages = [Message(group, foreseen=True) for group in self.in_groups(calls)]
            self.expected.update(key for message in messages for key in message.contents)
            self.waiting += messages
            self.send_ahead()

    def send_ahead(self) -> None:
        """Keep the worker busy."""
        while self.waiting and self.ended is None:
            if self.under_way and sum(each.size for each in (*self.under_way, self.waiting[0])) > AHEAD:
                return
            self.send(self.waiting.popleft())

    def take(self, call: Call) -> Answer | None:
        """The answer to a foreseen call, each once; None for a call that was not foreseen."""
        if not self.expected or not self.expected[key := call.content]:
            return None
        self.expected[key] -= 1
        while not self.kept[key] and self.ended is None:
            self.send_ahead()
            self.hear()
        return self.kept[key].popleft() if self.kept[key] else Answer(failure=self.ended)

    def forget(self) -> None:
        """What was foreseen will not be asked."""
        self.waiting.clear()
        self.catch_up()
        self.expected.clear()
        self.kept.clear()

    def catch_up(self) -> None:
        while self.under_way and self.ended is None:
            self.hear()

    def hear(self) -> None:
        """Keep the answers to the oldest calls that are under way."""
        contents = self.under_way[0].contents
        for key, answer in zip(contents, self.answers(), strict=False):
            self.kept[key].append(answer)

    def ask(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers to calls that nobody foresaw."""
        found: list[Answer] = []
        for group in self.in_groups(calls):
            self.catch_up()
            self.send(Message(group))
            found += self.answers() or [Answer(failure=self.ended)] * len(group)
        return found

    def in_groups(self, calls: Sequence[Call]) -> list[Sequence[Call]]:
        """As many calls as go into one message each, the first one of an exercise alone: many endless loops end there."""
        alone = 1 if self.is_new and calls else 0
        self.is_new = self.is_new and not calls
        groups = [calls[place : place + TOGETHER] for place in range(alone, len(calls), TOGETHER)]
        return [calls[:alone], *groups] if alone else groups

    def send(self, message: Message) -> None:
        if self.ended is not None:
            return
        self.number += 1
        message.number = self.number
        with self.ending():
            if not self.under_way and not self.line.is_quiet():
                self.look_for_end()
                raise Malformed("something was sent that nobody asked for")
            words = {"number": message.number, "calls": message.headers}
            self.line.send(words, message.tensors, self.deadline(message.count))
            self.under_way.append(message)

    def answers(self) -> list[Answer]:
        """The answers to the oldest message that is under way; none if the worker ends instead."""
        if self.ended is not None:
            return []
        asked = self.under_way.popleft()
        with self.ending():
            message, tensors = self.receive(self.deadline(asked.count))
            if message.get("number") != asked.number:
                raise Malformed("what came is not the answer to what was asked")
            self.notice(message.get("replaced"))
            return unpack_all(unpack_answer, message.get("answers"), tensors, asked.count)
        return []

    def deadline(self, calls: int) -> float:
        return min(time.monotonic() + calls * self.room.limits.call, self.until)

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """What goes wrong in this block ends the worker."""
        try:
            yield
        except Stopped as stopped:
            self.end(stopped.failure)
        except Malformed as error:
            self.end(self.tampered(error))
        except TimeoutError:
            self.end(self.too_slow())
        except Ended:
            self.end(self.crashed())

    def notice(self, replaced: Any) -> None:
        """What student code has replaced: worth a look, and if it is the grader's own, an end."""
        if not isinstance(replaced, list):
            raise Malformed("an answer without its parts")
        for name in map(text, replaced):
            if name.startswith("autograder."):
                raise Malformed(f"the grader's own function {name} was replaced")
            if (flag := f"{self.where()}: {name} was replaced") not in self.room.flags:
                self.room.flags.append(flag)

    def receive(self, deadline: float) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The next message that is no question of the worker. Raises Stopped, Malformed."""
        while True:
            self.wait(deadline)
            try:
                message, tensors = self.line.receive(deadline)
            except TimeoutError:
                raise Stopped(self.too_slow()) from None
            except Ended:
                raise Stopped(self.crashed()) from None
            if "ask" not in message:
                return message, tensors
            self.tell(unpack_call(message["ask"], tensors), deadline)

    def tell(self, call: Call, deadline: float) -> None:
        """Work out a piece that was lent."""
        if call.piece not in self.lent:
            raise Malformed(f"the piece “{text(call.piece)}” was asked for and not lent")
        methods = methods_of(call.piece)
        if (call.make is None) == bool(methods) or (methods and call.method not in methods):
            raise Malformed(f"“{text(call.method)}” of “{text(call.piece)}” was asked for and not lent")
        try:
            header, tensors = pack_answer(self.room.parent.lender(call, deadline))
            self.line.send({"told": header}, tensors, deadline)
        except TimeoutError:
            raise Stopped(self.too_slow()) from None
        except Ended:
            raise Stopped(self.crashed()) from None

    def wait(self, deadline: float) -> None:
        """Until something comes. Raises Stopped when the worker dies, time is over or memory runs out."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Stopped(self.too_slow())
            ready = {descriptor for descriptor, _ in self.poll.poll(1000 * min(left, TICK))}
            if self.line.end.fileno() in ready:
                return
            if ready and (failure := self.news(deadline)) is not None:
                raise Stopped(failure)
            if (used := self.room.memory()) > self.room.limits.memory:
                raise Stopped(
                    Failure(OUT_OF_MEMORY, f"it took {used / 2**30:.1f} GiB of memory, more than is allowed")
                )

    def look_for_end(self) -> None:
        """Raises Stopped when it is the end of the worker that can be read."""
        if not self.line.end.recv(1, 2):  # MSG_PEEK
            raise Stopped(self.crashed())

    def crashed(self) -> Failure:
        """How the worker ended, as its room tells."""
        until = time.monotonic() + 1
        while (failure := self.news(until)) is None:
            pass
        return failure

    def news(self, deadline: float) -> Failure | None:
        """What the room tells of this worker's end; None where it speaks of an earlier one."""
        try:
            message, _ = self.room.line.receive(deadline)
        except (Ended, Malformed, TimeoutError):
            return Failure(CRASHED, "the process that ran your code died")
        if message.get("worker") != self.serial:
            return None
        code = message.get("ended")
        if isinstance(code, int) and code < 0:
            with contextlib.suppress(ValueError):
                return Failure(
                    CRASHED, f"the process that ran your code died of {signal.Signals(-code).name}"
                )
        return Failure(CRASHED, f"your code ended the process it ran in (exit code {code})")

    def too_slow(self) -> Failure:
        limits = self.room.limits
        return Failure(
            OUT_OF_TIME,
            f"your code did not come to an end within {limits.call:.0f} seconds a call and {limits.exercise:.0f} seconds in "
            "all",
        )

    def tampered(self, error: Malformed) -> Failure:
        self.room.flags.append(f"{self.where()}: {error}")
        return Failure(TAMPERED, "something else than an answer came from your code")

    def end(self, failure: Failure) -> None:
        self.ended = failure
        self.line.close()


class Message:
    """Calls that are sent together. contents: of each, if they were foreseen. size: on the line, in bytes, about."""

    def __init__(self, calls: Sequence[Call], foreseen: bool = False):
        self.number = 0
        self.count = len(calls)
        self.contents = tuple(call.content for call in calls) if foreseen else ()
        self.headers, self.tensors = pack_all(pack_call, calls)
        self.size = 500 * len(calls) + sum(100 + each.nbytes for each in self.tensors.values())


class Stopped(Exception):
    """The worker is of no more use."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


def wait_for_end(handle: int) -> None:
    """A moment for a process to clean up."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll(2000)


def methods_of(piece: str) -> list[str]:
    """What the library of the student kit leaves to the student of a class, inherited methods too; [] for a function."""
    written = getattr(idc.pieces, piece)
    above = [exercise_of(each.__name__) for each in getattr(written, "__mro__", ())]
    return [each.records()[0].call.method for each in above if each is not None]


def as_tensor(raw: bytes) -> Tensor:
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)


def pid_of(handle: int) -> int:
    """The process behind a descriptor, as this process would call it; 0 for none."""
    if handle < 0:
        return 0
    lines = Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
