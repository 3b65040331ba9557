"""CLEVR-Change (Park et al. 2019), rendered or real, as training items and as pairs to caption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idc.data.batch import Batch, Pairs
from idc.data.captions import words_fingerprint
from idc.data.grids import Grids, extraction, stacked
from idc.data.layout import KINDS, picture, read_types, some, split_of
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError


@dataclass(frozen=True)
class Family:
    """The captions of one kind: rows of `labels` from start[scene] to end[scene], both inclusive.

    An id without captions has start -1. vocabulary: the fingerprint of the words the labels were made with,
    None in published files, which do not say. image_ids: the names of the pairs where they have no numbers; "scene"
    is then the place of a name.
    """

    labels: NDArray[np.integer]
    start: NDArray[np.integer]
    end: NDArray[np.integer]
    vocabulary: str | None = None
    image_ids: tuple[str, ...] | None = None

    def check_words(self, vocabulary: Vocabulary, way_out: str) -> None:
        """Raise UserError unless the labels were made with this vocabulary. way_out: what makes both."""
        largest, count = int(self.labels.max()), len(vocabulary)
        if self.vocabulary not in (None, words_fingerprint(vocabulary)) or largest >= count:
            raise UserError(
                f"the labels were made with another vocabulary than this one of {count} words (their largest id is "
                f"{largest}). Take the files of one preprocessing: {way_out} anew."
            )

    def has(self, scene: int) -> bool:
        return scene < len(self.start) and bool(0 <= self.start[scene] <= self.end[scene])

    def rows(self, scene: int) -> NDArray[np.integer]:
        """All captions of the scene, (K, L) ids."""
        return self.labels[self.start[scene] : self.end[scene] + 1]

    def choose(self, scene: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """One of the scene's captions as ids, drawn uniformly."""
        rows = self.rows(scene)
        return rows[rng.integers(len(rows))].astype(np.int64)


def read_labels(path: str | Path) -> dict[str, Family]:
    """The families of a label file by prefix: "", "neg_" where there are distractors and, for rendered worlds, "rev_".

    Everything is read at once (some 50 MB for the real set), so that workers need no open file. Where
    `path` is missing, the same name ending in `.h5`, as in the published archive, is taken.
    Raises UserError when the file is missing, no label file, or at odds with itself.
    """
    import h5py

    path = Path(path)
    if not path.is_file() and path.with_suffix(".h5").is_file():
        path = path.with_suffix(".h5")
    if not path.is_file():
        raise UserError(
            f"the labels {path} are missing; `python data_scripts/preprocess_captions.py --root {path.parent}` makes them."
        )
    again = f"Run `python data_scripts/preprocess_captions.py --root {path.parent}` again."
    families = {}
    try:
        with h5py.File(path, "r") as file:
            mark = file.attrs.get("vocabulary")
            names = tuple(file["image_ids"].asstr()[:]) if "image_ids" in file else None
            for prefix in ("", "neg_", "rev_"):
                if f"{prefix}labels" in file:
                    families[prefix] = Family(
                        file[f"{prefix}labels"][:].astype(np.int32),
                        file[f"{prefix}label_start_idx"][:].astype(np.int64),
                        file[f"{prefix}label_end_idx"][:].astype(np.int64),
                        None if mark is None else str(mark),
                        names,
                    )
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable label file ({error}). {again}") from error
    if not {"", "neg_"} <= set(families) and (names is None or "" not in families):
        raise UserError(f"{path} lacks labels or neg_labels. {again}")
    for prefix, family in families.items():
        fits = family.labels.ndim == 2 and family.start.ndim == 1 and family.start.shape == family.end.shape
        fits = fits and (names is None or len(names) == len(family.start))
        if not fits or not len(family.labels) or family.end.max(initial=-1) >= len(family.labels):
            raise UserError(f"the row ranges of {prefix}labels in {path} do not fit its rows. {again}")
    return families


def choose_balanced(scenes: Sequence[int], types: dict[int, str] | None, count: int) -> list[int]:
    """`count` scenes with the change types in equal shares, as far as there are enough of each; ascending.

    The choice depends on nothing but the scenes: runs with different seeds see the same ones, and a smaller
    choice is part of a larger one.
    """
    order = np.random.default_rng(0).permutation(sorted(scenes)).tolist()
    seen: Counter[str] = Counter()
    rounds = []
    for place, scene in enumerate(order):
        type_ = (types or {}).get(scene, "")
        rounds.append((seen[type_], place, scene))
        seen[type_] += 1
    return sorted(scene for _, _, scene in sorted(rounds)[:count])


class Item(NamedTuple):
    """One scene as it goes into a batch: two pairs of grids, as stored, with a caption each (ids).

    A grid from a flat store is a view of the file, read when `collate` puts it into its place of the batch.
    """

    scene: int
    before: NDArray[np.floating]
    after: NDArray[np.floating]
    words: NDArray[np.int64]
    no_change_before: NDArray[np.floating]
    no_change_after: NDArray[np.floating]
    no_change_words: NDArray[np.int64]


