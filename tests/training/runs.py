"""What a run has left, to compare it with another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from idc.training.log import read_metrics


def curve(run: Path) -> list[dict[str, Any]]:
    """The logged lines without the speed, which is never the same."""
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]


def weights(run: Path, step: int) -> dict[str, Tensor]:
    return load_file(run / "snapshots" / str(step) / "model.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
