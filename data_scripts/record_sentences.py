"""Record what the bundled model makes of the album's pictures and sentences, for the notebook on backward reasoning.

    python data_scripts/record_sentences.py

The notebook shows them before the pieces are written that would compute them. Three files, in the album's order:

backward_before.npz     tokens (17, 49, 128) of the pictures before
backward_after.npz      tokens (17, 49, 128) of the pictures after the change
backward_sentences.npz  states (17, 24, 128) of the first caption's words, their ids (17, 24); and for a fresh and for the
                        bundled model (2) the three losses (3,) with the lengths of their gradients on the encoder (2, 3)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from idc import album
from idc.data.batch import Batch, Pairs
from idc.data.layout import KINDS, picture, read_json
from idc.errors import command
from idc.files import save_arrays
from idc.show import BUNDLED
from idc.systems.scorer_cbr import ScorerCBR
from idc.training.checkpoint import load_system, read_facts

RECORDED = Path(album.ALBUM).parent / "recorded"
PARTS = ("caption", "cross_view", "cross_modal")


def album_batch(system: ScorerCBR, length: int) -> Batch:
    """The album's scenes as one batch, each with its first captions."""
    before, after, distractor = (album.grids(kind).clone() for kind in KINDS)
    names = [picture("default", scene) for scene in album.scenes()]

    def first_captions(file: str) -> torch.Tensor:
        captions = read_json(album.ALBUM / file)
        return torch.tensor([system.vocabulary.encode(captions[name][0], length) for name in names])

    return Batch(
        Pairs(before, after, first_captions("change_captions.json"), tuple(names)),
        Pairs(
            before,
            distractor,
            first_captions("no_change_captions.json"),
            tuple(f"{name}_n" for name in names),
        ),
    )


def pulls(system: ScorerCBR, batch: Batch) -> tuple[list[float], list[float]]:
    """Each part of the loss, and the length of its gradient on the encoder's parameters."""
    losses = system.losses(batch)
    parameters = list(system.encoder.parameters())
    lengths = []
    for name in PARTS:
        found = torch.autograd.grad(losses[name], parameters, retain_graph=True, allow_unused=True)
        lengths.append(float(nn.utils.get_total_norm([part for part in found if part is not None])))
    return [float(losses[name].detach()) for name in PARTS], lengths


def record() -> dict[str, dict[str, np.ndarray]]:
    """The arrays of every file, by the file's name without its ending."""
    bundled, facts = load_system(BUNDLED), read_facts(BUNDLED)
    assert isinstance(bundled, ScorerCBR)
    torch.manual_seed(0)
    fresh = ScorerCBR(bundled.config, bundled.vocabulary, facts.grid_shape, facts.max_words).eval()
    batch = album_batch(bundled, facts.max_words)
    with torch.inference_mode():
        before, after = (
            bundled.encoder.tokens(batch.change.before),
            bundled.encoder.tokens(batch.change.after),
        )
        difference = bundled.encoder.compare(before, after, match=False)
        states, _ = bundled.decoder(batch.change.words, difference.tokens)
    (fresh_losses, fresh_pulls), (losses, lengths) = pulls(fresh, batch), pulls(bundled, batch)
    return {
        "backward_before": {"tokens": before.half().numpy()},
        "backward_after": {"tokens": after.half().numpy()},
        "backward_sentences": {
            "states": states.half().numpy(),
            "ids": batch.change.words.to(torch.int16).numpy(),
            "losses": np.array([fresh_losses, losses], dtype=np.float32),
            "gradients": np.array([fresh_pulls, lengths], dtype=np.float32),
        },
    }


@command
def main() -> None:
    for name, arrays in record().items():
        file = RECORDED / f"{name}.npz"
        save_arrays(file, arrays)
        print(f"{file}: {', '.join(arrays)}, {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
