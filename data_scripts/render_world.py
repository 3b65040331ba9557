"""Render a world of image triples in the exact layout of CLEVR-Change.

    python data_scripts/render_world.py --out data/rendered --scenes 1500 --seed 1

Interrupted, the same command continues. The same settings give the same files with any number of workers.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from idc.errors import UserError, command
from idc.world.layout import Settings, render_world
from idc.world.render import RAW_SAMPLES, SAMPLES, denoiser_available


def whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.replace("x", ",").split(","))


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the world")
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--size", type=whole_numbers, default=(160, 120), metavar="WxH", help="pixels (160x120)"
    )
    parser.add_argument("--samples", type=int, help=f"per pixel ({SAMPLES} denoised, {RAW_SAMPLES} raw)")
    parser.add_argument("--raw", action="store_true", help="do not denoise")
    parser.add_argument(
        "--splits", type=whole_numbers, metavar="TRAIN,VAL,TEST", help="scenes in each (8 : 1 : 1)"
    )
    parser.add_argument("--masks", action="store_true", help="write instance masks, too")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes on this machine")
    parser.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, instead of processes here")
    arguments = parser.parse_args()
    if arguments.scenes < 1 or arguments.workers < 1 or len(arguments.size) != 2:
        raise UserError("--scenes and --workers must be at least 1 and --size two numbers like 160x120.")

    denoised = denoiser_available() and not arguments.raw
    if not denoised and not arguments.raw:
        print("mitsuba-oidn is not installed: rendering without a denoiser, with more samples per pixel")
    tenth = arguments.scenes // 10
    settings = Settings(
        seed=arguments.seed,
        size=arguments.size,
        samples=arguments.samples or (SAMPLES if denoised else RAW_SAMPLES),
        denoised=denoised,
        masks=arguments.masks,
    )
    render_world(
        arguments.out,
        arguments.scenes,
        list(arguments.splits or (arguments.scenes - 2 * tenth, tenth, tenth)),
        settings,
        workers=arguments.workers,
        dask=arguments.dask,
    )


if __name__ == "__main__":
    main()
