"""Render a world of image triples in the exact layout of CLEVR-Change.

    python data_scripts/render_world.py --out data/rendered --scenes 1500 --seed 1

Interrupted, the same command continues. The same settings give the same files with any number of workers.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from idc.errors import UserError, continuing_command
from idc.world.layout import Settings, render_world, split_sizes
from idc.world.render import RAW_SAMPLES, SAMPLES, denoiser_available


def width_and_height(text: str) -> tuple[int, int]:
    """(160, 120) for "160x120"."""
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        width, height = 0, 0
    if min(width, height) < 16 or max(width, height) > 4096:
        raise UserError(f"--size {text} must be two numbers from 16 to 4096 like 160x120.")
    return width, height


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the world")
    parser.add_argument("--scenes", type=int, required=True, help="how many triples")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another world (0)")
    parser.add_argument("--size", default="160x120", metavar="WxH", help="pixels (160x120)")
    parser.add_argument("--samples", type=int, help=f"per pixel ({SAMPLES} denoised, {RAW_SAMPLES} raw)")
    parser.add_argument("--raw", action="store_true", help="do not denoise")
    parser.add_argument(
        "--splits", metavar="TRAIN,VAL,TEST", help="scenes in each, or shares that add up to 1 (0.8,0.1,0.1)"
    )
    parser.add_argument("--masks", action="store_true", help="write instance masks, too")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes on this machine")
    parser.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, instead of processes here")
    arguments = parser.parse_args()
    if arguments.scenes < 1 or arguments.workers < 1 or arguments.seed < 0:
        raise UserError("--scenes and --workers must be at least 1 and --seed at least 0.")
    if arguments.samples is not None and arguments.samples < 1:
        raise UserError("--samples must be at least 1.")

    denoised = denoiser_available() and not arguments.raw
    if not denoised and not arguments.raw:
        print(
            f"mitsuba-oidn is not installed: rendering raw, with {arguments.samples or RAW_SAMPLES} samples"
        )
    settings = Settings(
        seed=arguments.seed,
        size=width_and_height(arguments.size),
        samples=arguments.samples or (SAMPLES if denoised else RAW_SAMPLES),
        denoised=denoised,
        masks=arguments.masks,
    )
    render_world(
        arguments.out,
        arguments.scenes,
        split_sizes(arguments.splits, arguments.scenes),
        settings,
        workers=arguments.workers,
        dask=arguments.dask,
    )


if __name__ == "__main__":
    main()
