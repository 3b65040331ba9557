"""How a system does on a split, quickly: its captions without a Java machine, or its retrieval; a loop does it often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from idc.captioner.search import Search
from idc.data.batch import Batch
from idc.data.pairs import PairData
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.metrics.facts import score_facts
from idc.metrics.retrieval import AT, DIRECTIONS, retrieval_report
from idc.systems.system import Stage, System
from idc.world.scene import Triple
from idc.world.triple import triple_from_dict

CAPTION_METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr", "change.CIDEr")
FACTS = ("change_type", "object", "statement", "statement_and_relation", "no_change")
RETRIEVAL_METRICS = tuple(f"retrieval.{direction}.R@{k}" for direction in DIRECTIONS for k in AT)


def batches(data: PairData, batch_size: int, what: str, progress: bool) -> Iterator[Batch]:
    """The items of a split in order. progress: show a bar that says `what` is done."""
    starts = range(0, len(data), batch_size)
    for start in tqdm(starts, desc=f"{what} {data.split}", unit="batch", disable=not progress):
        yield data.collate([data[(0, i)] for i in range(start, min(start + batch_size, len(data)))])


def caption_split(
    system: System,
    data: PairData,
    batch_size: int,
    search: Search,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, str]:
    """{image id: caption} for every pair of a split, distractors included."""
    captions: dict[str, str] = {}
    with torch.inference_mode():
        for batch in batches(data, batch_size, "captioning", progress):
            for pairs in batch.to(device).passes():
                said = system.caption(pairs, search).tokens.tolist()
                for name, tokens in zip(pairs.image_ids, said, strict=True):
                    captions[name] = system.sentence(tokens)
    return captions


@dataclass(frozen=True)
class Embedded:
    """The change pairs of a split and all their captions as vectors of length 1.

    owner: the pair that each of the T captions describes.
    """

    texts: Float[Tensor, "T D"]
    pairs: Float[Tensor, "P D"]
    owner: Int[Tensor, "T"]
    captions: tuple[str, ...]
    image_ids: tuple[str, ...]


def embed_split(
    system: System,
    data: PairData,
    batch_size: int,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Embedded:
    """The vectors of a split, on the CPU. What several pairs share as a caption is embedded once: a tie stays one.

    Raises UserError where the system has no retrieval.
    """
    references = data.references()
    pairs: list[Tensor] = []
    names: list[str] = []
    with torch.inference_mode():
        for batch in batches(data, batch_size, "embedding", progress):
            pairs.append(system.embed_pairs(batch.change.to(device)).float().cpu())
            names += batch.change.image_ids
        captions = [sentence for name in names for sentence in references[name]]
        place = {sentence: number for number, sentence in enumerate(dict.fromkeys(captions))}
        words = caption_ids(list(place), system.vocabulary, data.longest)
        texts = torch.cat(
            [system.embed_words(part.to(device)).float().cpu() for part in words.split(batch_size)]
        )
    owner = torch.arange(len(names)).repeat_interleave(
        torch.tensor([len(references[name]) for name in names])
    )
    return Embedded(
        texts[[place[sentence] for sentence in captions]],
        torch.cat(pairs),
        owner,
        tuple(captions),
        tuple(names),
    )


def caption_ids(captions: list[str], vocabulary: Vocabulary, length: int) -> Int[Tensor, "T L"]:
    """The ids of captions that a vocabulary has decoded, START … END, then 0; words that this one lacks are UNK.

    `Vocabulary.encode` is for sentences as people write them: it would split off the marks a second time.
    """
    ids = torch.zeros(len(captions), length, dtype=torch.long)
    for row, caption in zip(ids, captions, strict=True):
        words = [vocabulary.index.get(word, vocabulary.UNK) for word in caption.split(" ")]
        row[: len(words) + 2] = torch.tensor([vocabulary.START, *words, vocabulary.END])
    return ids


@runtime_checkable
class Validation(Protocol):
    """A split, and how a system does on it."""

    data: PairData

    def measure(self, system: System, batch_size: int, device: torch.device | str) -> dict[str, float]:
        """The figures of a system in evaluation mode, by name."""


class CaptionValidation:
    """Captions against those of the data and, in rendered worlds, against the scenes."""

    def __init__(self, data: PairData, root: Path):
        self.data, self.references = data, data.references()
        listing = root / "scenes.jsonl"
        self.triples = scenes_of(listing, set(data.image_ids())) if listing.is_file() else None

    def measure(self, system: System, batch_size: int, device: torch.device | str) -> dict[str, float]:
        return self.score(caption_split(system, self.data, batch_size, Search(), device))

    def score(self, predictions: dict[str, str]) -> dict[str, float]:
        """BLEU and CIDEr over all pairs, "change.CIDEr" over those that changed; "facts.…" where there are scene graphs.

        Words are split at spaces. Half of all pairs may be without a change, where one sentence is always right.
        """
        from idc.metrics.captions import score_captions

        metrics = score_captions(predictions, self.references, ("BLEU", "CIDEr"), tokenizer="split")
        changes = {name: predictions[name] for name in self.data.image_ids()}
        metrics["change.CIDEr"] = score_captions(changes, self.references, ("CIDEr",), tokenizer="split")[
            "CIDEr"
        ]
        if self.triples is not None:
            facts = score_facts(predictions, self.triples)
            metrics |= {f"facts.{name}": facts[name] for name in FACTS}
        return metrics


class RetrievalValidation:
    """Whether a caption finds its pair among all change pairs of the split, and a pair one of its captions."""

    def __init__(self, data: PairData):
        self.data = data

    def measure(self, system: System, batch_size: int, device: torch.device | str) -> dict[str, float]:
        """ "retrieval.text_to_pair.R@1" and the others of `idc.metrics.retrieval`, in both directions."""
        found = embed_split(system, self.data, batch_size, device)
        report = retrieval_report(found.texts, found.pairs, found.owner, found.captions)
        return {
            f"retrieval.{direction}.{name}": value
            for direction in DIRECTIONS
            for name, value in report[direction].items()
        }


def check_metric(metric: str, stage: Stage, root: Path) -> None:
    """Raises UserError for a `best_metric` that the stage is not measured by, or that needs scene graphs."""
    facts = tuple(f"facts.{name}" for name in FACTS)
    known = RETRIEVAL_METRICS if stage.measure == "retrieval" else CAPTION_METRICS + facts
    if metric not in known:
        raise UserError(
            f"there is no train.best_metric “{metric}” in the stage “{stage.name}”; choose one of {', '.join(known)}."
        )
    listing = root / "scenes.jsonl"
    if metric in facts and not listing.is_file():
        raise UserError(
            f"train.best_metric={metric} compares captions with scene graphs, but there is no {listing}; only rendered "
            "worlds have it. Set train.best_metric=CIDEr."
        )


def scenes_of(listing: Path, wanted: set[str]) -> list[Triple]:
    """The triples of a scenes.jsonl whose change pairs have these names."""
    with listing.open(encoding="utf-8") as lines:
        records = (json.loads(line) for line in lines)
        return [triple_from_dict(each) for each in records if f"{each['index']:06d}.png" in wanted]
