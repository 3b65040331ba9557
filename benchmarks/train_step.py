"""One training step of SCORER+CBR at the paper's size (losses, gradients, Adam) on random grids.

Before anything is timed, the released parameters are copied over and the losses (dropout off) must be equal to 1e-4.
“plain” is our own system with the pieces as they are read, for those without the released code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Case, Options
from benchmarks.released import Released, new, ours, random_batch
from idc.pieces.cbr import joint_loss

GOAL = "P3"
TITLE = "SCORER+CBR, a training step"
WEIGHTS = {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}
PLAIN, RELEASED = "plain", "released"
FLOAT, HALF = "ours, float32", "ours, bfloat16 autocast"
SCORES = "ours, float32, matches scored in bfloat16"


def losses(system: Any, batch: Any) -> dict[str, float]:
    with torch.no_grad():
        return {name: value.item() for name, value in system.eval().losses(batch).items()}


def agree(one: dict[str, float], other: dict[str, float]) -> None:
    for name in WEIGHTS:
        assert abs(one[name] - other[name]) <= 1e-4 * max(1, abs(other[name])), (one, other)


def check(options: Options) -> list[str]:
    lines = []
    for size in (3, 8):
        batch = random_batch(size)
        agree(losses(new("auto"), batch), losses(new("plain"), batch))
        lines.append(f"the three losses, fast and plain, B={size}")
        if options.released is not None:
            released = Released(options.released)
            with tempfile.TemporaryDirectory() as folder:
                released.save(Path(folder) / "weights.pt")
                agree(losses(ours(Path(folder) / "weights.pt"), batch), losses(released, batch))
            lines.append(f"the three losses, ours and released, B={size}")
    return lines


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    system: Any
    if variant == RELEASED:
        assert options.released is not None
        system = Released(options.released)
    else:
        kernels = {PLAIN: "plain", SCORES: "tiled-bf16"}.get(variant, "auto")
        system = new(kernels, size.get("side", 14))
    system.train()
    parameters = [p for p in system.trained_parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=2e-4)
    batch = random_batch(size["batch"], size.get("side", 14))

    def step() -> None:
        optimizer.zero_grad()
        for portion in [partial(system.losses, batch)] if variant == RELEASED else system.portions(batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=variant == HALF):
                loss = joint_loss(portion(), WEIGHTS)
            loss.backward()
        optimizer.step()

    return step


def cases(batch: int, repeats: int, full: bool) -> list[Case]:
    size = {"batch": batch}
    result = []
    for peer in (RELEASED, PLAIN):
        for ours_, speed in ((FLOAT, 3.0), (SCORES, None), (HALF, 5.0)):
            for threads in (1, 2) if full else (1,):
                wanted = full and peer == RELEASED
                if (full and peer == PLAIN and threads == 1) or (ours_ == SCORES and not wanted):
                    continue
                goals: dict[str, float | None] = {
                    "cpu_s" if threads == 1 else "wall_s": speed if wanted else None
                }
                if wanted:
                    goals["peak_mb"] = 2.5 if speed else None
                name = f"{ours_} against {peer}, B={batch}, {threads} thread{'s' * (threads > 1)}"
                result.append(
                    Case(name, peer, ours_, size, goals, threads, repeats, needs_released=peer == RELEASED)
                )
    return result


CASES = {"small": cases(4, 1, False), "full": cases(32, 1, True)}
