"""Spot-the-Diff and Image-Editing-Request in their published formats, as readers and through every command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from idc.backbones import load_backbone
from idc.captioner.search import Search
from idc.config import DataConfig, TrainSplitConfig, load_config
from idc.data import LISTED, kind_of_folder, open_data
from idc.data.batch import Batch
from idc.data.clevr_change import ClevrChange, read_labels
from idc.data.features import extract_flat
from idc.data.grids import open_grids
from idc.data.image_editing_request import ImageEditingRequest
from idc.data.listed import ListedPairs, Listing, plain, preprocess_listed
from idc.data.pairs import PairData
from idc.data.spot_the_diff import SpotTheDiff
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.evaluate import evaluate
from idc.test import write_results
from idc.training.checkpoint import find_snapshot, load_system
from idc.training.loop import train
from idc.training.sampler import StepSampler
from idc.training.validate import caption_split
from tests.tiny_pairs import make_editing, make_spot, write
from tests.tiny_world import make_world, write_config

MAKERS: dict[str, Callable[[Path], Path]] = {
    "spot_the_diff": make_spot,
    "image_editing_request": make_editing,
}
KINDS = pytest.mark.parametrize("kind", MAKERS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both sets, preprocessed, the pictures themselves as grids."""
    roots = {}
    for kind, make in MAKERS.items():
        root = roots[kind] = make(tmp_path_factory.mktemp(kind))
        preprocess_listed(root, LISTED[kind].listing(root))
        extract_flat(
            root, root / "features_pixels96", load_backbone("pixels96"), 4, torch.device("cpu"), kind
        )
    return roots


def settings(kind: str, root: Path, **train: Any) -> DataConfig:
    return DataConfig(kind=kind, root=str(root), backbone="pixels96", train=TrainSplitConfig(**train))


def edit(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    records = json.loads(path.read_text(encoding="utf-8"))
    change(records)
    write(path, records)


def test_a_listing_says_what_the_files_say(tmp_path: Path) -> None:
    listing = SpotTheDiff.listing(make_spot(tmp_path))
    assert {split: len(pairs) for split, pairs in listing.pairs.items()} == {"train": 8, "val": 2, "test": 3}
    first = listing.pairs["train"][0]
    assert (first.id, first.before, first.after) == ("0.png", "0.png", "0_2.png")
    assert first.sentences == ("the red square is gone", "a square has left the picture")
    assert (listing.empty, listing.silent) == (3, 1)  # 90 has no other sentence and is left out
    assert listing.pictures("val") == ["20.png", "20_2.png", "21.png", "21_2.png"]

    editing = ImageEditingRequest.listing(make_editing(tmp_path / "editing"))
    pair = editing.pairs["val"][0]
    assert (pair.id, pair.before, pair.after) == (
        "Reddit_20",
        "Reddit.com_20_20.jpg",
        "Reddit.com_20_d20.png",
    )
    assert len(pair.sentences) == 3 and (editing.empty, editing.silent) == (0, 0)


def test_reformatted_files_say_the_same(tmp_path: Path) -> None:
    raw, merged = (
        SpotTheDiff.listing(make_spot(tmp_path / name, name == "merged")) for name in ("raw", "merged")
    )
    assert raw == merged
    shutil.copy(tmp_path / "raw/val.json", tmp_path / "merged/val.json")  # the raw file is asked first
    edit(tmp_path / "merged/val.json", lambda records: records[0].update(img_id="77"))
    assert SpotTheDiff.listing(tmp_path / "merged").pairs["val"][0].id == "77.png"


def test_one_pair_under_two_names_is_counted(tmp_path: Path) -> None:
    root = make_editing(tmp_path)
    assert ImageEditingRequest.listing(root).shared() == 0
    pair = json.loads((root / "train.json").read_text(encoding="utf-8"))[0]
    for name in ("valid", "test"):
        edit(root / f"{name}.json", lambda records: records[1].update(img0=pair["img0"], img1=pair["img1"]))
    assert ImageEditingRequest.listing(root).shared() == 1
    assert preprocess_listed(root, ImageEditingRequest.listing(root)).shared == 1


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Change the man's T-shirt!", "change the mans tshirt"),
        (' Crop  it, make it "black & white". ', "crop it make it black white"),
        ("sign_post 3/4", "sign post 3 4"),
        ("Café <START>", "café start"),
        (" .,! ", ""),
    ],
)
def test_plain_sentences(sentence: str, expected: str) -> None:
    assert plain(sentence) == expected


