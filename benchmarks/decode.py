"""Greedy captions of SCORER at the paper's size: the released sampling against ours with its cache.

    python -m benchmarks.decode --released PATH [--batch-size 8] [--threads 1]

Parameters are copied over and the captions must be equal, word by word, before anything is timed.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from benchmarks.peers import arguments, compare, timed
from benchmarks.released import Released, ours, random_batch
from idc.captioner.search import Search


def run(options: Any) -> None:
    """One variant, in this process."""
    torch.set_num_threads(options.threads)
    pairs = random_batch(options.batch_size).change
    if options.variant == "ours":
        system = ours(options.weights)

        def caption() -> list[list[int]]:
            tokens = system.caption(pairs, Search()).tokens[:, :23].tolist()
            return [row[: next((i for i, word in enumerate(row) if word in (0, 3)), None)] for row in tokens]
    else:
        released = Released(options.released)
        snapshot = torch.load(options.weights, weights_only=True)
        released.encoder.load_state_dict(snapshot["change_detector_state"])
        released.decoder.load_state_dict(snapshot["speaker_state"])
        released.eval()

        def caption() -> list[list[int]]:
            return released.caption(pairs)

    with torch.no_grad():
        answer = caption()
        print(json.dumps(timed(caption, options.repeats) | {"answer": answer}))


if __name__ == "__main__":
    options = arguments(__doc__)
    if options.variant:
        run(options)
    else:
        compare("decode", options, lambda theirs, mine: theirs == mine)
