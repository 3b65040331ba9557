"""python -m idc.test --run runs/laptop [--snapshot best] [--split test] [--search greedy]

Captions a split with a snapshot and writes sc_results.json (pairs with a change) and nsc_results.json (without, where
there are such pairs) to runs/<exp_name>/<split>/<step>/, for `python -m idc.evaluate`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from idc.captioner.search import METHODS, Search
from idc.errors import command
from idc.files import atomic_write
from idc.trained import Trained, add_arguments, open_named, open_trained
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
    trained = open_trained(config_file, overrides, run, snapshot, split, device)
    return write_captions(trained, search, device, out)


def write_captions(trained: Trained, search: Search, device: str, out: Path | None) -> Path:
    """Caption a trained run's split; returns the folder of the result files, `out` or the usual one."""
    captions = caption_split(trained.system, trained.data, trained.batch_size, search, device, progress=True)
    out = out or trained.folder
    write_results(out, captions)
    return out


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--search", default="greedy", choices=METHODS)
    parser.add_argument("--beams", type=int, default=5, help="of --search beam")
    parser.add_argument("--out", type=Path, help="folder of the result files")
    arguments = parser.parse_intermixed_args()
    search = Search(arguments.search, beams=arguments.beams, seed=0)
    out = write_captions(open_named(arguments), search, arguments.device, arguments.out)
    print(f"captions are in {out}")


if __name__ == "__main__":
    main()
