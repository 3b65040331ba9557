"""Run a backbone over all pictures of a data set and keep the grids.

    python data_scripts/extract_features.py --root data/rendered --backbone rendered
    python data_scripts/extract_features.py --root data/clevr_change --backbone resnet101 --device cuda

Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.backbones import load_backbone
from idc.data.features import device_of, extract_flat, extract_npy
from idc.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--backbone", choices=("rendered", "resnet101"), default="rendered")
    parser.add_argument("--weights", type=Path, help="a local weights file instead of the default ones")
    parser.add_argument(
        "--store",
        choices=("flat", "npy"),
        default="flat",
        help="one flat fp16 file per split, or fp32 .npy files",
    )
    parser.add_argument("--out", type=Path, help="default: ROOT/features_BACKBONE")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, mps …")
    arguments = parser.parse_args()
    device = device_of(arguments.device)
    backbone = load_backbone(arguments.backbone, arguments.weights)
    extract = extract_flat if arguments.store == "flat" else extract_npy
    out = arguments.out or arguments.root / f"features_{arguments.backbone}"
    extract(arguments.root, out, backbone, arguments.batch_size, device)


if __name__ == "__main__":
    main()
