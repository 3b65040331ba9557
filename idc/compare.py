"""Compare systems under one roof: the same scenes, the same budget, several seeds; one table and one figure.

    python -m idc.compare configs/scorer_cbr/laptop.yaml configs/clip4idc/laptop.yaml \\
        configs/clip4idc/laptop.yaml:stages.adapt.skip=true \\
        --label SCORER+CBR --label CLIP4IDC --label "CLIP4IDC, not adapted" --seeds 0,1,2 --minutes 8 --out runs/compare

An entry is a configuration, with overrides of its own after colons, or the folder of a finished run, or of the runs of
several seeds as `idc.train --seeds` leaves them. Every configuration is trained by the ordinary training, once for each
seed, in OUT/runs. The best snapshot on val captions the test split, and all captions are scored against the same
references, tokenized in the same way. Writes OUT/comparison.json, OUT/comparison.md and OUT/comparison.png. Interrupted,
the same command goes on; what is finished is not done again.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from idc.config import Config, differences, load_config
from idc.errors import UserError, continuing_command
from idc.evaluate import read_references
from idc.files import atomic_write
from idc.machine import machine
from idc.seeds import parse_seeds, score_split, seed_configs, statistics_of, training_of
from idc.show import save_figure
from idc.training.checkpoint import (
    SNAPSHOTS,
    STATE,
    find_snapshot,
    load_state,
    load_system,
    read_best,
    snapshot_steps,
)
from idc.training.log import METRICS, read_metrics
from idc.training.loop import Interrupted, alone, open_split, train

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGES = ("torch", "torchvision", "open_clip_torch", "pycocoevalcap")
PILOT = 20  # steps that are trained to find out how long one takes
# What grows with the budget:
SCALED = ("train.steps", "train.snapshot_every", "train.save_every", "optim.warmup")
LEFT_OPEN = ("runs", "logger")  # settings in which a run in OUT may differ from what is asked for
FIGURES = {  # figure of a run -> its heading, digits after the point, factor
    "BLEU-4": ("BLEU-4", 3, 1.0),
    "METEOR": ("METEOR", 3, 1.0),
    "ROUGE-L": ("ROUGE-L", 3, 1.0),
    "CIDEr": ("CIDEr", 3, 1.0),
    "change.CIDEr": ("CIDEr of changes", 3, 1.0),
    "facts.statement": ("statement true, %", 1, 100.0),
    "facts.change_type": ("change type right, %", 1, 100.0),
    "facts.no_change": ("“no change” right, %", 1, 100.0),
    "step_seconds": ("seconds a step", 3, 1.0),
}
RESULT = "comparison.json"
SCORES = "scores.json"  # in a run's folder: its figures on the test split


@dataclass(frozen=True)
class Entry:
    """One system of the comparison.

    source: what the command names it by. runs: the configuration of each of its runs. finished: whether these were
    trained before, elsewhere.
    """

    label: str
    source: str
    runs: tuple[Config, ...]
    finished: bool = False


def slug(label: str) -> str:
    """A label as a folder's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-").lower() or "system"


