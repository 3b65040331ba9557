"""Record what happens inside the bundled model when it looks at pairs of the album, for the problem sets.

    python data_scripts/record_inside.py

A notebook that shows a look before the student has written attention reads it from here. One file a function below:

looks.npz   of a few scenes: the tokens (S, 49, 128) of before and after that enter the last cross-view layer, and the
            weights (S, 4, 49, 49) with which its heads let each cell before look at the cells after
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from idc import album
from idc.errors import command
from idc.files import save_arrays
from idc.show import BUNDLED
from idc.systems.scorer_cbr import ScorerCBR
from idc.training.checkpoint import load_system

RECORDED = Path(album.ALBUM).parent / "recorded"
LOOKS = (
    41,
    43,
    44,
    74,
)  # a ball that moved, one of another material, a cylinder that vanished, one repainted


def looks(system: ScorerCBR) -> dict[str, np.ndarray]:
    """Where cells of the picture before look in the picture after."""
    rows = [album.scenes().index(scene) for scene in LOOKS]
    encoder = system.encoder
    before, after = (encoder.tokens(album.grids(kind)[rows]) for kind in ("default", "semantic"))
    *first, last = encoder.layers
    for layer in first:
        view = layer(before, after, False)
        before, after = view.before, view.after
    weights = last(before, after, False).weights_before
    return {
        "scenes": np.array(LOOKS, dtype=np.int16),
        "before": before.half().numpy(),
        "after": after.half().numpy(),
        "weights": weights.half().numpy(),
    }


FILES: dict[str, Callable[[ScorerCBR], dict[str, np.ndarray]]] = {"looks": looks}


@torch.inference_mode()
def record(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, by its name without its ending."""
    system = load_system(BUNDLED)
    assert isinstance(system, ScorerCBR)
    return FILES[name](system)


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RECORDED)
    folder = parser.parse_args().out
    for name in FILES:
        arrays = record(name)
        file = folder / f"{name}.npz"
        save_arrays(file, arrays)
        print(f"{file}: {', '.join(arrays)}, {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
