"""What the notebook on CLIP4IDC reads: recorded from a tiny run here, and as it lies in the kit."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_scripts import record_retrieval as script
from idc.config import Config, load_config
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.metrics.retrieval import retrieval_report
from idc.systems.clip4idc import CLIP4IDC
from idc.training.checkpoint import find_snapshot, load_system
from idc.training.loop import open_split, train
from idc.training.validate import Embedded, caption_ids, embed_split
from tests.test_retrieve_command import SIZE, make_clip
from tests.tiny_world import make_world, write_config

ROOT = Path(__file__).parent.parent.parent
VIEWS = ("single", "start", "adapted", "swapped", "shuffled")
TRAINING: dict[str, Any] = {
    "stages": [{"stage": "caption", "steps": 6, "batch_size": 4}],
    "training_scenes": 20,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose stage “adapt” is finished."""
    folder = tmp_path_factory.mktemp("run")
    root = make_world(folder / "data", scenes=30, shape=(3, SIZE, SIZE))
    words = Vocabulary.from_json(root / "transformer_vocab.json").words
    model = {"clip": str(make_clip(folder / "clip.safetensors", words)), "architecture": None}
    model |= {"intra_layers": 1, "layers": 1, "heads": 2, "hidden": 16, "max_words": 8, "clip_rate": 1.0}
    own = {"train": {"steps": 4, "snapshot_every": 2, "best_metric": "retrieval.text_to_pair.R@1"}}
    settings = {"system": "clip4idc", "model": model, "stages": {"adapt": own}}
    config = load_config(write_config(folder / "tiny.yaml", root, **settings), ["stage=adapt"])
    train(config)
    return config.run_folder.parent


@pytest.fixture(scope="module")
def config(run: Path) -> Config:
    return load_config(run / "adapt" / "config.yaml")


