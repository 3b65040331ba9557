"""CLIP4IDC through the loop: both stages, a snapshot that needs no other file, captioning without adaptation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from idc.captioner.search import Search
from idc.config import Config, load_config
from idc.data.vocabulary import Vocabulary
from idc.training.checkpoint import load_system, read_best
from idc.training.loop import open_split, train
from idc.training.validate import caption_split
from tests.systems.clip4idc.tiny import SETTINGS, SIZE, plan, write_clip
from tests.tiny_world import make_world, write_config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    root = make_world(tmp_path / "data", shape=(3, SIZE, SIZE))
    words = Vocabulary.from_json(root / "transformer_vocab.json").words
    write_clip(tmp_path / "clip.safetensors", plan(words=words))
    adapt: dict[str, Any] = {
        "train": {"steps": 4, "snapshot_every": 2, "best_metric": "retrieval.text_to_pair.R@1"},
        "data": {"train": {"swap": 0.5}},
    }
    model = SETTINGS | {"clip": str(tmp_path / "clip.safetensors"), "freeze_layers": -1}
    path = write_config(tmp_path / "tiny.yaml", root, system="clip4idc", model=model, stages={"adapt": adapt})
    return load_config(path)


def weights(run: Path) -> dict[str, torch.Tensor]:
    best = read_best(run)
    assert best is not None
    return load_file(run / "snapshots" / str(best["step"]) / "model.safetensors")


def test_both_stages_and_a_snapshot_that_needs_no_clip(config: Config, tmp_path: Path) -> None:
    run = train(config)
    begun = load_file(tmp_path / "clip.safetensors")
    adapted, captioning = weights(run / "adapt"), weights(run)
    text = "clip.transformer.resblocks.0.mlp.c_fc.weight"
    picture = "clip.visual.conv1.weight"
    assert not torch.equal(adapted[text], begun[text.removeprefix("clip.")].float())
    assert torch.equal(adapted[text], captioning[text]), "captioning leaves the text tower alone"
    assert not torch.equal(adapted[picture], captioning[picture])
    said = []
    for place in ("with", "without"):
        system = load_system(run / "snapshots" / "6")
        said.append(caption_split(system, open_split(config, "val"), 4, Search()))
        assert said[-1], place
        (tmp_path / "clip.safetensors").unlink(missing_ok=True)
    assert said[0] == said[1]


def test_captioning_without_adaptation(config: Config, tmp_path: Path) -> None:
    config = load_config(tmp_path / "tiny.yaml", ["stages.adapt.skip=true"])
    run = train(config)
    assert not (run / "adapt").exists()
    text = "transformer.resblocks.0.mlp.c_fc.weight"
    assert torch.equal(weights(run)[f"clip.{text}"], load_file(tmp_path / "clip.safetensors")[text].float())
