"""The reader: ids from names, choices that depend on nothing but (seed, epoch, scene), errors that name scenes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from idc.data.captions import encode_family, preprocess
from idc.data.clevr_change import ClevrChange, choose_balanced, read_labels
from idc.data.grids import Grids, GridWriter, open_grids
from idc.data.layout import KINDS, picture, read_types, scene_id
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError

World = Callable[..., Path]
SHAPE = (2, 3, 3)
CODES = {kind: number for number, kind in enumerate(KINDS)}


def prepare(root: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """Labels, and grids whose values say which picture they are: the scene's id, in channel 1 the kind."""
    preprocess(root)
    for split, scenes in json.loads((root / "splits.json").read_text(encoding="utf-8")).items():
        names = [picture(kind, scene) for scene in reversed(scenes) for kind in KINDS]
        names = [name for name in names if name not in leave_out]
        with GridWriter(root / "features_tiny" / split, names, SHAPE, {"backbone": "tiny"}) as writer:
            rows = np.zeros((len(names), *SHAPE), np.float32)
            for row, name in zip(rows, names, strict=True):
                row[0], row[1] = scene_id(name), CODES[name.split("_")[1]]
            writer.append(rows)
            writer.finish()
    return root


def load(root: Path, split: str = "train", **options: Any) -> ClevrChange:
    return ClevrChange(
        root,
        split,
        open_grids(root / "features_tiny", split),
        read_labels(root / "transformer_labels.hdf5"),
        Vocabulary.from_json(root / "transformer_vocab.json"),
        **options,
    )


def kind(grid: np.ndarray) -> str:
    return KINDS[int(grid[1, 0, 0])]


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def root(small_world: World) -> Path:
    return prepare(small_world())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_ids_come_from_names(root: Path, split: str) -> None:
    """Every picture and every caption of an item belongs to the scene its id says, holes or not."""
    captions = json.loads((root / "change_captions.json").read_text(encoding="utf-8"))
    data = load(root, split)
    assert data.scene_ids == json.loads((root / "splits.json").read_text(encoding="utf-8"))[split]
    for index, scene in enumerate(data.scene_ids):
        item = data[index]
        assert item.scene == scene
        for grid in (item.before, item.after, item.no_change_before, item.no_change_after):
            assert grid.dtype == np.float16 and grid.shape == SHAPE and int(grid[0, 0, 0]) == scene
        roles = (item.before, item.after, item.no_change_before, item.no_change_after)
        assert [kind(grid) for grid in roles] == ["default", "semantic", "default", "nonsemantic"]
        said = [
            s.replace(";", " ;").replace(",", " ,").replace(".", "")
            for s in captions[picture("default", scene)]
        ]
        words = data.vocabulary.decode(item.words.tolist()).replace("<UNK>", "cyan")  # no cyan in train
        assert words in said


def test_batches_are_named(root: Path) -> None:
    data = load(root)
    batch = ClevrChange.collate([data[i] for i in (2, 5)])
    assert batch.change.image_ids == ("000002.png", "000006.png")
    assert batch.no_change.image_ids == ("000002.png_n", "000006.png_n")
    assert batch.change.before.shape == (2, *SHAPE) and batch.change.words.shape == (2, 24)
    assert batch.change.before.dtype == torch.float32
    batch.change.before.zero_()  # a copy: the store stays as it is
    assert kind(data[5].after) == "semantic"
    assert batch.change.words.dtype == torch.int64 and len(batch) == 2


def test_both_passes_share_the_picture_before(root: Path) -> None:
    """Once in memory, also after a move; not where one of the pairs is played backwards."""
    data = load(root, swap=0.5)
    batch = ClevrChange.collate([data[i] for i in (2, 5)])
    for moved in (batch, batch.to("meta")):
        assert moved.change.before is moved.no_change.before
        assert moved.no_change.after.device == moved.change.before.device
    backwards = load(root, reversal=1.0)
    batch = ClevrChange.collate([data[2], backwards[5]])
    assert batch.change.before is not batch.no_change.before
    assert not torch.equal(batch.change.before[1], batch.no_change.before[1])


