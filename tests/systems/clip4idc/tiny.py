"""A CLIP4IDC small enough to train in seconds, and pairs for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import SPECIAL, Vocabulary
from idc.systems.clip4idc import CLIP4IDC, CLIP4IDCConfig
from idc.systems.clip4idc.clip import Plan

WORDS = (*SPECIAL, *(f"w{number}" for number in range(8)))  # the data's
OWN = (*SPECIAL, *reversed(WORDS[4:]))  # CLIP's: the same in another order
SIZE, LENGTH = 12, 7
SETTINGS = {"intra_layers": 2, "layers": 2, "heads": 2, "hidden": 24, "dropout": 0.0, "max_words": 8}


def plan(patch: int = 4, width: int = 16, words: tuple[str, ...] = OWN) -> Plan:
    return Plan(
        {
            "embed_dim": width,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": SIZE,
                "patch_size": patch,
                "width": width,
                "layers": 3,
                "head_width": width // 2,
            },
            "text_cfg": {
                "context_length": 10,
                "vocab_size": len(words),
                "width": width,
                "heads": 2,
                "layers": 2,
                "pool_type": "eos",
                "eos_id": 3,
            },
        },
        words,
    )


def write_clip(path: Path, made: Plan) -> nn.Module:
    """A small CLIP as train_clip.py writes it: half precision, with its plan."""
    torch.manual_seed(0)
    clip = made.build()
    metadata = {"config": json.dumps(made.config), "words": json.dumps(made.words), "seed": "0"}
    save_file({name: tensor.half() for name, tensor in clip.state_dict().items()}, path, metadata)
    return clip


def build(patch: int = 4, width: int = 16, lively: bool = True, **config: Any) -> CLIP4IDC:
    """A system with random weights; `lively` makes them large enough for all parts to matter."""
    torch.manual_seed(0)
    made = plan(patch, width)
    system = CLIP4IDC(
        CLIP4IDCConfig(**(SETTINGS | config)), Vocabulary(WORDS), (3, SIZE, SIZE), made.build(), made
    )
    if lively:
        for name, parameter in system.named_parameters():
            about = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0  # gains of a LayerNorm
            torch.nn.init.normal_(parameter, about, 0.6 if parameter.ndim > 1 else 0.3)
        torch.nn.init.constant_(system.clip.logit_scale, 2.0)
    return system.double().eval()


def pairs(size: int, seed: int = 0, ending: str = "", shortest: int = 1) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    pictures = (torch.rand(size, 3, SIZE, SIZE, generator=generator, dtype=torch.float64) for _ in range(2))
    words = torch.zeros(size, LENGTH, dtype=torch.long)
    for row in range(size):
        count = int(torch.randint(shortest, LENGTH - 1, (), generator=generator))
        words[row, 0] = 2
        words[row, 1 : 1 + count] = torch.randint(4, len(WORDS), (count,), generator=generator)
        words[row, 1 + count] = 3
    return Pairs(*pictures, words=words, image_ids=tuple(f"{i:06d}.png{ending}" for i in range(size)))


def batch(size: int = 3, seed: int = 0) -> Batch:
    """Both passes begin with the same pictures."""
    change, other = pairs(size, seed), pairs(size, seed + 100, "_n")
    return Batch(change, Pairs(change.before, other.after, other.words, other.image_ids))
