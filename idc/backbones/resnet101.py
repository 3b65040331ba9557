"""ResNet-101 up to `layer3`, ImageNet weights: the features of the published systems.

He et al. 2016; torchvision's model. Picture squashed to 224 x 224 (bicubic, both sides forced), scaled to
[0, 1], normalised with ImageNet's mean and standard deviation -> grid (1024, 14, 14).
"""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from idc.backbones.backbone import Backbone
from idc.backbones.versions import check_torchvision
from idc.errors import UserError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SIZE = 224


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


def load(weights: str | Path | None = None) -> ResNet101:
    """The frozen network. weights: a local file with torchvision's state dict, None for torchvision's loader.

    The weights are IMAGENET1K_V1, those of `pretrained=True` in the days of the published features.
    """
    check_torchvision()
    from torchvision.models import ResNet101_Weights, resnet101

    network = resnet101()
    try:
        if weights is None:
            state = ResNet101_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        elif Path(weights).is_file():
            state = torch.load(weights, map_location="cpu", weights_only=True)
        else:
            raise UserError(f"there are no ResNet-101 weights at {weights}.")
        network.load_state_dict(state)
    except (URLError, ConnectionError, TimeoutError) as error:
        raise UserError(
            f"the ImageNet weights of ResNet-101 could not be downloaded ({error}). On a machine with internet, "
            "fetch resnet101-63fe2227.pth once and name it: --weights resnet101-63fe2227.pth."
        ) from error
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(f"{weights} does not hold torchvision's ResNet-101 weights: {error}") from error
    return ResNet101(network).eval().requires_grad_(False)
