"""Words that ask a picture without its keys and values get the same answers."""

from __future__ import annotations

import pytest
import torch

import idc.kernels as kernels
from idc.captioner.decoder import DecoderLayer
from idc.kernels.absorbed import absorbed_cross_attention, pays
from idc.pieces.attention import CrossAttention
from idc.pieces.chosen import pieces
from idc.systems.system import install

SHAPES = [(2, 3, 8, 12, 2), (1, 1, 5, 16, 4), (33, 5, 49, 24, 3)]  # B, L, N, D, H


def asked(ask: object, shape: tuple[int, ...], dropout: float = 0.0) -> list[torch.Tensor]:
    """Context, weights, and the gradients of words, picture and all parameters, in double precision."""
    batch, words, tokens, dim, heads = shape
    torch.manual_seed(0)
    attention = CrossAttention(dim, heads, dropout).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(batch, words, dim, dtype=torch.float64, requires_grad=True)
    picture = torch.randn(batch, tokens, dim, dtype=torch.float64, requires_grad=True)
    context, weights = ask(attention, x, picture)  # type: ignore[operator]
    context.cos().sum().backward()
    return [context, weights, *(part.grad for part in (x, picture, *attention.parameters()))]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_and_gradients_are_those_of_the_piece(shape: tuple[int, ...], dropout: float) -> None:
    """With dropout, too: the same generator drops the same weights."""
    found = asked(absorbed_cross_attention, shape, dropout)
    torch.testing.assert_close(found, asked(CrossAttention.__call__, shape, dropout), rtol=1e-9, atol=1e-11)


def test_it_pays_for_few_words() -> None:
    assert pays(words=24, tokens=196, dim=512, heads=8)
    assert not pays(words=196, tokens=196, dim=512, heads=8)
    assert not pays(words=100, tokens=196, dim=512, heads=8)
    assert pays(words=100, tokens=196, dim=512, heads=1)


@pytest.mark.parametrize(
    ("name", "words", "absorbed"), [("auto", 2, True), ("auto", 20, False), ("plain", 2, False)]
)
def test_a_decoder_layer_asks_as_it_is_told(
    name: str, words: int, absorbed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*arguments: object) -> object:
        calls.append(1)
        return absorbed_cross_attention(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kernels, "absorbed_cross_attention", counted)
    layer = DecoderLayer(16, 2, 0.0)
    x, picture = torch.randn(3, words, 16), torch.randn(3, 30, 16)
    mask = torch.ones(3, 1, words, words, dtype=torch.bool)
    wanted, _ = layer(x, picture, mask)
    install(name, layer)
    torch.testing.assert_close(layer(x, picture, mask)[0], wanted, rtol=1e-4, atol=1e-5)
    assert bool(calls) is absorbed


def test_another_attention_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(CrossAttention):
        def forward(self, x: torch.Tensor, *_: object) -> tuple[torch.Tensor, None]:
            return torch.full_like(x, 7.0), None

    layer = DecoderLayer(16, 2, 0.0)
    layer.cross_attention = Own(16, 2)
    install("auto", layer)
    found, _ = layer.ask(layer.cross_attention, torch.randn(3, 2, 16), torch.randn(3, 30, 16))
    assert (found == 7).all()
    monkeypatch.setitem(pieces.own, "attention", "def attention(): …")
    layer = DecoderLayer(16, 2, 0.0)
    install("auto", layer)
    assert layer.ask is CrossAttention.__call__
