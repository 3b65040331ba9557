"""What people would say about a single picture: a few of its objects, and where they stand.

These sentences teach the small CLIP of the rendered world (`data_scripts/train_clip.py`).
"""

from __future__ import annotations

import re

import numpy as np

from idc.world.scene import COLORS, MATERIALS, SHAPES, SIZES, Object, Scene, View
from idc.world.sentence import RELATIONS, SYNONYMS, describe, directions, relate, relations

FRAMES = ("X", "there is X", "here is X", "one can see X", "the picture shows X")
PLACES = {
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "middle": ("in the middle", "in the centre"),
    "front": ("at the front", "in the foreground"),
    "behind": ("at the back", "in the background"),
}
ASIDE = 1.0  # a place at a side is said from this far off the middle of the ground, world units
MIDDLE = 0.5  # "in the middle" is said up to this far to the left or right of it
WITH_RELATION = 1 / 3  # share of the objects whose relation to another one is said instead of their place
MOST = 3  # objects of one sentence
LONGEST = 30  # words of one sentence, commas counted


def places(thing: Object, view: View) -> list[str]:
    """The keys of PLACES that hold for an object: left, right or middle, and front or behind."""
    offset = np.subtract(thing.position, view.target[:2])
    aside = {name: float(offset @ direction) for name, direction in directions(view).items()}
    found = [name for name, distance in aside.items() if distance > ASIDE]
    return found + ["middle"] * (abs(aside["right"]) < MIDDLE)


def mention(rng: np.random.Generator, thing: Object, scene: Scene, view: View) -> str:
    """One object with where it stands: "a big cyan rubber ball on the left in the foreground"."""
    phrase = describe(rng, thing).replace("the", "a", 1)
    if rng.random() < WITH_RELATION and (facts := relations(thing, scene, view)):
        relation, other = facts[rng.integers(len(facts))]
        return f"{phrase} {relate(rng, relation, other)}"
    return " ".join(
        [phrase, *(PLACES[name][rng.integers(len(PLACES[name]))] for name in places(thing, view))]
    )


def describe_scene(rng: np.random.Generator, scene: Scene, view: View) -> str:
    """A true sentence of at most LONGEST words about one to three of a scene's objects, seen from `view`."""
    while True:
        count = min(rng.integers(1, MOST + 1), len(scene.objects))
        chosen = rng.permutation(len(scene.objects))[:count]
        *first, last = (mention(rng, scene.objects[index], scene, view) for index in chosen)
        listed = f"{', '.join(first)} and {last}" if first else last
        sentence = FRAMES[rng.integers(len(FRAMES))].replace("X", listed)
        if len(sentence.replace(",", " ,").split()) <= LONGEST:
            return sentence


def mirrored(sentence: str) -> str:
    """The sentence for the picture's mirror image: left and right trade places."""
    return re.sub(r"\b(left|right)\b", lambda side: {"left": "right", "right": "left"}[side[0]], sentence)


def words() -> set[str]:
    """Every word that a description may hold; the comma is one."""
    values = (*SIZES, *COLORS, *MATERIALS, *SHAPES)
    said = [*FRAMES, *(word for value in values for word in SYNONYMS.get(value, (value,)))]
    said += [phrase for group in (PLACES, RELATIONS) for phrases in group.values() for phrase in phrases]
    return {word for phrase in said for word in phrase.split()} - {"X"} | {"a", "and", ",", "the"}
