"""Extract the grids of a data set's pictures with a backbone; resumable."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from idc.backbones import Backbone, open_image
from idc.data.captions import read_json
from idc.data.clevr_change import KINDS, picture
from idc.data.grids import PUBLISHED, GridWriter
from idc.errors import UserError
from idc.files import atomic_write

PICTURES = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}


def fingerprint(backbone: Backbone) -> str:
    """A hash of the backbone's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def grids_of(backbone: Backbone, paths: list[Path], device: str) -> np.ndarray:
    """(len(paths), C, H, W) float32."""
    images = torch.stack([backbone.preprocess(open_image(path)) for path in paths]).to(device)
    return backbone(images).float().cpu().numpy()


def picture_path(root: Path, name: str) -> Path:
    return root / PICTURES[name.split("_")[1]] / name


def missing_pictures(root: Path, names: list[str]) -> None:
    missing = [name for name in names if not picture_path(root, name).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} pictures of the splits are missing below {root}, first {picture_path(root, missing[0])}; "
            "render or download the data set again."
        )


def extract_flat(root: Path, out: Path, backbone: Backbone, batch_size: int, device: str) -> None:
    """One flat fp16 store per split, `out`/<split>. Finished splits are left alone, a begun one is continued."""
    description = {"backbone": backbone.name, "weights": fingerprint(backbone)}
    for split, scenes in read_json(root / "splits.json").items():
        names = [picture(kind, scene) for scene in sorted(scenes) for kind in KINDS]
        index = {"shape": list(backbone.grid_shape), "dtype": "float16", **description, "names": names}
        done = out / split / "index.json"
        if done.is_file():
            if read_json(done) != index:
                raise UserError(
                    f"{out / split} holds features of other pictures, another backbone or other weights. "
                    "Delete that folder, or choose another --out."
                )
            continue
        missing_pictures(root, names)
        writer = GridWriter(out / split, names, backbone.grid_shape, description)
        with tqdm(
            total=len(names), initial=writer.done, desc=f"features, {split}", unit="picture"
        ) as progress:
            while writer.done < len(names):
                batch = names[writer.done : writer.done + batch_size]
                writer.append(grids_of(backbone, [picture_path(root, name) for name in batch], device))
                progress.update(len(batch))
        writer.finish()


def extract_npy(root: Path, out: Path, backbone: Backbone, batch_size: int, device: str) -> None:
    """The published layout: one float32 `.npy` per picture of every split. Existing files are left alone."""
    names = [
        picture(kind, scene)
        for scenes in read_json(root / "splits.json").values()
        for scene in scenes
        for kind in KINDS
    ]
    missing_pictures(root, names)
    targets = {name: out / PUBLISHED[name.split("_")[1]] / f"{name}.npy" for name in names}
    todo = [name for name in names if not targets[name].is_file()]
    with tqdm(total=len(names), initial=len(names) - len(todo), desc="features", unit="picture") as progress:
        for start in range(0, len(todo), batch_size):
            batch = todo[start : start + batch_size]
            grids = grids_of(backbone, [picture_path(root, name) for name in batch], device)
            for name, grid in zip(batch, grids, strict=True):
                with atomic_write(targets[name]) as path:
                    np.save(path, grid)
            progress.update(len(batch))
