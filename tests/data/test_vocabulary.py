"""The words and their numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idc.data.vocabulary import SPECIAL, Vocabulary, tokenize
from idc.errors import UserError

words = st.text(st.characters(codec="utf-8", exclude_characters=" ;,?."), min_size=1).filter(
    lambda word: word not in SPECIAL
)
sentences = st.lists(words, min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("the cube is gone.", ["the", "cube", "is", "gone"]),
        ("a red cube; look, there", ["a", "red", "cube", ";", "look", ",", "there"]),
        ("what changed?", ["what", "changed"]),
        ("a , b", ["a", "", ",", "b"]),  # a space is put before a mark even where there is one
        ("two  spaces ", ["two", "", "spaces", ""]),  # single spaces split, nothing is squeezed
        ("Tab\tstays", ["Tab\tstays"]),
    ],
)
def test_tokenises_like_the_published_labels(sentence: str, tokens: list[str]) -> None:
    assert tokenize(sentence) == tokens


def test_numbering() -> None:
    vocabulary = Vocabulary.from_sentences(["the red cube", "a red ball, gone", "<END>"])
    assert vocabulary.words[:4] == ("<NULL>", "<UNK>", "<START>", "<END>")
    assert vocabulary.words[4:] == (",", "a", "ball", "cube", "gone", "red", "the")
    assert (Vocabulary.NULL, Vocabulary.UNK, Vocabulary.START, Vocabulary.END) == (0, 1, 2, 3)
    assert vocabulary.encode("the purple cube", 7) == [2, 10, 1, 7, 3, 0, 0]
    assert "red" in vocabulary and "purple" not in vocabulary and len(vocabulary) == 11


@given(sentences)
def test_encode_then_decode_gives_the_tokens_back(sentence: str) -> None:
    vocabulary = Vocabulary.from_sentences([sentence])
    ids = vocabulary.encode(sentence, 40)
    assert ids[0] == Vocabulary.START and len(ids) == 40
    assert vocabulary.decode(ids) == sentence
    assert Vocabulary.UNK not in ids


@given(st.text(max_size=60))
def test_tokens_hold_no_space_and_no_removed_mark(sentence: str) -> None:
    tokens = tokenize(sentence)
    assert not any(mark in token for token in tokens for mark in " ?.")
    assert all(token.count(mark) == 0 or token.startswith(mark) for token in tokens for mark in ";,")
    assert tokenize(" ".join(tokens).replace(" ;", ";").replace(" ,", ",")) == tokens


@given(st.lists(sentences, min_size=1, max_size=5))
def test_json_round_trip(tmp_path_factory: pytest.TempPathFactory, several: list[str]) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "v.json"
    vocabulary = Vocabulary.from_sentences(several)
    vocabulary.to_json(path)
    assert Vocabulary.from_json(path) == vocabulary
    assert json.loads(path.read_text(encoding="utf-8")) == {w: i for i, w in enumerate(vocabulary.words)}


def test_decode_stops_at_the_end_and_shows_unknown_words() -> None:
    vocabulary = Vocabulary.from_sentences(["red cube"])
    assert vocabulary.decode([2, 5, 1, 4, 3, 5, 5]) == "red <UNK> cube"
    assert vocabulary.decode([]) == ""


@pytest.mark.parametrize("number", [-1, 6, 99])
def test_decode_refuses_a_foreign_id(number: int) -> None:
    with pytest.raises(UserError, match=r"is not in this vocabulary of 6 words"):
        Vocabulary.from_sentences(["red cube"]).decode([2, number, 3])


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "has no words"),
        (" . ", "has no words"),
        ("one two three four five", "has 7 tokens with START and END, more than 6"),
        ("red <END> cube", "<END>, a reserved word"),
    ],
)
def test_sentences_that_cannot_be_encoded(sentence: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Vocabulary.from_sentences(["red cube"]).encode(sentence, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON object"),
        ("[1, 2]", "is not a JSON object"),
        ('{"<NULL>": 0, "<UNK>": "a"}', "is not a JSON object"),
        ('{"<NULL>": 0, "<UNK>": 1, "<START>": 2, "<END>": 3, "cube": 5}', "the ids in"),
        ('{"<PAD>": 0, "<UNK>": 1, "<START>": 2, "<END>": 3}', "a vocabulary begins with"),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "transformer_vocab.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        Vocabulary.from_json(path)


def test_a_missing_vocabulary_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"preprocess_captions\.py --root"):
        Vocabulary.from_json(tmp_path / "transformer_vocab.json")


def test_a_word_stands_in_it_once() -> None:
    with pytest.raises(UserError, match="“cube” stands in the vocabulary twice"):
        Vocabulary([*SPECIAL, "cube", "cube"])
