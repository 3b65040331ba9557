"""Your own pieces in place of the library's: `--pieces FOLDER` of idc.train, idc.test and idc.show.

The folder holds notebooks or .py files. Every piece that is found there is checked first; one that is right is built
with from then on, one that is wrong is refused with what its check says.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from idc.config import Config
from idc.data.pairs import PairData
from idc.errors import UserError
from idc.pieces import __all__ as PIECES
from idc.pieces.chosen import pieces
from idc.training.loop import build_system, open_split, seed_everything

SCENES = 32  # of the batch on which speed is compared, at most
# Pieces that only other pieces of yours call, and those; the library never asks for them by name.
INNER = {
    "MultiHeadAttention": {"SelfAttention", "CrossAttention"},
    "split_heads": {"SelfAttention", "CrossAttention", "CrossModalBackwardReasoning"},
    "Hallucination": {"CrossModalBackwardReasoning"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--pieces and --unchecked."""
    parser.add_argument(
        "--pieces", type=Path, metavar="FOLDER", help="notebooks or .py files with your own pieces"
    )
    parser.add_argument("--unchecked", action="store_true", help="use a piece although its check fails")


def adopt(folder: Path | None, unchecked: bool = False) -> dict[str, str]:
    """Build with the pieces of a folder from now on. Returns their sources by name; none for no folder.

    Raises UserError for a folder without any piece, and for a wrong piece unless unchecked.
    """
    if folder is None:
        return {}
    from autograder.checks import exercise_of
    from autograder.checks.exercise import Status
    from autograder.submission import judge_own, read_own

    own = read_own(folder)
    for remark in own.notes:
        print(f"note: {remark}")
    chosen = {}
    for name, verdict in judge_own(own).items():
        if name not in PIECES or verdict.status is Status.NOT_ATTEMPTED:
            continue
        if verdict.status is Status.WRONG:
            if not unchecked:
                raise UserError(
                    f"{own.where[name].where}: {verdict.message} (--unchecked uses it all the same.)"
                )
            print(f"unchecked: {verdict.message}")
        chosen[name] = own.pieces[name]
    if not chosen:
        raise UserError(
            f"{folder} holds none of the pieces {', '.join(PIECES)} beyond its stub; solve an exercise first, or leave "
            "--pieces out."
        )
    pieces.adopt(chosen)
    exercises = {name: exercise_of(name) for name in chosen}
    listed = ", ".join(f"{name} ({each.id})" for name, each in exercises.items() if each)
    print(f"yours: {listed}")
    rest = [name for name in PIECES if exercise_of(name) and name not in chosen]
    print(f"the library's: {', '.join(rest) or 'nothing'}")
    if lonely := [name for name, users in INNER.items() if name in chosen and not users & chosen.keys()]:
        print(f"note: {', '.join(lonely)} will not be used: only your own classes call it.")
    return {name: own.where[name].source for name in chosen}


def adopt_everywhere(folder: Path) -> None:
    """`adopt`, and whoever imports a piece from `idc.pieces` gets yours, too: for the walkthroughs of the student kit."""
    sources = adopt(folder)
    library = importlib.import_module("idc.pieces")
    for name in sources:
        home = importlib.import_module(getattr(library, name).__module__)
        for module in (library, home):
            setattr(module, name, pieces.own[name])


def slowdown(config: Config) -> float | None:
    """How many times the CPU time of the library's step a step with the chosen pieces takes; None where it has none."""
    data = open_split(config, "train")
    mine = step_seconds(config, data)
    own = dict(pieces.own)
    pieces.release()
    try:
        return mine / step_seconds(config, data)
    except NotImplementedError:  # the student kit's library leaves the pieces to the student
        return None
    finally:
        pieces.adopt(own)


def step_seconds(config: Config, data: PairData) -> float:
    """CPU seconds of losses and gradients on a few scenes, the second time."""
    system = build_system(config, data).train()
    seed_everything(config.seed)
    batch = data.collate(
        [data[number] for number in range(min(SCENES, config.data.train.batch_size, len(data)))]
    )
    seconds = 0.0
    for _ in range(2):
        begun = time.process_time()
        sum(system.losses(batch).values()).backward()  # type: ignore[union-attr]
        seconds = time.process_time() - begun
    return max(seconds, 1e-9)
