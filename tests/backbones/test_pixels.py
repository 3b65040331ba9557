"""Pictures as grids: nothing is lost on the way through a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from idc.backbones import BACKBONES, load_backbone
from idc.data.features import extract_flat
from idc.data.grids import GridWriter, open_grids
from idc.data.layout import picture
from idc.errors import UserError


@pytest.mark.parametrize("size", [96, 224])
def test_a_grid_is_the_picture_squashed(size: int) -> None:
    backbone = load_backbone(f"pixels{size}")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    grid = backbone(backbone.preprocess(image)[None])
    assert grid.shape == (1, *backbone.grid_shape) == (1, 3, size, size)
    squashed = np.array(image.resize((size, size), Image.Resampling.BICUBIC))
    assert np.array_equal((grid[0] * 255).round().permute(1, 2, 0).byte().numpy(), squashed)
    assert not list(backbone.parameters())


def test_a_picture_of_that_size_stays_as_it_is() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    grid = load_backbone("pixels96").preprocess(Image.fromarray(pixels))
    assert torch.equal((grid * 255).round().byte(), torch.from_numpy(pixels).permute(2, 0, 1))


def test_grey_counts_as_colour() -> None:
    grid = load_backbone("pixels96").preprocess(Image.new("L", (5, 5), 51))
    assert grid.shape == (3, 96, 96) and (grid == 51 / 255).all()


def test_a_store_keeps_every_255th_apart(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8)
    image = Image.fromarray(np.resize(levels, (96, 96, 3)))
    backbone = load_backbone("pixels96")
    with GridWriter(
        tmp_path / "train", ["a.png"], backbone.grid_shape, {"backbone": backbone.name}
    ) as writer:
        writer.append(backbone(backbone.preprocess(image)[None]).numpy())
        writer.finish()
    stored = open_grids(tmp_path, "train")["a.png"]
    assert stored.dtype == np.float16
    assert np.array_equal(np.unique((stored.astype(np.float32) * 255).round()), levels)
    assert np.array_equal((stored.astype(np.float32) * 255).round().transpose(1, 2, 0), np.array(image))


def test_the_pictures_of_a_data_set(small_world: Callable[..., Path]) -> None:
    root = small_world()
    extract_flat(root, root / "features_pixels96", load_backbone("pixels96"), 4, torch.device("cpu"))
    grids = open_grids(root / "features_pixels96", "val")
    assert grids.shape == (3, 96, 96) and grids.backbone == "pixels96"
    with Image.open(root / "sc_images" / picture("semantic", 7)) as image:
        expected = load_backbone("pixels96").preprocess(image)
    assert np.array_equal((grids[picture("semantic", 7)] * 255.0).round(), (expected * 255).round())


def test_wrong_names_and_weights_are_named() -> None:
    with pytest.raises(UserError, match=r"no backbone “pixels”; choose one of .*pixels96, pixels224"):
        load_backbone("pixels")
    with pytest.raises(UserError, match=r"pixels224 .*has no weights; leave some\.pth out"):
        load_backbone("pixels224", "some.pth")
    assert {"rendered", "resnet101", "pixels96", "pixels224"} == set(BACKBONES)
