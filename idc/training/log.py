"""Where a run's figures go: always metrics.jsonl, and TensorBoard or visdom if asked for."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from idc.errors import UserError
from idc.files import atomic_write

METRICS = "metrics.jsonl"


class Logger(Protocol):
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record named figures of a step."""

    def close(self) -> None:
        """Write what is still waiting."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; one that a kill cut off is left aside."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def truncate_metrics(path: Path, step: int) -> None:
    """Forget everything after `step`, and any line that was cut off."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


class JsonlLogger:
    """One JSON object a line, written at once."""

    def __init__(self, folder: Path):
        self.file = (folder / METRICS).open("a", encoding="utf-8", buffering=1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.file.write(json.dumps({"step": step, **values}) + "\n")

    def close(self) -> None:
        self.file.close()


class TensorBoardLogger:
    """Curves for `tensorboard --logdir runs`."""

    def __init__(self, folder: Path, first: int):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class VisdomLogger:
    """Live curves on a visdom server (`python -m idc.visdom_server`), one window per group of figures."""

    def __init__(self, folder: Path, port: int = 8097):
        import visdom

        # It would warn that events from the browser will not arrive, through a method that itself is deprecated.
        logging.getLogger("visdom").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.server = visdom.Visdom(
                port=port, env=folder.name, raise_exceptions=False, use_incoming_socket=False
            )
        if not self.server.check_connection(timeout_seconds=3):
            raise UserError(
                f"no visdom server answers on port {port}. Start one in another terminal with "
                f"`python -m idc.visdom_server --port {port}`, or leave visdom out of `logger`."
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            window = name.split("/")[0]
            self.server.line(
                [value],
                [step],
                win=window,
                name=name,
                update="append",
                opts={"title": window, "showlegend": True},
            )

    def close(self) -> None:
        self.server.session.close()


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


def make_loggers(names: Iterable[str], folder: Path, first: int = 0) -> Logger:
    """jsonl always, the others by name; `first` is the step a run (re)starts from."""
    names = set(names)
    loggers: list[Logger] = []
    if "visdom" in names:
        loggers.append(VisdomLogger(folder))
    loggers.append(JsonlLogger(folder))
    if "tensorboard" in names:
        loggers.append(TensorBoardLogger(folder, first))
    return Loggers(loggers)
