"""`idc.retrieve` on a tiny run of a system with retrieval: its figures, its options, what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from idc import retrieve as command
from idc.config import load_config
from idc.data.captions import preprocess
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.metrics.retrieval import retrieval_report
from idc.retrieve import embed_texts, nearest_captions
from idc.systems.clip4idc.clip import Plan
from idc.training.checkpoint import load_system
from idc.training.loop import open_split, train
from idc.training.validate import embed_split
from tests.commands import caller
from tests.tiny_world import make_world, write_config

SIZE, TOWER = 8, {"width": 16, "layers": 2}


def make_clip(path: Path, words: tuple[str, ...]) -> Path:
    """A CLIP with random weights that knows the words."""
    text = {"context_length": 8, "vocab_size": len(words), "heads": 2, "pool_type": "eos", "eos_id": 3}
    vision = {"image_size": SIZE, "patch_size": 4, "head_width": 8}
    plan = Plan({"embed_dim": 16, "vision_cfg": vision | TOWER, "text_cfg": text | TOWER}, words)
    torch.manual_seed(0)
    metadata = {"config": json.dumps(plan.config), "words": json.dumps(words)}
    save_file(plan.build().state_dict(), path, metadata)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and two runs: runs/finds, which has retrieval, and runs/tiny, which has not."""
    folder = tmp_path_factory.mktemp("trained")
    root = make_world(folder / "data", scenes=18, shape=(3, SIZE, SIZE))
    train(load_config(write_config(folder / "tiny.yaml", root)))
    words = Vocabulary.from_json(root / "transformer_vocab.json").words
    model = {
        "clip": str(make_clip(folder / "clip.safetensors", words)),
        "architecture": None,
        "intra_layers": 1,
    }
    own = {"layers": 1, "heads": 2, "hidden": 16, "max_words": 8, "clip_rate": 1.0}
    stages = {
        "adapt": {"train": {"steps": 2, "snapshot_every": 2, "best_metric": "retrieval.text_to_pair.R@1"}}
    }
    config = {"system": "clip4idc", "exp_name": "finds", "model": model | own, "stages": stages}
    train(load_config(write_config(folder / "finds.yaml", root, **config)))
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


call = caller(command)


def test_the_command_line_reports_what_the_vectors_say(place: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "idc.retrieve",
        "--run",
        "runs/finds",
        "--snapshot",
        "6",
        "stage=caption",
        "--out",
        "figures.json",
    ]
    done = subprocess.run(line, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((place / "figures.json").read_text(encoding="utf-8"))
    assert [report[name] for name in ("system", "stage", "step", "split")] == [
        "clip4idc",
        "caption",
        6,
        "test",
    ]
    assert "the stage “caption” does not train retrieval" in done.stderr
    assert (
        "6 captions (4 distinct) of 3 pairs" in done.stdout and "figures are in figures.json" in done.stdout
    )

    system = load_system(place / "runs/finds/snapshots/6")
    data = open_split(load_config(place / "runs/finds/config.yaml"), "test")
    with torch.inference_mode():
        pairs = torch.cat([system.embed_pairs(data.collate([data[i]]).change) for i in range(len(data))])
    captions = [caption for name in data.image_ids() for caption in data.references()[name]]
    texts = embed_texts(system, captions)
    expected = retrieval_report(texts, pairs, torch.tensor([0, 0, 1, 1, 2, 2]), captions)
    assert {name: report[name] for name in expected} == expected
    assert expected["ceiling"]["text_to_pair"]["R@1"] == pytest.approx(
        100 * 4 / 6
    )  # “it moved” is said of all three


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--run", "runs/finds"], "runs/finds/adapt/test/2/retrieval.json"),
        (["--run", "runs/finds", "stage=caption"], "runs/finds/test/3/retrieval.json"),
        (
            ["--run", "runs/finds", "--snapshot", "last", "--split", "val"],
            "runs/finds/adapt/val/2/retrieval.json",
        ),
        (["--run", "runs/finds/adapt", "--split", "train"], "runs/finds/adapt/train/2/retrieval.json"),
        (["--cfg", "finds.yaml", "runs=runs", "data.test.max_samples=2", "--out", "two.json"], "two.json"),
    ],
)
def test_options(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], file: str) -> None:
    (place / "runs/finds/best.json").write_text(
        '{"step": 3, "metric": "CIDEr", "value": 1}', encoding="utf-8"
    )
    assert call(monkeypatch, *arguments) == 0
    report = json.loads((place / file).read_text(encoding="utf-8"))
    assert report["pairs"] == (2 if "two.json" in arguments else 12 if "train" in arguments else 3)
    assert report["captions"] == 2 * report["pairs"]
    assert report["stage"] == ("caption" if "stage=caption" in arguments else "adapt")


