"""One training step of SCORER+CBR at the paper's size: the released code against ours.

    python -m benchmarks.train_step --released PATH [--batch-size 8] [--threads 1]

Parameters are copied over and the three losses (dropout off) must be equal before anything is timed.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from benchmarks.peers import arguments, compare, timed
from benchmarks.released import Released, ours, random_batch

WEIGHTS = {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}


def run(options: Any) -> None:
    """One variant, in this process."""
    torch.set_num_threads(options.threads)
    batch = random_batch(options.batch_size)
    system: Any = ours(options.weights)
    if options.variant == "released":
        system = Released(options.released)
        snapshot = torch.load(options.weights, weights_only=True)
        system.encoder.load_state_dict(snapshot["change_detector_state"])
        system.decoder.load_state_dict(snapshot["speaker_state"])
        system.cbr.load_state_dict(torch.load(options.weights.with_suffix(".cbr"), weights_only=True))
    system.eval()
    with torch.no_grad():
        answer = {name: value.item() for name, value in system.losses(batch).items()}
    system.train()
    optimizer = torch.optim.Adam(system.trained_parameters(), lr=2e-4)

    def step() -> None:
        parts = system.losses(batch)
        loss = torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    print(json.dumps(timed(step, options.repeats) | {"answer": answer}))


def equal(theirs: dict[str, float], mine: dict[str, float]) -> bool:
    return all(abs(theirs[name] - mine[name]) <= 1e-4 * max(1, abs(theirs[name])) for name in WEIGHTS)


if __name__ == "__main__":
    options = arguments(__doc__)
    if options.variant:
        run(options)
    else:
        compare("train_step", options, equal)
