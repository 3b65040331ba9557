"""Greedy captions of 24 words at the paper's size: the released sampling against the cached decoder; and beam search.

Before anything is timed, the released parameters are copied over and the captions must be equal, word by word. “plain”
decodes as a book would: the whole beginning of the caption again for every word, with the pieces as they are read.
The parameters are random, with <END> made so unlikely that all captions have full length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Case, Options
from benchmarks.released import LENGTH, Released, new, ours, random_batch
from idc.captioner.search import END, START, UNK, Search, search_captions
from idc.systems.scorer_cbr import ScorerCBR

GOAL = "P4"
TITLE = "decoding captions"


def plain(system: ScorerCBR, picture: Tensor) -> Tensor:
    """Greedy without a cache."""
    words = torch.full((len(picture), 1), START)
    for _ in range(LENGTH - 1):
        logits = system.decoder(words, picture)[1][:, -1]
        logits[:, UNK] = -torch.inf
        words = torch.cat([words, logits.argmax(-1, keepdim=True)], 1)
    return words[:, 1:]


@torch.no_grad()
def lively(system: Any) -> Any:
    """Weights that say different things about different pictures, at full length."""
    decoder = system.decoder
    for name, parameter in decoder.named_parameters():
        if parameter.ndim == 2 and "embed" not in name:
            parameter.mul_(4)
    bias = decoder.logit.bias if isinstance(system, Released) else decoder.logits.bias
    bias[[0, 1, END]] -= 100
    return system.eval()


def check(options: Options) -> list[str]:
    lines = []
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for size in (3, 8):
            pairs = random_batch(size).change
            system = lively(new("auto"))
            picture = system.encoder(pairs.before, pairs.after, match=False).tokens
            said = search_captions(system.decoder, picture, Search()).tokens[:, : LENGTH - 1]
            assert torch.equal(said, plain(lively(new("plain")), picture)), "cached and plain decoding differ"
            assert len(said.unique(dim=0)) > 1, "all captions are the same, so equality says little"
            lines.append(f"cached and plain captions, word by word, B={size}")
            if options.released is not None:
                released = lively(Released(options.released))
                released.save(Path(folder) / "weights.pt")
                mine = ours(Path(folder) / "weights.pt").eval().caption(pairs, Search()).tokens
                assert mine[:, : LENGTH - 1].tolist() == released.caption(pairs), "captions differ"
                lines.append(f"ours and the released captions, word by word, B={size}")
    return lines


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    pairs = random_batch(size["batch"]).change
    if variant.startswith("released"):
        assert options.released is not None
        torch.manual_seed(0)
        released = lively(Released(options.released))
        grids = released.coordinates(pairs.before), released.coordinates(pairs.after)
        with torch.no_grad():
            tokens = released.encoder(*grids)[0]
        if variant == "released, with encoder":
            return torch.no_grad()(lambda: released.caption(pairs))
        return torch.no_grad()(lambda: released.decoder.sample(tokens, sample_max=1))
    system = lively(new("plain" if variant == "plain" else "auto"))
    with torch.no_grad():
        picture = system.encoder(pairs.before, pairs.after, match=False).tokens
    works: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(system, picture),
        "greedy": lambda: search_captions(system.decoder, picture, Search()),
        "beam 5": lambda: search_captions(system.decoder, picture, Search("beam", beams=5)),
        "greedy, with encoder": lambda: system.caption(pairs, Search()),
    }
    return torch.no_grad()(works[variant])


def cases(batch: int, repeats: int, full: bool) -> list[Case]:
    size = {"batch": batch}
    result = []
    for peer, variant, wanted in (
        ("released", "greedy", 10.0),
        ("released, with encoder", "greedy, with encoder", None),
        ("plain", "greedy", None),
        ("greedy", "beam 5", 1 / 3),
    ):
        for threads in (1, 2) if full and peer != "plain" else (1,):
            measure = "cpu_s" if threads == 1 else "wall_s"
            result.append(
                Case(
                    f"{variant} against {peer}, {batch} captions, {threads} thread{'s' * (threads > 1)}",
                    peer,
                    variant,
                    size,
                    {measure: wanted if full else None},
                    threads,
                    repeats,
                    needs_released="released" in peer,
                )
            )
    return result


CASES = {"small": cases(8, 3, False), "full": cases(32, 3, True)}
