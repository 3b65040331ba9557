"""A contest: new scenes, of which students get the pictures and the instructor keeps the truth.

    contest/public/      contest.json, before/0001.png, after/0001.png, …        for students
    contest/private/     world/ (as rendered), key.json (which pair is which)    for nobody else

A scene gives one pair, with its change or with its distractor, so that no pair tells anything about another. Half of the
scenes show their change, as many of each type; pairs are numbered in random order. All of it follows from the secret seed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from idc.data.layout import PICTURE_FOLDERS, picture, read_json, scene_id, some, split_of
from idc.errors import UserError
from idc.files import atomic_write
from idc.world.layout import Settings, render_world, split_ids
from idc.world.scene import CHANGE_TYPES, Triple
from idc.world.triple import sample_triple, triple_from_dict, triple_to_dict

PUBLIC, PRIVATE = "public", "private"
LETTERS = "bcdfghjkmnpqrstvwxz"
ENDING = "_n"  # of a pair without a change, as in nsc_results.json


@dataclass(frozen=True)
class References:
    """What captions are judged by.

    captions: by pair, the true ones; a pair is named "000012.png", or "000012.png_n" for a distractor. triples: their
    scenes, by number. key: the pair behind each name that students see. contest: its name, "" for a data set.
    """

    captions: Mapping[str, tuple[str, ...]]
    triples: Mapping[int, Triple]
    key: Mapping[str, str]
    contest: str = ""

    def changed(self) -> list[str]:
        """The pairs with a change."""
        return [pair for pair in self.captions if not pair.endswith(ENDING)]


def scene_of(pair: str) -> int:
    return scene_id(f"_{pair.removesuffix(ENDING)}")


def read_references(
    world: Path, pairs: Iterable[str], key: Mapping[str, str] | None = None, contest: str = ""
) -> References:
    """The truth about some pairs of a rendered world. Raises UserError where a caption or a scene graph is missing."""
    pairs = list(pairs)
    said = {
        ending: {scene_id(name): tuple(texts) for name, texts in read_json(world / file).items()}
        for ending, file in (("", "change_captions.json"), (ENDING, "no_change_captions.json"))
    }
    wanted = {scene_of(pair) for pair in pairs}
    listing = world / "scenes.jsonl"
    if not listing.is_file():
        raise UserError(
            f"{listing} is missing: the truth about captions is in the scene graphs of a rendered world."
        )
    with listing.open(encoding="utf-8") as lines:
        triples = {
            each.index: each for each in map(triple_from_dict, map(json.loads, lines)) if each.index in wanted
        }
    if missing := wanted - triples.keys() | {s for s in wanted for texts in said.values() if s not in texts}:
        raise UserError(
            f"{world} lacks captions or scene graphs of {len(missing)} scenes: {some(missing)}; make it anew."
        )
    captions = {pair: said[ENDING if pair.endswith(ENDING) else ""][scene_of(pair)] for pair in pairs}
    return References(captions, triples, key or {pair: pair for pair in pairs}, contest)


def read_world(world: Path, split: str = "test") -> References:
    """The truth about a split of a world: the one that students rendered in problem set 6."""
    return read_references(
        world, [f"{scene:06d}.png{ending}" for scene in split_of(world, split) for ending in ("", ENDING)]
    )


def read_contest(folder: Path) -> References:
    """The truth about a contest that `make_contest` wrote. Raises UserError for another folder."""
    path = folder / PRIVATE / "key.json"
    if not path.is_file():
        raise UserError(
            f"{folder} is no finished contest: it has no {PRIVATE}/key.json. `python -m autograder.contest make` makes one."
        )
    content = read_json(path)
    return read_references(
        folder / PRIVATE / "world", content["pairs"].values(), content["pairs"], content["contest"]
    )


def make_contest(folder: Path, settings: Settings, scenes: int, workers: int) -> Path:
    """Render a contest and write its two parts; returns the public one. What is rendered already is kept.

    Raises UserError for a folder that holds a contest of another size, and as `render_world` does.
    """
    key = folder / PRIVATE / "key.json"
    if key.is_file() and len(read_json(key)["pairs"]) != scenes:
        raise UserError(
            f"{folder} holds a contest of another size; choose another --out, or the same --scenes."
        )
    render_world(folder / PRIVATE / "world", scenes, [0, 0, scenes], settings, workers=workers)
    return publish(folder, range(scenes), settings.seed)


def publish(folder: Path, scenes: Sequence[int], seed: int) -> Path:
    """Write the public part and the key of a contest whose world is rendered; returns the public part."""
    world, public = folder / PRIVATE / "world", folder / PUBLIC
    key = choose_pairs(scenes, seed)
    name = contest_name(seed)
    for pair, hidden in tqdm(key.items(), desc="pictures", unit="pair", disable=None):
        after = "nonsemantic" if hidden.endswith(ENDING) else "semantic"
        for side, kind in (("before", "default"), ("after", after)):
            content = (world / PICTURE_FOLDERS[kind] / picture(kind, scene_of(hidden))).read_bytes()
            with atomic_write(public / side / f"{pair}.png") as path:
                path.write_bytes(content)
    write_json(public / "contest.json", {"contest": name, "pairs": list(key)})
    write_json(folder / PRIVATE / "key.json", {"contest": name, "pairs": key})
    return public


def contest_settings(
    folder: Path, size: tuple[int, int], samples: int, denoised: bool, seed: int | None
) -> Settings:
    """The settings of a contest, with the seed that a folder was begun with, or else a new one that nobody can guess."""
    begun = folder / PRIVATE / "world" / "world.json"
    if seed is None:
        seed = read_json(begun)["settings"]["seed"] if begun.is_file() else secrets.randbits(62)
    return Settings(seed=seed, size=size, samples=samples, denoised=denoised)


def choose_pairs(scenes: Sequence[int], seed: int) -> dict[str, str]:
    """Which pair stands behind each public name: {"0001": "000012.png_n", …}."""
    rng = np.random.default_rng((seed, 6))
    blocks = rng.permutation(sorted({scene // len(CHANGE_TYPES) for scene in scenes}))
    shown = set(blocks[: -(-len(blocks) // 2)].tolist())  # these blocks of five show each type once
    pairs = [f"{scene:06d}.png{'' if scene // len(CHANGE_TYPES) in shown else ENDING}" for scene in scenes]
    digits = max(4, len(str(len(pairs))))
    return {
        f"{number:0{digits}d}": pairs[place]
        for number, place in enumerate(rng.permutation(len(pairs)), start=1)
    }


def contest_name(seed: int) -> str:
    """A name that tells one contest from another, and nothing of the seed."""
    return "".join(LETTERS[i] for i in np.random.default_rng((seed, 7)).integers(len(LETTERS), size=8))


def make_references(folder: Path, seed: int, sizes: list[int], split: str = "test") -> None:
    """Write the truth about one split of a world without rendering its pictures: captions, scene graphs, splits.

    seed, sizes: of the world that students render. It is the same truth, found in seconds instead of minutes.
    """
    from idc.world.render import visible

    scenes = split_ids(sum(sizes), sizes, seed)[split]
    triples = [
        sample_triple(seed, scene, visible=visible)
        for scene in tqdm(scenes, desc="scene graphs", unit="scene", disable=None)
    ]
    for file, field in (
        ("change_captions.json", "sentences"),
        ("no_change_captions.json", "no_change_sentences"),
    ):
        write_json(folder / file, {picture("default", each.index): getattr(each, field) for each in triples})
    write_json(folder / "splits.json", {split: scenes})
    with atomic_write(folder / "scenes.jsonl") as path:
        path.write_text(
            "".join(json.dumps(triple_to_dict(each)) + "\n" for each in triples), encoding="utf-8"
        )


def write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
