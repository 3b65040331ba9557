"""Extract the grids of a data set's pictures with a backbone; resumable.

Any batch size gives the same features in this sense: in float32 they differ by no more than rounding
(relative to the largest feature less than 1e-5; a convolution library may add numbers in another order for
another batch size), so that half-precision stores differ by at most one unit in the last place.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from idc.backbones import Backbone, open_image
from idc.data import LISTED
from idc.data.grids import GridWriter, read_index
from idc.data.layout import (
    FEATURE_FOLDERS,
    KINDS,
    PICTURE_FOLDERS,
    kind_of,
    picture,
    read_splits,
    scene_id,
    some,
)
from idc.data.listed import PICTURES
from idc.errors import UserError
from idc.files import atomic_write

READERS = 4  # threads that decode and squash pictures while the backbone computes


def fingerprint(backbone: Backbone) -> str:
    """A hash of the backbone's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        numbers = tensor.detach().cpu().flatten().view(torch.uint8)
        digest.update(name.encode() + numbers.numpy().tobytes())
    return digest.hexdigest()[:16]


def describe(backbone: Backbone) -> dict[str, str]:
    """What a store says about the backbone that filled it. Stores of unlike backbones or precisions are not mixed."""
    description = {"backbone": backbone.name, "weights": fingerprint(backbone)}
    return (
        description if backbone.precision == "float32" else {**description, "precision": backbone.precision}
    )


def device_of(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, else the CPU. Raises UserError when there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"the device “{name}” cannot be used here ({first}). Leave --device out, or give cpu."
        ) from error
    return device


def picture_path(root: Path, name: str) -> Path:
    return root / PICTURE_FOLDERS[kind_of(name)] / name


def check_pictures(root: Path, names: list[str]) -> None:
    """Raise UserError unless there is a file for every picture of a CLEVR-Change."""
    for kind in KINDS:
        folder = root / PICTURE_FOLDERS[kind]
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        missing = [scene_id(name) for name in names if kind_of(name) == kind and name not in there]
        if missing:
            raise UserError(
                f"{len(missing)} scenes of the splits have no {kind} picture such as "
                f"{folder / picture(kind, min(missing))}: {some(missing)}. Run render_world.py or download.py again."
            )


def pictures_of(root: Path, kind: str) -> tuple[dict[str, list[str]], Callable[[str], Path]]:
    """The names of the pictures of each split, and where a picture lies. Raises UserError for missing ones."""
    if kind == "clevr_change":
        splits = {split: names_of(scenes) for split, scenes in read_splits(root).items() if scenes}
        check_pictures(root, [name for names in splits.values() for name in names])
        return splits, partial(picture_path, root)
    listing, folder = LISTED[kind].listing(root), root / PICTURES
    splits = {split: listing.pictures(split) for split, pairs in listing.pairs.items() if pairs}
    there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if missing := {name for names in splits.values() for name in names} - there:
        raise UserError(
            f"{len(missing)} pictures of the listings are not in {folder}: {some(missing)}. Download them (see "
            f"`python data_scripts/download.py --what {kind}`), or remove their pairs from the listings."
        )
    return splits, lambda name: folder / name


