"""Two kinds of files a run leaves: snapshots to use, and one state to resume from.

A snapshot is a folder that needs nothing else: weights (safetensors), configuration, vocabulary and a few facts.
The state, `last.pt`, holds whatever the next step depends on. Both appear whole or not at all.
"""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from idc.config import Config, load_config, model_config, save_config
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write
from idc.systems import system_class
from idc.systems.system import System

STATE = "last.pt"


@dataclass(frozen=True)
class SnapshotFacts:
    """What a snapshot says about itself. step: optimiser steps taken. metrics: on val."""

    system: str
    step: int
    grid_shape: tuple[int, int, int]
    max_words: int
    backbone: str
    metrics: dict[str, float]


def save_snapshot(folder: Path, system: System, config: Config, facts: SnapshotFacts) -> None:
    """Write a snapshot folder; it gets its name when it is whole."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with atomic_write(partial / "model.safetensors") as path:
        save_file({name: tensor.contiguous() for name, tensor in system.state_dict().items()}, path)
    save_config(config, partial / "config.yaml")
    system.vocabulary.to_json(partial / "vocab.json")
    with atomic_write(partial / "snapshot.json") as path:
        path.write_text(json.dumps(vars(facts), indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def read_facts(folder: Path) -> SnapshotFacts:
    """What a snapshot says about itself. Raises UserError when the folder is none."""
    path = folder / "snapshot.json"
    if not path.is_file():
        raise UserError(f"{folder} is no snapshot: it has no snapshot.json.")
    facts = json.loads(path.read_text(encoding="utf-8"))
    return SnapshotFacts(**{**facts, "grid_shape": tuple(facts["grid_shape"])})


def load_system(folder: str | Path) -> System:
    """The system of a snapshot, in evaluation mode. Raises UserError when weights and configuration disagree."""
    folder = Path(folder)
    facts = read_facts(folder)
    config = load_config(folder / "config.yaml")
    vocabulary = Vocabulary.from_json(folder / "vocab.json")
    system = system_class(facts.system).build(
        model_config(config), vocabulary, facts.grid_shape, facts.max_words
    )
    try:
        weights = load_file(folder / "model.safetensors")
        system.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (RuntimeError, FileNotFoundError, SafetensorError) as error:
        raise UserError(
            f"the weights in {folder} do not fit its configuration; it may be a snapshot of another model, or "
            f"not whole: {error}"
        ) from error
    return system.eval()


def find_snapshot(run: Path, which: str) -> Path:
    """The folder of snapshot `which` of a run: "best", "last", a step, or a path to a snapshot folder."""
    if (Path(which) / "snapshot.json").is_file():
        return Path(which)
    steps = snapshot_steps(run)
    if not steps:
        raise UserError(f"{run} has no snapshots yet; train first: python -m idc.train --cfg CONFIG.")
    if which == "best":
        best = run / "best.json"
        if best.is_file():
            return run / "snapshots" / str(json.loads(best.read_text(encoding="utf-8"))["step"])
        which = "last"
    if which == "last":
        return run / "snapshots" / str(steps[-1])
    if which.isdigit() and int(which) in steps:
        return run / "snapshots" / str(int(which))
    raise UserError(f"{run} has no snapshot “{which}”; there are best, last, {', '.join(map(str, steps))}.")


def snapshot_steps(run: Path) -> list[int]:
    """The steps of a run's snapshots, ascending."""
    folders = (run / "snapshots").iterdir() if (run / "snapshots").is_dir() else ()
    return sorted(int(folder.name) for folder in folders if folder.name.isdigit())


def prune_snapshots(run: Path, keep: int, best: int) -> None:
    """Delete all but the `keep` newest snapshots and the best one."""
    for step in snapshot_steps(run)[:-keep]:
        if step != best:
            shutil.rmtree(run / "snapshots" / str(step))


def save_state(run: Path, state: dict[str, Any]) -> None:
    with atomic_write(run / STATE) as path:
        torch.save(state, path)


def load_state(run: Path) -> dict[str, Any]:
    """The state to resume from; only tensors and plain values are ever unpickled."""
    path = run / STATE
    if not path.is_file():
        raise UserError(f"{run} has no state to resume from ({STATE}); start without --resume.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). Delete the run folder to start anew; its snapshots can still be tested."
        ) from error