@dataclass(frozen=True)
class Budget:
    """How long every system is trained, all its stages together: so many steps, or so many minutes of training steps.

    Without either, as configured. folder: where the speed of a step is kept once it is known.
    """

    steps: int | None
    minutes: float | None
    folder: Path

    def settings(self, source: str, path: Path, overrides: list[str]) -> list[str]:
        """The overrides that make a configuration as long as the budget, its stages in the proportions they have.

        With n_s steps of stage s as configured and r_s seconds a step: f = 60 minutes / sum_s n_s r_s, or
        f = steps / sum_s n_s; every stage then has f n_s steps, and warms up and writes snapshots accordingly.
        """
        if self.steps is None and self.minutes is None:
            return []
        stages = load_config(path, overrides).to_train()
        if self.minutes is None:
            factor = (self.steps or 0) / sum(stage.train.steps for stage in stages)
        else:
            seconds = self.step_seconds(source, path, overrides)
            whole = sum(stage.train.steps * seconds[stage.present.name] for stage in stages)
            factor = 60 * self.minutes / whole
        settings = []
        for stage in stages:
            for name in [*SCALED, *(["optim.step_epochs"] if stage.optim.schedule == "step" else [])]:
                section, setting = name.split(".")
                if value := getattr(getattr(stage, section), setting):
                    settings.append(f"{prefix(stage)}{name}={max(1, round(factor * value))}")
        return settings

    def step_seconds(self, source: str, path: Path, overrides: list[str]) -> dict[str, float]:
        """How long a step of each stage takes, found out once by training a few."""
        known = self.folder / "step_seconds.json"
        seconds = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
        if source not in seconds:
            print(f"{source}: {PILOT} steps of each stage, to see how long they take", flush=True)
            stages = load_config(path, overrides).to_train()
            short = {"steps": PILOT, "snapshot_every": PILOT, "log_every": PILOT // 4}
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.folder, prefix="pilot-") as place:
                trial = [f"runs={place}", "exp_name=pilot", "data.val.max_samples=4", "logger=[]"]
                trial += [
                    f"{prefix(stage)}train.{name}={value}"
                    for stage in stages
                    for name, value in short.items()
                ]
                config = load_config(path, [*overrides, *trial])
                train(config)
                found = {stage.present.name: seconds_of(stage.run_folder) for stage in config.to_train()}
            # Another process may have found out something meanwhile.
            seconds = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
            seconds.setdefault(source, found)
            write_json(known, seconds)
        return seconds[source]


def prefix(stage: Config) -> str:
    """What stands before the settings of a stage."""
    return "" if stage.stage is None else f"stages.{stage.stage}."


def seconds_of(run: Path) -> float:
    """The median time of a training step of a run, in seconds, its first window of steps left out.

    Raises UserError for a run that did not keep it.
    """
    speeds = [line["steps_per_second"] for line in read_metrics(run / METRICS) if "steps_per_second" in line]
    if not speeds:
        raise UserError(f"{run / METRICS} does not say how long a training step took; train the run again.")
    return 1 / statistics.median(speeds[1:] or speeds)


def make_entry(text: str, label: str | None, seeds: Sequence[int], out: Path, budget: Budget) -> Entry:
    """The system that an entry of the command names. Raises UserError for a folder that is no run."""
    name, *overrides = re.split(r":(?=[\w.]+=)", text)
    path = Path(name)
    if path.is_dir():
        if overrides:
            raise UserError(f"{path} cannot be changed any more. Give its folder alone, or a configuration.")
        return Entry(label or path.name, text, finished_runs(path), finished=True)
    label = label or " ".join([*path.with_suffix("").parts[-2:], *overrides])
    overrides += budget.settings(text, path, overrides)
    runs = seed_configs(path, [*overrides, f"runs={out / 'runs'}", f"exp_name={slug(label)}"], seeds)
    return Entry(label, text, tuple(runs.values()))


def finished_runs(path: Path) -> tuple[Config, ...]:
    """The configurations of the run in a folder, or of the runs in its folders seed<k>, by seed.

    Raises UserError for a folder without a run, and for a run that has not taken all its steps.
    """
    path = path.resolve()
    files, several = [path / "config.yaml"], sorted(path.glob("seed*/config.yaml"))
    if several and files[0].is_file():
        raise UserError(
            f"{path} holds a run, and runs of several seeds as well. Give the folder of one of them."
        )
    files = several or [file for file in files if file.is_file()]
    runs = [load_config(file, [f"runs={file.parents[1]}", f"exp_name={file.parent.name}"]) for file in files]
    if not runs:
        raise UserError(
            f"{path} has no config.yaml, nor folders seed0, seed1, … with one, so it is no run. Give the folder of a "
            "finished run, or a configuration."
        )
    for config in runs:
        done = snapshot_steps(config.run_folder)[-1:]
        if not is_finished(config):
            raise UserError(
                f"{config.run_folder} is not finished: it has taken {done[0] if done else 0} of {config.train.steps} "
                "steps. Train it to its end with --resume."
            )
    return tuple(sorted(runs, key=lambda config: config.seed))


