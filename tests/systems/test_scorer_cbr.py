"""SCORER+CBR against a literal transcription of its description, on random snapshots in the published layout."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from idc.captioner.search import END, Search
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.pieces.cbr import joint_loss
from idc.systems.scorer_cbr import ScorerCBR, ScorerCBRConfig
from tests.systems import literal_scorer as literal

SHAPE = {
    "channels": 5,
    "height": 2,
    "width": 3,
    "dim": 16,
    "word_dim": 6,
    "words": 9,
    "length": 6,
    "layers": 2,
}
HEADS = 4


def vocabulary(words: int = 9) -> Vocabulary:
    return Vocabulary(("<NULL>", "<UNK>", "<START>", "<END>", *(f"w{i}" for i in range(words - 4))))


def load_cbr(system: ScorerCBR, state: dict[str, torch.Tensor]) -> None:
    """CBR's weights from the names of the released module."""
    assert system.cbr is not None
    names = {
        "merge.weight": state["conv1.weight"][:, :, 0, 0],
        "merge.bias": state["conv1.bias"],
        "qkv.weight": state["mh_att.in_proj_weight"],
        "out.weight": state["mh_att.out_proj.weight"],
        "imagine.weight": state["conv2.0.weight"][:, :, 0, 0],
        "imagine.bias": state["conv2.0.bias"],
        "logit_scale": state["contra.logit_scale"],
    } | {
        f"{part}.{kind}": state[f"contra.{part}.{kind}"]
        for part in ("query", "key")
        for kind in ("weight", "bias")
    }
    system.cbr.load_state_dict(names)


@pytest.fixture(params=[0, 1])
def snapshot(request: pytest.FixtureRequest) -> dict[str, dict[str, torch.Tensor]]:
    return literal.random_snapshot(**SHAPE, seed=request.param)


@pytest.fixture
def system(snapshot: dict[str, dict[str, torch.Tensor]], tmp_path: Path) -> ScorerCBR:
    cbr = snapshot.pop("cbr")
    path = tmp_path / "scorer_checkpoint_10.pt"
    torch.save({**snapshot, "model_cfg": {"model": {"att_head": HEADS}}}, path)
    snapshot["cbr"] = cbr
    system = ScorerCBR.from_released(path, vocabulary(), heads=HEADS, dropout=0.0).double()
    # The file holds fp64 here, so nothing may be rounded on the way in.
    system.encoder.load_state_dict({k: v.double() for k, v in system.encoder.state_dict().items()})
    reread = torch.load(path, weights_only=True)
    assert torch.allclose(
        system.encoder.project.weight, reread["change_detector_state"]["img.0.weight"], atol=1e-6
    )
    load_cbr(system, cbr)
    return system


