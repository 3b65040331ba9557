"""One number is not a result: several seeds of one experiment, for `python -m idc.train --seeds 0..7`.

Every seed is a run of its own, runs/<exp_name>/seed<k>. What came of them is in runs/<exp_name>/seeds.json: the figures
of each on val and test, their mean and standard deviation, and the seed that val would have one choose.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from idc.captioner.search import Search
from idc.config import Config, load_config
from idc.errors import UserError
from idc.evaluate import evaluate
from idc.files import atomic_write
from idc.test import test
from idc.training.checkpoint import find_snapshot, load_system, read_best
from idc.training.loop import claim, open_split, open_validation, train

REPORT = "seeds.json"
SPLITS = ("val", "test")


def parse_seeds(text: str) -> list[int]:
    """The seeds of "0..7" (both ends included) or "0,1,5", or of both mixed. Raises UserError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part.strip())
        if found is None:
            raise UserError(f"--seeds {text} is not of the form 0..7 or 0,1,5.")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UserError(f"--seeds {text}: there is no seed in {first}..{last}; write {last}..{first}.")
        seeds += range(first, last + 1)
    if len(set(seeds)) != len(seeds):
        raise UserError(f"--seeds {text} names a seed twice; name each once.")
    return seeds


def seed_configs(path: str | Path, overrides: Iterable[str], seeds: Iterable[int]) -> dict[int, Config]:
    """The experiment of a configuration once for every seed."""
    overrides = list(overrides)
    config = load_config(path, overrides)
    runs = Path(config.runs) / config.exp_name
    return {
        seed: load_config(path, [*overrides, f"seed={seed}", f"runs={runs}", f"exp_name=seed{seed}"])
        for seed in seeds
    }


def train_seeds(
    configs: Mapping[int, Config], resume: bool, overwrite: bool, sources: Mapping[str, str]
) -> None:
    """Train one run after the other; with `resume`, those that are finished are left as they are."""
    for config in configs.values():
        claim(config, resume, overwrite, sources)  # complain before the first one is trained
    for config in configs.values():
        train(config, resume=resume, overwrite=overwrite, sources=sources)


def score_run(config: Config) -> dict[str, Any]:
    """{"step", "selection", "val", "test"} of a run's best snapshot: what chose it, and its figures on both splits."""
    run, best = config.run_folder, read_best(config.run_folder)
    assert best is not None, "a finished run has a best snapshot"
    return {"step": best["step"], "selection": best["value"]} | {
        split: score_split(config, run, split) for split in SPLITS
    }


def score_split(config: Config, run: Path, split: str) -> dict[str, float]:
    """The figures of a run's best snapshot on a split, in the way that its stage is measured."""
    device = fastest(config.train.accelerator)
    if config.present.measure == "retrieval":
        system = load_system(find_snapshot(run, "best"), device)
        batch_size = getattr(config.data, split).batch_size
        return open_validation(config, split).measure(system, batch_size, device)
    results = test(run / "config.yaml", [], run, "best", split, Search(), device, None)
    references = config.data.path("annotations") if config.data.annotations else Path(config.data.root)
    report = evaluate(results, references)
    facts = {f"facts.{name}": value for name, value in report.get("facts", {}).items() if "pairs" not in name}
    changes = {"change.CIDEr": report["change"]["CIDEr"]} if "change" in report else {}
    return report["all"] | changes | facts


def fastest(accelerator: str) -> str:
    """The device that a configured accelerator means for a single process."""
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return accelerator


def summary(scores: Mapping[int, dict[str, Any]], metric: str) -> dict[str, Any]:
    """What seeds.json holds; `metric` is what the snapshots were chosen by.

    deviation: the sample standard deviation, null for a single seed. chosen: the seed that is best on val, by the
    figure that chose its snapshot. luckiest: the seed that is best on test in each figure, and that figure: what gets
    published where only one number is told.
    """
    chosen = max(scores, key=lambda seed: scores[seed]["selection"])
    spread = {
        split: {
            name: statistics_of([score[split][name] for score in scores.values()])
            for name in scores[chosen][split]
        }
        for split in SPLITS
    }
    best = {
        name: max(scores, key=lambda seed: scores[seed]["test"][name])
        for name in scores[chosen]["test"]
        if "rank" not in name
    }
    return {
        "metric": metric,
        "seeds": {str(seed): score for seed, score in scores.items()},
        "spread": spread,
        "chosen": {"seed": chosen, "val": scores[chosen]["val"], "test": scores[chosen]["test"]},
        "luckiest": {
            name: {"seed": seed, "value": scores[seed]["test"][name]} for name, seed in best.items()
        },
    }


def statistics_of(values: list[float]) -> dict[str, float | None]:
    """Mean, sample standard deviation, smallest and largest."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "deviation": deviation, "min": min(values), "max": max(values)}


SHOWN = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "facts.change_type", "facts.statement")


def table(report: Mapping[str, Any]) -> str:
    """The report as text: for each split a row per seed, then mean and deviation."""
    lines = []
    for split in SPLITS:
        spread = report["spread"][split]
        names = [name for name in spread if name in SHOWN or (name.startswith("retrieval.") and "R@" in name)]
        short = [name.removeprefix("retrieval.").removeprefix("facts.") for name in names]
        wide = [max(9, len(name) + 2) for name in short]

        def row(title: str, values: Iterable[float | None], wide: list[int] = wide) -> str:
            cells = ("" if value is None else f"{value:.4f}" for value in values)
            return f"{title:<12}" + "".join(
                f"{cell:>{width}}" for cell, width in zip(cells, wide, strict=True)
            )

        lines.append(
            f"{split:<12}" + "".join(f"{name:>{width}}" for name, width in zip(short, wide, strict=True))
        )
        lines += [
            row(f"  seed {seed}", [score[split][name] for name in names])
            for seed, score in report["seeds"].items()
        ]
        lines.append(row("  mean", [spread[name]["mean"] for name in names]))
        lines.append(row("  deviation", [spread[name]["deviation"] for name in names]))
        lines.append("")
    chosen = report["chosen"]["seed"]
    lines.append(
        f"best on val by {report['metric']}: seed {chosen}; its test figures are the honest single numbers"
    )
    luckiest = report["luckiest"].get(report["metric"])
    if luckiest is not None:
        lines.append(f"luckiest on test: seed {luckiest['seed']}, {luckiest['value']:.4f}")
    return "\n".join(lines)


def training_of(config: Config) -> dict[str, Any]:
    """What a run is trained by: its stages with their steps and scenes a step, and how many scenes there are."""
    stages = [
        {
            "stage": stage.present.name,
            "steps": stage.train.steps,
            "batch_size": stage.data.train.batch_size,
        }
        for stage in config.to_train()
    ]
    return {"stages": stages, "training_scenes": len(open_split(config, "train"))}


def report_seeds(configs: Mapping[int, Config]) -> dict[str, Any]:
    """Caption and score every seed, and write seeds.json beside their runs."""
    some = next(iter(configs.values()))
    scores = {seed: score_run(config) for seed, config in configs.items()}
    report = training_of(some) | summary(scores, some.train.best_metric)
    with atomic_write(Path(some.runs) / REPORT) as path:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report
