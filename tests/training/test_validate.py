"""Validation scores: captions against references, and against scene graphs where there are some."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from idc.config import Config, load_config
from idc.errors import UserError
from idc.training.checkpoint import read_best, read_facts
from idc.training.loop import open_split, train
from idc.training.validate import CaptionValidation, check_metric
from idc.world.triple import sample_triple, triple_to_dict
from tests.tiny_world import make_world, write_config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(write_config(tmp_path / "tiny.yaml", make_world(tmp_path / "data")))


def add_scenes(root: Path) -> None:
    """Give the tiny data scene graphs, in no order, and one more that is in no split."""
    triples = [sample_triple(3, index) for index in (11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 12)]
    lines = (json.dumps(triple_to_dict(triple)) + "\n" for triple in triples)
    (root / "scenes.jsonl").write_text("".join(lines), encoding="utf-8")


def test_references_are_all_captions_of_both_pairs(config: Config) -> None:
    assert open_split(config, "val").references() == {
        "000008.png": ["the green ball moved", "it moved"],
        "000009.png": ["the red ball moved", "it moved"],
        "000008.png_n": ["nothing changed"],
        "000009.png_n": ["nothing changed"],
    }


def test_the_references_themselves_score_best(config: Config) -> None:
    validation = CaptionValidation(open_split(config, "val"), Path(config.data.root))
    right = {name: captions[0] for name, captions in validation.references.items()}
    wrong = right | {"000008.png": "it red changed nothing"}
    good, bad = validation.score(right), validation.score(wrong)
    assert good["BLEU-1"] == pytest.approx(1) and good["CIDEr"] > bad["CIDEr"] > 0
    assert good["BLEU-1"] > bad["BLEU-1"]
    silent = validation.score(right | {"000008.png_n": "it red changed nothing"})
    assert (
        bad["change.CIDEr"] < good["change.CIDEr"] == silent["change.CIDEr"]
        and silent["CIDEr"] < good["CIDEr"]
    )
    assert not [name for name in good if name.startswith("facts.")]


def test_facts_where_there_are_scene_graphs(config: Config) -> None:
    add_scenes(Path(config.data.root))
    validation = CaptionValidation(open_split(config, "val"), Path(config.data.root))
    truth = {8: sample_triple(3, 8).sentences[0], 9: sample_triple(3, 9).sentences[0]}
    said = {
        "000008.png": truth[8],
        "000009.png": "nothing changed",
        "000008.png_n": "nothing changed",
        "000009.png_n": truth[9],
    }
    metrics = validation.score(said)
    assert (metrics["facts.statement"], metrics["facts.change_type"], metrics["facts.no_change"]) == (
        0.5,
        0.5,
        0.5,
    )


def test_facts_choose_the_best_snapshot(config: Config, tmp_path: Path) -> None:
    add_scenes(Path(config.data.root))
    run = train(load_config(tmp_path / "tiny.yaml", ["train.best_metric=facts.no_change", "train.steps=3"]))
    best = read_best(run)
    assert best is not None and best["metric"] == "facts.no_change"
    assert read_facts(run / "snapshots/3").metrics["facts.no_change"] == best["value"]


def test_no_java_is_started(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert shutil.which("java") is None
    assert "CIDEr" in read_facts(train(config) / "snapshots/6").metrics


@pytest.mark.parametrize("metric", ["facts.statement", "facts.beauty", "cider", "METEOR"])
def test_a_metric_that_is_not_there_is_said_at_once(config: Config, metric: str) -> None:
    with pytest.raises(UserError, match=metric):
        check_metric(metric, config.present, Path(config.data.root))
