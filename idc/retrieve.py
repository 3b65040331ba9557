"""python -m idc.retrieve --run runs/clip4idc_laptop [--snapshot best] [--split test] [--out FILE]

Lets every caption of a split look for its pair of pictures among all change pairs, and every pair for its captions.
Prints how often they find each other, beside chance and beside the best there can be where pairs share a caption, and
writes the figures to retrieval.json in <split>/<step>/ of the run.

Asked is the run's stage that is measured by retrieval, where it has one: a later stage goes on with what sees and leaves
what reads behind, so that they fit each other less and less. stage=caption asks that stage nevertheless.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from idc.config import Config, load_config
from idc.data.batch import Pairs
from idc.errors import command
from idc.files import atomic_write
from idc.metrics.retrieval import report_table, retrieval_report, similarities
from idc.systems.system import System
from idc.trained import Trained, add_arguments, open_named
from idc.training.validate import caption_ids, embed_split


def retrieval_stage(config: Config) -> str | None:
    """The stage of a run that is measured by retrieval; None where it was left out, or the system has none."""
    stages = (stage.present for stage in (*config.earlier(), config))
    return next((stage.name for stage in stages if stage.measure == "retrieval"), None)


def retrieval_folder(run: Path) -> Path | None:
    """Where a run's stage that is measured by retrieval lies, None where it has none."""
    config = load_config(run / "config.yaml")
    stage = retrieval_stage(config)
    if stage is None:
        return None
    return run if stage == config.present.name else run / stage


def turned_to_retrieval(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments, naming the stage of the run that is measured by retrieval unless they name another."""
    file = arguments.cfg or arguments.run / "config.yaml"
    if not file.is_file():
        return arguments
    config = load_config(file, arguments.overrides)
    stage = retrieval_stage(config)
    if config.stage is None and stage is not None and stage != config.present.name:
        if arguments.run:
            arguments.run = arguments.run / stage
        arguments.overrides = [*arguments.overrides, f"stage={stage}"]
    return arguments


def retrieve(trained: Trained, device: str = "cpu") -> dict[str, Any]:
    """`idc.metrics.retrieval.retrieval_report` of a split. Raises UserError for a system without retrieval."""
    found = embed_split(trained.system, trained.data, trained.batch_size, device, progress=True)
    return retrieval_report(found.texts, found.pairs, found.owner, found.captions)


@torch.inference_mode()
def embed_texts(system: System, texts: Sequence[str], batch_size: int = 256) -> Float[Tensor, "T D"]:
    """A vector for each text, on the CPU. texts: as the vocabulary decodes them, words between single spaces.

    Raises UserError for a system without retrieval.
    """
    device = next(system.parameters()).device
    longest = 2 + max(len(text.split(" ")) for text in texts)
    words = caption_ids(list(texts), system.vocabulary, longest).split(batch_size)
    return torch.cat([system.embed_words(part.to(device)).float().cpu() for part in words])


@torch.inference_mode()
def nearest_captions(
    system: System,
    pairs: Pairs,
    texts: Sequence[str],
    k: int = 5,
    vectors: Float[Tensor, "T D"] | None = None,
) -> list[list[tuple[str, float]]]:
    """For each pair the k different texts nearest to it, nearest first, with their cosines; fewer where there are fewer.

    vectors: `embed_texts` of the same texts, where it is known already. Raises UserError for a system without retrieval.
    """
    device = next(system.parameters()).device
    vectors = embed_texts(system, texts) if vectors is None else vectors
    nearest = []
    for cosines in similarities(vectors, system.embed_pairs(pairs.to(device)).float()).T:
        order = cosines.argsort(descending=True, stable=True).tolist()
        best: dict[str, float] = {}
        for number in order:
            best.setdefault(texts[number], cosines[number].item())
            if len(best) == k:
                break
        nearest.append(list(best.items()))
    return nearest


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m idc.retrieve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument("--out", type=Path, help="the JSON file, if not the usual one")
    arguments = parser.parse_intermixed_args()
    trained = open_named(turned_to_retrieval(arguments))
    report = retrieve(trained, arguments.device)
    stage = trained.stage
    print(f"stage “{stage.name}”, step {trained.facts.step}, split “{arguments.split}”")
    print(report_table(report))
    if stage.measure != "retrieval":
        print(f"note: the stage “{stage.name}” does not train retrieval", file=sys.stderr)
    out = arguments.out or trained.folder / "retrieval.json"
    about = {
        "system": trained.facts.system,
        "stage": stage.name,
        "step": trained.facts.step,
        "split": arguments.split,
    }
    with atomic_write(out) as path:
        path.write_text(json.dumps(about | report, indent=1) + "\n", encoding="utf-8")
    print(f"figures are in {out}")


if __name__ == "__main__":
    main()
