"""Published snapshots of CLIP4IDC: made up here in both layouts, read, written again, and refused when damaged."""

from __future__ import annotations

import logging
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.systems.clip4idc import CLIP4IDC
from idc.systems.clip4idc.clip import Plan
from idc.systems.clip4idc.released import Stage, released_names

Shapes = dict[str, tuple[int, ...]]
WORDS = ("<NULL>", "<UNK>", "<START>", "<END>", *(f"w{i}" for i in range(7)))
SMALL = Plan(
    {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 3},
        "text_cfg": {
            "context_length": 12,
            "vocab_size": len(WORDS),
            "width": 8,
            "heads": 2,
            "layers": 2,
            "pool_type": "eos",
            "eos_id": 3,
        },
    },
    WORDS,
)
SETTINGS = {"intra_layers": 2, "heads": 2, "max_words": 10}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(name: str, out: int, width: int) -> Shapes:
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def tower(name: str, width: int, layers: int) -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        block = f"{name}transformer.resblocks.{layer}."
        shapes |= norm(f"{block}ln_1", width) | norm(f"{block}ln_2", width)
        shapes |= {
            f"{block}attn.in_proj_weight": (3 * width, width),
            f"{block}attn.in_proj_bias": (3 * width,),
        }
        shapes |= linear(f"{block}attn.out_proj", width, width)
        shapes |= linear(f"{block}mlp.c_fc", 4 * width, width) | linear(
            f"{block}mlp.c_proj", width, 4 * width
        )
    return shapes


def adapt_layout(
    words: int, context: int, dim: int, depth: int, width: int, patch: int, tokens: int, blocks: int
) -> Shapes:
    """Names and shapes of a snapshot after retrieval; `tokens` of one picture, `depth` and `blocks` of the towers."""
    shapes: Shapes = {
        "clip.positional_embedding": (context, dim),
        "clip.text_projection": (dim, dim),
        "clip.logit_scale": (),
        "clip.token_embedding.weight": (words, dim),
        "clip.visual.positional_embedding": (tokens, width),
        "clip.visual.joint_positional_embedding": (2 * tokens, width),
        "clip.visual.conv1.weight": (width, 3, patch, patch),
        "clip.visual.proj": (width, dim),
    }
    shapes |= {f"clip.visual.{name}_embedding": (width,) for name in ("class", "bef", "aft")}
    for name in ("ln_pre", "ln_mid", "ln_post"):
        shapes |= norm(f"clip.visual.{name}", width)
    return (
        shapes
        | norm("clip.ln_final", dim)
        | tower("clip.", dim, depth)
        | tower("clip.visual.", width, blocks)
    )


def attention(name: str, dim: int) -> Shapes:
    shapes = norm(f"{name}.output.LayerNorm", dim) | linear(f"{name}.output.dense", dim, dim)
    for part in ("query", "key", "value"):
        shapes |= linear(f"{name}.att.{part}", dim, dim)
    return shapes


def decoder_layout(words: int, context: int, dim: int, layers: int, hidden: int) -> Shapes:
    """Names and shapes of what a snapshot has after captioning beside the others."""
    head = "decoder.classifier.cls.predictions."
    shapes: Shapes = {
        "decoder.embeddings.word_embeddings.weight": (words, dim),
        "decoder.embeddings.position_embeddings.weight": (context, dim),
        f"{head}bias": (words,),
        f"{head}decoder.weight": (words, dim),
    }
    shapes |= norm("decoder.embeddings.LayerNorm", dim) | norm(f"{head}transform.LayerNorm", dim)
    shapes |= linear(f"{head}transform.dense", dim, dim)
    for part, looks in (("encoder", ["slf_attn"]), ("decoder", ["slf_attn", "enc_attn"])):
        for number in range(layers):
            layer = f"decoder.{part}.layer.{number}."
            for look in looks:
                shapes |= attention(layer + look, dim)
            shapes |= linear(f"{layer}intermediate.dense", hidden, dim) | linear(
                f"{layer}output.dense", dim, hidden
            )
            shapes |= norm(f"{layer}output.LayerNorm", dim)
    return shapes


