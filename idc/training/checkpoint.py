"""The two things a run leaves: snapshots to use, and one state to resume from.

    runs/<exp_name>/snapshots/<step>/    model.safetensors, config.yaml, vocab.json, snapshot.json
    runs/<exp_name>/best.json            which snapshot is the best on val: step, metric, value
    runs/<exp_name>/last/state.pt        whatever the next step depends on

An earlier stage of training leaves the same in runs/<exp_name>/<stage>.

A snapshot needs nothing else to caption grids. Both appear whole or not at all. Nothing that is read here can
run code: weights are safetensors, the state is unpickled with tensors and plain values only.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as to_safetensors

from idc.config import Config, load_config, model_config, save_config
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write
from idc.systems import system_class
from idc.systems.system import System

SNAPSHOTS = "snapshots"
BEST = "best.json"
STATE = "last/state.pt"


@dataclass(frozen=True)
class SnapshotFacts:
    """What a snapshot says about itself. step: optimiser steps taken. metrics: on val. description: the system's own."""

    system: str
    step: int
    grid_shape: tuple[int, int, int]
    max_words: int
    backbone: str
    metrics: dict[str, float]
    description: dict[str, Any] = field(default_factory=dict)


def sync_folder(folder: Path) -> None:
    """Have the disk remember the names in a folder, where the system offers that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_snapshot(folder: Path, system: System, config: Config, facts: SnapshotFacts) -> None:
    """Write a snapshot; its folder gets its name when it is whole. An older one of that name is replaced."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in system.state_dict().items()}
        with atomic_write(partial / "model.safetensors") as path:
            path.write_bytes(to_safetensors(weights))
        save_config(config, partial / "config.yaml")
        system.vocabulary.to_json(partial / "vocab.json")
        facts = replace(facts, description=system.description())
        with atomic_write(partial / "snapshot.json") as path:
            path.write_text(json.dumps(asdict(facts), indent=1) + "\n", encoding="utf-8")
        sync_folder(partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_facts(folder: str | Path) -> SnapshotFacts:
    """What a snapshot says about itself. Raises UserError when the folder is no snapshot."""
    path = Path(folder) / "snapshot.json"
    if not path.is_file():
        raise UserError(
            f"{folder} is no snapshot: it has no snapshot.json. `python -m idc.train` writes snapshots."
        )
    try:
        return TypeAdapter(SnapshotFacts).validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(
            f"{path} does not describe a snapshot ({error.errors()[0]['msg']}); the file is broken. "
            "Take another snapshot."
        ) from error


def load_system(folder: str | Path, device: str | torch.device = "cpu") -> System:
    """The system of a snapshot, in evaluation mode and in the stage that it was trained in.

    Raises UserError for a folder that is no snapshot, for a file that is missing or broken, and when weights,
    vocabulary and configuration do not belong together.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    config = load_config(folder / "config.yaml")
    vocabulary = Vocabulary.from_json(folder / "vocab.json")
    if config.system != facts.system:
        raise UserError(
            f"{folder} is a snapshot of the system “{facts.system}”, but its config.yaml is for “{config.system}”; "
            "its files come from different snapshots. Take another snapshot."
        )
    system = system_class(facts.system).rebuild(
        model_config(config), vocabulary, facts.grid_shape, facts.max_words, facts.description
    )
    try:
        load_weights(folder, system)
    except RuntimeError as error:
        raise UserError(
            f"the weights in {folder} are those of another model than its config.yaml, vocab.json and snapshot.json "
            f"describe: {first_lines(error)}. Its files come from different snapshots; take another one."
        ) from error
    system.begin(config.present.name)
    return system.eval().to(device)


def load_weights(folder: Path, system: System) -> None:
    """Give a system the weights of a snapshot.

    Raises UserError when they cannot be read, and RuntimeError when they are another model's.
    """
    path = folder / "model.safetensors"
    try:
        weights = load_safetensors(path.read_bytes())
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(
            f"the weights {path} are missing or broken ({error}); take another snapshot."
        ) from error
    system.load_state_dict({name: tensor.float() for name, tensor in weights.items()})


def first_lines(error: Exception, count: int = 3) -> str:
    """The beginning of a long message, on one line."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:count]).rstrip(".") + (" …" if len(lines) > count else "")


def snapshot_steps(run: Path) -> list[int]:
    """The steps of a run's snapshots, ascending."""
    folder = run / SNAPSHOTS
    return (
        sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit()) if folder.is_dir() else []
    )


def find_snapshot(run: Path, which: str) -> Path:
    """The folder of snapshot `which` of a run: "best", "last", a step, or a path to a snapshot's folder.

    Raises UserError when there is none, naming those that exist.
    """
    if (Path(which) / "snapshot.json").is_file():
        return Path(which)
    steps = snapshot_steps(run)
    if not steps:
        raise UserError(
            f"{run} has no snapshots; train first (`python -m idc.train --cfg …`), or give --snapshot a folder."
        )
    if which == "last":
        return run / SNAPSHOTS / str(steps[-1])
    if which == "best":
        best = read_best(run)
        if best is not None and best["step"] in steps:
            return run / SNAPSHOTS / str(best["step"])
    elif which.isdigit() and int(which) in steps:
        return run / SNAPSHOTS / str(int(which))
    raise UserError(f"{run} has no snapshot “{which}”; choose last, {', '.join(map(str, steps))}.")


def read_best(run: Path) -> dict[str, Any] | None:
    """{"step", "metric", "value"} of the best snapshot so far, None where nothing is recorded."""
    path = run / BEST
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_best(run: Path, best: dict[str, Any]) -> None:
    with atomic_write(run / BEST) as path:
        path.write_text(json.dumps(best) + "\n", encoding="utf-8")


def prune_snapshots(run: Path, keep_last: int | None, best: int | None) -> None:
    """Delete all but the `keep_last` newest snapshots and the best one."""
    if keep_last is None:
        return
    for step in snapshot_steps(run)[:-keep_last]:
        if step != best:
            shutil.rmtree(run / SNAPSHOTS / str(step))


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Replace the state to resume from. Raises UserError when the disk is full; the old state then stays."""
    stream = io.BytesIO()  # the writer of torch.save does not say when a disk is full
    torch.save(state, stream)
    with atomic_write(run / STATE) as path:
        path.write_bytes(stream.getbuffer())
    sync_folder((run / STATE).parent)


def load_state(run: Path) -> dict[str, Any] | None:
    """The state to resume from, None where there is none yet. Raises UserError when it cannot be read."""
    path = run / STATE
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"the state {path} is broken ({first_lines(error, 1)}). The run's snapshots can still be tested; to train "
            "anew take another exp_name, or --overwrite."
        ) from error
