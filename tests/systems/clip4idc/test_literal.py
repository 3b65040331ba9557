"""CLIP4IDC against a literal transcription of its formulas, in double precision."""

from __future__ import annotations

import pytest
import torch

from idc.captioner.search import END
from idc.data.batch import Batch, Pairs
from idc.systems.clip4idc import CLIP4IDC
from tests.systems import literal_clip4idc as literal
from tests.systems.clip4idc.tiny import LENGTH, SETTINGS, batch, build
from tests.systems.clip4idc.tiny import pairs as make_pairs

HEADS, LAYERS = SETTINGS["heads"], SETTINGS["layers"]


@pytest.fixture(scope="module")
def system() -> CLIP4IDC:
    return build()


@pytest.fixture(scope="module")
def state(system: CLIP4IDC) -> literal.State:
    return dict(system.state_dict())


def literal_tokens(state: literal.State, pairs: Pairs) -> list[torch.Tensor]:
    both = zip(pairs.before, pairs.after, strict=True)
    return [
        literal.pair_tokens(state, before, after, 2, SETTINGS["intra_layers"], 3) for before, after in both
    ]


def clip_ids(system: CLIP4IDC, pairs: Pairs) -> list[list[int]]:
    """The sentences as the tiny CLIP numbers them, padding left out."""
    own, data = system.plan.words, system.vocabulary
    assert own is not None
    return [[own.index(data.words[number]) for number in row if number] for row in pairs.words.tolist()]


def test_tokens_of_pairs(system: CLIP4IDC, state: literal.State) -> None:
    pairs = batch().change
    hidden = system.pair(system.clip.visual, pairs.before, pairs.after)
    assert torch.allclose(hidden, torch.stack(literal_tokens(state, pairs)), atol=1e-10)
    assert torch.equal(system.hidden([pairs])[0], hidden)


def test_vectors_and_their_loss(system: CLIP4IDC, state: literal.State) -> None:
    pairs = batch(4).change
    vectors = [literal.pair_vector(tokens) for tokens in literal_tokens(state, pairs)]
    texts = [literal.sentence_vector(state, ids, END, 2, 2) for ids in clip_ids(system, pairs)]
    for mine, theirs in (
        (system.embed_pairs(pairs), vectors),
        (system.embed_words(pairs.words), texts),
    ):
        assert torch.allclose(mine, torch.stack([each / each.norm() for each in theirs]), atol=1e-10)
    expected = literal.retrieval_loss(state, texts, vectors)
    assert system.retrieval_loss(Batch(pairs, None)).item() == pytest.approx(expected.item(), abs=1e-10)


def test_sentences_are_read_as_open_clip_reads_them(system: CLIP4IDC) -> None:
    words = batch(4).change.words
    short = system.language.from_data(words, LENGTH)
    ids = torch.zeros(4, 10, dtype=torch.long)  # the whole context
    ids[:, : short.shape[1]] = short
    assert torch.allclose(system.embed_words(words), system.clip.encode_text(ids, normalize=True), atol=1e-12)


def test_logits_and_their_loss(system: CLIP4IDC, state: literal.State) -> None:
    expected = torch.zeros((), dtype=torch.float64)
    both = batch()
    assert both.no_change is not None
    for pairs in (both.change, both.no_change):
        sentences = clip_ids(system, pairs)
        entered = [ids[:-1] + [0] * (LENGTH - len(ids)) for ids in sentences]
        targets = [ids[1:] + [0] * (LENGTH - len(ids)) for ids in sentences]
        tokens = literal_tokens(state, pairs)
        logits = [
            literal.word_logits(state, ids, hidden, HEADS, LAYERS)
            for ids, hidden in zip(entered, tokens, strict=True)
        ]
        _, mine = system.captioner(torch.tensor(entered), torch.stack(tokens))
        for row, theirs, ids in zip(mine, logits, sentences, strict=True):
            assert torch.allclose(row[: len(ids) - 1], theirs[: len(ids) - 1], atol=1e-10)
        expected = expected + literal.caption_loss(logits, targets)
    assert system.caption_loss(both).item() == pytest.approx(expected.item(), abs=1e-10)


def test_a_long_sentence_teaches_as_many_words_as_are_read(system: CLIP4IDC) -> None:
    long = make_pairs(3, shortest=5)  # START, five words, END
    cut = long.words[:, :6].clone()
    cut[:, 5] = END
    taught = [
        each.caption_loss(Batch(Pairs(long.before, long.after, words, long.image_ids), None)).item()
        for each, words in ((build(max_words=5), long.words), (system, cut))
    ]
    assert taught[0] == pytest.approx(taught[1], abs=1e-12)


def test_a_batch_without_distractors_has_one_term(system: CLIP4IDC) -> None:
    both = batch()
    assert both.no_change is not None
    terms = [system.caption_loss(Batch(pairs, None)).item() for pairs in (both.change, both.no_change)]
    assert sum(terms) == pytest.approx(system.caption_loss(both).item(), abs=1e-12)
