"""Extraction: the same features whatever the batch size, whatever the store, however often interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from idc.backbones import Backbone, open_image
from idc.data.features import (
    SAME,
    check_agreement,
    check_pictures,
    device_of,
    extract_flat,
    extract_npy,
    grids_in_batches,
    names_of,
    picture_path,
)
from idc.data.grids import open_grids
from idc.data.layout import picture
from idc.errors import UserError

World = Callable[..., Path]
CPU = torch.device("cpu")


class Tiny(Backbone):
    """A convolution with fixed random weights."""

    name = "tiny"
    grid_shape = (24, 6, 8)

    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 24, 5, stride=2, padding=2)
        )
        self.eval().requires_grad_(False)
        self.seen: list[int] = []
        self.survives = 10**9

    def preprocess(self, image: Image.Image) -> Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255

    def forward(self, images: Tensor) -> Tensor:
        self.survives -= 1
        if self.survives < 0:
            raise KeyboardInterrupt
        self.seen.append(len(images))
        return self.net(images)


class Half(Tiny):
    """The same weights, everything rounded to bfloat16 on the way."""

    precision = "bf16"

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(images).float()


def all_grids(root: Path, out: Path) -> dict[str, np.ndarray]:
    splits = json.loads((root / "splits.json").read_text(encoding="utf-8"))
    return {
        name: np.array(open_grids(out, split)[name])
        for split, scenes in splits.items()
        for name in names_of(scenes)
    }


def test_any_batch_size_gives_the_same_features(small_world: World, tmp_path: Path) -> None:
    root = small_world()
    names = names_of([0, 1, 2, 4, 5])
    results = {}
    for size in (1, 4, 7, 15, 64):
        batches = list(grids_in_batches(Tiny(), partial(picture_path, root), names, size, CPU))
        assert [name for batch, _ in batches for name in batch] == names
        results[size] = np.concatenate([grids for _, grids in batches])
        extract_flat(root, tmp_path / str(size), Tiny(), size, CPU)
    tolerance = 1e-5 * np.abs(results[1]).max()
    stored = all_grids(root, tmp_path / "1")
    for size in results:
        np.testing.assert_allclose(results[size], results[1], rtol=0, atol=tolerance)
        for name, grid in all_grids(root, tmp_path / str(size)).items():
            np.testing.assert_array_max_ulp(grid, stored[name], maxulp=1, dtype=np.float16)


def test_every_picture_has_its_own_features(small_world: World, tmp_path: Path) -> None:
    root = small_world()
    backbone = Tiny()
    extract_flat(root, tmp_path / "flat", backbone, 4, CPU)
    extract_npy(root, tmp_path / "npy", backbone, 4, CPU)
    for name, grid in all_grids(root, tmp_path / "npy").items():
        folder = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}[
            name.split("_")[1]
        ]
        expected = backbone(backbone.preprocess(Image.open(root / folder / name))[None])[0].numpy()
        assert grid.dtype == np.float32
        np.testing.assert_allclose(grid, expected, atol=1e-5)
        flat = all_grids(root, tmp_path / "flat")[name]
        np.testing.assert_array_max_ulp(flat, grid.astype(np.float16), maxulp=1, dtype=np.float16)
    assert open_grids(tmp_path / "npy", "train").backbone == "tiny"
    assert (tmp_path / "npy" / "nsc_features" / "CLEVR_nonsemantic_000009.png.npy").is_file()


@pytest.mark.parametrize("extract", [extract_flat, extract_npy])
def test_interrupted_and_taken_up_again(
    small_world: World, tmp_path: Path, extract: Callable[..., None]
) -> None:
    root = small_world()
    extract(root, tmp_path / "whole", Tiny(), 4, CPU)
    backbone = Tiny()
    runs = 0
    while True:
        backbone.survives = 2
        runs += 1
        try:
            extract(root, tmp_path / "pieces", backbone, 4, CPU)
            break
        except KeyboardInterrupt:
            assert runs < 10
    assert runs > 2 and sum(backbone.seen) == 27, "no picture is computed twice"
    whole, pieces = all_grids(root, tmp_path / "whole"), all_grids(root, tmp_path / "pieces")
    for name, grid in whole.items():
        np.testing.assert_array_equal(pieces[name], grid)
    again = Tiny()
    extract(root, tmp_path / "pieces", again, 4, CPU)
    assert not again.seen, "a finished store is left alone"


@pytest.mark.parametrize("extract", [extract_flat, extract_npy])
def test_stores_are_not_mixed(small_world: World, tmp_path: Path, extract: Callable[..., None]) -> None:
    root = small_world()
    extract(root, tmp_path / "out", Tiny(), 4, CPU)
    with pytest.raises(
        UserError, match=r"another backbone, other weights or another precision.*choose another --out"
    ):
        extract(root, tmp_path / "out", Tiny(seed=1), 4, CPU)


@pytest.mark.parametrize("extract", [extract_flat, extract_npy])
def test_precisions_are_not_mixed(small_world: World, tmp_path: Path, extract: Callable[..., None]) -> None:
    """Neither in a begun store nor in a finished one, though the weights are the same; bf16 is resumed like float32."""
    root = small_world()
    half = Half()
    half.survives = 1
    with pytest.raises(KeyboardInterrupt):
        extract(root, tmp_path / "half", half, 4, CPU)
    with pytest.raises(UserError, match="another precision"):
        extract(root, tmp_path / "half", Tiny(), 4, CPU)
    half.survives = 100
    extract(root, tmp_path / "half", half, 4, CPU)
    assert sum(half.seen) == 27, "no picture is computed twice"
    with pytest.raises(UserError, match="another precision"):
        extract(root, tmp_path / "half", Tiny(), 4, CPU)
    extract(root, tmp_path / "exact", Tiny(), 4, CPU)
    with pytest.raises(UserError, match="another precision"):
        extract(root, tmp_path / "exact", Half(), 4, CPU)
    exact = all_grids(root, tmp_path / "exact")
    for name, grid in all_grids(root, tmp_path / "half").items():
        assert not np.array_equal(grid, exact[name])
        np.testing.assert_allclose(grid, exact[name], atol=0.02 * np.abs(exact[name]).max())


def test_half_precision_must_agree(small_world: World) -> None:
    class Wrong(Half):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.roll(1, 0))

    root = small_world()
    assert SAME < check_agreement(Tiny(), Half(), root) < 1
    with pytest.raises(
        UserError, match=r"cosine of only 0\.\d+ .* 0\.9995 was expected\. Leave --precision out"
    ):
        check_agreement(Tiny(), Wrong(), root)


def test_downloaded_features_are_not_added_to(small_world: World, tmp_path: Path) -> None:
    root = small_world()
    extract_npy(root, tmp_path, Tiny(), 4, CPU)
    (tmp_path / "backbone.json").unlink()
    with pytest.raises(UserError, match="were not made here"):
        extract_npy(root, tmp_path, Tiny(), 4, CPU)


def test_a_missing_picture_is_named(small_world: World) -> None:
    root = small_world()
    for scene in (2, 7):
        (root / "sc_images" / picture("semantic", scene)).unlink()
    with pytest.raises(UserError, match=r"2 scenes .* no semantic picture .*000002\.png: 000002, 000007"):
        extract_flat(root, root / "features", Tiny(), 4, CPU)
    (root / "images" / picture("default", 13)).unlink()
    check_pictures(root, names_of([0, 1]))  # 13 is in no split


def test_a_truncated_picture_is_named_and_what_is_done_stays(small_world: World) -> None:
    root = small_world()
    broken = root / "images" / picture("default", 6)
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-40])
    with pytest.raises(UserError, match=r"CLEVR_default_000006\.png cannot be read .*truncated"):
        extract_flat(root, root / "features", Tiny(), 3, CPU)
    broken.write_bytes(whole)
    backbone = Tiny()
    extract_flat(root, root / "features", backbone, 3, CPU)
    assert sum(backbone.seen) == 12, "15 of 27 pictures were kept"


def test_pictures_cut_at_any_length(small_world: World, tmp_path: Path) -> None:
    """Whatever Pillow makes of a broken file, it comes out as the one error, or nothing of the picture is lost."""
    whole = (small_world() / "images" / picture("default", 0)).read_bytes()
    path = tmp_path / "broken.png"
    path.write_bytes(whole)
    pixels = np.array(open_image(path))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length < len(whole) - 20:  # checksums and the end mark come after the last pixel
            with pytest.raises(UserError, match="cannot be read"):
                open_image(path)
        else:
            try:
                np.testing.assert_array_equal(np.array(open_image(path)), pixels)
            except UserError:
                continue
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="cannot be read"):
        open_image(path)
    path.unlink()
    with pytest.raises(UserError, match=r"no picture at .*broken\.png"):
        open_image(path)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA", "1", "CMYK"])
def test_any_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tiff" if mode == "CMYK" else "png"
    Image.new(mode, (5, 4)).save(tmp_path / f"a.{suffix}")
    image = open_image(tmp_path / f"a.{suffix}")
    assert image.mode == "RGB" and image.size == (5, 4)


def test_a_backbone_that_breaks_its_promise(small_world: World) -> None:
    class Wrong(Tiny):
        grid_shape = (24, 7, 7)

    root = small_world()
    with pytest.raises(UserError, match=r"gave grids of shape \(24, 6, 8\) and promises \(24, 7, 7\)"):
        extract_flat(root, root / "features", Wrong(), 4, CPU)


def test_settings_that_cannot_work(small_world: World) -> None:
    root = small_world()
    with pytest.raises(UserError, match="--batch-size 0 is not possible"):
        extract_flat(root, root / "features", Tiny(), 0, CPU)
    for name in ("gpu", "cuda:99", ""):
        with pytest.raises(UserError, match=f"the device “{name}” cannot be used here"):
            device_of(name)
    assert device_of("cpu") == CPU and device_of("auto").type in ("cpu", "cuda")
