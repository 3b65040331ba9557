"""From the captions of a data set to a vocabulary, a label file and a COCO-format reference file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write

FAMILIES = {  # prefix in the label file -> the JSON it comes from
    "": "change_captions.json",
    "neg_": "no_change_captions.json",
    "rev_": "reversed_captions.json",  # the rendered world's: the change played backwards
}
LONGEST = 24  # the longest caption of CLEVR-Change, START and END included


def scene_id(name: str) -> int:
    """The number in a file name: 12 for "CLEVR_default_000012.png".

    It is what stands between the last "_" and the first "." after it. Raises UserError if that is no number.
    """
    digits = name.rsplit("_", 1)[-1].split(".", 1)[0]
    if not digits.isdigit():
        raise UserError(f"“{name}” does not end in a scene number like CLEVR_default_000012.png.")
    return int(digits)


def read_json(path: Path) -> Any:
    """The content of a JSON file of the data set. Raises UserError when it is missing or broken."""
    if not path.is_file():
        raise UserError(
            f"{path} is missing. A world is made by `python data_scripts/render_world.py --out {path.parent} "
            "--scenes 1500`, the real CLEVR-Change is fetched by `python data_scripts/download.py`."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); it may be truncated. Make or download it again."
        ) from error


def read_captions(path: Path) -> dict[int, list[str]]:
    """Captions by scene id. Raises UserError for a scene without captions or with an empty one."""
    captions = {scene_id(name): sentences for name, sentences in read_json(path).items()}
    for scene, sentences in captions.items():
        if not sentences or not all(sentence.strip() for sentence in sentences):
            raise UserError(
                f"{path}: scene {scene:06d} has an empty caption or none at all; correct the file."
            )
    return captions


def encode_family(
    captions: dict[int, list[str]], vocabulary: Vocabulary, length: int, prefix: str
) -> dict[str, np.ndarray]:
    """The four arrays of one family of captions in the published numbering.

    labels (M, length): ids, scenes in ascending order. label_start_idx, label_end_idx (N,): the first and
    the last (inclusive) row of scene i, N = largest id + 1; an id without captions has start 0 and end -1.
    label_length (M,): tokens with START and END.
    """
    scenes = sorted(captions)
    count = scenes[-1] + 1
    start, end = np.zeros(count, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    rows: list[list[int]] = []
    for scene in scenes:
        start[scene] = len(rows)
        try:
            rows.extend(vocabulary.encode(sentence, length) for sentence in captions[scene])
        except UserError as error:
            raise UserError(f"scene {scene:06d}: {error}") from error
        end[scene] = len(rows) - 1
    labels = np.array(rows, dtype=np.int64)
    return {
        f"{prefix}labels": labels,
        f"{prefix}label_start_idx": start,
        f"{prefix}label_end_idx": end,
        f"{prefix}label_length": (labels != Vocabulary.NULL).sum(1),
    }


def reference_file(families: dict[str, dict[int, list[str]]]) -> dict[str, Any]:
    """References in COCO's caption format: "000002.png" for the change pair, "000002.png_n" for the other."""
    images, annotations = [], []
    for prefix, ending in (("", ""), ("neg_", "_n")):
        for scene, sentences in sorted(families[prefix].items()):
            name = f"{scene:06d}.png{ending}"
            images.append({"id": name})
            annotations += [{"image_id": name, "caption": sentence} for sentence in sentences]
    for number, annotation in enumerate(annotations):
        annotation["id"] = number
    return {"info": {}, "licenses": [], "type": "captions", "images": images, "annotations": annotations}


def preprocess(root: Path, length: int = LONGEST) -> tuple[Vocabulary, int]:
    """Write transformer_vocab.json, transformer_labels.hdf5 and total_change_captions_reformat.json.

    Returns the vocabulary and how many words outside the training split became <UNK>.
    """
    import h5py

    families = {
        prefix: read_captions(root / file)
        for prefix, file in FAMILIES.items()
        if prefix != "rev_" or (root / file).is_file()
    }
    train = read_json(root / "splits.json")["train"]

    def training() -> Iterable[str]:
        for file, captions in families.items():
            for scene in train:
                if scene not in captions:
                    raise UserError(
                        f"scene {scene:06d} of the train split has no caption in {FAMILIES[file]}."
                    )
                yield from captions[scene]

    vocabulary = Vocabulary.from_sentences(training())
    arrays: dict[str, np.ndarray] = {}
    for prefix, captions in families.items():
        arrays |= encode_family(captions, vocabulary, length, prefix)
    unknown = sum(
        int((array == Vocabulary.UNK).sum()) for name, array in arrays.items() if name.endswith("labels")
    )
    vocabulary.to_json(root / "transformer_vocab.json")
    with atomic_write(root / "transformer_labels.hdf5") as path, h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    with atomic_write(root / "total_change_captions_reformat.json") as path:
        path.write_text(json.dumps(reference_file(families)) + "\n", encoding="utf-8")
    return vocabulary, unknown