SMALL_ADAPT = adapt_layout(len(WORDS), 12, 8, 2, 64, 8, 5, 3)
SMALL_CAPTION = SMALL_ADAPT | decoder_layout(len(WORDS), 12, 8, 2, 24)


def is_half(name: str) -> bool:
    parts = name.split(".")
    matrix = name in ("clip.text_projection", "clip.visual.proj", "clip.visual.conv1.weight")
    return matrix or (parts[0] == "clip" and ("attn" in parts or "mlp" in parts))


def tie(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with the decoder's tables equal to CLIP's, where there is a decoder."""
    if "decoder.embeddings.LayerNorm.weight" in tensors:
        words = tensors["clip.token_embedding.weight"]
        tensors["decoder.embeddings.word_embeddings.weight"] = words
        tensors["decoder.classifier.cls.predictions.decoder.weight"] = words
        tensors["decoder.embeddings.position_embeddings.weight"] = tensors[
            "clip.positional_embedding"
        ].clone()
    return tensors


def fake(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Random tensors of these names and shapes, in the published types."""
    generator = torch.Generator().manual_seed(seed)
    return tie(
        {
            name: torch.randn(shape, generator=generator).to(
                torch.float16 if is_half(name) else torch.float32
            )
            for name, shape in shapes.items()
        }
    )


def vocabulary() -> Vocabulary:
    return Vocabulary(WORDS[:8])


def load(path: Path, **settings: int) -> CLIP4IDC:
    return CLIP4IDC.from_released(path, vocabulary(), plan=SMALL, **(SETTINGS | settings))


@pytest.fixture(params=[SMALL_ADAPT, SMALL_CAPTION], ids=["adapt", "caption"])
def tensors(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    return fake(request.param)


def test_a_snapshot_comes_back_as_it_was(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    stage: Stage = "caption" if len(tensors) == len(SMALL_CAPTION) else "adapt"
    torch.save(tensors, tmp_path / "pytorch_model.bin.3")
    system = load(tmp_path / "pytorch_model.bin.3")
    assert all(parameter.dtype == torch.float32 for parameter in system.parameters())
    assert not system.training
    system.to_released(tmp_path / "again.bin", stage=stage, half=True)
    again = torch.load(tmp_path / "again.bin", weights_only=True)
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype, name
        assert torch.equal(again[name], tensor), name


def test_every_tensor_goes_to_its_own_place(tmp_path: Path) -> None:
    tensors = fake(SMALL_CAPTION)
    torch.save(tensors, tmp_path / "model.bin")
    state = load(tmp_path / "model.bin").state_dict()
    theirs = released_names(load(tmp_path / "model.bin"), "caption")
    copies = {
        name for name in tensors if "embeddings.weight" in name or name.endswith("predictions.decoder.weight")
    }
    assert set(theirs) == set(state) and len(copies) == 3
    assert sorted(theirs.values()) == sorted(set(tensors) - copies)
    for ours, published in (
        ("pair.before_embedding", "clip.visual.bef_embedding"),
        ("pair.after_embedding", "clip.visual.aft_embedding"),
        ("pair.joint_positional_embedding", "clip.visual.joint_positional_embedding"),
        ("pair.ln_mid.bias", "clip.visual.ln_mid.bias"),
        ("captioner.embed_norm.weight", "decoder.embeddings.LayerNorm.weight"),
        ("captioner.encoder.1.attention.key.bias", "decoder.encoder.layer.1.slf_attn.att.key.bias"),
        ("captioner.encoder.0.attention_norm.bias", "decoder.encoder.layer.0.slf_attn.output.LayerNorm.bias"),
        ("captioner.encoder.0.output_norm.bias", "decoder.encoder.layer.0.output.LayerNorm.bias"),
        ("captioner.decoder.1.self_output.weight", "decoder.decoder.layer.1.slf_attn.output.dense.weight"),
        ("captioner.decoder.1.cross_output.weight", "decoder.decoder.layer.1.enc_attn.output.dense.weight"),
        (
            "captioner.decoder.0.cross_attention.value.weight",
            "decoder.decoder.layer.0.enc_attn.att.value.weight",
        ),
        ("captioner.decoder.0.hidden.weight", "decoder.decoder.layer.0.intermediate.dense.weight"),
        ("captioner.head.norm.weight", "decoder.classifier.cls.predictions.transform.LayerNorm.weight"),
        ("captioner.head.bias", "decoder.classifier.cls.predictions.bias"),
        (
            "clip.visual.transformer.resblocks.2.mlp.c_fc.weight",
            "clip.visual.transformer.resblocks.2.mlp.c_fc.weight",
        ),
    ):
        assert theirs[ours] == published
        assert torch.equal(state[ours], tensors[published].float()), ours


def test_the_file_tells_how_large_the_captioner_is(tmp_path: Path) -> None:
    torch.save(fake(SMALL_CAPTION), tmp_path / "model.bin")
    config = load(tmp_path / "model.bin").config
    assert (config.layers, config.hidden) == (2, 24)


def test_after_retrieval_the_captioner_is_fresh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(fake(SMALL_ADAPT), tmp_path / "model.bin")
    with caplog.at_level(logging.INFO):
        torch.manual_seed(1)
        one = load(tmp_path / "model.bin", layers=1, hidden=16)
    torch.manual_seed(2)
    other = load(tmp_path / "model.bin", layers=1, hidden=16)
    assert "freshly initialised" in caplog.text
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        drawn = name.startswith("captioner.") and name.endswith("weight") and first.ndim == 2
        assert torch.equal(first, second) != drawn, name


def test_precision_is_kept_unless_half_is_asked_for(tmp_path: Path) -> None:
    torch.save(fake(SMALL_CAPTION), tmp_path / "model.bin")
    system = load(tmp_path / "model.bin")
    with torch.no_grad():
        system.clip.visual.proj += 1e-6
    system.to_released(tmp_path / "again.bin")
    again = load(tmp_path / "again.bin")
    assert torch.equal(again.clip.visual.proj, system.clip.visual.proj)
    system.to_released(tmp_path / "half.bin", half=True)
    assert not torch.equal(load(tmp_path / "half.bin").clip.visual.proj, system.clip.visual.proj)


def test_older_names_are_understood(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    assert (old.keys() == tensors.keys()) == (len(tensors) == len(SMALL_ADAPT))
    torch.save(old, tmp_path / "old.bin")
    torch.save(tensors, tmp_path / "new.bin")
    torch.manual_seed(0)
    one = load(tmp_path / "old.bin").state_dict()
    torch.manual_seed(0)
    other = load(tmp_path / "new.bin").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)


def without(tensors: dict[str, Tensor]) -> None:
    del tensors["clip.visual.ln_mid.bias"]


def with_another(tensors: dict[str, Tensor]) -> None:
    tensors["clip.visual.conv2.weight"] = torch.zeros(2)


def turned(tensors: dict[str, Tensor]) -> None:
    tensors["clip.visual.proj"] = tensors["clip.visual.proj"].T.clone()


def untied_words(tensors: dict[str, Tensor]) -> None:
    name = "decoder.classifier.cls.predictions.decoder.weight"
    tensors[name] = tensors[name] + torch.eye(*tensors[name].shape)


def untied_positions(tensors: dict[str, Tensor]) -> None:
    name = "decoder.embeddings.position_embeddings.weight"
    tensors[name] = tensors[name] * 2


def a_layer_fewer(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("decoder.decoder.layer.1.")]:
        del tensors[name]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without, ["has 172 tensors", "has 173", "it lacks clip.visual.ln_mid.bias"]),
        (with_another, ["it has the unknown clip.visual.conv2.weight"]),
        (turned, ["of another shape are clip.visual.proj (8, 64) instead of (64, 8)"]),
        (untied_words, ["predictions.decoder.weight differs from clip.token_embedding.weight"]),
        (untied_positions, ["position_embeddings.weight differs from clip.positional_embedding"]),
        (a_layer_fewer, ["it lacks decoder.decoder.layer.1.enc_attn.att.key.bias", "and 21 more"]),
    ],
)
def test_what_differs_is_named(
    damage: Callable[[dict[str, Tensor]], None], said: list[str], tmp_path: Path
) -> None:
    tensors = fake(SMALL_CAPTION)
    damage(tensors)
    torch.save(tensors, tmp_path / "model.bin")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "model.bin")
    for part in (*said, "model.bin"):
        assert part in str(caught.value)


