"""Data sets of real pictures that list their pairs in one JSON file per split: what they have in common.

Their files are `train.json` and the like (see the data set), pictures in `images/`. Several people described a pair;
an epoch takes one of its sentences. There are no distractors.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from idc.data.batch import Batch, Pairs
from idc.data.captions import Preprocessed, write_files
from idc.data.clevr_change import Family, choose_balanced
from idc.data.grids import Grids, extraction, stacked
from idc.data.layout import read_json, some
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError

PICTURES = "images"  # the folder of the pictures below the data set's


def plain(sentence: str) -> str:
    """A sentence as the labels have it: small letters and digits alone ("Man's T-shirt!" becomes "mans tshirt").

    So the training sentences of both sets were published; those of Image-Editing-Request's other splits were not.
    """
    return " ".join(re.findall(r"[^\W_]+", re.sub("['’-]", "", sentence.lower())))


@dataclass(frozen=True)
class ListedPair:
    """Two pictures, by their file names, and what people wrote about them. id: the pair's name among references."""

    id: str
    before: str
    after: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The pairs of each split, in the order of the files.

    empty: how many sentences without a word were left out. silent: how many pairs had no other and were left out.
    """

    pairs: dict[str, list[ListedPair]]
    empty: int
    silent: int

    def pictures(self, split: str) -> list[str]:
        """The file names of a split's pictures, each once."""
        return list(dict.fromkeys(name for pair in self.pairs[split] for name in (pair.before, pair.after)))

    def shared(self) -> int:
        """How many pairs of pictures stand in more than one split, under whatever names."""
        splits = ({(pair.before, pair.after) for pair in pairs} for pairs in self.pairs.values())
        return sum(count > 1 for count in Counter(chain.from_iterable(splits)).values())


def read_records(path: Path, texts: Sequence[str], sentences: str, kind: str) -> list[dict[str, Any]]:
    """The records of a listing. texts: the fields that are text; sentences: the one that is a list of texts.

    Raises UserError when the file is missing or has another form.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing; `python data_scripts/download.py --what {kind} --out {path.parent}` fetches it."
        )
    records = read_json(path)
    form = ", ".join([*(f'"{name}": …' for name in texts), f'"{sentences}": [“…”, …]'])
    if not isinstance(records, list) or not records:
        raise UserError(f"{path} is not a list of pairs {{{form}}}; download it again.")
    for number, record in enumerate(records):
        fits = isinstance(record, dict) and all(isinstance(record.get(name), str) for name in texts)
        said = record.get(sentences) if fits else None
        if not isinstance(said, list) or not all(isinstance(sentence, str) for sentence in said):
            raise UserError(
                f"{path}: entry {number}, counted from 0, is not of the form {{{form}}}: {str(record)[:100]}; correct it."
            )
    return records


def check_names(pair: ListedPair, file: Path) -> None:
    """Raise UserError unless the pair's pictures have plain file names."""
    for name in (pair.before, pair.after):
        if not re.fullmatch(r"[^/\\\0]*[^/\\\0.][^/\\\0]*", name):
            raise UserError(f"{file}: “{name}” of “{pair.id}” is not the name of a picture in {PICTURES}/.")


class ListedItem(NamedTuple):
    """One pair as it goes into a batch: two grids, as stored, and a caption (ids)."""

    image_id: str
    before: NDArray[np.floating]
    after: NDArray[np.floating]
    words: NDArray[np.int64]