def test_labels_and_references(made: dict[str, Path]) -> None:
    root = made["image_editing_request"]
    vocabulary = Vocabulary.from_json(root / "transformer_vocab.json")
    train = {"a", "add", "blue", "green", "red", "square", "yellow"}
    assert set(vocabulary.words[4:]) == train | {"change", "the", "mans", "tshirt"}, "words of all splits"
    family = read_labels(root / "transformer_labels.hdf5")[""]
    assert family.image_ids == tuple(sorted(family.image_ids)) and len(family.image_ids) == 10
    place = family.image_ids.index("Reddit_20")
    said = [vocabulary.decode(row) for row in family.rows(place).tolist()]
    assert said == ["add a red square", "add the red square", "change the mans tshirt"]
    written = json.loads((root / "total_change_captions_reformat.json").read_text(encoding="utf-8"))
    truth = [note["caption"] for note in written["annotations"] if note["image_id"] == "Reddit_20"]
    assert truth == ["add a red square", 'Add the "red" square', "Change the man's T-shirt!"]


def test_lengths(tmp_path: Path) -> None:
    listing = SpotTheDiff.listing(make_spot(tmp_path))
    found = preprocess_listed(tmp_path, listing)
    assert (found.longest, found.cut, found.captions) == (8, 0, 26)
    assert (found.empty, found.silent, found.shared) == (3, 1, 0)
    assert read_labels(tmp_path / "transformer_labels.hdf5")[""].labels.shape == (26, 8)
    with pytest.raises(UserError, match=r"caption of “0\.png” has 7 tokens .* more than 6: .*--max-length 7"):
        preprocess_listed(tmp_path, listing, 6)
    assert preprocess_listed(tmp_path, listing, 6, cut=True).cut == 26
    with pytest.raises(UserError, match="leaves no room"):
        preprocess_listed(tmp_path, listing, 2)
    with pytest.raises(UserError, match=r"train split .* has no sentences"):
        preprocess_listed(tmp_path, Listing({**listing.pairs, "train": []}, 0, 0))


@KINDS
def test_items_are_the_pictures_and_their_sentences(made: dict[str, Path], kind: str) -> None:
    root = made[kind]
    data = open_data(settings(kind, root), "train", seed=3)
    assert isinstance(data, LISTED[kind]) and isinstance(data, PairData)
    assert len(data) == len(data.image_ids()) == len(data.references())
    backbone = load_backbone("pixels96")
    for number, pair in enumerate(data.pairs):
        item = data[number]
        assert item.image_id == pair.id
        for grid, name in ((item.before, pair.before), (item.after, pair.after)):
            with Image.open(root / "images" / name) as image:
                expected = backbone(backbone.preprocess(image.convert("RGB"))[None])[0]
            np.testing.assert_allclose(grid, expected.numpy(), atol=5e-4)  # half precision
        assert not np.array_equal(item.before, item.after)
        assert len(item.words) == data.longest and item.words[0] == Vocabulary.START
        assert data.vocabulary.decode(item.words.tolist()) in data.references()[pair.id]


def test_sentences_are_drawn_anew_in_every_epoch_and_evenly(made: dict[str, Path]) -> None:
    config = settings("spot_the_diff", made["spot_the_diff"])
    data, again, other = (open_data(config, "train", seed) for seed in (3, 3, 4))
    words = np.array([[data[(epoch, i)].words for i in range(8)] for epoch in range(40)])
    assert np.array_equal(words, [[again[(epoch, i)].words for i in range(8)] for epoch in range(40)])
    assert not np.array_equal(words, [[other[(epoch, i)].words for i in range(8)] for epoch in range(40)])
    first = np.array([[said[2] == data.vocabulary.index["square"] for said in epoch] for epoch in words])
    assert 0.4 < first.mean() < 0.6  # 320 draws of two sentences
    assert all(0 < each < 40 for each in first.sum(0))
    fewer = open_data(settings("spot_the_diff", made["spot_the_diff"], max_samples=3), "train", 3)
    assert isinstance(fewer, SpotTheDiff) and len(fewer) == 3
    for number, name in enumerate(fewer.image_ids()):
        twin = data.image_ids().index(name)
        assert np.array_equal(fewer[(5, number)].words, data[(5, twin)].words), (
            "a smaller choice draws the same"
        )


def test_batches_have_one_pass(made: dict[str, Path]) -> None:
    data = open_data(settings("spot_the_diff", made["spot_the_diff"]), "train", 0)
    batch = data.collate([data[i] for i in (2, 5)])
    assert batch.no_change is None and len(batch) == 2
    assert batch.passes() == (batch.change,) and batch.change.image_ids == ("2.png", "5.png")
    assert batch.change.before.shape == batch.change.after.shape == (2, 3, 96, 96)
    assert batch.change.before.dtype == torch.float32 and batch.change.words.shape == (2, data.longest)
    moved = batch.to("cpu")
    assert isinstance(moved, Batch) and moved.no_change is None
    assert torch.equal(moved.change.after, batch.change.after)


