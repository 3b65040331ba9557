"""python -m idc.test --run runs/laptop --snapshot best [--split test]

Captions a split with a snapshot and writes sc_results.json and nsc_results.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from idc.captioner.search import METHODS, Search
from idc.config import load_config
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.training.checkpoint import find_snapshot, load_system, read_facts
from idc.training.loop import open_split
from idc.training.validate import caption_split


def write_results(folder: Path, captions: dict[str, str]) -> None:
    """Captions of change pairs to sc_results.json, of no-change pairs to nsc_results.json."""
    for file, no_change in (("sc_results.json", False), ("nsc_results.json", True)):
        rows = [
            {"caption": caption, "image_id": name}
            for name, caption in captions.items()
            if name.endswith("_n") == no_change
        ]
        with atomic_write(folder / file) as path:
            path.write_text(json.dumps(rows, indent=0) + "\n", encoding="utf-8")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.test", description="Caption a split with a snapshot."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run's folder")
    source.add_argument("--cfg", type=Path, help="the configuration the run was started with")
    parser.add_argument("--snapshot", default="best", help="best, last, a step, or a snapshot's folder")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--search", default="greedy", choices=METHODS)
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    config = load_config(arguments.cfg or arguments.run / "config.yaml", arguments.overrides)
    run = arguments.run or config.run_folder
    folder = find_snapshot(run, arguments.snapshot)
    system = load_system(folder).to(arguments.device)
    facts = read_facts(folder)
    data = open_split(config, arguments.split)
    if data.vocabulary != system.vocabulary or data.grids.shape != facts.grid_shape:
        raise UserError(
            f"{folder} was trained with {len(system.vocabulary)} words and grids {facts.grid_shape}, the data at "
            f"{config.data.root} have {len(data.vocabulary)} words and {data.grids.shape}; they do not belong together."
        )
    batch_size = getattr(config.data, arguments.split).batch_size
    search = Search(arguments.search, beams=arguments.beams, seed=config.seed)
    captions = caption_split(system, data, batch_size, search, arguments.device, progress=True)
    out = run / arguments.split / str(facts.step)
    write_results(out, captions)
    print(f"captions are in {out}")


if __name__ == "__main__":
    main()
