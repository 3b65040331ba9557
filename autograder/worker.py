"""The side of the wall on which students' code runs. It holds nothing worth finding.

    the warm parent    has imported torch, runs nobody's code, forks
      a room           one a hand-in: sees its own processes and files only; reads notebooks, runs nothing of them
        a worker       one a hand-in, more after a death: runs the student's definitions and answers calls

The warm parent speaks with the grader over the descriptor that it is given as its first argument. A room and a worker get a
line of their own, so that what a worker writes reaches nobody else.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import inspect
import operator
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from autograder import namespaces
from autograder.channel import Channel, Ended, Malformed
from autograder.checks import exercise_of, exercises
from autograder.namespaces import Limits
from autograder.student import Answer, Call, Local, failure
from autograder.wire import pack_all, pack_answer, pack_call, unpack_all, unpack_answer, unpack_call

FILES = 2**30  # bytes of a hand-in, at most: the grader has looked at them
WORKER_USER = 54321  # of workers that are kept apart only by their user


def main() -> NoReturn:
    """The warm parent."""
    line = Channel(socket.socket(fileno=int(sys.argv[1])))
    preload()
    line.send({"ready": True})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    while True:
        try:
            message, _, end = line.receive_with_file()
        except Ended:
            os._exit(0)
        if os.fork() == 0:
            line.close()
            forked(partial(keep, message, end))
        os.close(end)


def preload() -> None:
    """Import once what all hand-ins need."""
    import numpy  # noqa: F401
    import torch
    import torch._dynamo  # optimisers, vmap and grad bring it along; it takes a second, and replaces functions of torch
    from IPython.core.inputtransformer2 import TransformerManager

    import autograder.notebook
    import autograder.proxy
    import autograder.submission  # noqa: F401
    import idc.pieces  # noqa: F401

    torch.set_num_threads(1)
    exercises()
    TransformerManager()
    one = torch.ones(1)
    Local({"warm": torch.exp})(Call("warm", (one,), want=(one,)))  # what torch and Python import at first use
    gc.collect()
    gc.freeze()


def forked(task: Callable[[], None]) -> NoReturn:
    """The whole life of a child."""
    code = 1
    try:
        task()
        code = 0
    finally:
        os._exit(code)


def keep(message: dict[str, Any], end: int) -> None:
    """Build a room, tell the grader who to kill, and wait for its end."""
    line = Channel(socket.socket(fileno=end), FILES, FILES)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    silence()
    limits = Limits(**message["limits"])
    isolation = message["isolation"]
    folder = ""
    try:
        if isolation == "namespaces":
            namespaces.separate()
        else:
            namespaces.adopt_orphans()
            folder = own_folder(isolation)
        ours, theirs = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(theirs)
            os.read(ours, 1)  # until the grader knows
            os.close(ours)
            forked(lambda: room(line, limits, isolation))
        os.close(ours)
        handle = os.pidfd_open(first) if sys.platform == "linux" else -1
        line.send({"room": first}, files=[handle] if handle >= 0 else [])
        os.close(theirs)
    except OSError as error:
        line.send({"error": str(error)})
        return
    line.close()
    os.waitpid(first, 0)
    end_orphans()
    if folder:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def own_folder(isolation: str) -> str:
    """A folder to write to, where there is no /tmp of one's own; from here on the current one."""
    folder = tempfile.mkdtemp(prefix="room-")
    if isolation == "uid":
        os.chown(folder, WORKER_USER, WORKER_USER)
    os.chdir(folder)
    os.environ.update(TMPDIR=folder, HOME=folder)
    tempfile.tempdir = None
    return folder


def end_orphans() -> None:
    """Kill whatever a room has left behind; with namespaces there is nothing, for it died with the room."""
    import psutil

    with contextlib.suppress(ChildProcessError):
        while True:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
            os.waitpid(-1, 0)


