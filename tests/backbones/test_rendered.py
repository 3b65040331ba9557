"""The bundled backbone: its weights, its accuracy, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from idc.backbones import load_backbone
from idc.backbones.rendered import WEIGHTS, squash
from idc.errors import UserError


def test_it_is_small_frozen_and_says_where_it_comes_from() -> None:
    backbone = load_backbone("rendered")
    assert WEIGHTS.stat().st_size < 3_000_000
    assert sum(p.numel() for p in backbone.parameters()) < 1_000_000
    assert not any(p.requires_grad for p in backbone.parameters())
    provenance = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert provenance["made_by"] == "data_scripts/train_backbone.py"
    assert provenance["accuracy"]["read_object"] > 0.9


def test_its_grids_have_the_promised_shape_whatever_the_picture() -> None:
    backbone = load_backbone("rendered")
    for size in ((160, 120), (31, 77)):
        picture = Image.fromarray(
            np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        )
        assert backbone(backbone.preprocess(picture)[None]).shape == (1, *backbone.grid_shape)
    assert squash(picture).shape == (112, 112, 3)


def test_a_token_stacks_four_neighbouring_cells() -> None:
    backbone = load_backbone("rendered")
    image = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    cells, grid = backbone.cells(image), backbone(image)
    assert torch.equal(grid[0, :, 2, 3].sort().values, cells[0, :, 4:6, 6:8].flatten().sort().values)


def test_wrong_or_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_backbone\.py"):
        load_backbone("rendered", tmp_path / "absent.safetensors")
    save_file({"net.0.0.weight": torch.zeros(1)}, tmp_path / "wrong.safetensors")
    with pytest.raises(UserError, match="does not hold the weights"):
        load_backbone("rendered", tmp_path / "wrong.safetensors")
