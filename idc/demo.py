"""`make demo`: from nothing to a captioner that was trained in front of you.

It runs the kit's own commands one after the other, printing each as you could type it, and leaves
`runs/demo/report.html` (pictures with captions) and `runs/demo/metrics.json` (figures). Every step
continues where it was interrupted; a finished step is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from idc.errors import UserError, continuing_command
from idc.training.checkpoint import STATE
from idc.training.log import METRICS

CONFIG = Path("configs/scorer_cbr/laptop.yaml")
WORLD = Path("data/rendered")
FRESH = Path("data/fresh")
RUN = Path("runs/demo")
SPLITS = "1400,60,300"  # train, val, test scenes
SEED = 7


def step(title: str, command_line: str) -> None:
    """Print a title and the command, run the command, stop with a clear word when it fails."""
    command_line = command_line.replace(os.sep, "/")  # Windows takes both, shlex one
    print(f"\n== {title}\n$ python {command_line}", flush=True)
    begun = time.monotonic()
    result = subprocess.run([sys.executable, *shlex.split(command_line)], check=False)
    if result.returncode:
        raise UserError(
            f"the step “{title}” failed (exit code {result.returncode}). What it said stands above; "
            "mend that and type `make demo` again: finished steps are kept."
        )
    print(f"   {time.monotonic() - begun:.0f} s", flush=True)


def first_look() -> None:
    """Render a few scenes nobody has seen and caption them with the bundled checkpoint."""
    seed = int(time.time()) % 100_000
    shutil.rmtree(FRESH, ignore_errors=True)
    step(
        "Render four new scenes",
        f"data_scripts/render_world.py --out {FRESH} --scenes 4 --seed {seed} --splits 2,1,1",
    )
    step(
        "Caption them with the bundled checkpoint",
        f"-m idc.show --world {FRESH} --out {RUN / 'first_look.png'}",
    )


def train_from_scratch(cores: int) -> None:
    """Render a data set, train on it, test on its held-out scenes, write the report."""
    scenes = sum(map(int, SPLITS.split(",")))
    step(
        "Render the data set",
        f"data_scripts/render_world.py --out {WORLD} --scenes {scenes} --seed {SEED} --splits {SPLITS} "
        f"--workers {cores}",
    )
    step("Vocabulary and labels", f"data_scripts/preprocess_captions.py --root {WORLD}")
    step("Features", f"data_scripts/extract_features.py --root {WORLD} --backbone rendered")
    begun_before = "--overwrite" if (RUN / METRICS).exists() else ""
    how = "--resume" if (RUN / STATE).exists() else begun_before
    step("Train SCORER+CBR from scratch", f"-m idc.train --cfg {CONFIG} {how} exp_name={RUN.name}")
    step("Caption the held-out scenes", f"-m idc.test --run {RUN} --snapshot best")
    best = json.loads((RUN / "best.json").read_text(encoding="utf-8"))["step"]
    step(
        "Evaluate",
        f"-m idc.evaluate --results {RUN / 'test' / str(best)} --anno {WORLD} --out {RUN / 'metrics.json'}",
    )
    step("Write the report", f"-m idc.show --run {RUN} --snapshot best --out {RUN / 'report.html'}")


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first-look", action="store_true", help="only the bundled checkpoint's captions")
    arguments = parser.parse_args()
    if not CONFIG.is_file():
        raise UserError(f"the demo runs inside a clone of the project: {CONFIG} is not below {Path.cwd()}.")
    begun = time.monotonic()
    first_look()
    if arguments.first_look:
        return
    train_from_scratch(os.cpu_count() or 1)

    metrics = json.loads((RUN / "metrics.json").read_text(encoding="utf-8"))
    facts = metrics["facts"]
    print(f"\nDone in {(time.monotonic() - begun) / 60:.1f} minutes. On {facts['pairs']} held-out scenes:")
    print(f"  change type right  {facts['change_type']:6.1%}")
    print(f"  statement true     {facts['statement']:6.1%}")
    print(f"  “no change” said   {facts['no_change']:6.1%}")
    print(f"Now open {RUN / 'report.html'} in a browser.")


if __name__ == "__main__":
    main()
