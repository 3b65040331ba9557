"""Fixtures that several areas share."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

FOLDERS = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}


# Two test processes share the cores; threads on top of that only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Time is never what a test is about: a loaded machine may be slow.
settings.register_profile("kit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kit")


@pytest.fixture
def small_world(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data set in the CLEVR-Change layout: ten scenes of noise, ids with holes, one id in no split.

    Scene 13 is in no split, 3 and 10 to 12 do not exist; two captions per scene and family.
    """

    def make(folder: str = "world", *, reversed_captions: bool = True, pictures: bool = True) -> Path:
        root = tmp_path / folder
        root.mkdir()
        scenes = [0, 1, 2, 4, 5, 6, 7, 8, 9, 13]
        rng = np.random.default_rng(0)
        for kind, name in FOLDERS.items():
            (root / name).mkdir()
            for scene in scenes if pictures else []:
                pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"CLEVR_{kind}_{scene:06d}.png")
        colors = ["red", "blue", "green", "cyan", "brown"]
        types = ["color", "material", "add", "drop", "move"]

        def listing(first: str, second: str) -> dict[str, list[str]]:
            return {
                f"CLEVR_default_{scene:06d}.png": [
                    first.format(colors[scene % 5]),
                    second.format(colors[scene % 5]),
                ]
                for scene in scenes
            }

        files = {
            "change_captions": listing(
                "the {} cube has appeared", "a {} cube was newly placed; look, there."
            ),
            "no_change_captions": listing("no change was made near {}", "the two scenes seem identical, {}"),
            "splits": {"train": [0, 1, 2, 4, 5, 6], "val": [7, 8], "test": [9]},
            "type_mapping": {
                type_: [f"{s:06d}.png" for s in scenes if s % 5 == k] for k, type_ in enumerate(types)
            },
        }
        if reversed_captions:
            files["reversed_captions"] = listing("the {} cube is gone", "the {} cube is no longer there")
        for name, content in files.items():
            (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return root

    return make


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set of `tests.tiny_world`, for tests that do not change it."""
    from tests.tiny_world import make_world  # not before the annotations are checked

    return make_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture
def two_stages(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a configuration of the tiny system with two stages, with overrides."""
    import idc.systems
    from idc.config import load_config
    from tests.two_stages import module, write_two_stages

    monkeypatch.setitem(sys.modules, "idc.systems.two_stages", module())
    monkeypatch.setitem(idc.systems.SYSTEMS, "two_stages", "TwoStages")
    path = write_two_stages(tmp_path / "two.yaml", world)
    return lambda *overrides: load_config(path, overrides)


@pytest.fixture(scope="session")
def without() -> Callable[[str, str], None]:
    """Skips a test that needs something this machine lacks; in CI, where it must not be lacking, fails it."""

    def stop(what: str, way_out: str) -> None:
        if os.environ.get("CI"):
            pytest.fail(f"{what}; {way_out}")
        pytest.skip(f"{what}; {way_out}")

    return stop


@pytest.fixture(scope="module")
def browser(without: Callable[[str, str], None]) -> Iterator[Any]:
    """A headless Chromium: the system's, or the one of `playwright install chromium`."""
    from playwright.sync_api import Error, sync_playwright

    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=next(filter(None, found), None), args=flags)
        except Error as error:
            first = str(error).strip().splitlines()[0]
            without(
                f"no Chromium could be started ({first})",
                "type apt-get install chromium, or .venv/bin/playwright install chromium",
            )
        yield chromium
        chromium.close()
