"""The words of the rendered world: objects, scenes and views, as plain immutable data.

Coordinates follow CLEVR (Johnson et al. 2017): the ground is the plane z = 0, one unit is about one
large object's width, objects stand inside [-3, 3] x [-3, 3], angles are in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

SHAPES = ("cube", "sphere", "cylinder")
COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
SIZES = ("small", "large")
RADIUS = {"small": 0.35, "large": 0.7}  # half the height of an object; CLEVR's values
CHANGE_TYPES = ("color", "material", "add", "drop", "move")

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Object:
    """One object standing on the ground: four attributes, a place (x, y) and a turn about the vertical."""

    shape: str
    color: str
    material: str
    size: str
    position: tuple[float, float]
    rotation: float = 0.0

    @property
    def attributes(self) -> tuple[str, str, str, str]:
        """(size, color, material, shape), in the order in which a sentence says them."""
        return (self.size, self.color, self.material, self.shape)

    @property
    def radius(self) -> float:
        """Half the object's height, in world units."""
        return RADIUS[self.size]


@dataclass(frozen=True)
class Scene:
    """What is there, whoever looks at it."""

    objects: tuple[Object, ...]


@dataclass(frozen=True)
class View:
    """From where it is seen and lit: the part of a picture that is *not* content.

    `camera` is the eye's position; it always looks at `target`. `lights` are the positions of the key,
    fill and back light.
    """

    camera: Point
    target: Point
    lights: tuple[Point, Point, Point]


@dataclass(frozen=True)
class Change:
    """What happened between two scenes.

    `before` and `after` are the index of the changed object in the default and in the semantic scene;
    `before` is None for "add", `after` is None for "drop". `type` is one of CHANGE_TYPES.
    """

    type: str
    before: int | None
    after: int | None

    def reversed(self) -> Change:
        """The same change played backwards: add becomes drop, the rest keeps its type."""
        turned = {"add": "drop", "drop": "add"}.get(self.type, self.type)
        return Change(turned, self.after, self.before)


@dataclass(frozen=True)
class Triple:
    """Three pictures of a scene: `default` (before), `semantic` (after a change), `nonsemantic` (distractor).

    The distractor shows `default` again from `nonsemantic_view`. `sentences` describe the change,
    `reversed_sentences` the same change from semantic to default, `no_change_sentences` the distractor.
    """

    index: int
    default: Scene
    semantic: Scene
    change: Change
    default_view: View
    semantic_view: View
    nonsemantic_view: View
    sentences: tuple[str, ...]
    reversed_sentences: tuple[str, ...]
    no_change_sentences: tuple[str, ...]
