"""A trained run, opened again with a split of its data: what the commands that test one begin with."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from idc import own
from idc.config import Config, load_config
from idc.data.grids import extraction
from idc.data.pairs import PairData
from idc.errors import UserError
from idc.systems.system import Stage, System
from idc.training.checkpoint import SnapshotFacts, find_snapshot, first_lines, load_system, read_facts
from idc.training.loop import open_split


@dataclass(frozen=True)
class Trained:
    """A snapshot's system in evaluation mode, on its device, and the split to try it on.

    stage: the one that the snapshot is of. batch_size: items at a time, as configured. folder: where results of this
    snapshot and split belong.
    """

    config: Config
    facts: SnapshotFacts
    stage: Stage
    system: System
    data: PairData
    batch_size: int
    folder: Path


def open_trained(
    config_file: Path, overrides: list[str], run: Path | None, snapshot: str, split: str, device: str
) -> Trained:
    """Open a run's snapshot, and a split of the configured data with every pair as it is, not swapped or reversed.

    run: its folder, None for the configuration's. Raises UserError for a missing snapshot, for a device that cannot be
    used, and for a snapshot that was trained on grids of another shape or backbone.
    """
    config = load_config(config_file, [*overrides, "data.train.swap=0", "data.train.reversal=0"])
    run = run or config.run_folder
    folder = find_snapshot(run, snapshot)
    facts = read_facts(folder)
    if facts.system != config.system:
        raise UserError(
            f"{folder} is a snapshot of the system “{facts.system}”, the configuration is for “{config.system}”; "
            "give the configuration the snapshot was trained with (--cfg or --run)."
        )
    try:
        system = load_system(folder).to(device)
    except NotImplementedError as error:
        raise UserError(f"{error}.") from error
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise UserError(
            f"--device {device} cannot be used here: {first_lines(error, 1)}. Take cpu."
        ) from error
    data = open_split(config, split)
    features = Path(config.data.root) / f"features_{facts.backbone}"
    if data.grids.shape != facts.grid_shape or config.data.backbone != facts.backbone:
        raise UserError(
            f"{folder} was trained on grids {facts.grid_shape} of the backbone “{facts.backbone}”, but {data.grids.path} "
            f"holds {data.grids.shape} of “{config.data.backbone}”. Run {extraction(features)} and set data.backbone."
        )
    batch_size = getattr(config.data, split).batch_size
    stage = load_config(folder / "config.yaml").present
    return Trained(config, facts, stage, system, data, batch_size, run / split / str(facts.step))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which run, which snapshot and which data."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run's folder")
    source.add_argument("--cfg", type=Path, help="the configuration the run was started with")
    parser.add_argument(
        "--snapshot", default="best", help="best (default), last, a step, or a snapshot's folder"
    )
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")
    own.add_arguments(parser)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings, e.g. data.root=data/other"
    )


def open_named(arguments: argparse.Namespace) -> Trained:
    """What the arguments of `add_arguments` name. Raises UserError as `open_trained`, and for a folder that is no run."""
    run = arguments.run
    if run is not None and not (run / "config.yaml").is_file():
        raise UserError(f"{run} is no run: it has no config.yaml. `python -m idc.train` writes runs.")
    own.adopt(arguments.pieces, arguments.unchecked)
    config_file = arguments.cfg or run / "config.yaml"
    return open_trained(
        config_file, arguments.overrides, run, arguments.snapshot, arguments.split, arguments.device
    )
