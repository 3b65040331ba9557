"""Caption a split and score it quickly, without a Java machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from idc.captioner.search import Search
from idc.data.clevr_change import ClevrChange
from idc.systems.system import System


def caption_split(
    system: System,
    data: ClevrChange,
    batch_size: int,
    search: Search,
    device: Any = "cpu",
    progress: bool = False,
) -> dict[str, str]:
    """{image id: caption} for every change and no-change pair of a split."""
    captions: dict[str, str] = {}
    starts = range(0, len(data), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc=f"captioning {data.split}", unit="batch", disable=not progress):
            items = [data[(0, index)] for index in range(start, min(start + batch_size, len(data)))]
            batch = data.collate(items).to(device)
            for pairs in (batch.change, batch.no_change):
                tokens = system.caption(pairs, search).tokens.tolist()
                captions |= {
                    name: data.vocabulary.decode(row)
                    for name, row in zip(pairs.image_ids, tokens, strict=True)
                }
    return captions


def references(data: ClevrChange) -> dict[str, list[str]]:
    """{image id: captions} of a split, as the label file has them."""
    result = {}
    for prefix, ending in (("", ""), ("neg_", "_n")):
        family = data.labels[prefix]
        for scene in data.scene_ids:
            rows = family.labels[family.start[scene] : family.end[scene] + 1]
            result[f"{scene:06d}.png{ending}"] = [data.vocabulary.decode(row) for row in rows.tolist()]
    return result


def score_split(predictions: dict[str, str], data: ClevrChange, root: Path) -> dict[str, float]:
    """CIDEr of change pairs, and facts where the data have scene graphs."""
    from idc.metrics.captions import score_captions

    change = {name: caption for name, caption in predictions.items() if not name.endswith("_n")}
    truth = references(data)
    metrics = score_captions(change, {name: truth[name] for name in change}, ("CIDEr",), tokenizer="split")
    listing = root / "scenes.jsonl"
    if listing.is_file():
        from idc.metrics.facts import score_facts
        from idc.world.triple import triple_from_dict

        wanted = set(data.scene_ids)
        records = (json.loads(line) for line in listing.read_text(encoding="utf-8").splitlines())
        triples = [triple_from_dict(record) for record in records if record["index"] in wanted]
        facts = score_facts(predictions, triples)
        metrics |= {f"facts.{name}": facts[name] for name in ("change_type", "statement", "no_change")}
    return metrics