class Trap:
    """Runs a command where it is unpickled without care."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def no_file(path: Path) -> None:
    assert not path.exists()


def text(path: Path) -> None:
    path.write_text("not a snapshot", encoding="utf-8")


def empty(path: Path) -> None:
    path.touch()


def cut(path: Path) -> None:
    torch.save(fake(SMALL_ADAPT), path)
    path.write_bytes(path.read_bytes()[:-2000])


def another_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


def a_list(path: Path) -> None:
    torch.save([torch.zeros(2)], path)


def wrapped(path: Path) -> None:
    torch.save({"state_dict": fake(SMALL_ADAPT), "epoch": 3}, path)


def a_trap(path: Path) -> None:
    torch.save({"clip.visual.proj": Trap(path.with_name("sprung"))}, path)


def an_old_trap(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.with_name("sprung")), protocol=2))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_file, "model.bin is missing, .* give its path"),
        (Path.mkdir, "model.bin is a folder, .* --snapshot FOLDER"),
        (text, "cannot be read"),
        (empty, "cannot be read"),
        (cut, "cannot be read"),
        (another_archive, "cannot be read"),
        (a_list, "a dictionary of tensors alone"),
        (wrapped, "a dictionary of tensors alone"),
        (a_trap, "cannot be read"),
        (an_old_trap, "cannot be read"),
    ],
)
def test_other_files_are_refused(make: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    make(tmp_path / "model.bin")
    with pytest.raises(UserError, match=said):
        load(tmp_path / "model.bin")
    assert not (tmp_path / "sprung").exists()


def test_the_published_size(tmp_path: Path) -> None:
    adapt = adapt_layout(49408, 77, 512, 12, 768, 32, 50, 12)
    decoder = decoder_layout(49408, 77, 512, 3, 2048)
    assert len(adapt) == 307 and sum(map(math.prod, adapt.values())) == 151_357_185
    assert len(adapt | decoder) == 443
    # Every tensor is one number that is all its own, spread out: the file stays small.
    tensors = {
        name: torch.tensor(number / 1024, dtype=torch.float16 if is_half(name) else torch.float32).expand(
            shape
        )
        for number, (name, shape) in enumerate((adapt | decoder).items())
    }
    torch.save(tie(tensors), tmp_path / "model.bin")
    del tensors
    numbers = {name: number for number, name in enumerate(adapt | decoder)}
    system = CLIP4IDC.from_released(tmp_path / "model.bin", vocabulary())
    assert sum(parameter.numel() for parameter in system.parameters()) == 173_740_545
    state = system.state_dict()
    for ours, theirs in released_names(system, "caption").items():
        low, high = state[ours].aminmax()
        assert low == high == numbers[theirs] / 1024, theirs
    after_retrieval = released_names(system, "adapt")
    assert {theirs: tuple(state[ours].shape) for ours, theirs in after_retrieval.items()} == adapt