@pytest.fixture(scope="module")
def recorded(run: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    return script.record_run(run / "adapt")


def test_arrays_belong_together(recorded: tuple[dict[str, np.ndarray], dict[str, Any]]) -> None:
    arrays, _ = recorded
    pairs, captions = len(arrays["scenes"]), len(arrays["captions"])
    assert pairs == 5 and captions == 10 and list(arrays["types"]) == ["move"] * pairs
    assert all(arrays[name].shape == (captions, pairs) for name in VIEWS)
    assert arrays["owner"][arrays["asked"]].tolist() == list(range(pairs))
    picture = Image.open(io.BytesIO(arrays["pictures"].tobytes()))
    assert picture.size == (2 * SIZE, pairs * SIZE)


def test_figures_are_those_of_the_snapshot(
    run: Path, config: Config, recorded: tuple[dict[str, np.ndarray], dict[str, Any]]
) -> None:
    _, figures = recorded
    system, data = load_system(find_snapshot(run / "adapt", "best")), open_split(config, "test")
    found = embed_split(system, data, 4)
    assert figures["test"]["adapted"] == retrieval_report(
        found.texts, found.pairs, found.owner, found.captions
    )
    assert [step for step, _ in figures["curve"]] == [0, 2, 4]
    assert figures["by_type"]["adapted"]["move"] == pytest.approx(
        figures["test"]["adapted"]["text_to_pair"]["R@1"]
    )


def test_each_view_shows_what_it_says(
    run: Path, config: Config, recorded: tuple[dict[str, np.ndarray], dict[str, Any]]
) -> None:
    arrays, _ = recorded
    data = open_split(config, "test")
    batch = data.collate(
        [data[0], data[1], data[2], data[3]]
    ).change  # a batch of the test split, as configured
    system = load_system(find_snapshot(run / "adapt", "best"))
    with torch.inference_mode():
        text = system.embed_words(batch.words[:1])[0]
    first = list(arrays["captions"]).index(data.vocabulary.decode(batch.words[0].tolist()[1:]))
    before, after = batch.before, batch.after
    for name, first_before, first_after in (
        ("adapted", before[0], after[0]),
        ("swapped", after[0], before[0]),
        ("shuffled", before[3], after[0]),
    ):
        with torch.inference_mode():
            vector = system.embed_pairs(
                type(batch)(first_before[None], first_after[None], batch.words[:1], batch.image_ids[:1])
            )[0]
        assert arrays[name][first, 0] == pytest.approx(float(text @ vector), abs=1e-5), name
    assert not np.allclose(arrays["start"], arrays["adapted"], atol=1e-4)


def test_captions_are_held_against_their_own_scene_without_a_change(
    run: Path, config: Config, recorded: tuple[dict[str, np.ndarray], dict[str, Any]]
) -> None:
    system, data = load_system(find_snapshot(run / "adapt", "best")), open_split(config, "test")
    assert isinstance(system, CLIP4IDC)
    nearer = []
    with torch.inference_mode():
        for number in range(5):
            batch = data.collate([data[number]])
            own, other = (
                system.embed_pairs(pairs)[0] for pairs in (batch.change, batch.no_change) if pairs is not None
            )
            for caption in data.references()[batch.change.image_ids[0]]:
                text = system.embed_words(caption_ids([caption], system.vocabulary, data.longest))[0]
                nearer.append(float(text @ own > text @ other))
    _, figures = recorded
    share = pytest.approx(100 * np.mean(nearer))
    assert figures["beside_unchanged"]["adapted"] == {"move": share, "all": share}
    assert set(figures["beside_unchanged"]) == {"start", "adapted"}
    found = embed_split(system, data, 4)
    level = replace(found, texts=torch.zeros_like(found.texts))
    assert script.beside_unchanged(system, level, data, ["move"] * 5, 4) == {"move": 50, "all": 50}


def embedded(captions: dict[int, list[str]]) -> Embedded:
    """Captions of pairs with vectors that do not matter."""
    owner = [pair for pair, said in captions.items() for _ in said]
    return Embedded(
        torch.zeros(len(owner), 2),
        torch.zeros(len(captions), 2),
        torch.tensor(owner),
        tuple(text for said in captions.values() for text in said),
        tuple(map(str, captions)),
    )


def test_sentences_that_stand_twice_are_chosen_first() -> None:
    captions = {pair: [f"a {pair}", f"b {pair}"] for pair in range(40)}
    captions[7].append("twice")
    captions[30].insert(0, "twice")
    types = [("add", "drop", "move", "color")[pair % 4] for pair in range(40)]
    found = embedded(captions)
    chosen, asked = script.choose(found, types)
    assert len(chosen) == script.PAIRS and chosen == sorted(chosen) and {7, 30} <= set(chosen)
    assert [found.owner[place] for place in asked] == chosen
    sentences = dict(zip(chosen, (found.captions[place] for place in asked), strict=True))
    assert sentences[7] == sentences[30] == "twice" and sentences[0] == "a 0"
    counts = [[types[pair] for pair in chosen].count(kind) for kind in set(types)]
    assert max(counts) - min(counts) <= 1


def test_no_more_twins_than_three_and_of_different_types() -> None:
    captions = {pair: [f"twice {pair // 2}", f"own {pair}"] for pair in range(20)}
    types = ["add"] * 12 + ["drop"] * 4 + ["move"] * 4
    found = embedded(captions)
    chosen, asked = script.choose(found, types)
    said = [found.captions[place] for place in asked]
    assert {said[chosen.index(pair)] for pair in (0, 12, 16)} == {"twice 0", "twice 6", "twice 8"}


def test_a_small_split_is_taken_whole() -> None:
    assert script.choose(embedded({0: ["a"], 1: ["b"]}), ["", ""]) == ([0, 1], [0, 1])


def test_claims_repeat_more_often_than_words() -> None:
    class Data:
        def image_ids(self) -> tuple[str, ...]:
            return ("0", "1")

        def references(self) -> dict[str, list[str]]:
            said = ["the small red metal ball was moved", "someone moved it"]
            return {"0": said, "1": ["the tiny red shiny sphere was moved", said[1]], "0_n": ["no change"]}

    found = script.repeats(Data())  # type: ignore[arg-type]
    assert found["sentences"].tolist() == [2, 1, 1] and found["statements"].tolist() == [2, 2]


def test_a_large_picture_is_shrunk() -> None:
    picture = torch.rand(3, 224, 224)
    image = Image.open(io.BytesIO(script.strip([(picture, picture)] * 2).tobytes()))
    assert image.size == (2 * script.SIDE, 2 * script.SIDE)


def test_figures_of_seeds_and_of_comparisons(tmp_path: Path) -> None:
    seeds = tmp_path / "tried" / "seeds.json"
    seeds.parent.mkdir()
    run = {"step": 3, "selection": 0.5, "val": {"CIDEr": 1.0}, "test": {"CIDEr": 1.5, "BLEU-1": 0.7}}
    seeds.write_text(json.dumps({"metric": "CIDEr", **TRAINING, "seeds": {"4": run}}))
    comparison = tmp_path / "comparison.json"
    other = {"label": "A", "parameters": 9, **TRAINING, "seeds": {"0": {"step": 3, "CIDEr": 2.0}}}
    comparison.write_text(json.dumps({"systems": [other]}))
    assert script.record_figures([seeds, comparison]) == [
        {
            "label": "tried",
            "metric": "CIDEr",
            **TRAINING,
            "seeds": [{"seed": 4, "selection": 0.5, "test": {"CIDEr": 1.5}}],
        },
        {
            "label": "A",
            "metric": None,
            **TRAINING,
            "seeds": [{"seed": 0, "selection": None, "test": {"CIDEr": 2.0}}],
        },
    ]


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run.*clip4idc/laptop\.yaml"):
        script.record_run(tmp_path / "adapt")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match=r"other\.json holds no figures of seeds"):
        script.record_figures([tmp_path / "other.json"])