class ListedPairs(torch.utils.data.Dataset[ListedItem], ABC):
    """A split of such a data set; `data[(epoch, i)]` is item i as epoch `epoch` sees it, `data[i]` epoch 0.

    Which of the pair's sentences is taken is drawn from (seed, epoch, pair): the same in any worker, in any order.
    max_samples: at most that many pairs. Raises UserError when a pair lacks features or captions, and when labels and
    vocabulary do not belong together.
    """

    kind: ClassVar[str]
    texts: ClassVar[tuple[str, ...]]  # the fields of a record that are text
    sentences: ClassVar[str]  # the one that is a list of sentences

    @staticmethod
    @abstractmethod
    def files(root: Path) -> dict[str, Path]:
        """The published file of each split in the folder `root`."""

    @staticmethod
    @abstractmethod
    def pair(record: dict[str, str]) -> ListedPair:
        """The pair of a record, as yet without sentences."""

    @classmethod
    def listing(cls, root: Path) -> Listing:
        """The pairs of all splits; records of one id are merged, sentences without a word are left out.

        Raises UserError for files of another form, names that are no file names, an id with other pictures the second
        time and ids in two splits.
        """
        splits: dict[str, list[ListedPair]] = {}
        home: dict[str, str] = {}
        strays: dict[str, str] = {}
        empty = silent = 0
        for split, file in cls.files(root).items():
            merged: dict[str, ListedPair] = {}
            for record in read_records(file, cls.texts, cls.sentences, cls.kind):
                pair = cls.pair(record)
                check_names(pair, file)
                old = merged.setdefault(pair.id, pair)
                if (old.before, old.after) != (pair.before, pair.after):
                    raise UserError(
                        f"{file}: “{pair.id}” stands for {old.before} and {old.after}, and for {pair.before} and "
                        f"{pair.after}; an id belongs to one pair. Correct it."
                    )
                if home.setdefault(pair.id, split) != split:
                    strays[pair.id] = f"{pair.id} ({home[pair.id]} and {split})"
                said = tuple(sentence for sentence in record[cls.sentences] if plain(sentence))
                empty += len(record[cls.sentences]) - len(said)
                merged[pair.id] = replace(old, sentences=old.sentences + said)
            splits[split] = [pair for pair in merged.values() if pair.sentences]
            silent += len(merged) - len(splits[split])
        if strays:
            raise UserError(
                f"{len(strays)} ids stand in two splits of {root}: {some(strays.values())}. A pair belongs to one split; "
                "remove it from the other."
            )
        return Listing(splits, empty, silent)

    def __init__(
        self,
        root: str | Path,
        split: str,
        grids: Grids,
        labels: dict[str, Family],
        vocabulary: Vocabulary,
        *,
        max_samples: int | None = None,
        seed: int = 0,
    ):
        root = Path(root)
        self.split, self.grids, self.vocabulary, self.seed = split, grids, vocabulary, seed
        self.family = labels[""]
        self.pairs = self.listing(root).pairs[split]
        self.places = {name: place for place, name in enumerate(self.family.image_ids or ())}
        preprocess = (
            f"`python data_scripts/preprocess_captions.py --root {root} --kind {self.kind}` makes them"
        )
        self.complain(
            [p.id for p in self.pairs if p.id not in self.places], "no caption in the labels", preprocess
        )
        self.family.check_words(vocabulary, preprocess)
        for pictures in ([p.before for p in self.pairs], [p.after for p in self.pairs]):
            self.complain(
                [name for name in pictures if name not in grids],
                f"no features in {grids.path}",
                f"{extraction(grids.path, root)} makes them",
            )
        if max_samples is not None:
            chosen = choose_balanced(range(len(self.pairs)), None, max_samples)
            self.pairs = [self.pairs[place] for place in chosen]

    def complain(self, names: Sequence[str], what: str, way_out: str) -> None:
        if names:
            raise UserError(
                f"{len(names)} pairs of the {self.split} split have {what}: {some(names)}; {way_out}."
            )

    @property
    def longest(self) -> int:
        """How many ids a caption may have, START and END included."""
        return int(self.family.labels.shape[1])

    def image_ids(self) -> tuple[str, ...]:
        """The names of the pairs, in the order of the items."""
        return tuple(pair.id for pair in self.pairs)

    def references(self) -> dict[str, list[str]]:
        """{image id: captions} of every pair, as the label file has them."""
        return {
            pair.id: [self.vocabulary.decode(row) for row in self.family.rows(self.places[pair.id]).tolist()]
            for pair in self.pairs
        }

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | tuple[int, int]) -> ListedItem:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        pair = self.pairs[index]
        place = self.places[pair.id]
        words = self.family.choose(place, np.random.default_rng((self.seed, epoch, place)))
        return ListedItem(pair.id, self.grids[pair.before], self.grids[pair.after], words)

    @staticmethod
    def collate(items: Sequence[ListedItem]) -> Batch:
        """Items stacked into a batch without no-change pairs, grids in float32."""
        return Batch(
            Pairs(
                stacked([item.before for item in items]),
                stacked([item.after for item in items]),
                torch.from_numpy(np.stack([item.words for item in items])),
                tuple(item.image_id for item in items),
            )
        )


def preprocess_listed(
    root: Path, listing: Listing, length: int | None = None, *, cut: bool = False
) -> Preprocessed:
    """Write the vocabulary, the labels and the references, see `write_files`.

    The vocabulary has the words of all splits: systems with words of their own read them as text, and what is compared
    with the labels must be what people said. Labels hold sentences as `plain` makes them, references as people wrote them.
    """
    pairs = sorted((pair for split in listing.pairs.values() for pair in split), key=lambda pair: pair.id)
    if not listing.pairs["train"]:
        raise UserError(f"the train split of {root} has no sentences to learn from; download it again.")
    names = [pair.id for pair in pairs]
    found = write_files(
        root,
        Vocabulary.from_sentences(plain(s) for pair in pairs for s in pair.sentences),
        {"": {place: [plain(s) for s in pair.sentences] for place, pair in enumerate(pairs)}},
        ((pair.id, list(pair.sentences)) for pair in pairs),
        length,
        cut=cut,
        place=lambda place, _: f"“{names[place]}”",
        image_ids=names,
    )
    return replace(found, empty=listing.empty, silent=listing.silent, shared=listing.shared())