def test_workers_give_the_same_batches(made: dict[str, Path]) -> None:
    data: Any = open_data(settings("spot_the_diff", made["spot_the_diff"]), "train", 0)

    def batches(workers: int) -> list[Batch]:
        sampler = StepSampler(len(data), 4, 0, 0, 4)
        return list(DataLoader(data, batch_sampler=sampler, collate_fn=data.collate, num_workers=workers))

    for alone, worked in zip(batches(0), batches(1), strict=True):
        assert alone.change.image_ids == worked.change.image_ids
        assert torch.equal(alone.change.words, worked.change.words)
        assert torch.equal(alone.change.after, worked.change.after)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "train",
            lambda r: r[1].update(sentences="text"),
            r"entry 1, counted from 0, is not of the form.*img_id",
        ),
        ("train", lambda r: r[2].pop("img_id"), r"entry 2.*correct it"),
        ("val", lambda r: r[0].update(img_id=20), r"val\.json: entry 0"),
        ("test", lambda r: r.clear(), r"test\.json is not a list of pairs"),
        ("test", lambda r: r[0].update(img_id="../x"), r"“\.\./x\.png” .* is not the name of a picture"),
        ("val", lambda r: r[0].update(img_id="3"), r"1 ids stand in two splits.*3\.png \(train and val\)"),
    ],
)
def test_broken_listings(tmp_path: Path, file: str, change: Callable[..., Any], said: str) -> None:
    root = make_spot(tmp_path)
    edit(root / f"{file}.json", change)
    with pytest.raises(UserError, match=said):
        SpotTheDiff.listing(root)


def test_many_ids_in_two_splits_are_counted(tmp_path: Path) -> None:
    shutil.copy(make_spot(tmp_path) / "train.json", tmp_path / "test.json")
    with pytest.raises(UserError, match=r"8 ids stand in two splits.*0\.png \(train and test\).* and 3 more"):
        SpotTheDiff.listing(tmp_path)


def test_other_listing_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.json is missing; .*--what spot_the_diff"):
        SpotTheDiff.listing(tmp_path)
    root = make_editing(tmp_path)
    (root / "val.json").write_text("[]", encoding="utf-8")
    (root / "valid.json").write_text("[{", encoding="utf-8")
    with pytest.raises(UserError, match=r"valid\.json is not valid JSON"):
        ImageEditingRequest.listing(root)
    root = make_editing(tmp_path)
    edit(root / "train.json", lambda records: records[1].update(uid=records[0]["uid"]))
    with pytest.raises(UserError, match=r"“Reddit_0” stands for .* an id belongs to one pair"):
        ImageEditingRequest.listing(root)


def test_missing_pictures_are_counted_and_named(tmp_path: Path) -> None:
    root = make_spot(tmp_path)
    arguments = (root, root / "out", load_backbone("pixels96"), 4, torch.device("cpu"), "spot_the_diff")
    for i in range(7):
        (root / "images" / f"{i}_2.png").unlink()
    with pytest.raises(
        UserError, match=r"7 pictures .* are not in .*images: 0_2\.png, 1_2\.png.* and 2 more"
    ):
        extract_flat(*arguments)
    shutil.rmtree(root / "images")
    with pytest.raises(UserError, match=r"26 pictures of the listings"):
        extract_flat(*arguments)
    assert not (root / "out").exists()


