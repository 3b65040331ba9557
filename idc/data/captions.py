"""From the captions of a data set to a vocabulary, a label file and a COCO-format reference file.

The label file (HDF5) has, for each family of captions, four arrays in the published names and numbering:
`labels` (M, L) ids padded with 0, one row per caption, scenes in the order of their sorted file names;
`label_start_idx` and `label_end_idx` (N,), the first and the last row (inclusive) of scene i, both -1 for an
id without captions; `label_length` (M,), tokens with START and END. The no-change captions have the prefix
`neg_`. Rendered worlds add `rev_`, the change played backwards, which published files do not have. Data sets whose
pairs have no numbers add `image_ids` (N,), the names of the pairs that i counts.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idc.data.layout import (
    FEATURE_FOLDERS,
    PICTURE_FOLDERS,
    picture,
    read_json,
    read_splits,
    scene_id,
    some,
)
from idc.data.vocabulary import Vocabulary, tokenize
from idc.errors import UserError
from idc.files import atomic_write

FAMILIES = {  # prefix in the label file -> the JSON it comes from
    "": "change_captions.json",
    "neg_": "no_change_captions.json",
    "rev_": "reversed_captions.json",  # the rendered world's: the change played backwards
}
LONGEST = 24  # the longest caption of CLEVR-Change, START and END included


@dataclass(frozen=True)
class Preprocessed:
    """What `preprocess` found.

    longest: tokens of the longest caption with START and END. unknown: how often each word outside the train
    split became <UNK>. cut: captions that were shortened. blanks: captions with two spaces in a row, which
    the published tokenisation turns into an empty word. empty: captions without a word that were left out; silent:
    pairs that had no other. shared: pairs of pictures that stand in several splits under different names.
    """

    vocabulary: Vocabulary
    captions: int
    longest: int
    unknown: Counter[str]
    cut: int
    blanks: int
    empty: int = 0
    silent: int = 0
    shared: int = 0


def read_captions(path: Path) -> dict[int, list[str]]:
    """Captions by scene id.

    Raises UserError for a scene without captions or with an empty one, for two names with one scene number,
    and for a file of another form.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} does not map picture names to lists of captions; correct the file.")
    captions: dict[int, list[str]] = {}
    for name, sentences in content.items():
        scene = scene_id(name)
        if scene in captions:
            raise UserError(f"{path} has captions of scene {scene:06d} under two names, one is “{name}”.")
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise UserError(f"{path}: the captions of “{name}” are not a list of strings; correct the file.")
        if not sentences or not all(any(tokenize(sentence)) for sentence in sentences):
            raise UserError(
                f"{path}: scene {scene:06d} has an empty caption or none at all; write one, or remove the scene "
                "here and from splits.json."
            )
        captions[scene] = sentences
    if not captions:
        raise UserError(f"{path} holds no captions at all; make or download it again.")
    return captions


def known_scenes(root: Path) -> set[int] | None:
    """Scenes with a picture in `images/` or a published feature in `features/`; None if neither folder exists."""
    known: set[int] | None = None
    prefix = "CLEVR_default_"
    for folder in (
        root / PICTURE_FOLDERS["default"],
        root / FEATURE_FOLDERS["default"],
        root / "features_resnet101" / FEATURE_FOLDERS["default"],
    ):
        if folder.is_dir():
            found = (file.name for file in folder.iterdir())
            known = (known or set()) | {scene_id(name) for name in found if name.startswith(prefix)}
    return known


def caption_of(scene: int, prefix: str) -> str:
    """Where a caption of CLEVR-Change stands, for error messages."""
    return f"scene {scene:06d} in {FAMILIES[prefix]}"


def encode_family(
    captions: dict[int, list[str]],
    vocabulary: Vocabulary,
    length: int,
    prefix: str = "",
    *,
    cut: bool = False,
    place: Callable[[int, str], str] = caption_of,
) -> dict[str, np.ndarray]:
    """The four arrays of one family of captions, see the module's first lines; N = largest id + 1.

    Raises UserError for a caption of more than `length` ids, saying with `place` where it stands; with `cut` its last
    words are left out instead, END stays.
    """
    scenes = sorted(captions)
    start, end = (np.full(scenes[-1] + 1, -1, dtype=np.int64) for _ in range(2))
    labels = np.zeros((sum(map(len, captions.values())), length), dtype=np.int64)
    row = 0
    for scene in scenes:
        start[scene] = row
        for sentence in captions[scene]:
            ids = vocabulary.encode(sentence)
            if len(ids) > length:
                if not cut:
                    raise UserError(
                        f"a caption of {place(scene, prefix)} has {len(ids)} tokens with START and END, more than "
                        f"{length}: “{sentence}”. Allow more with --max-length {len(ids)}, or give --cut."
                    )
                ids = [*ids[: length - 1], vocabulary.END]
            labels[row, : len(ids)] = ids
            row += 1
        end[scene] = row - 1
    return {
        f"{prefix}labels": labels,
        f"{prefix}label_start_idx": start,
        f"{prefix}label_end_idx": end,
        f"{prefix}label_length": (labels != Vocabulary.NULL).sum(1),
    }


