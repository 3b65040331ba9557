"""The album: a few rendered scenes that come with the kit, for notebooks that need no data of their own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from idc.backbones import load_backbone, open_image
from idc.data.layout import KINDS, PICTURE_FOLDERS, picture, read_json, scene_id
from idc.errors import UserError

ALBUM = Path(__file__).parent / "assets" / "album"  # in the layout of CLEVR-Change


def scenes() -> list[int]:
    """The numbers of the album's scenes."""
    return sorted(scene_id(name) for name in read_json(ALBUM / "change_captions.json"))


def files(scene: int) -> dict[str, Path]:
    """The picture files of a scene, by kind: default, semantic, nonsemantic. Raises UserError for another number."""
    if scene not in scenes():
        raise UserError(f"the album has no scene {scene}; it has {', '.join(map(str, scenes()))}.")
    return {kind: ALBUM / PICTURE_FOLDERS[kind] / picture(kind, scene) for kind in KINDS}


def pictures(scene: int) -> dict[str, Image.Image]:
    """The three pictures of a scene: default (before), semantic (after a change), nonsemantic (distractor)."""
    return {kind: open_image(file) for kind, file in files(scene).items()}


@cache
def grids(kind: str) -> Float[Tensor, "B C H W"]:
    """What the bundled backbone sees in the pictures of a kind, in the order of `scenes()`."""
    backbone = load_backbone("rendered")
    images = [backbone.preprocess(pictures(scene)[kind]) for scene in scenes()]
    with torch.inference_mode():
        found = backbone(torch.stack(images))
    return found.clone()