def test_features_labels_and_words_must_belong_together(made: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "spot"
    shutil.copytree(made["spot_the_diff"], root)
    whole = settings("spot_the_diff", root)
    edit(root / "train.json", lambda records: records.append({"img_id": "8", "sentences": ["new"]}))
    with pytest.raises(
        UserError, match=r"1 pairs of the train split have no caption .*8\.png.*--kind spot_the_diff"
    ):
        open_data(whole, "train", 0)
    preprocess_listed(root, SpotTheDiff.listing(root))
    with pytest.raises(
        UserError, match=r"1 pairs .* no features .*8\.png; .*--root .*/spot --backbone pixels96` makes"
    ):
        open_data(whole, "train", 0)
    shutil.copy(made["spot_the_diff"] / "transformer_vocab.json", root)
    with pytest.raises(UserError, match="another vocabulary"):
        open_data(whole, "val", 0)
    with pytest.raises(UserError, match=r"reversal .* spot_the_diff has no sentences"):
        open_data(settings("spot_the_diff", root, reversal=0.5), "train", 0)


def test_the_files_of_another_kind(made: dict[str, Path], tmp_path: Path) -> None:
    world, spot = make_world(tmp_path / "world"), made["spot_the_diff"]
    listed, numbered = (read_labels(root / "transformer_labels.hdf5") for root in (spot, world))
    words, others = (Vocabulary.from_json(root / "transformer_vocab.json") for root in (spot, world))
    with pytest.raises(UserError, match=r"without distractors \(data\.kind\?\)"):
        ClevrChange(world, "train", open_grids(world / "features_tiny", "train"), listed, words)
    with pytest.raises(UserError, match="8 pairs of the train split have no caption"):
        SpotTheDiff(spot, "train", open_grids(spot / "features_pixels96", "train"), numbered, others)


def test_a_folder_says_what_it_holds(made: dict[str, Path], tmp_path: Path) -> None:
    assert {kind: kind_of_folder(root) for kind, root in made.items()} == {kind: kind for kind in MAKERS}
    assert kind_of_folder(make_spot(tmp_path, merged=True)) == "spot_the_diff"
    assert (
        kind_of_folder(make_world(tmp_path / "world")) == kind_of_folder(tmp_path / "none") == "clevr_change"
    )


def test_data_sets_of_listings_have_their_kinds() -> None:
    assert set(LISTED) == set(MAKERS)
    assert all(issubclass(reader, ListedPairs) and reader.kind == kind for kind, reader in LISTED.items())


def two_steps(folder: Path, root: Path, kind: str) -> Path:
    """A configuration of two steps on such a set, with the bundled backbone's grids."""
    return write_config(
        folder / "tiny.yaml",
        root,
        data={"kind": kind, "root": str(root), "backbone": "rendered", "train": {"batch_size": 4}},
        train={"steps": 2, "snapshot_every": 2, "accelerator": "cpu"},
    )


def run(*arguments: str | Path, cwd: Path) -> str:
    """A command's output; its errors where it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_whole_way_by_command(tmp_path: Path) -> None:
    """Listings and pictures; captions and features; two steps of training; captions of the test split; scores."""
    root = make_spot(tmp_path / "data")
    scripts = Path(__file__).parents[2] / "data_scripts"
    said = run(scripts / "preprocess_captions.py", "--root", root, "--kind", "spot_the_diff", cwd=tmp_path)
    assert "26 captions" in said and "3 captions without a word were left out, and 1 pairs" in said
    run(scripts / "extract_features.py", "--root", root, "--device", "cpu", cwd=tmp_path)
    run("-m", "idc.train", "--cfg", two_steps(tmp_path, root, "spot_the_diff"), cwd=tmp_path)
    assert json.loads((tmp_path / "runs/tiny/best.json").read_text(encoding="utf-8"))["metric"] == "CIDEr"
    run("-m", "idc.test", "--run", tmp_path / "runs/tiny", cwd=tmp_path)
    results = tmp_path / "runs/tiny/test/2"
    assert [file.name for file in results.iterdir()] == ["sc_results.json"]
    rows = json.loads((results / "sc_results.json").read_text(encoding="utf-8"))
    assert [row["image_id"] for row in rows] == ["40.png", "41.png", "42.png"]
    scored = ("--metrics", "BLEU,ROUGE-L,CIDEr", "--tokenizer", "split", "--out", "metrics.json")
    run("-m", "idc.evaluate", "--results", results, "--anno", root, *scored, cwd=tmp_path)
    report = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert set(report) == {"all"} and "CIDEr" in report["all"]


def test_training_on_editing_requests(tmp_path: Path) -> None:
    """The same in this process; val and test have words that the train split lacks."""
    root = make_editing(tmp_path / "data")
    kind = ImageEditingRequest.kind
    preprocess_listed(root, ImageEditingRequest.listing(root))
    backbone = load_backbone("rendered")
    extract_flat(root, root / "features_rendered", backbone, 4, torch.device("cpu"), kind)
    config = load_config(two_steps(tmp_path, root, kind))
    run_folder = train(config)
    losses = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert any("val/CIDEr" in line for line in losses)
    captions = caption_split(
        load_system(find_snapshot(run_folder, "best")), open_data(config.data, "test", 0), 2, Search()
    )
    assert list(captions) == ["Reddit_40", "Reddit_41"]
    write_results(tmp_path / "results", captions)
    (tmp_path / "results/nsc_results.json").write_text("[]", encoding="utf-8")
    write_results(tmp_path / "results", captions)
    assert not (tmp_path / "results/nsc_results.json").exists(), "left by results of another data set"
    report = evaluate(tmp_path / "results", root, metrics=("CIDEr",), tokenizer="split")
    assert set(report) == {"all"}
