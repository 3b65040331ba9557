"""Check every caption of a rendered world against its scene graph, or of freshly sampled scenes.

    python data_scripts/verify_captions.py --root data/rendered
    python data_scripts/verify_captions.py --sample 2000

The check does not use the generator's own: it reads the sentence, looks for objects that fit each description by
attributes and by positions in the picture plane of the default camera, and decides for itself. Found are sentences
that cannot be read, that are false, that describe no object or several, and scenes with two objects that look alike.
Exit code 1 when there is any.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from idc.data.layout import read_json
from idc.errors import command
from idc.metrics.facts import Statement, parse
from idc.world.scene import Object, Scene, Triple, View
from idc.world.triple import sample_triple, triple_from_dict


def described(scene: Scene, description: dict[str, str]) -> list[Object]:
    """The objects that have every attribute the description names."""
    return [
        thing
        for thing in scene.objects
        if all(value == vars(thing)[attribute] for attribute, value in description.items())
    ]


def is_so(first: Object, relation: str, second: Object, view: View) -> bool:
    """Whether the relation holds, from the angle under which the camera's direction meets the line between them."""
    looking = np.arctan2(view.target[1] - view.camera[1], view.target[0] - view.camera[0])
    between = np.arctan2(first.position[1] - second.position[1], first.position[0] - second.position[0])
    turn = between - looking  # 0: straight behind, a quarter turn to the left: left
    return {"behind": np.cos(turn), "front": -np.cos(turn), "left": np.sin(turn), "right": -np.sin(turn)}[
        relation
    ] > 0


def meant(scene: Scene, statement: Statement, view: View) -> list[Object]:
    """The objects that the whole phrase fits."""
    things = described(scene, statement.thing)
    if statement.relation is None or statement.other is None:
        return things
    others = described(scene, statement.other)
    if len(others) != 1:
        return []
    return [t for t in things if t is not others[0] and is_so(t, statement.relation, others[0], view)]


def happened(before: Scene, after: Scene) -> tuple[str, Object | None, Object | None]:
    """What differs between two scenes: the type, and the object before and after. Found without the change record."""
    gone = [thing for thing in before.objects if thing not in after.objects]
    new = [thing for thing in after.objects if thing not in before.objects]
    if not gone and len(new) == 1:
        return "add", None, new[0]
    if not new and len(gone) == 1:
        return "drop", gone[0], None
    if len(gone) == len(new) == 1:
        old, fresh = gone[0], new[0]
        differing = [name for name in vars(old) if vars(old)[name] != vars(fresh)[name]]
        if len(differing) == 1:
            return {"position": "move"}.get(differing[0], differing[0]), old, fresh
    return "several things", None, None


def judge(sentence: str, before: Scene, after: Scene, view: View) -> str:
    """ "right", or what is wrong with a sentence about the change from `before` to `after`."""
    statement = parse(sentence)
    if statement is None:
        return "unread"
    type, old, new = happened(before, after)
    if statement.type != type:
        return "false"
    source, thing = (after, new) if type == "add" else (before, old)
    found = meant(source, statement, view)
    if len(found) != 1:
        return "ambiguous" if found else "false"
    if found[0] != thing:
        return "false"
    if type in ("color", "material") and (new is None or statement.value != vars(new)[type]):
        return "false"
    return "right"


def check(
    triple: Triple, change: Iterable[str], reversed_: Iterable[str], still: Iterable[str]
) -> Counter[str]:
    """How many of a triple's sentences are right, unread, false or ambiguous; scenes with look-alikes."""
    verdicts = Counter(judge(s, triple.default, triple.semantic, triple.default_view) for s in change)
    verdicts.update(judge(s, triple.semantic, triple.default, triple.default_view) for s in reversed_)
    for sentence in still:
        statement = parse(sentence)
        verdicts["right" if statement is not None and statement.type == "none" else "false"] += 1
    for scene in (triple.default, triple.semantic):
        if len({thing.attributes for thing in scene.objects}) < len(scene.objects):
            verdicts["scene with look-alikes"] += 1
    return verdicts


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, help="a rendered world")
    source.add_argument("--sample", type=int, help="sample so many scenes, without rendering")
    parser.add_argument("--seed", type=int, default=0, help="of --sample")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    if arguments.root:
        names = ("change_captions", "reversed_captions", "no_change_captions")
        change, reversed_, still = (read_json(arguments.root / f"{name}.json") for name in names)
        lines = (arguments.root / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
        for line in tqdm(lines, desc="checking", unit="scene"):
            triple = triple_from_dict(json.loads(line))
            name = f"CLEVR_default_{triple.index:06d}.png"
            total += check(triple, change[name], reversed_[name], still[name])
    else:
        for index in tqdm(range(arguments.sample), desc="checking", unit="scene"):
            triple = sample_triple(arguments.seed, index)
            total += check(triple, triple.sentences, triple.reversed_sentences, triple.no_change_sentences)
    print(", ".join(f"{count} {verdict}" for verdict, count in total.most_common()))
    if set(total) - {"right"}:
        sys.exit(1)


if __name__ == "__main__":
    main()
