"""Reading batches of grids (1024 x 14 x 14) in random order: the flat fp16 store against other layouts.

An item of a batch has three grids: before, after, after without a change. Peers are the published layout, a float32 `.npy`
file per picture, and HDF5 with gzip, a chunk per picture. All files are in the system's page cache, for all alike.
What comes out is what a training step is given: float32 tensors, stacked by the loader; the published layout goes through
the loader's own reader, which is no slower than the released one.
“step” is a training step of SCORER+CBR, to see what share of it loading costs.

Whether the C library keeps the memory of a batch for the next one, or asks the system for new pages, differs from process
to process, and a peer of many small files costs 24 or 70 ms accordingly. The full cases take it as it comes, as a training
does. In the small ones, which later runs are held against, memory is always kept, so that their ratios are steady.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from benchmarks.harness import Case, Options
from idc.data.clevr_change import ClevrChange, Item
from idc.data.grids import GridWriter, open_grids
from idc.data.layout import FEATURE_FOLDERS, KINDS, picture

GOAL = "P6"
TITLE = "reading grids in random order"
SHAPE = (1024, 14, 14)
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**32)}  # of glibc
Read = Callable[[str], np.ndarray]


def grid(number: int) -> np.ndarray:
    """Like features after a ReLU: half of them 0."""
    return np.maximum(np.random.default_rng(number).standard_normal(SHAPE, np.float32), 0)


def build(layout: str, scenes: int) -> tuple[Path, Read]:
    """A store in a temporary folder, and what reads a grid by its picture's name."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = [picture(kind, scene) for scene in range(scenes) for kind in KINDS]
    if layout == "flat":
        with GridWriter(folder / "train", names, SHAPE, {"backbone": "resnet101"}) as writer:
            for number in range(len(names)):
                writer.append(grid(number)[None])
            writer.finish()
    elif layout == "npy":
        for kind in KINDS:
            (folder / FEATURE_FOLDERS[kind]).mkdir()
        for number, name in enumerate(names):
            kind = name.split("_")[1]
            np.save(folder / FEATURE_FOLDERS[kind] / f"{name}.npy", grid(number))
    else:
        with h5py.File(folder / "grids.h5", "w") as file:
            rows = (1, *SHAPE)
            data = file.create_dataset("grids", (len(names), *SHAPE), "f4", chunks=rows, compression="gzip")
            for number in range(len(names)):
                data[number] = grid(number)
        opened = h5py.File(folder / "grids.h5", "r")["grids"]
        place = {name: number for number, name in enumerate(names)}
        return folder, lambda name: opened[place[name]]
    grids = open_grids(folder, "train")
    return folder, lambda name: grids[name]


def batch(read: Read, scenes: list[int]) -> Any:
    words = np.zeros(24, np.int64)
    items = []
    for scene in scenes:
        default, semantic, still = (read(picture(kind, scene)) for kind in KINDS)
        items.append(Item(scene, default, semantic, words, default, still, words))
    return ClevrChange.collate(items)


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def check(options: Options) -> list[str]:
    """The same grids, to half precision's rounding, in three batch sizes; what the stores take on the disk."""
    built = {layout: build(layout, 40) for layout in ("flat", "npy", "gzip HDF5")}
    for count in (1, 7, 33):
        scenes = random.Random(count).sample(range(40), count)
        flat, *others = (batch(read, scenes) for _, read in built.values())
        for other in others:
            for mine, theirs in ((flat.change, other.change), (flat.no_change, other.no_change)):
                for name in ("before", "after"):
                    assert torch.equal(getattr(mine, name), getattr(theirs, name).half().float()), name
    sizes = {layout: size_mb(folder) for layout, (folder, _) in built.items()}
    assert sizes["flat"] <= 0.5 * sizes["npy"] * 1.001, sizes
    shares = ", ".join(f"{sizes['flat'] / sizes[layout]:.3f} of {layout}" for layout in ("npy", "gzip HDF5"))
    return ["grids in batches of 1, 7 and 33, to fp16 rounding", f"the flat store takes {shares} on the disk"]


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    if variant == "step":
        from benchmarks import train_step

        return train_step.prepare(train_step.FLOAT, {"batch": size["batch"]}, options)
    _, read = build(variant, size["scenes"])
    chance = random.Random(0)
    return lambda: batch(read, chance.sample(range(size["scenes"]), size["batch"]))


def cases(batch: int, scenes: int, full: bool) -> list[Case]:
    size = {"batch": batch, "scenes": scenes}
    peers = [("npy", 5.0, 15), ("gzip HDF5", 20.0, 3), ("step", 20.0, 2)]
    return [
        Case(
            f"flat against {peer}, {batch} items", peer, "flat", size, {"cpu_s": goal if full else None}, 1, repeats,
            environment={} if full else KEEP_MEMORY,
        )
        for peer, goal, repeats in peers[: 3 if full else 2]
    ]  # fmt: skip


CASES = {"small": cases(32, 40, False), "full": cases(32, 100, True)}
