"""CLIP4IDC as a system: sizes, stages, what is trained, what goes into the pair."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from idc.captioner.search import Search
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.systems import system_class
from idc.systems.clip4idc import CLIP4IDC, CLIP4IDCConfig, check
from idc.systems.clip4idc.clip import architecture_plan
from tests.systems.clip4idc.tiny import SIZE, WORDS, batch, build, pairs, plan


@pytest.fixture(scope="module")
def published() -> CLIP4IDC:
    """The published sizes, without memory for the weights."""
    made = architecture_plan("ViT-B-32-quickgelu")
    with torch.device("meta"):
        return CLIP4IDC(CLIP4IDCConfig(), Vocabulary(WORDS), (3, 224, 224), made.build(), made)


def test_it_is_registered() -> None:
    assert system_class("clip4idc") is CLIP4IDC


def test_parameter_totals_are_the_published_ones(published: CLIP4IDC) -> None:
    clip, pair, captioner = (
        sum(p.numel() for p in part.parameters())
        for part in (published.clip, published.pair, published.captioner)
    )
    assert (clip + pair, pair, captioner) == (151_357_185, 79_872, 22_383_360)
    assert sum(p.numel() for p in published.parameters()) == 173_740_545


def test_features_of_another_size_are_refused(published: CLIP4IDC) -> None:
    with pytest.raises(UserError, match=r"data\.backbone=pixels224 .*--root ROOT --backbone pixels224`"):
        check(published.config, (3, 96, 96), published.clip, published.language)


def test_shapes_are_the_published_ones(published: CLIP4IDC) -> None:
    picture = torch.empty(2, 3, 224, 224, device="meta")
    hidden = published.pair(published.clip.visual, picture, picture)
    assert hidden.shape == (2, 100, 512)
    _, logits = published.captioner(torch.empty(2, 32, dtype=torch.long, device="meta"), hidden)
    assert logits.shape == (2, 32, 49_408)
    assert published.captioner.max_words == 32


@pytest.mark.parametrize(("patch", "tokens"), [(3, 17), (4, 10), (6, 5)])
def test_a_picture_has_a_token_more_than_patches(patch: int, tokens: int) -> None:
    system = build(patch)
    (hidden,) = system.hidden([pairs(2)])
    assert hidden.shape == (2, 2 * tokens, 16)
    assert torch.equal(system.pair.vector(hidden), (hidden[:, 0] + hidden[:, tokens]) / 2)


def test_the_order_of_the_pictures_matters() -> None:
    system, one = build(), pairs(2)
    (hidden,) = system.hidden([one])
    (swapped,) = system.hidden([Pairs(one.after, one.before, one.words, one.image_ids)])
    tokens = hidden.shape[1] // 2
    assert not torch.allclose(hidden, swapped, atol=1e-3)
    assert not torch.allclose(hidden, swapped.roll(tokens, 1), atol=1e-3)


def test_a_shared_picture_is_seen_once_and_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    system, both = build(), batch(3)
    assert both.no_change is not None
    apart = [system.hidden([each])[0] for each in (both.change, both.no_change)]
    seen: list[int] = []
    alone = system.pair.alone
    monkeypatch.setattr(system.pair, "alone", lambda visual, x: seen.append(len(x)) or alone(visual, x))
    for mine, theirs in zip(system.hidden([both.change, both.no_change]), apart, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)
    assert seen == [9]  # three pictures of three scenes, not four


def test_looks_are_at_the_patches_of_both_pictures() -> None:
    system = build(patch=4)
    attention = torch.arange(20.0).expand(2, 5, 20)
    looks = system.looks(attention, (SIZE, SIZE))
    assert looks.shape == (2, 5, 2, 3, 3)
    assert looks[0, 0].flatten().tolist() == [*range(1, 10), *range(11, 20)]  # 0 and 10 are the class tokens


def test_stages() -> None:
    assert [(stage.name, stage.measure) for stage in CLIP4IDC.stages()] == [
        ("adapt", "retrieval"),
        ("caption", "captions"),
    ]
    system = build()
    for stage, part in (("adapt", "retrieval"), ("caption", "caption")):
        system.begin(stage)
        assert list(system.losses(batch())) == [part]
        assert part in CLIP4IDC.loss_weights


def moved(system: CLIP4IDC, stage: str) -> dict[str, float]:
    """What a stage trains, by name, with its rate."""
    system.begin(stage)
    names = {id(parameter): name for name, parameter in system.named_parameters()}
    groups = {names[id(p)]: group.rate for group in system.groups() for p in group.parameters}
    assert sum(len(group.parameters) for group in system.groups()) == len(groups), "in two groups"
    return groups


FROZEN = {
    "clip.positional_embedding",
    "clip.token_embedding.weight",
    "clip.visual.class_embedding",
    "clip.visual.positional_embedding",
    "clip.visual.conv1.weight",
    "clip.visual.ln_pre.weight",
    "clip.visual.ln_pre.bias",
}


def of(system: CLIP4IDC, prefix: str) -> set[str]:
    return {name for name, _ in system.named_parameters() if name.startswith(prefix)}


def test_adaptation_trains_the_pair_in_full_and_clip_a_little() -> None:
    system = build(clip_rate=0.25)
    rates = moved(system, "adapt")
    assert {name for name, rate in rates.items() if rate == 1} == of(system, "pair.")
    assert {name for name, rate in rates.items() if rate == 0.25} == of(system, "clip.") - FROZEN


def test_captioning_trains_the_captioner_in_full_and_what_sees_a_little() -> None:
    system = build(clip_rate=0.25)
    rates = moved(system, "caption")
    assert {name for name, rate in rates.items() if rate == 1} == of(system, "captioner.")
    seeing = of(system, "pair.") | (of(system, "clip.visual.") - FROZEN)
    assert {name for name, rate in rates.items() if rate == 0.25} == seeing
    assert moved(build(clip_rate=0.25), "adapt") == moved(system, "adapt"), "stages leave nothing behind"


def test_what_sees_and_the_words_can_have_rates_of_their_own() -> None:
    settings = {"freeze_layers": -1, "clip_rate": 0.25, "caption_clip_rate": 0.125}
    system = build(**settings, word_rate=0.5)
    rates = moved(system, "caption")
    tables = {"clip.token_embedding.weight", "clip.positional_embedding"}
    assert {name for name, rate in rates.items() if rate == 0.5} == tables
    seeing = of(system, "pair.") | of(system, "clip.visual.")
    assert {name for name, rate in rates.items() if rate == 0.125} == seeing
    assert moved(system, "adapt") == moved(build(freeze_layers=-1, clip_rate=0.25), "adapt")
    like_pictures = moved(build(**settings), "caption")
    assert {name for name, rate in like_pictures.items() if rate == 0.125} == seeing | tables


def test_what_is_frozen_is_a_choice() -> None:
    tables = {"clip.token_embedding.weight", "clip.positional_embedding"}
    everything = moved(build(freeze_layers=-1), "caption")
    assert of(build(), "clip.visual.") | tables <= everything.keys()
    assert "clip.text_projection" not in everything  # without a gradient in this stage
    words = build(train_words=True)
    assert tables & moved(words, "caption").keys() == {"clip.token_embedding.weight"}
    assert not tables & moved(words, "adapt").keys()
    deeper = build(freeze_layers=1)
    first = of(deeper, "clip.transformer.resblocks.0.") | of(deeper, "clip.visual.transformer.resblocks.0.")
    assert not first & moved(deeper, "adapt").keys()
    assert of(deeper, "clip.visual.transformer.resblocks.1.") <= moved(deeper, "adapt").keys()


def test_every_parameter_that_is_trained_gets_a_gradient() -> None:
    for stage in ("adapt", "caption"):
        system = build(freeze_layers=-1)
        system.begin(stage)
        (loss,) = system.losses(batch(4)).values()
        loss.backward()
        assert all(parameter.grad is not None for parameter in system.trained_parameters())


def test_matrices_decay_and_vectors_do_not() -> None:
    system = build()
    for stage in ("adapt", "caption"):
        system.begin(stage)
        for group in system.groups():
            assert all((p.ndim >= 2) == group.decays for p in group.parameters)


def test_the_logit_scale_is_clamped_after_a_step() -> None:
    system = build()
    system.clip.logit_scale.data.fill_(9.0)
    system.after_step()
    assert system.clip.logit_scale.item() == pytest.approx(math.log(100))


def test_equal_sentences_need_not_be_each_others_negatives() -> None:
    known = pairs(4)
    twice = Pairs(known.before, known.after, known.words[[0, 1, 2, 0]], known.image_ids)
    published, fair = build(), build(duplicates="ignored")
    assert torch.equal(published.retrieval_loss(Batch(known, None)), fair.retrieval_loss(Batch(known, None)))
    texts, vectors = fair.embed_words(twice.words), fair.embed_pairs(twice)
    s = fair.clip.logit_scale.exp() * texts @ vectors.T
    s[0, 3] = s[3, 0] = -math.inf
    diagonal = torch.arange(4)
    expected = (
        s.log_softmax(1)[diagonal, diagonal].mean() + s.log_softmax(0)[diagonal, diagonal].mean()
    ) / -2
    assert fair.retrieval_loss(Batch(twice, None)).item() == pytest.approx(expected.item(), abs=1e-12)
    assert fair.retrieval_loss(Batch(twice, None)) < published.retrieval_loss(Batch(twice, None))


def test_pairs_without_a_change_can_be_negatives_of_sentences() -> None:
    known, system = batch(3), build(unchanged="negatives")
    assert known.no_change is not None
    t, v = system.embed_words(known.change.words), system.embed_pairs(known.change)
    s = system.clip.logit_scale.exp() * t @ torch.cat([v, system.embed_pairs(known.no_change)]).T
    diagonal = torch.arange(3)
    expected = (
        s.log_softmax(1)[diagonal, diagonal].mean() + s[:, :3].log_softmax(0)[diagonal, diagonal].mean()
    ) / -2
    assert system.retrieval_loss(known).item() == pytest.approx(expected.item(), abs=1e-12)
    assert system.retrieval_loss(known) > build().retrieval_loss(known)
    with pytest.raises(UserError, match=r"no pairs without a change; set model\.unchanged=unused"):
        system.retrieval_loss(Batch(known.change, None))


def test_vectors_have_length_one() -> None:
    system = build()
    for vectors in (system.embed_pairs(pairs(3)), system.embed_words(pairs(3).words)):
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(3, dtype=torch.float64))


def test_in_half_precision_similarities_are_not() -> None:
    system = build().float()
    data = pairs(4)
    data = Pairs(data.before.float(), data.after.float(), data.words, data.image_ids)
    exact = system.retrieval_loss(Batch(data, None))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = system.retrieval_loss(Batch(data, None))
        assert system.embed_pairs(data).dtype == torch.float32
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), abs=0.2)


def test_a_copy_speaks_with_its_own_tables() -> None:
    from copy import deepcopy

    system = build()
    copy = deepcopy(system)
    with torch.no_grad():
        copy.clip.token_embedding.weight.zero_()
    assert copy.captioner.lent[0] is copy.clip
    assert torch.equal(
        system.caption_loss(Batch(pairs(2), None)), build().caption_loss(Batch(pairs(2), None))
    )


def test_a_snapshot_is_rebuilt_from_its_description() -> None:
    system = build()
    system.plan = replace(system.plan, origin="a file of weights")
    again = CLIP4IDC.rebuild(system.config, system.vocabulary, (3, SIZE, SIZE), 7, system.description())
    assert again.plan.origin == "a file of weights"
    again.load_state_dict(system.state_dict())
    again = again.double().eval()
    said = [each.caption(pairs(3), Search()) for each in (system, again)]
    assert torch.equal(said[0].tokens, said[1].tokens)
    assert [again.sentence(row) for row in said[1].tokens.tolist()] == [
        system.sentence(row) for row in said[0].tokens.tolist()
    ]


@pytest.mark.parametrize(
    ("settings", "shape", "complaint"),
    [
        ({}, (3, 96, 96), r"data\.backbone=pixels12 .*--root ROOT --backbone X`"),
        ({"intra_layers": 3}, (3, SIZE, SIZE), r"0 … 2"),
        ({"heads": 3}, (3, SIZE, SIZE), "divide 16"),
        ({"freeze_layers": 4}, (3, SIZE, SIZE), r"model\.freeze_layers is 4; .*-1 … 3"),
        ({"max_words": 11}, (3, SIZE, SIZE), "up to 10"),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: dict[str, int], shape: tuple[int, int, int], complaint: str
) -> None:
    values = {"intra_layers": 2, "heads": 2, "max_words": 8} | settings
    made = plan()
    with pytest.raises(UserError, match=complaint):
        CLIP4IDC(CLIP4IDCConfig(**values), Vocabulary(WORDS), shape, made.build(), made)  # type: ignore[arg-type]