def check_entries(entries: Sequence[Entry]) -> None:
    """Raise UserError for labels that cannot be told apart, and unless all are tested on the same pairs."""
    names = [slug(entry.label) for entry in entries]
    for entry in entries:
        if names.count(slug(entry.label)) > 1:
            raise UserError(
                f"more than one system is called “{entry.label}”, or so that both would have the folder "
                f"“{slug(entry.label)}”; give each a --label of its own."
            )
    first, *others = entries
    truth = truth_of(first.runs[0])
    for entry in others:
        theirs = truth_of(entry.runs[0])
        different = sorted(name for name in truth | theirs if truth.get(name) != theirs.get(name))
        if different:
            raise UserError(
                f"“{first.label}” and “{entry.label}” are not tested on the same scenes: {len(different)} pairs are not "
                f"in both or have other captions, first {different[0]}. Point data.root of both to the same data, and "
                "give both the same data.test.max_samples."
            )


def truth_of(config: Config) -> dict[str, list[str]]:
    """{image id: reference captions} of the test split."""
    pairs, path = open_split(config, "test").references(), config.data.path("annotations")
    references = read_references(path)
    if missing := [name for name in pairs if name not in references]:
        raise UserError(
            f"{path} has no captions of {len(missing)} pairs of the test split, first {missing[0]}; make it again with "
            "data_scripts/preprocess_captions.py."
        )
    return {name: sorted(references[name]) for name in pairs}


def train_run(config: Config) -> None:
    """Train a run of the comparison, go on with it, or do nothing if it is finished.

    Raises UserError when its folder holds one with other settings.
    """
    for stage in config.to_train():
        saved = stage.run_folder / "config.yaml"
        changed = differences(load_config(saved), stage) if saved.is_file() else {}
        if other := [
            f"{name} (was {old!r}, now {new!r})"
            for name, (old, new) in changed.items()
            if name not in LEFT_OPEN
        ]:
            raise UserError(
                f"{stage.run_folder} was trained with other settings: {', '.join(other)}. Take another --out, or delete "
                "that folder."
            )
    if is_finished(config):
        return
    with alone(config):
        for stage in config.to_train():
            if not (
                stage.run_folder / STATE
            ).is_file():  # stopped between its first snapshot and its first state
                shutil.rmtree(stage.run_folder / SNAPSHOTS, ignore_errors=True)
    train(config, resume=True)


def is_finished(config: Config) -> bool:
    """Whether a run has taken all its steps, down to the last file."""
    run, steps = config.run_folder, config.train.steps
    state = load_state(run)  # None for a run that was copied without it
    written = snapshot_steps(run)[-1:] == [steps] and read_best(run) is not None
    return written and (state is None or state["step"] == steps)


def measure(config: Config, keep: bool) -> dict[str, Any]:
    """The figures of a finished run's best snapshot on the test split, and the seconds that a step of it took.

    keep: write them beside the run, and take those that are there already.
    """
    run, best = config.run_folder, read_best(config.run_folder)
    if best is None:
        raise UserError(f"{run} has no best snapshot; train it to its end.")
    known = run / SCORES
    if keep and known.is_file():
        scores = json.loads(known.read_text(encoding="utf-8"))
        if scores["step"] == best["step"]:
            return scores
    stages = config.to_train()
    steps = [stage.train.steps for stage in stages]
    seconds = [count * seconds_of(stage.run_folder) for count, stage in zip(steps, stages, strict=True)]
    scores = {
        "step": best["step"],
        "step_seconds": sum(seconds) / sum(steps),
        **score_split(config, run, "test"),
    }
    if keep:
        write_json(known, scores)
    return scores