def test_choices_depend_on_seed_epoch_and_scene_alone(root: Path) -> None:
    """Order, subset, and the other probability's value change nothing for a scene."""
    data = load(root, swap=0.5, reversal=0.5, seed=3)
    subset = load(root, swap=0.5, reversal=0.5, seed=3, max_samples=3)
    plain = load(root, swap=0.5, seed=3)
    for epoch in range(8):
        forward = [data[(epoch, i)] for i in range(len(data))]
        for i in reversed(range(len(data))):
            np.testing.assert_equal(data[(epoch, i)], forward[i])
        for i, scene in enumerate(subset.scene_ids):
            twin = forward[data.scene_ids.index(scene)]
            np.testing.assert_equal(subset[(epoch, i)], twin)
        for i, item in enumerate(forward):
            assert kind(plain[(epoch, i)].no_change_before) == kind(item.no_change_before)
    others = [load(root, swap=0.5, seed=4)[(e, i)].no_change_before for e in range(8) for i in range(6)]
    mine = [plain[(e, i)].no_change_before for e in range(8) for i in range(6)]
    assert any(kind(a) != kind(b) for a, b in zip(mine, others, strict=True))
    np.testing.assert_equal(data[2], data[(0, 2)])


def test_frequencies(root: Path) -> None:
    """A quarter swapped, half reversed, both captions equally often, all independent (800 draws, 4 sigma)."""
    data = load(root, swap=0.25, reversal=0.5)
    items = [data[(epoch, 1)] for epoch in range(800)]
    swapped = np.array([kind(item.no_change_before) == "nonsemantic" for item in items])
    reverse = np.array([kind(item.before) == "semantic" for item in items])
    first = np.array([tuple(item.words.tolist()) == tuple(items[0].words.tolist()) for item in items])
    assert abs(swapped.mean() - 0.25) < 0.062 and abs(reverse.mean() - 0.5) < 0.071
    assert abs((swapped & reverse).mean() - 0.125) < 0.047
    assert len({tuple(item.words.tolist()) for item in items}) == 4 and 0.15 < first.mean() < 0.35


def test_what_swap_and_reversal_do(root: Path) -> None:
    roles = ("before", "after", "no_change_before", "no_change_after")

    def kinds(**options: float) -> list[str]:
        return [kind(getattr(load(root, **options)[0], role)) for role in roles]

    d, s, n = KINDS
    assert kinds() == [d, s, d, n]
    assert kinds(swap=1.0) == [n, s, n, d]
    assert kinds(reversal=1.0) == [s, d, d, n]
    assert kinds(swap=1.0, reversal=1.0) == [s, n, n, d]
    backwards = load(root, reversal=1.0)
    said = backwards.vocabulary.decode(backwards[0].words.tolist())
    assert said in ("the red cube is gone", "the red cube is no longer there")
    assert "red" in backwards.vocabulary.decode(backwards[0].no_change_words.tolist())


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)  # fork, Python 3.12
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_what_the_main_process_gives(root: Path, method: str) -> None:
    data = load(root, swap=0.5, reversal=0.5)
    keys = [(epoch, index) for epoch in (0, 1) for index in (5, 3, 1, 0, 2, 4)]
    loader = DataLoader(
        data,
        batch_size=4,
        sampler=keys,
        num_workers=2,
        collate_fn=ClevrChange.collate,
        multiprocessing_context=method,
    )
    batches = list(loader)
    expected = [ClevrChange.collate([data[key] for key in keys[i : i + 4]]) for i in (0, 4, 8)]
    for batch, wanted in zip(batches, expected, strict=True):
        for got, want in ((batch.change, wanted.change), (batch.no_change, wanted.no_change)):
            assert got.image_ids == want.image_ids
            for field in ("before", "after", "words"):
                torch.testing.assert_close(getattr(got, field), getattr(want, field), rtol=0, atol=0)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_max_samples_works_on_every_split(root: Path, split: str) -> None:
    assert len(load(root, split, max_samples=1)) == 1
    whole = load(root, split)
    assert load(root, split, max_samples=100).scene_ids == whole.scene_ids


