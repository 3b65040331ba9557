"""One argument chooses; whatever it is, SCORER+CBR computes the same."""

from __future__ import annotations

import logging

import pytest
import torch

import idc.kernels as kernels
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.kernels import KERNELS, choose_ask, choose_attend, choose_matching
from idc.pieces.attention import attend
from idc.pieces.cbr import CrossModalBackwardReasoning
from idc.systems.scorer_cbr import ScorerCBR, ScorerCBRConfig

WORDS = Vocabulary(("<NULL>", "<UNK>", "<START>", "<END>", "a", "b", "c"))


def system(name: str, train_cbr: bool = True) -> ScorerCBR:
    torch.manual_seed(0)
    config = ScorerCBRConfig(
        dim=16, heads=4, word_dim=6, dropout=0.0, kernels=name, matching="separate", train_cbr=train_cbr
    )
    return ScorerCBR.build(config, WORDS, (5, 3, 4), 6).double()


def batch(shared: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(1)
    grids = [torch.randn(4, 5, 3, 4, generator=generator, dtype=torch.float64) for _ in range(4)]
    words = torch.tensor([[2, 4, 5, 3, 0, 0], [2, 6, 3, 0, 0, 0], [2, 4, 4, 4, 6, 3], [2, 5, 3, 0, 0, 0]])
    names = tuple("abcd")
    before = grids[0] if shared else grids[3]
    return Batch(Pairs(grids[0], grids[1], words, names), Pairs(before, grids[2], words, names))


def losses_and_gradients(model: ScorerCBR, data: Batch) -> dict[str, torch.Tensor]:
    losses = model.losses(data)
    torch.stack(list(losses.values())).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {**{name: loss.detach() for name, loss in losses.items()}, **gradients}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["auto", "tiled"])
def test_a_step_is_that_of_the_plain_pieces(name: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and the gradient of every parameter, also where attention is made in parts and words ask without keys."""
    monkeypatch.setattr(kernels, "LARGE_MAP", 0)
    monkeypatch.setattr(kernels, "pays", lambda *_: True)
    mine = losses_and_gradients(system(name), batch(shared))
    plain = losses_and_gradients(system("plain"), batch(shared))
    assert mine.keys() == plain.keys() and len(plain) > 40
    for part, value in plain.items():
        torch.testing.assert_close(mine[part], value, rtol=1e-9, atol=1e-12, msg=part)


def test_one_picture_before_is_projected_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pictures given twice, or given once for both passes, make no difference to the result."""
    model, data = system("auto"), batch()
    copied = Batch(
        data.change,
        Pairs(
            data.no_change.before.clone(),
            data.no_change.after,
            data.no_change.words,
            data.no_change.image_ids,
        ),
    )
    calls: list[int] = []
    tokens = model.encoder.tokens
    monkeypatch.setattr(model.encoder, "tokens", lambda grid: [calls.append(1), tokens(grid)][1])
    once = model.losses(data)
    assert len(calls) == 3
    twice = model.losses(copied)
    assert len(calls) == 7
    for part in once:
        torch.testing.assert_close(once[part], twice[part], rtol=1e-12, atol=0)


def test_a_frozen_cbr_gets_no_gradients() -> None:
    model = system("auto", train_cbr=False)
    found = losses_and_gradients(model, batch())
    assert not any(name.startswith("cbr.") for name in found)
    trained = losses_and_gradients(system("auto"), batch())
    for name, value in found.items():
        torch.testing.assert_close(value, trained[name])


def test_another_cbr_is_called_as_it_is() -> None:
    class Own(CrossModalBackwardReasoning):
        def forward(self, *_: object) -> torch.Tensor:
            return torch.tensor(7.0)

    model = system("auto")
    assert model.folds
    assert model.cbr is not None
    own = Own(16, 4)
    own.load_state_dict(model.cbr.state_dict())
    model.cbr = own.double()
    assert model.losses(batch())["cross_modal"] == 7


def test_it_says_once_what_it_took(caplog: pytest.LogCaptureFixture) -> None:
    kernels.say.cache_clear()
    query = torch.randn(2, 3, 4)
    with caplog.at_level(logging.INFO, "idc.kernels"):
        for _ in range(3):
            choose_matching("auto", 2, "joint")(query, query)
    assert [record.getMessage() for record in caplog.records] == ["matching and attention on cpu: tiled"]


def test_half_precision_tiles_by_name() -> None:
    query = torch.randn(3, 5, 8)
    exact, rounded = (choose_matching(name, 2, "joint")(query, query) for name in ("tiled", "tiled-bf16"))
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=2e-2, atol=2e-2)


def test_plain_is_the_piece_itself() -> None:
    assert choose_attend("plain") is attend


def test_an_unknown_name_is_refused() -> None:
    for choose in (choose_attend, choose_ask, lambda name: choose_matching(name, 1, "joint")):
        with pytest.raises(ValueError, match=f"{', '.join(KERNELS)}, not “fast”"):
            choose("fast")
