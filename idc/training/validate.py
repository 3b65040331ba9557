"""Caption a split, and score the captions quickly: without a Java machine, so that a loop can do it often."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tqdm import tqdm

from idc.captioner.search import Search
from idc.data.clevr_change import ClevrChange
from idc.errors import UserError
from idc.metrics.facts import score_facts
from idc.systems.system import System
from idc.world.scene import Triple
from idc.world.triple import triple_from_dict

CAPTION_METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr")
FACTS = ("change_type", "object", "statement", "statement_and_relation", "no_change")


def caption_split(
    system: System,
    data: ClevrChange,
    batch_size: int,
    search: Search,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, str]:
    """{image id: caption} for every change and no-change pair of a split."""
    captions: dict[str, str] = {}
    starts = range(0, len(data), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc=f"captioning {data.split}", unit="batch", disable=not progress):
            items = [data[(0, index)] for index in range(start, min(start + batch_size, len(data)))]
            batch = data.collate(items).to(device)
            for pairs in batch.passes():
                said = system.caption(pairs, search).tokens.tolist()
                for name, tokens in zip(pairs.image_ids, said, strict=True):
                    captions[name] = system.vocabulary.decode(tokens)
    return captions


class Validation:
    """A split with what its captions are compared with: the label file's captions and, in rendered worlds, the scenes.

    metric: the figure that will choose the best snapshot.
    Raises UserError when that figure does not exist, or needs scene graphs that the data lack.
    """

    def __init__(self, data: ClevrChange, root: Path, metric: str):
        self.data = data
        listing = root / "scenes.jsonl"
        facts = tuple(f"facts.{name}" for name in FACTS)
        if metric in facts and not listing.is_file():
            raise UserError(
                f"train.best_metric={metric} compares captions with scene graphs, but there is no {listing}; only rendered "
                "worlds have it. Set train.best_metric=CIDEr."
            )
        if metric not in CAPTION_METRICS + facts:
            raise UserError(
                f"there is no train.best_metric “{metric}”; choose one of {', '.join(CAPTION_METRICS + facts)}."
            )
        self.references = references(data)
        self.triples = scenes_of(listing, set(data.scene_ids)) if listing.is_file() else None

    def score(self, predictions: dict[str, str]) -> dict[str, float]:
        """BLEU and CIDEr over all pairs, words split at spaces; "facts.…" where there are scene graphs."""
        from idc.metrics.captions import score_captions

        metrics = score_captions(predictions, self.references, ("BLEU", "CIDEr"), tokenizer="split")
        if self.triples is not None:
            facts = score_facts(predictions, self.triples)
            metrics |= {f"facts.{name}": facts[name] for name in FACTS}
        return metrics


def references(data: ClevrChange) -> dict[str, list[str]]:
    """{image id: captions} of a split, as the label file has them."""
    result = {}
    for prefix, ending in (("", ""), ("neg_", "_n")):
        family = data.labels[prefix]
        for scene in data.scene_ids:
            rows = family.labels[family.start[scene] : family.end[scene] + 1]
            result[f"{scene:06d}.png{ending}"] = [data.vocabulary.decode(row) for row in rows.tolist()]
    return result


def scenes_of(listing: Path, wanted: set[int]) -> list[Triple]:
    """The triples of these scenes from a scenes.jsonl."""
    with listing.open(encoding="utf-8") as lines:
        records = (json.loads(line) for line in lines)
        return [triple_from_dict(record) for record in records if record["index"] in wanted]