def sizes(config: Config) -> dict[str, int]:
    """How many numbers a system's weights have, and how many of them some stage trains. A backbone is not counted."""
    system = load_system(find_snapshot(config.run_folder, "best"))
    moved: dict[int, int] = {}
    for stage in config.to_train():
        system.begin(stage.present.name)
        moved |= {id(parameter): parameter.numel() for parameter in system.trained_parameters()}
    return {
        "parameters": sum(parameter.numel() for parameter in system.parameters()),
        "trained_parameters": sum(moved.values()),
    }


def describe(entry: Entry, runs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A system's part of the result."""
    config = entry.runs[0]
    figures = [name for name in FIGURES if all(name in run for run in runs.values())]
    return {
        "label": entry.label,
        "entry": entry.source,
        "system": config.system,
        "backbone": config.data.backbone,
        "data": config.data.root,
        "trained_before": entry.finished,
        **training_of(config),
        **sizes(config),
        "seeds": {str(seed): figures for seed, figures in runs.items()},
        "figures": {name: statistics_of([run[name] for run in runs.values()]) for name in figures},
    }


def markdown(result: dict[str, Any]) -> str:
    """The comparison as a table: a row for each system, mean ± standard deviation over its seeds."""
    systems = result["systems"]
    names = [name for name in FIGURES if any(name in system["figures"] for system in systems)]
    head = [
        "system",
        "sees",
        "parameters (trained)",
        "training",
        "seeds",
        *(FIGURES[name][0] for name in names),
    ]
    lines = [head, ["---"] * len(head)]
    for system in systems:
        training = training_told(system)
        size = f"{millions(system['parameters'])} ({millions(system['trained_parameters'])})"
        cells = [with_deviation(system["figures"].get(name), *FIGURES[name][1:]) for name in names]
        lines.append([system["label"], system["backbone"], size, training, str(len(system["seeds"])), *cells])
    rows = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    test, budget = result["test"], result["budget"]
    limits = [f"{value:,g} {name}" for name, value in budget.items() if value is not None]
    before = [system["label"] for system in systems if system["trained_before"]]
    trained = f"{limits[0]} of training for each run" if limits else "trained as configured"
    if before and limits:
        trained += f", except {', '.join(before)}: trained before, as configured"
    return (
        f"{rows}\n\nMean ± standard deviation over the seeds, on {test['pairs']:,} pairs with {test['references']:,} "
        f"reference captions; {trained}. *sees*: the backbone that the pictures go through beforehand, which is not among "
        "the parameters. *training*: stages, steps x scenes a step, and how many scenes there are. *seconds a step*: of the "
        f"training as it was; scored on {machine_told(result['machine'])}.\n"
    )


def machine_told(found: dict[str, Any]) -> str:
    """“2 cores (AMD EPYC), 1 thread, torch 2.9”."""
    threads = found["threads"]
    parts = [
        f"{found['cores']} cores ({found['cpu']})",
        f"{threads} thread{'s' * (threads > 1)}",
        found["accelerator"],
    ]
    return ", ".join([*filter(None, parts), f"torch {found['versions']['torch']}"])


def training_told(system: dict[str, Any]) -> str:
    """“adapt 600 x 32, caption 1,000 x 32 of 1,400”."""
    stages = [f"{each['stage']} {each['steps']:,} x {each['batch_size']}" for each in system["stages"]]
    return f"{', '.join(stages)} of {system['training_scenes']:,}"


def millions(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 10_000 else f"{count:,}"


def with_deviation(spread: dict[str, float | None] | None, digits: int, factor: float) -> str:
    """“0.550 ± 0.012”; the mean alone where there is no deviation, nothing where there is no figure."""
    if spread is None or spread["mean"] is None:
        return ""
    mean, deviation = f"{factor * spread['mean']:.{digits}f}", spread["deviation"]
    return mean if deviation is None else f"{mean} ± {factor * deviation:.{digits}f}"


def draw(result: dict[str, Any]) -> Figure:
    """A panel for each figure: every seed a dot, the mean a line, the standard deviation a bar."""
    from idc.draw import COLORS, blank

    systems = result["systems"]
    names = [name for name in FIGURES if any(name in system["figures"] for system in systems)]
    panels = [*names, "parameters"]
    rows = -(-len(panels) // 3)
    figure = blank(9.5, 0.9 * rows + 0.5 * rows * len(systems))
    axes = figure.subplots(rows, 3, sharey=True, squeeze=False).ravel()
    for axis, name in zip(axes, panels, strict=False):
        title, _, factor = FIGURES.get(name, ("parameters, millions", 0, 1e-6))
        axis.set_title(title, fontsize=10)
        for place, system in enumerate(systems):
            color = COLORS[(0, 5, 2, 3, 1, 4)[place % 6]]
            if name == "parameters":
                axis.barh(place, factor * system[name], 0.5, color=color)
                continue
            values = [factor * run[name] for run in system["seeds"].values() if name in run]
            if values:
                mean, deviation = system["figures"][name]["mean"], system["figures"][name]["deviation"]
                axis.errorbar(
                    factor * mean,
                    place,
                    xerr=factor * (deviation or 0),
                    fmt="|",
                    ms=18,
                    mew=2,
                    capsize=4,
                    color=color,
                )
                axis.plot(values, [place + 0.2] * len(values), "o", ms=4, color=color, alpha=0.7)
        axis.set_yticks(range(len(systems)), [system["label"] for system in systems])
        axis.set_ylim(len(systems) - 0.5, -0.5)
        axis.locator_params(axis="x", nbins=4)
        axis.grid(axis="x", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return figure


def write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compare(entries: Sequence[Entry], budget: Budget) -> dict[str, Any]:
    """Train what is not trained, caption, score. Returns what comparison.json holds."""
    check_entries(entries)
    truth = truth_of(entries[0].runs[0])
    systems = []
    for entry in entries:
        runs = {}
        for config in entry.runs:
            if not entry.finished:
                print(f"{entry.label}, seed {config.seed}", flush=True)
                train_run(config)
            runs[config.seed] = measure(config, keep=not entry.finished)
        systems.append(describe(entry, runs))
    return {
        "test": {"pairs": len(truth), "references": sum(map(len, truth.values()))},
        "budget": {"steps": budget.steps, "minutes": budget.minutes},
        "machine": machine(PACKAGES) | {"threads": torch.get_num_threads()},
        "systems": systems,
    }


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "entries", nargs="+", metavar="ENTRY", help="configuration[:key=value …], or a run's folder"
    )
    parser.add_argument(
        "--label", action="append", default=[], help="an entry's name; one for each, in their order"
    )
    parser.add_argument(
        "--seeds", default="0,1,2", help="of each configuration's runs, such as 0..7 or 0,1,5"
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--steps", type=int, help="training steps of each run, all its stages together")
    limit.add_argument("--minutes", type=float, help="minutes of training steps of each run, likewise")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the runs, the table and the figure"
    )
    arguments = parser.parse_intermixed_args()
    texts, out = arguments.entries, arguments.out
    labels: list[str | None] = arguments.label or [None] * len(texts)
    if len(labels) != len(texts):
        raise UserError(f"there are {len(texts)} entries, but {len(labels)} labels; give each one, or none.")
    for name in ("steps", "minutes"):
        if (value := getattr(arguments, name)) is not None and value <= 0:
            raise UserError(f"--{name} is {value:g}; it must be positive.")
    budget, seeds = Budget(arguments.steps, arguments.minutes, out / "runs"), parse_seeds(arguments.seeds)
    try:
        entries = [
            make_entry(text, label, seeds, out, budget) for text, label in zip(texts, labels, strict=True)
        ]
        result = compare(entries, budget)
    except Interrupted:
        print("stopped; the same command goes on", file=sys.stderr)
        raise SystemExit(130) from None
    write_json(out / RESULT, result)
    table = markdown(result)
    with atomic_write(out / "comparison.md") as path:
        path.write_text(table, encoding="utf-8")
    save_figure(draw(result), out / "comparison.png")
    print(f"{table}\nthe comparison is in {out / RESULT}, comparison.md and comparison.png")


if __name__ == "__main__":
    main()