def silence() -> None:
    """What is printed goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def room(line: Channel, limits: Limits, isolation: str) -> None:
    """Read a hand-in, then start a worker whenever the grader asks; whatever an earlier one left behind ends first."""
    from autograder.submission import Sources

    os.setsid()  # a signal to one's own group must reach nobody outside
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a worker may send to the first process of its world
    if isolation == "namespaces":
        namespaces.first_of_its_world(limits.disk)
    if isolation == "uid":
        namespaces.become(WORKER_USER)
    if isolation != "none":
        namespaces.hide_memory(True)
        namespaces.keep_within(limits)
    line.send({"memory": namespaces.own_memory(os.getpid())})
    message, contents = line.receive()
    sources = Sources({name: contents[key].numpy().tobytes() for name, key in message["files"].items()})
    del contents
    line.send({"notes": list(sources.notes), "where": sources.where})
    worker, watch = 0, -1
    while True:
        event = wait_for(line.end.fileno(), watch)
        if event == watch:
            _, status = os.waitpid(worker, 0)
            os.close(watch)
            watch = -1
            line.send({"ended": os.waitstatus_to_exitcode(status), "worker": message["worker"]})
            continue
        try:
            message, _, end = line.receive_with_file()
        finally:
            end_all(isolation, worker)
        if watch >= 0:
            os.close(watch)
        worker = os.fork()
        if worker == 0:
            line.close()
            forked(partial(work, end, sources, message["pieces"], message["lent"], limits, isolation))
        os.close(end)
        watch = os.pidfd_open(worker) if sys.platform == "linux" else -1


def wait_for(*descriptors: int) -> int:
    """The first of some descriptors from which something can be read."""
    poll = select.poll()
    for each in descriptors:
        if each >= 0:
            poll.register(each, select.POLLIN)
    return poll.poll()[-1][0]


def end_all(isolation: str, worker: int) -> None:
    """Kill every process of this room but the first."""
    with contextlib.suppress(ProcessLookupError):
        if isolation != "none":
            os.kill(-1, signal.SIGKILL)
        elif worker:
            os.killpg(worker, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def work(
    end: int, sources: Any, pieces: list[str], lent: dict[str, list[str]], limits: Limits, isolation: str
) -> None:
    """Run the definitions of some pieces and answer calls until the grader closes the line."""
    line = Channel(socket.socket(fileno=end))
    os.setsid()
    if isolation == "namespaces":
        namespaces.unshare(namespaces.MOUNTS | namespaces.MESSAGES)
        namespaces.fresh_folders(limits.disk)
        namespaces.give_up_privileges()
        namespaces.hide_memory(False)
    os.closerange(3, line.end.fileno())
    os.closerange(line.end.fileno() + 1, 1024)
    seal = Seal()
    lender = Lender(line)
    given = lender.lend(lent)
    own = sources.execute(pieces, given=given, mine=Mine(given))
    line.send({"loaded": sorted(own.pieces), "notes": list(own.notes), "replaced": seal.broken()})
    student = Local(own.pieces, seal.look)
    failures = {name: Answer(failure=each) for name, each in own.failures.items()}
    serve(line, lambda call: failures.get(call.piece) or student(call), seal.broken)


def serve(line: Channel, student: Callable[[Call], Answer], broken: Callable[[], list[str]] = list) -> None:
    """Answer calls, one after the other. broken: what the student's code has replaced so far."""
    process = os.getpid()
    while True:
        try:
            message, tensors = line.receive()
        except Ended:
            return
        try:
            answers = [student(call) for call in unpack_all(unpack_call, message["calls"], tensors)]
        except BaseException as error:  # noqa: BLE001, student code may raise anything
            answers = [Answer(failure=failure(error))] * len(message["calls"])
        if os.getpid() != process:  # a copy that student code has made of this process
            os._exit(0)
        headers, found = pack_all(pack_answer, answers)
        line.send({"number": message["number"], "answers": headers, "replaced": broken()}, found)


