"""What the captioner promises: it learns, it says what it computed, it cannot look ahead."""

from __future__ import annotations

import math

import pytest
import torch

from idc.captioner.search import END, NULL, START, Search, search_captions
from idc.data.batch import Batch, Pairs
from idc.metrics.captions import score_captions
from idc.pieces.attention import MultiHeadAttention, SelfAttention
from idc.pieces.chosen import pieces
from idc.systems.clip4idc import CLIP4IDC
from idc.systems.clip4idc.captioner import EncoderLayer, LayerwiseDecoderLayer
from tests.systems import literal_clip4idc as literal
from tests.systems.clip4idc.tiny import OWN, SETTINGS, batch, build, pairs

KNOWN = pairs(32, seed=5, shortest=4)


@pytest.fixture(scope="module")
def trained() -> CLIP4IDC:
    """A system that has learnt 32 pairs with one caption each by heart."""
    system = build(width=32, lively=False, hidden=64, freeze_layers=-1, clip_rate=1.0).float().train()
    system.begin("caption")
    batch = Batch(Pairs(KNOWN.before.float(), KNOWN.after.float(), KNOWN.words, KNOWN.image_ids), None)
    optimizer = torch.optim.Adam([{"params": list(group.parameters)} for group in system.groups()], lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        system.losses(batch)["caption"].backward()
        optimizer.step()
    return system.double().eval()


def test_it_learns_pairs_by_heart(trained: CLIP4IDC) -> None:
    said = trained.caption(KNOWN, Search()).tokens.tolist()
    sentences = {name: trained.sentence(row) for name, row in zip(KNOWN.image_ids, said, strict=True)}
    truth = [trained.vocabulary.decode(row) for row in KNOWN.words.tolist()]
    references = {name: [sentence] for name, sentence in zip(KNOWN.image_ids, truth, strict=True)}
    assert score_captions(sentences, references, ("CIDEr",), tokenizer="split")["CIDEr"] > 9.5  # of 10


def test_captions_are_repeated_argmax(trained: CLIP4IDC) -> None:
    state = dict(trained.state_dict())
    strangers = pairs(6, seed=9)
    (tokens,) = trained.hidden([strangers])
    said = trained.caption(strangers, Search()).tokens.tolist()
    for row, hidden in zip(said, tokens, strict=True):
        expected = literal.greedy(
            state, hidden, START, SETTINGS["max_words"], SETTINGS["heads"], SETTINGS["layers"]
        )
        until = expected.index(END) + 1 if END in expected else len(expected)
        assert row[:until] == expected[: min(until, len(row))]
        assert set(row[until:]) <= {NULL}
    assert len({tuple(row) for row in said}) > 3


def test_steps_equal_the_whole_pass(trained: CLIP4IDC) -> None:
    words = trained.language.from_data(KNOWN.words[:6], 6)
    (tokens,) = trained.hidden([pairs(6, seed=9)])
    _, whole = trained.captioner(words, tokens)
    caches = trained.captioner.remember(tokens)
    for position in range(words.shape[1]):
        logits, looked = trained.captioner.step(words[:, position], position, caches)
        assert torch.allclose(logits, whole[:, position], atol=1e-10)
        assert torch.allclose(looked.sum(-1), torch.ones(6, dtype=torch.float64))


def test_several_captions_of_a_pair_share_its_memory(trained: CLIP4IDC) -> None:
    (tokens,) = trained.hidden([KNOWN])
    greedy = search_captions(trained.captioner, tokens, Search())
    beam = search_captions(trained.captioner, tokens, Search("beam", beams=3))
    assert (beam.log_probability >= greedy.log_probability - 1e-6).all()
    length = min(greedy.tokens.shape[1], beam.tokens.shape[1])
    same = (greedy.tokens[:, :length] == beam.tokens[:, :length]).all(1)
    assert same.double().mean() > 0.9  # what is known by heart is said either way


def test_later_words_do_not_matter(trained: CLIP4IDC) -> None:
    words = torch.tensor([[START, 5, 6, 7, 8, END]])
    other = torch.tensor([[START, 5, 6, 9, END, NULL]])
    (tokens,) = trained.hidden([pairs(1)])
    _, logits = trained.captioner(words, tokens)
    _, changed = trained.captioner(other, tokens)
    assert torch.equal(logits[:, :3], changed[:, :3])
    assert not torch.allclose(logits[:, 3], changed[:, 3])


def test_every_layer_sees_another_memory(trained: CLIP4IDC) -> None:
    (tokens,) = trained.hidden([pairs(2)])
    first, second = trained.captioner.seen(tokens)
    assert torch.equal(first, trained.captioner.encoder[0](tokens))
    assert torch.equal(second, trained.captioner.encoder[1](first))


def test_in_training_every_step_is_dropped_and_what_it_adds_to_stays() -> None:
    x = torch.randn(2, 5, 8)
    encoder, decoder = EncoderLayer(8, 2, 12, 1.0), LayerwiseDecoderLayer(8, 2, 12, 1.0)
    assert torch.equal(encoder(x), encoder.output_norm(encoder.attention_norm(x)))
    assert torch.equal(decoder.after_words(x, x), decoder.self_norm(x))
    assert torch.equal(decoder.after_picture(x, x), decoder.cross_norm(x))
    assert torch.equal(decoder.think(x), decoder.output_norm(x))
    captioner = build(dropout=0.5).train().captioner
    entered = captioner.enter(torch.full((8, 8), 5))
    assert 0.4 < (entered == 0).double().mean() < 0.6  # of 1,024
    shares = {each.p for each in captioner.modules() if isinstance(each, torch.nn.Dropout)}
    looks = {each.dropout for each in captioner.modules() if isinstance(each, MultiHeadAttention)}
    assert shares == looks == {0.5}


def test_it_begins_by_knowing_nothing() -> None:
    system = build(width=32, lively=False)
    loss = system.caption_loss(Batch(batch(8).change, None)).item()
    assert loss == pytest.approx(math.log(len(OWN)), abs=0.1)


def test_tables_are_clips_own() -> None:
    system = build()
    names = [name for name, _ in system.captioner.named_parameters()]
    assert not [name for name in names if "embedding" in name]
    words = torch.tensor([[START, 5, 6]])
    (tokens,) = system.hidden([pairs(1)])
    _, before = system.captioner(words, tokens)
    with torch.no_grad():
        system.clip.token_embedding.weight[7] *= 2  # a word that is not read, but may be said
    _, after = system.captioner(words, tokens)
    changed = (before != after).any(1)[0]
    assert changed.tolist() == [number == 7 for number in range(len(OWN))]


def test_it_is_built_of_your_own_attention(trained: CLIP4IDC) -> None:
    class Mine(SelfAttention):
        """Another class, of which nobody knows whether it can remember."""

    pieces.adopt({"SelfAttention": Mine})
    try:
        own = build(width=32, lively=False, hidden=64, freeze_layers=-1, clip_rate=1.0)
    finally:
        pieces.release()
    own.load_state_dict(trained.state_dict())
    assert isinstance(own.captioner.encoder[0].attention, Mine)
    strangers = pairs(4, seed=9)
    for search in (Search(), Search("beam", beams=2)):
        mine, library = own.caption(strangers, search), trained.caption(strangers, search)
        assert torch.equal(mine.tokens, library.tokens)
        assert torch.allclose(mine.attention, library.attention, atol=1e-6)
