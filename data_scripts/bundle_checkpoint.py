"""Make a run's best snapshot the checkpoint that is part of the kit.

    python data_scripts/bundle_checkpoint.py --run runs/bundled

Weights go to fp16. The figures of its metrics.json (idc.test, idc.evaluate) are kept beside it and for the README.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from idc.config import load_config
from idc.data.layout import read_splits
from idc.errors import UserError, command
from idc.files import atomic_write
from idc.show import BUNDLED
from idc.training.checkpoint import find_snapshot, load_system

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


def keep_figures(run: Path, name: str) -> None:
    """Copy a run's figures, with the number of scenes it learned from, to where the README's tables come from."""
    metrics = run / "metrics.json"
    if not metrics.is_file():
        raise UserError(f"{metrics} is missing; run idc.test and idc.evaluate --out {metrics} first.")
    root = Path(load_config(run / "config.yaml").data.root)
    figures = {
        "training_scenes": len(read_splits(root)["train"]),
        **json.loads(metrics.read_text(encoding="utf-8")),
    }
    with atomic_write(RESULTS / f"{name}.json") as path:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--figures-only", metavar="NAME", help="only keep the figures, as NAME.json")
    arguments = parser.parse_args()
    if arguments.figures_only:
        keep_figures(arguments.run, arguments.figures_only)
        return
    keep_figures(arguments.run, "bundled")
    snapshot = find_snapshot(arguments.run, "best")
    BUNDLED.mkdir(parents=True, exist_ok=True)
    for name in ("config.yaml", "vocab.json", "snapshot.json"):
        shutil.copyfile(snapshot / name, BUNDLED / name)
    with atomic_write(BUNDLED / "model.safetensors") as path:
        save_file(
            {name: tensor.half() for name, tensor in load_file(snapshot / "model.safetensors").items()}, path
        )
    load_system(BUNDLED)
    print(f"{BUNDLED} now holds step {snapshot.name} of {arguments.run}")


if __name__ == "__main__":
    main()
