"""Triples: a scene, the scene after one change, and the scene seen from elsewhere, with sentences.

Every triple depends on (seed, index) alone. Views, content and words come from separate random streams,
and views are drawn before and apart from everything else: when a draw must be repeated because an object
is hidden, it is the content that is drawn again. So nothing about the camera or the lights tells which
change happened, or whether one did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from idc.errors import UserError
from idc.world.change import apply_change, sample_scene
from idc.world.scene import CHANGE_TYPES, Change, Object, Point, Scene, Triple, View
from idc.world.sentence import change_sentences, no_change_sentences

CAMERA: Point = (7.48, -6.5, 5.34)  # CLEVR's
TARGET: Point = (0.0, 0.0, 0.15)
LIGHTS: tuple[Point, Point, Point] = ((7.2, 1.2, 7.0), (1.0, -8.0, 4.0), (-5.0, 4.0, 6.5))
CAMERA_JITTER = 0.5  # half width of the uniform jitter along each axis, world units; CLEVR's value
LIGHT_JITTER = 1.0
SENTENCES = 6
NO_CHANGE_SENTENCES = 5
ATTEMPTS = 400


def jitter(rng: np.random.Generator, point: Point, width: float) -> Point:
    x, y, z = (round(float(value), 4) for value in np.add(point, rng.uniform(-width, width, size=3)))
    return (x, y, z)


def sample_view(rng: np.random.Generator) -> View:
    """One view; all three of a triple come from this distribution."""
    key, fill, back = (jitter(rng, light, LIGHT_JITTER) for light in LIGHTS)
    return View(jitter(rng, CAMERA, CAMERA_JITTER), TARGET, (key, fill, back))


def change_type(seed: int, index: int) -> str:
    """The type of triple `index`: every block of five holds each type once, in random order."""
    block, place = divmod(index, len(CHANGE_TYPES))
    return CHANGE_TYPES[np.random.default_rng((seed, block, 0)).permutation(len(CHANGE_TYPES))[place]]


def always(scene: Scene, view: View) -> bool:
    """Takes every object for visible."""
    return True


def sample_triple(
    seed: int, index: int, *, type: str | None = None, visible: Callable[[Scene, View], bool] = always
) -> Triple:
    """Triple `index` of the world `seed`.

    type: the change type; None takes the one due at this index. visible: whether all objects of a scene
    can be seen from a view (`idc.world.render.visible`). Raises UserError if no draw satisfies it.
    """
    type = type or change_type(seed, index)
    views, content, words = (np.random.default_rng((seed, index, stream)) for stream in (1, 2, 3))
    default_view, semantic_view, nonsemantic_view = (sample_view(views) for _ in range(3))
    for _ in range(ATTEMPTS):
        default = sample_scene(content)
        if default is None or not (visible(default, default_view) and visible(default, nonsemantic_view)):
            continue
        changed = apply_change(content, default, type)
        if changed is None:
            continue
        semantic, change = changed
        if visible(semantic, semantic_view):
            break
    else:
        raise UserError(
            f"scene {index} of seed {seed}: in {ATTEMPTS} draws some object was always hidden. "
            "Lower the least visible share, or take another seed."
        )
    return Triple(
        index,
        default,
        semantic,
        change,
        default_view,
        semantic_view,
        nonsemantic_view,
        change_sentences(words, default, semantic, change, default_view, SENTENCES),
        change_sentences(words, semantic, default, change.reversed(), default_view, SENTENCES),
        no_change_sentences(words, NO_CHANGE_SENTENCES),
    )


def triple_to_dict(triple: Triple) -> dict[str, Any]:
    """Plain lists, numbers and strings, as written to scenes.jsonl."""
    return dataclasses.asdict(triple)


def scene_from_dict(record: dict[str, Any]) -> Scene:
    return Scene(
        tuple(Object(**{**thing, "position": tuple(thing["position"])}) for thing in record["objects"])
    )


def view_from_dict(record: dict[str, Any]) -> View:
    first, second, third = (tuple(light) for light in record["lights"])
    return View(tuple(record["camera"]), tuple(record["target"]), (first, second, third))


def triple_from_dict(record: dict[str, Any]) -> Triple:
    """The inverse of `triple_to_dict`; fields that a triple does not have are left aside."""
    default_view, semantic_view, nonsemantic_view = (
        view_from_dict(record[f"{name}_view"]) for name in ("default", "semantic", "nonsemantic")
    )
    return Triple(
        index=record["index"],
        default=scene_from_dict(record["default"]),
        semantic=scene_from_dict(record["semantic"]),
        change=Change(**record["change"]),
        default_view=default_view,
        semantic_view=semantic_view,
        nonsemantic_view=nonsemantic_view,
        sentences=tuple(record["sentences"]),
        reversed_sentences=tuple(record["reversed_sentences"]),
        no_change_sentences=tuple(record["no_change_sentences"]),
    )
