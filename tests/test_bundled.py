"""The weights that are part of the kit, tried on scenes that nobody has rendered before."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_scripts.train_clip import read_pictures, try_out
from idc.data.vocabulary import Vocabulary
from idc.show import BUNDLED, Captioner, caption_world
from idc.systems.clip4idc.clip import BUNDLED as CLIP
from idc.systems.clip4idc.clip import load_clip
from idc.world.layout import Settings, read_records, render_world
from idc.world.render import SAMPLES, SIZE

SCENES = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fresh") / "world"
    settings = Settings(seed=424_242, size=SIZE, samples=SAMPLES, denoised=True)
    render_world(root, SCENES, [0, 0, SCENES], settings, workers=1)
    return root


def test_it_is_mostly_right_about_new_scenes(world: Path) -> None:
    rows = caption_world(Captioner(BUNDLED), world, list(range(SCENES)))
    assert sum(bool(row.right) for row in rows) >= 0.6 * SCENES
    assert sum(bool(row.no_change_right) for row in rows) >= 0.8 * SCENES


def test_the_small_clip_finds_sentences_of_new_scenes(world: Path) -> None:
    clip, plan = load_clip("rendered")
    assert plan.words is not None
    assert plan.origin == hashlib.sha256(CLIP.read_bytes()).hexdigest()
    records = read_records(world)
    pictures = read_pictures(world, [records[scene] for scene in range(SCENES)], "new pictures")
    found = try_out(clip, pictures, Vocabulary(plan.words))
    assert found["chance.R@1"] == 100 / SCENES
    assert found["image_to_text.R@1"] >= 40
    assert found["text_to_image.R@1"] >= 40


def test_the_command_captions_any_two_pictures(world: Path, tmp_path: Path) -> None:
    before, after = (
        world / "images" / "CLEVR_default_000000.png",
        world / "sc_images" / "CLEVR_semantic_000000.png",
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "idc.show",
            "--before",
            before,
            "--after",
            after,
            "--out",
            tmp_path / "said.png",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    sentence = Captioner(BUNDLED).say([(before, after)])[0].sentence
    assert result.stdout.strip() == sentence
    assert len(sentence.split()) >= 3
    assert (tmp_path / "said.png").stat().st_size > 10_000


def test_it_is_small_and_says_how_good_it_is() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 5_000_000
    snapshot = json.loads((BUNDLED / "snapshot.json").read_text())
    assert snapshot["metrics"]["facts.statement"] > 0.8