def reference_file(captions: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
    """References in COCO's caption format, from image ids and what is said about each."""
    images: list[dict[str, str]] = []
    annotations: list[dict[str, str | int]] = []
    for name, sentences in captions:
        images.append({"id": name})
        annotations += [{"image_id": name, "caption": sentence} for sentence in sentences]
    for number, annotation in enumerate(annotations):
        annotation["id"] = number
    return {"info": {}, "licenses": [], "type": "captions", "images": images, "annotations": annotations}


def words_fingerprint(vocabulary: Vocabulary) -> str:
    """A hash of the words in their order; the label file carries it, so that a foreign vocabulary is noticed."""
    return hashlib.sha256("\n".join(vocabulary.words).encode()).hexdigest()[:16]


def write_files(
    root: Path,
    vocabulary: Vocabulary,
    families: dict[str, dict[int, list[str]]],
    references: Iterable[tuple[str, list[str]]],
    length: int | None,
    *,
    cut: bool = False,
    place: Callable[[int, str], str] = caption_of,
    image_ids: list[str] | None = None,
) -> Preprocessed:
    """Write transformer_vocab.json, transformer_labels.hdf5 and total_change_captions_reformat.json.

    families: captions by prefix and scene. references: see `reference_file`. length: None for that of the longest
    caption. image_ids: the pairs' names where they have no numbers. Nothing is written unless all is well.
    Raises UserError as `encode_family` does, and for a length without room for a word.
    """
    import h5py

    lengths: list[int] = []
    unknown: Counter[str] = Counter()
    blanks = 0
    for sentence in (s for captions in families.values() for group in captions.values() for s in group):
        tokens = tokenize(sentence)
        unknown.update(token for token in tokens if token not in vocabulary)
        lengths.append(len(tokens) + 2)
        blanks += "" in tokens
    length = max(lengths) if length is None else length
    if length < 3:
        raise UserError(
            f"--max-length {length} leaves no room for a word beside START and END; give 3 or more."
        )
    arrays: dict[str, np.ndarray] = {}
    for prefix, captions in families.items():
        arrays |= encode_family(captions, vocabulary, length, prefix, cut=cut, place=place)

    vocabulary.to_json(root / "transformer_vocab.json")
    with atomic_write(root / "transformer_labels.hdf5") as path, h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        if image_ids is not None:
            file.create_dataset("image_ids", data=image_ids, dtype=h5py.string_dtype())
        file.attrs["vocabulary"] = words_fingerprint(vocabulary)
    with atomic_write(root / "total_change_captions_reformat.json") as path:
        path.write_text(json.dumps(reference_file(references)) + "\n", encoding="utf-8")
    too_long = sum(each > length for each in lengths)
    return Preprocessed(vocabulary, len(lengths), max(lengths), unknown, too_long, blanks)


def preprocess(root: Path, length: int = LONGEST, *, cut: bool = False) -> Preprocessed:
    """Write a CLEVR-Change's vocabulary, labels and references, see `write_files`.

    The vocabulary has the words of the train split only, of all families. Nothing is written unless all is
    well. Raises UserError for a caption of a scene that has no picture, for a scene of a split that has no
    caption, for an empty and for a too long caption.
    """
    families = {
        prefix: read_captions(root / file)
        for prefix, file in FAMILIES.items()
        if prefix != "rev_" or (root / file).is_file()
    }
    splits = read_splits(root)
    if not splits.get("train"):
        raise UserError(f"{root / 'splits.json'} has no scenes to train on, so there are no words to know.")
    known = known_scenes(root)
    for prefix, captions in families.items():
        if known is not None and not captions.keys() <= known:
            strangers = captions.keys() - known
            raise UserError(
                f"{root / FAMILIES[prefix]} has captions of {len(strangers)} scenes without a picture such as "
                f"{root / 'images' / picture('default', min(strangers))}: {some(strangers)}. Render or download the "
                "pictures, or remove the captions."
            )
        for split, scenes in splits.items():
            if bare := set(scenes) - captions.keys():
                raise UserError(
                    f"{len(bare)} scenes of the {split} split have no caption in {root / FAMILIES[prefix]}: {some(bare)}. "
                    "Make or download that file again, or remove the scenes from splits.json."
                )
    return write_files(
        root,
        Vocabulary.from_sentences(
            s for captions in families.values() for scene in splits["train"] for s in captions[scene]
        ),
        families,
        (  # "000002.png" for the change pair, "000002.png_n" for the other
            (f"{scene:06d}.png{ending}", sentences)
            for prefix, ending in (("", ""), ("neg_", "_n"))
            for scene, sentences in sorted(families[prefix].items())
        ),
        length,
        cut=cut,
    )
