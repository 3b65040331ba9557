"""CLEVR-Change (Park et al. 2019), rendered or real, as training items and as pairs to caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idc.data.batch import Batch, Pairs
from idc.data.captions import read_json, scene_id
from idc.data.grids import Grids
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError

KINDS = ("default", "semantic", "nonsemantic")


@dataclass(frozen=True)
class Family:
    """The captions of one kind: rows of `labels` from start[scene] to end[scene], both inclusive."""

    labels: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def has(self, scene: int) -> bool:
        return scene < len(self.start) and bool(self.end[scene] >= self.start[scene])

    def choose(self, scene: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.labels[rng.integers(self.start[scene], self.end[scene] + 1)]


def read_labels(path: str | Path) -> dict[str, Family]:
    """The families of a label file by prefix: "", "neg_" and, for rendered worlds, "rev_"."""
    import h5py

    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"the labels {path} are missing; `python data_scripts/preprocess_captions.py --root {path.parent}` makes them."
        )
    try:
        with h5py.File(path, "r") as file:
            families = {
                prefix: Family(
                    *(file[f"{prefix}{name}"][:] for name in ("labels", "label_start_idx", "label_end_idx"))
                )
                for prefix in ("", "neg_", "rev_")
                if f"{prefix}labels" in file
            }
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is no label file ({error}); run preprocess_captions.py again.") from error
    if not {"", "neg_"} <= set(families):
        raise UserError(f"{path} lacks labels or neg_labels; run preprocess_captions.py again.")
    return families


class Item(NamedTuple):
    """One scene as it goes into a batch: two pairs of grids (float32) with a caption each (ids)."""

    scene: int
    before: Tensor
    after: Tensor
    words: Tensor
    no_change_before: Tensor
    no_change_after: Tensor
    no_change_words: Tensor


def picture(kind: str, scene: int) -> str:
    return f"CLEVR_{kind}_{scene:06d}.png"


class ClevrChange:
    """A split of CLEVR-Change; `data[(epoch, i)]` is item i as epoch `epoch` sees it, `data[i]` epoch 0.

    Everything random about an item (which caption, which swap) is drawn from (seed, epoch, scene): the
    same in any worker, in any order. With probability `swap` the default and the nonsemantic picture
    trade places, as in the published code. With probability `reversal` the change pair is played
    backwards, described by a caption of the rendered world's `rev_` family; the no-change pair stays.

    split: "train", "val" or "test" of splits.json. max_samples: a seeded subset of that many scenes.
    Raises UserError when a scene of the split lacks a feature or a caption; ids in no split are left out.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        grids: Grids,
        labels: dict[str, Family],
        vocabulary: Vocabulary,
        *,
        max_samples: int | None = None,
        swap: float = 0.0,
        reversal: float = 0.0,
        seed: int = 0,
    ):
        root = Path(root)
        splits = read_json(root / "splits.json")
        if split not in splits:
            raise UserError(f"{root / 'splits.json'} has no split “{split}”, only {', '.join(splits)}.")
        scenes = sorted(splits[split])
        if max_samples is not None:
            if max_samples < 1:
                raise UserError(f"max_samples is {max_samples}; it must be at least 1, or null for all.")
            scenes = sorted(np.random.default_rng((seed, 1)).permutation(scenes)[:max_samples].tolist())
        self.scene_ids: list[int] = scenes
        self.split, self.grids, self.labels, self.vocabulary = split, grids, labels, vocabulary
        self.swap, self.reversal, self.seed = swap, reversal, seed
        self.check(root)

    def check(self, root: Path) -> None:
        """Every scene of the split has grids, captions whose words the vocabulary knows, and a type."""
        wanted = ["", "neg_"] + (["rev_"] if self.reversal else [])
        for prefix in wanted:
            if prefix not in self.labels:
                raise UserError(
                    "data.train.reversal needs rev_labels, which only rendered worlds have; set data.train.reversal=0."
                )
            self.complain(
                [s for s in self.scene_ids if not self.labels[prefix].has(s)],
                f"no caption among the {prefix}labels",
                "run data_scripts/preprocess_captions.py again",
            )
            largest = int(self.labels[prefix].labels.max())
            if largest >= len(self.vocabulary):
                raise UserError(
                    f"the labels have word {largest}, the vocabulary only {len(self.vocabulary)} words; they belong to "
                    "different preprocessings. Run data_scripts/preprocess_captions.py again."
                )
        for kind in KINDS:
            self.complain(
                [s for s in self.scene_ids if picture(kind, s) not in self.grids],
                f"no features of the {kind} picture in {self.grids.path}",
                "run data_scripts/extract_features.py again",
            )
        types = root / "type_mapping.json"
        if types.is_file():
            typed = {scene_id(name) for names in read_json(types).values() for name in names}
            self.complain(
                [s for s in self.scene_ids if s not in typed],
                f"no change type in {types}",
                "correct that file",
            )

    def complain(self, missing: Sequence[int], what: str, way_out: str) -> None:
        if missing:
            some = ", ".join(f"{scene:06d}" for scene in missing[:5]) + (" …" if len(missing) > 5 else "")
            raise UserError(
                f"{len(missing)} of {len(self.scene_ids)} scenes of the {self.split} split have {what}: {some}; {way_out}."
            )

    def __len__(self) -> int:
        return len(self.scene_ids)

    def grid(self, kind: str, scene: int) -> Tensor:
        return torch.from_numpy(np.asarray(self.grids[picture(kind, scene)], dtype=np.float32))

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        scene = self.scene_ids[index]
        rng = np.random.default_rng((self.seed, epoch, scene))
        swapped, reverse = rng.random() < self.swap, rng.random() < self.reversal
        default, still = (self.grid(kind, scene) for kind in ("default", "nonsemantic"))
        if swapped:
            default, still = still, default
        semantic = self.grid("semantic", scene)
        words = self.labels["rev_" if reverse else ""].choose(scene, rng)
        no_change_words = self.labels["neg_"].choose(scene, rng)
        before, after = (semantic, default) if reverse else (default, semantic)
        return Item(
            scene, before, after, torch.from_numpy(words), default, still, torch.from_numpy(no_change_words)
        )

    @staticmethod
    def collate(items: Sequence[Item]) -> Batch:
        """Items stacked into a batch."""
        names = [f"{item.scene:06d}.png" for item in items]

        def pairs(befores: str, afters: str, words: str, ending: str) -> Pairs:
            stacked = (
                torch.stack([getattr(item, field) for item in items]) for field in (befores, afters, words)
            )
            return Pairs(*stacked, image_ids=tuple(name + ending for name in names))

        return Batch(
            pairs("before", "after", "words", ""),
            pairs("no_change_before", "no_change_after", "no_change_words", "_n"),
        )