@torch.inference_mode()
def grids_in_batches(
    backbone: Backbone,
    place: Callable[[str], Path],
    names: list[str],
    batch_size: int,
    device: torch.device,
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and their grids, (batch, C, H, W) float32, in the order of `names`. place: where a picture lies.

    Raises UserError for a picture that cannot be read, naming it; earlier batches were handed out by then.
    """
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size} is not possible; give 1 or more.")

    def load(name: str) -> Tensor:
        return backbone.preprocess(open_image(place(name)))

    batches = [names[start : start + batch_size] for start in range(0, len(names), batch_size)]
    pool = ThreadPoolExecutor(READERS)
    try:
        ahead: deque[list[Future[Tensor]]] = deque()
        for number, batch in enumerate(batches):
            for coming in batches[number + len(ahead) : number + 2]:
                ahead.append([pool.submit(load, name) for name in coming])
            images = torch.stack([future.result() for future in ahead.popleft()])
            with torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ):
                grids = backbone(images.to(device))
            if tuple(grids.shape[1:]) != tuple(backbone.grid_shape):
                raise UserError(
                    f"the backbone {backbone.name} gave grids of shape {tuple(grids.shape[1:])} and promises "
                    f"{tuple(backbone.grid_shape)}. Give weights that belong to it."
                )
            yield batch, grids.float().cpu().numpy()
    finally:
        pool.shutdown(cancel_futures=True)


def names_of(scenes: list[int]) -> list[str]:
    return [picture(kind, scene) for scene in scenes for kind in KINDS]


SAME = 0.9995  # cosine of two grids of a picture, at least


def check_agreement(exact: Backbone, half: Backbone, root: Path, kind: str = "clevr_change") -> float:
    """The smallest cosine between the grids of two backbones, over the first pictures of a data set.

    Raises UserError when it is below 0.9995.
    """
    splits, place = pictures_of(root, kind)
    names = [name for names in splits.values() for name in names][:6]
    cpu = torch.device("cpu")
    pairs = zip(*(grids_in_batches(net, place, names, 6, cpu) for net in (exact, half)), strict=True)
    one, other = next(((torch.from_numpy(a), torch.from_numpy(b)) for (_, a), (_, b) in pairs))
    cosine = torch.nn.functional.cosine_similarity(one.flatten(1), other.flatten(1)).min().item()
    if not cosine >= SAME:
        raise UserError(
            f"in bf16 the grids of {names[0]} and others have a cosine of only {cosine:.5f} to those in float32, and "
            f"{SAME} was expected. Leave --precision out."
        )
    return cosine


def extract_flat(
    root: Path,
    out: Path,
    backbone: Backbone,
    batch_size: int,
    device: torch.device,
    kind: str = "clevr_change",
) -> None:
    """One flat fp16 store per split, `out`/<split>. Finished splits are left alone, a begun one is continued."""
    description = describe(backbone)
    backbone.to(device)
    splits, place = pictures_of(root, kind)
    for split, names in splits.items():
        index = {"shape": list(backbone.grid_shape), "dtype": "float16", **description, "names": names}
        if (out / split / "index.json").is_file():
            if read_index(out / split / "index.json") != index:
                raise UserError(
                    f"{out / split} holds features of other pictures, another backbone, other weights or another precision. "
                    "Delete that folder, or choose another --out."
                )
            continue
        with GridWriter(out / split, names, backbone.grid_shape, description) as writer:
            todo = names[writer.done :]
            bar = tqdm(total=len(names), initial=writer.done, desc=f"features, {split}", unit="picture")
            with bar:
                for batch, grids in grids_in_batches(backbone, place, todo, batch_size, device):
                    writer.append(grids)
                    bar.update(len(batch))
            writer.finish()


def extract_npy(root: Path, out: Path, backbone: Backbone, batch_size: int, device: torch.device) -> None:
    """CLEVR-Change's published layout: one float32 `.npy` per picture of every split. Existing files are left alone."""
    about = {"shape": list(backbone.grid_shape), **describe(backbone)}
    backbone.to(device)
    splits, place = pictures_of(root, "clevr_change")
    names = [name for names in splits.values() for name in names]
    card = out / "backbone.json"
    begun = any((out / folder).is_dir() for folder in FEATURE_FOLDERS.values())
    if card.is_file() and read_index(card) != about:
        raise UserError(
            f"{out} holds features of another backbone, other weights or another precision. Delete that folder, or "
            "choose another --out."
        )
    if begun and not card.is_file():
        raise UserError(
            f"{out} holds features that were not made here (there is no {card.name}), and the two are not mixed. Use them "
            "as they are, or choose another --out."
        )
    with atomic_write(card) as path:
        path.write_text(json.dumps(about) + "\n", encoding="utf-8")
    targets = {name: out / FEATURE_FOLDERS[kind_of(name)] / f"{name}.npy" for name in names}
    todo = [name for name in names if not targets[name].is_file()]
    with tqdm(total=len(names), initial=len(names) - len(todo), desc="features", unit="picture") as bar:
        for batch, grids in grids_in_batches(backbone, place, todo, batch_size, device):
            for name, grid in zip(batch, grids, strict=True):
                with atomic_write(targets[name]) as path:
                    np.save(path, grid)
            bar.update(len(batch))
