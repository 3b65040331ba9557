"""ResNet-101's features against torchvision's own network, and the errors of its weights."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from idc.backbones import Backbone, load_backbone
from idc.errors import UserError


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A full network with random weights; running statistics that are not the neutral ones."""
    from torchvision.models import resnet101

    torch.manual_seed(0)
    with torch.device("meta"):
        model = resnet101().eval()
    model.to_empty(device="cpu")
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            tensor.uniform_(-1, 1).mul_((6 / tensor[0].numel()) ** 0.5)
        elif name.endswith("num_batches_tracked"):
            tensor.zero_()
        elif name.endswith(("weight", "running_var")):
            tensor.uniform_(0.4, 1.2)
        else:
            tensor.normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def weights(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet101.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def backbone(weights: Path) -> Backbone:
    return load_backbone("resnet101", weights)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8))


def test_equals_torchvision_up_to_layer3(
    backbone: Backbone, network: torch.nn.Module, image: Image.Image
) -> None:
    kept: list[torch.Tensor] = []
    handle = network.get_submodule("layer3").register_forward_hook(lambda *event: kept.append(event[2]))
    inputs = torch.stack([backbone.preprocess(image), backbone.preprocess(image.rotate(90))])
    with torch.inference_mode():
        network(inputs)
        grids = backbone(inputs)
        single = backbone(inputs[1:])
    handle.remove()
    assert grids.shape == (2, *backbone.grid_shape) == (2, 1024, 14, 14) and backbone.name == "resnet101"
    torch.testing.assert_close(grids, kept[0], rtol=0, atol=0)
    torch.testing.assert_close(single[0], grids[1], rtol=0, atol=1e-5 * float(grids.abs().max()))


def test_preprocessing(backbone: Backbone, image: Image.Image) -> None:
    """Squashed to 224 x 224 whatever the aspect, bicubic; ImageNet's mean and deviation of each channel."""
    pixels = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found = backbone.preprocess(image)
    assert found.shape == (3, 224, 224) and found.dtype == torch.float32
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=2e-6)
    torch.testing.assert_close(backbone.preprocess(image.convert("RGBA")), found)


def test_frozen_and_in_evaluation_mode(backbone: Backbone) -> None:
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
    assert not any(tensor.is_meta for tensor in backbone.state_dict().values())
    assert not any("layer4" in name or "fc" in name for name in backbone.state_dict())


def test_loading_leaves_the_random_numbers_alone(weights: Path) -> None:
    before = torch.random.get_rng_state()
    load_backbone("resnet101", weights)
    assert torch.equal(before, torch.random.get_rng_state())


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of a weights file was run')",))


FOREIGN = {"conv1.weight": torch.zeros(64, 3, 7, 7)}
BAD: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "page": (lambda path, _: path.write_bytes(b"<html>404</html>"), "is not a file of weights"),
    "empty": (lambda path, _: path.write_bytes(b""), "is not a file of weights"),
    "cut": (lambda path, whole: path.write_bytes(whole.read_bytes()[:1_000_000]), "is not a file of weights"),
    "code": (lambda path, _: path.write_bytes(pickle.dumps(Bomb(), 2)), "is not a file of weights"),
    "noise": (lambda path, _: path.write_bytes(b"\x80\x02}q\x00(" + bytes(range(256))), "is not a file of weights"),
    "list": (lambda path, _: torch.save([1, 2], path), "does not hold a state dict"),
    "other": (lambda path, _: torch.save(FOREIGN, path), "does not hold torchvision's ResNet-101 weights .*Missing key"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_no_weights(weights: Path, tmp_path: Path, kind: str) -> None:
    make, message = BAD[kind]
    path = tmp_path / "bad.pth"
    make(path, weights)
    with pytest.raises(UserError, match=message + r".*resnet101-63fe2227\.pth"):
        load_backbone("resnet101", path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no ResNet-101 weights at .*none\.pth"):
        load_backbone("resnet101", tmp_path / "none.pth")


@pytest.mark.parametrize(
    "error",
    [
        URLError("Name or service not known"),
        ConnectionResetError("reset"),
        RuntimeError('invalid hash value (expected "63fe2227", got "1")'),
    ],
)
def test_without_internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(UserError, match=r"could not be downloaded .*--weights resnet101-63fe2227\.pth"):
        load_backbone("resnet101")


def test_the_default_weights_are_the_first_imagenet_ones(
    monkeypatch: pytest.MonkeyPatch, network: torch.nn.Module
) -> None:
    asked: list[str] = []

    def answer(url: str, **options: object) -> dict[str, torch.Tensor]:
        asked.append(url)
        return network.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", answer)
    load_backbone("resnet101")
    assert asked == ["https://download.pytorch.org/models/resnet101-63fe2227.pth"]


def test_no_such_backbone() -> None:
    with pytest.raises(UserError, match="no backbone “vgg”; choose one of rendered, resnet101, pixels96"):
        load_backbone("vgg")


def test_half_precision_grids_point_the_same_way(backbone: Backbone) -> None:
    """Folding alone changes rounding only; bfloat16 keeps the direction of every grid."""
    from idc.backbones.resnet101 import fold_normalisation

    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    exact = backbone(images)
    folded = copy.deepcopy(backbone)
    fold_normalisation(folded)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(images), exact, rtol=1e-3, atol=1e-4 * exact.abs().max().item())
    half = backbone.in_bfloat16()
    grids = half(images)
    assert grids.dtype == torch.float32 and grids.is_contiguous()
    assert not torch.equal(grids, exact)
    cosine = torch.nn.functional.cosine_similarity(grids.flatten(1), exact.flatten(1))
    assert cosine.min() > 0.9995
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.modules())  # left as it was


def test_a_store_says_its_precision(backbone: Backbone) -> None:
    from idc.data.features import describe

    assert "precision" not in describe(backbone)
    half = describe(backbone.in_bfloat16())
    assert half["precision"] == "bf16"
    assert half["weights"] != describe(backbone)["weights"]


def test_the_rendered_backbone_has_no_half_precision() -> None:
    with pytest.raises(UserError, match="rendered has no bf16"):
        load_backbone("rendered").in_bfloat16()