class ClevrChange(torch.utils.data.Dataset[Item]):
    """A split of CLEVR-Change; `data[(epoch, i)]` is item i as epoch `epoch` sees it, `data[i]` epoch 0.

    Everything random about an item (which caption, which swap) is drawn from (seed, epoch, scene): the
    same in any worker, in any order. With probability `swap` the default and the nonsemantic picture
    trade places, as in the published code. With probability `reversal` the change pair is played
    backwards, described by a caption of the rendered world's `rev_` family; the no-change pair stays.

    split: "train", "val" or "test" of splits.json. max_samples: at most that many scenes, see
    `choose_balanced`. Raises UserError when a scene of the split lacks a feature, a caption or a change type,
    and when labels and vocabulary do not belong together. Ids in no split are left alone.
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
        scenes, types = split_of(root, split), read_types(root)
        self.split, self.grids, self.labels, self.vocabulary = split, grids, labels, vocabulary
        self.swap, self.reversal, self.seed = swap, reversal, seed
        self.check(root, scenes, types)
        if max_samples is not None:
            if max_samples < 1:
                raise UserError(f"max_samples is {max_samples}; it must be at least 1, or null for all.")
            scenes = choose_balanced(scenes, types, max_samples)
        self.scene_ids: list[int] = scenes

    def check(self, root: Path, scenes: list[int], types: dict[int, str] | None) -> None:
        """Raise UserError unless every scene has grids, known captions and, where there are types, a type."""
        for name, chance in (("swap", self.swap), ("reversal", self.reversal)):
            if not 0 <= chance <= 1:
                raise UserError(f"{name} is {chance}; it is a probability between 0 and 1.")
        if self.reversal and "rev_" not in self.labels:
            raise UserError(
                "reversal plays pairs backwards and needs rev_labels, which only rendered worlds have; set "
                "data.train.reversal=0, or run preprocess_captions.py on a root with reversed_captions.json."
            )
        preprocess = f"`python data_scripts/preprocess_captions.py --root {root}` makes them"
        if "neg_" not in self.labels:
            raise UserError(f"the labels are of a data set without distractors (data.kind?); {preprocess}.")
        for prefix in ["", "neg_"] + (["rev_"] if self.reversal else []):
            family = self.labels[prefix]
            self.complain(
                [s for s in scenes if not family.has(s)], f"no caption in {prefix}labels", preprocess
            )
            family.check_words(self.vocabulary, preprocess)
        for kind in KINDS:
            self.complain(
                [s for s in scenes if picture(kind, s) not in self.grids],
                f"no features of the {kind} picture in {self.grids.path}",
                f"{extraction(self.grids.path, root)} makes them",
            )
        if types is not None:
            self.complain(
                [s for s in scenes if s not in types],
                f"no change type in {root / 'type_mapping.json'}",
                "make or download that file again",
            )

    def complain(self, scenes: Sequence[int], what: str, way_out: str) -> None:
        if scenes:
            raise UserError(
                f"{len(scenes)} scenes of the {self.split} split have {what}: {some(scenes)}; {way_out}."
            )

    @property
    def longest(self) -> int:
        """How many ids a caption may have, START and END included."""
        return int(self.labels[""].labels.shape[1])

    def image_ids(self) -> tuple[str, ...]:
        """The names of the change pairs, in the order of the items."""
        return tuple(f"{scene:06d}.png" for scene in self.scene_ids)

    def references(self) -> dict[str, list[str]]:
        """{image id: captions} of every pair, as the label file has them."""
        return {
            f"{scene:06d}.png{ending}": [
                self.vocabulary.decode(row) for row in self.labels[prefix].rows(scene).tolist()
            ]
            for prefix, ending in (("", ""), ("neg_", "_n"))
            for scene in self.scene_ids
        }

    def __len__(self) -> int:
        return len(self.scene_ids)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        scene = self.scene_ids[index]
        rng = np.random.default_rng((self.seed, epoch, scene))
        swapped, reverse = rng.random() < self.swap, rng.random() < self.reversal
        default, semantic, still = (self.grids[picture(kind, scene)] for kind in KINDS)
        if swapped:
            default, still = still, default
        words = self.labels["rev_" if reverse else ""].choose(scene, rng)
        no_change_words = self.labels["neg_"].choose(scene, rng)
        before, after = (semantic, default) if reverse else (default, semantic)
        return Item(scene, before, after, words, default, still, no_change_words)

    @staticmethod
    def collate(items: Sequence[Item]) -> Batch:
        """Items stacked into a batch, grids in float32."""
        names = [f"{item.scene:06d}.png" for item in items]

        def grids(field: str) -> Tensor:
            return stacked([getattr(item, field) for item in items])

        def pairs(before: Tensor, after: str, words: str, ending: str) -> Pairs:
            captions = torch.from_numpy(np.stack([getattr(item, words) for item in items]))
            return Pairs(before, grids(after), captions, tuple(name + ending for name in names))

        # Unless a pair is played backwards, both passes have one picture before; systems compute once with it.
        before = grids("before")
        same = all(item.before is item.no_change_before for item in items)
        return Batch(
            pairs(before, "after", "words", ""),
            pairs(before if same else grids("no_change_before"), "no_change_after", "no_change_words", "_n"),
        )