def batch(seed: int = 0, size: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def pairs(ending: str) -> Pairs:
        grids = (torch.randn(size, 5, 2, 3, generator=generator, dtype=torch.float64) for _ in range(2))
        words = torch.zeros(size, 6, dtype=torch.long)
        for row in range(size):
            count = int(torch.randint(1, 5, (), generator=generator))
            words[row, 0] = 2
            words[row, 1 : 1 + count] = torch.randint(4, 9, (count,), generator=generator)
            words[row, 1 + count] = END
        return Pairs(*grids, words=words, image_ids=tuple(f"{i:06d}.png{ending}" for i in range(size)))

    return Batch(pairs(""), pairs("_n"))


def literal_state(snapshot: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """All tensors of the snapshot and of CBR in one dictionary."""
    return snapshot["change_detector_state"] | snapshot["speaker_state"] | snapshot["cbr"]


def test_it_equals_the_literal_transcription(
    snapshot: dict[str, dict[str, torch.Tensor]], system: ScorerCBR
) -> None:
    state = literal_state(snapshot)
    for pairs in (batch().change, batch().no_change):
        mine = system.encoder(pairs.before, pairs.after)
        theirs = literal.encode(state, pairs.before, pairs.after, 2, HEADS)
        for name, tensor in (
            ("tokens", mine.tokens),
            ("before", mine.before),
            ("after", mine.after),
            ("b2a", mine.similarity_b2a),
            ("a2b", mine.similarity_a2b),
        ):
            assert tensor is not None
            assert torch.allclose(tensor, theirs[name], atol=1e-10), name
        _, logits = system.decoder(pairs.words, mine.tokens)
        literal_hidden, literal_logits = literal.decode(state, pairs.words, theirs["tokens"], 2, HEADS)
        real = pairs.words != 0
        assert torch.allclose(logits[real], literal_logits[real], atol=1e-10)
        losses = system.pass_losses(pairs)
        assert losses["caption"].item() == pytest.approx(
            literal.caption_loss(pairs.words, literal_logits).item(), abs=1e-10
        )
        contrast = (literal.info_nce(theirs["b2a"]) + literal.info_nce(theirs["a2b"])) / 2
        assert losses["cross_view"].item() == pytest.approx(contrast.item(), abs=1e-10)
        reasoning = literal.reason(
            state, theirs["before"], literal_hidden, pairs.words, theirs["after"], HEADS
        )
        assert losses["cross_modal"].item() == pytest.approx(reasoning.item(), abs=1e-9)


def test_it_says_what_the_literal_transcription_says(
    snapshot: dict[str, dict[str, torch.Tensor]], system: ScorerCBR
) -> None:
    state = literal_state(snapshot)
    pairs = batch(seed=5, size=4).change
    tokens = literal.encode(state, pairs.before, pairs.after, 2, HEADS)["tokens"]
    expected = literal.greedy(state, tokens, 6, 2, HEADS)
    for row, said in zip(system.caption(pairs, Search()).tokens.tolist(), expected, strict=True):
        assert row[: len(said)] == said
        assert set(row[len(said) :]) <= {END, 0}


def test_a_step_is_the_mean_of_both_passes(system: ScorerCBR) -> None:
    parts = system.losses(batch())
    change, no_change = system.pass_losses(batch().change), system.pass_losses(batch().no_change)
    assert set(parts) == {"caption", "cross_view", "cross_modal"}
    for name in parts:
        assert torch.allclose(parts[name], (change[name] + no_change[name]) / 2)


def test_without_distractors_a_step_is_one_pass(system: ScorerCBR) -> None:
    parts, alone = system.losses(Batch(batch().change)), system.pass_losses(batch().change)
    assert parts.keys() == alone.keys() and all(torch.equal(parts[name], alone[name]) for name in parts)


def test_released_snapshots_round_trip(system: ScorerCBR, tmp_path: Path) -> None:
    system.float()
    system.to_released(tmp_path / "again.pt")
    content = torch.load(tmp_path / "again.pt", weights_only=True)
    assert set(content) == {"change_detector_state", "speaker_state", "model_cfg"}
    snapshot = literal.random_snapshot(**SHAPE, seed=0)
    for part in ("change_detector_state", "speaker_state"):
        assert {k: v.shape for k, v in content[part].items()} == {
            k: v.shape for k, v in snapshot[part].items()
        }
    again = ScorerCBR.from_released(tmp_path / "again.pt", vocabulary(), heads=HEADS)
    for name, tensor in system.encoder.state_dict().items():
        assert torch.equal(tensor, again.encoder.state_dict()[name])


def test_parameter_counts_are_the_published_ones() -> None:
    system = ScorerCBR.build(ScorerCBRConfig(), vocabulary(76), (1024, 14, 14), 24)
    assert system.cbr is not None
    counts = [
        sum(p.numel() for p in part.parameters()) for part in (system.encoder, system.decoder, system.cbr)
    ]
    assert counts == [2_635_778, 4_425_564, 2_361_345]


def build(**config: object) -> ScorerCBR:
    torch.manual_seed(0)
    values = {"dim": 16, "heads": 4, "word_dim": 6, "dropout": 0.0} | config
    return ScorerCBR.build(ScorerCBRConfig(**values), vocabulary(), (5, 2, 3), 6).double()  # type: ignore[arg-type]


def test_switches() -> None:
    full = build()
    assert set(build(cbr=False).losses(batch())) == {"caption", "cross_view"}
    assert set(build(cross_view=False).losses(batch())) == {"caption", "cross_modal"}
    assert not torch.isclose(
        full.losses(batch())["cross_view"], build(matching="separate").losses(batch())["cross_view"]
    )
    assert not torch.isclose(
        full.losses(batch())["cross_modal"], build(sentence_mean="words").losses(batch())["cross_modal"]
    )


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.heads is 3; it must divide model\.dim, 16\."):
        build(heads=3)


def test_without_train_cbr_its_weights_stay_but_its_loss_shapes_the_rest() -> None:
    system = build(train_cbr=False)
    assert system.cbr is not None
    chosen = {id(p) for p in system.trained_parameters()}
    assert not chosen & {id(p) for p in system.cbr.parameters()}
    assert chosen == {id(p) for part in (system.encoder, system.decoder) for p in part.parameters()}
    system.losses(batch())["cross_modal"].backward()
    assert system.encoder.project.weight.grad is not None
    assert system.decoder.embed.weight.grad is not None


@pytest.mark.parametrize("kernels", ["auto", "plain"])
@pytest.mark.parametrize("kind", ["shared", "not shared", "no distractors"])
def test_the_portions_add_up_to_the_losses(kind: str, kernels: str) -> None:
    """Their values, and the gradients that are taken one after the other."""
    system, data = build(kernels=kernels), batch(size=4)
    assert data.no_change is not None
    before = data.change.before if kind == "shared" else data.change.before.clone()
    data = Batch(data.change, None if kind == "no distractors" else replace(data.no_change, before=before))

    whole = system.losses(data)
    joint_loss(whole, system.loss_weights).backward()
    wanted = {name: parameter.grad for name, parameter in system.named_parameters()}
    system.zero_grad()
    portions = system.portions(data)
    assert len(portions) == len(data.passes())
    sums = dict.fromkeys(whole, 0.0)
    for portion in portions:
        parts = portion()
        joint_loss(parts, system.loss_weights).backward()
        sums = {name: total + parts[name].item() for name, total in sums.items()}

    assert sums == pytest.approx({name: part.item() for name, part in whole.items()}, rel=1e-12)
    assert len(wanted) > 40
    for name, parameter in system.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-9, atol=1e-12, msg=name)


def test_one_pass_at_a_time_is_kept_for_the_way_back() -> None:
    """What the first portion kept is gone when the second is computed; the picture before is looked at once."""
    system, data = build(), batch(size=4)
    assert data.no_change is not None
    data = Batch(data.change, replace(data.no_change, before=data.change.before))
    looked: list[int] = []
    tokens = system.encoder.tokens
    system.encoder.tokens = lambda grid: [looked.append(1), tokens(grid)][1]  # type: ignore[method-assign]
    first, second = system.portions(data)
    kept: list[weakref.ref[torch.Tensor]] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept.append(weakref.ref(x))
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        parts = first()
    gone = len(kept)
    assert sum(reference() is not None for reference in kept) > gone / 2
    joint_loss(parts, system.loss_weights).backward()
    del parts
    left = sum(reference() is not None for reference in kept)
    assert left < gone / 3, (left, gone)  # weights, and what the picture before keeps for the second
    joint_loss(second(), system.loss_weights).backward()
    assert len(looked) == 3


def test_logit_scales_are_clamped_after_a_step() -> None:
    system = build()
    for name, parameter in system.named_parameters():
        if name.endswith("logit_scale"):
            parameter.data.fill_(9.0)
    system.after_step()
    scales = [p.item() for n, p in system.named_parameters() if n.endswith("logit_scale")]
    assert scales == [pytest.approx(math.log(100))] * 3


def test_a_system_overfits_a_few_pairs() -> None:
    system = build()
    optimizer = torch.optim.Adam(system.trained_parameters(), lr=0.005)
    data = batch(size=4)
    for _ in range(150):
        parts = system.losses(data)
        optimizer.zero_grad()
        (parts["caption"] + 0.1 * parts["cross_view"] + 0.001 * parts["cross_modal"]).backward()
        optimizer.step()
        system.after_step()
    assert system.losses(data)["caption"] < 0.05
    system.eval()
    for pairs in (data.change, data.no_change):
        said = system.caption(pairs, Search()).tokens
        assert torch.equal(said[:, :5], pairs.words[:, 1:][:, : said.shape[1]][:, :5])


def test_errors_speak(tmp_path: Path, system: ScorerCBR) -> None:
    with pytest.raises(UserError, match=r"is missing, .* give its path"):
        ScorerCBR.from_released(tmp_path / "absent.pt", vocabulary())
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UserError, match="not a published SCORER snapshot"):
        ScorerCBR.from_released(tmp_path / "text.pt", vocabulary())
    system.float().to_released(tmp_path / "good.pt")
    with pytest.raises(UserError, match="9 words, the vocabulary has 11"):
        ScorerCBR.from_released(tmp_path / "good.pt", vocabulary(11))


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_snapshot_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"change_detector_state": Malicious(), "speaker_state": {}}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="plain values only"):
        ScorerCBR.from_released(tmp_path / "evil.pt", vocabulary())
    assert "executed" not in capsys.readouterr().out
