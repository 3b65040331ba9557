"""A tiny data set in the layout of CLEVR-Change, with random grids: enough to train on in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

from idc.data.captions import preprocess
from idc.data.grids import GridWriter

COLORS = ("red", "blue", "green")
KINDS = ("default", "semantic", "nonsemantic")


def make_world(root: Path, scenes: int = 12, shape: tuple[int, int, int] = (4, 2, 2), seed: int = 0) -> Path:
    """Write captions, splits, labels and flat grids; two thirds train, the rest val and test."""
    root.mkdir(parents=True, exist_ok=True)
    names = [f"CLEVR_default_{i:06d}.png" for i in range(scenes)]
    change = {name: [f"the {COLORS[i % 3]} ball moved", "it moved"] for i, name in enumerate(names)}
    cut, end = 2 * scenes // 3, (5 * scenes + 5) // 6
    splits = {
        "train": list(range(cut)),
        "val": list(range(cut, end)),
        "test": list(range(end, scenes)),
    }
    files = {
        "change_captions.json": change,
        "no_change_captions.json": {name: ["nothing changed"] for name in names},
        "type_mapping.json": {"move": [f"{i:06d}.png" for i in range(scenes)]},
        "splits.json": splits,
    }
    for file, content in files.items():
        (root / file).write_text(json.dumps(content), encoding="utf-8")
    preprocess(root)
    rng = np.random.default_rng(seed)
    for split, ids in splits.items():
        pictures = [f"CLEVR_{kind}_{i:06d}.png" for i in ids for kind in KINDS]
        writer = GridWriter(root / "features_tiny" / split, pictures, shape, {"backbone": "tiny"})
        writer.append(rng.normal(size=(len(pictures), *shape)).astype(np.float32))
        writer.finish()
    return root


def write_config(path: Path, root: Path, **sections: object) -> Path:
    """A configuration of a tiny SCORER+CBR for that data set."""
    values = {
        "exp_name": "tiny",
        "runs": str(path.parent / "runs"),
        "model": {"dim": 8, "heads": 2, "word_dim": 8, "encoder_layers": 1, "decoder_layers": 1},
        "data": {
            "root": str(root),
            "backbone": "tiny",
            "train": {"batch_size": 4},
            "val": {"batch_size": 4},
            "test": {"batch_size": 4},
        },
        "optim": {"lr": 0.01, "schedule": "cosine", "warmup": 2, "clip": 1.0},
        "train": {"steps": 6, "snapshot_every": 3, "log_every": 1, "accelerator": "cpu"},
        "logger": [],
    }
    path.write_text(yaml.safe_dump(values | sections), encoding="utf-8")
    return path