class Seal:
    """Functions that student code has no reason to replace, as they were before it ran.

    This only sees clumsy attempts: code in this very process could fool it. Marks do not depend on it.
    """

    def __init__(self) -> None:
        import json

        import torch

        from autograder import channel, student, wire

        owners: list[Any] = [
            builtins,
            json,
            torch,
            torch.Tensor,
            torch.autograd,
            torch.nn.functional,
            torch.nn.Module,
        ]
        own = [channel, namespaces, student, wire, sys.modules[__name__]]
        self.before = [(owner, functions(owner)) for owner in [*owners, *own]]
        self.whole = [dict(vars(owner)) for owner, _ in self.before]
        self.bodies = [
            (vars(owner), name, value, value.__code__, value.__defaults__, value.__closure__)
            for owner in own
            for name, value in vars(owner).items()
            if isinstance(value, types.FunctionType)
        ]
        self.seen: set[str] = set()

    def look(self) -> None:
        """Note what of the grader's own is changed at this moment: it may be put back before it is told."""
        self.seen |= {
            f"{owner['__name__']}.{name}"
            for owner, name, value, code, defaults, closure in self.bodies
            if owner.get(name) is not value
            or value.__code__ is not code
            or value.__defaults__ is not defaults
            or value.__closure__ is not closure
        }

    def broken(self) -> list[str]:
        self.look()
        found = sorted(self.seen)
        for place, (owner, before) in enumerate(self.before):
            now = vars(owner)
            if is_same(now, self.whole[place]):
                continue
            replaced = [name for name, value in before.items() if now.get(name) is not value]
            if isinstance(owner, type):  # a method put before an inherited one
                replaced += functions(owner).keys() - before.keys()
            if not replaced:
                self.whole[place] = dict(now)  # something new, which is nobody's harm
            found += [f"{owner.__name__}.{name}" for name in replaced]
        return found[:20]


def is_same(now: Mapping[str, Any], before: dict[str, Any]) -> bool:
    """Whether all values are the very same ones."""
    return len(now) == len(before) and all(map(operator.is_, now.values(), before.values()))


def functions(owner: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if callable(value) or isinstance(owner, type)}


class Mine:
    """`mine("X")` behind the wall: one's own, what was lent, or else the stub of the library."""

    def __init__(self, given: dict[str, Any]):
        self.given = given
        self.own: dict[str, Any] = {}

    def __call__(self, name: str, piece: Any = None) -> Any:
        import idc.pieces

        if name in self.given:
            return self.given[name]
        return getattr(idc.pieces, name) if piece is None else piece


class Lender:
    """Pieces of the course that the grader works out, by value: the code of them never comes here."""

    def __init__(self, line: Channel):
        self.line = line

    def __call__(self, call: Call) -> Answer:
        header, tensors = pack_call(call)
        self.line.send({"ask": header}, tensors)
        message, tensors = self.line.receive()
        if "told" not in message:
            raise Malformed("the grader sent something else than what was asked for")
        return unpack_answer(message["told"], tensors)

    def lend(self, pieces: Mapping[str, list[str]]) -> dict[str, Any]:
        """Stand-ins by name. pieces: the methods of each that the library leaves to the student; none for functions."""
        import idc.pieces

        return {name: self.stand_in(name, getattr(idc.pieces, name), left) for name, left in pieces.items()}

    def stand_in(self, name: str, stub: Any, methods: list[str]) -> Any:
        """A function, or a class of which some methods are worked out by the grader."""
        from autograder.proxy import Pieces, StudentStopped, ask, in_order

        def asked(work_out: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return work_out(*arguments)
            except StudentStopped as stopped:
                kind = getattr(builtins, stopped.failure.kind, RuntimeError)
                raise kind(stopped.failure.message) from None

        pieces = Pieces(self, published=lambda _: stub)
        if not methods:
            return lambda *arguments, **named: asked(lambda: getattr(pieces, name)(*arguments, **named))
        each = exercise_of(name)
        assert each is not None

        class StandIn(stub):
            def __init__(self, *make: Any, **named: Any) -> None:
                super().__init__(*make, **named)
                self.made = in_order(inspect.signature(stub), make, named)
                self.names = [name for name, _ in self.named_parameters()]

        def used(method: str) -> Callable[..., Any]:
            signature = inspect.signature(getattr(stub, method))

            def use(self: Any, *arguments: Any, **named: Any) -> Any:
                given = in_order(signature, (self, *arguments), named)[1:]
                call = Call(name, given, self.made, method, training=self.training)
                weights = {key: self.get_parameter(key) for key in self.names}
                return asked(ask, pieces.student, each, call, weights)

            return use

        for method in methods:
            setattr(StandIn, method, used(method))
        return StandIn


if __name__ == "__main__":
    main()
