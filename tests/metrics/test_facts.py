"""The reader of sentences, and what is counted as true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idc.errors import UserError
from idc.metrics.facts import CANONICAL, judge, parse, score_facts
from idc.world.scene import Change, Object, Scene, Triple
from idc.world.sentence import SYNONYMS
from idc.world.triple import sample_triple, sample_view

CUBE = Object("cube", "red", "rubber", "large", (0.0, 0.0))
WHOLE = {"size": "large", "color": "red", "material": "rubber", "shape": "cube"}
BALL = Object("sphere", "red", "metal", "small", (2.0, 2.0))


def triple(type: str) -> Triple:
    """A red cube and a red ball; the cube changes."""
    after = {
        "color": Scene((Object("cube", "blue", "rubber", "large", (0.0, 0.0)), BALL)),
        "drop": Scene((BALL,)),
        "move": Scene((Object("cube", "red", "rubber", "large", (-2.0, -2.0)), BALL)),
    }[type]
    view = sample_view(np.random.default_rng(0))
    change = Change(type, 0, None if type == "drop" else 0)
    return Triple(4, Scene((CUBE, BALL)), after, change, view, view, view, (), (), ())


@pytest.mark.parametrize(
    ("sentence", "type", "thing", "value"),
    [
        ("the big red matte block turned blue", "color", WHOLE, "blue"),
        ("The tiny ball became shiny.", "material", {"size": "small", "shape": "sphere"}, "metal"),
        ("the cylinder is no longer there", "drop", {"shape": "cylinder"}, None),
        (
            "someone added the gray metal cube",
            "add",
            {"color": "gray", "material": "metal", "shape": "cube"},
            None,
        ),
        ("the red sphere changed its location", "move", {"color": "red", "shape": "sphere"}, None),
        ("the two scenes seem identical", "none", {}, None),
    ],
)
def test_it_reads(sentence: str, type: str, thing: dict[str, str], value: str | None) -> None:
    statement = parse(sentence)
    assert statement is not None
    assert (statement.type, statement.thing, statement.value) == (type, thing, value)


def test_it_reads_relations() -> None:
    statement = parse("the red cube that is on the left side of the tiny metal ball was moved")
    assert statement is not None
    assert (statement.relation, statement.other) == (
        "left",
        {"size": "small", "material": "metal", "shape": "sphere"},
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "the",
        "cube",
        "the red blue cube was moved",
        "the red cube turned metal blue",
        "the red cube was moved is gone",
        "the red cube turned large",
        "the cube that is left of was moved",
        "no change was made the red cube is gone",
    ],
)
def test_it_does_not_guess(sentence: str) -> None:
    statement = parse(sentence)
    assert statement is None


WORDS = [
    *sorted(CANONICAL),
    *[
        "the",
        "that",
        "is",
        "of",
        "left",
        "behind",
        "turned",
        "was",
        "moved",
        "gone",
        "no",
        "change",
        "x",
        ".",
    ],
]


@given(st.lists(st.sampled_from(WORDS), max_size=24))
@settings(max_examples=200, deadline=None)
def test_no_words_break_it(words: list[str]) -> None:
    parse(" ".join(words))


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("the large red rubber cube turned blue", {"change_type", "object", "statement"}),
        ("the big red matte block became blue", {"change_type", "object", "statement"}),
        ("the cube turned blue", {"change_type", "object", "statement"}),  # shorter, but still one object
        ("the red rubber cube turned green", {"change_type", "object"}),
        ("the red cube was moved", {"object"}),
        ("the small red metal sphere turned blue", {"change_type"}),
        ("the large green rubber cube turned blue", {"change_type"}),
        ("no change was made", set()),
        ("blue blue blue", set()),
    ],
)
def test_what_counts_as_true(sentence: str, right: set[str]) -> None:
    verdict = judge(parse(sentence), triple("color"))
    assert {name for name in ("change_type", "object", "statement") if verdict[name]} == right


def test_a_description_of_two_objects_is_wrong() -> None:
    assert not judge(parse("the red cylinder is gone"), triple("drop"))["object"]
    lookalike = Triple(
        **{
            **vars(triple("drop")),
            "default": Scene((CUBE, Object("cube", "blue", "metal", "large", (2.0, 2.0)))),
        }
    )
    assert not judge(parse("the large cube is gone"), lookalike)["statement"]
    assert judge(parse("the large red cube is gone"), lookalike)["statement"]


def test_a_false_relation_spoils_only_the_strictest_figure() -> None:
    scene = triple("move")
    verdicts = [
        judge(parse(f"the large red rubber cube that is {word} the small red metal ball was moved"), scene)
        for word in ("left of", "right of", "in front of", "behind")
    ]
    assert all(verdict["statement"] for verdict in verdicts)
    assert 1 <= sum(verdict["statement_and_relation"] for verdict in verdicts) <= 2


def test_perfect_and_hopeless_predictions() -> None:
    data = [sample_triple(3, i) for i in range(60)]
    perfect = {f"{t.index:06d}.png": t.sentences[0] for t in data} | {
        f"{t.index:06d}.png_n": t.no_change_sentences[0] for t in data
    }
    scores = score_facts(perfect, data)
    assert scores.pop("pairs") == scores.pop("no_change_pairs") == 60
    assert set(scores.values()) == {1.0}
    silent = score_facts(dict.fromkeys(perfect, "no change was made"), data)
    assert (silent["change_type"], silent["statement"], silent["no_change"]) == (0, 0, 1)
    shifted = {
        name: perfect[f"{(t.index + 1) % 60:06d}.png"] for t in data for name in [f"{t.index:06d}.png"]
    }
    assert score_facts(shifted, data)["statement"] < 0.05


def test_a_prediction_without_a_scene_graph_is_named() -> None:
    with pytest.raises(UserError, match=r"000009\.png"):
        score_facts({"000009.png": "no change was made"}, [])


def test_every_synonym_is_known() -> None:
    assert {word for words in SYNONYMS.values() for word in words} <= set(CANONICAL)
