"""Vocabulary, label file and references from the captions of a data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from idc.data.captions import LONGEST, encode_family, preprocess, read_captions
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError

World = Callable[..., Path]


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    result = change(content)
    path.write_text(json.dumps(content if result is None else result), encoding="utf-8")


def literal_labels(root: Path, file: str, index: dict[str, int], prefix: str) -> dict[str, np.ndarray]:
    """The published label arrays, written down word by word from their description."""
    captions = json.loads((root / file).read_text(encoding="utf-8"))
    starts, ends, lengths, rows = [-1] * 14, [-1] * 14, [], []
    for name in sorted(captions):
        i = int(name.split(".")[0].split("_")[-1])
        starts[i] = len(rows)
        for sentence in captions[name]:
            text = sentence.replace(";", " ;").replace(",", " ,").replace("?", "").replace(".", "")
            ids = [2] + [index.get(word, 1) for word in text.split(" ")] + [3]
            lengths.append(len(ids))
            rows.append(ids + [0] * (24 - len(ids)))
        ends[i] = len(rows) - 1
    names = ("labels", "label_start_idx", "label_end_idx", "label_length")
    values = (rows, starts, ends, lengths)
    return {prefix + name: np.array(value, dtype=np.int64) for name, value in zip(names, values, strict=True)}


def test_label_file_equals_a_literal_transcription(small_world: World) -> None:
    root = small_world()
    found = preprocess(root)
    index = json.loads((root / "transformer_vocab.json").read_text(encoding="utf-8"))
    expected: dict[str, np.ndarray] = {}
    for prefix, file in (("", "change"), ("neg_", "no_change"), ("rev_", "reversed")):
        expected |= literal_labels(root, f"{file}_captions.json", index, prefix)
    with h5py.File(root / "transformer_labels.hdf5") as labels:
        assert set(labels) == set(expected)
        for name, array in expected.items():
            assert labels[name].dtype == np.int64
            np.testing.assert_array_equal(labels[name][:], array, err_msg=name)
    assert found.captions == 60 and found.longest == 12 and not found.cut and not found.blanks


def test_words_come_from_the_train_split_only(small_world: World) -> None:
    root = small_world()
    name = "CLEVR_default_000008.png"
    edit(root / "change_captions.json", lambda c: c.update({name: ["the violet cube has appeared"]}))
    found = preprocess(root)
    assert "violet" not in found.vocabulary and "red" in found.vocabulary
    assert found.unknown["violet"] == 1 and set(found.unknown) == {"violet", "cyan"}  # no cyan in train
    assert list(found.vocabulary.words[4:]) == sorted(found.vocabulary.words[4:])


def test_real_worlds_have_no_third_family(small_world: World) -> None:
    root = small_world(reversed_captions=False)
    preprocess(root)
    with h5py.File(root / "transformer_labels.hdf5") as labels:
        assert not any(name.startswith("rev_") for name in labels)


def test_references_are_in_coco_format(small_world: World) -> None:
    root = small_world()
    preprocess(root)
    content = json.loads((root / "total_change_captions_reformat.json").read_text(encoding="utf-8"))
    images = [image["id"] for image in content["images"]]
    assert images[:2] == ["000000.png", "000001.png"] and "000013.png_n" in images and len(images) == 20
    numbers = [annotation["id"] for annotation in content["annotations"]]
    assert numbers == list(range(40))
    of_two = [a["caption"] for a in content["annotations"] if a["image_id"] == "000002.png"]
    assert of_two == ["the green cube has appeared", "a green cube was newly placed; look, there."]


def test_file_order_does_not_matter(small_world: World) -> None:
    """Ids come from the names; a listing in another order gives the same files."""
    first, second = small_world("first"), small_world("second")
    for name in ("change_captions", "no_change_captions", "reversed_captions"):
        edit(second / f"{name}.json", lambda c: dict(reversed(c.items())))
    preprocess(first)
    preprocess(second)
    with (
        h5py.File(first / "transformer_labels.hdf5") as a,
        h5py.File(second / "transformer_labels.hdf5") as b,
    ):
        for name in a:
            np.testing.assert_array_equal(a[name][:], b[name][:])


def test_too_long_captions_name_the_scene_or_are_cut(small_world: World) -> None:
    root = small_world()
    sentence = " ".join(["word"] * (LONGEST - 1))
    edit(root / "change_captions.json", lambda c: c.update({"CLEVR_default_000004.png": [sentence]}))
    with pytest.raises(
        UserError, match=r"scene 000004 in change_captions.json has 25 tokens.*--max-length 25"
    ):
        preprocess(root)
    assert not (root / "transformer_vocab.json").exists()
    found = preprocess(root, cut=True)
    assert found.cut == 1 and found.longest == 25
    with h5py.File(root / "transformer_labels.hdf5") as labels:
        row = labels["labels"][labels["label_start_idx"][4]]
    assert row[0] == 2 and row[-1] == 3 and (row[1:-1] == found.vocabulary.index["word"]).all()
    assert preprocess(root, 25).cut == 0


def test_stray_spaces_are_counted(small_world: World) -> None:
    root = small_world()
    name = "CLEVR_default_000000.png"
    edit(root / "change_captions.json", lambda c: c.update({name: ["the red  cube has appeared"]}))
    found = preprocess(root)
    assert found.blanks == 1 and found.vocabulary.words[4] == ""


def drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(name) and None


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("change_captions", lambda c: c.update({"CLEVR_default_000003.png": ["a b"]}), r"without a picture.*000003"),
        ("change_captions", drop("CLEVR_default_000007.png"), r"1 scenes of the val split have no caption.*000007"),
        ("no_change_captions", drop("CLEVR_default_000000.png"), r"train split have no caption.*000000"),
        ("reversed_captions", drop("CLEVR_default_000009.png"), r"test split have no caption.*000009"),
        ("change_captions", lambda c: c.update({"CLEVR_default_000001.png": []}), "scene 000001 has an empty caption"),
        ("change_captions", lambda c: c.update({"CLEVR_default_000001.png": [" ? "]}), "scene 000001 has an empty caption"),
        ("change_captions", lambda c: c.update({"CLEVR_default_000001.png": "abc"}), "not a list of strings"),
        ("change_captions", lambda c: c.update({"CLEVR_semantic_000001.png": ["a"]}), "000001 under two names"),
        ("change_captions", lambda c: c.update({"picture.png": ["a"]}), "does not end in a scene number"),
        ("change_captions", lambda c: [c], "does not map picture names"),
        ("change_captions", lambda c: {}, "holds no captions"),
        ("splits", lambda c: c.update(train=[]), "no scenes to train on"),
        ("splits", lambda c: c.update(val=[0, 7]), r"lists 1 scenes more than once: 000000"),
        ("splits", lambda c: c.update(val=["7"]), "does not map split names"),
    ],
)  # fmt: skip
def test_bad_listings(small_world: World, file: str, change: Callable[[Any], Any], message: str) -> None:
    root = small_world()
    edit(root / f"{file}.json", change)
    with pytest.raises(UserError, match=message):
        preprocess(root)
    assert not (root / "transformer_labels.hdf5").exists(), "nothing is written unless all is well"


def test_missing_and_truncated_listings(small_world: World) -> None:
    root = small_world()
    file = root / "no_change_captions.json"
    file.write_text(file.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(UserError, match="may be truncated"):
        preprocess(root)
    file.unlink()
    with pytest.raises(UserError, match=r"is missing\..*render_world\.py"):
        preprocess(root)


def test_captions_without_any_pictures_folder_are_accepted(small_world: World) -> None:
    """Published features come without pictures."""
    root = small_world(pictures=False)
    for folder in ("images", "sc_images", "nsc_images"):
        (root / folder).rmdir()
    assert preprocess(root).captions == 60
    (root / "features").mkdir()
    with pytest.raises(UserError, match="10 scenes without a picture"):
        preprocess(root)


def test_rows_of_a_hole_are_minus_one() -> None:
    vocabulary = Vocabulary.from_sentences(["a b"])
    arrays = encode_family({2: ["a"], 0: ["b", "a b"]}, vocabulary, 5)
    assert arrays["label_start_idx"].tolist() == [0, -1, 2] and arrays["label_end_idx"].tolist() == [1, -1, 2]


def test_many_captions_are_read_quickly(tmp_path: Path) -> None:
    """The real set's half million captions must take seconds; a tenth of it is tried."""
    import time

    sentence = "the tiny cyan rubber ball that is behind the big brown matte cylinder changed its location"
    content = {f"CLEVR_default_{i:06d}.png": [sentence] * 6 for i in range(8000)}
    (tmp_path / "change_captions.json").write_text(json.dumps(content), encoding="utf-8")
    begun = time.process_time()
    captions = read_captions(tmp_path / "change_captions.json")
    encode_family(captions, Vocabulary.from_sentences([sentence]), 24)
    assert time.process_time() - begun < 4
