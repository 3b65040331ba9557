"""Do torch and torchvision come from one build?   python -m idc.backbones.versions"""

from __future__ import annotations

import importlib
import importlib.metadata

from idc.errors import UserError, command

PINS = "torch==2.13.0 torchvision==0.28.0"


def check_torchvision() -> None:
    """Import torchvision, which registers its compiled operators with torch.

    Raises UserError when torchvision is missing, or when it clashes with torch, and then names both versions
    (a CPU-only torch beside a torchvision that was compiled against the CUDA build fails with
    "operator torchvision::nms does not exist").
    """
    import torch

    remedy = (
        f"Type: uv pip install --reinstall {PINS}. All but the ResNet-101 features works without torchvision."
    )
    try:
        found = importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(f"torchvision is not installed beside torch {torch.__version__}. {remedy}") from error
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, ImportError, OSError, AttributeError) as error:
        raise UserError(
            f"torch {torch.__version__} and torchvision {found} do not come from one build: {error}. {remedy}"
        ) from error


@command
def main() -> None:
    check_torchvision()
    print("torch and torchvision fit together")


if __name__ == "__main__":
    main()
