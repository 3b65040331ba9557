"""Pictures, masks, visibility: same bits, right object, nothing hidden, with and without the denoiser."""

from __future__ import annotations

import importlib
import logging
import math

import numpy as np
import pytest

from idc.errors import UserError
from idc.world import render as renderer
from idc.world.render import COLOR, box, instance_mask, render, visible
from idc.world.scene import COLORS, Object, Scene, View
from idc.world.triple import CAMERA, LIGHTS, TARGET

SMALL = (64, 48)
VIEW = View(CAMERA, TARGET, LIGHTS)
SCENE = Scene(
    (
        Object("cube", "red", "rubber", "large", (1.5, -1.5), 30.0),
        Object("sphere", "cyan", "metal", "large", (-1.0, 0.5)),
        Object("cylinder", "yellow", "rubber", "small", (1.5, 1.5)),
    )
)


def picture_point(
    view: View, point: tuple[float, float, float], size: tuple[int, int]
) -> tuple[float, float]:
    """Where a point of the world falls in a 4 : 3 picture, in pixels; an independent pinhole projection."""
    eye = np.array(view.camera)
    forward = np.array(view.target) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    ray = np.array(point) - eye
    scale = size[0] / 2 / math.tan(math.radians(renderer.FIELD_OF_VIEW) / 2) / (ray @ forward)
    return size[0] / 2 + scale * (ray @ right), size[1] / 2 - scale * (ray @ up)


@pytest.mark.parametrize("denoise", [True, False])
def test_same_scene_view_and_seed_give_the_same_bits(denoise: bool) -> None:
    first, second = (render(SCENE, VIEW, size=SMALL, samples=4, denoise=denoise, seed=3) for _ in range(2))
    assert first.shape == (48, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, render(SCENE, VIEW, size=SMALL, samples=4, denoise=denoise, seed=4))


def test_denoising_comes_closer_to_the_converged_picture() -> None:
    converged = render(SCENE, VIEW, size=SMALL, samples=256, denoise=False, seed=9).astype(float)
    raw = np.square(render(SCENE, VIEW, size=SMALL, samples=4, denoise=False) - converged).mean()
    clean = np.square(render(SCENE, VIEW, size=SMALL, samples=4, denoise=True) - converged).mean()
    assert clean < raw / 2


def test_denoised_borders_are_as_clean_as_the_middle() -> None:
    empty = render(Scene(()), VIEW, size=(160, 120), samples=4).astype(float).mean(axis=2)
    roughness = np.abs(np.diff(empty, axis=1)).mean(axis=1)
    assert roughness[-2:].max() < 3 * np.median(roughness) + 1


def test_mask_names_the_object_that_is_there() -> None:
    size = (160, 120)
    mask = instance_mask(SCENE, VIEW, size=size)
    for index, thing in enumerate(SCENE.objects):
        x, y = picture_point(VIEW, (*thing.position, 0.8 * thing.radius), size)
        assert mask[int(y), int(x)] == index + 1
    x, y = picture_point(VIEW, (2.5, 0.3, 0.0), size)
    assert mask[int(y), int(x)] == 0


def test_lids_and_sides_of_cylinders_are_one_object() -> None:
    scene = Scene((Object("cylinder", "blue", "metal", "large", (0.0, 0.0)),))
    mask = instance_mask(scene, VIEW, size=(160, 120))
    x, y = picture_point(VIEW, (0.0, 0.0, 1.4), (160, 120))
    assert mask[int(y), int(x)] == 1
    assert set(np.unique(mask)) == {0, 1}


def test_box_surrounds_exactly_the_visible_pixels() -> None:
    mask = instance_mask(SCENE, VIEW)
    for index in range(len(SCENE.objects)):
        x, y, width, height = box(mask, index)
        inside = np.zeros(mask.shape, dtype=bool)
        inside[y : y + height, x : x + width] = True
        seen = mask == index + 1
        assert not (seen & ~inside).any()
        assert seen[:, x].any()
        assert seen[:, x + width - 1].any()
        assert seen[y].any()
        assert seen[y + height - 1].any()
    assert box(mask, 7) is None


def test_remembered_masks_cannot_be_spoiled() -> None:
    with pytest.raises(ValueError, match="read-only"):
        instance_mask(SCENE, VIEW)[0, 0] = 1


def test_hidden_and_outside_objects_are_not_visible() -> None:
    assert visible(SCENE, VIEW)
    away = np.array(CAMERA[:2]) / np.hypot(*CAMERA[:2])
    behind = Object("cube", "gray", "rubber", "small", tuple((-0.9 * away).tolist()))
    front = Object("cylinder", "green", "rubber", "large", tuple((0.6 * away).tolist()))
    assert visible(Scene((behind,)), VIEW)
    assert not visible(Scene((behind, front)), VIEW)
    assert not visible(Scene((front, behind)), VIEW)
    assert not visible(Scene((Object("sphere", "red", "metal", "large", (-30.0, 9.0)),)), VIEW)
    assert not visible(SCENE, VIEW, minimum=0.5)


@pytest.mark.parametrize("size", [(64, 64), (96, 48), (48, 64)])
def test_other_shapes_of_picture_show_at_least_the_4_by_3_frame(size: tuple[int, int]) -> None:
    corner = Scene((Object("sphere", "red", "rubber", "small", (1.0, 3.4)),))
    reference = np.count_nonzero(instance_mask(corner, VIEW, size=(160, 120))) > 0
    assert reference
    assert instance_mask(corner, VIEW, size=size).shape == size[::-1]
    assert instance_mask(corner, VIEW, size=size).any()


def test_the_colors_are_told_apart_and_from_the_ground() -> None:
    """Matte spheres: mean colours differ by at least 18 in CIE-like opponent axes (8-bit values)."""
    means = []
    for color in COLORS:
        scene = Scene((Object("sphere", color, "rubber", "large", (0.0, 0.0)),))
        pixels = render(scene, VIEW, size=SMALL, samples=4).astype(float)
        means.append(pixels[instance_mask(scene, VIEW, size=SMALL) == 1].mean(axis=0))
    means.append(pixels[40:, :].reshape(-1, 3).mean(axis=0))
    for i, first in enumerate(means):
        for second in means[i + 1 :]:
            assert np.abs(first - second).max() > 18
    assert set(COLOR) == set(COLORS)


def test_metal_has_brighter_spots_than_rubber() -> None:
    spots = {}
    for material in ("rubber", "metal"):
        scene = Scene((Object("sphere", "blue", material, "large", (0.0, 0.0)),))
        pixels = render(scene, VIEW, size=(160, 120), samples=4).astype(float).mean(axis=2)
        x, y, width, height = box(instance_mask(scene, VIEW, size=(160, 120)), 0)
        inner = pixels[y + height // 5 : y + height * 4 // 5, x + width // 5 : x + width * 4 // 5]
        spots[material] = inner.max() - np.median(inner)
    assert spots["metal"] > 2 * spots["rubber"]


def test_without_the_denoiser_rendering_is_raw_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(renderer, "denoiser_available", lambda: False)
    renderer.say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        pictures = [render(SCENE, VIEW, size=SMALL, samples=4) for _ in range(2)]
    assert len(caplog.records) == 1
    assert "mitsuba-oidn is not installed" in caplog.text
    assert np.array_equal(pictures[0], render(SCENE, VIEW, size=SMALL, samples=4, denoise=False))


def test_denoising_on_request_without_the_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match="pip install mitsuba-oidn"):
        renderer.open_image_denoise()
