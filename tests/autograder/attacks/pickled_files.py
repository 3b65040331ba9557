"""Checkpoints and logs that are pickles lie beside the notebook: loading them runs a command of the student's."""

import pickle
from pathlib import Path
from typing import Any

from tests.autograder.handins import hand_in

EXERCISE = "ps5.4"
SAYS = "not yet"
NAMES = (
    "model.pt",
    "checkpoint.pth",
    "results.pkl",
    ".OTTER_LOG",
    "report/model.safetensors",
    "report/results.json",
    "answers.npy",
)


class Loaded:
    def __reduce__(self) -> Any:
        return exec, ("open('/tmp/idc-was-here-pickle', 'w').close()",)


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, {"ps5.4": ["def joint_loss(parts, weights):\n    return torch.zeros(())\n"]})
    for name in NAMES:
        for folder in ("ps5_cbr", "ps6_train"):
            file = submitted / student / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps(Loaded()))