def test_the_choice_is_balanced_nested_and_free_of_the_seed() -> None:
    types = {scene: "abcde"[scene * 5 // 40_000] for scene in range(40_000)}  # contiguous, as in the real set
    scenes = list(range(0, 40_000, 3))
    smaller: set[int] = set()
    for count in (5, 12, 100, 1000):
        chosen = choose_balanced(scenes, types, count)
        assert len(chosen) == len(set(chosen)) == count and chosen == sorted(chosen)
        shares = Counter(types[scene] for scene in chosen).values()
        assert max(shares) - min(shares) <= 1
        assert smaller <= set(chosen) <= set(scenes)
        smaller = set(chosen)
    assert choose_balanced(scenes[::-1], types, 12) == choose_balanced(scenes, types, 12)
    assert len(choose_balanced(scenes, None, 12)) == 12


def test_max_samples_zero(root: Path) -> None:
    with pytest.raises(UserError, match="max_samples is 0; it must be at least 1"):
        load(root, max_samples=0)


def test_published_label_files(root: Path) -> None:
    """Holes as -1 in both ranges, no mark of the vocabulary, called .h5; narrow integers do as well."""
    labels = root / "transformer_labels.hdf5"
    with h5py.File(labels, "r") as ours, h5py.File(root / "transformer_labels.h5", "w") as published:
        for name in ours:
            published[name] = ours[name][:].astype(np.int32)
    before = load(root)
    labels.unlink()
    data = load(root)
    np.testing.assert_equal([data[i] for i in range(6)], [before[i] for i in range(6)])
    assert not data.labels[""].has(3) and not data.labels[""].has(99) and data.labels[""].has(13)


def test_a_scene_in_no_split_may_lack_everything(small_world: World) -> None:
    root = small_world()
    for name in ("change", "no_change", "reversed"):
        edit(root / f"{name}_captions.json", lambda c: c.pop(picture("default", 13)))
    (root / "images" / picture("default", 13)).unlink()
    assert len(load(prepare(root))) == 6


def test_a_scene_without_features_is_named(small_world: World) -> None:
    root = prepare(small_world(), leave_out=(picture("semantic", 2), picture("semantic", 5)))
    with pytest.raises(
        UserError,
        match=r"2 scenes of the train split have no features of the semantic picture.*000002, 000005; .*--backbone X`",
    ):
        load(root)
    assert len(load(root, "val")) == 2


def test_a_scene_without_caption_or_type_is_named(root: Path) -> None:
    edit(root / "splits.json", lambda c: c["train"].append(3))
    with pytest.raises(UserError, match=r"no caption in labels: 000003; .*preprocess_captions"):
        load(root)
    edit(root / "splits.json", lambda c: c["train"].remove(3))
    edit(root / "type_mapping.json", lambda c: c["add"].remove("000002.png"))
    with pytest.raises(UserError, match=r"no change type in .*type_mapping\.json: 000002"):
        load(root)
    edit(root / "type_mapping.json", lambda c: c["add"].extend(["000002.png", "000000.png"]))
    with pytest.raises(UserError, match=r"scene 000000 two change types"):
        load(root)
    (root / "type_mapping.json").unlink()
    assert read_types(root) is None and len(load(root)) == 6


def test_many_missing_scenes_are_counted(root: Path) -> None:
    edit(root / "splits.json", lambda c: c["train"].extend(range(100, 140)))
    with pytest.raises(UserError, match=r"40 scenes .*000100, 000101, 000102, 000103, 000104 and 35 more"):
        load(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"swap": 1.5}, "swap is 1.5; it is a probability"), ({"reversal": -0.1}, "reversal is -0.1")],
)
def test_probabilities(root: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(root, **options)


def test_reversal_needs_its_captions(small_world: World) -> None:
    root = prepare(small_world(reversed_captions=False))
    with pytest.raises(UserError, match=r"needs rev_labels.*data\.train\.reversal=0"):
        load(root, reversal=0.5)


def test_splits_that_are_not_there(root: Path) -> None:
    with pytest.raises(UserError, match="has no split “dev”, only train, val, test"):
        ClevrChange(
            root, "dev", open_grids(root / "features_tiny", "train"), {}, Vocabulary.from_sentences([])
        )
    edit(root / "splits.json", lambda c: c.update(test=[]))
    with pytest.raises(UserError, match=r"“test” .* is empty"):
        load(root, "test")


def test_labels_of_another_vocabulary_are_noticed(root: Path) -> None:
    path = root / "transformer_vocab.json"
    words = list(Vocabulary.from_json(path).words)
    words[-1], words[-2] = words[-2], words[-1]
    Vocabulary(words).to_json(path)
    with pytest.raises(UserError, match="made with another vocabulary"):
        load(root)
    Vocabulary(words[:8]).to_json(path)
    with h5py.File(root / "transformer_labels.hdf5", "r+") as file:
        del file.attrs["vocabulary"]
    with pytest.raises(UserError, match=r"another vocabulary than this one of 8 words"):
        load(root)


def test_damaged_label_files(root: Path) -> None:
    path = root / "transformer_labels.hdf5"
    whole = path.read_bytes()
    for length in (0, 10, 600, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=r"not a readable label file[\s\S]*preprocess_captions\.py --root"
        ):
            read_labels(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["label_end_idx"][0] = 10_000
    with pytest.raises(UserError, match=r"row ranges of labels in .* do not fit"):
        read_labels(path)
    with h5py.File(path, "r+") as file:
        del file["neg_labels"]
    with pytest.raises(UserError, match="lacks labels or neg_labels"):
        read_labels(path)
    path.unlink()
    with pytest.raises(UserError, match=r"labels .* are missing; .*preprocess_captions\.py"):
        read_labels(path)


class EveryGrid(Grids):
    """Stands for a complete store."""

    shape = SHAPE
    path = Path("everything")

    def __getitem__(self, name: str) -> np.ndarray:
        return np.zeros(SHAPE, np.float16)

    def __contains__(self, name: object) -> bool:
        return True


def test_the_size_of_the_real_set_takes_seconds(tmp_path: Path) -> None:
    """40,000 scenes with six captions each: reading labels and making the split."""
    scenes = [scene for scene in range(40_000) if scene % 200]
    splits = {"train": scenes[:33_830], "val": scenes[33_830:]}
    (tmp_path / "splits.json").write_text(json.dumps(splits), encoding="utf-8")
    types = {"color": [f"{scene:06d}.png" for scene in scenes]}
    (tmp_path / "type_mapping.json").write_text(json.dumps(types), encoding="utf-8")
    vocabulary = Vocabulary.from_sentences(["a b"])
    one = encode_family({scene: ["a b"] for scene in scenes}, vocabulary, 24)
    with h5py.File(tmp_path / "labels.hdf5", "w") as file:
        for prefix in ("", "neg_"):
            file[f"{prefix}labels"] = np.repeat(one["labels"], 6, 0)
            for name in ("label_start_idx", "label_end_idx"):
                file[prefix + name] = one[name]
    begun = time.process_time()
    labels = read_labels(tmp_path / "labels.hdf5")
    data = ClevrChange(tmp_path, "train", EveryGrid(), labels, vocabulary, max_samples=8000)
    assert len(data) == 8000
    assert time.process_time() - begun < 3
