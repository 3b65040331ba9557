"""Is the sentence true? Read it, and compare what it claims with the scene graph.

A sentence is understood when it is one of the forms of `idc.world.sentence` (or a common variant of
CLEVR-Change), about objects described by any of the world's words. Everything else counts as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from idc.data.vocabulary import tokenize
from idc.errors import UserError
from idc.world.scene import CHANGE_TYPES, COLORS, MATERIALS, SHAPES, SIZES, Object, Scene, Triple
from idc.world.sentence import NO_CHANGE, RELATIONS, SYNONYMS, TEMPLATES, related

CANONICAL = {word: value for value, words in SYNONYMS.items() for word in words} | {c: c for c in COLORS}
CANONICAL |= {"cubes": "cube", "box": "cube"}
ATTRIBUTES = {"size": SIZES, "color": COLORS, "material": MATERIALS, "shape": SHAPES}
KIND = {value: name for name, values in ATTRIBUTES.items() for value in values}

OTHER_FORMS = {  # phrasings of the real CLEVR-Change beside those of the rendered world
    "color": ("X turned into V", "X has turned V", "X changed its color to V", "the color of X changed to V"),
    "material": ("X turned into V", "X has turned V", "X changed its material to V"),
    "add": ("X appeared", "X was added", "X has been placed", "there is X", "X is newly placed"),
    "drop": ("X disappeared", "X was removed", "X has been removed", "X is no longer visible"),
    "move": ("X moved", "X has moved", "X changed its position", "X is in a different location"),
}
OTHER_NO_CHANGE = ("there is no difference", "the scene is the same", "nothing changed", "no change")


def pattern(template: str) -> re.Pattern[str]:
    """A template as a regular expression: X is a description, V a single word."""
    escaped = re.escape(template).replace("X", r"(?P<X>the .+?)").replace("V", r"(?P<V>\w+)")
    return re.compile(escaped)


FORMS = [
    (type, pattern(template)) for type in CHANGE_TYPES for template in TEMPLATES[type] + OTHER_FORMS[type]
]
RELATION = re.compile(
    r"(?P<first>.+?) (?:that is|which is|that are)? ?(?P<relation>"
    + "|".join(sorted((p for phrases in RELATIONS.values() for p in phrases), key=len, reverse=True))
    + r") (?P<second>the .+)"
)
RELATION_NAME = {phrase: name for name, phrases in RELATIONS.items() for phrase in phrases}
Description = dict[str, str]  # attribute -> value; an attribute that was not said is absent


@dataclass(frozen=True)
class Statement:
    """What a sentence claims. type: a change type or "none". thing: how the object was described. value: the new
    colour or material. relation, other: "left", "right", "front", "behind", and of what, where that was said."""

    type: str
    thing: Description
    value: str | None = None
    relation: str | None = None
    other: Description | None = None


def read_description(phrase: str) -> Description | None:
    """{"size": "large", …} from "the big cyan rubber ball"; None for anything else or contradictions."""
    words = phrase.split()
    if not words or words[0] not in ("the", "a", "an"):
        return None
    found: Description = {}
    for word in words[1:]:
        value = CANONICAL.get(word)
        if value is None and word in ("object", "thing"):
            continue
        if value is None or KIND[value] in found:
            return None
        found[KIND[value]] = value
    return found


def parse(sentence: str) -> Statement | None:
    """What the sentence claims, or None when it cannot be understood."""
    text = " ".join(tokenize(sentence.lower()))
    if text in NO_CHANGE or text in OTHER_NO_CHANGE:
        return Statement("none", {})
    for type, form in FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        value = None
        if "V" in match.groupdict():
            value = CANONICAL.get(match["V"])
            if value is None or KIND[value] != type:
                continue
        with_relation = RELATION.fullmatch(match["X"])
        if with_relation is None:
            thing = read_description(match["X"])
            if thing is not None:
                return Statement(type, thing, value)
            continue
        thing, other = read_description(with_relation["first"]), read_description(with_relation["second"])
        if thing is not None and other is not None:
            return Statement(type, thing, value, RELATION_NAME[with_relation["relation"]], other)
    return None


def fits(thing: Object, description: Description) -> bool:
    return all(getattr(thing, name) == value for name, value in description.items())


def candidates(scene: Scene, statement: Statement, triple: Triple) -> list[Object]:
    """The objects of the scene that the whole phrase, relation included, describes."""
    matching = [thing for thing in scene.objects if fits(thing, statement.thing)]
    if statement.relation is None or statement.other is None:
        return matching
    others = [thing for thing in scene.objects if fits(thing, statement.other)]
    if len(others) != 1:
        return []
    return [
        thing
        for thing in matching
        if thing != others[0] and related(thing, statement.relation, others[0], triple.default_view)
    ]


def judge(statement: Statement | None, triple: Triple) -> dict[str, bool]:
    """Which claims about a change pair are right.

    change_type; size, color, material, shape of the object; object: all four, or a shorter description that picks out
    just that object; statement: type, object and new value; statement_and_relation: the stated relation, too.
    """
    change = triple.change
    scene, index = (
        (triple.semantic, change.after) if change.type == "add" else (triple.default, change.before)
    )
    assert index is not None
    thing = scene.objects[index]
    if statement is None or statement.type == "none":
        return dict.fromkeys(
            ("change_type", *ATTRIBUTES, "object", "statement", "statement_and_relation"), False
        )
    right = {name: statement.thing.get(name) == getattr(thing, name) for name in ATTRIBUTES}
    alone = [other for other in scene.objects if fits(other, statement.thing)]
    object_right = bool(statement.thing) and alone == [thing]
    type_right = statement.type == change.type
    value_right = True
    if change.type in ("color", "material"):
        assert change.after is not None
        value_right = statement.value == getattr(triple.semantic.objects[change.after], change.type)
    whole = type_right and object_right and value_right
    return {
        "change_type": type_right,
        **right,
        "object": object_right,
        "statement": whole,
        "statement_and_relation": whole and candidates(scene, statement, triple) == [thing],
    }


def score_facts(predictions: Mapping[str, str], triples: Iterable[Triple]) -> dict[str, Any]:
    """Shares of right claims over the predictions.

    predictions: {"000012.png": sentence, "000012.png_n": sentence, …}. triples: with the scene graphs of at least
    those scenes. Returns fractions: change_type, object, size, color, material, shape, statement,
    statement_and_relation (all over change pairs) and no_change (over distractor pairs), and the numbers of pairs,
    `pairs` and `no_change_pairs`. Raises UserError for a prediction without a scene graph.
    """
    by_name = {f"{triple.index:06d}.png": triple for triple in triples}
    change: list[dict[str, bool]] = []
    still: list[bool] = []
    for name, sentence in predictions.items():
        triple = by_name.get(name.removesuffix("_n"))
        if triple is None:
            raise UserError(
                f"there is no scene graph for the prediction “{name}”; give the scenes.jsonl of its world."
            )
        statement = parse(sentence)
        if name.endswith("_n"):
            still.append(statement is not None and statement.type == "none")
        else:
            change.append(judge(statement, triple))
    names = ("change_type", *ATTRIBUTES, "object", "statement", "statement_and_relation")
    shares = {name: sum(judged[name] for judged in change) / max(1, len(change)) for name in names}
    shares["no_change"] = sum(still) / max(1, len(still))
    return shares | {"pairs": len(change), "no_change_pairs": len(still)}
