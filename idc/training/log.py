"""Where a run's figures go: always metrics.jsonl, and TensorBoard or visdom if asked for."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from idc.errors import UserError
from idc.files import atomic_write

METRICS = "metrics.jsonl"
NAMES = ("jsonl", "tensorboard", "visdom")


@runtime_checkable
class Logger(Protocol):
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record named figures of a step."""

    def close(self) -> None:
        """Write what is still waiting."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, {"step": …, name: figure, …} each; none where there is no file.

    A last line that a kill cut off is left aside. Raises UserError for any other line that cannot be read.
    """
    lines: list[dict[str, Any]] = []
    texts = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, text in enumerate(texts, start=1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                raise ValueError("it has no step")
        except ValueError as error:
            if number == len(texts):
                break
            raise UserError(
                f"line {number} of {path} is not a line of figures ({error}). Delete that line; the others are kept."
            ) from error
        lines.append(line)
    return lines


def truncate_metrics(path: Path, step: int) -> None:
    """Forget everything after `step`, and a line that was cut off. The file is replaced in one go."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


class JsonlLogger:
    """One JSON object a line, handed to the system at once. JSON has no nan or infinity: those become null."""

    def __init__(self, folder: Path):
        self.path = folder / METRICS
        self.file = self.path.open("ab", buffering=0)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Raises UserError when the disk is full."""
        figures = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = (json.dumps({"step": step, **figures}) + "\n").encode()
        try:
            if self.file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise UserError(
                f"the figures of step {step} could not be written to {self.path} ({error.strerror}). What was written "
                "before stays; free some space and continue the run with --resume."
            ) from error

    def close(self) -> None:
        self.file.close()


class TensorBoardLogger:
    """Curves for `tensorboard --logdir runs`. Points after step `first`, of a run that was killed, are hidden."""

    def __init__(self, folder: Path, first: int = 0):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class VisdomLogger:
    """Live curves on a visdom server, one window per group of figures ("loss/caption" belongs to "loss").

    What the run's metrics.jsonl already holds is drawn first, so that a resumed run shows one curve even on a fresh
    server. port: of `python -m idc.visdom_server`; None takes VISDOM_PORT from the environment, else 8097.
    Raises UserError when no server answers. One that goes away later costs the live curves, not the training.
    """

    def __init__(self, folder: Path, port: int | None = None):
        self.port = visdom_port() if port is None else port
        self.server = connect(self.port, environment_name(folder))
        self.alive = True
        self.server.close()  # the windows of an earlier run of that name
        curves = defaultdict(list)
        for line in read_metrics(folder / METRICS):
            for name, value in line.items():
                if name != "step" and value is not None:
                    curves[name].append((line["step"], value))
        for name, points in curves.items():
            self.draw(name, points)

    def draw(self, name: str, points: list[tuple[int, float]]) -> None:
        """Append points to the curve `name`, made on its first ones."""
        window = name.split("/")[0]
        steps, values = map(list, zip(*points, strict=True))
        options = {"title": window, "xlabel": "step", "showlegend": True}
        self.server.line(values, steps, win=window, name=name, update="append", opts=options)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if not self.alive:
            return
        try:
            for name, value in values.items():
                self.draw(name, [(step, value)])
        except ConnectionError:
            self.alive = False
            print(
                f"the visdom server on port {self.port} went away: no live curves from step {step} on. Training goes "
                f"on, all figures are in {METRICS}; a resumed run draws them again.",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Nothing waits: every point was sent when it was logged."""


def visdom_port() -> int:
    return int(os.environ.get("VISDOM_PORT", "8097"))


def connect(port: int, environment: str) -> Any:
    """A visdom server's client. Raises UserError when no server answers."""
    import visdom

    logging.getLogger("visdom").setLevel(logging.ERROR)  # it greets at every start
    try:
        with warnings.catch_warnings():  # it warns with a method that Python has renamed
            warnings.simplefilter("ignore", DeprecationWarning)
            return visdom.Visdom(port=port, env=environment, raise_exceptions=True, use_incoming_socket=False)
    except ConnectionError as error:
        raise UserError(
            f"no visdom server answers on port {port}. Start one in another terminal with "
            f"`python -m idc.visdom_server --port {port}` (another port is told to training by the environment's "
            "VISDOM_PORT), or leave visdom out of `logger`."
        ) from error


def environment_name(run: Path) -> str:
    """A run's name on the page: runs/a/seed0/adapt is a_seed0_adapt; elsewhere than in runs it is the folder's."""
    parts = run.resolve().parts
    below = parts[len(parts) - parts[::-1].index("runs") :] if "runs" in parts else ()
    return "_".join(below) or run.name


class Loggers:
    """Several loggers as one."""

    def __init__(self, loggers: list[Logger]):
        self.loggers = loggers

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for logger in self.loggers:
            logger.log(step, values)

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def check_loggers(names: Iterable[str]) -> None:
    """Raises UserError for an unknown name, and when visdom is wanted but no server answers."""
    names = set(names)
    if unknown := sorted(names - set(NAMES)):
        raise UserError(f"there is no logger “{unknown[0]}”; choose from {', '.join(NAMES)}.")
    if "visdom" in names:
        connect(visdom_port(), "main")


def make_loggers(names: Iterable[str], folder: Path, first: int = 0) -> Logger:
    """jsonl always, the others by name; `first` is the step after which a run goes on. See `check_loggers`."""
    check_loggers(names)
    names = set(names)
    folder.mkdir(parents=True, exist_ok=True)
    loggers: list[Logger] = []
    if "visdom" in names:
        loggers.append(VisdomLogger(folder))
    loggers.append(JsonlLogger(folder))
    if "tensorboard" in names:
        loggers.append(TensorBoardLogger(folder, first))
    return Loggers(loggers)
