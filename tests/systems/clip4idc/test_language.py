"""Words of the data in CLIP's ids and back: whole words, and byte pairs."""

from __future__ import annotations

import logging

import pytest
import torch

from idc.captioner.search import END, NULL, START, UNK
from idc.data.vocabulary import SPECIAL, Vocabulary
from idc.systems.clip4idc.language import BpeLanguage, Language, WordLanguage

SENTENCES = (
    "the big red cube, left of the shiny ball, is gone",
    "nothing has changed",
    "somebody's zebra-striped umbrella appeared",
)
DATA = Vocabulary.from_sentences(SENTENCES)
START_OF_TEXT, END_OF_TEXT = 49406, 49407


@pytest.fixture(scope="module", params=["words", "byte pairs"])
def language(request: pytest.FixtureRequest) -> Language:
    if request.param == "byte pairs":
        return BpeLanguage(DATA)
    return WordLanguage(Vocabulary((*SPECIAL, *reversed(DATA.words[4:]))), DATA)


def ids(*sentences: str) -> torch.Tensor:
    return torch.tensor([DATA.encode(sentence, 20) for sentence in sentences])


def test_sentences_come_back(language: Language) -> None:
    rows = language.from_data(ids(*SENTENCES), 33)
    assert rows[:, 0].tolist() == [language.special.start] * 3
    for row, words, sentence in zip(rows[:, 1:].tolist(), ids(*SENTENCES).tolist(), SENTENCES, strict=True):
        said = language.text(row)
        assert said.replace(" ", "") == sentence.replace(" ", "")
        if "-" not in sentence:  # byte pairs part "zebra", "-" and "striped"
            assert said == DATA.decode(words)
        assert language.text([*row, language.special.end, row[0], row[1]]) == said


def test_a_sentence_that_is_too_long_is_cut_and_ends(language: Language) -> None:
    rows = language.from_data(ids(*SENTENCES[:2]), 6)
    assert rows.shape == (2, 6)
    assert language.text(rows[0].tolist()) == "the big red cube"
    assert rows[0, -1] == language.special.end
    assert language.text(rows[1].tolist()) == SENTENCES[1]


def test_no_row_is_longer_than_the_longest_sentence(language: Language) -> None:
    assert language.from_data(ids(SENTENCES[1]), 33).shape == (1, 5)


def test_nothing_follows_the_end(language: Language) -> None:
    for row in language.from_data(ids(*SENTENCES), 33).tolist():
        end = row.index(language.special.end)
        assert set(row[end + 1 :]) <= {language.special.null}
        assert language.special.null not in row[:end]


def test_byte_pairs_are_clips() -> None:
    language = BpeLanguage(DATA)
    from open_clip import tokenize

    rows = language.from_data(ids(*SENTENCES), 77)
    assert torch.equal(rows, tokenize(list(SENTENCES))[:, : rows.shape[1]])
    assert language.size == 49_408
    special = language.special
    assert (special.null, special.unk, special.start, special.end) == (0, None, START_OF_TEXT, END_OF_TEXT)


def test_a_word_that_the_data_do_not_know_is_not_read_as_text() -> None:
    language = BpeLanguage(DATA)
    assert torch.equal(
        language.from_data(ids("nothing strange has changed"), 9),
        language.from_data(ids("nothing has changed"), 9),
    )
    assert language.from_data(ids("strange"), 9).tolist() == [[START_OF_TEXT, END_OF_TEXT]]


def test_a_published_caption_ends_where_it_says_padding() -> None:
    language = BpeLanguage(DATA)
    words = language.from_data(ids("nothing has changed"), 9)[0, 1:].tolist()
    assert language.text([*words[:2], NULL, words[2], END_OF_TEXT]) == "nothing has"
    assert language.text([]) == ""


def test_words_that_clip_lacks_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        language = WordLanguage(Vocabulary((*SPECIAL, "nothing", "changed")), DATA)
    assert "appeared" in caplog.text
    assert f"lacks {len(DATA) - 6} of" in caplog.text
    row = language.from_data(ids("nothing has changed"), 9)[0].tolist()
    assert row == [START, 4, UNK, 5, END]
