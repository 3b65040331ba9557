"""What the files of a CLEVR-Change folder are called, and reading its listings.

A scene has three pictures: `default` (before), `semantic` (after), `nonsemantic` (distractor). A scene's id
is always the number in a file name, never a file's place in a listing: the real set's ids have holes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from idc.errors import UserError

KINDS = ("default", "semantic", "nonsemantic")
PICTURE_FOLDERS = {"default": "images", "semantic": "sc_images", "nonsemantic": "nsc_images"}
FEATURE_FOLDERS = {"default": "features", "semantic": "sc_features", "nonsemantic": "nsc_features"}

_NAME = re.compile(r"CLEVR_(default|semantic|nonsemantic)_([0-9]+)\.png", re.ASCII)


def picture(kind: str, scene: int) -> str:
    """The file name of a picture: "CLEVR_default_000012.png"."""
    return f"CLEVR_{kind}_{scene:06d}.png"


def kind_of(name: str) -> str:
    """The kind in a picture's file name. Raises UserError for a name of another form."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(f"“{name}” is not named like a picture of CLEVR-Change, CLEVR_default_000012.png.")
    return match[1]


def scene_id(name: str) -> int:
    """The number in a file name: 12 for "CLEVR_default_000012.png" and for "000012.png".

    It is what stands between the last "_" and the first "." after it. Raises UserError if that is no number.
    """
    digits = name.rsplit("_", 1)[-1].split(".", 1)[0]
    if not (digits.isascii() and digits.isdigit()):
        raise UserError(f"“{name}” does not end in a scene number like CLEVR_default_000012.png.")
    return int(digits)


def some(scenes: Iterable[int] | Iterable[str]) -> str:
    """The first few ids or names for an error message: "000003, 000007 and 12 more"."""
    names = sorted(scene if isinstance(scene, str) else f"{scene:06d}" for scene in scenes)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def read_json(path: Path) -> Any:
    """The content of a JSON file of the data set. Raises UserError when it is missing or broken."""
    if not path.is_file():
        raise UserError(
            f"{path} is missing. A world is made by `python data_scripts/render_world.py --out {path.parent} "
            "--scenes 1500`, the real CLEVR-Change is fetched by `python data_scripts/download.py`."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); it may be truncated. Make or download it again."
        ) from error


def read_splits(root: Path) -> dict[str, list[int]]:
    """The scene ids of each split of splits.json, ascending.

    Raises UserError for another form, and for a scene that is listed twice, within a split or in two.
    """
    path = root / "splits.json"
    splits = read_json(path)
    if not isinstance(splits, dict) or not all(
        isinstance(scenes, list) and all(type(scene) is int and scene >= 0 for scene in scenes)
        for scenes in splits.values()
    ):
        raise UserError(
            f"{path} does not map split names to lists of scene numbers like {{“train”: [0, 1, 5], …}}; correct it."
        )
    counts = Counter(scene for scenes in splits.values() for scene in scenes)
    twice = [scene for scene, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"{path} lists {len(twice)} scenes more than once: {some(twice)}. A scene belongs to one split; correct it."
        )
    return {split: sorted(scenes) for split, scenes in splits.items()}


def split_of(root: Path, split: str) -> list[int]:
    """The ids of one split. Raises UserError when there is no such split or nothing in it."""
    splits = read_splits(root)
    if split not in splits:
        raise UserError(f"{root / 'splits.json'} has no split “{split}”, only {', '.join(splits)}.")
    if not splits[split]:
        raise UserError(f"the split “{split}” of {root / 'splits.json'} is empty; give it some scenes.")
    return splits[split]


def read_types(root: Path) -> dict[int, str] | None:
    """The change type of each scene of type_mapping.json; None where there is no such file.

    Raises UserError for another form and for a scene with two types.
    """
    path = root / "type_mapping.json"
    if not path.is_file():
        return None
    mapping = read_json(path)
    if not isinstance(mapping, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in mapping.values()
    ):
        raise UserError(
            f"{path} does not map change types to lists of names like {{“color”: [“000000.png”, …], …}}; correct it."
        )
    types: dict[int, str] = {}
    for type_, names in mapping.items():
        for name in names:
            if types.setdefault(scene_id(name), type_) != type_:
                raise UserError(
                    f"{path} gives scene {scene_id(name):06d} two change types, {types[scene_id(name)]} and {type_}."
                )
    return types
