"""python -m idc.test --run runs/laptop [--snapshot best] [--split test] [--search greedy]

Captions a split with a snapshot and writes sc_results.json (pairs with a change) and nsc_results.json (without, where
there are such pairs) to runs/<exp_name>/<split>/<step>/, for `python -m idc.evaluate`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from idc.captioner.search import METHODS, Search
from idc.config import load_config
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.own import add_arguments, adopt
from idc.training.checkpoint import find_snapshot, first_lines, load_system, read_facts
from idc.training.loop import open_split
from idc.training.validate import caption_split


def write_results(folder: Path, captions: dict[str, str]) -> None:
    """Captions of change pairs to sc_results.json, of no-change pairs to nsc_results.json, in the order of names.

    Where there are no no-change pairs, there is no nsc_results.json.
    """
    for file, no_change in (("sc_results.json", False), ("nsc_results.json", True)):
        rows = [
            {"caption": caption, "image_id": name}
            for name, caption in sorted(captions.items())
            if name.endswith("_n") == no_change
        ]
        if no_change and not rows:
            (folder / file).unlink(missing_ok=True)
            continue
        with atomic_write(folder / file) as path:
            path.write_text(json.dumps(rows, indent=0) + "\n", encoding="utf-8")


def test(
    config_file: Path,
    overrides: list[str],
    run: Path | None,
    snapshot: str,
    split: str,
    search: Search,
    device: str,
    out: Path | None,
) -> Path:
    """Caption a split of the configured data; returns the folder of the result files.

    Raises UserError for a missing snapshot, and for one that was trained on grids of another shape or backbone.
    """
    config = load_config(config_file, overrides)
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
    if data.grids.shape != facts.grid_shape or config.data.backbone != facts.backbone:
        raise UserError(
            f"{folder} was trained on grids {facts.grid_shape} of the backbone “{facts.backbone}”, but {data.grids.path} "
            f"holds {data.grids.shape} of “{config.data.backbone}”. Extract the features with that backbone "
            "(data_scripts/extract_features.py) and set data.backbone."
        )
    batch_size = getattr(config.data, split).batch_size
    captions = caption_split(system, data, batch_size, search, device, progress=True)
    out = out or run / split / str(facts.step)
    write_results(out, captions)
    return out


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run's folder")
    source.add_argument("--cfg", type=Path, help="the configuration the run was started with")
    parser.add_argument(
        "--snapshot", default="best", help="best (default), last, a step, or a snapshot's folder"
    )
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--search", default="greedy", choices=METHODS)
    parser.add_argument("--beams", type=int, default=5, help="of --search beam")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")
    parser.add_argument("--out", type=Path, help="folder of the result files")
    add_arguments(parser)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings, e.g. data.root=data/other"
    )
    arguments = parser.parse_intermixed_args()
    if arguments.run is not None and not (arguments.run / "config.yaml").is_file():
        raise UserError(
            f"{arguments.run} is no run: it has no config.yaml. `python -m idc.train` writes runs."
        )
    adopt(arguments.pieces, arguments.unchecked)
    out = test(
        arguments.cfg or arguments.run / "config.yaml",
        arguments.overrides,
        arguments.run,
        arguments.snapshot,
        arguments.split,
        Search(arguments.search, beams=arguments.beams, seed=0),
        arguments.device,
        arguments.out,
    )
    print(f"captions are in {out}")


if __name__ == "__main__":
    main()
