"""What people would say about a change, in the manner of CLEVR-Change."""

from __future__ import annotations

import numpy as np

from idc.errors import UserError
from idc.world.scene import Change, Object, Scene, View

SYNONYMS = {
    "small": ("small", "tiny"),
    "large": ("large", "big"),
    "cube": ("cube", "block"),
    "sphere": ("sphere", "ball"),
    "cylinder": ("cylinder",),
    "metal": ("metal", "metallic", "shiny"),
    "rubber": ("rubber", "matte"),
}
RELATIONS = {
    "left": ("left of", "to the left of", "on the left side of"),
    "right": ("right of", "to the right of", "on the right side of"),
    "front": ("in front of",),
    "behind": ("behind",),
}
TEMPLATES = {  # X is the object before a colour, material, drop or move, the new one for add; V the new value
    "color": ("X turned V", "X became V", "X changed to V", "X is now V", "X was painted V"),
    "material": ("X turned V", "X became V", "X changed to V", "X is now V", "X was made V"),
    "add": (
        "X has appeared",
        "X has been newly placed",
        "X was newly placed",
        "X has been added",
        "someone added X",
    ),
    "drop": ("X is gone", "X is no longer there", "X has disappeared", "X is missing", "someone removed X"),
    "move": (
        "X changed its location",
        "X was moved",
        "X is in a different place",
        "X moved to another spot",
        "someone changed the location of X",
    ),
}
NO_CHANGE = (
    "the two scenes seem identical",
    "no change was made",
    "nothing has changed",
    "there is no change",
    "the scene is the same as before",
    "the scene remains the same",
    "nothing was modified",
    "the two pictures show the same scene",
)
CLEAR = 0.5  # a relation is said only when the objects are this far apart along it, world units
WITH_RELATION = 1 / 3  # share of the sentences that say one


def say(rng: np.random.Generator, value: str) -> str:
    """One of the words for an attribute's value."""
    words = SYNONYMS.get(value, (value,))
    return words[rng.integers(len(words))]


def describe(rng: np.random.Generator, thing: Object) -> str:
    """All four attributes: "the big cyan rubber ball"."""
    return "the " + " ".join(say(rng, value) for value in thing.attributes)


def directions(view: View) -> dict[str, np.ndarray]:
    """The unit vectors on the ground along which the camera sees left, right, front and behind."""
    forward = np.subtract(view.target[:2], view.camera[:2])
    forward /= np.hypot(*forward)
    right = np.array([forward[1], -forward[0]])
    return {"left": -right, "right": right, "front": -forward, "behind": forward}


def related(first: Object, relation: str, second: Object, view: View, margin: float = 0.0) -> bool:
    """Whether `first` is left of, right of, in front of or behind `second`, seen from `view`.

    True when it is by more than `margin` along the camera's direction on the ground.
    """
    offset = np.subtract(first.position, second.position)
    along = directions(view)
    if relation not in along:
        raise UserError(f"“{relation}” is no relation; choose one of left, right, front, behind.")
    return bool(offset @ along[relation] > margin)


def relations(thing: Object, scene: Scene, view: View) -> list[tuple[str, Object]]:
    """What `thing` is clearly left of, right of, in front of and behind, among the objects that look different."""
    return [
        (relation, other)
        for other in scene.objects
        if other.attributes != thing.attributes
        for relation in RELATIONS
        if related(thing, relation, other, view, CLEAR)
    ]


def relate(rng: np.random.Generator, relation: str, other: Object) -> str:
    """One way to say a relation: "to the left of the big cyan rubber ball"."""
    words = RELATIONS[relation]
    return f"{words[rng.integers(len(words))]} {describe(rng, other)}"


def refer(rng: np.random.Generator, thing: Object, scene: Scene, view: View) -> str:
    """A phrase that picks out `thing` and nothing else in `scene`; sometimes with a true relation.

    Raises UserError when another object of the scene has the same four attributes.
    """
    if sum(other.attributes == thing.attributes for other in scene.objects) != 1:
        raise UserError(f"“{' '.join(thing.attributes)}” does not pick out exactly one object of the scene.")
    phrase = describe(rng, thing)
    facts = relations(thing, scene, view)
    if rng.random() >= WITH_RELATION or not facts:
        return phrase
    relation, other = facts[rng.integers(len(facts))]
    return f"{phrase} that is {relate(rng, relation, other)}"


def change_sentence(rng: np.random.Generator, before: Scene, after: Scene, change: Change, view: View) -> str:
    """One true sentence about the change; relations are seen from `view`."""
    source, index = (after, change.after) if change.type == "add" else (before, change.before)
    assert index is not None
    phrase = refer(rng, source.objects[index], source, view)
    template = TEMPLATES[change.type][rng.integers(len(TEMPLATES[change.type]))]
    value = ""
    if change.type in ("color", "material"):
        assert change.after is not None
        value = say(rng, getattr(after.objects[change.after], change.type))
    return template.replace("X", phrase).replace("V", value)


def change_sentences(
    rng: np.random.Generator, before: Scene, after: Scene, change: Change, view: View, count: int
) -> tuple[str, ...]:
    """`count` different sentences about one change."""
    said: dict[str, None] = {}
    while len(said) < count:
        said[change_sentence(rng, before, after, change, view)] = None
    return tuple(said)


def no_change_sentences(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """`count` different ways of saying that nothing happened."""
    return tuple(str(sentence) for sentence in rng.choice(NO_CHANGE, size=count, replace=False))
