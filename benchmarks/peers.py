"""What the comparisons with the released code share: a variant per process, A B B A, figures as JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).resolve().parent / "results"


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--released", type=Path, help="a checkout of the released SCORER repository")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="timed repetitions in each process")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file (default: benchmarks/results/NAME.json)")
    parser.add_argument("--variant", choices=("ours", "released"), help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def timed(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median wall and CPU seconds of `work` after one warm-up, and the process's peak memory in MB."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        begun, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall_s": statistics.median(wall), "cpu_s": statistics.median(cpu), "peak_mb": peak}


def child(script: str, options: argparse.Namespace, variant: str, weights: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{script}", "--variant", variant, "--weights", str(weights)]
    command += ["--batch-size", str(options.batch_size), "--repeats", str(options.repeats)]
    command += ["--threads", str(options.threads), "--released", str(options.released)]
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(f"error: the variant {variant} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def compare(script: str, options: argparse.Namespace, equal: Callable[[Any, Any], bool]) -> None:
    """Run both variants A B B A, check that their answers are equal, print the ratios and write them down.

    A variant prints one line of JSON: its figures, and under "answer" what must be equal.
    """
    from benchmarks.released import Released

    if options.released is None:
        sys.exit(
            "error: give --released PATH, a checkout of the released SCORER repository, to compare with."
        )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pt"
        Released(options.released).save(weights)
        order = ("released", "ours", "ours", "released")
        runs: dict[str, list[dict[str, Any]]] = {"released": [], "ours": []}
        for variant in order:
            runs[variant].append(child(script, options, variant, weights))
    published, own = runs["released"][0].pop("answer"), runs["ours"][0].pop("answer")
    if not equal(published, own):
        sys.exit(f"error: the variants do not agree, so their speed is not compared: {published} and {own}")
    figures = {
        variant: {name: min(run[name] for run in several) for name in ("wall_s", "cpu_s", "peak_mb")}
        for variant, several in runs.items()
    }
    ratios = {name: figures["released"][name] / figures["ours"][name] for name in figures["ours"]}
    for name, ratio in ratios.items():
        released, mine = figures["released"][name], figures["ours"][name]
        print(f"{name:8} released {released:9.3f}   ours {mine:9.3f}   ratio {ratio:.2f}")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    report = {
        "benchmark": script,
        "equal": True,
        "figures": figures,
        "released_over_ours": ratios,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "load": list(os.getloadavg()),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
    }
    out = options.out or RESULTS / f"{script}_cpu.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out}")
