"""CLIP from files: what is read, what is refused, and that pictures and sentences go in as CLIP wants them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.systems.clip4idc import CLIP4IDC, CLIP4IDCConfig
from idc.systems.clip4idc.clip import Plan, architecture_plan, load_clip, normalised
from tests.systems.clip4idc.tiny import OWN, SETTINGS, SIZE, WORDS, plan, write_clip

BPE: dict[str, Any] = {  # openai's layout tells the numbers of heads by the widths: one for 64
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 2},
    "text_cfg": {"context_length": 12, "vocab_size": 300, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture
def tiny_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An architecture that open_clip then knows by name."""
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: BPE if name == "tiny" else None)
    return "tiny"


def equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_small_clip_comes_with_its_plan(tmp_path: Path) -> None:
    made = plan()
    clip = write_clip(tmp_path / "clip.safetensors", made)
    again, its_plan = load_clip(str(tmp_path / "clip.safetensors"))
    assert its_plan == made
    assert equal(clip.half().float(), again)
    assert all(parameter.dtype == torch.float32 for parameter in again.parameters())


def test_a_system_is_built_from_it(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.safetensors", plan())
    config = CLIP4IDCConfig(**(SETTINGS | {"clip": str(tmp_path / "clip.safetensors")}))  # type: ignore[arg-type]
    system = CLIP4IDC.build(config, Vocabulary(WORDS), (3, SIZE, SIZE), 7)
    assert system.plan.words == OWN
    description = json.loads(json.dumps(system.description()))  # as in a snapshot
    (tmp_path / "clip.safetensors").unlink()
    again = CLIP4IDC.rebuild(config, Vocabulary(WORDS), (3, SIZE, SIZE), 7, description)
    again.load_state_dict(system.state_dict())
    assert again.plan == system.plan


@pytest.mark.parametrize("layout", ["plain", "safetensors", "wrapped", "openai", "archive"])
def test_weights_of_a_named_architecture(layout: str, tmp_path: Path, tiny_architecture: str) -> None:
    torch.manual_seed(0)
    clip: Any = Plan(BPE).build().eval()
    open_clip.convert_weights_to_fp16(clip)  # so that no layout rounds anything
    clip.float()
    path = tmp_path / ("clip.safetensors" if layout == "safetensors" else "clip.pt")
    if layout == "safetensors":
        save_file(clip.state_dict(), path)
    elif layout == "archive":
        clip.attn_mask = clip._buffers.pop("attn_mask")  # a constant, as in the published archive
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is old, and so is that archive
            inputs = (torch.zeros(1, 3, 16, 16), torch.ones(1, 12, dtype=torch.long))
            torch.jit.trace(clip, inputs).save(path)
    else:
        torch.save({"state_dict": clip.state_dict()} if layout == "wrapped" else clip.state_dict(), path)
    openai = layout in ("openai", "archive")
    again, its_plan = load_clip(f"openai:{path}" if openai else str(path), tiny_architecture)
    assert its_plan == Plan(BPE)
    assert equal(clip, again)


def test_openais_weights_from_the_hub_need_their_activation() -> None:
    with pytest.raises(
        UserError, match=r"trained with QuickGELU.* set model\.architecture=ViT-B-32-quickgelu\."
    ):
        load_clip("hub:openai", "ViT-B-32")


def test_the_hub_is_asked_for_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def create_model(name: str, pretrained: str, precision: str) -> nn.Module:
        asked.extend([name, pretrained, precision])
        return nn.Identity()

    monkeypatch.setattr(open_clip, "create_model", create_model)
    clip, its_plan = load_clip("hub:openai", "ViT-B-32-quickgelu")
    assert isinstance(clip, nn.Identity)
    assert asked == ["ViT-B-32-quickgelu", "openai", "fp32"]
    assert its_plan.config["vision_cfg"]["patch_size"] == 32 and its_plan.origin == "hub:openai"

    def offline(*_: Any, **__: Any) -> nn.Module:
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(UserError, match=r"hub:openai cannot be read: no network"):
        load_clip("hub:openai", "ViT-B-32-quickgelu")


@pytest.mark.parametrize("source", ["nowhere.safetensors", "openai:nowhere.pt"])
def test_a_missing_file_says_how_to_get_one(source: str) -> None:
    with pytest.raises(UserError, match=r"there is no CLIP at nowhere.*train_clip\.py"):
        load_clip(source, "ViT-B-32-quickgelu")


def test_broken_files_are_refused(tmp_path: Path, tiny_architecture: str) -> None:
    for name, content in (("a.safetensors", b"nonsense"), ("b.pt", b"nonsense"), ("c.pt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            load_clip(str(tmp_path / name), tiny_architecture)
    torch.save({"visual.proj": torch.zeros(2, 2)}, tmp_path / "d.pt")
    for source in (f"{tmp_path / 'd.pt'}", f"openai:{tmp_path / 'd.pt'}"):
        with pytest.raises(UserError, match="cannot be read"):
            load_clip(source, tiny_architecture)
    save_file(
        {"a": torch.zeros(1)},
        tmp_path / "e.safetensors",
        {"config": json.dumps(plan().config), "words": "[]"},
    )
    with pytest.raises(UserError, match="cannot be read"):
        load_clip(str(tmp_path / "e.safetensors"))


def test_weights_without_a_plan_need_an_architecture(tmp_path: Path) -> None:
    save_file(Plan(BPE).build().state_dict(), tmp_path / "clip.safetensors")
    for name in (None, "ViT-nonsense"):
        with pytest.raises(UserError, match=f"model.architecture is {name!r}"):
            load_clip(str(tmp_path / "clip.safetensors"), name)


def test_openai_weights_need_the_activation_they_were_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {name: value for name, value in BPE.items() if name != "quick_gelu"}
    monkeypatch.setattr(open_clip, "get_model_config", {"tiny": slow, "tiny-quickgelu": BPE}.get)
    torch.save(Plan(BPE).build().state_dict(), tmp_path / "clip.pt")
    with pytest.raises(UserError, match=r"QuickGELU.*set model\.architecture=tiny-quickgelu\."):
        load_clip(f"openai:{tmp_path / 'clip.pt'}", "tiny")
    load_clip(f"openai:{tmp_path / 'clip.pt'}", "tiny-quickgelu")
    load_clip(str(tmp_path / "clip.pt"), "tiny")  # of whoever trained it with another


def test_code_in_a_file_is_not_run(tmp_path: Path, tiny_architecture: str) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "caught",))

    torch.save({"visual.proj": Trap()}, tmp_path / "clip.pt")
    for source in (f"{tmp_path / 'clip.pt'}", f"openai:{tmp_path / 'clip.pt'}"):
        with pytest.raises(UserError, match="cannot be read"):
            load_clip(source, tiny_architecture)
    assert not (tmp_path / "caught").exists()


def test_a_plan_that_open_clip_does_not_know_is_refused() -> None:
    with pytest.raises(UserError, match="builds no CLIP"):
        Plan({"embed_dim": 8, "eyes": 2}).build()
    assert architecture_plan("ViT-B-32-quickgelu").config["quick_gelu"] is True


def test_words_and_weights_must_belong_together(tmp_path: Path) -> None:
    made = plan()
    fewer = Plan(made.config, OWN[:-1])
    elsewhere = Plan(made.config | {"text_cfg": made.config["text_cfg"] | {"eos_id": 2}}, OWN)
    for wrong in (fewer, elsewhere):
        with pytest.raises(UserError, match="belong together"):
            CLIP4IDC(CLIP4IDCConfig(**SETTINGS), Vocabulary(WORDS), (3, SIZE, SIZE), wrong.build(), wrong)  # type: ignore[arg-type]


def test_pictures_are_normalised_as_open_clip_does() -> None:
    from torchvision.transforms import Normalize

    pictures = torch.rand(2, 3, 4, 4)
    mean, std = open_clip.constants.OPENAI_DATASET_MEAN, open_clip.constants.OPENAI_DATASET_STD
    assert torch.allclose(normalised(pictures), Normalize(mean, std)(pictures))
