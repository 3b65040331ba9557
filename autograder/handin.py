"""The hand-in of problem set 6: a folder with what a training run reached.

    collect(run, world, Path("report"))       after training: results, curves, captions, figure
    check_handin(Path("report"))              is everything there?

results.json (val and test), metrics.jsonl (curves), pieces.json (sources of one's own pieces), triples.png (the figure),
sc_results.json and nsc_results.json (the captions of the test split, so that the results can be computed again).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from autograder.checks.exercise import Status, Verdict
from autograder.notebook import Points

ENOUGH = 0.9  # a run has learned something when its caption loss fell to this share
TRIPLES = 6  # in the figure


def collect(run: Path, world: Path, folder: Path, scenes: list[int] | None = None) -> None:
    """Caption val and test with the best snapshot, score the captions, draw triples; all goes into `folder`.

    scenes: of the figure; None takes the first of the test split.
    """
    from idc.captioner.search import Search
    from idc.config import load_config
    from idc.data.layout import split_of
    from idc.evaluate import evaluate
    from idc.show import Captioner, caption_world, save_figure, triplet_figure
    from idc.test import test
    from idc.training.checkpoint import find_snapshot
    from idc.training.loop import open_split

    folder.mkdir(parents=True, exist_ok=True)
    config = run / "config.yaml"
    results = {}
    for split in ("val", "test"):
        captions = test(config, [], run, "best", split, Search(), "cpu", None)
        results[split] = evaluate(captions, world)
    for name in ("sc_results.json", "nsc_results.json"):
        shutil.copyfile(captions / name, folder / name)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name in ("metrics.jsonl", "pieces.json", "config.yaml"):
        (folder / name).unlink(missing_ok=True)
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    scenes = scenes or split_of(world, "test")[:TRIPLES]
    captioner = Captioner(find_snapshot(run, "best"), open_split(load_config(config), "test").grids)
    save_figure(triplet_figure(caption_world(captioner, world, scenes)), folder / "triples.png")


def check_handin(folder: Path) -> Points:
    """A point each: the loss fell, val and test results are there, so is the figure, and some piece is your own."""
    found = {
        "a training run whose caption loss fell": lambda: loss_fell(read_lines(folder / "metrics.jsonl")),
        "results on val and test": lambda: (
            {"val", "test"} <= json.loads((folder / "results.json").read_text(encoding="utf-8")).keys()
        ),
        "the figure of triples": lambda: is_picture(folder / "triples.png"),
        "at least one piece of your own": lambda: bool(
            json.loads((folder / "pieces.json").read_text(encoding="utf-8"))
        ),
    }
    missing = []
    for what, holds in found.items():
        try:
            there = holds()
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            there = False
        if not there:
            missing.append(what)
    if not missing:
        verdict = Verdict(Status.RIGHT, f"ps6.1: everything is in {folder}/. The rest is your report.")
    else:
        status = Status.NOT_ATTEMPTED if len(missing) == len(found) else Status.WRONG
        verdict = Verdict(status, f"ps6.1: {folder}/ lacks {'; '.join(missing)}.")
    return Points(len(found) - len(missing), verdict)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def loss_fell(lines: list[dict[str, Any]]) -> bool:
    losses = [line["loss/caption"] for line in lines if "loss/caption" in line]
    return losses[-1] < ENOUGH * losses[0]


def is_picture(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as image:
        image.verify()
        return image.width > image.height / 4
