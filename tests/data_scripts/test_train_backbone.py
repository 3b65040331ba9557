"""The backbone's teacher, and a very short lesson."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_scripts.train_backbone import CELLS, GROUPS, INPUT_SIZE, MOST_OBJECTS, targets

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"


def test_targets_say_what_is_seen_who_owns_a_cell_and_where_centres_are() -> None:
    masks = torch.zeros(1, INPUT_SIZE, INPUT_SIZE, dtype=torch.uint8)
    masks[0, 16:32, 24:40] = 1  # cells (2..3, 3..4)
    masks[0, 28:30, 38:40] = 2  # 4 pixels of cell (3, 4): too few to be present
    attributes = torch.full((1, MOST_OBJECTS, 4), -1)
    attributes[0, 0] = torch.tensor([1, 7, 0, 2])  # large yellow rubber cylinder
    attributes[0, 1] = torch.tensor([0, 0, 1, 0])
    truth = targets(masks, attributes)
    where = {(2, 3), (2, 4), (3, 3), (3, 4)}
    widths = [len(values) for values in GROUPS.values()]
    starts = np.cumsum([0, *widths])
    seen = {tuple(cell) for cell in truth.presence[0, int(starts[1]) + 7].nonzero().tolist()}
    assert seen == where
    assert truth.presence.sum() == 4 * len(where)
    assert truth.owner.shape == (1, 4, CELLS, CELLS)
    assert truth.owner[0, :, 2, 3].tolist() == [1, 7, 0, 2]
    assert (truth.owner[0, :, 0, 0] == -1).all()
    assert {tuple(c) for c in truth.centre[0].nonzero().tolist()} == {(2, 3), (3, 4)}


def test_a_short_lesson_leaves_weights_and_provenance(tmp_path: Path) -> None:
    def run(script: str, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, SCRIPTS / script, *arguments], check=True, capture_output=True, timeout=250
        )

    root, out = tmp_path / "world", tmp_path / "assets"
    run(
        "render_world.py",
        "--out",
        str(root),
        "--scenes",
        "8",
        "--splits",
        "6,2,0",
        "--size",
        "64x48",
        "--samples",
        "2",
        "--workers",
        "1",
    )
    run(
        "train_backbone.py",
        "--root",
        str(root),
        "--out",
        str(out),
        "--epochs",
        "1",
        "--batch-size",
        "6",
        "--workers",
        "1",
    )
    from idc.backbones import load_backbone

    load_backbone("rendered", out / "backbone_rendered.safetensors")
    assert all(t.dtype == torch.float16 for t in load_file(out / "backbone_rendered.safetensors").values())
    provenance = json.loads((out / "backbone_rendered.json").read_text())
    assert provenance["training_scenes"] == 6
    assert 0 <= provenance["accuracy"]["read_object"] <= 1
    assert {file.name for file in out.iterdir()} == {
        "backbone_rendered.safetensors",
        "backbone_rendered.json",
    }


def test_a_missing_world_is_named(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, SCRIPTS / "train_backbone.py", "--root", tmp_path, "--out", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 2
    assert "render_world.py" in result.stderr


@pytest.mark.parametrize("script", ["verify_captions.py"])
def test_captions_are_verified(script: str) -> None:
    result = subprocess.run(
        [sys.executable, SCRIPTS / script, "--sample", "200"],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.stdout.strip() == "3400 right"
