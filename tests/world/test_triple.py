"""Scenes, changes, views and sentences: what holds for every triple."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts.verify_captions import check, happened, judge
from idc.data.vocabulary import tokenize
from idc.errors import UserError
from idc.world.change import GAP, LEAST_MOVE, apply_change
from idc.world.scene import CHANGE_TYPES, Object, Scene
from idc.world.sentence import NO_CHANGE, TEMPLATES, no_change_sentences, refer, related
from idc.world.triple import change_type, sample_triple, sample_view, triple_from_dict, triple_to_dict

seeds = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))  # of a world, and an index in it
examples = settings(max_examples=40, deadline=None)


@given(seeds)
@examples
def test_exactly_one_thing_changes_and_it_is_the_one_on_record(seed: tuple[int, int]) -> None:
    triple = sample_triple(*seed)
    type, old, new = happened(triple.default, triple.semantic)
    change = triple.change
    assert type == change.type
    assert old == (None if change.before is None else triple.default.objects[change.before])
    assert new == (None if change.after is None else triple.semantic.objects[change.after])
    if type == "move":
        assert np.hypot(*np.subtract(old.position, new.position)) >= LEAST_MOVE


@given(seeds)
@examples
def test_objects_stand_apart_and_look_different(seed: tuple[int, int]) -> None:
    triple = sample_triple(*seed)
    for scene in (triple.default, triple.semantic):
        assert 3 <= len(scene.objects) <= 8
        assert len({thing.attributes for thing in scene.objects}) == len(scene.objects)
        for i, first in enumerate(scene.objects):
            for second in scene.objects[:i]:
                distance = np.hypot(*np.subtract(first.position, second.position))
                assert distance >= first.radius + second.radius + GAP - 1e-3


@given(seeds)
@examples
def test_every_sentence_is_true_and_unambiguous(seed: tuple[int, int]) -> None:
    triple = sample_triple(*seed)
    verdicts = check(triple, triple.sentences, triple.reversed_sentences, triple.no_change_sentences)
    assert set(verdicts) == {"right"}
    sentences = triple.sentences + triple.reversed_sentences + triple.no_change_sentences
    assert len(set(triple.sentences)) == len(triple.sentences) == 6
    assert all(len(tokenize(sentence)) + 2 <= 24 for sentence in sentences)


def test_the_check_finds_what_is_wrong() -> None:
    """The verification must be able to fail: a sentence of one scene said of others is nearly always wrong."""
    for index in range(20):
        triple, other = sample_triple(1, index), sample_triple(2, index)
        assert judge(other.sentences[0], triple.default, triple.semantic, triple.default_view) == "false"
        assert (
            judge("the thing did something", triple.default, triple.semantic, triple.default_view) == "unread"
        )
        backwards = judge(triple.sentences[0], triple.semantic, triple.default, triple.default_view)
        if triple.change.type != "move":  # a move backwards is a move, too
            assert backwards == "false"


@given(seeds)
@examples
def test_a_triple_survives_json(seed: tuple[int, int]) -> None:
    triple = sample_triple(*seed)
    assert triple_from_dict(json.loads(json.dumps(triple_to_dict(triple)))) == triple


def test_types_are_balanced_and_not_in_a_fixed_order() -> None:
    types = [change_type(0, i) for i in range(500)]
    assert set(Counter(types).values()) == {100}
    assert len({tuple(types[i : i + 5]) for i in range(0, 500, 5)}) > 20


@pytest.mark.parametrize("type", CHANGE_TYPES)
def test_views_do_not_depend_on_the_change(type: str) -> None:
    """Whatever the label, and however often content had to be drawn again, the cameras are the same."""
    reference = sample_triple(5, 3)
    refused = iter([False] * 7)
    other = sample_triple(5, 3, type=type, visible=lambda scene, view: next(refused, True))
    for view in ("default_view", "semantic_view", "nonsemantic_view"):
        assert getattr(reference, view) == getattr(other, view)


def test_the_three_views_come_from_one_distribution() -> None:
    places = np.array(
        [
            [
                getattr(sample_triple(9, i), f"{name}_view").camera
                for name in ("default", "semantic", "nonsemantic")
            ]
            for i in range(300)
        ]
    )  # (300, 3 views, 3 axes)
    spread = places.std(axis=0)
    assert np.allclose(places.mean(0), places.mean((0, 1)), atol=5 * 0.29 / np.sqrt(300))
    assert np.allclose(spread, spread.mean(0), rtol=0.15)
    semantic, nonsemantic = (places[:, k] - places[:, 0] for k in (1, 2))
    assert abs(np.linalg.norm(semantic, axis=1).mean() - np.linalg.norm(nonsemantic, axis=1).mean()) < 0.06


def test_a_triple_depends_on_seed_and_index_alone() -> None:
    assert sample_triple(3, 7) == sample_triple(3, 7)
    assert sample_triple(3, 7) != sample_triple(4, 7)
    assert sample_triple(3, 7).default != sample_triple(3, 8).default


def test_an_impossible_world_is_refused() -> None:
    with pytest.raises(UserError, match="hidden"):
        sample_triple(0, 0, visible=lambda scene, view: False)


def test_unknown_changes_and_relations_are_refused() -> None:
    triple = sample_triple(0, 0)
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="color, material, add, drop, move"):
        apply_change(rng, triple.default, "explode")
    first, second = triple.default.objects[:2]
    with pytest.raises(UserError, match="left, right, front, behind"):
        related(first, "near", second, triple.default_view)


def test_a_phrase_for_two_objects_is_refused() -> None:
    thing = Object("cube", "red", "metal", "small", (0.0, 0.0))
    scene = Scene((thing, replace(thing, position=(2.0, 2.0))))
    with pytest.raises(UserError, match="exactly one"):
        refer(np.random.default_rng(0), thing, scene, sample_view(np.random.default_rng(0)))


def test_relations_are_seen_from_the_camera() -> None:
    view = replace(sample_view(np.random.default_rng(0)), camera=(0.0, -8.0, 5.0), target=(0.0, 0.0, 0.0))
    middle = Object("cube", "red", "metal", "small", (0.0, 0.0))
    for position, relation in (
        ((-1.0, 0.0), "left"),
        ((1.0, 0.0), "right"),
        ((0.0, -1.0), "front"),
        ((0.0, 1.0), "behind"),
    ):
        moved = replace(middle, position=position)
        assert related(moved, relation, middle, view)
        assert not related(middle, relation, moved, view)


def test_there_are_enough_ways_to_say_it() -> None:
    assert all(len(templates) >= 5 for templates in TEMPLATES.values())
    assert len(set(no_change_sentences(np.random.default_rng(0), 5))) == 5
    assert len(NO_CHANGE) >= 5
