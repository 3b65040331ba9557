"""ResNet-101 features up to layer3: torchvision in float32, as the released script uses it, against folded bfloat16.

The network has random weights with the statistics of its own inputs. Time does not depend on what a network has learned;
the cosine does: random residual branches amplify every rounding from block to block, in any precision. So branches are
scaled to a tenth here, the cosine at a quarter is reported, too, and extraction in bf16 looks at the cosine of the real
weights on the first pictures before it begins.

The released script computes 128 pictures at once (64 here), extract_features.py on a CPU 8. That is a part of the gain,
because what 8 pictures need stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet101
from torchvision.models.resnet import Bottleneck

from benchmarks.harness import Case, Options
from idc.backbones.resnet101 import ResNet101

GOAL = "P7"
TITLE = "ResNet-101 features"
AT_ONCE = {"torchvision": 128, "bfloat16": 8}  # pictures


@cache
def exact(branch: float = 0.1) -> ResNet101:
    """branch: the scale of the residual branches."""
    torch.manual_seed(0)
    network = resnet101()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain averages
    for block in network.modules():
        if isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, branch)
    with torch.no_grad():
        network.train()(pictures(8, 96))
    return ResNet101(network).eval().requires_grad_(False)


def pictures(count: int, size: int = 224) -> Tensor:
    """Smooth random pictures, about normalised."""
    generator = torch.Generator().manual_seed(count)
    coarse = torch.randn(count, 3, 12, 12, generator=generator)
    fine = torch.randn(count, 3, size, size, generator=generator)
    return nn.functional.interpolate(coarse, (size, size), mode="bicubic") + 0.1 * fine


@torch.inference_mode()
def cosine(network: ResNet101, images: Tensor) -> float:
    one, other = network(images).flatten(1), network.in_bfloat16()(images).flatten(1)
    return nn.functional.cosine_similarity(one, other).min().item()


def check(options: Options) -> list[str]:
    lines = []
    for count, size in ((3, 224), (2, 160), (5, 97)):
        found = cosine(exact(), pictures(count, size))
        assert found >= 0.9995, found
        lines.append(f"{count} pictures of {size} pixels: cosine at least {found:.5f} each")
    lines.append(f"with residual branches of a quarter: {cosine(exact(0.25), pictures(3)):.5f}")
    return lines


def prepare(variant: str, size: dict[str, Any], options: Options) -> Callable[[], object]:
    batches = pictures(size["pictures"]).split(AT_ONCE[variant])
    if variant == "torchvision":
        network = nn.Sequential(*exact().net)
        return torch.no_grad()(lambda: [network(batch) for batch in batches])
    half = exact().in_bfloat16()
    return torch.inference_mode()(lambda: [half(batch) for batch in batches])


def case(pictures: int, threads: int, goal: float | None) -> Case:
    measure = "cpu_s" if threads == 1 else "wall_s"
    name = f"{pictures} pictures, {threads} thread{'s' * (threads > 1)}"
    return Case(name, "torchvision", "bfloat16", {"pictures": pictures}, {measure: goal}, threads, 1)


CASES = {"small": [case(4, 1, None)], "full": [case(64, 1, 4.0), case(64, 2, 4.0)]}