def test_the_train_split_is_looked_at_as_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    for swap in ("0", "1"):
        assert (
            call(
                monkeypatch,
                "--run",
                "runs/finds",
                "--split",
                "train",
                f"data.train.swap={swap}",
                "--out",
                swap,
            )
            == 0
        )
        reports.append((place / swap).read_text(encoding="utf-8"))
    assert reports[0] == reports[1]


def test_data_that_number_their_words_otherwise(place: Path) -> None:
    system, config = (
        load_system(place / "runs/finds/snapshots/6"),
        load_config(place / "finds.yaml", ["data.root=data"]),
    )
    before = embed_split(system, open_split(config, "test"), 4)
    captions = json.loads((place / "data/change_captions.json").read_text(encoding="utf-8"))
    captions["CLEVR_default_000000.png"].append(
        "an aardvark moved"
    )  # in the training split: it comes first of all words
    (place / "data/change_captions.json").write_text(json.dumps(captions), encoding="utf-8")
    preprocess(place / "data")
    data = open_split(config, "test")
    assert data.vocabulary.index["it"] != system.vocabulary.index["it"]
    assert torch.equal(embed_split(system, data, 4).texts, before.texts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "runs/tiny"], "ScorerCBR has no retrieval"),
        (["--run", "runs/none"], "runs/none is no run"),
        (["--run", "runs/finds", "--snapshot", "4"], "choose last, 2"),
        (["--run", "runs/finds", "data.root=nowhere"], "nowhere"),
        (["--run", "runs/finds", "--device", "toaster"], "--device toaster"),
    ],
)
def test_bad_input(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert call(monkeypatch, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(place.rglob("retrieval.json"))


def test_the_nearest_captions_come_first(place: Path) -> None:
    system = load_system(place / "runs/finds/snapshots/6")
    data = open_split(load_config(place / "runs/finds/config.yaml"), "test")
    pairs = data.collate([data[i] for i in range(3)]).change
    texts = ["the red ball moved", "it moved", "nothing changed", "it moved", "the blue ball moved"]
    with torch.inference_mode():
        cosines = embed_texts(system, texts) @ system.embed_pairs(pairs).T
    for column, nearest in enumerate(nearest_captions(system, pairs, texts, 3)):
        values = {text: cosines[row, column].item() for row, text in enumerate(texts)}
        ranking = sorted(values, key=lambda text: -values[text])[:3]
        assert [text for text, _ in nearest] == ranking
        assert [value for _, value in nearest] == pytest.approx([values[text] for text in ranking], abs=1e-6)
    everything = nearest_captions(system, pairs, texts, 10, embed_texts(system, texts))
    assert [sorted(text for text, _ in nearest) for nearest in everything] == [sorted(set(texts))] * 3


def test_a_word_that_nobody_knows_is_no_obstacle(place: Path) -> None:
    system = load_system(place / "runs/finds/snapshots/6")
    strange, unknown = embed_texts(system, ["the mauve ball moved", "the <UNK> ball moved"])
    assert torch.equal(strange, unknown)


def test_nearest_captions_of_a_system_without_retrieval(place: Path) -> None:
    system = load_system(place / "runs/tiny/snapshots/6")
    data = open_split(load_config(place / "runs/tiny/config.yaml"), "test")
    with pytest.raises(UserError, match="has no retrieval"):
        nearest_captions(system, data.collate([data[0]]).change, ["it moved"])
