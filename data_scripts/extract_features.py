"""Run a backbone over all pictures of a data set and keep the grids.

    python data_scripts/extract_features.py --root data/rendered --backbone rendered
    python data_scripts/extract_features.py --root data/clevr_change --backbone resnet101 --device cuda
    python data_scripts/extract_features.py --root data/rendered --backbone pixels96

The last one keeps the pictures themselves, squashed, for systems with a network of their own.

Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.backbones import BACKBONES, load_backbone
from idc.data import LISTED, kind_of_folder
from idc.data.features import check_agreement, device_of, extract_flat, extract_npy
from idc.errors import UserError, continuing_command


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--kind", choices=("clevr_change", *LISTED), help="seen from the folder's listings")
    parser.add_argument("--backbone", choices=BACKBONES, default="rendered")
    parser.add_argument("--weights", type=Path, help="a local weights file instead of the default ones")
    parser.add_argument(
        "--store",
        choices=("flat", "npy"),
        default="flat",
        help="one flat fp16 file per split, or fp32 .npy files",
    )
    parser.add_argument("--out", type=Path, help="default: ROOT/features_BACKBONE")
    parser.add_argument(
        "--batch-size",
        type=int,
        help="pictures at once (8 on a CPU, so that all stays in its cache; else 32)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="float32",
        help="bf16: ResNet-101 several times faster on processors that have it, refused unless grids have a cosine of "
        "0.9995 to those of float32 (the default, which is how published features were made)",
    )
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, mps …")
    arguments = parser.parse_args()
    kind = arguments.kind or kind_of_folder(arguments.root)
    if kind != "clevr_change" and arguments.store == "npy":
        raise UserError(f"--store npy is the layout of CLEVR-Change; for {kind} take --store flat.")
    device = device_of(arguments.device)
    backbone = load_backbone(arguments.backbone, arguments.weights)
    if arguments.precision == "bf16":
        half = backbone.in_bfloat16()
        cosine = check_agreement(backbone, half, arguments.root, kind)
        print(
            f"bf16: on the first pictures, grids have a cosine of at least {cosine:.5f} to those in float32"
        )
        backbone = half
    out = arguments.out or arguments.root / f"features_{arguments.backbone}"
    batch_size = arguments.batch_size
    if batch_size is None:
        batch_size = 8 if device.type == "cpu" else 32
    if arguments.store == "flat":
        extract_flat(arguments.root, out, backbone, batch_size, device, kind)
    else:
        extract_npy(arguments.root, out, backbone, batch_size, device)


if __name__ == "__main__":
    main()