def test_the_command_writes_all_files(run: Path, tmp_path: Path) -> None:
    figures = tmp_path / "comparison.json"
    system = {"label": "A", **TRAINING, "seeds": {"0": {"CIDEr": 2.0}}}
    figures.write_text(json.dumps({"systems": [system]}))
    words = [sys.executable, "-m", "data_scripts.record_retrieval", "--run", run, "--figures", figures]
    done = subprocess.run([*words, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("KiB") == 3
    with np.load(tmp_path / "retrieval.npz", allow_pickle=False) as arrays:
        assert set(VIEWS) <= set(arrays.files)
    assert json.loads((tmp_path / "retrieval.json").read_text())["steps"] == 4
    assert json.loads((tmp_path / "seeds.json").read_text())[0]["label"] == "A"


def test_what_lies_in_the_kit(recorded: tuple[dict[str, np.ndarray], dict[str, Any]]) -> None:
    arrays, figures = recorded
    names = ("retrieval.npz", "retrieval.json", "seeds.json")
    assert sum((script.RECORDED / name).stat().st_size for name in names) < 200 * 1024
    with np.load(script.RECORDED / "retrieval.npz", allow_pickle=False) as kept:
        assert set(kept.files) == set(arrays)
        assert len(kept["scenes"]) == script.PAIRS and kept["owner"][kept["asked"]].tolist() == list(
            range(script.PAIRS)
        )
        assert len(set(kept["captions"][kept["asked"]])) < script.PAIRS, (
            "the notebook shows sentences that stand twice"
        )
    written, experiments = (
        json.loads((script.RECORDED / name).read_text()) for name in ("retrieval.json", "seeds.json")
    )
    assert written.keys() == figures.keys()
    assert written["unchanged"] == "negatives", "the notebook says so"
    assert [each["label"] for each in experiments[:2]] == ["unchanged-as-negatives", "unchanged-unused"]
    assert experiments[0]["stages"] == experiments[1]["stages"], "they differ in one setting alone"
    for experiment in experiments:
        assert experiment.keys() == {"label", "metric", *TRAINING, "seeds"} and experiment["seeds"]
