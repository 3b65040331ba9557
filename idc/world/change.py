"""Scenes and what can happen to them, drawn at random."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from idc.errors import UserError
from idc.world.scene import COLORS, MATERIALS, RADIUS, SHAPES, SIZES, Change, Object, Scene

GAP = 0.25  # free ground between two objects, world units
EXTENT = 2.8  # objects stand in [-2.8, 2.8]^2 ...
SIDEWAYS = 2.6  # ... and at most this far left or right of the middle of the picture
RIGHT = np.array([0.65, 0.76])  # the picture's right on the ground, for the camera without jitter
LEAST_MOVE = 1.2  # how far a moved object goes at least, world units
COUNTS = (4, 5, 6, 7)  # objects in the default scene; add and drop then stay within 3 to 8
TRIES = 200


def free(objects: tuple[Object, ...], position: np.ndarray, radius: float) -> bool:
    """Whether an object of this radius can stand there without touching another one."""
    return all(
        np.hypot(*(position - np.array(other.position))) >= radius + other.radius + GAP for other in objects
    )


def place(rng: np.random.Generator, objects: tuple[Object, ...], radius: float) -> tuple[float, float] | None:
    """A free place inside the picture, or None when none was found."""
    for _ in range(TRIES):
        position = rng.uniform(-EXTENT, EXTENT, size=2)
        if abs(position @ RIGHT) <= SIDEWAYS and free(objects, position, radius):
            return (round(float(position[0]), 4), round(float(position[1]), 4))
    return None


def new_object(rng: np.random.Generator, objects: tuple[Object, ...]) -> Object | None:
    """An object that no other in the scene looks like, in a free place."""
    taken = {thing.attributes for thing in objects}
    choices = [kind for kind in itertools.product(SIZES, COLORS, MATERIALS, SHAPES) if kind not in taken]
    size, color, material, shape = choices[rng.integers(len(choices))]
    position = place(rng, objects, RADIUS[size])
    if position is None:
        return None
    return Object(shape, color, material, size, position, round(float(rng.uniform(0, 360)), 2))


def sample_scene(rng: np.random.Generator) -> Scene | None:
    """A random scene of four to seven distinct objects; None when they found no room."""
    objects: tuple[Object, ...] = ()
    for _ in range(rng.choice(COUNTS)):
        thing = new_object(rng, objects)
        if thing is None:
            return None
        objects = (*objects, thing)
    return Scene(objects)


def apply_change(rng: np.random.Generator, scene: Scene, type: str) -> tuple[Scene, Change] | None:
    """The scene after exactly one change of the given type, or None when it found no room.

    No two objects look alike afterwards either, so that a full description picks out one object.
    """
    objects = scene.objects
    if type == "add":
        added = new_object(rng, objects)
        return None if added is None else (Scene((*objects, added)), Change("add", None, len(objects)))

    index = int(rng.integers(len(objects)))
    thing = objects[index]
    others = objects[:index] + objects[index + 1 :]
    if type == "drop":
        return Scene(others), Change("drop", index, None)
    if type == "move":
        position = place(rng, others, thing.radius)
        if position is None or np.hypot(*(np.subtract(position, thing.position))) < LEAST_MOVE:
            return None
        changed = replace(thing, position=position)
    elif type in ("color", "material"):
        values = COLORS if type == "color" else MATERIALS
        value = str(rng.choice([value for value in values if value != getattr(thing, type)]))
        changed = replace(thing, color=value) if type == "color" else replace(thing, material=value)
        if changed.attributes in {other.attributes for other in others}:
            return None
    else:
        raise UserError(f"“{type}” is no change type; choose one of color, material, add, drop, move.")
    return Scene((*objects[:index], changed, *objects[index + 1 :])), Change(type, index, index)
