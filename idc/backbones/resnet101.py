"""ResNet-101 up to `layer3`, ImageNet weights: the features of the published systems.

He et al. 2016; torchvision's model. Picture squashed to 224 x 224 (bicubic, both sides forced), scaled to
[0, 1], normalised with ImageNet's mean and standard deviation -> grid (1024, 14, 14).

The released extraction script differs in two small ways: it divides the blue channel by 0.224 instead of
0.225, and it resizes with OpenCV, whose bicubic filter does not smooth when it shrinks. A model trained on
the published features should be tested on the published features.
"""

from __future__ import annotations

import copy
import pickle
import struct
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from idc.backbones.backbone import Backbone
from idc.backbones.versions import check_torchvision
from idc.errors import UserError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SIZE = 224
# What torch.load raises, depending on where a file that holds no weights stops making sense to it.
UNREADABLE = (
    RuntimeError, pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, struct.error
)  # fmt: skip
FILE = "resnet101-63fe2227.pth"  # IMAGENET1K_V1


class ResNet101(Backbone):
    """The network without `layer4`, pooling and classifier."""

    name = "resnet101"
    grid_shape = (1024, 14, 14)

    def __init__(self, network: nn.Module):
        super().__init__()
        stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
        self.net = nn.Sequential(*(getattr(network, stage) for stage in stages))

    def preprocess(self, image: Image.Image) -> Float[Tensor, "3 h w"]:
        squashed = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(squashed)).permute(2, 0, 1).float() / 255
        return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C H W"]:
        return self.net(images)

    def in_bfloat16(self) -> HalfResNet101:
        """Several times faster where bf16 is in hardware; how well grids agree depends on the weights."""
        return HalfResNet101(self).eval().requires_grad_(False)


class HalfResNet101(ResNet101):
    """Batch normalisation folded into the convolutions, channels last, bfloat16."""

    precision = "bf16"

    def __init__(self, exact: ResNet101):
        nn.Module.__init__(self)
        self.net = copy.deepcopy(exact.net)
        fold_normalisation(self.net)
        self.net.to(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C H W"]:
        images = images.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
        return self.net(images).float().contiguous()


def fold_normalisation(module: nn.Module) -> None:
    """Replace every convolution that a batch normalisation follows by one that does both."""
    for (name, child), (after, norm) in pairwise(list(module.named_children())):
        if isinstance(child, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, norm))
            setattr(module, after, nn.Identity())
    for child in module.children():
        fold_normalisation(child)


def load(weights: str | Path | None = None) -> ResNet101:
    """The frozen network. weights: a local file with torchvision's state dict, None for torchvision's loader.

    The weights are IMAGENET1K_V1, those of `pretrained=True` in the days of the published features.
    Raises UserError when torchvision does not fit torch, when the weights cannot be had, and when a file
    does not hold them (it is read without unpickling code).
    """
    check_torchvision()
    from torchvision.models import resnet101

    state = downloaded() if weights is None else read_weights(Path(weights))
    with torch.device("meta"):  # no random initialisation that the weights overwrite
        network = resnet101()
    try:
        network.load_state_dict(
            {
                name: tensor.float() if tensor.is_floating_point() else tensor
                for name, tensor in state.items()
            },
            assign=True,
        )
    except (RuntimeError, AttributeError, TypeError) as error:
        first = " ".join(str(error).split())[:200]
        raise UserError(
            f"{weights} does not hold torchvision's ResNet-101 weights ({first}). Give {FILE}, or leave --weights out."
        ) from error
    return ResNet101(network).eval().requires_grad_(False)


def downloaded() -> dict[str, Tensor]:
    """The state dict from torchvision's own loader, which keeps it in torch's cache folder."""
    from torchvision.models import ResNet101_Weights

    try:
        return dict(ResNet101_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True))
    except (OSError, HTTPException, RuntimeError) as error:  # no net, a server's no, a file cut short
        raise UserError(
            f"the ImageNet weights of ResNet-101 could not be downloaded ({error}). On a machine with internet, fetch "
            f"https://download.pytorch.org/models/{FILE} once and name it: --weights {FILE}."
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a local file."""
    if not path.is_file():
        raise UserError(f"there are no ResNet-101 weights at {path}. Name a {FILE}, or leave --weights out.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, OSError) as error:
        first = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is not a file of weights, or not whole ({first}). Download {FILE} again and name it."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise UserError(f"{path} does not hold a state dict of ResNet-101. Name a {FILE}.")
    return state
