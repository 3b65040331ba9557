"""Sentences about single pictures: every one is true, and the check that says so can tell."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts.verify_captions import is_so
from idc.data.vocabulary import tokenize
from idc.world.description import FRAMES, LONGEST, PLACES, describe_scene, mirrored, words
from idc.world.scene import COLORS, Object, Scene, View
from idc.world.sentence import RELATIONS, SYNONYMS
from idc.world.triple import sample_triple

MEANING = {word: value for value, synonyms in SYNONYMS.items() for word in synonyms} | {c: c for c in COLORS}
SAID = {phrase: name for name, phrases in PLACES.items() for phrase in phrases}
RELATION = {phrase: name for name, phrases in RELATIONS.items() for phrase in phrases}


def described(words_: list[str], scene: Scene) -> Object:
    """The one object with these four attributes."""
    attributes = tuple(MEANING[word] for word in words_)
    (thing,) = (thing for thing in scene.objects if thing.attributes == attributes)
    return thing


def seen(position: tuple[float, float], view: View) -> tuple[float, float]:
    """A ground position through a pinhole camera: (to the right of the axis over the depth, depth - depth of the target)."""
    camera, target, up = np.array(view.camera), np.array(view.target), np.array([0.0, 0.0, 1.0])
    axis = (target - camera) / np.linalg.norm(target - camera)
    right = np.cross(axis, up) / np.linalg.norm(np.cross(axis, up))
    ray = np.array([*position, 0.0]) - camera
    depth = ray @ axis
    return float(ray @ right / depth), float(depth - np.linalg.norm(target - camera))


def place_holds(place: str, thing: Object, view: View) -> bool:
    x, depth = seen(thing.position, view)
    return {
        "left": x < -0.05,
        "right": x > 0.05,
        "middle": abs(x) < 0.08,
        "front": depth < -0.5,
        "behind": depth > 0.5,
    }[place]


def true(sentence: str, scene: Scene, view: View) -> bool:
    """Whether every mention of the sentence holds. Raises ValueError or KeyError where it cannot be read."""
    for frame in FRAMES:
        sentence = re.sub(f"^{frame.replace('X', '')}(?=a )", "", sentence)
    verdicts = []
    for mention in re.split(", | and ", sentence):
        article, *rest = mention.split(" ")
        assert article == "a"
        thing, where = described(rest[:4], scene), " ".join(rest[4:])
        relation = re.fullmatch(f"({'|'.join(RELATION)}) the (.*)", where)
        if relation:
            other = described(relation[2].split(" "), scene)
            verdicts.append(other != thing and is_so(thing, RELATION[relation[1]], other, view))
            continue
        for phrase in SAID:
            where, count = re.subn(rf"\b{phrase}\b", "", where)
            verdicts += [place_holds(SAID[phrase], thing, view)] * count
        assert not where.strip(), where
    return all(verdicts)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=60)
def test_every_sentence_is_true_and_its_mirror_image_too(seed: int, index: int) -> None:
    triple = sample_triple(seed, index)
    rng = np.random.default_rng((seed, index))
    for scene, view in (
        (triple.default, triple.default_view),
        (triple.semantic, triple.semantic_view),
        (triple.default, triple.nonsemantic_view),
    ):
        sentence = describe_scene(rng, scene, view)
        assert true(sentence, scene, view), sentence
        assert len(tokenize(sentence)) <= LONGEST
        assert true(mirrored(sentence), reflected(scene, view), view), mirrored(sentence)


def reflected(scene: Scene, view: View) -> Scene:
    """The scene whose picture is the mirror image: across the vertical plane through the camera's axis."""
    forward = np.subtract(view.target[:2], view.camera[:2])
    normal = np.array([-forward[1], forward[0]]) / np.hypot(*forward)
    return Scene(
        tuple(
            replace(
                thing,
                position=tuple(
                    np.array(thing.position)
                    - 2 * normal * (np.subtract(thing.position, view.target[:2]) @ normal)
                ),
            )
            for thing in scene.objects
        )
    )


def test_the_check_finds_what_is_wrong() -> None:
    """A mirrored sentence said of the unmirrored scene is false whenever it speaks of left or right."""
    rng, found = np.random.default_rng(0), 0
    for index in range(60):
        triple = sample_triple(4, index)
        sentence = describe_scene(rng, triple.default, triple.default_view)
        if mirrored(sentence) != sentence:
            found += 1
            assert not true(mirrored(sentence), triple.default, triple.default_view), sentence
    assert found > 20


def test_wording_varies_and_every_word_is_known() -> None:
    rng = np.random.default_rng(1)
    triples = [sample_triple(5, index) for index in range(40)]
    sentences = [
        describe_scene(rng, t.default, t.default_view) for t, _ in itertools.product(triples, range(20))
    ]
    used = {word for sentence in sentences for word in tokenize(sentence)}
    assert used == words()
    assert len(set(sentences)) > 0.95 * len(sentences)
    mentions = [len(re.split(", | and ", sentence)) for sentence in sentences]
    assert set(mentions) == {1, 2, 3}


def test_a_description_depends_on_its_generator_alone() -> None:
    triple = sample_triple(6, 0)
    one, other = (
        [describe_scene(rng, triple.default, triple.default_view) for _ in range(5)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert one == other


@pytest.mark.parametrize(
    ("sentence", "mirror"),
    [
        ("a red ball on the left, a blue cube", "a red ball on the right, a blue cube"),
        ("a ball to the right of the cube on the left", "a ball to the left of the cube on the right"),
        ("a bright ball is leftover", "a bright ball is leftover"),
    ],
)
def test_left_and_right_trade_places(sentence: str, mirror: str) -> None:
    assert mirrored(sentence) == mirror and mirrored(mirror) == sentence
