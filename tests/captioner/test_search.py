"""The decoder's cache against the whole forward pass, and what each search promises."""

from __future__ import annotations

import pytest
import torch

from idc.captioner.decoder import Decoder
from idc.captioner.search import END, NULL, START, UNK, Search, search_captions
from idc.errors import UserError


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(vocabulary=12, max_words=7, word_dim=8, dim=16, heads=2, layers=2, dropout=0.1)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # lively enough to say different things
    with torch.no_grad():
        decoder.logits.bias[NULL] -= 50  # a trained decoder never says <NULL>
    return decoder.double().eval()


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randn(6, 4, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def uncached_greedy(decoder: Decoder, picture: torch.Tensor) -> torch.Tensor:
    """Every position computed anew for every word."""
    words = torch.full((len(picture), 1), START)
    for _ in range(decoder.max_words):
        _, logits = decoder(words, picture)
        scores = logits[:, -1].clone()
        scores[:, UNK] = -torch.inf
        words = torch.cat([words, scores.argmax(-1, keepdim=True)], 1)
    said = words[:, 1:]
    ended = (said == END).cumsum(1) - (said == END).long() > 0
    return said.masked_fill(ended, NULL)


def test_steps_equal_the_whole_pass(decoder: Decoder, picture: torch.Tensor) -> None:
    words = torch.tensor([[START, 5, 6, 7, 8]] * 6)
    _, whole = decoder(words, picture)
    caches = decoder.remember(picture)
    for position in range(5):
        logits, looked = decoder.step(words[:, position], position, caches)
        assert torch.allclose(logits, whole[:, position], atol=1e-12)
        assert torch.allclose(looked.sum(-1), torch.ones(6, dtype=torch.float64))


def test_greedy_says_the_same_with_and_without_cache(decoder: Decoder, picture: torch.Tensor) -> None:
    captions = search_captions(decoder, picture, Search())
    expected = uncached_greedy(decoder, picture)[:, : captions.tokens.shape[1]]
    assert torch.equal(captions.tokens, expected)
    assert captions.attention.shape == (*captions.tokens.shape, 4)


def log_probability(decoder: Decoder, picture: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Of given captions, by one whole pass."""
    _, logits = decoder(torch.cat([torch.full((len(tokens), 1), START), tokens[:, :-1]], 1), picture)
    chosen = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
    return chosen.where(tokens != NULL, 0).sum(1)


@pytest.mark.parametrize(
    "search", [Search(), Search("sample", seed=3), Search("beam", beams=3)], ids=lambda s: s.method
)
def test_every_search_reports_the_captions_own_probability(
    decoder: Decoder, picture: torch.Tensor, search: Search
) -> None:
    captions = search_captions(decoder, picture, search)
    expected = log_probability(decoder, picture, captions.tokens)
    assert torch.allclose(captions.log_probability.double(), expected, atol=1e-4)
    assert not (captions.tokens == UNK).any()


def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse(decoder: Decoder, picture: torch.Tensor) -> None:
    greedy = search_captions(decoder, picture, Search())
    one = search_captions(decoder, picture, Search("beam", beams=1))
    assert torch.equal(greedy.tokens, one.tokens)
    assert torch.allclose(greedy.attention, one.attention.to(greedy.attention.dtype), atol=1e-6)


def test_a_beam_over_everything_finds_the_best(decoder: Decoder, picture: torch.Tensor) -> None:
    decoder.max_words = 2
    first = decoder(torch.full((6, 1), START), picture)[1][:, 0].log_softmax(-1)
    best = torch.full((6,), -torch.inf, dtype=torch.float64)
    for word in range(12):
        if word == UNK:
            continue
        second = decoder(torch.tensor([[START, word]] * 6), picture)[1][:, 1].log_softmax(-1)
        second[:, UNK] = -torch.inf
        ended = torch.zeros(6, dtype=torch.float64) if word == END else second.amax(1)
        best = torch.maximum(best, first[:, word] + ended)
    found = search_captions(decoder, picture, Search("beam", beams=12)).log_probability.double()
    assert torch.allclose(found, best, atol=1e-5)


def test_sampling_is_seeded_and_follows_the_probabilities(decoder: Decoder, picture: torch.Tensor) -> None:
    again = [search_captions(decoder, picture, Search("sample", seed=s)).tokens for s in (1, 1, 2)]
    assert torch.equal(again[0], again[1])
    assert again[0].shape != again[2].shape or not torch.equal(again[0], again[2])
    decoder.max_words = 1
    many = picture[:1].expand(4000, -1, -1)
    drawn = (
        search_captions(decoder, many, Search("sample", seed=0)).tokens[:, 0].bincount(minlength=12) / 4000
    )
    chances = decoder(torch.tensor([[START]]), picture[:1])[1][0, 0].clone()
    chances[UNK] = -torch.inf
    assert torch.allclose(drawn.double(), chances.softmax(-1), atol=0.03)


def test_nothing_follows_end(decoder: Decoder, picture: torch.Tensor) -> None:
    with torch.no_grad():
        decoder.logits.bias[END] += 3
    for search in (Search(), Search("sample", seed=0), Search("beam")):
        for row in search_captions(decoder, picture, search).tokens.tolist():
            if END in row:
                assert set(row[row.index(END) + 1 :]) <= {NULL}


def test_padding_changes_nothing(decoder: Decoder, picture: torch.Tensor) -> None:
    short, padded = torch.tensor([[START, 5, END]] * 6), torch.tensor([[START, 5, END, 0, 0]] * 6)
    assert torch.allclose(decoder(short, picture)[1], decoder(padded, picture)[1][:, :3])
    assert torch.isfinite(decoder(padded, picture)[1]).all()


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match="greedy"):
        Search("widest")
    with pytest.raises(UserError, match="positive"):
        Search("beam", beams=0)
