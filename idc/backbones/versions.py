"""Do torch and torchvision come from one build?   python -m idc.backbones.versions"""

from __future__ import annotations

import importlib.metadata

from idc.errors import UserError, command


def check_torchvision() -> None:
    """Import torchvision, which registers its compiled operators with torch.

    Raises UserError that names both versions when they clash (a CPU-only torch beside a torchvision that
    was compiled against the CUDA build fails with "operator torchvision::nms does not exist").
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except (RuntimeError, ImportError, OSError) as error:
        try:
            found = importlib.metadata.version("torchvision")
        except importlib.metadata.PackageNotFoundError:
            found = "(not installed)"
        raise UserError(
            f"torch {torch.__version__} and torchvision {found} do not come from one build: {error}. "
            "Features of ResNet-101 need both. Type: .venv/bin/python -m uv pip install --reinstall "
            "torch==2.13.0 torchvision==0.28.0 (with uv; plain pip may choose builds that do not fit). "
            "Everything else in the kit runs without torchvision."
        ) from error


@command
def main() -> None:
    check_torchvision()
    print("torch and torchvision fit together")


if __name__ == "__main__":
    main()
